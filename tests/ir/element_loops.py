"""Random loops over elements: reads and writes of a few arrays at places affine in the index, in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import IRBuilder, new_function
from pullback.ir.control import FOR
from pullback.ir.dtypes import float64, int32
from pullback.ir.graph import Block, Function, Value
from pullback.ir.opdef import get
from pullback.ir.types import TensorType

from .programs import Program

SIZE, MARGIN = 24, 3
ARRAY = TensorType(float64, (SIZE,))
BOUNDS = st.sampled_from([(3, 21, 1), (20, 2, -1), (3, 20, 2), (20, 3, -3), (5, 9, 1), (5, 7, 1)])


class _Body:
    """Draws the body of a loop that carries two arrays and, sometimes, a number."""

    def __init__(self, draw: st.DrawFn, b: IRBuilder, index: Value, given: Value, arrays: list[Value]) -> None:
        self.draw, self.b, self.index, self.given, self.arrays = draw, b, index, given, arrays
        self.values: list[Any] = [b.const(draw(st.sampled_from([0.0, -0.0, 1.5, -2.0])), float64)]

    def place(self) -> Any:
        """i + c, n - 1 - i, or (rarely) a fixed place."""
        kind = self.draw(st.sampled_from(["near", "near", "near", "near", "mirrored", "fixed"]))
        if kind == "fixed":
            return self.b.const(self.draw(st.integers(0, SIZE - 1)), int32)
        c = self.draw(st.integers(-MARGIN, MARGIN))
        i = self.b.expr(self.index)
        return (i if kind == "near" else self.b.const(SIZE - 1, int32) - i) + c

    def read(self) -> None:
        source = self.draw(st.sampled_from([self.given, *self.arrays]))
        one = self.b.slice(self.b.expr(source), self.place(), starts=(None,), sizes=(1,), strides=(1,))
        self.values.append(self.b.reshape(one, shape=()))

    def compute(self) -> None:
        name = self.draw(st.sampled_from(["add", "sub", "mul", "maximum", "neg", "exp", "index"]))
        if name == "index":
            self.values.append(self.b.cast(self.b.expr(self.index) * 2 - 7, dtype=float64))
            return
        xs = [self.draw(st.sampled_from(self.values)) for _ in range(1 if name in ("neg", "exp") else 2)]
        self.values.append(self.b.apply(get(name), xs, {}))

    def write(self) -> None:
        k = self.draw(st.integers(0, 1))
        row = self.b.reshape(self.draw(st.sampled_from(self.values[-3:])), shape=(1,))
        name = self.draw(st.sampled_from(["update", "add_at"]))
        attrs = {"starts": (None,), "strides": (1,)}
        self.arrays[k] = self.b.apply(get(name), [self.b.expr(self.arrays[k]), row, self.place()], attrs).value


@st.composite
def element_loops(draw: st.DrawFn) -> Program:
    """`f(x, p, q, s)` with one loop that carries p, q and, in some programs, a number that starts as s."""
    fn, b = new_function("f", [ARRAY, ARRAY, ARRAY, TensorType(float64)])
    x, *arrays, s = fn.params
    with_number = draw(st.sampled_from([False, False, True]))
    starts = [*arrays, s] if with_number else arrays
    region = Block([Value(TensorType(int32)), *(Value(v.type) for v in starts)])
    inner = IRBuilder(region)
    body = _Body(draw, inner, region.params[0], x, region.params[1:3])
    if with_number:
        body.values.append(inner.expr(region.params[3]))
    for kind in draw(st.lists(st.sampled_from(["read", "compute", "write"]), min_size=3, max_size=14)):
        getattr(body, kind)()
    given = [*body.arrays, body.values[-1].value] if with_number else body.arrays
    inner.emit(get("yield"), given)
    bounds = [b.const(n, int32).value for n in draw(BOUNDS)]
    b.ret(b.emit(FOR, [*bounds, *starts], {}, [region]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    return Program(fn, [*(rng.normal(size=SIZE) for _ in range(3)), np.asarray(0.25)])


def loops(fn: Function) -> int:
    """How many loops there are."""
    return sum(op.kind is FOR for op in fn.body.walk())
