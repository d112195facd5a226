"""Elementwise work in the order of dimensions in which the fixed things lie: the same values, fewer crossings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.ir import orders
from pullback.ir.builder import new_function
from pullback.ir.dims import symbol
from pullback.ir.dtypes import float64
from pullback.ir.graph import Function, Value
from pullback.ir.interpret import interpret
from pullback.ir.opdef import get
from pullback.ir.parser import parse
from pullback.ir.sink_transposes import sink_transposes
from pullback.ir.types import TensorType
from pullback.ir.verifier import verify

BETWEEN_PRODUCTS = """
func @f(%t: f64[25, 10, 10], %x: f64[300, 10], %mean: f64[25, 10], %scale: f64[25, 10]) -> (f64[300], f64[25, 10]) {
  %0 = reshape %x {shape = [300, 1, 10]} : f64[300, 1, 10]
  %1 = sub %0, %mean : f64[300, 25, 10]
  %2 = mul %scale, %1 : f64[300, 25, 10]
  %3 = transpose %1 {perm = [1, 2, 0]} : f64[25, 10, 300]
  %4 = matmul %t, %3 {transpose_a = false, transpose_b = false} : f64[25, 10, 300]
  %5 = transpose %4 {perm = [2, 0, 1]} : f64[300, 25, 10]
  %6 = add %2, %5 : f64[300, 25, 10]
  %7 = reduce_sum %6 {axes = [2], keepdims = false} : f64[300, 25]
  %8 = abs %7 : f64[300, 25]
  %9 = reduce_max %8 {axes = [1], keepdims = false} : f64[300]
  %10 = reshape %8 {shape = [300, 25, 1]} : f64[300, 25, 1]
  %11 = mul %10, %6 : f64[300, 25, 10]
  %12 = reduce_sum %11 {axes = [0], keepdims = false} : f64[25, 10]
  return %9, %12
}
"""
# The products' order everywhere: only what is small is turned.
IN_ORDER = """\
func @f(%t: f64[25, 10, 10], %x: f64[300, 10], %mean: f64[25, 10], %scale: f64[25, 10]) -> (f64[300], f64[25, 10]) {
  %0 = transpose %x {perm = [1, 0]} : f64[10, 300]
  %1 = reshape %0 {shape = [1, 10, 300]} : f64[1, 10, 300]
  %2 = reshape %mean {shape = [25, 10, 1]} : f64[25, 10, 1]
  %3 = sub %1, %2 : f64[25, 10, 300]
  %4 = reshape %scale {shape = [25, 10, 1]} : f64[25, 10, 1]
  %5 = mul %4, %3 : f64[25, 10, 300]
  %6 = matmul %t, %3 {transpose_a = false, transpose_b = false} : f64[25, 10, 300]
  %7 = add %5, %6 : f64[25, 10, 300]
  %8 = reduce_sum %7 {axes = [1], keepdims = false} : f64[25, 300]
  %9 = abs %8 : f64[25, 300]
  %10 = reduce_max %9 {axes = [0], keepdims = false} : f64[300]
  %11 = reshape %9 {shape = [25, 1, 300]} : f64[25, 1, 300]
  %12 = mul %11, %7 : f64[25, 10, 300]
  %13 = reduce_sum %12 {axes = [2], keepdims = false} : f64[25, 10]
  return %10, %13
}
"""


def arguments(fn: Function, seed: int = 0) -> list[Any]:
    """Small whole numbers: their sums are exact in any order."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-2, 3, [int(n) for n in p.type.shape]).astype(p.type.dtype.np) for p in fn.params]


