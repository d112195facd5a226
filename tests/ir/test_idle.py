"""Writes of what is there already: their reverse passes the cotangent on, and only theirs does."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.ir.graph import Function
from pullback.ir.idle import idle
from pullback.ir.parser import parse
from pullback.ir.reverse import reverse

from .loop_checks import RNG, SIMPLIFY, check

HEAD = """
func @f(%a: f64[6], %m: f64[3], %i: i32, %j: i32) -> f64[6] {
  %zero = constant 0.0 : f64
  %c = gt %m, %zero : bool[3]
  %d = lt %m, %zero : bool[3]
  %e = gt %m, %zero : bool[3]
  %s = slice %a, %i {starts = [none], sizes = [3], strides = [1]} : f64[3]
  %t = slice %a, %j {starts = [none], sizes = [3], strides = [1]} : f64[3]
  %u = stop_gradient %s : f64[3]
"""
TAIL = """
  %b = update %a, %v, %i {starts = [none], strides = [1]} : f64[6]
  %w = sin %b : f64[6]
  return %w
}"""
IDLE = {
    "the slot": "%v = reshape %s {shape = [3]} : f64[3]",
    "masked": "%x = where %c, %s, %u : f64[3]\n%v = where %e, %x, %s : f64[3]",
    "masked in another shape": "%r = reshape %s {shape = [1, 3]} : f64[1, 3]\n"
    "%q = reshape %c {shape = [1, 3]} : bool[1, 3]\n"
    "%k = reshape %u {shape = [1, 3]} : f64[1, 3]\n%x = where %q, %r, %k : f64[1, 3]\n"
    "%y = reshape %x {shape = [3]} : f64[3]\n%v = where %e, %y, %s : f64[3]",
}
BUSY = {
    "another slot": "%v = reshape %t {shape = [3]} : f64[3]",
    "without gradient": "%v = reshape %u {shape = [3]} : f64[3]",
    "another mask": "%x = where %d, %s, %u : f64[3]\n%v = where %c, %x, %s : f64[3]",
    "the other branch": "%x = where %c, %u, %s : f64[3]\n%v = where %c, %x, %s : f64[3]",
    "half of another slot": "%v = where %c, %s, %t : f64[3]",
}
ARGS = [RNG.uniform(-1, 1, 6), RNG.uniform(-1, 1, 3), np.int32(1), np.int32(2)]


def program(text: str) -> Function:
    return parse(HEAD + text + TAIL)


def write(fn: Function) -> bool:
    return idle(next(op for op in fn.body.ops if op.kind.name == "update"))


@pytest.mark.parametrize("text", IDLE.values(), ids=list(IDLE))
def test_an_idle_write_has_no_reverse(text: str) -> None:
    fn = program(text)
    assert write(fn)
    back = SIMPLIFY.run(reverse(fn, [0]))
    assert not [op for op in back.body.ops if op.kind.name == "add_at"]
    check(fn, ARGS)


@pytest.mark.parametrize("text", BUSY.values(), ids=list(BUSY))
def test_other_writes_are_busy(text: str) -> None:
    fn = program(text)
    assert not write(fn)
    if "%u" not in text:  # differences do not know of stop_gradient
        check(fn, ARGS)
