"""Loops that a later one repeats: found, put in the earlier one's place, left alone where anything differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir.dce import dce
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.loop_merge import merge_loops
from pullback.ir.parser import parse
from pullback.ir.verifier import verify


def count(fn: Function) -> int:
    return sum(op.kind.name in ("for", "while") for op in fn.body.walk())


def check(text: str, args: list[Any], before: int, after: int) -> Function:
    fn = parse(text)
    verify(fn)
    assert count(fn) == before
    new = dce(merge_loops(fn))
    verify(new)
    assert count(new) == after, str(new)
    for got, want in zip(interpret(new, args), interpret(fn, args), strict=True):
        np.testing.assert_array_equal(got, want)
    return new


SAVING = """
func @f(%n: i32, %x: f64, %y: f64) -> (f64, f64, f64) {{
  %zero = constant 0 : i32
  %one = constant 1 : i32
  %r = for %i in %zero..%n step %one iter(%a = %x) -> f64 {{
    %s = sin %a : f64
    %t = mul %s, %y : f64
    yield %t
  }}
  %u = add %r, %x : f64
  %e = constant 5.0 : f64
  %c, %q = for %i in %zero..{bound} step %one iter(%a = {start}, %b = %e) -> (f64, f64) {{
    %s = sin %a : f64
    %t = {op} %s, %y : f64
    %w = mul %b, %s : f64
    yield %t, %w
  }}
  return %u, %c, %q
}}"""
ARGS = [np.int32(5), np.float64(0.5), np.float64(1.5)]


def test_a_loop_with_more_to_carry_takes_the_place_of_the_first() -> None:
    new = check(SAVING.format(bound="%n", start="%x", op="mul"), ARGS, 2, 1)
    kinds = [op.kind.name for op in new.body.ops]
    assert kinds.index("for") < kinds.index("add")


@pytest.mark.parametrize(
    ("bound", "start", "op"),
    [
        ("%one", "%x", "mul"), ("%n", "%y", "mul"), ("%n", "%x", "add"), ("%n", "%r", "mul"), ("%n", "%u", "mul"),
    ],
)  # fmt: skip
def test_loops_that_differ_stay(bound: str, start: str, op: str) -> None:
    check(SAVING.format(bound=bound, start=start, op=op), ARGS, 2, 2)


SUMMING = """
func @f(%n: i32, %x: f64, %y: f64) -> (f64, f64, f64) {{
  %zero = constant 0 : i32
  %one = constant 1 : i32
  %e = constant 5.0 : f64
  %r, %l = for %i in %zero..%n step %one iter(%a = %x, %b = %y) -> (f64, f64) {{
    %s = sin %a : f64
    %t = mul %s, %y : f64
    %v = mul %t, %{reads} : f64
    %w = add %b, %v : f64
    yield %t, %w
  }}
  %c, %q = for %i in %zero..%n step %one iter(%a = %x, %b = %e) -> (f64, f64) {{
    %s = sin %a : f64
    %t = mul %s, %y : f64
    %w = mul %b, %s : f64
    yield %t, %w
  }}
  %u = add %l, %q : f64
  return %r, %c, %{gives}
}}"""


@pytest.mark.parametrize("reads", ["a", "s", "b", "x"])
@pytest.mark.parametrize("gives", ["l", "u"])
def test_a_sum_that_only_the_first_loop_carries_is_carried_by_the_second(reads: str, gives: str) -> None:
    text = SUMMING.format(reads=reads, gives=gives)
    check(text, ARGS, 2, 1)
    check(text, [np.int32(0), *ARGS[1:]], 2, 1)


def test_what_the_second_loop_cannot_be_given_leaves_both() -> None:
    """The second loop starts from what only the first one gives, or a print would have to move with the sum."""
    text = SUMMING.format(reads="a", gives="u")
    check(text.replace("%b = %e)", "%b = %l)"), ARGS, 2, 2)
    line = "%v = mul %t, %a : f64"
    assert line in text
    check(text.replace(line, line + '\n    print %v {segments = ["", "\\n"]}'), ARGS, 2, 2)


def test_what_the_second_loop_starts_from_moves_before_it_unless_it_comes_from_the_first() -> None:
    text = SAVING.format(bound="%n", start="%x", op="mul")
    check(text.replace("%e = constant 5.0 : f64", "%e = add %x, %y : f64"), ARGS, 2, 1)
    check(text.replace("%e = constant 5.0 : f64", "%e = add %u, %y : f64"), ARGS, 2, 2)


def test_inner_loops_branches_and_conditions() -> None:
    body = """
      %c = lt %a, %y : bool
      %p = if %c -> f64 {{
        %m = mul %a, %y : f64
        yield %m
      }} else {{
        yield %a
      }}
      %w, %k{more} = while iter(%g = %p, %h = %n{start}) -> (f64, i32{type}) {{
        %d = lt %zero, %h : bool
        yield %d
      }} do {{
        %l = sub %h, %one : i32
        %o = sin %g : f64
        {extra}
        yield %o, %l{given}
      }}"""
    plain = body.format(more="", start="", type="", extra="", given="")
    saving = body.format(more=", %v", start=", %z = %b", type=", f64", extra="%vv = add %z, %g : f64", given=", %vv")
    check(
        f"""
    func @f(%n: i32, %x: f64, %y: f64) -> (f64, f64) {{
      %zero = constant 0 : i32
      %one = constant 1 : i32
      %r = for %i in %zero..%n step %one iter(%a = %x) -> f64 {{{plain}
        yield %w
      }}
      %q, %t = for %i in %zero..%n step %one iter(%a = %x, %b = %y) -> (f64, f64) {{{saving}
        yield %w, %v
      }}
      return %r, %t
    }}""",
        ARGS,
        4,
        2,
    )


def test_a_loop_that_prints_or_asserts_stays_where_it_is() -> None:
    text = SAVING.format(bound="%n", start="%x", op="mul")
    text = text.replace("%w = mul", '%ok = lt %i, %n : bool\n    assert %ok {message = "no"}\n    %w = mul')
    check(text, ARGS, 2, 2)


def test_two_stacks_stay_two() -> None:
    loop = """
      %k{0} = stack_new {{dtype = f64, shape = []}} : stack<f64>
      %r{0}, %s{0} = for %i in %zero..%n step %one iter(%a = %x, %k = %k{0}) -> (f64, stack<f64>) {{
        %p = push %k, %a : stack<f64>
        %t = mul %a, %y : f64
        yield %t, %p
      }}
      %e{0}, %v{0} = pop %s{0} : (stack<f64>, f64)"""
    check(
        "func @f(%n: i32, %x: f64, %y: f64) -> (f64, f64) {\n%zero = constant 0 : i32\n%one = constant 1 : i32"
        + loop.format("1") + loop.format("2") + "\n%w = mul %r1, %r2 : f64\n%z = add %v1, %v2 : f64\nreturn %w, %z\n}",
        ARGS, 2, 2,
    )  # fmt: skip


def test_a_loop_may_repeat_an_earlier_one() -> None:
    text = SAVING.format(bound="%n", start="%x", op="mul")
    first, second = text.index("%r = for"), text.index("%u = add")
    last = text.index("return")
    loops = text[:first] + text[second:last].replace("%u = add %r, %x : f64\n", "") + text[first:second]
    check(loops + "%u = add %r, %x : f64\n  return %u, %c, %q\n}", ARGS, 2, 1)


@pytest.mark.parametrize(("other", "once"), [("mul %s, %b", True), ("mul %s, %x", False)])
def test_what_is_carried_twice_is_carried_once(other: str, once: bool) -> None:
    fn = parse(f"""
    func @f(%n: i32, %x: f64, %y: f64) -> (f64, f64, f64) {{
      %zero = constant 0 : i32
      %one = constant 1 : i32
      %p, %q, %r = for %i in %zero..%n step %one iter(%a = %x, %b = %y, %c = %y) -> (f64, f64, f64) {{
        %s = sin %a : f64
        %t = mul %s, %b : f64
        %u = {other.replace("%b", "%c")} : f64
        yield %s, %t, %u
      }}
      %l, %m = for %i in %zero..%n step %one iter(%a = %x, %b = %y) -> (f64, f64) {{
        %s = cos %a : f64
        yield %s, %b
      }}
      return %p, %q, %r
    }}""")
    new = dce(merge_loops(fn))
    verify(new)
    assert (len(new.body.ops[-2].results) == 2) is once
    for got, want in zip(interpret(new, ARGS), interpret(fn, ARGS), strict=True):
        np.testing.assert_array_equal(got, want)
