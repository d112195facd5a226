"""Checkpointed loops: against the stored gradient, to the bit; against formulas; and how often the body runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pullback.ir.accumulate import Cotangents, varied_values
from pullback.ir.builder import IRBuilder
from pullback.ir.control import FOR, WHILE
from pullback.ir.graph import Block, Function, clone_function
from pullback.ir.opdef import get
from pullback.ir.parser import parse
from pullback.ir.printer import print_function
from pullback.ir.reverse import ReverseBuilder, reverse
from pullback.ir.reverse_checkpoint import measure
from pullback.ir.schedule import repeats
from pullback.ir.verifier import verify

from .loop_checks import CHAIN, NEWTON, ROWS, TRIANGLE, WRITES, check, close, directions, real, run, run_split, tame
from .loop_programs import LoopProgram, loop_programs
from .test_schedule import least


def marked(fn: Function, **attrs: int) -> Function:
    """The function with all its loops to be checkpointed."""
    new = clone_function(fn)
    for op in new.body.walk():
        if op.kind in (FOR, WHILE):
            op.attrs = dict(attrs)
    return new


def gradient(fn: Function, args: list[Any]) -> list[Any]:
    cts = directions(run(fn, args))
    return run(verify(reverse(fn)), [*args, *cts])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([0, 1, 2, 7, 100]), st.integers(1, 20), st.integers(1, 9), st.sampled_from([1, 3, -2]))
def test_any_number_of_trips_and_slots(trips: int, slots: int, segment: int, step: int) -> None:
    x, c = 0.7, 0.002
    dx, dc = 1.0, 0.0
    bounds = (5, 5 + trips * step, step)
    for i in range(*bounds):
        dx, dc = dx * (1 + c * i * np.cos(x)), dc * (1 + c * i * np.cos(x)) + i * np.sin(x)
        x += c * i * np.sin(x)
    args = [0.7, 0.002, *map(np.int32, bounds), 1.0]
    found = run(verify(reverse(marked(CHAIN, slots=slots, segment=segment))), args)
    close(found, [dx, dc], 1e-9)
    np.testing.assert_array_equal(found, run(reverse(CHAIN), args))


@pytest.mark.parametrize("attrs", [{"slots": 1, "segment": 1}, {"slots": 2, "segment": 2}, {"slots": 3, "segment": 1}])
@pytest.mark.parametrize(
    ("fn", "args"),
    [
        (NEWTON, [np.float64(2.0), np.float64(1.5)]),
        (ROWS, [np.linspace(0.1, 2.1, 21).reshape(7, 3), np.ones(3), np.full(3, 0.4)]),
        (TRIANGLE, [np.array([0.9, 0.3, 0.7, -0.4, 0.6]), np.int32(0)]),
        (WRITES, [np.linspace(0.2, 1.4, 7)]),
    ],
)
def test_both_modes_to_order_two(fn: Function, args: list[Any], attrs: dict[str, int]) -> None:
    kept = marked(fn, **attrs)
    check(kept, args)
    np.testing.assert_equal(
        [np.asarray(g) for g in run(reverse(kept), [*args, *map(np.ones_like, run(fn, args))])],
        [np.asarray(g) for g in run(reverse(fn), [*args, *map(np.ones_like, run(fn, args))])],
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(loop_programs(), st.integers(1, 3), st.integers(1, 2))
def test_random_programs(p: LoopProgram, slots: int, segment: int) -> None:
    kept = marked(p.fn, slots=slots, segment=segment)
    assert print_function(parse(print_function(kept))) == print_function(kept)
    cts = directions(run(p.fn, p.args))
    stored = run(reverse(p.fn), [*p.args, *cts])
    if tame(stored):
        close(run(verify(reverse(kept)), [*p.args, *cts]), stored)
        close(run_split(kept, p.args, cts), stored)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(loop_programs())
def test_random_programs_to_order_two(p: LoopProgram) -> None:
    check(marked(p.fn, slots=2, segment=1), p.args)


def count(monkeypatch: pytest.MonkeyPatch, name: str, fn: Function, args: list[Any]) -> int:
    """How often an op runs."""
    seen = [0]
    kind = get(name)
    eager = type(kind).eager

    def counting(attrs: Any, *xs: Any) -> Any:
        seen[0] += 1
        return eager(kind, attrs, *xs)

    with monkeypatch.context() as m:
        m.setattr(kind, "eager", counting, raising=False)
        run(fn, args)
    return seen[0]


@pytest.mark.parametrize("slots", [1, 2, 3, 6, 20])
@pytest.mark.parametrize("segment", [1, 3])
@pytest.mark.parametrize("segments", [1, 2, 9, 30])
def test_the_body_runs_as_often_as_the_best_schedule_asks(
    monkeypatch: pytest.MonkeyPatch, slots: int, segment: int, segments: int
) -> None:
    trips = segments * segment
    args = [0.7, 0.001, np.int32(0), np.int32(trips), np.int32(1), 1.0]
    found = count(monkeypatch, "sin", reverse(marked(CHAIN, slots=slots, segment=segment)), args)
    # Once in the program, which is the schedule's first sweep up to the last segment, and once storing residuals.
    best = trips + (least(segments, slots) - (segments - 1)) * segment + trips
    # The program's own run goes on to the end: what lies between the last kept state and the last segment runs again.
    assert best <= found <= best + repeats(segments, slots) * segment


def test_a_while_starts_from_its_first_state(monkeypatch: pytest.MonkeyPatch) -> None:
    args = [np.float64(2.0), np.float64(1e5), 1.0]
    trips = count(monkeypatch, "div", NEWTON, args[:2])
    assert trips > 15
    for slots in (1, 2, 5):
        back = reverse(marked(NEWTON, slots=slots, segment=1))
        # A division also in the derivative of one, twice.
        found = count(monkeypatch, "div", back, args)
        plain = count(monkeypatch, "div", reverse(NEWTON), args)
        assert found - plain == least(trips, slots) + trips


HISTORY = parse("""
func @f(%x: f64[3], %ys: f64[50, 3]) -> (f64[3], f64[50, 3], f64) {
  %zero = constant 0.0 : f64
  %a, %h, %s = for %i in 0..50 iter(%a = %x, %h = %ys, %s = %zero) -> (f64[3], f64[50, 3], f64) {
    %b = sin %a : f64[3]
    %row = reshape %b {shape = [1, 3]} : f64[1, 3]
    %g = update %h, %row, %i {starts = [none, 0], strides = [1, 1]} : f64[50, 3]
    %0 = reduce_sum %b {axes = [0], keepdims = false} : f64
    %t = add %s, %0 : f64
    yield %b, %g, %t
  }
  return %a, %h, %s
}""")


def test_a_state_is_what_the_residuals_depend_on() -> None:
    fn = clone_function(HISTORY)
    loop = fn.body.ops[-2]
    b = ReverseBuilder(Block())
    b.derived = {}
    outer = Cotangents(b, varied_values(fn.body.ops[:-1], fn.params), fn.body)
    cts = [IRBuilder(Block()).expr(r) for r in loop.results]
    needs = measure(outer, loop, cts)
    assert needs is not None
    assert needs.state == [0]  # neither the history, which is only written, nor the sum
    assert (needs.state_bytes, needs.step_bytes) == (24, 24)
    check(marked(HISTORY, slots=3, segment=2), [np.full(3, 0.5), np.zeros((50, 3))])


def test_effects_are_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    text = print_function(marked(CHAIN, slots=2, segment=1))
    fn = parse(text.replace("%0 = sin", 'print %i {segments = ["i = ", "\\n"]}\n%0 = sin'))
    run(verify(reverse(fn)), [0.7, 0.1, np.int32(0), np.int32(6), np.int32(1), 1.0])
    assert capsys.readouterr().out.split() == [w for i in range(6) for w in ("i", "=", str(i))]


LINEAR = parse("""
func @f(%x: f64, %c: f64) -> f64 {
  %r = for %i in 0..1000 iter(%a = %x) -> f64 checkpoint {slots = 3, segment = 1} {
    %0 = mul %a, %c : f64
    yield %a
  }
  %s = for %i in 0..1000 iter(%a = %r) -> f64 checkpoint {slots = 3, segment = 1} {
    %0 = add %a, %c : f64
    yield %0
  }
  return %s
}""")


def test_a_loop_that_stores_nothing_is_left_as_it_is() -> None:
    back = reverse(LINEAR)
    assert not any(op.kind is WHILE for op in back.body.walk())
    np.testing.assert_array_equal(run(back, [0.5, 2.0, 1.0]), [1.0, 1000.0])


DEEP = parse("""
func @f(%x: f64[4]) -> f64[4] {
  %r = for %i in 0..3 iter(%a = %x) -> f64[4] {
    %s = for %j in 0..60 iter(%b = %a) -> f64[4] {
      %0 = sin %b : f64[4]
      yield %0
    }
    yield %s
  }
  return %r
}""")


@pytest.mark.parametrize("attrs", [{"slots": 4}, {"bytes": 700}])
def test_the_long_loop_in_a_short_one(attrs: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pullback.ir.schedule.CACHED", 0)
    x = np.linspace(0.1, 1.0, 4)
    back = verify(reverse(marked(DEEP, **attrs)))
    # Three nested loops deep: the inner loop goes over segments and their trips.
    assert any(op.kind is WHILE for op in back.body.walk())
    largest = max(int(str(v.type.size)) for op in back.body.walk() for v in op.results)
    assert largest * 8 < 60 * 4 * 8
    np.testing.assert_array_equal(run(back, [x, np.ones(4)])[0], run(reverse(DEEP), [x, np.ones(4)])[0])


def test_texts() -> None:
    text = print_function(marked(NEWTON, bytes=1000))
    assert "while iter(%x_1 = %start) -> f64 checkpoint {bytes = 1000} {" in text
    assert print_function(parse(text)) == text
    assert real(1.0)
