"""Test helper: turn a lowering into a compiled loop over arrays, scalar or vector, and call it from NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback.codegen.emitter import Context, Emitter, Reg
from pullback.codegen.host import host
from pullback.codegen.jit import compile_module
from pullback.codegen.scalar import MEMORY, element, load_as, store_as

Array = np.ndarray[Any, Any]
SHORT = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "bool": "bool"}
NUMPY = {v: np.dtype(k) for k, v in SHORT.items()}


Build = Callable[..., Reg]


def loop_text(
    build: Build, ins: Sequence[str], out: str, lanes: int, *, fma: bool = True, scales: bool = False
) -> str:
    """A module with ``k(out*, in*..., n)``: a loop of ``build`` over n elements; n must be a multiple of the lanes."""
    em = Emitter(lanes, fma=fma, context=Context(scales=scales))
    em.body.block = "loop"
    scalar, regs = em.scalar(), []
    for k, dtype in enumerate(ins):
        address = scalar.op(f"getelementptr {MEMORY[dtype]}, ptr %x{k}, i64 %i", "ptr")
        regs.append(load_as(em, em.op(f"load {em.ty(MEMORY[dtype])}, ptr {address.text}, align 1", MEMORY[dtype])))
    value = build(em, *regs)
    assert value.ty == element(out)
    result = store_as(em, value)
    address = scalar.op(f"getelementptr {MEMORY[out]}, ptr %o, i64 %i", "ptr")
    em.raw(f"store {em.typed(result)}, ptr {address.text}, align 1")
    params = ", ".join(f"ptr noalias %x{k}" for k in range(len(ins)))
    return "\n".join(
        [
            em.module_text(),
            f"define void @k(ptr noalias %o, {params}, i64 %n) nounwind {{",
            "entry:",
            "  %empty = icmp eq i64 %n, 0",
            "  br i1 %empty, label %end, label %loop",
            "loop:",
            f"  %i = phi i64 [0, %entry], [%next, %{em.block}]",
            *em.lines,
            f"  %next = add nuw nsw i64 %i, {max(lanes, 1)}",
            "  %more = icmp ult i64 %next, %n",
            "  br i1 %more, label %loop, label %end",
            "end:",
            "  ret void",
            "}",
        ]
    )


class Kernel:
    """``Kernel(build, ["f32"], "f32", lanes)(x)``: the elementwise function over arrays of any length."""

    def __init__(
        self, build: Build, ins: Sequence[str], out: str, lanes: int, *, fma: bool = True, scales: bool | None = None
    ) -> None:
        scales = host().has_scalef if scales is None else scales
        self.library = compile_module(loop_text(build, ins, out, lanes, fma=fma, scales=scales))
        self.out, self.lanes = NUMPY[out], max(lanes, 1)
        self.ins = [NUMPY[d] for d in ins]
        self.call = self.library.function("k", None, *[ctypes.c_void_p] * (len(ins) + 1), ctypes.c_int64)

    def __call__(self, *xs: Array) -> Array:
        n = xs[0].size
        padded = -(-n // self.lanes) * self.lanes
        arrays = []
        for x, dtype in zip(xs, self.ins, strict=True):
            assert (x.dtype, x.shape) == (dtype, (n,))
            full = np.ones(padded, dtype)
            full[:n] = x
            arrays.append(full)
        out = np.empty(padded, self.out)
        self.call(out.ctypes.data, *[a.ctypes.data for a in arrays], padded)
        return out[:n]
