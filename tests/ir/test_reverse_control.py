"""Reverse mode through `for`, `while`, `if`: against differences, NumPy and forward mode, to order 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pullback.ir.builder import new_function
from pullback.ir.control import RegionOp
from pullback.ir.errors import InvalidArgumentError
from pullback.ir.expand import expand
from pullback.ir.forward import forward
from pullback.ir.graph import Block, Op
from pullback.ir.interpret import interpret
from pullback.ir.opdef import NoGradient, get
from pullback.ir.parser import parse
from pullback.ir.passes import PassManager
from pullback.ir.printer import print_function
from pullback.ir.reverse import reverse
from pullback.ir.specialise import specialise
from pullback.ir.types import tensor_type
from pullback.ir.verifier import verify

from .loop_checks import (
    BRANCH,
    CHAIN,
    NEWTON,
    ROWS,
    SIMPLIFY,
    TRIANGLE,
    check,
    close,
    directions,
    dots,
    real,
    run,
    tame,
)
from .loop_programs import LoopProgram, loop_programs


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(loop_programs())
def test_random_programs_agree_in_both_modes_to_order_two(p: LoopProgram) -> None:
    check(p.fn, p.args)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(loop_programs())
def test_passes_keep_programs_with_control_flow(p: LoopProgram) -> None:
    ys = run(p.fn, p.args)
    assert print_function(parse(print_function(p.fn))) == print_function(p.fn)
    sized = specialise(p.fn, {"n": 3}) if not p.fn.is_static else p.fn
    for fn in (SIMPLIFY.run(p.fn), SIMPLIFY.run(verify(sized)), verify(expand(p.fn))):
        for a, b in zip(run(fn, p.args), ys, strict=True):
            np.testing.assert_array_equal(a, b)
    cts = directions(ys)
    vjp = reverse(p.fn)
    sized = specialise(vjp, {"n": 3}) if not vjp.is_static else vjp
    expected = run(vjp, [*p.args, *cts])
    assume(tame(expected))
    close(run(SIMPLIFY.run(verify(sized)), [*p.args, *cts]), expected)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(loop_programs(), st.data())
def test_chosen_parameters_and_results_twice(p: LoopProgram, data: st.DataObject) -> None:
    def some(numbers: list[int]) -> list[int]:
        return data.draw(st.lists(st.sampled_from(numbers), min_size=1, unique=True))

    fn, args, ys = p.fn, p.args, run(p.fn, p.args)
    wrt, outputs = some([0, 1, 2]), some(list(range(len(ys))))
    vjp = verify(reverse(fn, wrt=wrt, outputs=outputs))
    cts = directions([ys[i] for i in outputs])
    every = [cts[outputs.index(i)] if i in outputs else np.zeros_like(y) for i, y in enumerate(ys)]
    back, full = run(vjp, [*args, *cts]), run(reverse(fn), [*args, *every])
    assume(tame(back))
    close(back, [full[i] for i in wrt], 1e-10)
    at = [*args, *cts]
    wrt, outputs = some([i for i, x in enumerate(at) if real(x)]), some(list(range(len(back))))
    ds, seeds = directions([at[i] for i in wrt]), directions([back[i] for i in outputs])
    twice = run(verify(reverse(vjp, wrt=wrt, outputs=outputs)), [*at, *seeds])
    over = run(verify(forward(vjp, wrt=wrt)), [*at, *ds])[len(back) :]
    assume(tame(over))
    np.testing.assert_allclose(dots(twice, ds), dots([over[i] for i in outputs], seeds), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("bounds", [(0, 5, 1), (2, 9, 3), (3, 3, 1), (7, 3, 1), (5, 0, -2), (0, 5, -1), (4, -1, -1)])
def test_bounds_and_steps_of_any_sign(bounds: tuple[int, int, int]) -> None:
    x, c = 0.7, 0.3
    dx, dc = 1.0, 0.0
    for i in range(*bounds):
        dx, dc = dx * (1 + c * i * np.cos(x)), dc * (1 + c * i * np.cos(x)) + i * np.sin(x)
        x += c * i * np.sin(x)
    args = [0.7, 0.3, *map(np.int32, bounds)]
    close(run(reverse(CHAIN), [*args, 1.0]), [dx, dc])
    text = print_function(CHAIN).replace(", %lo: i32, %hi: i32, %step: i32", "")
    for name, bound in zip(("%lo", "%hi", "%step"), bounds, strict=True):
        text = text.replace(name, str(bound))
    fixed = parse(text)
    close(run(verify(reverse(fixed)), [0.7, 0.3, 1.0]), [dx, dc])
    check(fixed, [np.float64(0.7), np.float64(0.3)])


def test_a_step_of_zero_stays_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="the step is zero") as e:
        interpret(SIMPLIFY.run(reverse(CHAIN)), [0.7, 0.3, np.int32(0), np.int32(4), np.int32(0), 1.0])
    assert e.value.__notes__ == ["at m.py:2"]


@pytest.mark.parametrize("a", [0.25, 2.0, 1e6])
def test_newtons_method_to_convergence(a: float) -> None:
    args = [np.float64(a), np.float64(1.5)]
    back = run(verify(reverse(NEWTON)), [*args, 1.0])
    np.testing.assert_allclose(back[0], 0.5 / np.sqrt(a), rtol=1e-6)  # of x*x = a
    check(NEWTON, [np.float64(2.0), np.float64(1.5)])


def test_a_while_without_trips_passes_cotangents_through() -> None:
    back = run(reverse(NEWTON), [4.0, 2.0, 3.0])
    assert [float(g) for g in back] == [0.0, 3.0]


def test_the_branch_not_taken_contributes_nothing() -> None:
    x = np.array([1.0, np.inf, np.nan])
    back = run(verify(reverse(BRANCH)), [x, -1.0, 2.0])  # log of a negative number is NaN, 1/0 is inf
    np.testing.assert_array_equal(back[0], np.zeros(3))
    assert back[1] == 2.0
    check(BRANCH, [np.array([1.0, 2.0]), np.float64(0.5)])
    check(BRANCH, [np.array([1.0, 2.0]), np.float64(-0.5)])


CALLS = parse("""
func @f(%x: f64, %k: i32) -> f64 {
  %r = for %i in 0..%k iter(%a = %x) -> f64 {
    %y = call @g(%a, %x) : f64
    yield %y
  }
  return %r
}
func @g(%a: f64, %b: f64) -> f64 {
  %one = constant 1.0 : f64
  %c = lt %a, %one : bool
  %r = if %c -> f64 {
    %0 = exp %a : f64
    yield %0
  } else {
    %0 = sin %a : f64
    %1 = mul %0, %b : f64
    yield %1
  }
  return %r
}""")


def test_calls_in_loops_and_control_flow_in_callees() -> None:
    for k in (0, 1, 4):
        check(CALLS, [np.float64(0.4), np.int32(k)])
        check(PassManager("inline").run(CALLS), [np.float64(0.4), np.int32(k)])
    assert [g.name for g in reverse(CALLS).callees()] == ["g", "g_vjp"]


def test_effects_run_once(capsys: pytest.CaptureFixture[str]) -> None:
    text = print_function(BRANCH).replace("%0 = log", 'print %s {segments = ["s = ", "\\n"]}\n%0 = log')
    fn = parse(text)
    run(verify(reverse(fn)), [np.ones(2), 2.0, 1.0])
    assert capsys.readouterr().out == "s = 2\n"


def test_an_unknown_region_op_has_no_rule() -> None:
    class Twice(RegionOp):
        name = "twice"

        def infer(self, attrs: Any, types: Any, regions: Any = ()) -> Any:
            return tuple(types)

    fn, b = new_function("f", [tensor_type("f64")])
    body = Block([], [Op(get("yield"), fn.params)])
    b.ret(b.emit(Twice(), fn.params, {}, [body]))
    for derive in (reverse, forward):
        with pytest.raises(NoGradient, match=r"op 'twice' has no .*-mode derivative rule"):
            derive(fn)


def test_nested_loops_with_bounds_that_depend_on_outer_indices() -> None:
    check(TRIANGLE, [np.array([0.9, 0.3, 0.7, -0.4, 0.6]), np.int32(0)])


def test_a_loop_over_no_rows_also_after_specialising() -> None:
    args = [np.zeros((0, 3)), np.ones(3), np.full(3, 2.0)]
    expected = [np.zeros((0, 3)), np.zeros(3), np.ones(3)]
    back = reverse(ROWS)
    close(run(back, [*args, np.ones(3)]), expected)
    close(run(verify(specialise(back, {"n": 0})), [*args, np.ones(3)]), expected)
    close(run(verify(reverse(specialise(ROWS, {"n": 0}))), [*args, np.ones(3)]), expected)
