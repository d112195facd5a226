"""Stacks of known depth as arrays: which are found, and that the results are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.types import StackType
from pullback.ir.unstack import unstack
from pullback.ir.verifier import verify

TEXT = """
func @f(%x: f64[3], %m: i32) -> (f64[3], f64[3]) {{
  %zero = constant 0 : i32
  %one = constant 1 : i32
  %n = constant 6 : i32
  %five = constant 5 : i32
  %down = constant -1 : i32
  %k = stack_new {{dtype = f64, shape = [3]}} : stack<f64[3]>
  %r, %s = for %i in %zero..{high} step %one iter(%a = %x, %b = %k) -> (f64[3], stack<f64[3]>) {{
    %p = push %b, %a : stack<f64[3]>
    {push}
    %t = mul %a, %a : f64[3]
    yield %t, {pushed}
  }}
  %g, %e = for %i in {first}..%down step %down iter(%c = %r, %d = %s) -> (f64[3], stack<f64[3]>) {{
    %q, %v = pop %d : (stack<f64[3]>, f64[3])
    %w = mul %c, %v : f64[3]
    yield %w, %q
  }}
  return %r, %g
}}"""
GOOD = {"high": "%n", "push": "", "pushed": "%p", "first": "%five"}


def stacks(fn: Function) -> int:
    return sum(isinstance(r.type, StackType) for op in fn.body.walk() for r in op.results)


def run(fn: Function, *args: Any) -> list[Any]:
    return [np.asarray(r) for r in interpret(fn, args)]


def test_a_stack_filled_by_one_loop_and_emptied_by_another_is_an_array() -> None:
    fn = parse(TEXT.format(**GOOD))
    new = unstack(fn)
    verify(new)
    assert stacks(fn)
    assert not stacks(new)
    x = np.array([0.9, 1.1, -0.7])
    for got, want in zip(run(new, x, np.int32(6)), run(fn, x, np.int32(6)), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "change",
    [
        {"high": "%m"},  # trips not known
        {"first": "%zero"},  # not all are popped
        {"push": "%p2 = push %p, %a : stack<f64[3]>", "pushed": "%p2"},  # two in a trip
    ],
)
def test_other_stacks_stay(change: dict[str, str]) -> None:
    fn = parse(TEXT.format(**{**GOOD, **change}))
    new = unstack(fn)
    verify(new)
    assert stacks(new) == stacks(fn)


def test_a_stack_that_somebody_else_reads_stays() -> None:
    last = "%e2, %last = pop %e : (stack<f64[3]>, f64[3])\n  return %r, %last"
    fn = parse(TEXT.format(**GOOD).replace("return %r, %g", last))
    assert stacks(unstack(fn)) == stacks(fn)


@pytest.mark.parametrize("fill", ["%zero..%n step %one", "%five..%down step %down"])
@pytest.mark.parametrize("empty", ["%zero..%n step %one", "%five..%down step %down"])
def test_loops_may_run_either_way(fill: str, empty: str) -> None:
    text = TEXT.format(**GOOD).replace("%five..%down step %down", empty).replace("%zero..%n step %one", fill, 1)
    fn = parse(text)
    new = unstack(fn)
    verify(new)
    assert not stacks(new)
    x = np.array([0.9, 1.1, -0.7])
    for got, want in zip(run(new, x, np.int32(6)), run(fn, x, np.int32(6)), strict=True):
        np.testing.assert_array_equal(got, want)
