"""Printer and parser: exact round trips, names, errors with carets."""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.ir import dtypes as dt
from pullback.ir import opdef
from pullback.ir.builder import new_function
from pullback.ir.compare import same
from pullback.ir.dims import floordiv, maximum, symbol
from pullback.ir.errors import ParseError
from pullback.ir.graph import Function, Loc
from pullback.ir.lexer import Source
from pullback.ir.literals import print_attr, print_element
from pullback.ir.opdef import OpDef, get
from pullback.ir.parser import parse, parse_module, parse_type
from pullback.ir.printer import highlight, print_function, print_module
from pullback.ir.reader import Reader
from pullback.ir.types import TensorType, tensor_type

from .programs import Program, programs

DESIGN = """\
func @loss(%x: f32[n], %steps: i32) -> f32 {
  %0 = mul %x, %x : f32[n]                                 # model.py:12
  %h = for %i in 0..%steps iter(%acc = %0) -> f32[n] {
    %1 = tanh %acc : f32[n]                                # model.py:14
    yield %1
  }
  %2 = reduce_sum %h {axes = [0], keepdims = false} : f32  # model.py:15
  return %2
}
"""


def assert_round_trip(fn: Function) -> None:
    text = print_function(fn)
    back = parse(text)
    assert same(back, fn), text
    assert print_function(back) == text


def constant_function(array: np.ndarray[Any, Any]) -> Function:
    fn, b = new_function("c", [])
    b.ret([b.emit(get("constant"), (), {"value": array})[0]])
    return fn


def only_constant(fn: Function) -> Any:
    return fn.body.ops[0].attrs["value"]


def test_text_of_the_design_is_what_is_printed() -> None:
    assert print_function(parse(DESIGN)) == DESIGN


@settings(max_examples=150, deadline=None)
@given(programs())
def test_random_programs_come_back(p: Program) -> None:
    assert_round_trip(p.fn)


@pytest.mark.parametrize(
    "text",
    [
        "%a, %b = while iter(%x = %p, %y = %k) -> (f32, i32) {\n    %c = lt %x, %p : bool\n    yield %c\n  } do {\n"
        "    yield %x, %y\n  }",
        "while {\n    %c = lt %p, %p : bool\n    yield %c\n  } do {\n    yield\n  }",
        "for %i in %k..10 step -2 {\n    yield\n  }",
        "for %i : i64 in 0..10 {\n    yield\n  }",
        "for %i in -3..10 step %k {\n    yield\n  }",
        "%c = lt %p, %p : bool\n  if %c {\n    yield\n  } else {\n    yield\n  }",
        "%c = lt %p, %p : bool\n  %r, %s = if %c -> (f32, i32) {\n    yield %p, %k\n  } else {\n    yield %p, %k\n  }",
        'print %p, %k {segments = ["a\\n\\"", "b", ""], stream = "stderr", summarize = -1}',
        '%c = lt %p, %p : bool\n  assert %c, %p {message = "no: \\u20ac"}'.replace("\\u20ac", "€"),
        "%0 = call @g(%p) : f32\n  %1, %2 = call @h(%p, %p) : (f32, f32)\n  call @nothing()",
    ],
)
def test_every_form_comes_back(text: str) -> None:
    whole = (
        f"func @f(%p: f32, %k: i32) {{\n  {text}\n  return\n}}\n\nfunc @g(%x: f32) -> f32 {{\n  return %x\n}}\n\n"
        "func @h(%x: f32, %y: f32) -> (f32, f32) {\n  return %x, %y\n}\n\nfunc @nothing() {\n  return\n}\n"
    )
    if "call" not in text:
        whole = whole[: whole.index("func @g")].rstrip() + "\n"
    fn = parse(whole)
    assert print_function(fn) == whole
    assert_round_trip(fn)


