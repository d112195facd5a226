"""x**y for floats: 2**(y log2|x|) with log2 as a pair, then C's table of special cases.

Where the result is large the logarithm's relative error is multiplied by up to |y log x|, so log2 is kept to
about 12 bits more than a float: the leading two terms of its series in s = (m-1)/(m+1) are evaluated in
pairs.
"""

from __future__ import annotations

from .emitter import Emitter, Reg
from .math_common import (
    Format,
    Pair,
    fast_two_sum,
    half_powers,
    horner,
    nearest_int,
    residual,
    scale,
    two_product,
)
from .math_formats import format_of
from .math_log import decompose_any
from .math_round import trunc

INF = float("inf")


def _times_pair(em: Emitter, c: tuple[float, float], x: Pair) -> Pair:
    """A constant pair times a pair."""
    high, error = two_product(em, x[0], c[0])
    return high, em.fma(x[1], c[0], em.fma(x[0], c[1], error))


def _log2_pair(em: Emitter, f: Format, x: Reg) -> Pair:
    """log2(x) for positive finite x."""
    e, m = decompose_any(em, f, x)
    numerator, d = em.fsub(m, 1.0), em.fadd(m, 1.0)
    d_low = em.fsub(m, em.fsub(d, 1.0))
    inverse = em.fdiv(1.0, d)
    s = em.fmul(numerator, inverse)
    s_low = em.fmul(em.fma(em.fneg(s), d_low, residual(em, s, d, numerator)), inverse)
    z, z_low = two_product(em, s, s)
    z_low = em.fma(em.fadd(s, s), s_low, z_low)
    cube, cube_low = two_product(em, s, z)
    cube_low = em.fma(s, z_low, em.fma(s_low, z, cube_low))
    one, one_low = _times_pair(em, f.two_log2e, (s, s_low))
    three, three_low = _times_pair(em, f.third_log2e, (cube, cube_low))
    rest = em.fmul(em.fmul(em.fmul(cube, z), f.two_log2e[0]), horner(em, z, f.atanh_q))
    high, low = fast_two_sum(em, one, three)
    low = em.fadd(low, em.fadd(em.fadd(one_low, three_low), rest))
    total, error = fast_two_sum(em, e, high)
    return fast_two_sum(em, total, em.fadd(error, low))


def _exp2_pair(em: Emitter, f: Format, p: Reg, p_low: Reg) -> Reg:
    """2**(p + p_low) for p within twice the range of exponents."""
    multiple, n = nearest_int(em, f, p, 1.0)
    r, low = _times_pair(em, f.ln2_pair, fast_two_sum(em, em.fsub(p, multiple), p_low))
    y = em.fadd(r, em.fma(horner(em, r, f.exp_q1), em.fmul(r, r), low))
    return scale(em, em.fadd(y, 1.0), half_powers(em, f, n))


def _power_of_magnitude(em: Emitter, f: Format, a: Reg, y: Reg) -> Reg:
    """a**y for a >= 0, except that 1**y and a**0 are left to the caller."""
    high, low = _log2_pair(em, f, a)
    high = em.select(em.compare("oeq", a, 0.0), -INF, em.select(em.compare("ult", a, INF), high, a))
    high = em.select(em.compare("uno", a, a), a, high)
    p, error = two_product(em, y, high)
    limit = 1.1 * (f.bias + f.mantissa)
    inside = em.compare("olt", em.fabs(p), limit)
    p_low = em.select(inside, em.fma(y, low, error), em.const(0.0, f.ty))
    return _exp2_pair(em, f, em.maximum(-limit, em.minimum(limit, p)), p_low)


def pow(em: Emitter, x: Reg, y: Reg) -> Reg:
    """x**y as C and NumPy define it.

    1 for x = 1 or y = 0, even where the other is NaN; NaN for negative x with fractional y; the sign of x for odd y.
    """
    f = format_of(x)
    a = em.fabs(x)
    value = _power_of_magnitude(em, f, a, y)
    one = em.or_(em.compare("oeq", a, 1.0), em.compare("oeq", y, 0.0))
    value = em.select(one, 1.0, value)
    integral = em.compare("oeq", trunc(em, y), y)
    half = em.fmul(y, 0.5)
    odd = em.and_(integral, em.compare("une", trunc(em, half), half))
    signed = em.bitcast(em.select(odd, em.bitcast(x, f.int_ty), 0), f.ty)
    value = em.copysign(value, signed)
    undefined = em.and_(em.and_(em.compare("olt", x, 0.0), em.compare("one", a, INF)), em.not_(integral))
    value = em.select(undefined, float("nan"), value)
    nan = em.and_(em.compare("uno", x, y), em.compare("une", x, 1.0))
    return em.select(em.and_(nan, em.compare("une", y, 0.0)), float("nan"), value)
