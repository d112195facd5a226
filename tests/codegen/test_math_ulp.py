"""Every math function against mpmath, over sweeps of its domain: at most 2 units in the last place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pullback.codegen.math_table import MATH
from pullback.codegen.scalar import lower

from .elementwise_kernel import NUMPY, Kernel
from .ulp import EXACT, errors, sweep

# Found maxima are below 1.6; the bound is 2.
BOUND = 2.0
WIDTHS = {"f32": 16, "f64": 8}


def kernel(name: str, dtype: str, lanes: int, fma: bool = True) -> Kernel:
    operands = 2 if name == "pow" else 1
    return Kernel(lambda em, *x: lower(em, name, x, dtype, in_dtype=dtype), [dtype] * operands, dtype, lanes, fma=fma)


def test_every_math_function_has_an_exact_counterpart() -> None:
    assert set(EXACT) == set(MATH)


@pytest.mark.parametrize("fma", [True, False], ids=["fma", "no-fma"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", sorted(MATH))
def test_error_is_at_most_two_units(name: str, dtype: str, fma: bool) -> None:
    x = sweep(name, NUMPY[dtype], 1500)
    y = kernel(name, dtype, WIDTHS[dtype], fma)(*x)
    e = errors(name, x, y)
    worst = int(np.argmax(e))
    assert e[worst] <= BOUND, [float(a[worst]) for a in x]


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", sorted(MATH))
def test_width_does_not_change_a_bit(name: str, dtype: str) -> None:
    x = sweep(name, NUMPY[dtype], 300)
    wide = kernel(name, dtype, WIDTHS[dtype])(*x)
    for lanes in (0, 4):
        np.testing.assert_array_equal(kernel(name, dtype, lanes)(*x).view(np.uint8), wide.view(np.uint8))


REFERENCE = {
    "sigmoid": lambda x: np.where(x > 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "erf": np.vectorize(math.erf),
}


@pytest.mark.parametrize("name", sorted(set(MATH) - {"pow"}))
def test_all_of_float32(name: str) -> None:
    """A hundred thousand bit patterns spread over all of float32, NaN and infinities too, against NumPy in double."""
    x = np.arange(0, 2**32, 41231, dtype=np.uint64).astype(np.uint32).view(np.float32)
    y = kernel(name, "f32", 16)(x)
    with np.errstate(all="ignore"):
        exact = REFERENCE.get(name, getattr(np, name, None))(x.astype(np.float64))
        rounded = exact.astype(np.float32)
        step = np.spacing(np.abs(rounded)).astype(np.float64)
        close = np.abs(y.astype(np.float64) - exact) <= BOUND * np.where(np.isfinite(step), step, 2.0**104)
    assert np.all(close | (y == rounded) | (np.isnan(y) & np.isnan(exact)))
    defined = ~np.isnan(exact)
    np.testing.assert_array_equal(np.signbit(y[defined]), np.signbit(exact[defined]))
