"""Loops over elements as array ops: which loops go, in which order their ops then stand, what leaves a loop that stays.

The oracle is the interpreter on the loop as it was, to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from pullback.ir.dce import dce
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.vectorise import vectorise
from pullback.ir.verifier import verify

from .element_loops import element_loops, loops
from .programs import Program


def same(fn: Function, args: list[Any]) -> Function:
    """The function vectorised; gives the same results to the bit."""
    new = vectorise(fn)
    verify(new)
    with np.errstate(all="ignore"):
        for got, want in zip(interpret(new, args), interpret(fn, args), strict=True):
            assert np.asarray(got).tobytes() == np.asarray(want).tobytes(), f"{fn}\n{new}"
    return new


def loop(body: str, bounds: str = "%two..%ten step %one", start: str = "%p") -> Function:
    """A loop over i that carries f64[12] %a; %x, %p are arrays."""
    return parse(f"""
    func @f(%x: f64[12], %p: f64[12]) -> f64[12] {{
      %one = constant 1 : i32
      %two = constant 2 : i32
      %ten = constant 10 : i32
      %down = constant -1 : i32
      %r = for %i in {bounds} iter(%a = {start}) -> f64[12] {{
        %m = sub %i, %one : i32
        %n = add %i, %one : i32
        {body}
        yield %b
      }}
      return %r
    }}""")


def read(name: str, array: str, place: str) -> str:
    return f"%{name} = slice %{array}, %{place} {{starts = [none], sizes = [1], strides = [1]}} : f64[1]\n"


def write(name: str, op: str, array: str, value: str, place: str) -> str:
    return f"%{name} = {op} %{array}, %{value}, %{place} {{starts = [none], strides = [1]}} : f64[12]\n"


ARGS = [np.linspace(-1, 2, 12), np.linspace(3, 5, 12) ** 2]
STENCIL = read("u", "x", "m") + read("v", "x", "n") + "%w = mul %u, %v : f64[1]\n" + write("b", "update", "a", "w", "i")
SHIFT_DOWN = read("u", "a", "n") + write("b", "update", "a", "u", "i")  # a[i] = a[i+1]: upwards each reads the old one
SHIFT_UP = read("u", "a", "m") + write("b", "update", "a", "u", "i")  # a[i] = a[i-1]: upwards all become a[1]
SCATTER = (
    read("u", "x", "i")
    + write("c", "add_at", "a", "u", "n")
    + write("d", "add_at", "c", "u", "m")
    + write("b", "add_at", "d", "u", "i")
)


@pytest.mark.parametrize(
    ("body", "bounds", "left"),
    [
        (STENCIL, "%two..%ten step %one", 0),
        (STENCIL, "%ten..%two step %down", 0),
        (STENCIL, "%two..%ten step %two", 0),
        (SHIFT_DOWN, "%two..%ten step %one", 0),
        (SHIFT_DOWN, "%ten..%one step %down", 1),
        (SHIFT_UP, "%two..%ten step %one", 1),
        (SHIFT_UP, "%ten..%one step %down", 0),
        (SHIFT_UP, "%two..%ten step %two", 0),  # written and read elements never meet
        (SCATTER, "%two..%ten step %one", 0),
        (SCATTER, "%ten..%one step %down", 0),
    ],
)
def test_loops_go_where_the_order_of_trips_does_not_matter(body: str, bounds: str, left: int) -> None:
    assert loops(same(loop(body, bounds), ARGS)) == left


def test_sums_keep_the_order_of_the_trips() -> None:
    up, down = (same(loop(SCATTER, b), ARGS) for b in ("%two..%ten step %one", "%ten..%one step %down"))

    def starts(fn: Function) -> list[int]:
        return [op.attrs["starts"][0] for op in fn.body.ops if op.kind.name == "add_at"]

    assert starts(up) == sorted(starts(up), reverse=True)
    assert starts(down) == sorted(starts(down))


def test_rows_and_columns_of_a_matrix() -> None:
    fn = parse("""
    func @f(%x: f64[6, 8], %k: i32) -> f64[6, 8] {
      %zero = constant 0 : i32
      %one = constant 1 : i32
      %six = constant 6 : i32
      %eight = constant 8 : i32
      %r = for %i in %zero..%six step %one iter(%a = %x) -> f64[6, 8] {
        %s = for %j in %one..%eight step %one iter(%b = %a) -> f64[6, 8] {
          %m = sub %j, %one : i32
          %u = slice %x, %i, %m {starts = [none, none], sizes = [1, 1], strides = [1, 1]} : f64[1, 1]
          %v = slice %x, %k, %j {starts = [none, none], sizes = [1, 1], strides = [1, 1]} : f64[1, 1]
          %w = mul %u, %v : f64[1, 1]
          %c = add_at %b, %w, %i, %j {starts = [none, none], strides = [1, 1]} : f64[6, 8]
          yield %c
        }
        yield %s
      }
      return %r
    }""")
    x = np.arange(48.0).reshape(6, 8)
    for k in (0, 3, 5):
        assert loops(same(fn, [x, np.int32(k)])) == 1


@pytest.mark.parametrize("place", ["%x, %k", "%x, %j"])
def test_an_index_that_may_be_out_of_range_leaves_the_loop(place: str) -> None:
    fn = loop("%j = add %n, %two : i32\n%k = mul %i, %i : i32\n"
              f"%u = slice {place} {{starts = [none], sizes = [1], strides = [1]}} : f64[1]\n"
              + write("b", "update", "a", "u", "i"))  # fmt: skip
    assert loops(vectorise(fn)) == 1
    with pytest.raises(Exception, match="out of bounds"):
        interpret(vectorise(fn), ARGS)


def test_an_index_that_wraps_round_is_not_affine() -> None:
    fn = loop("%big = constant 2147483647 : i32\n%j = add %i, %big : i32\n%k = sub %j, %big : i32\n"
              + read("u", "x", "k") + write("b", "update", "a", "u", "i"))  # fmt: skip
    assert loops(same(fn, ARGS)) == 1


def test_dear_values_leave_a_loop_that_stays() -> None:
    fn = parse("""
    func @f(%x: f64[40], %s: f64) -> f64 {
      %low = constant 3 : i32
      %high = constant 39 : i32
      %one = constant 1 : i32
      %r = for %i in %low..%high step %one iter(%a = %s) -> f64 {
        %u = slice %x, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
        %v = reshape %u {shape = []} : f64
        %w = sin %v : f64
        %y = mul %w, %v : f64
        %t = mul %a, %y : f64
        %c = cos %t : f64
        yield %c
      }
      return %r
    }""")
    new = dce(vectorise(fn))
    verify(new)
    (stays,) = (op for op in new.body.ops if op.regions)
    names = [op.kind.name for op in stays.regions[0].ops]
    assert "sin" not in names
    assert names.count("mul") == 1
    assert "cos" in names
    args = [np.linspace(0, 9, 40), np.float64(0.3)]
    np.testing.assert_allclose(interpret(new, args), interpret(fn, args), rtol=1e-13)


def test_values_before_a_loop_are_in_the_order_of_the_index() -> None:
    fn = parse("""
    func @f(%x: f64[40], %s: f64) -> f64 {
      %low = constant 3 : i32
      %high = constant 39 : i32
      %one = constant -1 : i32
      %r = for %i in %high..%low step %one iter(%a = %s) -> f64 {
        %u = slice %x, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
        %v = reshape %u {shape = []} : f64
        %w = exp %v : f64
        %t = mul %a, %w : f64
        %c = add %t, %v : f64
        yield %c
      }
      return %r
    }""")
    new = dce(vectorise(fn))
    verify(new)
    (stays,) = (op for op in new.body.ops if op.regions)
    assert "exp" not in [op.kind.name for op in stays.regions[0].ops]
    args = [np.linspace(0, 0.1, 40), np.float64(0.3)]
    want = 0.3
    for i in range(39, 3, -1):
        want = want * np.exp(args[0][i]) + args[0][i]
    np.testing.assert_allclose(interpret(new, args)[0], want, rtol=1e-12)


seen = {"gone": 0, "stayed": 0}


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(element_loops())
def test_results_stay_the_same_to_the_bit(p: Program) -> None:
    seen["gone" if not loops(same(p.fn, p.args)) else "stayed"] += 1


def test_random_loops_were_of_both_kinds() -> None:
    if sum(seen.values()):
        assert min(seen.values()) > 20, seen
