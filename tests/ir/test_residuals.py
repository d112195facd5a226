"""What the reverse of a loop saves, what it computes again, and that its cost is linear in the trips."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from pullback.ir.control import FOR
from pullback.ir.graph import Function, Op, Value
from pullback.ir.interpret import Interpreter
from pullback.ir.parser import parse
from pullback.ir.partition import split
from pullback.ir.printer import print_function
from pullback.ir.quiet import Quiet
from pullback.ir.reverse import reverse
from pullback.ir.types import StackType

from .loop_checks import CHAIN, RNG, ROWS, SIMPLIFY, TRIANGLE, WRITES, check


def kinds(fn: Function) -> Counter[str]:
    return Counter(op.kind.name for op in fn.body.walk())


def carried_types(fn: Function) -> list[list[str]]:
    """Types of the results of each loop at the top of a function."""
    return [[str(r.type) for r in op.results] for op in fn.body.ops if op.kind is FOR]


def test_a_linear_body_saves_nothing() -> None:
    fn = parse("""
func @f(%x: f64[n], %w: f64[n], %k: i32) -> f64[n] {
  %two = constant 2.0 : f64
  %r = for %i in 0..%k iter(%a = %x) -> f64[n] {
    %0 = mul %a, %two : f64[n]
    %1 = sub %0, %w : f64[n]
    yield %1
  }
  return %r
}""")
    back = SIMPLIFY.run(reverse(fn))
    assert not kinds(back).keys() & {"push", "pop", "update"}
    assert carried_types(back) == [["f64[n]", "f64[n]"]]  # the primal loop is not even run
    check(fn, [np.ones(3), np.arange(3.0), np.int32(4)])


def test_rows_are_saved_invariants_and_cheap_values_are_not() -> None:
    back = SIMPLIFY.run(reverse(ROWS))
    # The state and tanh's result; not the row (read again), its product (made again) or the vector w.
    assert carried_types(back)[0] == ["f64[3]", "f64[n, 3]", "f64[n, 3]"]
    assert kinds(back)["pad"] == 0
    assert kinds(back)["add_at"] == 1  # the row's cotangent goes into its slot
    check(ROWS, [RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=3)])


def test_what_order_one_saved_serves_order_two() -> None:
    fn = SIMPLIFY.run(reverse(ROWS))
    once = carried_types(fn)[0]
    twice = carried_types(SIMPLIFY.run(reverse(fn)))[0]
    assert twice == once


class Counting(Interpreter):
    """Counts the ops that run and the bytes of what they make, slices and writes in place aside."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__(sizes)
        self.ops = self.bytes = 0

    def op(self, op: Op, env: dict[Value, Any]) -> Any:
        results = super().op(op, env)
        self.ops += 1
        if not op.regions and op.kind.name not in ("update", "add_at", "push", "pop"):
            self.bytes += sum(np.asarray(r).nbytes for r in results if isinstance(r, np.ndarray))
        return results


def work(fn: Function, args: list[Any], sizes: dict[str, int]) -> tuple[int, int]:
    counting = Counting(sizes)
    with Quiet():
        counting.block(fn.body, args, {})
    return counting.ops, counting.bytes


@pytest.mark.parametrize("derive", [reverse, lambda f: reverse(SIMPLIFY.run(reverse(f)))])
def test_the_cost_of_a_loop_of_indexed_writes_is_linear(derive: Any) -> None:
    back = SIMPLIFY.run(derive(WRITES))

    def cost(n: int) -> np.ndarray[Any, Any]:
        return np.array(work(back, [np.full([n], 0.5) for _ in back.params], {"n": n}))

    small, middle, large = cost(20), cost(40), cost(80)
    # Exactly linear: twice the trips, twice the further ops and bytes; whole arrays are made outside the loops only.
    np.testing.assert_array_equal(large - middle, 2 * (middle - small))
    check(WRITES, [np.linspace(0.3, 1.2, 5)])


def test_a_cut_without_stacks_runs_the_loop_again() -> None:
    s = split(CHAIN, stacks=False)
    assert not any(isinstance(v.type, StackType) for f in (s.forward, s.backward) for v in (*f.params, *f.results))
    assert kinds(s.forward)["push"] == 0
    assert kinds(s.backward)["for"] == 2
    assert any(isinstance(v.type, StackType) for v in split(CHAIN).forward.results)
    loud = parse(print_function(CHAIN).replace("%0 = sin", 'print %a {segments = ["", ""]}\n    %0 = sin'))
    kept = split(loud, stacks=False)  # printing twice would be wrong
    assert kinds(kept.forward)["push"]
    assert kinds(kept.backward)["print"] == 0


def test_inner_loops_of_varying_length_share_one_stack_per_value() -> None:
    back = SIMPLIFY.run(reverse(TRIANGLE))
    (outer, *_) = (op for op in back.body.ops if op.kind is FOR)
    stacks = [r.type for r in outer.results if isinstance(r.type, StackType)]
    # One stack per saved value serves all trips of all loops; none is on another.
    assert stacks
    assert {str(t) for t in stacks} <= {"stack<f64[1]>", "stack<f64>", "stack<bool>"}


def test_reversed_and_sliced_invariants_are_read_again() -> None:
    fn = parse("""
func @f(%x: f64[3], %w: f64[3], %k: i32) -> f64[3] {
  %r = for %i in 0..%k iter(%a = %x) -> f64[3] {
    %v = reverse %w {axes = [0]} : f64[3]
    %0 = mul %a, %v : f64[3]
    yield %0
  }
  return %r
}""")
    back = SIMPLIFY.run(reverse(fn, [0]))
    assert carried_types(back) == [["f64[3]"]]
    check(fn, [np.ones(3), np.arange(3.0), np.int32(4)])
