"""Elementwise functions that NumPy has beyond TensorFlow's: other bases, cube root, hypotenuse, sums in the log domain.

Each is a formula over ops with a machine form. NumPy's functions are exact where the answer is (log2(8) is 3, cbrt(27)
is 3), so the formulas try the nearest integer, or take one step of Newton's method.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .derive import zero
from .elementwise import elementwise

_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _number(b: Any, value: float, like: Any) -> Any:
    return b.const(value, b.dtype(like))


def _log(base: float, scale: float) -> Any:
    def formula(b: Any, x: Any) -> Any:
        y = b.log(x) * _number(b, scale, x)
        near = b.round(y)
        return b.where(b.eq(b.pow(_number(b, base, x), near), x), near, y)

    return formula


def _cbrt(b: Any, x: Any) -> Any:
    """|x| ** (1/3) and one step of Newton's method; 0, inf and NaN as they are."""
    a = b.abs(x)
    safe = b.where(b.logical_and(b.is_finite(a), b.ne(a, zero(b, a))), a, _number(b, 1.0, a))
    y = b.pow(safe, _number(b, 1.0 / 3.0, x))
    y = y - (y - safe / (y * y)) / _number(b, 3.0, y)
    y = b.where(b.eq(safe, a), y, a)
    return b.where(b.eq(x, zero(b, x)), x, b.where(x < zero(b, x), -y, y))


def _hypot(b: Any, x: Any, y: Any) -> Any:
    """The larger times sqrt(1 + (smaller / larger)**2), which does not overflow; inf wins over NaN."""
    one, ax, ay = _number(b, 1.0, x), b.abs(x), b.abs(y)
    large, small = b.maximum(ax, ay), b.minimum(ax, ay)
    ratio = small / b.where(b.eq(large, zero(b, large)), one, large)
    length = large * b.sqrt(one + ratio * ratio)
    infinite = b.logical_or(b.is_inf(x), b.is_inf(y))
    return b.where(infinite, _number(b, math.inf, x), length)


def _log_sum(b: Any, x: Any, y: Any, log1p: Any, exp: Any, one: float) -> Any:
    """The larger + log(1 + exp(smaller - larger)); of equal numbers, infinities among them, x + log 2."""
    tail = b.maximum(x, y) + log1p(exp(-b.abs(x - y)))
    return b.where(b.eq(x, y), x + _number(b, one, x), tail)


def _logaddexp(b: Any, x: Any, y: Any) -> Any:
    return _log_sum(b, x, y, b.log1p, b.exp, _LN2)


def _logaddexp2(b: Any, x: Any, y: Any) -> Any:
    return _log_sum(
        b, x, y, lambda t: b.log1p(t) * _number(b, 1.0 / _LN2, x), lambda t: b.pow(_number(b, 2.0, x), t), 1.0
    )


def _share(b: Any, x: Any, other: Any, scale: float) -> Any:
    """exp(x) / (exp(x) + exp(other)): the derivative of the log of the sum by x; a half for equal infinities."""
    apart = b.where(b.eq(x, other), zero(b, x), (x - other) * _number(b, scale, x))
    return b.sigmoid(apart)


def _unit(b: Any, x: Any, length: Any) -> Any:
    """x / length, and 0 at the origin."""
    origin = b.eq(length, zero(b, length))
    return x / b.where(origin, _number(b, 1.0, length), length)


elementwise(
    "log2", np.log2, (lambda b, g, y, x: g / (x * _LN2),), summary="logarithm to base 2",
    formula=_log(2.0, 1.0 / _LN2),
)  # fmt: skip
elementwise(
    "log10", np.log10, (lambda b, g, y, x: g / (x * _LN10),), summary="logarithm to base 10",
    formula=_log(10.0, 1.0 / _LN10),
)  # fmt: skip
elementwise(
    "exp2", np.exp2, (lambda b, g, y, x: g * (y * _LN2),), summary="2 to the power x",
    formula=lambda b, x: b.pow(_number(b, 2.0, x), x),
)  # fmt: skip
elementwise("cbrt", np.cbrt, (lambda b, g, y, x: g / (3.0 * (y * y)),), summary="cube root", formula=_cbrt)
elementwise(
    "hypot",
    np.hypot,
    (lambda b, g, r, x, y: g * _unit(b, x, r), lambda b, g, r, x, y: g * _unit(b, y, r)),
    summary="sqrt(x*x + y*y) without overflow",
    formula=_hypot,
)
elementwise(
    "logaddexp",
    np.logaddexp,
    (lambda b, g, r, x, y: g * _share(b, x, y, 1.0), lambda b, g, r, x, y: g * _share(b, y, x, 1.0)),
    summary="log(exp(x) + exp(y)) without overflow",
    formula=_logaddexp,
)
elementwise(
    "logaddexp2",
    np.logaddexp2,
    (lambda b, g, r, x, y: g * _share(b, x, y, _LN2), lambda b, g, r, x, y: g * _share(b, y, x, _LN2)),
    summary="log2(2**x + 2**y) without overflow",
    formula=_logaddexp2,
)
