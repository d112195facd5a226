"""The gamma function's relatives and Bessel's functions i0 and i1: formulas over ops with a machine form.

All is computed in double precision (float32 is cast there and back): by polynomials or power series in the middle, by
asymptotic series far out, by reflection for negative arguments. Series: Abramowitz and Stegun, 6.1.41, 6.3.18, 6.3.7,
6.4.10, 9.6.10 and 9.7.1; the zeta function by the Euler-Maclaurin formula. No argument needs a loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from .builder import RAW
from .dtypes import float64
from .elementwise import Expanded, elementwise
from .graph import Attrs
from .opdef import Needs, register
from .quiet import Quiet

# lgamma(x) / ((x - 1) (x - 2)) and digamma(x) / (x - root) on [1, 2], as polynomials in x - 1.5: interpolated at 24
# Chebyshev points in 60 digits (tests/ir/test_gamma.py does it again).
LGAMMA = (
    0.4831289505409809, -0.14595989591430608, 0.06291140107456496, -0.03130848750101101, 0.01679709863118352,
    -0.009425622448467657, 0.005446457844800713, -0.0032120740773551953, 0.0019229161306902386,
    -0.0011644144679247021, 0.0007115224750426455, -0.0004379952605342461, 0.00027127400224009565,
    -0.00016889233273334643, 0.00010565261976836096, -6.633218881329272e-05, 4.159729145290115e-05,
    -2.628414257610881e-05, 1.7455601766662794e-05, -1.1093831935230702e-05, 4.939312310674292e-06,
    -3.141701075555155e-06, 5.243347943772127e-06, -3.3634106716698643e-06,
)  # fmt: skip
DIGAMMA = (
    0.9510558760318328, -0.42362742128146047, 0.24054248424078736, -0.14840492305391761, 0.09498872445283,
    -0.06192213327165706, 0.04076083394462657, -0.02697579684427536, 0.017907248195969127, -0.011908215172584002,
    0.007927024067961237, -0.00528001782089874, 0.0035180800751066694, -0.002344650082351321, 0.0015635679757533885,
    -0.001042261556504223, 0.0006899717801166841, -0.0004599625144612576, 0.0003268068044141764,
    -0.0002178682145501451, 9.173383289174792e-05, -6.11554261750751e-05, 0.00012230983055406747,
    -8.153978973309418e-05,
)  # fmt: skip
ROOT, ROOT_LOW = 1.4616321449683622, 9.549995429965697e-17  # where digamma is 0
_FAR = 8  # where asymptotic series begin


@cache
def _bernoulli(n: int) -> Fraction:
    """The n-th Bernoulli number."""
    if n == 0:
        return Fraction(1)
    return -sum((math.comb(n + 1, k) * _bernoulli(k) for k in range(n)), Fraction(0)) / (n + 1)


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Horner's rule; the constant first."""
    y = x * float(coefficients[-1])
    for c in coefficients[-2:0:-1]:
        y = (y + float(c)) * x
    return y + float(coefficients[0])


def _double(formula: Callable[..., Any]) -> Callable[..., Any]:
    """The formula in float64, whatever float it is given."""

    def run(b: Any, x: Any, *rest: Any) -> Any:
        dtype = b.dtype(x)
        if dtype is float64:
            return formula(b, x, *rest)
        return b.cast(formula(b, b.cast(x, dtype=float64), *rest), dtype=dtype)

    return run


