"""Test helper: build a small IR function, compile it, run it, and compare with the interpreter (NumPy)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pullback.codegen.compile import Executable, compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import new_function
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.types import tensor_type

Array = np.ndarray[Any, Any]
Build = Callable[..., Any]

# Lane counts are 4, 8 or 16; blocks of sums hold 4096 elements of f32 with 16 lanes.
SIZES = [0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100, 255, 1000, 4095, 4096, 4097, 100003]
DTYPES = ["float32", "float64", "int32", "int64", "bool"]


def array(shape: Sequence[int], dtype: str = "float32", seed: int = 0) -> Array:
    """Random elements: normal numbers, integers in -9..9, or bools."""
    rng = np.random.default_rng([seed, *shape])
    if dtype == "bool":
        return rng.random(tuple(shape)) < 0.5
    if dtype.startswith("int"):
        return rng.integers(-9, 10, tuple(shape)).astype(dtype)
    return rng.normal(size=tuple(shape)).astype(dtype)


def function(build: Build, arrays: Sequence[Array]) -> Function:
    """`build(b, *operands)` as a function of parameters like the arrays."""
    fn, b = new_function("f", [tensor_type(x.dtype, x.shape) for x in arrays])
    made = build(b, *[b.expr(p) for p in fn.params])
    b.ret(list(made) if isinstance(made, (list, tuple)) else [made])
    return fn


def compare(got: Sequence[Array], want: Sequence[Any], tolerance: float, note: str) -> None:
    """Equal shapes and dtypes; values bit for bit with tolerance 0, else relative to the largest element."""
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        w = np.asarray(w)
        types = f"result {k}: {g.dtype}{g.shape}, not {w.dtype}{w.shape}"
        assert (g.shape, g.dtype) == (w.shape, w.dtype), f"{types}\n{note}"
        if tolerance == 0 or g.dtype.kind != "f":
            np.testing.assert_array_equal(g, w, err_msg=f"result {k}\n{note}")
        else:
            finite = np.abs(w[np.isfinite(w)])
            scale = max(1.0, float(finite.max())) if finite.size else 1.0
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * scale, err_msg=f"result {k}\n{note}")


def check_function(
    fn: Function, arrays: Sequence[Array], tolerance: float = 0.0, donate: Mapping[int, int] | None = None
) -> Executable:
    """Compiles and runs the function, with donated parameters given as results and not, against the interpreter."""
    donate = dict(donate or {})
    exe = compile_function(optimise(fn), donate=donate)
    note = f"{fn}\n{exe.kernels}"
    want = interpret(fn, [x.copy() for x in arrays])
    ins = [x.copy() for x in arrays]
    compare(exe.run(ins), want, tolerance, note)
    for p, x in enumerate(arrays):
        np.testing.assert_array_equal(ins[p], x, err_msg=f"parameter {p} was changed\n{note}")
    if exe.donate:
        outs = [np.empty(t.shape, t.dtype.np) for t in fn.result_types]
        for r, p in exe.donate.items():
            outs[r] = ins[p]
        compare(exe.run(ins, outs), want, tolerance, "donated: " + note)
    return exe


def check(build: Build, *arrays: Array, tolerance: float = 0.0, donate: Mapping[int, int] | None = None) -> Executable:
    """`check_function` for what `build` writes."""
    return check_function(function(build, arrays), arrays, tolerance, donate)
