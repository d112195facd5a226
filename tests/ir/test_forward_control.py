"""Forward mode through control flow: values by hand; that only what depends on the parameters has tangents."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.ir.control import FOR, IF, WHILE
from pullback.ir.forward import forward, forward_info
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.opdef import OpDef
from pullback.ir.parser import parse
from pullback.ir.passes import PassManager
from pullback.ir.verifier import verify

from .loop_checks import BRANCH, CHAIN, NEWTON, TRIANGLE, difference, directions, dots, run


def results(fn: Function, kind: OpDef) -> list[str]:
    """Types of the results of the first op of a kind."""
    return next([str(r.type) for r in op.results] for op in fn.body.walk() if op.kind is kind)


def test_a_loop_by_hand() -> None:
    x, t = 0.7, 1.0
    for i in range(5, 0, -2):
        x, t = x + 0.3 * i * np.sin(x), t * (1 + 0.3 * i * np.cos(x))
    got = interpret(verify(forward(CHAIN, wrt=[0])), [0.7, 0.3, np.int32(5), np.int32(0), np.int32(-2), 1.0])
    np.testing.assert_allclose(got, [x, t])


def test_newtons_method_by_hand() -> None:
    got = interpret(verify(forward(NEWTON)), [2.0, 1.5, 1.0, 0.0])
    np.testing.assert_allclose(got, [np.sqrt(2), 0.5 / np.sqrt(2)], rtol=1e-6)


def test_only_the_branch_taken_has_a_tangent() -> None:
    x = np.array([np.inf, np.nan])
    assert [float(v) for v in interpret(forward(BRANCH), [x, -1.0, x, 3.0])] == [-1, 3]


def test_nested_control_flow_against_differences() -> None:
    args = [np.array([0.9, 0.3, 0.7, -0.4, 0.6]), np.int32(0)]
    ts = directions(args)
    got = run(forward(TRIANGLE), [*args, *ts])[1:]
    seeds = directions(got)
    np.testing.assert_allclose(dots(got, seeds), dots(difference(TRIANGLE, args, ts), seeds), rtol=1e-6)


MIXED = parse("""
func @f(%x: f64, %y: f64[2], %k: i32) -> (f64, f64[2], i32, f64) {
  %zero = constant 0.0 : f64
  %a, %b, %n, %c = for %i in 0..%k iter(%a = %x, %b = %y, %n = %k, %c = %zero) -> (f64, f64[2], i32, f64) {
    %0 = mul %b, %b : f64[2]
    %1 = add %n, %i : i32
    %2 = add %c, %a : f64
    yield %a, %0, %1, %2
  }
  return %a, %b, %n, %c
}""")


@pytest.mark.parametrize(
    ("wrt", "tangents"), [([0], ["f64", "f64"]), ([1], ["f64[2]"]), ([0, 1], ["f64", "f64[2]", "f64"])]
)
def test_a_loop_carries_tangents_only_where_they_are_not_zero(wrt: list[int], tangents: list[str]) -> None:
    info = forward_info(MIXED, wrt)
    assert results(verify(info.function), FOR)[4:] == tangents
    assert info.connected == (0 in wrt, 1 in wrt, 0 in wrt)


def test_a_tangent_that_enters_after_the_first_trip_starts_as_zeros() -> None:
    ts = interpret(forward(MIXED, wrt=[0]), [2.0, np.ones(2), np.int32(3), 5.0])[4:]
    assert [np.asarray(t).tolist() for t in ts] == [5.0, [0.0, 0.0], 15.0]


def test_control_flow_that_depends_on_nothing_is_copied() -> None:
    fn = parse("""
func @f(%x: f64, %s: f64, %k: i32) -> f64 {
  %one = constant 1.0 : f64
  %c = lt %s, %one : bool
  %r = if %c -> f64 {
    %w = while iter(%w = %s) -> f64 {
      %go = lt %w, %one : bool
      yield %go
    } do {
      %0 = add %w, %one : f64
      yield %0
    }
    yield %w
  } else {
    yield %s
  }
  %y = mul %x, %r : f64
  return %y
}""")
    jvp = verify(forward(fn, wrt=[0]))
    assert results(jvp, IF) == results(jvp, WHILE) == ["f64"]
    assert [float(v) for v in interpret(jvp, [2.0, 0.5, 0, 1.0])] == [3.0, 1.5]
    assert [float(v) for v in interpret(verify(forward(fn)), [2.0, 0.5, 0, 0.0, 1.0])] == [3.0, 2.0]


def test_what_is_not_asked_for_goes() -> None:
    jvp = PassManager("canon,cse,dce", verify=True).run(forward(MIXED, wrt=[1]))
    assert results(jvp, FOR) == ["f64[2]", "i32", "f64", "f64[2]"]  # %a never changes
