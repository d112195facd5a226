"""Loops that run over the active part of a mask only: the same numbers as NumPy on that part, whatever the bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.codegen.compile import Executable, compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir import ops as _ops  # noqa: F401
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse

RNG = np.random.default_rng(5)
MASK = """  %p = iota {{shape = [{n}], axis = 0, dtype = i64}} : i64[{n}]
  %a = ge %p, %low : bool[{n}]
  %b = lt %p, %high : bool[{n}]
  %m = logical_and %a, %b : bool[{n}]
"""
NEUTRAL = {"reduce_sum": "0.0", "reduce_prod": "1.0", "reduce_max": "-inf", "reduce_min": "inf"}
NUMPY = {"reduce_sum": np.sum, "reduce_prod": np.prod, "reduce_max": np.max, "reduce_min": np.min}


def compiled(text: str) -> tuple[Any, Executable]:
    fn = parse(text)
    return fn, compile_function(optimise(fn))


def reduction(name: str, dtype: str, n: int) -> str:
    return (
        f"func @f(%x: {dtype}[{n}], %low: i64, %high: i64) -> {dtype} {{\n" + MASK.format(n=n)
        + f"  %c = constant {NEUTRAL[name]} : {dtype}\n  %y = mul %x, %x : {dtype}[{n}]\n"
        f"  %w = where %m, %y, %c : {dtype}[{n}]\n"
        f"  %r = {name} %w {{axes = [0], keepdims = false}} : {dtype}\n  return %r\n}}"
    )  # fmt: skip


CODES = {(k, d, n): compiled(reduction(k, d, n)) for k in NEUTRAL for d in ("f32", "f64") for n in (5, 64, 301)}
BIG = compiled(reduction("reduce_sum", "f32", 20_000))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(CODES)), st.integers(-3, 305), st.integers(-3, 305))
def test_reductions(key: tuple[str, str, int], low: int, high: int) -> None:
    name, dtype, n = key
    x = RNG.uniform(0.5, 1.2, n).astype({"f32": np.float32, "f64": np.float64}[dtype])
    args = [x, np.int64(low), np.int64(high)]
    fn, code = CODES[key]
    (want,) = interpret(fn, args)
    part = (x * x)[max(low, 0) : max(high, 0)]
    if part.size or name in ("reduce_sum", "reduce_prod"):
        np.testing.assert_allclose(want, NUMPY[name](part), rtol=1e-5 if dtype == "f32" else 1e-12)
    (found,) = code.run([np.asarray(a) for a in args])
    np.testing.assert_allclose(found, want, rtol=1e-5 if dtype == "f32" else 1e-12)


SPANS = [(0, 20_000), (3, 4099), (4090, 4100), (700, 19_999), (9, 9), (12, 5), (0, 1)]


@pytest.mark.parametrize(("low", "high"), SPANS)
def test_sums_in_blocks(low: int, high: int) -> None:
    x = RNG.uniform(0.5, 1.2, 20_000).astype(np.float32)
    x[:low] = np.nan
    x[max(low, high) :] = np.nan
    (found,) = BIG[1].run([x, np.asarray(np.int64(low)), np.asarray(np.int64(high))])
    want = (x * x)[low:high].astype(np.float64).sum()
    np.testing.assert_allclose(found, want, rtol=1e-6)
    assert not np.signbit(found)


def test_the_loop_is_cut() -> None:
    text = CODES["reduce_sum", "f64", 301][1].llvm
    kernel = text[text.index("@k0(") :]
    kernel = kernel[: kernel.index("ret ")]
    assert "smin.i64" in kernel
    assert "icmp sge <" not in kernel  # the mask is not looked at inside


ROWS = """func @f(%x: f64[7, 9], %v: f64[9], %i: i64, %low: i64, %high: i64) -> f64[7, 9] {
  %p = iota {shape = [9], axis = 0, dtype = i64} : i64[9]
  %a = ge %p, %low : bool[9]
  %b = lt %p, %high : bool[9]
  %m0 = logical_and %a, %b : bool[9]
  %m = reshape %m0 {shape = [1, 9]} : bool[1, 9]
  %row = reshape %v {shape = [1, 9]} : f64[1, 9]
  %old = slice %x, %i {starts = [none, 0], sizes = [1, 9], strides = [1, 1]} : f64[1, 9]
  %new = where %m, %row, %old : f64[1, 9]
  %y = update %x, %new, %i {starts = [none, 0], strides = [1, 1]} : f64[7, 9]
  %z = constant -0.0 : f64
  %add = where %m, %new, %z : f64[1, 9]
  %r = add_at %y, %add, %i {starts = [none, 0], strides = [1, 1]} : f64[7, 9]
  return %r
}"""
BLOCK = """func @f(%x: f64[9, 9], %low: i64, %high: i64) -> f64[9, 9] {
  %p = iota {shape = [9], axis = 0, dtype = i64} : i64[9]
  %a = ge %p, %low : bool[9]
  %b = lt %p, %high : bool[9]
  %rows = reshape %a {shape = [9, 1]} : bool[9, 1]
  %columns = reshape %b {shape = [1, 9]} : bool[1, 9]
  %m = logical_and %rows, %columns : bool[9, 9]
  %t = transpose %x {perm = [1, 0]} : f64[9, 9]
  %u = mul %t, %t : f64[9, 9]
  %new = where %m, %u, %x : f64[9, 9]
  %y = update %x, %new {starts = [0, 0], strides = [1, 1]} : f64[9, 9]
  %w = where %m, %x, %x : f64[9, 9]
  %r = add %y, %w : f64[9, 9]
  return %r
}"""
ROWS_CODE, BLOCK_CODE = compiled(ROWS), compiled(BLOCK)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 6), st.integers(-2, 11), st.integers(-2, 11))
def test_writes(i: int, low: int, high: int) -> None:
    x, v = RNG.normal(size=(7, 9)), RNG.normal(size=9)
    want = x.copy()
    want[i, max(low, 0) : max(high, 0)] = 2 * v[max(low, 0) : max(high, 0)]
    (found,) = ROWS_CODE[1].run([x, v, *(np.asarray(np.int64(k)) for k in (i, low, high))])
    np.testing.assert_array_equal(found, want)
    x = RNG.normal(size=(9, 9))
    want = x.copy()
    want[max(low, 0) :, : max(high, 0)] = (x.T * x.T)[max(low, 0) :, : max(high, 0)]
    (found,) = BLOCK_CODE[1].run([x, *(np.asarray(np.int64(k)) for k in (low, high))])
    np.testing.assert_array_equal(found, want + x)
