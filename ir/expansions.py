"""Math functions without a machine form of their own, written in ops that have one: arc and error functions.

Compiled code uses these after differentiation; they are accurate to a few ulp in f32 and f64 and follow NumPy at zeros,
infinities and NaN. The polynomials are Chebyshev interpolants computed with mpmath in 40 digits, with relative errors
as noted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

# (atan(z) / z - 1) / z**2 in powers of z**2 for |z| <= tan(pi/8): 4e-18.
_ATAN = (
    -0.3333333333333333, 0.19999999999999804, -0.14285714285659826, 0.11111111105155164, -0.0909090875348679,
    0.07692296374624841, -0.06666424878422776, 0.05878928913721616, -0.052304536511503345, 0.04551590394759387,
    -0.03457048930586775, 0.016285676314084417,
)  # fmt: skip
# erf(x) / x in powers of x**2 for |x| <= 1: 3e-21.
_ERF = (
    1.1283791670955126, -0.37612638903183754, 0.1128379167095512, -0.02686617064512984, 0.0052239776254232985,
    -0.000854832702193483, 0.00012055332902888736, -1.4925647567519332e-05, 1.6462045441468418e-06,
    -1.6364642158167616e-07, 1.4792401209404813e-08, -1.216456005728345e-09, 8.709045129053106e-11,
    -4.230945824295338e-12,
)  # fmt: skip
# exp(x**2) * erfc(x) / t as a Chebyshev series in t = 2 / (2 + x) on [0, 0.8], that is x >= 0.5: 6e-18.
_ERFC = (
    0.4869974896593381, 0.24101444861760662, 0.03917158019801934, 0.0028202013162589696, -0.0003190025880142985,
    -7.762458294633769e-05, 3.904758903066749e-06, 2.10650100538356e-06, -1.1719156145292982e-07,
    -6.458612977687303e-08, 6.547928118976531e-09, 2.0176470623078224e-09, -3.982401175873017e-10,
    -4.976143621029052e-11, 2.213944839159895e-11, -1.7358623528111e-13, -1.0262097876304724e-12,
    1.4448991184489502e-13, 3.1589800537884334e-14, -1.242896002532121e-14, 3.029584811636206e-16,
    6.422215650726381e-16, -1.3294531893466635e-16, -1.2788608649261552e-17,
)  # fmt: skip


def _number(b: Any, value: float, like: Any) -> Any:
    return b.const(value, b.dtype(like))


def _polynomial(b: Any, coefficients: Sequence[float], t: Any) -> Any:
    """Horner's rule."""
    y = _number(b, coefficients[-1], t)
    for c in reversed(coefficients[:-1]):
        y = y * t + _number(b, c, t)
    return y


def _negative(b: Any, x: Any) -> Any:
    """Whether the sign bit is set, that of -0 included (NaN: no)."""
    zero = _number(b, 0.0, x)
    return b.logical_or(x < zero, b.logical_and(b.eq(x, zero), _number(b, 1.0, x) / x < zero))


def _odd(b: Any, x: Any, magnitude: Any) -> Any:
    """`magnitude` with the sign of x, for a function that is 0 at 0."""
    zero = _number(b, 0.0, x)
    return b.where(b.eq(x, zero), x, b.where(x < zero, -magnitude, magnitude))


def atan(b: Any, x: Any) -> Any:
    """Reduced to |z| <= tan(pi/8) by atan(a) = pi/4 + atan((a - 1) / (a + 1)) = pi/2 + atan(-1 / a)."""
    one, a = _number(b, 1.0, x), b.abs(x)
    far, middle = a > _number(b, 1.0 + math.sqrt(2.0), x), a > _number(b, math.sqrt(2.0) - 1.0, x)
    z = b.where(far, -(one / a), b.where(middle, (a - one) / (a + one), a))
    base = b.where(far, _number(b, math.pi / 2, x), b.where(middle, _number(b, math.pi / 4, x), _number(b, 0.0, x)))
    t = z * z
    return _odd(b, x, base + (z + z * (t * _polynomial(b, _ATAN, t))))


