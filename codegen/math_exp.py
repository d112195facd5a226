"""exp and its relatives: exp, expm1, sinh, cosh, tanh, sigmoid, erf.

All reduce x = n ln(2) + r with |r| <= ln(2)/2 (Cody and Waite) and evaluate a polynomial in r. The functions
that subtract or divide afterwards keep what rounding r and 1 + r lost as a low part, so that they end in one
rounding that counts.
"""

from __future__ import annotations

from typing import NamedTuple

from .emitter import Emitter, Reg
from .math_common import (
    Format,
    Pair,
    divide_pairs,
    exact_fma_error,
    fast_two_sum,
    horner,
    nearest_int,
    power_of_two,
    residual,
    scaled,
    two_sum,
)
from .math_formats import format_of


class Reduced(NamedTuple):
    """x = n ln(2) + r + low; `multiple` is n as a float."""

    multiple: Reg
    n: Reg
    r: Reg
    low: Reg


def _reduce(em: Emitter, f: Format, x: Reg) -> Reduced:
    multiple, n = nearest_int(em, f, x, LOG2E)
    first = em.fma(multiple, -f.ln2[0], x)
    product = em.fmul(multiple, -f.ln2[1]) if not em.has_fma else None
    r = em.fadd(first, product) if product else em.fma(multiple, -f.ln2[1], first)
    rest = em.fsub(first, r)
    return Reduced(multiple, n, r, em.fadd(rest, product) if product else em.fma(multiple, -f.ln2[1], rest))


LOG2E = 1.4426950408889634


def exp(em: Emitter, x: Reg) -> Reg:
    """e**x; overflow to inf, gradual underflow."""
    f = format_of(x)
    x = em.maximum(f.exp_range[0], em.minimum(f.exp_range[1], x))
    multiple, n = nearest_int(em, f, x, LOG2E)
    r = em.fma(multiple, -f.ln2[1], em.fma(multiple, -f.ln2[0], x))
    p = em.fma(horner(em, r, f.exp_q), em.fmul(r, r), r)
    return scaled(em, f, [em.fadd(p, 1.0)], multiple, n)[0]


def exp_tail(em: Emitter, f: Format, a: Reduced) -> Reg:
    """c with e**(r + low) = 1 + r + c."""
    return em.fma(horner(em, a.r, f.exp_q1), em.fmul(a.r, a.r), a.low)


def exp_pair(em: Emitter, f: Format, x: Reg) -> Pair:
    """e**x for x <= 0 as (high, low); both underflow gradually."""
    a = _reduce(em, f, em.maximum(f.exp_range[0], x))
    high, low = fast_two_sum(em, 1.0, a.r)
    high, low = fast_two_sum(em, high, em.fadd(low, exp_tail(em, f, a)))
    high, low = scaled(em, f, [high, low], a.multiple, a.n)
    return high, low


def expm1(em: Emitter, x: Reg) -> Reg:
    """e**x - 1, accurate near 0."""
    f = format_of(x)
    a = _reduce(em, f, em.maximum(f.expm1_floor, em.minimum(f.exp_range[1], x)))
    s = power_of_two(em, f, a.n, -1)  # half of 2**n: 2**n itself may overflow where the result does not
    y = em.fma(s, exp_tail(em, f, a), em.fma(s, a.r, em.fsub(s, 0.5)))
    return em.select(em.compare("olt", em.fabs(x), f.tiny), x, em.fadd(y, y))


def _expm1_pair(em: Emitter, f: Format, x: Reg) -> Pair:
    """e**x - 1 for moderate x >= 0 as (high, low)."""
    a = _reduce(em, f, x)
    s = power_of_two(em, f, a.n)
    high, error = exact_fma_error(em, s, a.r, em.fsub(s, 1.0))
    return fast_two_sum(em, high, em.fma(s, exp_tail(em, f, a), error))


