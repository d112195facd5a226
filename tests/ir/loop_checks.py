"""What the tests of loops and branches share: example functions, and checks of both modes against each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.ir.forward import forward
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.partition import Split, split
from pullback.ir.passes import PassManager
from pullback.ir.quiet import Quiet
from pullback.ir.reverse import reverse
from pullback.ir.verifier import verify

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
    """The cotangents through the forward and the backward function, with stacks between them and without."""
    without, back = (through(fn, split(fn, stacks=stacks), args, cts) for stacks in (False, True))
    close(without, back)
    return back


def through(fn: Function, s: Split, args: list[Any], cts: list[Any]) -> list[Any]:
    """The cotangents through the two functions of a cut."""
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
