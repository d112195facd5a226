"""Every pass keeps the meaning of random programs, leaves its input alone, gives valid IR. Pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from pullback.ir.builder import new_function
from pullback.ir.cse import cse
from pullback.ir.dce import dce
from pullback.ir.errors import ParseError, VerifyError
from pullback.ir.expand import expand
from pullback.ir.graph import Function
from pullback.ir.inline import inline
from pullback.ir.interpret import interpret
from pullback.ir.opdef import get
from pullback.ir.parser import parse, parse_module
from pullback.ir.passes import PASSES, Pass, PassManager, parse_pipeline, run_pipeline
from pullback.ir.printer import print_function
from pullback.ir.quiet import Quiet
from pullback.ir.simplify import canon
from pullback.ir.specialise import specialise
from pullback.ir.types import tensor_type
from pullback.ir.verifier import verify

from .programs import SIZE, Program, programs


def bits(values: list[Any]) -> list[Any]:
    """What two runs are compared by: types, shapes and bytes, with all NaNs alike."""
    out = []
    for v in values:
        v = np.array(v)
        if v.dtype.kind == "f":
            v[np.isnan(v)] = np.nan
        out.append((v.dtype, v.shape, v.tobytes()))
    return out


def run(fn: Function, args: list[Any]) -> list[Any]:
    with Quiet():
        return bits(interpret(fn, args))


def specialised(fn: Function) -> Function:
    return specialise(fn, {"n": SIZE})


def everything(fn: Function) -> Function:
    return PassManager("inline,canon,cse,expand,canon,cse,dce", verify=True).run(fn)


@pytest.mark.parametrize("which", [canon, cse, dce, inline, expand, specialised, everything])
@settings(max_examples=80, deadline=None)
@given(p=programs())
def test_passes_keep_the_meaning(which: Any, p: Program) -> None:
    before = print_function(p.fn)
    new = verify(which(p.fn))
    assert print_function(p.fn) == before
    assert run(new, p.args) == run(p.fn, p.args)
    if which is specialised:
        assert new.is_static


@pytest.mark.parametrize("which", [canon, cse, dce])
@settings(max_examples=50, deadline=None)
@given(p=programs())
def test_passes_are_done_after_one_run(which: Any, p: Program) -> None:
    once = which(p.fn)
    assert print_function(which(once)) == print_function(once)


def body_of(fn: Function) -> list[str]:
    return [line.strip() for line in print_function(fn).splitlines()[1:-1]]


def test_cse_tells_apart_what_differs_in_one_bit() -> None:
    fn = parse("""
func @f(%x: f32) -> (f32, f32, f32, i32, f32, f32) {
  %0 = constant 0.0 : f32
  %1 = constant -0.0 : f32
  %2 = constant 0.0 : f32
  %3 = constant 0 : i32
  %4 = constant nan : f32
  %5 = constant nan : f32
  return %0, %1, %2, %3, %4, %5
}""")
    a, b, c, d, e, f = cse(fn).results
    assert a is c
    assert e is f
    assert len({a, b, d, e}) == 4


def test_cse_sees_inwards_but_not_outwards_and_swaps_operands() -> None:
    fn = parse("""
func @f(%x: f32, %y: f32, %k: i32) -> (f32, f32, f32) {
  %s = add %x, %y : f32
  %r = for %i in 0..%k iter(%a = %x) -> f32 {
    %0 = add %y, %x : f32
    %m = mul %x, %y : f32
    %1 = add %0, %m : f32
    yield %1
  }
  %m = mul %x, %y : f32
  %d = sub %y, %x : f32
  return %r, %m, %d
}""")
    text = print_function(cse(fn))
    assert text.count("add %x, %y") == 1
    assert text.count("mul %x, %y") == 2
    assert "add %s, %m" in text


def test_effects_are_neither_merged_nor_dropped() -> None:
    text = """