@pytest.mark.parametrize("use", ["%a", "%a_1", "%b"])
def test_bounds_are_written_as_numbers_only_where_nothing_else_needs_them(use: str) -> None:
    fn = parse(f"""
func @f(%k: i32) -> i32 {{
  %a = constant 0 : i32
  %a_1 = constant 5 : i32
  %b = constant 2 : i32
  %r = for %i in %a..%a_1 step %b iter(%c = %k) -> i32 {{
    %0 = add %c, {use} : i32
    yield %0
  }}
  return %r
}}""")
    for op in fn.body.ops[:3]:
        op.result.name = ""
    assert_round_trip(fn)
    assert ("in 0..5 step 2" in print_function(fn)) is False


class Regions(OpDef):
    name = "test_regions"
    attrs = ("a",)


def test_an_op_with_regions_and_no_form_of_its_own_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(opdef._TABLE, "test_regions", Regions())
    text = (
        "func @f(%x: f32[n]) -> f32[n] {\n  %r, %0 = test_regions %x {a = 1} do (%p: f32, %q: i32[2, n]) {\n"
        "    yield %p\n  } do () {\n    yield %x\n  } : (f32[n], i32)\n  return %r\n}\n"
    )
    assert print_function(parse(text)) == text
    assert_round_trip(parse(text))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -7,
        2**70,
        0.1,
        -0.0,
        1e300,
        5e-324,
        math.inf,
        -math.inf,
        "",
        'a"b\\\n\té\x00',
        b'\x00\xffa"',
        (),
        (1, (2.5, "x"), ((), None)),
        dt.float32,
        dt.bool_,
        dt.string,
        dt.bfloat16,
        symbol("n") - 1,
        -1 * symbol("n"),
        2 * symbol("n") * symbol("m") + 3,
        floordiv(symbol("n"), 2) + 1,
        maximum(symbol("n") - 1, 0),
        symbol("f32") + 1,
        symbol("none"),
        symbol("nan") * 2,
        (symbol("n"), 3),
        1 + 2j,
        complex(-0.0, math.inf),
        symbol("?0"),
    ],
    ids=str,
)
def test_attribute_values_come_back(value: Any) -> None:
    r = Reader(print_attr(value))
    back = r.literal()
    r.end()
    assert back == value
    assert type(back) is type(value)
    if isinstance(value, float):
        assert math.copysign(1, back) == math.copysign(1, value)


def test_nan_and_arrays_as_attribute_values() -> None:
    assert math.isnan(Reader(print_attr(math.nan)).literal())
    for array in (np.array([[1, 2.5], [math.inf, -0.0]], np.float32), np.array(3, np.int8), np.zeros((0, 3), bool)):
        back = Reader(print_attr(array)).literal()
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert back.tobytes() == array.tobytes()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["float16", "bfloat16", "float32", "float64"]), st.data())
def test_float_elements_are_exact(name: str, data: st.DataObject) -> None:
    d = dt.as_dtype(name)
    bits = data.draw(st.integers(0, 2 ** (8 * d.size) - 1))
    x = np.array(bits, f"u{d.size}").view(d.np)
    text = print_element(x[()], d)
    back = np.asarray(float(text)).astype(d.np)
    assert back.tobytes() == x.tobytes() or (back != back and x != x)
    assert_round_trip(constant_function(np.asarray(x)))


def test_f32_constants_are_short() -> None:
    assert print_element(np.float32(0.1), dt.float32) == "0.1"
    assert "constant 2.0 : f32" in print_function(constant_function(np.array(2, np.float32)))
    assert "constant [[1, 2], [3, 4]] : i32[2, 2]" in print_function(
        constant_function(np.array([[1, 2], [3, 4]], np.int32))
    )


@pytest.mark.parametrize("dtype", [d.short for d in dt.ALL if d != dt.string])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (5, 40)])
def test_constants_of_all_dtypes_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    d = dt.as_dtype(dtype)
    array = np.array(np.random.default_rng(0).integers(0, 100, shape)).astype(d.np)
    fn = constant_function(array)
    assert_round_trip(fn)
    back = only_constant(parse(print_function(fn)))
    assert back.tobytes() == array.tobytes()
    assert not back.flags.writeable


