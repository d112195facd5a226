"""Elementwise public ops against mpmath and NumPy; those built from others against their definition."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, close, same

POINTS = np.array([-0.9, -0.3, 0.2, 0.75])
POSITIVE = np.array([0.3, 1.1, 2.5, 7.0])


@pytest.mark.parametrize(
    ("name", "oracle", "points"),
    [
        ("sin", "sin", POINTS),
        ("cos", "cos", POINTS),
        ("tan", "tan", POINTS),
        ("sinh", "sinh", POINTS),
        ("cosh", "cosh", POINTS),
        ("tanh", "tanh", POINTS),
        ("asin", "asin", POINTS),
        ("acos", "acos", POINTS),
        ("atan", "atan", POINTS),
        ("asinh", "asinh", POINTS),
        ("acosh", "acosh", POSITIVE + 1),
        ("atanh", "atanh", POINTS),
        ("exp", "exp", POINTS),
        ("expm1", "expm1", POINTS),
        ("log", "log", POSITIVE),
        ("log1p", "log1p", POSITIVE),
        ("sqrt", "sqrt", POSITIVE),
        ("erf", "erf", POINTS),
        ("erfc", "erfc", POINTS),
        ("erfinv", "erfinv", POINTS),
    ],
)
def test_as_mpmath_with_gradient(name: str, oracle: str, points: Any) -> None:
    f = getattr(pb.math, name)
    want = [float(getattr(mpmath, oracle)(v)) for v in points.tolist()]
    close(f(pb.constant(points)), want, rtol=1e-13, atol=0)
    slope = [float(mpmath.diff(getattr(mpmath, oracle), v)) for v in points.tolist()]
    x = pb.constant(points)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    close(tape.gradient(y, x), slope, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erfinv_to_the_edges(dtype: Any) -> None:
    mpmath.mp.dps = 30
    points = np.array([-1, -0.9999999, -0.99, -0.5, 0, 1e-20, 0.3, 0.97, 0.99999, 1, 2, np.nan], dtype)
    want = [
        float(mpmath.erfinv(mpmath.mpf(float(v)))) if abs(v) < 1 else np.inf * v if abs(v) == 1 else np.nan
        for v in points
    ]
    with np.errstate(invalid="ignore"):
        close(pb.math.erfinv(pb.constant(points)), np.array(want, dtype), rtol=8 * np.finfo(dtype).eps, atol=0)


def test_rounding_and_signs() -> None:
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    same(pb.round(x), np.rint(x))
    same(pb.floor(x), np.floor(x))
    same(pb.math.ceil(x), np.ceil(x))
    same(pb.sign([-2, 0, 3]), [-1, 0, 1], "int32")
    same(pb.round([1, 2]), [1, 2], "int32")


def test_guarded_quotients() -> None:
    x, y = np.array([1.0, 2.0, 0.0]), np.array([0.0, 4.0, 3.0])
    same(pb.math.divide_no_nan(x, y), [0.0, 0.5, 0.0])
    same(pb.math.multiply_no_nan([np.nan, 2.0, np.inf], y), [0.0, 8.0, np.inf])
    same(pb.math.reciprocal_no_nan(y), [0.0, 0.25, 1 / 3])
    close(pb.math.xlogy(x, POSITIVE[:3]), x * np.log(POSITIVE[:3]))
    same(pb.math.xlogy([0.0], [0.0]), [0.0])
    same(pb.math.xdivy([0.0], [0.0]), [0.0])
    with pb.GradientTape() as tape:
        a = pb.Variable([1.0, 2.0])
        z = pb.math.divide_no_nan(a, [0.0, 4.0])
    same(tape.gradient(z, a), [0.0, 0.25])


def test_clipping() -> None:
    x = pb.constant([-3.0, 0.5, 3.0])
    same(pb.clip_by_value(x, -1.0, 1.0), [-1.0, 0.5, 1.0])
    with pytest.raises(pb.errors.InvalidArgumentError):
        pb.clip_by_value(x, [[0.0], [1.0]], 5.0)
    close(pb.clip_by_norm([3.0, 4.0], 1.0), [0.6, 0.8])
    same(pb.clip_by_norm([0.3, 0.4], 1.0), np.array([0.3, 0.4], np.float32))
    (a, none, b), n = pb.clip_by_global_norm([pb.constant([3.0]), None, pb.constant([4.0])], 1.0)
    close(a, [0.6])
    close(b, [0.8])
    close(n, 5.0)
    assert none is None
    check_gradient(lambda t: pb.clip_by_norm(t, 1.0), [3.0, 4.0])
    check_gradient(lambda t: pb.clip_by_value(t, -1.0, 1.0), [-3.0, 0.5, 3.0])
    with pytest.raises(TypeError):
        pb.clip_by_global_norm(pb.constant([1.0]), 1.0)


def test_sums_of_lists() -> None:
    same(pb.add_n([[1.0], pb.constant([2.0]), [3.0]]), [6.0])
    with pytest.raises(ValueError, match="at least one"):
        pb.add_n([])
    with pytest.raises(pb.errors.InvalidArgumentError, match="one shape"):
        pb.add_n([pb.ones([2]), pb.ones([1])])


def test_pow_at_the_edges() -> None:
    x, p = pb.Variable([0.0, 0.0, 2.0, -2.0]), pb.Variable([1.0, 0.0, 0.0, 2.0])
    with pb.GradientTape() as tape:
        y = pb.pow(x, p)
    gx, gp = tape.gradient(y, [x, p])
    same(y, [0.0, 1.0, 1.0, 4.0])
    same(gx, [1.0, 0.0, 0.0, -4.0])
    close(gp, [0.0, 0.0, np.log(2.0), 0.0], rtol=1e-6)


def test_gradient_of_ties() -> None:
    a, b = pb.Variable([1.0, 2.0, 3.0]), pb.Variable([1.0, 1.0, 5.0])
    with pb.GradientTape(persistent=True) as tape:
        y = pb.maximum(a, b)
        m = pb.reduce_max(pb.stack([a, b]))
    same(tape.gradient(y, a), [1.0, 1.0, 0.0])
    same(tape.gradient(y, b), [0.0, 0.0, 1.0])
    same(tape.gradient(m, b), [0.0, 0.0, 1.0])
