"""Loop-invariant code motion: what moves, what must stay, and that results are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings

from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.graph import Block, Function
from pullback.ir.interpret import interpret
from pullback.ir.licm import licm
from pullback.ir.parser import parse
from pullback.ir.verifier import verify

from .programs import Program, programs


def moved(text: str) -> Function:
    fn = licm(parse(text))
    verify(fn)
    return fn


def names(block: Block) -> list[str]:
    return [op.kind.name for op in block.ops]


def test_invariants_leave_all_loops() -> None:
    fn = moved("""
    func @f(%n: i32, %x: f32[4], %y: f32[4]) -> f32[4] {
      %h = for %i in 0..%n iter(%a = %x) -> f32[4] {
        %g = for %j in 0..%i iter(%b = %a) -> f32[4] {
          %s = sin %y : f32[4]
          %t = mul %s, %a : f32[4]
          %u = add %t, %b : f32[4]
          yield %u
        }
        yield %g
      }
      return %h
    }""")
    assert "sin" in names(fn.body)
    outer = next(op for op in fn.body.ops if op.kind.name == "for").regions[0]
    assert names(outer) == ["constant", "mul", "for", "yield"] or names(outer) == ["mul", "for", "yield"]


def test_what_may_fail_or_writes_stacks_stays() -> None:
    text = """
    func @f(%n: i32, %x: f32[4]) -> f32[1] {
      %z = constant splat 0 : f32[1]
      %h = for %i in 0..%n iter(%a = %z) -> f32[1] {
        %e = slice %x, %n {starts = [none], sizes = [1], strides = [1]} : f32[1]
        %k = slice %x {starts = [2], sizes = [1], strides = [1]} : f32[1]
        %s = stack_new {dtype = f32, shape = [1]} : stack<f32[1]>
        %p = push %s, %e : stack<f32[1]>
        %q, %v = pop %p : (stack<f32[1]>, f32[1])
        %b = add %v, %k : f32[1]
        yield %b
      }
      return %h
    }"""
    fn = moved(text)
    body = next(op for op in fn.body.ops if op.kind.name == "for").regions[0]
    assert names(body) == ["slice", "stack_new", "push", "pop", "add", "yield"]
    np.testing.assert_array_equal(interpret(fn, [np.int32(-9), np.ones(4, np.float32)])[0], [0.0])


def test_outer_products_are_not_stored() -> None:
    fn = moved("""
    func @f(%n: i32, %x: f32[40, 1], %y: f32[1, 50], %z: f32) -> f32 {
      %h = for %i in 0..%n iter(%a = %z) -> f32 {
        %o = mul %x, %y : f32[40, 50]
        %p = mul %o, %a : f32[40, 50]
        %s = reduce_max %p {axes = [0, 1], keepdims = false} : f32
        yield %s
      }
      return %h
    }""")
    assert "mul" not in names(fn.body)


def test_what_is_carried_unchanged_is_not_carried() -> None:
    fn = moved("""
    func @f(%n: i32, %x: f32[4], %y: f32[4]) -> (f32[4], f32[4], f32[4]) {
      %g, %h, %k = for %i in 0..%n iter(%a = %x, %b = %y, %c = %x) -> (f32[4], f32[4], f32[4]) {
        %s = add %a, %b : f32[4]
        yield %s, %b, %a
      }
      %u, %v = while iter(%p = %x, %q = %n) -> (f32[4], i32) {
        %c = lt %q, %n : bool
        yield %c
      } do {
        %one = constant 1 : i32
        %m = add %q, %one : i32
        yield %p, %m
      }
      %r = add %k, %u : f32[4]
      return %g, %h, %r
    }""")
    loops = [op for op in fn.body.ops if op.regions]
    assert [len(op.results) for op in loops] == [2, 1]
    assert fn.results[1] is fn.params[2]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_results_stay_the_same(p: Program) -> None:
    fn = licm(p.fn)
    verify(fn)

    def run(f: Function) -> Any:
        with np.errstate(all="ignore"):
            return interpret(f, p.args)

    for got, want in zip(run(fn), run(p.fn), strict=True):
        np.testing.assert_array_equal(got, want)
