"""Random nests of loops and branches over arrays that are written in place: compiled == interpreted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pullback.codegen.compile import Executable
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import IRBuilder, new_function
from pullback.ir.control import FOR, IF, WHILE
from pullback.ir.dtypes import bool_, float64, int32
from pullback.ir.graph import Block, Function, Value
from pullback.ir.opdef import get
from pullback.ir.types import TensorType

from .compiled import array, check_function

SHAPES: list[tuple[int, ...]] = [(), (4,), (2, 4)]
INT, BOOL = TensorType(int32), TensorType(bool_)


class _Maker:
    """Draws ops onto a block. Numbers stay small: what is stored goes through a sine."""

    def __init__(self, below: Callable[[int], int], b: IRBuilder, values: Sequence[Value]) -> None:
        self.below, self.b, self.values = below, b, list(values)  # below(n): some number less than n

    def choice(self, *given: Any) -> Any:
        return given[self.below(len(given))]

    def emit(self, name: str, *xs: Value, **attrs: Any) -> Value:
        v = self.b.emit(get(name), xs, attrs)[0]
        self.values.append(v)
        return v

    def pick(self, type: TensorType) -> Value:
        fits = [v for v in self.values if v.type == type]
        # The last ones more often: long chains.
        return fits[-1 - min(self.below(6) * self.below(2), len(fits) - 1)]

    def floats(self, shape: tuple[int, ...]) -> Value:
        return self.pick(TensorType(float64, shape))

    def shape(self) -> tuple[int, ...]:
        return self.choice(*SHAPES)

    def step(self, depth: int) -> None:
        kinds = ["unary", "binary", "move", "read", "write", "write", "reduce", "constant"]
        if depth < 3:
            kinds += ["loop", "loop", "branch"] * (3 - depth)
        getattr(self, "_" + self.choice(*kinds))(depth)

    def _unary(self, depth: int) -> None:
        self.emit(self.choice("sin", "neg", "tanh"), self.floats(self.shape()))

    def _binary(self, depth: int) -> None:
        shape = self.shape()
        x, y = self.floats(shape), self.floats(self.choice(shape, ()))
        self.emit("sin", self.emit(self.choice("add", "sub", "mul"), x, y))

    def _move(self, depth: int) -> None:
        x = self.floats(self.choice(*SHAPES[1:]))
        kind = self.choice("reverse", "turn", "identity")
        if kind == "reverse" or len(x.type.shape) == 1:
            self.emit("reverse", x, axes=(0,))
        elif kind == "turn":
            y = self.emit("reshape", x, shape=(4, 2))
            self.emit("transpose", y, perm=(1, 0))
        else:
            self.emit("identity", x)

    def _index(self, size: int) -> Value:
        n = self.b.const(size, int32).value
        return self.b.emit(get("mod"), [self.pick(INT), n])[0]

    def _read(self, depth: int) -> None:
        x = self.floats(self.choice(*SHAPES[1:]))
        *first, _ = x.type.shape
        wide = self.choice(False, True)
        places = [self._index(n) for n in first] + ([] if wide else [self._index(4)])
        sizes = (*(1 for _ in first), 4 if wide else 1)
        starts = (*(None for _ in first), 0 if wide else None)
        y = self.emit("slice", x, *places, starts=starts, sizes=sizes, strides=(1,) * len(sizes))
        self.emit("reshape", y, shape=(4,) if wide else ())

    def _write(self, depth: int) -> None:
        x = self.floats(self.choice(*SHAPES[1:]))
        name = self.choice("update", "add_at")
        *first, _ = x.type.shape
        wide = self.choice(False, True)
        v = self.emit("sin", self.floats((4,) if wide else ()))
        sizes = (*(1 for _ in first), 4 if wide else 1)
        v = self.emit("reshape", v, shape=sizes)
        places = [self._index(n) for n in first] + ([] if wide else [self._index(4)])
        starts = (*(None for _ in first), 0 if wide else None)
        self.emit(name, x, v, *places, starts=starts, strides=(1,) * len(sizes))

    def _reduce(self, depth: int) -> None:
        x = self.floats(self.choice(*SHAPES[1:]))
        self.emit("sin", self.emit("reduce_sum", x, axes=tuple(range(len(x.type.shape))), keepdims=False))

    def _constant(self, depth: int) -> None:
        shape = self.shape()
        self.emit("constant", value=np.full(shape, self.choice(0.0, 1.0, 0.5)))

    def _less(self, b: IRBuilder, x: Value) -> Value:
        return b.emit(get("lt"), [x, b.const(0.2, float64).value])[0]

    def _region(self, block: Block, depth: int, types: Sequence[TensorType]) -> list[Value]:
        inner = _Maker(self.below, IRBuilder(block), [*self.values, *block.params])
        for _ in range(self.below(8)):
            inner.step(depth + 1)
        return [inner.pick(t) for t in types]

    def _carried(self) -> list[Value]:
        return [self.floats(self.shape()) for _ in range(1 + self.below(4))]

    def _loop(self, depth: int) -> None:
        carried = self._carried()
        types = [v.type for v in carried]
        low, high = self._index(3), self.b.const(self.below(5), int32).value
        step = self.choice(1, 1, 2, -1)
        if step < 0:
            low, high = high, low
        if self.below(4):
            block = Block([Value(INT, "i"), *(Value(t, "c") for t in types)])
            IRBuilder(block).emit(get("yield"), self._region(block, depth, types))
            by = self.b.const(step, int32).value
            self.values += self.b.emit(FOR, [low, high, by, *carried], {}, [block])
            return
        self._while(depth, carried, high)

    def _while(self, depth: int, carried: list[Value], trips: Value) -> None:
        types = [INT, *(v.type for v in carried)]
        condition, body = (Block([Value(t, "w") for t in types]) for _ in range(2))
        b = IRBuilder(condition)
        self._region(condition, 2, [])
        more = b.emit(get("lt"), [condition.params[0], trips])[0]
        scalars = [p for p in condition.params if p.type == TensorType(float64)]
        if scalars:
            more = b.emit(get("logical_and"), [more, self._less(b, scalars[0])])[0]
        b.emit(get("yield"), [more])
        given = self._region(body, depth, types[1:])
        b = IRBuilder(body)
        following = b.emit(get("add"), [body.params[0], b.const(1, int32).value])[0]
        b.emit(get("yield"), [following, *given])
        self.values += self.b.emit(WHILE, [self.b.const(0, int32).value, *carried], {}, [condition, body])

    def _branch(self, depth: int) -> None:
        types = [v.type for v in self._carried()]
        blocks = [Block(), Block()]
        for block in blocks:
            IRBuilder(block).emit(get("yield"), self._region(block, depth, types))
        self.values += self.b.emit(IF, [self._less(self.b, self.floats(()))], {}, blocks)


def nest(below: Callable[[int], int], steps: int) -> Function:
    """A function of s: f64, x: f64[4], m: f64[2, 4], k: i32."""
    types = [TensorType(float64), TensorType(float64, (4,)), TensorType(float64, (2, 4)), INT]
    fn, b = new_function("f", types, ["s", "x", "m", "k"])
    maker = _Maker(below, b, fn.params)
    for _ in range(steps):
        maker.step(0)
    b.ret([maker.floats(s) for s in ((), (4,), (2, 4), (2, 4))])
    return fn


@st.composite
def nests(draw: st.DrawFn) -> Function:
    """Small ones, which shrink."""
    return nest(lambda n: draw(st.integers(0, n - 1)), draw(st.integers(1, 8)))


DONATE: list[dict[int, int]] = [{}, {1: 1, 2: 2}, {3: 2}, {2: 2, 1: 1}]


def same(fn: Function, k: int, donate: dict[int, int]) -> Executable:
    """Compiles and compares, with donated arguments and without."""
    args = [np.asarray(0.3), array((4,), "float64"), array((2, 4), "float64", 1), np.asarray(np.int32(k))]
    return check_function(fn, args, 1e-9, donate)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(nests(), st.integers(0, 5), st.sampled_from(DONATE))
def test_compiled_is_interpreted(fn: Function, k: int, donate: dict[int, int]) -> None:
    same(fn, k, donate)


@pytest.mark.parametrize("seed", range(40))
def test_large_programs(seed: int) -> None:
    rng = random.Random(seed)
    same(nest(rng.randrange, 12), rng.randrange(6), rng.choice(DONATE))
