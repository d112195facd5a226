"""Loops that ask for Ctrl-C compute what they computed before; which loops ask at all. What happens when it comes is in
tests/tracer/test_interrupts.py."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from pullback.codegen import polls
from pullback.codegen.compile import Executable, compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.graph import Function
from pullback.ir.parser import parse
from pullback.ir.ranges import Ranges

from .compiled import check_function
from .test_regions_random import nest, same


def code(text: str) -> Executable:
    return compile_function(optimise(parse(text)))


def asks(text: str) -> int:
    return code(text).llvm.count("call i32 @pb_poll()")


@pytest.fixture(params=[1.0, 4.0, 40.0])
def often(request: Any, monkeypatch: Any) -> None:
    """Every loop asks, after a few trips."""
    monkeypatch.setattr(polls, "SHORT", -1.0)
    monkeypatch.setattr(polls, "BUDGET", request.param)


@pytest.mark.parametrize("seed", range(25))
def test_random_loops_that_ask_often(often: None, seed: int) -> None:
    rng = random.Random(1000 + seed)
    fn: Function = nest(rng.randrange, 12)
    exe = same(fn, rng.randrange(6), {1: 1, 2: 2})
    loops = any(op.kind.name in ("for", "while") for op in exe.fn.body.walk())
    assert ("@pb_poll" in exe.llvm) == loops == exe.library.asks_python


COUNTED = """
func @f(%l: i32, %h: i32, %x: f64) -> (f64, i32) {{
  %r, %k = for %i in %l..%h step {step} iter(%a = %x, %c = %l) -> (f64, i32) {{
    %s = sin %a : f64
    yield %s, %i
  }}
  return %r, %k
}}"""


@pytest.mark.parametrize("step", [1, -1, 2, -3, 1000])
@pytest.mark.parametrize("bounds", [(0, 0), (0, 1), (0, 57), (57, 0), (-(2**31), -(2**31) + 9), (2**31 - 9, 2**31 - 1)])
def test_every_kind_of_counting(often: None, step: int, bounds: tuple[int, int]) -> None:
    args = [np.int32(bounds[0]), np.int32(bounds[1]), np.float64(0.3)]
    exe = check_function(parse(COUNTED.format(step=step)), [np.asarray(a) for a in args], 1e-12)
    assert exe.library.asks_python


WHILE = """
func @f(%x: f64) -> f64 {
  %r = while iter(%a = %x) -> f64 {
    %one = constant 1.0 : f64
    %m = gt %a, %one : bool
    yield %m
  } do {
    %half = constant 0.5 : f64
    %b = mul %a, %half : f64
    yield %b
  }
  return %r
}"""


def loop(trips: str, body: str = "%b = sin %a : f64") -> str:
    return f"""
    func @f(%n: i32, %x: f64) -> f64 {{
      %r = for %i in 0..{trips} iter(%a = %x) -> f64 {{
        {body}
        yield %b
      }}
      return %r
    }}"""


def test_which_loops_ask() -> None:
    assert asks(WHILE) == 1
    assert asks(loop("%n")) == 1  # up to 2**31 trips
    assert asks(loop("1000")) == asks(loop("10000")) == 0
    assert asks(loop("1000000000")) == 1
    inner = """
        %b = for %j in 0..{} iter(%c = %a) -> f64 {{
          %d = sin %c : f64
          yield %d
        }}"""
    assert asks(loop("10", inner.format("10"))) == 0
    assert asks(loop("%n", inner.format("10"))) == 1  # the outer one, which counts the inner one's time
    assert asks(loop("10", inner.format("%n"))) == 2
    assert asks(loop("1000", inner.format("%i"))) == 0  # at most 1000 trips
    assert asks(loop("100000", inner.format("%i"))) == 1  # no inner loop is long


def test_a_stop_costs_no_instruction_in_the_loop() -> None:
    """The hot block of an innermost counted loop has as many instructions as the loop of a fixed, short length."""

    def block(text: str) -> list[str]:
        lines = code(text).llvm.splitlines()
        start = next(k for k, line in enumerate(lines) if line.startswith("for."))
        end = next(k for k in range(start, len(lines)) if " br " in lines[k])
        return [line for line in lines[start : end + 1] if " phi " not in line]

    body = "%b = mul %a, %x : f64"
    assert len(block(loop("%n", body))) == len(block(loop("1000", body)))


def test_a_loop_over_elements_of_large_arrays_asks_as_rarely_as_one_over_numbers() -> None:
    """What a trip costs is the slots it touches, not the arrays that the slots lie in and that are handed on."""
    fn = parse("""
    func @f(%x: f64[1000000]) -> f64[1000000] {
      %one = constant 1 : i32
      %n = constant 1000000 : i32
      %r = for %i in %one..%n step %one iter(%a = %x) -> f64[1000000] {
        %m = sub %i, %one : i32
        %u = slice %a, %m {starts = [none], sizes = [1], strides = [1]} : f64[1]
        %v = slice %a, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
        %w = mul %u, %v : f64[1]
        %b = update %a, %w, %i {starts = [none], strides = [1]} : f64[1000000]
        yield %b
      }
      return %r
    }""")
    (op,) = (op for op in fn.body.ops if op.regions)
    assert polls.Costs(Ranges(fn)).trip(op) < 10