def test_large_constants_are_splat_or_base64() -> None:
    splat, other = np.full((100, 100), -0.0, np.float32), np.arange(1000, dtype=np.int16)
    assert "constant splat -0.0 : f32[100, 100]" in print_function(constant_function(splat))
    assert "constant base64 " in print_function(constant_function(other))
    mixed = splat.copy()
    mixed[3, 3] = 0.0
    assert "splat" not in print_function(constant_function(mixed))
    for array in (splat, other, mixed):
        assert only_constant(parse(print_function(constant_function(array)))).tobytes() == array.tobytes()


def test_string_constants_come_back() -> None:
    assert_round_trip(constant_function(np.array(["a", 'b"\n', b"\xff"], object)))


def test_names_are_kept_and_made_unique() -> None:
    fn, b = new_function("f", [tensor_type("f32")] * 3, ["x", "x", "a b!"])
    named, unnamed, digits = (b.emit(get("neg"), [fn.params[0]])[0] for _ in range(3))
    named.name, digits.name = "x_1", "17"
    b.ret([named, unnamed, digits])
    text = print_function(fn)
    assert text.splitlines()[0] == "func @f(%x: f32, %x_1: f32, %a_b_: f32) -> (f32, f32, f32) {"
    assert "%x_1_1 = neg %x : f32\n  %0 = neg %x : f32\n  %1 = neg" in text
    assert_round_trip(fn)


def test_function_names_are_quoted_and_made_unique() -> None:
    inner = [parse(f"func @f(%x: f32) -> f32 {{\n  %0 = {op} %x : f32\n  return %0\n}}") for op in ("neg", "abs")]
    fn, b = new_function("make.<locals>.<lambda>", [tensor_type("f32")])
    y = b.emit(get("call"), [fn.params[0]], {"callee": inner[0]})
    b.ret(b.emit(get("call"), y, {"callee": inner[1]}))
    text = print_function(fn)
    assert text.startswith('func @"make.<locals>.<lambda>"(')
    assert "call @f(" in text
    assert "call @f_1(" in text
    assert print_function(parse(text)) == text
    assert len(parse_module(print_module([fn]))) == 3


def test_locations_come_back_also_with_spaces_and_drives() -> None:
    fn, b = new_function("f", [tensor_type("f32")])
    v = fn.params[0]
    for loc in (Loc("a.py", 3), Loc("C:\\my dir\\a.py", 12), None, Loc("<stdin>", 1)):
        b.loc = loc
        v = b.emit(get("neg"), [v])[0]
    b.loc = Loc("end.py", 9)
    b.ret([v])
    assert_round_trip(fn)
    assert "#" not in print_function(fn, locations=False)
    assert not same(parse(print_function(fn, locations=False)), fn)
    assert same(parse(print_function(fn, locations=False)), fn, locations=False)


def test_other_comments_and_free_layout_are_read() -> None:
    text = "# a file\nfunc @f(\n %x : f32 [ n , 2*n ]) -> f32[n,n + n] { %0 = neg %x:f32[n,2*n] # just so\nreturn %0 }"
    fn = parse(text)
    assert fn.body.ops[0].loc is None
    assert_round_trip(fn)