def tanh(em: Emitter, x: Reg) -> Reg:
    """Hyperbolic tangent: m / (m + 2) with m = expm1(2|x|)."""
    f = format_of(x)
    a = em.minimum(f.tanh_one, em.fabs(x))
    m, low = _expm1_pair(em, f, em.fadd(a, a))
    d, rest = two_sum(em, 2.0, m)
    return em.copysign(divide_pairs(em, (m, low), (d, em.fadd(rest, low))), x)


def sigmoid(em: Emitter, x: Reg) -> Reg:
    """1 / (1 + e**-x) without overflow: with t = e**-|x|, 1/(1+t) or t/(1+t)."""
    f = format_of(x)
    t, t_low = exp_pair(em, f, em.fneg(em.fabs(x)))
    d, d_low = fast_two_sum(em, 1.0, t)
    q = em.fdiv(1.0, d)
    error = em.fma(em.fneg(q), em.fadd(d_low, t_low), residual(em, q, d, 1.0))
    negative = em.compare("olt", x, 0.0)
    n, n_low = em.select(negative, t, 1.0), em.select(negative, t_low, 0.0)
    return em.fma(n, q, em.fmul(q, em.fma(n, error, n_low)))


def erf(em: Emitter, x: Reg) -> Reg:
    """Error function: a polynomial up to 1, and 1 - e**-p with another one beyond."""
    f = format_of(x)
    whole = em.fabs(x)
    near = em.fma(x, horner(em, em.fmul(x, x), f.erf_p), x)
    a = em.minimum(f.erf_one, whole)
    power = em.fmul(em.fneg(a), horner(em, em.fsub(a, 2.0), f.erf_q))
    far = em.copysign(em.fsub(1.0, exp(em, power)), x)
    return em.select(em.compare("olt", whole, 1.0), near, far)


def _sinh_cosh(em: Emitter, f: Format, a: Reg) -> tuple[Pair, Reg, Reg, Reg]:
    """For a >= 0: quarters of 2**n and 2**-n, r, sinh(r) - r, cosh(r) - 1."""
    x = _reduce(em, f, em.minimum(f.sinh_range, a))
    up = power_of_two(em, f, x.n, -2)
    down = em.bitcast(em.shl(em.maximum(em.sub(f.bias - 2, x.n), 0), f.mantissa), f.ty)
    z = em.fmul(x.r, x.r)
    s = em.fma(em.fmul(horner(em, z, f.sinh_s), z), x.r, x.low)
    return (up, down), x.r, s, em.fmul(horner(em, z, f.cosh_c), z)


def sinh(em: Emitter, x: Reg) -> Reg:
    """Hyperbolic sine: (2**n - 2**-n)/2 cosh(r) + (2**n + 2**-n)/2 sinh(r)."""
    f = format_of(x)
    a = em.fabs(x)
    (up, down), r, s, c = _sinh_cosh(em, f, a)
    minus, plus = em.fsub(up, down), em.fadd(up, down)
    high, error = exact_fma_error(em, plus, r, minus)
    y = em.fadd(high, em.fma(plus, s, em.fma(minus, c, error)))
    return em.copysign(em.select(em.compare("olt", a, f.tiny), a, em.fadd(y, y)), x)


def cosh(em: Emitter, x: Reg) -> Reg:
    """Hyperbolic cosine: (2**n + 2**-n)/2 cosh(r) + (2**n - 2**-n)/2 sinh(r)."""
    f = format_of(x)
    (up, down), r, s, c = _sinh_cosh(em, f, em.fabs(x))
    minus, plus = em.fsub(up, down), em.fadd(up, down)
    high, error = exact_fma_error(em, minus, r, plus)
    error = em.fadd(error, em.fsub(down, em.fsub(plus, up)))  # what rounding the sum lost
    y = em.fadd(high, em.fma(minus, s, em.fma(plus, c, error)))
    return em.fadd(y, y)
