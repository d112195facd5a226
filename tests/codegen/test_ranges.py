"""Intervals of integers: bounds of loop indices, wrapping arithmetic, checks that go and checks that stay."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.codegen.compile import compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.graph import Function, Value
from pullback.ir.parser import parse
from pullback.ir.ranges import Ranges

from .compiled import array, check_function


def named(fn: Function) -> dict[str, Value]:
    blocks = [fn.body, *(r for op in fn.body.walk() for r in op.regions)]
    values = [v for b in blocks for v in (*b.params, *(r for op in b.ops for r in op.results))]
    return {v.name: v for v in values}


def test_intervals_of_loops_and_arithmetic() -> None:
    fn = parse("""
    func @f(%n: i32, %c: bool) -> i32 {
      %five = constant 5 : i32
      %r = for %i in 2..10 iter(%a = %n) -> i32 {
        %s = for %j in %i..%n iter(%b = %a) -> i32 {
          %jm = sub %j, %five : i32
          yield %jm
        }
        %t = for %k in %i..0 step -2 iter(%b = %s) -> i32 {
          %p = mul %k, %i : i32
          %big = mul %p, %n : i32
          %w = where %c, %p, %five : i32
          %m = mod %n, %five : i32
          %neg = neg %k : i32
          %least = minimum %n, %k : i32
          yield %m
        }
        %u = for %q in %i..%five step %n iter(%b = %s) -> i32 {
          yield %q
        }
        yield %t
      }
      return %r
    }""")
    v, ranges, low, high = named(fn), Ranges(fn), -(2**31), 2**31 - 1
    wanted = {
        "i": (2, 9), "j": (2, high - 1), "jm": (-3, high - 6), "k": (1, 9), "p": (2, 81), "w": (2, 81), "m": (0, 4),
        "neg": (-9, -1), "least": (low, 9), "big": (low, high), "q": (2, 9), "n": (low, high),
    }  # fmt: skip
    assert {name: ranges.of(v[name]) for name in wanted} == wanted
    assert ranges.offset(v["jm"]) == (v["j"], -5)
    assert ranges.offset(v["p"]) == (v["p"], 0)


TEXT = """
func @f(%n: i32, %x: f64[8]) -> f64[8] {{
  %c = constant {c} : i32
  %r = for %i in {low}..{high} iter(%a = %x) -> f64[8] {{
    %k = sub %i, %c : i32
    %e = slice %a, %k {{starts = [none], sizes = [1], strides = [1]}} : f64[1]
    %s = sin %e : f64[1]
    %b = update %a, %s, %i {{starts = [none], strides = [1]}} : f64[8]
    yield %b
  }}
  return %r
}}"""


@pytest.mark.parametrize(
    ("c", "low", "high", "checks"),
    # Of the fourth the same element is read and written: one check serves both.
    [(1, "1", "8", 0), (1, "0", "8", 1), (-1, "0", "8", 1), (0, "0", "%n", 1), (-1, "0", "7", 0), (1, "1", "9", 1)],
)
def test_checks_go_where_the_text_says_so(c: int, low: str, high: str, checks: int) -> None:
    fn = parse(TEXT.format(c=c, low=low, high=high))
    args = [np.asarray(np.int32(5)), array((8,), "float64")]
    wrong = (c, low, high) in ((1, "0", "8"), (-1, "0", "8"), (1, "1", "9"))
    if wrong:
        exe = compile_function(optimise(fn))
        with pytest.raises(Exception, match="index is out of range"):
            exe.run(args)
    else:
        exe = check_function(fn, args, 1e-14)
    assert exe.llvm.count("icmp ult i64") == checks


def test_an_index_that_wraps_round_is_checked() -> None:
    fn = parse("""
    func @f(%x: f64[4]) -> f64 {
      %z = constant 0.0 : f64
      %r = for %i in 2147483640..2147483647 iter(%a = %z) -> f64 {
        %k = add %i, %i : i32
        %e = slice %x, %k {starts = [none], sizes = [1], strides = [1]} : f64[1]
        %s = reshape %e {shape = []} : f64
        yield %s
      }
      return %r
    }""")
    exe = compile_function(optimise(fn))
    with pytest.raises(Exception, match="index is out of range"):
        exe.run([array((4,), "float64")])
