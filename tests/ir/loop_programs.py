"""Random differentiable programs with control flow (hypothesis): nested loops, flags, branches, slices, updates.

All floats are f64: scalars, vectors of N and matrices of 2 x N. Values stay tame (tanh, sin, small factors), branch
conditions compare with numbers that no value comes near by chance, loops are short. Bounds may depend on outer indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import Expr, IRBuilder, new_function
from pullback.ir.control import FOR, IF, WHILE
from pullback.ir.dims import DimLike, symbol
from pullback.ir.dtypes import float64, int32
from pullback.ir.graph import Block, Function, Op, Value
from pullback.ir.opdef import get
from pullback.ir.types import TensorType

N = 3
SCALAR, INT = TensorType(float64), TensorType(int32)
SMOOTH = ["tanh", "sin", "square", "sigmoid", "neg", "identity", "cos"]


@dataclass
class LoopProgram:
    """A function and arguments for it."""

    fn: Function
    args: list[Any]


class Maker:
    """Draws ops onto a block."""

    def __init__(self, draw: st.DrawFn, fn: Function, b: IRBuilder, n: DimLike) -> None:
        self.draw, self.b, self.n = draw, b, n
        self.vector, self.matrix = TensorType(float64, (n,)), TensorType(float64, (2, n))
        self.values: list[Value] = list(fn.params)
        self.indices: list[Value] = []  # in range of a vector

    def of(self, type: TensorType) -> Expr:
        """A value of the type, more often than not one of the newest: what is made shall be used."""
        have = [v for v in self.values if v.type == type]
        return self.b.expr(self.draw(st.sampled_from([*have, *have[-2:], *have[-1:] * 3][::-1])))

    def keep(self, e: Any) -> None:
        self.values.append(e.value)

    def number(self, value: float) -> Any:
        return self.b.const(value, float64)

    def integer(self, value: int) -> Value:
        made: Value = self.b.const(value, int32).value
        return made

    def steps(self, depth: int, most: int) -> None:
        for _ in range(self.draw(st.integers(1, most))):
            kinds = ["for_", "while_", "if_", "for_"] if depth < 3 else []
            kinds += ["unary", "binary", "product", "read", "write", "reduce"]
            getattr(self, self.draw(st.sampled_from(kinds)))(depth)

    def any_type(self) -> TensorType:
        return self.draw(st.sampled_from([SCALAR, SCALAR, self.vector, self.matrix]))

    def unary(self, depth: int) -> None:
        self.keep(self.b.apply(get(self.draw(st.sampled_from(SMOOTH))), [self.of(self.any_type())], {}))

    def binary(self, depth: int) -> None:
        t = self.any_type()
        x, y = self.of(t), self.of(self.draw(st.sampled_from([t, SCALAR])))
        name = self.draw(st.sampled_from(["add", "sub", "mul", "mul"]))
        swap = self.draw(st.booleans())
        made = self.b.apply(get(name), [y, x] if swap else [x, y], {})
        self.keep(made if name == "mul" else made * self.number(0.7))

    def product(self, depth: int) -> None:
        t = self.any_type()
        self.keep(self.of(t) * self.b.cos(self.of(t)))

    def place(self) -> tuple[Any, ...]:
        """The place of one element of a vector: a number, or an index in range."""
        if len(self.indices) > 0 and self.draw(st.booleans()):
            return None, self.draw(st.sampled_from(self.indices))
        return (self.draw(st.integers(0, N - 1)),)

    def read(self, depth: int) -> None:
        start, *dynamic = self.place()
        if self.draw(st.booleans()):
            x = self.b.slice(self.of(self.vector), *dynamic, starts=(start,), sizes=(1,), strides=(1,))
        else:
            row = self.draw(st.integers(0, 1))
            x = self.b.slice(self.of(self.matrix), *dynamic, starts=(row, start), sizes=(1, 1), strides=(1, 1))
        self.keep(self.b.reshape(x, shape=()))

    def write(self, depth: int) -> None:
        start, *dynamic = self.place()
        name = get(self.draw(st.sampled_from(["update", "add_at"])))
        if self.draw(st.booleans()):
            v = self.b.reshape(self.of(SCALAR) * self.number(0.8), shape=(1,))
            made = self.b.apply(name, [self.of(self.vector), v, *dynamic], {"starts": (start,), "strides": (1,)})
        else:
            v = self.b.reshape(self.of(self.vector), shape=(1, self.n))
            at = {"starts": (self.draw(st.integers(0, 1)), 0), "strides": (1, 1)}
            made = self.b.apply(get("update"), [self.of(self.matrix), v], at)
        self.keep(made)

    def reduce(self, depth: int) -> None:
        m = self.b.reduce_sum(self.of(self.matrix), axes=(0,), keepdims=False)
        self.keep(m * self.number(0.5))
        self.keep(self.b.reduce_sum(m, axes=(0,), keepdims=False) * self.number(0.2))

    # ------------------------------------------------------------ regions
    def region(self, block: Block, depth: int, wanted: list[TensorType]) -> None:
        """Fills a region; yields values of the types."""
        outer, known, places = self.b, list(self.values), list(self.indices)
        self.b = IRBuilder(block)
        self.values += [p for p in block.params if p.type.dtype == float64]
        self.steps(depth + 1, 4)
        new = self.values[len(known) + len(block.params) :]
        block.ops.append(_end([next((v for v in reversed(new) if v.type == t), self.of(t).value) for t in wanted]))
        self.b, self.values, self.indices = outer, known, places

    def carried(self) -> list[Value]:
        return [self.of(self.any_type()).value for _ in range(self.draw(st.integers(1, 3)))]

    def for_(self, depth: int) -> None:
        """A `for` whose indices lie in 0 to N-1; its trips are known, or depend on an outer index or a parameter."""
        carried = self.carried()
        kind = self.draw(st.sampled_from(["up", "down", "two", "inner", "inner", "given", "none", "size"]))
        low, high, step = {"down": (N - 1, -1, -1), "two": (0, N, 2), "none": (2, 1, 1)}.get(kind, (0, N - 1, 1))
        bounds = [self.integer(low), self.integer(high), self.integer(step)]
        if kind == "inner" and self.indices:
            bounds[self.draw(st.integers(0, 1))] = self.draw(st.sampled_from(self.indices))
        if kind == "given":
            bounds[1] = self.of(INT).value
        if kind == "size":
            bounds[1] = self.b.dim(self.of(self.vector), axis=0, dtype=int32).value
        block = Block([Value(INT, "i"), *(Value(v.type) for v in carried)])
        places = list(self.indices)
        self.indices.append(block.params[0])
        self.region(block, depth, [v.type for v in carried])
        self.indices = places
        self.values += self.b.emit(FOR, [*bounds, *carried], {}, [block])

    def while_(self, depth: int) -> None:
        """A `while` that counts, or is left early by a flag."""
        carried = self.carried()
        types = [v.type for v in carried]
        condition = Block([Value(INT, "k"), *map(Value, types)])
        inner = IRBuilder(condition)
        more = inner.lt(condition.params[0], self.draw(st.integers(0, 3)))
        if self.draw(st.booleans()) and types[0] == SCALAR:  # a break
            more = inner.logical_and(more, inner.lt(condition.params[1], 0.4711))
        condition.ops.append(_end([more.value]))
        body = Block([Value(INT, "k"), *map(Value, types)])
        self.region(body, depth, types)
        count = IRBuilder(Block())
        step = count.expr(body.params[0]) + 1
        body.ops[-1:-1] = count.block.ops
        body.terminator.operands.insert(0, step.value)
        results = self.b.emit(WHILE, [self.integer(0), *carried], {}, [condition, body])
        self.values += results[1:]

    def if_(self, depth: int) -> None:
        types = [self.any_type() for _ in range(self.draw(st.integers(1, 3)))]
        c = self.b.lt(self.of(SCALAR), self.number(self.draw(st.sampled_from([0.1234567, -0.2345678, 5.0, -5.0]))))
        branches = [Block(), Block()]
        for block in branches:
            self.region(block, depth, types)
        self.values += self.b.emit(IF, [c.value], {}, branches)


def _end(values: list[Value]) -> Op:
    return Op(get("yield"), values)


@st.composite
def loop_programs(draw: st.DrawFn) -> LoopProgram:
    """Programs over s: f64, x: f64[n], m: f64[2, n], k: i32 (0 to N), with n symbolic or the number N."""
    n: DimLike = symbol("n") if draw(st.booleans()) else N
    types = [SCALAR, TensorType(float64, (n,)), TensorType(float64, (2, n)), INT]
    fn, b = new_function("f", types, ["s", "x", "m", "k"])
    maker = Maker(draw, fn, b, n)
    maker.steps(0, 5)
    b.ret([maker.of(t) for t in types[: draw(st.integers(1, 3))]])
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    args = [rng.uniform(-1, 1, [N if d == n else int(str(d)) for d in t.shape]) for t in types[:3]]
    return LoopProgram(fn, [*args, np.int32(draw(st.integers(0, N)))])
