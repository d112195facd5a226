"""The verifier: what it accepts, what it refuses, and how it says so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from pullback.ir.builder import new_function
from pullback.ir.dims import symbol
from pullback.ir.errors import VerifyError
from pullback.ir.graph import Block, Function, Loc, Op, Value
from pullback.ir.opdef import get
from pullback.ir.parser import parse
from pullback.ir.types import TensorType, tensor_type
from pullback.ir.verifier import verify

from .programs import Program, programs

F32 = tensor_type("f32")
LOOP = "  %r = for %i in 0..%k iter(%a = %x) -> f32 {\n    %b = add %a, %y : f32\n    yield %b\n  }\n"


def body(text: str, result: str = "%x") -> Function:
    return parse(f"func @f(%x: f32, %y: f32, %k: i32, %v: f32[n]) -> f32 {{\n{text}\n  return {result}\n}}")


@settings(max_examples=60, deadline=None)
@given(programs())
def test_built_programs_are_accepted(p: Program) -> None:
    assert verify(p.fn) is p.fn


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  %0 = add %x, %y : f64", "the op's results have types f64, but it gives f32"),
        ("  %0 = add %x, %k : f32", "add"),
        ("  %0 = add %x : f32", "add"),
        ("  %0 = reduce_sum %v {axes = [3], keepdims = false} : f32[n]", "axes"),
        ("  %0 = reduce_sum %v : f32", "missing attribute 'axes'"),
        ("  %0 = broadcast_to %x {shape = [m]} : f32[m]", "the size 'm' in an attribute is not bound"),
        (LOOP.replace("0..%k", "%x..%k"), "the lower bound must be a scalar i32 or i64"),
        (LOOP.replace("yield %b", "yield %k"), "the values yielded have types i32"),
        (LOOP.replace("yield %b", "yield"), "the values yielded have types ()"),
        ("  if %x {\n    yield\n  } else {\n    yield\n  }", "the condition must be a bool scalar, found f32"),
        (
            "  %c = lt %x, %y : bool\n  %r = if %c -> f32 {\n    yield %x\n  } else {\n    yield %k\n  }",
            "one branch yields f32, the other i32",
        ),
        (
            "  %r = while iter(%a = %x) -> f32 {\n    yield %a\n  } do {\n    yield %a\n  }",
            "must yield one bool scalar",
        ),
        ("  assert %x", "the condition must be a bool scalar"),
        ("  print %x", "strings 'segments'"),
    ],
)
def test_ill_typed_ops_are_refused(text: str, message: str) -> None:
    with pytest.raises(VerifyError) as e:
        verify(body(text))
    assert message in str(e.value)


def test_the_diagnostic_shows_the_function_with_a_caret() -> None:
    fn = body("  %0 = neg %x : f32\n  %1 = add %0, %y : f64  # model.py:7")
    with pytest.raises(VerifyError) as e:
        verify(fn)
    message = "the op's results have types f64, but it gives f32 (model.py:7)"
    assert str(e.value).split("\n") == [
        message,
        "func @f(%x: f32, %y: f32, %k: i32, %v: f32[n]) -> f32 {",
        "  %0 = neg %x : f32",
        "  %1 = add %0, %y : f64  # model.py:7",
        "  ^^^^^^^^^^^^^^^^^^^^^",
        f"  {message}",
        "  return %x",
        "}",
        "",
    ]


def made(ops: list[Op], params: list[Value], results: list[Value]) -> Function:
    return Function("f", Block(params, [*ops, Op(get("return"), results)]))


def neg(v: Value, loc: Loc | None = None) -> Op:
    return Op(get("neg"), [v], {}, [], [v.type], loc)


def test_use_before_definition_is_refused() -> None:
    x = Value(F32, "x")
    a = neg(x)
    b = neg(a.result)
    verify(made([a, b], [x], [b.result]))
    with pytest.raises(VerifyError, match="operand 0 is used before it is defined"):
        verify(made([b, a], [x], [b.result]))


def test_values_of_a_region_are_not_seen_outside() -> None:
    fn = body(LOOP)
    inner = fn.body.ops[-2].regions[0].ops[0].result
    fn.body.ops[-1].operands = [inner]
    with pytest.raises(VerifyError, match="operand 0 is used outside the region that defines it"):
        verify(fn)


def test_a_value_is_defined_once() -> None:
    x = Value(F32, "x")
    a = neg(x)
    with pytest.raises(VerifyError, match="a value is defined twice"):
        verify(made([a, a], [x], [a.result]))
    b = neg(x)
    b.results = [Value(F32, "b", a)]
    with pytest.raises(VerifyError, match="owner"):
        verify(made([b], [x], [x]))


def test_terminators() -> None:
    x = Value(F32, "x")
    with pytest.raises(VerifyError, match="must end in 'return'"):
        verify(Function("f", Block([x], [])))
    with pytest.raises(VerifyError, match="ends in one 'return', found 'neg' as its last op"):
        verify(Function("f", Block([x], [neg(x)])))
    x = Value(F32, "x")
    with pytest.raises(VerifyError, match="ends in one 'return', found 'return' as its inner op"):
        verify(made([Op(get("return"), [x])], [x], [x]))


def test_unknown_attributes_are_refused() -> None:
    x = Value(F32, "x")
    op = neg(x, Loc("a.py", 1))
    op.attrs["speed"] = 3
    with pytest.raises(VerifyError, match=r"unknown attribute 'speed'; 'neg' has none \(a.py:1\)"):
        verify(made([op], [x], [x]))


def test_sizes_are_bound_by_plain_dimensions_of_parameters() -> None:
    n = symbol("n")
    for shape, good in (((n, 2 * n), True), ((2 * n,), False), ((n + 1, n), True)):
        fn, b = new_function("f", [TensorType(F32.dtype, shape)])
        b.ret(fn.params)
        if good:
            verify(fn)
        else:
            with pytest.raises(VerifyError, match="the size 'n' in f32"):
                verify(fn)


def test_callees_are_checked_with_their_signature() -> None:
    text = (
        "func @f(%x: f32[n, 3]) -> f32[3] {\n  %0 = call @g(%x) : f32[3]\n  return %0\n}\n"
        "func @g(%x: f32[a, b]) -> f32[b] {\n  %0 = reduce_sum %x {axes = [0], keepdims = false} : f32[b]\n"
        "  return %0\n}"
    )
    verify(parse(text))
    with pytest.raises(VerifyError, match=r"results have types f32\[n\], but it gives f32\[3\]"):
        verify(parse(text.replace(": f32[3]\n", ": f32[n]\n").replace("-> f32[3]", "-> f32[n]")))
    with pytest.raises(VerifyError, match=r"call: @g takes f32\[a, a\], found f32\[n, 3\]"):
        verify(parse(text.replace("f32[a, b]", "f32[a, a]").replace("f32[b]", "f32[a]")))
    with pytest.raises(VerifyError, match="but it gives"):
        verify(parse(text.replace("keepdims = false} : f32[b]", "keepdims = true} : f32[b]")))
    broken = parse(text.replace("keepdims = false} : f32[b]", "keepdims = true} : f32[b]"))
    verify(broken, callees=False)
