"""Places that cannot meet: proved where they cannot, not claimed where they can; rows made of other rows in place."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from pullback.codegen.fusion import plan
from pullback.codegen.index_map import Dyn, Index, Var, atom
from pullback.codegen.overlap import apart
from pullback.codegen.pipeline import optimise
from pullback.codegen.plan import Kernel, Region
from pullback.ir.builder import new_function
from pullback.ir.dtypes import int32
from pullback.ir.graph import Function, Op
from pullback.ir.parser import parse
from pullback.ir.ranges import Ranges
from pullback.ir.types import TensorType

from .compiled import array, check_function

LOOP = parse("""
func @f(%x: f32[4], %j: i32) -> f32[4] {
  %zero = constant 0 : i32
  %one = constant 1 : i32
  %two = constant 2 : i32
  %nine = constant 9 : i32
  %r = for %i in %one..%nine step %one iter(%a = %x) -> f32[4] {
    %m = sub %i, %one : i32
    %k = add %i, %two : i32
    yield %a
  }
  return %r
}""")


def dyn(name: str, low: int = 0) -> Index:
    """The index held by a scalar of LOOP, as a slot writes it: the checked value and what was taken off."""
    values = {v.name: v for v in (*LOOP.params, *(p for op in LOOP.body.walk() for r in op.regions for p in r.params))}
    values |= {r.name: r for op in LOOP.body.walk() for r in op.results}
    return atom(Dyn(values[name], (), 10, low, LOOP.body.ops[0])).plus(low)


ROW = atom(Var(0, 5))


@pytest.mark.parametrize(
    ("a", "b", "meet"),
    [
        (dyn("i").times(5) + ROW, dyn("m").times(5) + ROW, False),
        (dyn("i").times(5) + ROW, dyn("k", 2).times(5) + ROW, False),
        (dyn("m").times(5) + ROW, dyn("k").times(5) + ROW, False),
        (dyn("i").times(4) + ROW, dyn("m").times(4) + ROW, True),  # rows that overlap by one
        (dyn("i").times(5) + ROW, dyn("j").times(5) + ROW, True),  # nothing is known of j
        (dyn("i").times(5) + ROW, dyn("i").times(5) + ROW, True),
        (dyn("i").times(5) + ROW, dyn("m").times(5) + ROW.times(-1).plus(4), False),
        (ROW, ROW.plus(5), False),
        (ROW, ROW.plus(4), True),
        (ROW.times(2), ROW.times(2).plus(1), True),  # interleaved: true that they never meet, but not proved
    ],
)
def test_positions(a: Index, b: Index, meet: bool) -> None:
    ranges = Ranges(LOOP)
    assert apart(a, b, ranges) is not meet
    assert apart(b, a, ranges) is not meet


def test_what_is_proved_is_true_of_all_small_cases() -> None:
    fn, b = new_function("f", [TensorType(int32)])
    one, by = (b.const(n, int32).value for n in (1, 1))
    assert isinstance(one.owner, Op)
    ranges = Ranges(fn)
    for c, d, n, shift, step in product((-3, -1, 1, 2), (-2, 1, 3), (2, 4), range(-9, 10, 3), (3, 5)):
        i = atom(Dyn(fn.params[0], (), 100, 0, by.owner)).times(step)  # type: ignore[arg-type]
        x, y = i + atom(Var(0, n)).times(c), i + atom(Var(1, 3)).times(d).plus(shift)
        if apart(x, y, ranges):
            assert not {c * p for p in range(n)} & {d * q + shift for q in range(3)}


def rows(write: str, read: str, n: int = 6) -> Function:
    return parse(f"""
    func @f(%x: f64[{n}, 10], %j: i32) -> f64[{n}, 10] {{
      %one = constant 1 : i32
      %end = constant {n} : i32
      %c = constant 0.5 : f64
      %r = for %i in %one..%end step %one iter(%a = %x) -> f64[{n}, 10] {{
        %m = sub %i, %one : i32
        %u = slice %a, {read} {{starts = [none, 0], sizes = [1, 10], strides = [1, 1]}} : f64[1, 10]
        %v = mul %u, %c : f64[1, 10]
        %b = add_at %a, %v, {write} {{starts = [none, 0], strides = [1, 1]}} : f64[{n}, 10]
        yield %b
      }}
      return %r
    }}""")


@pytest.mark.parametrize(
    ("write", "read", "kernels"), [("%i", "%m", 1), ("%m", "%i", 1), ("%i", "%j", 2), ("%j", "%m", 2), ("%i", "%i", 1)]
)
def test_a_row_made_of_another_needs_no_temporary(write: str, read: str, kernels: int) -> None:
    fn = rows(write, read)
    (loop,) = (s for s in plan(optimise(fn)).steps if isinstance(s, Region))
    assert sum(isinstance(s, Kernel) for s in loop.plans[0].steps) == kernels
    for j in range(6):
        args: list[Any] = [array([6, 10], "float64"), np.asarray(j, np.int32)]
        check_function(fn, args)
