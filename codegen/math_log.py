"""Logarithms: log, log1p, softplus.

The argument is 2**e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), taken apart by integer operations on its
bits; the result is e ln(2) + log(1 + f), with f as a pair where the argument was itself rounded.
"""

from __future__ import annotations

from .emitter import Emitter, Reg
from .math_common import Format, fast_two_sum, horner, int_to_float, two_sum
from .math_exp import exp_pair
from .math_formats import format_of


def decompose(em: Emitter, f: Format, x: Reg) -> tuple[Reg, Reg]:
    """(e, m) with x = 2**e m and m in [sqrt(1/2), sqrt(2)), for positive normal x."""
    bits = em.sub(em.bitcast(x, f.int_ty), f.sqrt_half)
    m = em.bitcast(em.add(em.and_(bits, (1 << f.mantissa) - 1), f.sqrt_half), f.ty)
    return em.ashr(bits, f.mantissa), m


def decompose_any(em: Emitter, f: Format, x: Reg) -> tuple[Reg, Reg]:
    """``decompose`` with e as a float, for subnormal x too (scaled up first)."""
    subnormal = em.compare("olt", x, f.smallest_normal)
    e, m = decompose(em, f, em.select(subnormal, em.fmul(x, 2.0**f.mantissa), x))
    return em.fsub(int_to_float(em, f, e), em.select(subnormal, float(f.mantissa), em.const(0.0, f.ty))), m


def _log_sum(em: Emitter, f: Format, e: Reg, high: Reg, low: Reg | None) -> Reg:
    """e ln(2) + log(1 + high + low); e a float."""
    z = em.fmul(high, high)
    if f.log_p:
        y = em.fmul(em.fmul(high, z), horner(em, high, f.log_p))
        y = em.fma(e, f.ln2[1], y)
        y = em.fma(z, -0.5, y if low is None else em.fadd(y, low))
    else:
        s = em.fdiv(high, em.fadd(high, 2.0))
        s2 = em.fmul(s, s)
        half = em.fmul(z, 0.5)
        y = em.fma(s, em.fma(horner(em, s2, f.log_l), s2, half), em.fmul(e, f.ln2[1]))
        y = em.fsub(y if low is None else em.fadd(y, low), half)
    return em.fma(e, f.ln2[0], em.fadd(high, y))


def log(em: Emitter, x: Reg) -> Reg:
    """Natural logarithm: -inf at 0, NaN below."""
    f = format_of(x)
    e, m = decompose_any(em, f, x)
    y = _log_sum(em, f, e, em.fsub(m, 1.0), None)
    return _log_limits(em, x, y, 0.0)


def _log_limits(em: Emitter, x: Reg, y: Reg, pole: float) -> Reg:
    y = em.select(em.compare("oeq", x, float("inf")), x, y)
    y = em.select(em.compare("oeq", x, pole), float("-inf"), y)
    return em.select(em.compare("ult", x, pole), float("nan"), y)


def _log_of_pair(em: Emitter, f: Format, u: Reg, u_low: Reg) -> Reg:
    """log(u + u_low) for normal u > 0: u_low joins the fraction, and what that rounds off follows."""
    e, m = decompose(em, f, u)
    shift = em.shl(em.maximum(em.sub(f.bias, e), 0), f.mantissa)
    high, low = two_sum(em, em.fsub(m, 1.0), em.fmul(u_low, em.bitcast(shift, f.ty)))
    return _log_sum(em, f, int_to_float(em, f, e), high, em.fma(em.fneg(low), high, low))


def log1p(em: Emitter, x: Reg) -> Reg:
    """log(1 + x), accurate near 0."""
    f = format_of(x)
    u, low = two_sum(em, 1.0, x)
    return _log_limits(em, x, em.copysign(_log_of_pair(em, f, u, low), x), -1.0)


def softplus(em: Emitter, x: Reg) -> Reg:
    """log(1 + e**x) = max(x, 0) + log1p(e**-|x|)."""
    f = format_of(x)
    t, t_low = exp_pair(em, f, em.fneg(em.fabs(x)))
    u, low = fast_two_sum(em, 1.0, t)
    y = _log_of_pair(em, f, u, em.fadd(low, t_low))
    return em.fadd(em.maximum(0.0, x), y)