def _meaning(formula: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *rest: np.asarray(formula(RAW, x, *rest))


def _number(b: Any, value: float) -> Any:
    return b.const(value, float64)


def _shift(b: Any, x: Any) -> Any:
    """How far x lies above [1, 2): a whole number, at least -1; for NaN and what is far out some number."""
    whole = b.minimum(b.floor(x), _number(b, _FAR)) - 1.0
    return b.maximum(whole, _number(b, -1.0))


def _sine_of_pi(b: Any, x: Any) -> tuple[Any, Any]:
    """sin(pi x) and cos(pi x) but for their signs, which both change from one whole number to the next."""
    angle = (x - b.round(x)) * math.pi
    return b.sin(angle), b.cos(angle)


# -- the logarithm of gamma ------------------------------------------------------------------------------------------

def _positive_lgamma(b: Any, x: Any) -> Any:
    k = _shift(b, x)
    low = x - k  # in [1, 2); its distances from 1 and 2 are taken from x, where they are exact
    under = k < _number(b, 0.0)  # lgamma(x) = lgamma(x + 1) - log(x)
    factors = b.where(under, x, _number(b, 1.0))
    for i in range(1, _FAR - 1):
        factors = b.where(k >= _number(b, i), factors * (x - float(i)), factors)
    logarithm = b.log(factors)
    near = (x - (k + 1.0)) * (x - (k + 2.0)) * _polynomial(LGAMMA, low - 1.5)
    near = near + b.where(under, -logarithm, logarithm)
    inverse = _number(b, 1.0) / x
    series = [float(_bernoulli(2 * j) / (2 * j * (2 * j - 1))) for j in range(1, 11)]
    rest = _polynomial(series, inverse * inverse) * inverse + (0.5 * math.log(2 * math.pi) - 0.5)
    far = (x - 0.5) * (b.log(x) - 1.0) + rest
    return b.where(x < _number(b, _FAR), near, far)


@_double
def _lgamma(b: Any, x: Any) -> Any:
    """For negative x by gamma(x) gamma(1 - x) = pi / sin(pi x)."""
    negative = x < _number(b, 0.0)
    size = _positive_lgamma(b, b.where(negative, _number(b, 1.0) - x, x))
    sine, _ = _sine_of_pi(b, x)
    reflected = b.log(_number(b, math.pi) / b.abs(sine)) - size
    return b.where(b.is_inf(x), _number(b, math.inf), b.where(negative, reflected, size))


# -- its derivatives -------------------------------------------------------------------------------------------------

def _positive_digamma(b: Any, x: Any) -> Any:
    k = _shift(b, x)
    total = b.where(k < _number(b, 0.0), _number(b, -1.0) / x, _number(b, 0.0))
    for i in range(1, _FAR - 1):
        total = b.where(k >= _number(b, i), total + _number(b, 1.0) / (x - float(i)), total)
    low = x - k
    root = (x - (k + ROOT)) - ROOT_LOW
    root = b.where(b.eq(k, _number(b, 0.0)), (x - ROOT) - ROOT_LOW, root)
    near = root * _polynomial(DIGAMMA, low - 1.5) + total
    inverse = _number(b, 1.0) / x
    square = inverse * inverse
    series = [float(_bernoulli(2 * j) / (2 * j)) for j in range(1, 11)]
    far = b.log(x) - inverse * 0.5 - _polynomial(series, square) * square
    return b.where(x < _number(b, _FAR), near, far)


@_double
def _digamma(b: Any, x: Any) -> Any:
    """For negative x by digamma(1 - x) - digamma(x) = pi / tan(pi x); NaN at the poles."""
    negative = x < _number(b, 0.0)
    size = _positive_digamma(b, b.where(negative, _number(b, 1.0) - x, x))
    sine, cosine = _sine_of_pi(b, x)
    y = b.where(negative, size - cosine * math.pi / sine, size)
    pole = b.logical_and(b.eq(x, b.floor(x)), x <= _number(b, 0.0))
    return b.where(pole, _number(b, math.nan), y)


def _power(x: Any, n: int) -> Any:
    """x ** n for n >= 1 by squaring."""
    half = None if n == 1 else _power(x, n // 2)
    return x if half is None else half * half * x if n % 2 else half * half


def _zeta(b: Any, s: int, q: Any) -> Any:
    """The sum of (q + k) ** -s over k = 0, 1, ..., for q > 0 and s > 1."""
    one, terms = _number(b, 1.0), 10 + s
    total = one / _power(q, s)
    for k in range(1, terms):
        total = total + one / _power(q + float(k), s)
    w = q + float(terms)
    inverse = one / w
    series, rising = [], Fraction(s)
    for j in range(1, 11):
        series.append(float(_bernoulli(2 * j) * rising / math.factorial(2 * j)))
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    tail = w * (1.0 / (s - 1)) + 0.5 + _polynomial(series, inverse * inverse) * inverse
    return b.where(b.is_inf(q), _number(b, 0.0), total + tail / _power(w, s))


@_double
def _polygamma(b: Any, x: Any, order: int) -> Any:
    """(-1)^(n+1) n! zeta(n + 1, x); for negative x the n-th derivative of digamma's reflection.

    With c = 1 / tan(pi x) that is (-1)^n polygamma(1 - x) - pi P(c); P starts as c, and dP/dx = -pi (1 + c^2) P'(c).
    """
    negative = x < _number(b, 0.0)
    value = _zeta(b, order + 1, b.where(negative, _number(b, 1.0) - x, x)) * float(math.factorial(order))
    reflection: list[float] = [0.0, 1.0]
    for _ in range(order):
        slope = [-math.pi * k * c for k, c in enumerate(reflection)][1:]
        reflection = [p + q for p, q in zip([*slope, 0.0, 0.0], [0.0, 0.0, *slope], strict=True)]
    sine, cosine = _sine_of_pi(b, x)
    below = _polynomial(reflection, cosine / sine) * math.pi
    sign = -1.0 if order % 2 == 0 else 1.0
    y = b.where(negative, -value - below, value * sign)
    pole = b.logical_and(b.eq(x, b.floor(x)), x <= _number(b, 0.0))
    return b.where(pole, _number(b, math.inf if order % 2 else math.nan), y)


class Polygamma(Expanded):
    """The derivative of digamma of an order from 1 on, an attribute; its own derivative is that of the next order."""

    attrs = ("order",)

    def __init__(self) -> None:
        super().__init__("polygamma", np.add, (None,), "float", "same", "the `order`-th derivative of digamma")
        self.lowering = None
        self.differentiable = True

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The formula on arrays."""
        with Quiet():
            return np.asarray(_polygamma(RAW, xs[0], attrs["order"]))

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """Times the next order."""
        return (None if ts[0] is None else ts[0] * b.polygamma(xs[0], order=attrs["order"] + 1),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """Times the next order."""
        return (None if cts[0] is None else cts[0] * b.polygamma(xs[0], order=attrs["order"] + 1),)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The formula."""
        return _polygamma(b, xs[0], attrs["order"])


register(Polygamma())
elementwise(
    "lgamma", _meaning(_lgamma), (lambda b, g, y, x: g * b.digamma(x),), summary="log of the size of gamma(x)",
    formula=_lgamma,
)  # fmt: skip
elementwise(
    "digamma", _meaning(_digamma), (lambda b, g, y, x: g * b.polygamma(x, order=1),),
    summary="the derivative of lgamma; NaN at its poles", formula=_digamma,
)  # fmt: skip


# -- Bessel's functions ----------------------------------------------------------------------------------------------

_BEYOND = 20.0  # where the asymptotic series, cut at its smallest terms, is exact to the last place


def _scaled_bessel(b: Any, x: Any, order: int) -> Any:
    """exp(-|x|) I_order(x) for order 0 or 1: the power series in x^2 / 4, or the asymptotic one in 1 / |x|."""
    a = b.abs(x)
    near, far = b.minimum(a, _number(b, _BEYOND)), b.maximum(a, _number(b, _BEYOND))
    powers = [1.0 / (math.factorial(k) * math.factorial(k + order)) for k in range(45)]
    small = _polynomial(powers, near * near * 0.25) * b.exp(-near)
    series, term = [1.0], Fraction(1)
    for k in range(1, 28):
        term *= Fraction((2 * k - 1) ** 2 - 4 * order * order, 8 * k)
        series.append(float(term))
    large = _polynomial(series, _number(b, 1.0) / far) / b.sqrt(far * (2 * math.pi))
    if not order:
        return b.where(a <= _number(b, _BEYOND), small, large)
    return b.where(a <= _number(b, _BEYOND), small * x * 0.5, b.sign(x) * large)


def _unscaled(b: Any, x: Any, order: int) -> Any:
    """In two steps, as exp(|x|) alone would overflow too early."""
    half = b.exp(b.abs(x) * 0.5)
    return _scaled_bessel(b, x, order) * half * half


def _over(b: Any, y: Any, x: Any) -> Any:
    """y / x for an odd y, and the half of 1 at the origin."""
    origin = b.eq(x, b.const(0, b.dtype(x)))
    return b.where(origin, b.const(0.5, b.dtype(x)), y / b.where(origin, b.const(1, b.dtype(x)), x))


def _bessel(name: str, formula: Callable[..., Any], partial: Callable[..., Any], summary: str) -> None:
    whole = _double(formula)
    elementwise(name, _meaning(whole), (partial,), summary=summary, formula=whole)


_bessel("bessel_i0", lambda b, x: _unscaled(b, x, 0), lambda b, g, y, x: g * b.bessel_i1(x),
        "modified Bessel function I0")  # fmt: skip
_bessel("bessel_i1", lambda b, x: _unscaled(b, x, 1), lambda b, g, y, x: g * (b.bessel_i0(x) - _over(b, y, x)),
        "modified Bessel function I1")  # fmt: skip
_bessel("bessel_i0e", lambda b, x: _scaled_bessel(b, x, 0),
        lambda b, g, y, x: g * (b.bessel_i1e(x) - b.sign(x) * y), "exp(-|x|) I0(x)")  # fmt: skip
_bessel("bessel_i1e", lambda b, x: _scaled_bessel(b, x, 1),
        lambda b, g, y, x: g * (b.bessel_i0e(x) - b.sign(x) * y - _over(b, y, x)), "exp(-|x|) I1(x)")  # fmt: skip
