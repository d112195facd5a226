"""Reverse mode through `for`, `while` and `if`: against differences, NumPy and forward mode, to order 2, at linear cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from pullback.ir.builder import IRBuilder, new_function
from pullback.ir.control import FOR, IF
from pullback.ir.errors import InvalidArgumentError
from pullback.ir.expand import expand
from pullback.ir.forward import forward
from pullback.ir.graph import Block, Function, Op, Value
from pullback.ir.interpret import Interpreter, interpret
from pullback.ir.opdef import NoGradient, get
from pullback.ir.parser import parse
from pullback.ir.partition import split
from pullback.ir.passes import PassManager
from pullback.ir.printer import print_function
from pullback.ir.quiet import Quiet
from pullback.ir.reverse import reverse
from pullback.ir.reverse_control import vjp_region_op
from pullback.ir.specialise import specialise
from pullback.ir.types import StackType, tensor_type
from pullback.ir.verifier import verify

from .loop_programs import LoopProgram, loop_programs

STEP = 2e-6
RNG = np.random.default_rng(11)
SIMPLIFY = PassManager("canon,cse,dce", verify=True)


def run(fn: Function, args: list[Any]) -> list[Any]:
    with Quiet():
        return interpret(fn, args)


def real(x: Any) -> bool:
    return np.asarray(x).dtype == np.float64


def directions(values: list[Any]) -> list[Any]:
    """A random tangent for each f64 value."""
    return [RNG.uniform(-1, 1, np.shape(v)) for v in values if real(v)]


def dots(a: list[Any], b: list[Any]) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def difference(fn: Function, args: list[Any], ts: list[Any]) -> list[Any]:
    """Directional derivative of all results by central differences."""

    def at(h: float) -> list[Any]:
        it = iter(ts)
        return run(fn, [a + h * next(it) if real(a) else a for a in args])

    return [(hi - lo) / (2 * STEP) for hi, lo in zip(at(STEP), at(-STEP), strict=True)]


def tame(values: list[Any]) -> bool:
    return all(np.all(np.isfinite(v)) and np.max(np.abs(v), initial=0) < 1e3 for v in values)


def close(a: list[Any], b: list[Any], tolerance: float = 1e-12) -> None:
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def run_split(fn: Function, args: list[Any], cts: list[Any]) -> list[Any]:
    """The cotangents through the forward and the backward function."""
    s = split(fn)
    verify(s.forward)
    verify(s.backward)
    made = run(s.forward, args)
    close(made[: len(fn.results)], run(fn, args))
    return run(s.backward, [*(args[i] if kind == "param" else made[i] for kind, i in s.residuals), *cts])


def check(fn: Function, args: list[Any]) -> None:
    """Both modes, order 2, passes and the cut, at one point."""
    verify(fn)
    ys = run(fn, args)
    ts, cts = directions(args), directions(ys)
    jvp, vjp = verify(forward(fn)), verify(reverse(fn))
    forwards, backwards = run(jvp, [*args, *ts])[len(ys) :], run(vjp, [*args, *cts])
    numeric = difference(fn, args, ts)
    if not tame([*forwards, *backwards, *numeric]):
        return
    np.testing.assert_allclose(dots(forwards, cts), dots(numeric, cts), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(dots(backwards, ts), dots(forwards, cts), rtol=1e-9, atol=1e-9)
    simple = SIMPLIFY.run(vjp)
    close(run(simple, [*args, *cts]), backwards)
    close(run_split(fn, args, cts), backwards)
    # Order 2: reverse over reverse against forward over reverse, reverse over forward against forward over forward.
    for once, more in ((vjp, cts), (simple, cts), (jvp, ts)):
        at = [*args, *more]
        first = run(once, at)
        ds, seeds = directions(at), directions(first)
        over = run(verify(forward(once)), [*at, *ds])[len(first) :]
        if not tame(over):
            return
        twice = run(SIMPLIFY.run(verify(reverse(once))), [*at, *seeds])
        np.testing.assert_allclose(dots(twice, ds), dots(over, seeds), rtol=1e-7, atol=1e-7)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(loop_programs())
def test_random_programs_agree_in_both_modes_to_order_two(p: LoopProgram) -> None:
    check(p.fn, p.args)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
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


CHAIN = parse("""
func @f(%x: f64, %c: f64, %lo: i32, %hi: i32, %step: i32) -> f64 {
  %r = for %i in %lo..%hi step %step iter(%a = %x) -> f64 {  # m.py:2
    %f = cast %i {dtype = f64} : f64
    %0 = sin %a : f64
    %1 = mul %0, %c : f64
    %2 = mul %1, %f : f64
    %3 = add %a, %2 : f64
    yield %3
  }
  return %r
}""")


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


NEWTON = parse("""
func @root(%a: f64, %start: f64) -> f64 {
  %x = while iter(%x = %start) -> f64 {
    %0 = mul %x, %x : f64
    %1 = sub %0, %a : f64
    %2 = abs %1 : f64
    %eps = constant 1e-14 : f64
    %go = gt %2, %eps : bool
    yield %go
  } do {
    %3 = div %a, %x : f64
    %4 = add %x, %3 : f64
    %half = constant 0.5 : f64
    %5 = mul %4, %half : f64
    yield %5
  }
  return %x
}""")


@pytest.mark.parametrize("a", [0.25, 2.0, 1e6])
def test_newtons_method_to_convergence(a: float) -> None:
    args = [np.float64(a), np.float64(1.5)]
    back = run(verify(reverse(NEWTON)), [*args, 1.0])
    np.testing.assert_allclose(back[0], 0.5 / np.sqrt(a), rtol=1e-6)  # of x*x = a
    check(NEWTON, [np.float64(2.0), np.float64(1.5)])


def test_a_while_without_trips_passes_cotangents_through() -> None:
    back = run(reverse(NEWTON), [4.0, 2.0, 3.0])
    assert [float(g) for g in back] == [0.0, 3.0]


BRANCH = parse("""
func @f(%x: f64[n], %s: f64) -> f64 {
  %zero = constant 0.0 : f64
  %c = gt %s, %zero : bool
  %r = if %c -> f64 {
    %0 = log %s : f64
    %1 = mul %x, %0 : f64[n]
    %2 = reduce_sum %1 {axes = [0], keepdims = false} : f64
    yield %2
  } else {
    yield %s
  }
  return %r
}""")


def test_the_branch_not_taken_contributes_nothing() -> None:
    x = np.array([1.0, np.inf, np.nan])
    back = run(verify(reverse(BRANCH)), [x, -1.0, 2.0])  # log of a negative number is NaN, 1/0 is inf
    np.testing.assert_array_equal(back[0], np.zeros(3))
    assert back[1] == 2.0
    check(BRANCH, [np.array([1.0, 2.0]), np.float64(0.5)])
    check(BRANCH, [np.array([1.0, 2.0]), np.float64(-0.5)])


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


ROWS = parse("""
func @f(%x: f64[n, 3], %w: f64[3], %h: f64[3]) -> f64[3] {
  %n = dim %x {axis = 0, dtype = i32} : i32
  %r = for %i in 0..%n iter(%a = %h) -> f64[3] {
    %row = slice %x, %i {starts = [none, 0], sizes = [1, 3], strides = [1, 1]} : f64[1, 3]
    %0 = reshape %row {shape = [3]} : f64[3]
    %1 = mul %0, %w : f64[3]
    %2 = mul %a, %1 : f64[3]
    %3 = tanh %2 : f64[3]
    yield %3
  }
  return %r
}""")


def test_rows_are_saved_invariants_and_cheap_values_are_not() -> None:
    back = SIMPLIFY.run(reverse(ROWS))
    # The state and tanh's result; not the row (read again), its product (made again) or the vector w.
    assert carried_types(back)[0] == ["f64[3]", "f64[n, 3]", "f64[n, 3]"]
    assert kinds(back)["pad"] == 0
    assert kinds(back)["add_at"] == 1  # the row's cotangent goes into its slot
    check(ROWS, [RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=3)])


def test_a_loop_over_no_rows_also_after_specialising() -> None:
    args = [np.zeros((0, 3)), np.ones(3), np.full(3, 2.0)]
    expected = [np.zeros((0, 3)), np.zeros(3), np.ones(3)]
    back = reverse(ROWS)
    close(run(back, [*args, np.ones(3)]), expected)
    close(run(verify(specialise(back, {"n": 0})), [*args, np.ones(3)]), expected)
    close(run(verify(reverse(specialise(ROWS, {"n": 0}))), [*args, np.ones(3)]), expected)


def test_what_order_one_saved_serves_order_two() -> None:
    fn = SIMPLIFY.run(reverse(ROWS))
    once = carried_types(fn)[0]
    twice = carried_types(SIMPLIFY.run(reverse(fn)))[0]
    assert twice == once


TRIANGLE = parse("""
func @f(%x: f64[n], %k: i32) -> f64[n] {
  %n = dim %x {axis = 0, dtype = i32} : i32
  %half = constant 0.5 : f64
  %r = for %i in 0..%n iter(%A = %x) -> f64[n] {
    %B = for %j in 0..%i iter(%B = %A) -> f64[n] {
      %p = slice %B, %j {starts = [none], sizes = [1], strides = [1]} : f64[1]
      %q = slice %B, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
      %c0 = reshape %p {shape = []} : f64
      %c = gt %c0, %half : bool
      %v = if %c -> f64[1] {
        %y = for %t in 0..%j iter(%y = %q) -> f64[1] {
          %0 = mul %y, %p : f64[1]
          %1 = sin %0 : f64[1]
          yield %1
        }
        yield %y
      } else {
        %y = exp %p : f64[1]
        %z = mul %y, %q : f64[1]
        yield %z
      }
      %w = tanh %v : f64[1]
      %C = update %B, %w, %i {starts = [none], strides = [1]} : f64[n]
      yield %C
    }
    yield %B
  }
  return %r
}""")


def test_nested_loops_with_bounds_that_depend_on_outer_indices() -> None:
    check(TRIANGLE, [np.array([0.9, 0.3, 0.7, -0.4, 0.6]), np.int32(0)])
    back = SIMPLIFY.run(reverse(TRIANGLE))
    (outer, *_) = (op for op in back.body.ops if op.kind is FOR)
    stacks = [r.type for r in outer.results if isinstance(r.type, StackType)]
    # One stack per saved value serves all trips of all loops; none is on another.
    assert stacks
    assert {str(t) for t in stacks} <= {"stack<f64[1]>", "stack<f64>", "stack<bool>"}


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


WRITES = parse("""
func @f(%x: f64[n]) -> f64[n] {
  %n = dim %x {axis = 0, dtype = i32} : i32
  %one = constant 1 : i32
  %r = for %i in 1..%n iter(%A = %x) -> f64[n] {
    %j = sub %i, %one : i32
    %p = slice %A, %j {starts = [none], sizes = [1], strides = [1]} : f64[1]
    %q = slice %x, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
    %0 = mul %p, %q : f64[1]
    %1 = sin %0 : f64[1]
    %B = update %A, %1, %i {starts = [none], strides = [1]} : f64[n]
    yield %B
  }
  return %r
}""")


@pytest.mark.parametrize("derive", [reverse, lambda f: reverse(SIMPLIFY.run(reverse(f)))])
def test_the_cost_of_a_loop_of_indexed_writes_is_linear(derive: Any) -> None:
    back = SIMPLIFY.run(derive(WRITES))

    def cost(n: int) -> np.ndarray[Any, Any]:
        return np.array(work(back, [np.full([n], 0.5) for _ in back.params], {"n": n}))

    small, middle, large = cost(20), cost(40), cost(80)
    # Exactly linear: twice the trips, twice the further ops and bytes; whole arrays are made outside the loops only.
    np.testing.assert_array_equal(large - middle, 2 * (middle - small))
    check(WRITES, [np.linspace(0.3, 1.2, 5)])


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
    from pullback.ir.control import RegionOp

    class Twice(RegionOp):
        name = "twice"

        def infer(self, attrs: Any, types: Any, regions: Any = ()) -> Any:
            return tuple(types)

    fn, b = new_function("f", [tensor_type("f64")])
    body = Block([], [Op(get("yield"), fn.params)])
    b.ret(b.emit(Twice(), fn.params, {}, [body]))
    for derive in (reverse, forward):
        with pytest.raises(NoGradient, match="op 'twice' has no .*-mode derivative rule"):
            derive(fn)


# ---------------------------------------------------------------- tapes in traces
def copy_open(fn: Function) -> tuple[Function, IRBuilder, list[Value]]:
    """A copy that is still being built, and the values that it would give."""
    new = parse(print_function(fn))
    end = new.body.ops.pop()
    return new, IRBuilder(new.body), end.operands


def region_op(fn: Function) -> Op:
    return next(op for op in fn.body.ops if op.regions)


@pytest.mark.parametrize(
    ("fn", "args"),
    [
        (ROWS, [RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=3)]),
        (TRIANGLE, [np.array([0.9, 0.3, 0.7, -0.4]), np.int32(0)]),
        (BRANCH, [np.array([1.0, 2.0]), np.float64(0.5)]),
        (NEWTON, [np.float64(2.0), np.float64(1.5)]),
    ],
)
def test_a_tape_differentiates_an_op_of_the_block_being_built(fn: Function, args: list[Any]) -> None:
    new, b, results = copy_open(fn)
    op = region_op(new)
    before = list(op.results)
    wanted = [p for p in new.params if p.type.dtype.is_differentiable]
    (y,) = before
    ct = b.full(y.type.shape, 1, y.type.dtype).value
    found = [vjp_region_op(b, op, [ct], wanted) for _ in range(2)]  # a persistent tape asks twice
    assert op.results[0] is y
    b.ret([*results, *found[0], *found[1]])
    got = run(verify(new), args)
    expected = run(reverse(fn), [*args, np.ones_like(run(fn, args)[0])])
    close(got, [run(fn, args)[0], *expected, *expected])
    close(run(SIMPLIFY.run(new), args), got)


def test_a_tape_asked_inside_a_branch_about_a_loop_outside() -> None:
    new, b, (y,) = copy_open(ROWS)
    inside, other = IRBuilder(Block()), IRBuilder(Block())
    ct = inside.full(y.type.shape, 1, y.type.dtype).value
    found = vjp_region_op(inside, region_op(new), [ct], [new.params[1]], home=new.body)
    inside.block.ops.append(Op(get("yield"), [v for v in found if v is not None]))
    other.block.ops.append(Op(get("yield"), [new.params[1]]))
    c = b.gt(b.reduce_sum(y, axes=(0,), keepdims=False), -100.0).value
    b.ret(b.emit(IF, [c], {}, [inside.block, other.block]))
    args = [RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=3)]
    close(run(verify(new), args), [run(reverse(ROWS), [*args, np.ones(3)])[1]])


def test_a_tape_gives_none_for_what_does_not_contribute() -> None:
    new, b, _ = copy_open(NEWTON)
    op = region_op(new)
    assert vjp_region_op(b, op, [None], list(new.params)) == [None, None]
    other, b, _ = copy_open(BRANCH)
    (ct,) = (b.const(1.0, other.params[1].type.dtype).value,)
    unread = b.const(1.0, other.params[1].type.dtype).value
    assert vjp_region_op(b, region_op(other), [ct], [unread]) == [None]
