"""Reverse and forward mode: against finite differences, against each other, to order 2; and the cut in two parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings

from pullback.ir import ops
from pullback.ir.builder import new_function
from pullback.ir.errors import TypeMismatch
from pullback.ir.forward import forward, forward_info
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.opdef import OpDef, get
from pullback.ir.parser import parse
from pullback.ir.partition import Split, split
from pullback.ir.passes import PassManager
from pullback.ir.printer import print_function
from pullback.ir.quiet import Quiet
from pullback.ir.reverse import reverse, reverse_info
from pullback.ir.types import tensor_type, type_of_array
from pullback.ir.verifier import verify

from .op_samples import SAMPLES
from .programs import Program, programs

STEP = 2e-6
RNG = np.random.default_rng(5)


def run(fn: Function, args: list[Any]) -> list[Any]:
    with Quiet():
        return interpret(fn, args)


def directions(values: list[Any]) -> list[Any]:
    """A random tangent for each f64 value."""
    return [RNG.uniform(-1, 1, np.shape(v)) for v in values if np.asarray(v).dtype == np.float64]


def dots(a: list[Any], b: list[Any]) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def moved(args: list[Any], ts: list[Any], h: float) -> list[Any]:
    """Arguments moved along tangents."""
    it = iter(ts)
    return [a + h * next(it) if np.asarray(a).dtype == np.float64 else a for a in args]


def difference(fn: Function, args: list[Any], ts: list[Any]) -> list[Any]:
    """Directional derivative of all results by central differences."""
    high, low = (run(fn, moved(args, ts, h)) for h in (STEP, -STEP))
    return [(a - b) / (2 * STEP) for a, b in zip(high, low, strict=True)]


def tame(values: list[Any]) -> bool:
    return all(np.all(np.isfinite(v)) and np.max(np.abs(v), initial=0) < 1e3 for v in values)


@settings(max_examples=80, deadline=None)
@given(programs(smooth=True))
def test_both_modes_agree_with_finite_differences_to_order_two(p: Program) -> None:
    fn, args = p.fn, p.args
    ys = run(fn, args)
    ts, cts = directions(args), directions(ys)
    jvp, vjp = verify(forward(fn)), verify(reverse(fn))
    forwards = run(jvp, [*args, *ts])
    backwards = run(vjp, [*args, *cts])
    assume(tame([*forwards, *backwards]))
    numeric = difference(fn, args, ts)
    np.testing.assert_allclose(dots(forwards[len(ys) :], cts), dots(numeric, cts), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dots(backwards, ts), dots(forwards[len(ys) :], cts), rtol=1e-9, atol=1e-9)
    # Order 2: forward over reverse, reverse over reverse, reverse over forward.
    everything, more = [*args, *cts], directions([*args, *cts])
    numeric = difference(vjp, everything, more)
    over = run(verify(forward(vjp)), [*everything, *more])[len(backwards) :]
    assume(tame([*over, *numeric]))
    for a, b in zip(over, numeric, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)
    seeds = directions(backwards)
    twice = run(verify(reverse(vjp)), [*everything, *seeds])
    np.testing.assert_allclose(dots(twice, more), dots(over, seeds), rtol=1e-7, atol=1e-7)
    mixed = verify(reverse(jvp))
    seeds = directions(forwards)
    both = directions([*args, *ts])
    np.testing.assert_allclose(
        dots(run(mixed, [*args, *ts, *seeds]), both),
        dots(run(forward(jvp), [*args, *ts, *both])[len(forwards) :], seeds), rtol=1e-7, atol=1e-7,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(programs(smooth=True))
def test_passes_keep_derivatives_and_the_cut_computes_the_same(p: Program) -> None:
    ys = run(p.fn, p.args)
    cts = directions(ys)
    whole = reverse(p.fn)
    expected = run(whole, [*p.args, *cts])
    simple = verify(PassManager("canon,cse,dce", verify=True).run(whole))
    for a, b in zip(run(simple, [*p.args, *cts]), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    primal, back = run_split(split(p.fn), p.args, cts)
    for a, b in zip([*primal, *back], [*ys, *expected], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def run_split(s: Split, args: list[Any], cts: list[Any]) -> tuple[list[Any], list[Any]]:
    """The primal's results and the cotangents, through the two functions."""
    verify(s.forward)
    verify(s.backward)
    made = run(s.forward, args)
    residuals = [args[i] if kind == "param" else made[i] for kind, i in s.residuals]
    return made[: s.results], run(s.backward, [*residuals, *cts])


