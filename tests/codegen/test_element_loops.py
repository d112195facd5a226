"""Element loops and their gradients in native code: compiled == interpreted, one pass per line of the program."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from pullback.codegen.compile import compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir.cse import cse
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.reverse import reverse
from pullback.ir.simplify import canon

from ..ir.element_loops import element_loops
from ..ir.programs import Program
from .compiled import array, check_function

STENCIL = """
func @f(%x: {t}[{n}]) -> {t}[{n}] {{
  %zero = constant 0 : i32
  %one = constant 1 : i32
  %steps = constant 5 : i32
  %end = constant {end} : i32
  %c = constant 0.25 : {t}
  %u = for %t in %zero..%steps step %one iter(%a = %x) -> {t}[{n}] {{
    %p = for %i in %one..%end step %one iter(%b = %a) -> {t}[{n}] {{
      %m = sub %i, %one : i32
      %k = add %i, %one : i32
      %l = slice %a, %m {{starts = [none], sizes = [1], strides = [1]}} : {t}[1]
      %r = slice %a, %k {{starts = [none], sizes = [1], strides = [1]}} : {t}[1]
      %o = slice %a, %i {{starts = [none], sizes = [1], strides = [1]}} : {t}[1]
      %s = add %l, %r : {t}[1]
      %d = mul %s, %c : {t}[1]
      %q = mul %o, %o : {t}[1]
      %w = sub %d, %q : {t}[1]
      %v = update %b, %w, %i {{starts = [none], strides = [1]}} : {t}[{n}]
      yield %v
    }}
    yield %p
  }}
  return %u
}}"""


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(element_loops())
def test_compiled_loops_are_the_interpreted_ones(p: Program) -> None:
    with np.errstate(all="ignore"):
        check_function(p.fn, p.args, tolerance=1e-12)


@pytest.mark.parametrize("n", [7, 33, 50, 100, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stencil_of_elements_and_its_reverse(n: int, dtype: str) -> None:
    fn = parse(STENCIL.format(n=n, end=n - 1, t="f32" if dtype == "float32" else "f64"))
    x, ct = 0.5 * array([n], dtype), array([n], dtype, seed=1)
    check_function(fn, [x])
    back = reverse(fn, keep_primal=True)
    exe = check_function(back, [x, ct])
    assert "add to" not in exe.kernels  # one pass per step: pieces, no sums into memory
    direction = np.random.default_rng(3).normal(size=n)
    moved = [interpret(parse(STENCIL.format(n=n, end=n - 1, t="f64")), [x + s * 1e-6 * direction])[0] for s in (1, -1)]
    want = float(((moved[0] - moved[1]) / 2e-6 * ct).sum())
    assert abs(float((exe.run([x, ct])[1] * direction).sum()) - want) < 1e-3 * max(1.0, abs(want))


def test_a_stencil_has_no_loop_over_elements_left() -> None:
    exe = compile_function(optimise(parse(STENCIL.format(n=100, end=99, t="f32"))))
    assert exe.kernels.count("for (") == 1


@pytest.mark.parametrize("size", [98, 100, 1000])
def test_unrolled_reads_of_rows_have_no_remainders(size: int) -> None:
    """The second vector of a trip reads a slice of a flattened row: its address is a sum, not a division."""
    fn = parse(f"""
    func @f(%x: f32[5, {size}], %i: i32) -> f32[{size - 2}] {{
      %row = slice %x, %i {{starts = [none, 0], sizes = [1, {size}], strides = [1, 1]}} : f32[1, {size}]
      %flat = reshape %row {{shape = [{size}]}} : f32[{size}]
      %part = slice %flat {{starts = [1], sizes = [{size - 2}], strides = [1]}} : f32[{size - 2}]
      %y = mul %part, %part : f32[{size - 2}]
      return %y
    }}""")
    exe = check_function(fn, [array([5, size]), np.asarray(3, np.int32)])
    assert not re.search(r"urem|gather", exe.llvm)


def test_the_primal_is_computed_once_beside_its_reverse() -> None:
    text = STENCIL.format(n=40, end=39, t="f64")
    primal, back = parse(text), reverse(parse(text))
    body = parse(text).body  # the primal, then the reverse with a loop of its own, in one function
    mapping = dict(zip(back.params, [*body.params, *body.params], strict=True))
    from pullback.ir.graph import Function, clone_op

    ops = [clone_op(op, mapping) for op in back.body.ops]
    end = body.ops.pop()
    body.ops += ops[:-1]
    end.operands += ops[-1].operands
    body.ops.append(end)
    fn = Function("f", body)
    loops = sum(op.kind.name == "for" for op in cse(canon(fn)).body.ops)
    assert loops == 3
    exe = check_function(fn, [0.5 * array([40], "float64")])
    assert exe.kernels.count("for (") == 2
    np.testing.assert_array_equal(
        exe.run([0.5 * array([40], "float64")])[0], interpret(primal, [0.5 * array([40], "float64")])[0]
    )


@pytest.mark.parametrize("op", ["update", "add_at"])
@pytest.mark.parametrize("n", [3, 16, 40, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_writes_downwards(op: str, n: int, dtype: str) -> None:
    t = {"float32": "f32", "float64": "f64", "int32": "i32", "bool": "bool"}[dtype]
    if t == "bool" and op == "add_at":
        return
    fn = parse(f"""
    func @f(%x: {t}[2, 50], %v: {t}[{n // 2}]) -> {t}[2, 50] {{
      %w = reshape %v {{shape = [1, {n // 2}]}} : {t}[1, {n // 2}]
      %r = {op} %x, %w {{starts = [1, 49], strides = [1, -1]}} : {t}[2, 50]
      return %r
    }}""")
    exe = check_function(fn, [array([2, 50], dtype), array([n // 2], dtype, seed=2)])
    assert "scatter" not in exe.llvm


def test_a_second_derivative_has_no_stacks_left() -> None:
    text = STENCIL.format(n=40, end=39, t="f64")
    back = reverse(reverse(parse(text)), wrt=[0, 1])
    args = [0.5 * array([40], "float64"), array([40], "float64", seed=1), array([40], "float64", seed=2)]
    exe = check_function(back, args, tolerance=1e-13)
    assert "push" not in exe.kernels