def asin(b: Any, x: Any) -> Any:
    """atan(x / sqrt(1 - x**2)), the square root from its exact factors."""
    one = _number(b, 1.0, x)
    return atan(b, x / b.sqrt((one - x) * (one + x)))


def acos(b: Any, x: Any) -> Any:
    """2 * atan(sqrt((1 - x) / (1 + x)))."""
    one = _number(b, 1.0, x)
    return _number(b, 2.0, x) * atan(b, b.sqrt((one - x) / (one + x)))


def atan2(b: Any, y: Any, x: Any) -> Any:
    """atan(|y| / |x|), reflected into the quadrant."""
    zero, a, c = _number(b, 0.0, x), b.abs(y), b.abs(x)
    # Equal sizes, 0 / 0 and inf / inf among them.
    same = b.where(a > zero, _number(b, 1.0, x), zero)
    angle = atan(b, b.where(b.eq(a, c), same, a / c))
    angle = b.where(_negative(b, x), _number(b, math.pi, x) - angle, angle)
    return b.where(_negative(b, y), -angle, angle)


def asinh(b: Any, x: Any) -> Any:
    """log1p(a + a**2 / (1 + sqrt(1 + a**2))), or log(2 a) where the square could overflow."""
    one, a = _number(b, 1.0, x), b.abs(x)
    square = a * a
    near = b.log1p(a + square / (one + b.sqrt(one + square)))
    return _odd(b, x, b.where(a > _number(b, 1e9, x), b.log(a) + _number(b, math.log(2.0), x), near))


def acosh(b: Any, x: Any) -> Any:
    """log1p(t + sqrt(t * (t + 2))) with t = x - 1, or log(2 x) where the product could overflow."""
    t = x - _number(b, 1.0, x)
    near = b.log1p(t + b.sqrt(t * (t + _number(b, 2.0, x))))
    return b.where(x > _number(b, 1e9, x), b.log(x) + _number(b, math.log(2.0), x), near)


def atanh(b: Any, x: Any) -> Any:
    """log1p(2 a / (1 - a)) / 2."""
    a = b.abs(x)
    return _odd(b, x, _number(b, 0.5, x) * b.log1p((a + a) / (_number(b, 1.0, x) - a)))


def _erfc_tail(b: Any, a: Any) -> Any:
    """erfc(a) for a >= 0.5: exp(-a**2) times a series in 2 / (2 + a)."""
    a = b.minimum(a, _number(b, 30.0, a))  # erfc is 0 there; keeps inf - inf away
    two = _number(b, 2.0, a)
    t = two / (two + a)
    u = t * _number(b, 2.5, a) - _number(b, 1.0, a)
    u2, later, now = u + u, _number(b, 0.0, a), _number(b, _ERFC[-1], a)
    for c in reversed(_ERFC[1:-1]):  # Clenshaw's rule
        later, now = now, u2 * now - later + _number(b, c, a)
    series = u * now - later + _number(b, _ERFC[0], a)
    # a**2 = h**2 + (a - h) * (a + h) with h**2 exact: exp would magnify the rounding of a**2.
    h = b.round(a * _number(b, 16.0, a)) * _number(b, 0.0625, a)
    return b.exp(-(h * h)) * b.exp(-((a - h) * (a + h))) * (t * series)


def erf(b: Any, x: Any) -> Any:
    """A polynomial near 0, 1 - erfc elsewhere."""
    one, a = _number(b, 1.0, x), b.abs(x)
    return b.where(a > one, _odd(b, x, one - _erfc_tail(b, a)), x * _polynomial(b, _ERF, x * x))


def erfc(b: Any, x: Any) -> Any:
    """1 - erf near 0; the tail, reflected for negative x, elsewhere."""
    one, half, a = _number(b, 1.0, x), _number(b, 0.5, x), b.abs(x)
    tail = _erfc_tail(b, a)
    far = b.where(x < _number(b, 0.0, x), _number(b, 2.0, x) - tail, tail)
    return b.where(a > half, far, one - x * _polynomial(b, _ERF, x * x))