func @f(%x: f32, %c: bool) -> f32 {
  print {segments = ["a"]}
  print {segments = ["a"]}
  assert %c {message = "m"}
  %0 = call @g(%x) : f32
  %1 = call @g(%x) : f32
  %2 = call @quiet(%x) : f32
  %3 = call @quiet(%x) : f32
  %4 = add %2, %3 : f32
  %5 = call @quiet(%4) : f32
  return %4
}
func @g(%x: f32) -> f32 {
  print {segments = ["g"]}
  return %x
}
func @quiet(%x: f32) -> f32 {
  return %x
}"""
    lines = body_of(dce(cse(canon(parse(text)))))
    assert sum("segments" in x for x in lines) == 3
    assert sum("call @g" in x for x in lines) == 2
    assert sum("call @quiet" in x for x in lines) == 1


def test_inline_keeps_lines_sizes_and_recursion() -> None:
    fn = parse("""
func @f(%x: f32[n, 3]) -> f32[n, 3] {
  %y = call @g(%x) : f32[n, 3]  # model.py:1
  %z = call @again(%y) : f32[n, 3]
  return %z
}
func @g(%n: f32[m, n]) -> f32[m, n] {
  %0 = constant 1.0 : f32       # lib.py:5
  %1 = broadcast_to %0 {shape = [m, n]} : f32[m, n]
  %2 = call @h(%n, %1) : f32[m, n]
  return %2
}
func @h(%a: f32[n, m], %b: f32[n, m]) -> f32[n, m] {
  %0 = add %a, %b : f32[n, m]   # deep.py:9
  return %0
}
func @again(%x: f32[n, m]) -> f32[n, m] {
  %0 = call @again(%x) : f32[n, m]
  return %0
}""")
    new = verify(inline(fn))
    assert body_of(new)[1] == "%1 = broadcast_to %0 {shape = [n, 3]} : f32[n, 3]"
    assert [str(op.loc) for op in new.body.ops] == ["lib.py:5", "None", "deep.py:9", "None", "None"]
    assert [op.kind.name for op in new.body.ops] == ["constant", "broadcast_to", "add", "call", "return"]
    assert new.body.ops[2].result.name == "y"
    small = inline(fn, limit=2)
    assert [op.kind.name for op in small.body.ops] == ["call", "call", "return"]
    assert small.callees()[0].name == "g"


def test_specialise_names_its_sizes_and_reaches_callees() -> None:
    fn = parse("""
func @f(%x: f32[n, m]) -> f32[2*n] {
  %0 = reduce_sum %x {axes = [1], keepdims = false} : f32[n]
  %1 = concat %0, %0 {axis = 0} : f32[2*n]
  %2 = call @g(%1) : f32[2*n]
  return %2
}
func @g(%x: f32[k]) -> f32[k] {
  %0 = neg %x : f32[k]
  return %0
}""")
    part = verify(specialise(fn, {"n": 4}))
    assert print_function(part).startswith("func @f(%x: f32[4, m]) -> f32[8] {")
    assert "func @g(%x: f32[8])" in print_function(part)
    assert not part.is_static
    assert verify(specialise(part, {"m": 0})).is_static
    with pytest.raises(ValueError, match="@f has no size 'q'; its sizes: m, n"):
        specialise(fn, {"q": 1})
    with pytest.raises(ValueError, match="the size 'n' cannot be -1"):
        specialise(fn, {"n": -1})


def test_expand_goes_all_the_way_down() -> None:
    fn = parse("""
