"""Rounding, remainders and integer arithmetic: exactly what NumPy gives, and no trap where NumPy would warn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pullback.codegen import math_round
from pullback.codegen.scalar import lower

from .elementwise_kernel import NUMPY, Kernel
from .test_math_special import FORMATS, MODES, special_values

Array = np.ndarray[Any, Any]


def same_bits(y: Array, expected: Array) -> None:
    """Equal, the signs of zeros included; any NaN equals any NaN."""
    np.testing.assert_array_equal(y, expected)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(expected[number]))


@MODES
@FORMATS
@pytest.mark.parametrize(
    ("op", "meaning"), [("floor", np.floor), ("ceil", np.ceil), ("trunc", np.trunc), ("round", np.rint)]
)
def test_rounding(op: str, meaning: Callable[..., Array], dtype: str, lanes: int, fma: bool) -> None:
    rng = np.random.default_rng(0)
    t = NUMPY[dtype].type
    halves = np.arange(-20, 20) / 2
    x = np.concatenate([special_values(dtype), halves.astype(t), rng.normal(0, 1e3, 500).astype(t)])
    with np.errstate(over="ignore"):
        x = np.concatenate([x, np.nextafter(x, t(np.inf)), np.nextafter(x, t(-np.inf))])
    y = Kernel(lambda em, v: lower(em, op, [v], dtype, in_dtype=dtype), [dtype], dtype, lanes, fma=fma)(x)
    same_bits(y, meaning(x))


def float_pairs(dtype: str) -> tuple[Array, Array]:
    """All pairs of special values, ordinary pairs, near and exact multiples, quotients of every size."""
    rng = np.random.default_rng(1)
    t = NUMPY[dtype].type
    values = special_values(dtype)
    a, b = (g.ravel() for g in np.meshgrid(values, values))
    n = 400
    whole = rng.integers(-50, 50, n).astype(t), rng.integers(-7, 7, n).astype(t)
    usual = rng.normal(0, 100, n).astype(t), rng.normal(0, 1, n).astype(t)
    divisor = rng.uniform(0.1, 10, n).astype(t)
    multiple = (divisor * rng.integers(-1000, 1000, n).astype(t)).astype(t), divisor
    below = np.nextafter(multiple[0], t(0)), divisor
    decades = 300 if dtype == "f64" else 37
    wild = (10 ** rng.uniform(-decades, decades, n)).astype(t), (10 ** rng.uniform(-decades, decades, n)).astype(t)
    pairs = [(a, b), whole, usual, multiple, below, wild]
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


@MODES
@FORMATS
@pytest.mark.parametrize(("op", "meaning"), [("mod", np.mod), ("floordiv", np.floor_divide)])
def test_float_division_with_remainder(
    op: str, meaning: Callable[..., Array], dtype: str, lanes: int, fma: bool
) -> None:
    a, b = float_pairs(dtype)
    y = Kernel(lambda em, *v: lower(em, op, v, dtype, in_dtype=dtype), [dtype] * 2, dtype, lanes, fma=fma)(a, b)
    with np.errstate(all="ignore"):
        same_bits(y, meaning(a, b))


@MODES
@FORMATS
def test_fmod(dtype: str, lanes: int, fma: bool) -> None:
    a, b = float_pairs(dtype)
    y = Kernel(math_round.fmod, [dtype] * 2, dtype, lanes, fma=fma)(a, b)
    with np.errstate(all="ignore"):
        same_bits(y, np.fmod(a, b))


INTEGERS = pytest.mark.parametrize("dtype", ["i32", "i64"])
LANES = pytest.mark.parametrize("lanes", [0, 8])


def integer_pairs(dtype: str) -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    t = NUMPY[dtype]
    info = np.iinfo(t)
    corners = np.array([0, 1, -1, 2, -2, 3, -3, 7, info.max, info.max - 1, info.min, info.min + 1], t)
    a, b = (g.ravel() for g in np.meshgrid(corners, corners))
    wide = rng.integers(info.min, info.max, (2, 500), dtype=t)
    small = rng.integers(-9, 10, (2, 500), dtype=t)
    return np.concatenate([a, wide[0], small[0], wide[0]]), np.concatenate([b, wide[1], small[1], small[1]])


@LANES
@INTEGERS
@pytest.mark.parametrize(("op", "meaning"), [("mod", np.mod), ("floordiv", np.floor_divide)])
def test_integer_division(op: str, meaning: Callable[..., Array], dtype: str, lanes: int) -> None:
    a, b = integer_pairs(dtype)
    y = Kernel(lambda em, *v: lower(em, op, v, dtype, in_dtype=dtype), [dtype] * 2, dtype, lanes)(a, b)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(y, meaning(a, b))  # NumPy, too, answers 0 for a zero divisor


@LANES
@INTEGERS
def test_integer_pow(dtype: str, lanes: int) -> None:
    a, b = integer_pairs(dtype)
    run = Kernel(lambda em, *v: lower(em, "pow", v, dtype, in_dtype=dtype), [dtype] * 2, dtype, lanes)
    b = np.abs(b) % 70
    np.testing.assert_array_equal(run(a, b), np.power(a, b))
    base = np.array([5, 1, -1, -1, 0, 2], a.dtype)
    exponent = np.array([-1, -7, -2, -3, -1, np.iinfo(a.dtype).min], a.dtype)
    np.testing.assert_array_equal(run(base, exponent), [0, 1, 1, -1, 0, 0])