def test_same_sees_differences() -> None:
    base = parse(DESIGN)
    for old, new in (
        ("tanh", "sin"), ("axes = [0]", "axes = []"), ("model.py:14", "model.py:13"), ("mul %x, %x", "add %x, %x"),
        ("0..%steps", "1..%steps"), ("@loss", "@lost"), ("f32[n]", "f32[m]"), ("= 0", "= 0"),
    ):  # fmt: skip
        assert same(base, parse(DESIGN.replace(old, new))) == (old == new), old
    renamed = parse(DESIGN.replace("%acc", "%b"))
    assert same(base, renamed)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("%0 = mull %x : f32", "there is no op 'mull'"),
        ("%0 = neg %y : f32", "%y is not defined here"),
        ("%0 = neg %x : q32", "expected a type such as f32[n, 3], found q32"),
        ("%0 = neg %x {foo = 1} : f32", "attribute 'foo' is unknown; 'neg' has none"),
        ("%0 = reduce_sum %x {axes = [0], axes = [0]} : f32", "attribute 'axes' is given twice"),
        ("%x = neg %x : f32", "%x is defined twice"),
        ("%0, %1 = neg %x : f32", "'neg' has 1 results, 2 are named"),
        ("%0 = neg %x : f32[2", "expected ',', found return"),
        ("%0 = neg %x : f32[2 2]", "expected a dimension such as 3 or 2*n + 1, found 2"),
        ("%0 = constant [1, 2] : f32[3]", "the array literal does not have the shape [3]"),
        ("%0 = constant 300 : i8", "300 does not fit into i8"),
        ("%0 = constant 1.5 : i32", "1.5 is no element of i32"),
        ("%0 = constant 1 : f32[n]", "an array constant needs a static shape"),
        ('%0 = constant base64 "!!" : f32[2]', "base64"),
        ("%0 = call @g(%x) : f32", "no function @g in this text"),
        ("%0 = for %i in 0..2.5 {\n yield\n}", "expected a bound such as 0 or %n, found 2.5"),
        ("%0 = for %i in 0..2 iter(%a = %x) -> (f32, f32) {\n yield\n}", "1 values are carried, but 2 types given"),
        ("yield %x", "expected 'return' as the last op of the block"),
        ("return %x", "expected 'return' as the last op of the block"),
        ("%0 = neg %x $", "unexpected character '$'"),
        ('print {segments = ["\\x"]}', "not a string"),
        ("%0 = ", "'return' has 0 results, 1 are named"),
        ("%0 = %x", "expected an op such as add, found %x"),
    ],
)
def test_errors_show_the_place_and_what_was_expected(bad: str, message: str) -> None:
    text = f"func @f(%x: f32) -> f32 {{\n  {bad}\n  return %x\n}}\n"
    with pytest.raises(ParseError) as e:
        parse(text)
    head, line, caret = str(e.value).split("\n")
    assert message in head
    assert head.startswith("line ")
    number, column = int(head.split()[1].rstrip(",")), int(head.split()[3].rstrip(":"))
    assert line == "  " + text.splitlines()[number - 1]
    assert caret.index("^") == column + 1


@pytest.mark.parametrize(
    "text", ["", "# only a comment", "func", "func @f(", "func @f() {", "func @f() -> f32 { return }"]
)
def test_unfinished_texts_are_errors(text: str) -> None:
    with pytest.raises(ParseError, match="line 1, column"):
        parse(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_broken_texts_raise_parse_errors_and_nothing_else(data: st.DataObject) -> None:
    tokens = [t.text for t in Source(DESIGN).tokens]
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(tokens) - 1))
        extra = data.draw(
            st.sampled_from(["", "}", "{", "(", "%x", "3", "f32", "..", "-", "@g", '"s"', "1.5", "]", ",", "="])
        )
        tokens[i : i + data.draw(st.integers(0, 2))] = [extra]
    with contextlib.suppress(ParseError):
        parse(" ".join(tokens))


def test_types_are_read_alone() -> None:
    assert parse_type("f32[n, 3]") == TensorType(dt.float32, (symbol("n"), 3))
    with pytest.raises(ParseError, match="the end of the text"):
        parse_type("f32 f32")


def test_highlight_adds_colours_and_nothing_else() -> None:
    coloured = highlight(DESIGN)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == DESIGN


def test_text_of_many_ops_is_linear() -> None:
    fn, b = new_function("f", [tensor_type("f32", (4,))], ["x"])
    v = fn.params[0]
    for i in range(10_000):
        v = b.emit(get("neg"), [v])[0]
        v.name = "x" if i % 2 else ""
    b.ret([v])
    assert_round_trip(fn)