func @f(%x: f32[n, 4], %y: i32[n]) -> (f32[n], f32[2*n, 4]) {
  %p = log_softmax %x {axis = 1} : f32[n, 4]
  %l = logsumexp %p {axes = [1], keepdims = false} : f32[n]
  %t = tile %p {multiples = [2, 1]} : f32[2*n, 4]
  return %l, %t
}""")
    new = verify(expand(fn))
    assert all(op.kind.lowering or op.kind.terminator for op in new.body.walk())
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    for a, b in zip(interpret(new, [x, np.zeros(3, np.int32)]), interpret(fn, [x, np.zeros(3, np.int32)]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_ten_thousand_ops_pass_through_everything() -> None:
    fn, b = new_function("f", [tensor_type("f64", (4,)), tensor_type("f64")], ["x", "s"])
    v, (x, s) = fn.params[0], fn.params
    for i in range(10_000):
        v = b.emit(get(("add", "mul", "tanh")[i % 3]), [v, (s, x)[i % 2]] if i % 3 < 2 else [v])[0]
    b.ret([v])
    assert len(everything(fn).body.ops) > 9_000
    assert len(list(PassManager("reverse,canon,cse,dce").run(fn).body.walk())) > 10_000


def test_pipelines_are_read_with_options() -> None:
    steps = parse_pipeline("canon, specialise{n = 4, m=2},reverse{wrt=[0, 2], keep_primal = true},inline{limit = none}")
    assert [s.which.name for s in steps] == ["canon", "specialise", "reverse", "inline"]
    assert steps[1].options == {"n": 4, "m": 2}
    assert steps[2].options == {"wrt": (0, 2), "keep_primal": True}
    assert parse_pipeline("") == []


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("cannon", "there is no pass 'cannon'; passes are canon, cse"),
        ("canon cse", "expected ',', found cse"),
        ("canon{n=4}", "'canon' has no option 'n'; its options: none"),
        ("reverse{wrt=}", "expected a value"),
        ("inline{limit", "expected '='"),
    ],
)
def test_bad_pipelines_are_parse_errors(pipeline: str, message: str) -> None:
    with pytest.raises(ParseError) as e:
        parse_pipeline(pipeline)
    assert message in str(e.value)


def test_the_manager_says_which_pass_broke_the_ir(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fn: Function) -> Function:
        new = dce(fn)
        new.body.ops.pop()
        return new

    monkeypatch.setitem(PASSES, "broken", Pass("broken", broken, "breaks"))
    fn = parse("func @f(%x: f32) -> f32 {\n  %0 = neg %x : f32\n  return %0\n}")
    with pytest.raises(VerifyError) as e:
        PassManager("canon,broken", verify=True).run(fn)
    assert e.value.__notes__ == ["after the pass broken"]


MODULE = """
func @f(%x: f32[n]) -> f32[n] {
  %0 = neg %x : f32[n]
  %1 = neg %0 : f32[n]
  %2 = call @g(%1) : f32[n]
  return %2
}
func @g(%x: f32[n]) -> f32[n] {
  %0 = sin %x : f32[n]
  %1 = sin %x : f32[n]
  %2 = mul %1, %0 : f32[n]
  return %2
}
func @other(%x: f32) -> f32 {
  %0 = neg %x : f32
  return %0
}"""


def test_local_passes_run_on_every_function_of_a_text() -> None:
    out = run_pipeline(MODULE, "canon,cse,dce")
    assert [f.name for f in parse_module(out)] == ["f", "other", "g"]
    assert out.count("sin") == 1
    assert out.count("neg") == 1
    assert run_pipeline(out, "canon,cse,dce") == out


def test_changes_are_shown_step_by_step() -> None:
    seen: list[str] = []
    run_pipeline(
        MODULE.split("func @other")[0], "inline,inline,cse", changed=lambda step, fn: seen.append(f"{step} {fn.name}")
    )
    assert seen == ["inline f", "cse f"]


@pytest.mark.parametrize(
    ("text", "passes", "message"),
    [
        (MODULE, "cannon", "there is no pass 'cannon'"),
        (MODULE, "specialise{m=4}", "@f has no size 'm'; its sizes: n"),
        (MODULE, "reverse{wrt=[3]}", "@f has no parameter 3; it has 1"),
        (MODULE, "reverse{wrt=3}", "@f has no parameter 3; it has 1"),
        (MODULE, 'reverse{wrt="x"}', "wrt must be numbers of parameters, found 'x'"),
        (MODULE.replace("sin", "sinn"), "canon", "there is no op 'sinn'"),
        (MODULE.replace("sin %x : f32[n]", "sin %x : f32"), "canon", "the op's results have types f32"),
        ("func @f(%x: i32) -> i32 {\n  return %x\n}", "reverse{wrt=[0]}", "which carries no derivative"),
    ],
)
def test_wrong_input_is_told_in_one_line(text: str, passes: str, message: str) -> None:
    with pytest.raises((ParseError, VerifyError, ValueError, TypeError)) as e:
        run_pipeline(text, passes)
    assert message in str(e.value).split("\n")[0]
