"""Random IR programs for property tests: straight lines, `for` and `if`, each with arguments to run them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import IRBuilder, new_function
from pullback.ir.control import FOR, IF
from pullback.ir.dims import DimLike, symbol
from pullback.ir.dtypes import DType, bool_, float64, int32
from pullback.ir.graph import Block, Function, Loc, Value
from pullback.ir.opdef import get
from pullback.ir.types import TensorType

N = symbol("n")
SIZE = 3  # what n is when a program runs
UNARY = ["neg", "tanh", "sin", "exp", "square", "sigmoid", "abs", "relu", "identity"]
SMOOTH = ["neg", "tanh", "sin", "square", "sigmoid", "identity"]
BINARY = ["add", "sub", "mul", "maximum", "minimum"]


@dataclass
class Program:
    """A function and arguments for it."""

    fn: Function
    args: list[Any]


class Maker:
    """Draws ops onto a block; all values are f64 of shape [], [n], [2, n] or [n, 2], or i32/bool scalars."""

    def __init__(self, draw: st.DrawFn, fn: Function, b: IRBuilder, smooth: bool) -> None:
        self.draw, self.b, self.smooth = draw, b, smooth
        self.values: list[Value] = list(fn.params)
        self.line = 0

    def pick(self, values: list[Value]) -> Value:
        return self.draw(st.sampled_from(values))

    def floats(self) -> list[Value]:
        return [v for v in self.values if v.type.dtype == float64]

    def emit(self, name: str, *xs: Value, **attrs: Any) -> Value:
        self.line += 1
        self.b.loc = Loc("prog.py", self.line) if self.line % 3 else None
        v = self.b.emit(get(name), xs, attrs)[0]
        v.name = self.draw(st.sampled_from(["", "", "x", "y", "acc", "loss_1"]))
        self.values.append(v)
        return v

    def constant(self, dtype: DType = float64) -> Value:
        pool = [0, 1, -1, 2] if dtype == int32 else [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 1e-300, 0.1]
        value = np.asarray(self.draw(st.sampled_from(pool)), dtype.np)
        return self.emit("constant", value=value)

    def spread(self, v: Value, shape: tuple[DimLike, ...]) -> Value | None:
        """The value at a shape, if it broadcasts to it."""
        tail = shape[len(shape) - v.type.rank :] if v.type.rank <= len(shape) else None
        if tail is None or any(a not in (1, b) for a, b in zip(v.type.shape, tail, strict=True)):
            return None
        return v if v.type.shape == shape else self.emit("broadcast_to", v, shape=shape)

    def step(self, depth: int) -> None:
        kinds = ["unary", "binary", "binary", "constant", "reduce", "move", "spread"]
        if not self.smooth:
            kinds += ["compare", "int"] + (["for", "if"] if depth < 2 else [])
        getattr(self, "_" + self.draw(st.sampled_from(kinds)) + "_step")(depth)

    def _unary_step(self, depth: int) -> None:
        self.emit(self.draw(st.sampled_from(SMOOTH if self.smooth else UNARY)), self.pick(self.floats()))

    def _binary_step(self, depth: int) -> None:
        x = self.pick(self.floats())
        fits = [v for v in self.floats() if v.type.shape == x.type.shape or not v.type.shape]
        y = self.pick(fits)
        xs = (x, y) if self.draw(st.booleans()) else (y, x)
        self.emit(self.draw(st.sampled_from(BINARY[:3] if self.smooth else BINARY)), *xs)

    def _constant_step(self, depth: int) -> None:
        self.constant()

    def _reduce_step(self, depth: int) -> None:
        x = self.pick(self.floats())
        axes = tuple(i for i in range(x.type.rank) if self.draw(st.booleans()))
        name = self.draw(st.sampled_from(["reduce_sum"] + ([] if self.smooth else ["reduce_max"])))
        self.emit(name, x, axes=axes, keepdims=False)

    def _move_step(self, depth: int) -> None:
        x = self.pick(self.floats())
        if x.type.rank == 2:
            self.emit("transpose", x, perm=self.draw(st.sampled_from([(1, 0), (0, 1)])))
        elif x.type.rank == 1:
            self.emit("slice", x, starts=(0,), sizes=x.type.shape, strides=(1,)) if self.draw(
                st.booleans()
            ) else self.emit("reverse", x, axes=(0,))
        else:
            self.emit("reshape", x, shape=self.draw(st.sampled_from([(), (1,)])))

    def _spread_step(self, depth: int) -> None:
        self.spread(self.pick(self.floats()), self.draw(st.sampled_from([(N,), (2, N), (N, 2)])))

    def _compare_step(self, depth: int) -> None:
        scalars = [v for v in self.floats() if not v.type.shape]
        if scalars:
            self.emit(self.draw(st.sampled_from(["lt", "ge", "eq"])), self.pick(scalars), self.pick(scalars))
        conditions = [v for v in self.values if v.type == TensorType(bool_)]
        x = self.pick(self.floats())
        fits = [v for v in self.floats() if v.type == x.type]
        if conditions:
            self.emit("where", self.pick(conditions), x, self.pick(fits))

    def _int_step(self, depth: int) -> None:
        ints = [v for v in self.values if v.type == TensorType(int32)]
        self.constant(int32)
        if ints:
            self.emit(self.draw(st.sampled_from(["add", "sub", "mul"])), self.pick(ints), self.pick(ints))

    def region(self, block: Block, depth: int, results: list[TensorType]) -> Block:
        """Fills a region with ops and yields values of the types."""
        outer, known = self.b, list(self.values)
        self.b = IRBuilder(block)
        self.values += block.params
        for _ in range(self.draw(st.integers(0, 4))):
            self.step(depth)
        given = [self.pick([v for v in self.values if v.type == t]) for t in results]
        self.b.emit(get("yield"), given)
        self.b, self.values = outer, known
        return block

    def _for_step(self, depth: int) -> None:
        self.constant(int32)
        ints = [v for v in self.values if v.type == TensorType(int32)]
        bounds = [self.b.const(self.draw(st.integers(0, 3)), int32).value, self.pick(ints)]
        # A bound may have become large: the loop runs to the smaller of it and 3.
        three = self.b.const(3, int32).value
        bounds[1] = self.b.emit(get("minimum"), [bounds[1], three])[0]
        bounds.append(self.b.const(self.draw(st.sampled_from([1, 2])), int32).value)
        carried = [self.pick(self.floats()) for _ in range(self.draw(st.integers(0, 2)))]
        block = Block([Value(TensorType(int32), "i"), *(Value(v.type, "acc") for v in carried)])
        self.region(block, depth + 1, [v.type for v in carried])
        self.values += self.b.emit(FOR, [*bounds, *carried], {}, [block])

    def _if_step(self, depth: int) -> None:
        conditions = [v for v in self.values if v.type == TensorType(bool_)]
        if conditions:
            c = self.pick(conditions)
            types = [self.pick(self.floats()).type for _ in range(self.draw(st.integers(0, 2)))]
            branches = [self.region(Block(), depth + 1, types) for _ in range(2)]
            self.values += self.b.emit(IF, [c], {}, branches)


@st.composite
def programs(draw: st.DrawFn, smooth: bool = False) -> Program:
    """Programs over parameters s: f64, x: f64[n], m: f64[2, n], k: i32; `smooth` ones are differentiable everywhere."""
    types = [TensorType(float64), TensorType(float64, (N,)), TensorType(float64, (2, N)), TensorType(int32)]
    fn, b = new_function("f", types, ["s", "x", "m", "k"])
    maker = Maker(draw, fn, b, smooth)
    for _ in range(draw(st.integers(1, 14))):
        maker.step(0)
    floats = maker.floats()
    b.loc = None
    b.ret([floats[-1], *(maker.pick(floats) for _ in range(draw(st.integers(0, 2))))])
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    args = [rng.uniform(-1, 1, [SIZE if d == N else int(str(d)) for d in t.shape]) for t in types[:3]]
    return Program(fn, [*args, np.int32(draw(st.integers(0, 3)))])