def same_results(fn: Function, new: Function) -> None:
    verify(new)
    assert new.result_types == fn.result_types
    xs = arguments(fn)
    for found, expected in zip(interpret(new, xs), interpret(fn, xs), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_work_between_products_is_done_in_their_order() -> None:
    fn = parse(BETWEEN_PRODUCTS)
    before = str(fn)
    new = sink_transposes(fn)
    assert str(new) == IN_ORDER
    assert str(fn) == before
    same_results(fn, new)


def body(text: str, params: str, results: str) -> str:
    return f"func @f({params}) -> {results} {{\n{text}\n}}\n"


@pytest.mark.parametrize(
    "text",
    [
        BETWEEN_PRODUCTS.replace("300", "3"),  # too little for a change
        # As much would be crossed at the result as is crossed at the argument.
        body(
            "%0 = transpose %a {perm = [1, 0]} : f64[80, 90]\n%1 = exp %0 : f64[80, 90]\nreturn %1",
            "%a: f64[90, 80]", "f64[80, 90]",
        ),
        # One operand lies one way, the other the other way.
        body(
            "%0 = transpose %a {perm = [1, 0]} : f64[80, 90]\n%1 = mul %0, %b : f64[80, 90]\n"
            "%2 = reduce_sum %1 {axes = [0, 1], keepdims = false} : f64\nreturn %2",
            "%a: f64[90, 80], %b: f64[80, 90]", "f64",
        ),
        # No elementwise work at all.
        body("%0 = transpose %a {perm = [1, 0]} : f64[80, 90]\nreturn %0", "%a: f64[90, 80]", "f64[80, 90]"),
        # A product takes a transposed matrix as it is.
        body(
            "%0 = exp %a : f64[90, 80]\n%1 = transpose %0 {perm = [1, 0]} : f64[80, 90]\n"
            "%2 = matmul %1, %a {transpose_a = false, transpose_b = false} : f64[80, 80]\nreturn %2",
            "%a: f64[90, 80]", "f64[80, 80]",
        ),
        # Rows stay rows.
        body(
            "%0 = transpose %a {perm = [1, 0, 2]} : f64[20, 30, 9]\n%1 = exp %0 : f64[20, 30, 9]\n"
            "%2 = mul %1, %1 : f64[20, 30, 9]\nreturn %2",
            "%a: f64[30, 20, 9]", "f64[20, 30, 9]",
        ),
    ],
)  # fmt: skip
def test_nothing_changes_without_a_gain(text: str) -> None:
    fn = parse(text)
    assert sink_transposes(fn) is fn


def distances(particles: int, across: str) -> Function:
    n = particles
    return parse(body(
        f"%0 = reshape %x {{shape = [{n}, 1, 3]}} : f64[{n}, 1, 3]\n%1 = sub %0, %x : f64[{n}, {n}, 3]\n"
        f"%2 = mul %1, %1 : f64[{n}, {n}, 3]\n{across}",
        f"%x: f64[{n}, 3]", f"f64[{n}, {n}{', 3' if 'reduce' not in across else ''}]",
    ))  # fmt: skip


def test_a_short_innermost_dimension_gives_way() -> None:
    """No loop over three coordinates inside, where all that is large is made here."""
    fn = distances(60, "%3 = reduce_sum %2 {axes = [2], keepdims = false} : f64[60, 60]\nreturn %3")
    new = sink_transposes(fn)
    assert "mul %3, %3 : f64[3, 60, 60]" in str(new)
    assert "reduce_sum %4 {axes = [0], keepdims = false} : f64[60, 60]" in str(new)
    same_results(fn, new)
    few = distances(9, "%3 = reduce_sum %2 {axes = [2], keepdims = false} : f64[9, 9]\nreturn %3")
    assert sink_transposes(few) is few
    stored = distances(60, "return %2")  # which has to lie as it does
    assert sink_transposes(stored) is stored


def test_two_transposed_operands_and_one_reduction() -> None:
    fn = parse(body(
        "%0 = transpose %a {perm = [1, 0]} : f64[80, 90]\n%1 = transpose %b {perm = [1, 0]} : f64[80, 90]\n"
        "%2 = mul %0, %1 : f64[80, 90]\n%3 = reduce_max %2 {axes = [0], keepdims = true} : f64[1, 90]\nreturn %3",
        "%a: f64[90, 80], %b: f64[90, 80]", "f64[1, 90]",
    ))  # fmt: skip
    new = sink_transposes(fn)
    text = str(new)
    assert "transpose" not in text
    assert "reduce_max %0 {axes = [1], keepdims = true} : f64[90, 1]" in text
    same_results(fn, new)


def test_slices_pads_and_reversals_go_along() -> None:
    fn = parse(body(
        "%0 = transpose %a {perm = [2, 0, 1]} : f64[10, 40, 50]\n%1 = exp %0 : f64[10, 40, 50]\n"
        "%2 = slice %1 {starts = [1, 2, 3], sizes = [8, 30, 20], strides = [1, 1, 2]} : f64[8, 30, 20]\n"
        "%3 = neg %2 : f64[8, 30, 20]\n%4 = reverse %3 {axes = [0, 1]} : f64[8, 30, 20]\n"
        "%5 = pad %4 {low = [2, 10, 30], high = [0, 0, 0]} : f64[10, 40, 50]\n%6 = add %5, %0 : f64[10, 40, 50]\n"
        "%7 = transpose %6 {perm = [1, 2, 0]} : f64[40, 50, 10]\nreturn %7",
        "%a: f64[40, 50, 10]", "f64[40, 50, 10]",
    ))  # fmt: skip
    new = sink_transposes(fn)
    text = str(new)
    assert "transpose" not in text
    assert "starts = [2, 3, 1], sizes = [30, 20, 8], strides = [1, 2, 1]" in text
    assert "reverse %2 {axes = [0, 2]}" in text
    assert "low = [10, 30, 2]" in text
    same_results(fn, new)


def test_what_loops_read_is_as_it_was() -> None:
    """Regions see values of the blocks round them with the dimensions that they had."""
    fn = parse("""
func @f(%a: f64[90, 80], %b: f64[90, 80]) -> (f64[80, 90], f64) {
  %0 = transpose %a {perm = [1, 0]} : f64[80, 90]
  %1 = transpose %b {perm = [1, 0]} : f64[80, 90]
  %2 = mul %0, %1 : f64[80, 90]
  %3 = reduce_sum %2 {axes = [0, 1], keepdims = false} : f64
  %4 = neg %2 : f64[80, 90]
  %start = broadcast_to %3 {shape = [80, 90]} : f64[80, 90]
  %5 = for %i in 0..2 iter(%s = %start) -> f64[80, 90] {
    %6 = add %s, %4 : f64[80, 90]
    %7 = transpose %6 {perm = [1, 0]} : f64[90, 80]
    %8 = mul %7, %a : f64[90, 80]
    %9 = sub %8, %b : f64[90, 80]
    %10 = transpose %9 {perm = [1, 0]} : f64[80, 90]
    yield %10
  }
  return %5, %3
}
""")
    new = sink_transposes(fn)
    *before, loop = (op.kind.name for op in new.body.ops if op.kind.name in ("transpose", "for"))
    assert loop == "for"
    assert before == ["transpose"]  # of what the loop reads, once, outside of it
    same_results(fn, new)


def test_unknown_sizes_are_left_alone() -> None:
    n = symbol("n")
    fn, b = new_function("f", [TensorType(float64, (n, 100)), TensorType(float64, (n, 100))])
    x, y = (b.transpose(b.expr(p), perm=(1, 0)) for p in fn.params)
    b.ret([b.reduce_sum(x * y, axes=(0,), keepdims=False)])
    same_text = str(fn)
    assert str(sink_transposes(fn)) == same_text


# ---------------------------------------------------------------- random programs

SIZES = (1, 2, 3, 4)


class Maker:
    """Draws a program whose values are arrays of up to four dimensions, of sizes that often agree."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.products = draw, 0
        shapes = draw(st.lists(st.lists(st.sampled_from(SIZES), min_size=2, max_size=4), min_size=1, max_size=3))
        self.fn, self.b = new_function("f", [TensorType(float64, tuple(s)) for s in shapes])
        self.values: list[Value] = list(self.fn.params)

    def one(self, values: Any) -> Any:
        return self.draw(st.sampled_from(list(values)))

    def emit(self, name: str, *xs: Value, **attrs: Any) -> None:
        self.values.append(self.b.emit(get(name), xs, attrs)[0])

    def program(self) -> Function:
        for _ in range(self.draw(st.integers(3, 14))):
            x = self.one(self.values)
            getattr(self, self.one(["unary", "binary", "binary", "transpose", "transpose", "reduce", "spread",
                                    "units", "part", "product"]))(x)  # fmt: skip
        self.b.emit(get("return"), self.draw(st.lists(st.sampled_from(self.values), min_size=1, max_size=3)))
        return self.fn

    def unary(self, x: Value) -> None:
        self.emit(self.one(["neg", "abs", "identity", "relu"]), x)

    def binary(self, x: Value) -> None:
        fits = [v for v in self.values if self._fit(x.type.shape, v.type.shape)]
        y = self.one(fits)
        self.emit(self.one(["add", "sub", "maximum"]), *self.draw(st.permutations([x, y])))

    @staticmethod
    def _fit(a: Any, b: Any) -> bool:
        return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))

    def transpose(self, x: Value) -> None:
        self.emit("transpose", x, perm=tuple(self.draw(st.permutations(range(x.type.rank)))))

    def reduce(self, x: Value) -> None:
        axes = tuple(d for d in range(x.type.rank) if self.draw(st.booleans()))
        name = self.one(["reduce_sum", "reduce_max", "reduce_min"])
        self.emit(name, x, axes=axes, keepdims=self.draw(st.booleans()))

    def spread(self, x: Value) -> None:
        lead = self.one([(), (2,), (3, 1)]) if x.type.rank < 3 else ()
        shape = tuple(self.one(SIZES) if n == 1 else n for n in x.type.shape)
        self.emit("broadcast_to", x, shape=(*lead, *shape))

    def units(self, x: Value) -> None:
        shape = [n for n in x.type.shape if n != 1]
        for _ in range(self.draw(st.integers(0, 2)) if len(shape) < 3 else 0):
            shape.insert(self.draw(st.integers(0, len(shape))), 1)
        self.emit("reshape", x, shape=tuple(shape))

    def part(self, x: Value) -> None:
        rank, which = x.type.rank, self.one(["slice", "pad", "reverse"])
        if which == "reverse":
            self.emit("reverse", x, axes=tuple(d for d in range(rank) if self.draw(st.booleans())))
        elif which == "pad":
            low = [self.draw(st.integers(0, 1)) for _ in range(rank)]
            if all(n + k <= max(SIZES) for n, k in zip(x.type.shape, low, strict=True)):
                self.emit("pad", x, low=tuple(low), high=(0,) * rank)
        else:
            starts = tuple(self.draw(st.integers(0, n - 1)) for n in x.type.shape)
            sizes = tuple(n - k for n, k in zip(x.type.shape, starts, strict=True))
            self.emit("slice", x, starts=starts, sizes=sizes, strides=(1,) * rank)

    def product(self, x: Value) -> None:
        if x.type.rank >= 2 and self.products < 3:  # more would make numbers that are not exact
            self.products += 1
            fits = [v for v in self.values if v.type.rank == x.type.rank and v.type.shape[:-1] == x.type.shape[:-1]]
            self.emit("matmul", x, self.one(fits), transpose_a=True, transpose_b=False)


@st.composite
def programs(draw: st.DrawFn) -> Function:
    return Maker(draw).program()


@settings(max_examples=300, deadline=None)
@given(programs())
def test_random_programs_keep_their_values(fn: Function) -> None:
    before = orders.LEAST
    orders.LEAST = 0
    try:
        new = sink_transposes(fn)
    finally:
        orders.LEAST = before
    same_results(fn, new)


@settings(max_examples=100, deadline=None)
@given(programs(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_values(fn: Function, random: Any) -> None:
    """Whatever orders are chosen: the writing does not rely on how well they are."""

    def choose(self: orders.Orders) -> bool:
        for g in dict.fromkeys(self.groups.values()):
            order = list(g.order)
            random.shuffle(order)
            g.order = tuple(order)
        return True

    before = orders.Orders.choose
    orders.Orders.choose = choose  # type: ignore[method-assign]
    try:
        new = sink_transposes(fn)
    finally:
        orders.Orders.choose = before  # type: ignore[method-assign]
    same_results(fn, new)