CALLS = """
func @f(%x: f64[n], %k: i32, %w: f64[3, n]) -> (f64, i32, f64[3, n]) {
  %y = mul %x, %w : f64[3, n]      # a.py:3
  %z = call @g(%y, %x) : f64[3, n]  # a.py:4
  %u = call @g(%z, %x) : f64[3, n]
  %s = reduce_sum %u {axes = [0, 1], keepdims = false} : f64
  return %s, %k, %z
}
func @g(%a: f64[m, n], %b: f64[n]) -> f64[m, n] {
  %0 = tanh %a : f64[m, n]         # lib.py:7
  %1 = call @h(%b) : f64[n]
  %2 = mul %0, %1 : f64[m, n]
  return %2
}
func @h(%b: f64[n]) -> f64[n] {
  %0 = sin %b : f64[n]
  return %0
}"""


def arguments() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=4), np.int32(2), rng.normal(size=(3, 4))]


def test_calls_differentiate_by_calls_of_derivatives_made_once() -> None:
    fn = parse(CALLS)
    vjp, jvp = verify(reverse(fn)), verify(forward(fn))
    assert [g.name for g in vjp.callees()] == ["g", "g_vjp", "h", "h_vjp"]
    assert "call @g(" not in print_function(jvp).split("func @g_jvp")[0]  # the derivative gives the results as well
    assert [op.kind.name for op in jvp.body.ops].count("call") == 2
    args, cts = arguments(), [np.float64(1), np.ones((3, 4))]
    ts = directions(args)
    back = run(vjp, [*args, *cts])
    flat = run(reverse(PassManager("inline").run(fn)), [*args, *cts])
    for a, b in zip(back, flat, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    f = run(jvp, [*args, *ts])
    np.testing.assert_allclose(dots(f[3:], cts), dots(back, ts), rtol=1e-12)
    second = verify(reverse(vjp))
    more = directions([*args, *cts])
    over = run(forward(vjp), [*args, *cts, *more])[2:]
    np.testing.assert_allclose(dots(run(second, [*args, *cts, *back]), more), dots(over, back), rtol=1e-10)


def test_parameters_and_results_are_chosen_and_named() -> None:
    fn = parse(CALLS)
    info = reverse_info(fn, wrt=[2], outputs=[0], keep_primal=True)
    assert info.function.result_types == (*fn.result_types, tensor_type("f64", fn.params[2].type.shape))
    assert [p.name for p in info.function.params] == ["x", "k", "w", "ct_s"]
    assert (info.wrt, info.outputs, info.connected) == ((2,), (0,), (True,))
    assert info.function.name == "f_vjp"
    assert forward_info(fn, wrt=[0]).function.name == "f_jvp"
    with pytest.raises(TypeMismatch, match="parameter 1 of @f is i32, which carries no derivative"):
        reverse(fn, wrt=[1])
    with pytest.raises(TypeMismatch, match="result 1 of @f is i32"):
        reverse(fn, outputs=[1])
    with pytest.raises(IndexError, match="@f has no parameter 3; it has 3"):
        forward(fn, wrt=[3])


def test_unconnected_parameters_get_zeros_and_are_reported() -> None:
    fn = parse("""
func @f(%x: f32[n], %y: f32[2, n], %z: f32) -> (f32[n], f32) {
  %0 = stop_gradient %y : f32[2, n]
  %1 = cast %z {dtype = i32} : i32
  %2 = cast %1 {dtype = f32} : f32
  %3 = mul %x, %2 : f32[n]
  return %3, %2
}""")
    info = reverse_info(fn)
    assert info.connected == (True, False, False)
    x, y, z = np.ones(3, np.float32), np.ones((2, 3), np.float32), np.float32(2.5)
    gx, gy, gz = run(verify(info.function), [x, y, z, x, np.float32(1)])
    assert gx.tolist() == [2, 2, 2]
    assert gy.shape == (2, 3)
    assert not gy.any()
    assert gz == 0
    out = forward_info(fn, wrt=[2])
    assert out.connected == (False, False)
    assert not run(out.function, [x, y, z, z])[2].any()


def test_a_parameter_returned_twice_gets_both_cotangents() -> None:
    fn = parse("func @f(%x: f64) -> (f64, f64, f64) {\n  %0 = neg %x : f64\n  return %x, %0, %x\n}")
    assert run(reverse(fn), [1.0, 2.0, 3.0, 5.0]) == [4.0]
    assert [float(v) for v in run(forward(fn), [1.0, 7.0])] == [1, -1, 1, 7, -7, 7]


def test_only_ops_on_a_path_take_part() -> None:
    fn = parse("""
func @f(%x: f64[n], %w: f64[n]) -> f64[n] {
  %a = exp %w : f64[n]
  %b = mul %x, %a : f64[n]
  return %b
}""")
    kinds = [op.kind.name for op in PassManager("dce").run(reverse(fn, wrt=[0])).body.ops]
    assert kinds == ["exp", "mul", "return"]


def test_backward_ops_have_the_lines_of_their_primal() -> None:
    fn = parse(
        "func @f(%x: f64) -> f64 {\n  %0 = sin %x : f64  # a.py:1\n  %1 = exp %0 : f64  # a.py:2\n  return %1\n}"
    )
    lines = [str(op.loc) for op in reverse(fn).body.ops]
    assert lines == ["a.py:1", "a.py:2", "a.py:2", "a.py:1", "a.py:1", "None"]


def test_many_reads_of_one_array_add_into_one_cotangent() -> None:
    fn, b = new_function("f", [tensor_type("f64", (50,))])
    x = b.expr(fn.params[0])
    total: Any = 0.0
    for i in range(50):
        total = b.slice(x, starts=(i,), sizes=(1,), strides=(1,)) * float(i) + total
    b.ret([total])
    back = PassManager("canon,cse,dce").run(reverse(fn))
    kinds = [op.kind.name for op in back.body.ops]
    assert kinds.count("add_at") == 50
    assert "pad" not in kinds
    np.testing.assert_array_equal(run(back, [np.ones(50), np.ones(1)])[0], np.arange(50.0))


def test_order_five_of_a_power() -> None:
    fn = parse("func @f(%x: f64) -> f64 {\n  %p = constant 6.0 : f64\n  %0 = pow %x, %p : f64\n  return %0\n}")
    for order in range(1, 6):
        fn = PassManager("canon,cse,dce").run(reverse(fn, wrt=[0]))
        fn.name = f"d{order}"
        fn = close_seed(fn)
    np.testing.assert_allclose(run(fn, [1.5]), [6 * 5 * 4 * 3 * 2 * 1.5], rtol=1e-12)


def close_seed(fn: Function) -> Function:
    """A function of one parameter: the cotangent is one."""
    outer, b = new_function(fn.name, fn.param_types[:1], ["x"])
    one = b.const(1.0, fn.param_types[1].dtype)
    b.ret(b.emit(get("call"), [outer.params[0], one.value], {"callee": fn}))
    return PassManager("inline,canon,cse,dce").run(outer)


MLP = parse("""
func @mlp(%x: f64[n, 8], %w: f64[8, 4], %b: f64[4], %v: f64[4, 3]) -> (f64, f64[n, 3]) {
  %0 = matmul %x, %w {transpose_a = false, transpose_b = false} : f64[n, 4]
  %1 = add %0, %b : f64[n, 4]
  %h = relu %1 : f64[n, 4]
  %2 = matmul %h, %v {transpose_a = false, transpose_b = false} : f64[n, 3]
  %p = softmax %2 {axis = 1} : f64[n, 3]
  %t = tanh %p : f64[n, 3]
  %s = reduce_sum %t {axes = [0, 1], keepdims = false} : f64
  return %s, %p
}""")


def test_the_cut_keeps_little_and_copies_no_parameter() -> None:
    s = split(MLP, outputs=[0])
    assert s.residuals[:3] == (("param", 0), ("param", 1), ("param", 3))  # b is not needed
    assert ("value", 1) in s.residuals  # the result p, which is not made a second time
    extra = s.forward.results[2:]
    assert [str(v.type) for v in extra] == ["f64[n, 4]", "f64[n, 3]"]
    assert extra[0].name == "h"  # the mask of relu is made from it
    assert not any(op.kind.name in ("exp", "tanh", "softmax") for op in s.backward.body.ops)
    args = [RNG.normal(size=shape) for shape in ((5, 8), (8, 4), (4,), (4, 3))]
    _, back = run_split(s, args, [np.float64(1.0)])
    for a, b in zip(back, run(reverse(MLP, outputs=[0]), [*args, 1.0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_cheap_values_are_made_again() -> None:
    fn = parse("""
func @f(%x: f32[n], %y: f32[n]) -> f32[n] {
  %0 = sub %x, %y : f32[n]
  %1 = square %0 : f32[n]
  %2 = exp %1 : f32[n]
  return %2
}""")
    s = split(fn)
    assert s.residuals == (("param", 0), ("param", 1), ("value", 0))
    assert len(s.forward.results) == 1


def test_a_parameter_that_only_binds_a_size_is_passed() -> None:
    fn = parse(
        "func @f(%x: f32[n]) -> f32 {\n  %0 = reduce_sum %x {axes = [0], keepdims = false} : f32\n  return %0\n}"
    )
    s = split(fn)
    assert s.residuals == (("param", 0),)
    verify(s.backward)


def test_effects_stay_in_the_forward_part() -> None:
    fn = parse("""
func @f(%x: f32[n]) -> f32[n] {
  %0 = exp %x : f32[n]
  print %0 {segments = ["", ""]}
  %1 = exp %0 : f32[n]
  return %1
}""")
    s = split(fn)
    assert [op.kind.name for op in s.forward.body.ops] == ["exp", "print", "exp", "return"]
    assert [op.kind.name for op in s.backward.body.ops] == ["mul", "mul", "return"]


def test_thousands_of_ops_are_differentiated_and_cut() -> None:
    fn, b = new_function("f", [tensor_type("f64", (4,)), tensor_type("f64")], ["x", "s"])
    x, s = (b.expr(p) for p in fn.params)
    v = x
    for i in range(1500):
        v = (v * s, b.tanh(v), v + x)[i % 3]
    b.ret([v])
    args, ct = [np.full(4, 0.5), np.float64(0.9)], [np.ones(4)]
    for a, c in zip(run_split(split(fn), args, ct)[1], run(reverse(fn), [*args, *ct]), strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-9)


CASES = [
    pytest.param(op, attrs, xs, id=f"{op.name}-{i}")
    for op in ops.table()
    for i, (attrs, xs) in enumerate(SAMPLES.get(op.name, []))
    if op.differentiable and any(np.asarray(x).dtype == np.float64 for x in xs)
]


@pytest.mark.parametrize(("op", "attrs", "xs"), CASES)
def test_the_modes_agree_for_every_op(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    args = [np.asarray(x) for x in xs]
    fn, b = new_function("f", [type_of_array(x) for x in args])
    b.ret(b.emit(op, fn.params, attrs))
    ys = run(fn, args)
    wrt = [i for i, x in enumerate(args) if x.dtype == np.float64]
    outputs = [i for i, y in enumerate(ys) if y.dtype == np.float64]
    ts, cts = directions(args), directions(ys)
    jvp, vjp = verify(forward(fn, wrt)), verify(reverse(fn, wrt, outputs))
    tangents = [t for t in run(jvp, [*args, *ts])[len(ys) :] if t.dtype == np.float64]
    back = run(vjp, [*args, *cts])
    np.testing.assert_allclose(dots(tangents, cts), dots(back, ts), rtol=1e-9, atol=1e-9)
    primal, cut = run_split(split(fn, wrt, outputs), args, cts)
    for a, c in zip([*primal, *cut], [*ys, *back], strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-12)
