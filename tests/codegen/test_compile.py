"""The whole of code generation: every op of the table, random programs, scalar functions, constants, a training
step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pullback.codegen.compile import compile_function
from pullback.codegen.errors import Unsupported
from pullback.codegen.pipeline import optimise
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import new_function
from pullback.ir.dims import symbol
from pullback.ir.dtypes import float32
from pullback.ir.opdef import get, table
from pullback.ir.reverse import reverse
from pullback.ir.types import tensor_type

from ..ir.op_samples import SAMPLES
from .compiled import array, check, check_function, function

# Control flow, effects and growable stacks: the interpreter runs functions with these.
_WITHOUT_CODE = {
    "return", "yield", "for", "while", "if", "call", "print", "assert", "push", "pop", "stack_new", "stack_zeros",
    "bind",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(op.name for op in table() if op.name not in _WITHOUT_CODE))
def test_every_op_of_the_table_compiles_to_what_it_means(name: str) -> None:
    for attrs, operands in SAMPLES[name]:
        arrays = [np.array(x, order="C") for x in operands]
        if any(x.dtype.name not in ("float32", "float64", "int32", "int64", "bool") for x in arrays):
            continue
        fn, b = new_function("f", [tensor_type(x.dtype, x.shape) for x in arrays])
        b.ret(b.emit(get(name), list(fn.params), attrs))
        check_function(fn, arrays, 2e-6 if any(x.dtype == np.float32 for x in arrays) else 1e-11)


def test_scalar_functions_are_straight_code_in_main() -> None:
    def build(b: Any, x: Any, n: Any) -> Any:
        y = b.tanh(x) * 2.0 + b.cast(n, dtype=float32)
        return [y, n + 1, b.gt(y, x), b.where(b.gt(y, x), x, y)]

    exe = check(build, np.asarray(0.3, np.float32), np.asarray(4, np.int64), tolerance=1e-6)
    assert "kernel" not in exe.kernels
    assert "call void @k" not in exe.llvm


def test_scalars_from_arrays_and_arrays_from_scalars() -> None:
    def build(b: Any, x: Any, s: Any) -> Any:
        first = b.reshape(b.slice(x, starts=(3,), sizes=(1,), strides=(1,)), shape=())
        total = b.reduce_sum(x, axes=(0,), keepdims=False)
        spread = b.broadcast_to(first + total, shape=(3, 5))
        return [first * s, spread, x * total, b.reshape(s, shape=(1, 1)), total / s]

    check(build, array((20,)), np.asarray(2.0, np.float32), tolerance=1e-5)


def test_constants_of_all_kinds() -> None:
    table = np.arange(40, dtype=np.float64).reshape(4, 10)

    def build(b: Any, x: Any) -> Any:
        c = b.const(table, x.type.dtype)
        same = b.const(np.full((4, 10), 0.5), x.type.dtype)
        number = b.const(np.float64(3.5), x.type.dtype)
        return [x * c, c, number, same, x + same, b.reduce_sum(c, axes=(0,), keepdims=False)]

    check(build, array((4, 10), "float64"), tolerance=1e-12)


def test_results_that_are_parameters_or_each_other() -> None:
    check(lambda b, x, s: [x, x, b.reshape(x, shape=(4, 3)), s, s, x * 2.0], array((3, 4)), np.asarray(1.5))
    check(lambda b, x: [(y := x + 1.0), y, b.reshape(y, shape=(12,))], array((3, 4)))


def test_empty_arrays() -> None:
    def build(b: Any, x: Any) -> Any:
        return [
            x + x, b.reduce_sum(x, axes=(0,), keepdims=False), b.reduce_sum(x, axes=(1,), keepdims=True),
            b.reduce_prod(x, axes=(0, 1), keepdims=False), b.concat(x, x, axis=1), b.transpose(x, perm=(1, 0)),
            b.pad(x, low=(1, 0), high=(0, 0)), b.reshape(x, shape=(5, 0, 2)),
            b.cumsum(x, axis=0, exclusive=False, reverse=False),
        ]  # fmt: skip

    check(build, array((0, 5)))


def test_deep_chains_compile_in_pieces() -> None:
    def build(b: Any, x: Any) -> Any:
        y = x
        for k in range(400):
            y = y * 0.999 + x if k % 3 else b.maximum(y, -x)
        return [y, b.reduce_sum(y, axes=(0,), keepdims=False)]

    exe = check(build, array((1000,), "float64"), tolerance=1e-12)
    assert len(exe.llvm.splitlines()) < 6 * 400


def test_gradient_of_a_network_in_f64() -> None:
    shapes = [(6, 20), (20, 17), (17,), (17, 3), (3,)]

    def build(b: Any, x: Any, w: Any, c: Any, v: Any, d: Any) -> Any:
        h = b.tanh(b.matmul(x, w, transpose_a=False, transpose_b=False) + c)
        z = b.matmul(h, v, transpose_a=False, transpose_b=False) + d
        labels = b.const(np.array([0, 2, 1, 1, 0, 2]), get_dtype("int32"))
        return b.reduce_sum(b.sparse_softmax_cross_entropy(labels, z), axes=(0,), keepdims=False)

    arrays = [array(s, "float64", k) for k, s in enumerate(shapes)]
    gradient = reverse(function(build, arrays), wrt=(1, 2, 3, 4), keep_primal=True)
    check_function(gradient, [*arrays, np.ones(())], 1e-12)


def get_dtype(name: str) -> Any:
    """The dtype of that name."""
    from pullback.ir.dtypes import as_dtype

    return as_dtype(name)


def test_what_is_wrong_is_said() -> None:
    fn, b = new_function("f", [tensor_type("f32", (symbol("n"),))])
    b.ret([b.expr(fn.params[0]) * 2.0])
    with pytest.raises(Unsupported, match="symbolic"):
        compile_function(fn)
    exe = compile_function(optimise(function(lambda b, x: x + x, [array((3,))])))
    with pytest.raises(TypeError, match=r"float64.*f32\[3\]"):
        exe.run([np.ones(3)])


def test_dumps_name_kernels_and_hold_code() -> None:
    exe = check(lambda b, x: b.reduce_sum(x * x, axes=(0,), keepdims=False), array((5000,)), tolerance=1e-5)
    assert "sum of" in exe.kernels
    assert "define i32 @main" in exe.llvm
    assert "ret" in exe.asm()
    assert exe.work > 100


# ---------------------------------------------------------------- random straight-line programs
_SHAPES = [(), (5,), (1,), (17,), (3, 17), (17, 3), (3, 1), (2, 3, 17)]
_UNARY = ["neg", "abs", "square", "tanh", "relu", "sign", "floor", "sqrt", "exp"]
_BINARY = ["add", "sub", "mul", "maximum", "minimum"]


class _Maker:
    """Draws ops on f64 values of small shapes; exp and sqrt see bounded arguments, so that errors stay small."""

    def __init__(self, data: st.DataObject, b: Any, values: list[Any]) -> None:
        self.data, self.b, self.values = data, b, values

    def pick(self, what: Any) -> Any:
        return self.data.draw(st.sampled_from(what))

    def step(self) -> None:
        kind = self.pick(["unary", "binary", "binary", "reduce", "move", "where", "window", "join", "gather"])
        made = getattr(self, "_" + kind)(self.pick(self.values))
        if made is not None:
            self.values.append(made)

    def _unary(self, x: Any) -> Any:
        name = self.pick(_UNARY)
        if name in ("sqrt", "exp"):
            x = self.b.abs(self.b.tanh(x))
        return getattr(self.b, name)(x)

    def _fitting(self, x: Any) -> Any:
        def fits(y: Any) -> bool:
            a, c = x.type.shape[::-1], y.type.shape[::-1]
            return all(m == n or 1 in (m, n) for m, n in zip(a, c, strict=False))

        return self.pick([y for y in self.values if fits(y)])

    def _binary(self, x: Any) -> Any:
        made = getattr(self.b, self.pick(_BINARY))(x, self._fitting(x))
        return made if len(made.type.shape) <= 3 else None

    def _where(self, x: Any) -> Any:
        y = self._fitting(x)
        return self.b.where(self.b.lt(x, y), x, y)

    def _reduce(self, x: Any) -> Any:
        rank = len(x.type.shape)
        axes = tuple(sorted(self.data.draw(st.sets(st.integers(0, rank - 1))))) if rank else ()
        name = self.pick(["reduce_sum", "reduce_max", "reduce_min"])
        return getattr(self.b, name)(x, axes=axes, keepdims=self.data.draw(st.booleans()))

    def _move(self, x: Any) -> Any:
        rank = len(x.type.shape)
        kind = self.pick(["transpose", "reverse", "reshape", "spread", "cumsum"])
        if not rank:
            return self.b.broadcast_to(x, shape=self.pick(_SHAPES))
        if kind == "transpose":
            return self.b.transpose(x, perm=tuple(self.data.draw(st.permutations(range(rank)))))
        if kind == "reverse":
            return self.b.reverse(x, axes=(self.pick(range(rank)),))
        if kind == "reshape":
            return self.b.reshape(x, shape=self._regrouped(x))
        if kind == "spread":
            return self.b.broadcast_to(x, shape=(2, *x.type.shape)) if rank < 3 else None
        return self.b.cumsum(x, axis=self.pick(range(rank)), exclusive=False, reverse=self.data.draw(st.booleans()))

    def _regrouped(self, x: Any) -> tuple[int, ...]:
        n = int(np.prod(x.type.shape))
        shapes = [(n,), (1, n), (n, 1)] + [(d, n // d) for d in (2, 3, 5, 17) if n % d == 0 and n]
        return self.pick(shapes)

    def _window(self, x: Any) -> Any:
        shape = x.type.shape
        if not shape or 0 in shape:
            return None
        starts, sizes, strides = [], [], []
        for n in shape:
            a, c = sorted((self.data.draw(st.integers(0, n - 1)), self.data.draw(st.integers(0, n - 1))))
            back = self.data.draw(st.booleans())
            step = self.data.draw(st.integers(1, 3))
            starts.append(c if back else a)
            strides.append(-step if back else step)
            sizes.append((c - a) // step + 1)
        window = self.b.slice(x, starts=tuple(starts), sizes=tuple(sizes), strides=tuple(strides))
        kind = self.pick(["slice", "update", "add_at"])
        if kind == "slice":
            return window
        return getattr(self.b, kind)(x, window * 0.5, starts=tuple(starts), strides=tuple(strides))

    def _join(self, x: Any) -> Any:
        rank = len(x.type.shape)
        if not rank or np.prod(x.type.shape) > 200:
            return None
        axis = self.pick(range(rank))
        if self.data.draw(st.booleans()):
            low, high = (tuple(self.data.draw(st.integers(0, 2)) for _ in range(rank)) for _ in "ab")
            return self.b.pad(x, low=low, high=high)
        same = [y for y in self.values if _aligned(x.type.shape, y.type.shape, axis)]
        return self.b.concat(x, self.pick(same), x, axis=axis)

    def _gather(self, x: Any) -> Any:
        shape = x.type.shape
        if not shape or 0 in shape or np.prod(shape) > 200:
            return None
        axis = self.pick(range(len(shape)))
        picks = self.data.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=4))
        i = self.b.const(np.array(picks), get_dtype("int64"))
        y = self.b.gather(x, i, axis=axis, batch_dims=0)
        return self.b.scatter_add(x, i, y, axis=axis, batch_dims=0) if self.data.draw(st.booleans()) else y


def _aligned(a: tuple[int, ...], c: tuple[int, ...], axis: int) -> bool:
    return len(a) == len(c) and all(m == n for k, (m, n) in enumerate(zip(a, c, strict=True)) if k != axis)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_programs_compiled_equal_interpreted(data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.sampled_from(_SHAPES), min_size=1, max_size=4))
    arrays = [np.asarray(np.clip(array(s, "float64", k), -2, 2)) for k, s in enumerate(shapes)]

    def build(b: Any, *xs: Any) -> Any:
        maker = _Maker(data, b, list(xs))
        for _ in range(data.draw(st.integers(1, 14))):
            maker.step()
        made = maker.values
        return [*data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=4)), made[-1]]

    fn = function(build, arrays)
    donate = {}
    for r, t in enumerate(fn.result_types):
        free = [p for p, q in enumerate(fn.param_types) if q == t and p not in donate.values()]
        if free and data.draw(st.booleans()):
            donate[r] = data.draw(st.sampled_from(free))
    with np.errstate(all="ignore"):
        check_function(fn, arrays, 1e-9, donate)
