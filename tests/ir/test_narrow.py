"""Comparisons that ranges decide: folded in loops with known bounds, kept where they depend."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.narrow import narrow
from pullback.ir.parser import parse
from pullback.ir.verifier import verify


def program(low: int, high: int, compare: str = "lt %m, %zero", index: str = "%m = sub %i, %one : i32") -> Function:
    return parse(f"""
    func @f(%x: f64[8], %n: i32) -> f64[1] {{
      %zero = constant 0 : i32
      %one = constant 1 : i32
      %eight = constant 8 : i32
      %low = constant {low} : i32
      %high = constant {high} : i32
      %z = constant [0.0] : f64[1]
      %r = for %i in %low..%high step %one iter(%a = %z) -> f64[1] {{
        {index}
        %c = {compare} : bool
        %w = add %m, %eight : i32
        %j = where %c, %w, %m : i32
        %u = slice %x, %j {{starts = [none], sizes = [1], strides = [1]}} : f64[1]
        %b = add %a, %u : f64[1]
        yield %b
      }}
      return %r
    }}""")


def names(fn: Function) -> list[str]:
    return [op.kind.name for op in fn.body.walk()]


@pytest.mark.parametrize(
    ("low", "high", "compare", "decided"),
    [
        (1, 8, "lt %m, %zero", True), (0, 8, "lt %m, %zero", False), (1, 9, "ge %m, %zero", True),
        (0, 1, "le %zero, %m", True), (2, 9, "gt %m, %zero", True), (1, 8, "gt %m, %zero", False),
        (1, 8, "lt %m, %n", False),
    ],
)  # fmt: skip
def test_a_choice_goes_where_the_bounds_decide_it(low: int, high: int, compare: str, decided: bool) -> None:
    fn = program(low, high, compare)
    new = narrow(fn)
    verify(new)
    assert ("where" not in names(new)) is decided
    if not compare.startswith(("ge", "le", "gt")):
        x = np.arange(8.0)
        np.testing.assert_array_equal(interpret(new, [x, np.int32(0)])[0], interpret(fn, [x, np.int32(0)])[0])


def test_sums_that_wrap_round_decide_nothing() -> None:
    fn = program(1, 8, index="%top = constant 2147483647 : i32\n%m = add %i, %top : i32")
    assert "where" in names(narrow(fn))


def test_nothing_to_decide_gives_the_function_itself() -> None:
    fn = program(1, 8, "lt %m, %n")
    assert narrow(fn) is fn
