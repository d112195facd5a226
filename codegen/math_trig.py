"""sin, cos, tan.

x = q pi/2 + r with |r| <= pi/4: Cody and Waite's subtraction of pi/2 in parts, exact enough up to
``trig_range``; beyond it a cold helper does Payne and Hanek's reduction (``math_huge``). On r two short
polynomials give sine and cosine, and the quadrant q selects and signs them; the tangent is their quotient,
both kept as pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .emitter import ColdBuilder, Emitter, Reg
from .math_common import Format, divide_pairs, fast_two_sum, horner, nearest_int, two_product, two_sum
from .math_f64 import F64
from .math_formats import format_of
from .math_huge import reduce_huge

TWO_OVER_PI = 0.6366197723675814
# pi/2 in parts of 33 bits: their products with integers below 2**20 are exact doubles.
_SHORT_PARTS = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)


class Quadrant(NamedTuple):
    """x = q pi/2 + r + low; r carries the sign of a zero x."""

    q: Reg
    r: Reg
    low: Reg


Core = Callable[[Emitter, Format, Quadrant], Reg]


def _reduce(em: Emitter, f: Format, x: Reg, pair: bool) -> Quadrant:
    """The quadrant and the rest, as a pair or (low zero) rounded to one float."""
    multiple, q = nearest_int(em, f, x, TWO_OVER_PI)
    if not em.has_fma:
        return _reduce_without_fma(em, f, x, multiple, q)
    a, b, c = f.half_pi  # all positive, so that x = -0 keeps its sign
    first = em.fma(multiple, -a, x)
    if not pair:
        return Quadrant(q, em.fma(multiple, -c, em.fma(multiple, -b, first)), em.const(0.0, f.ty))
    product, error = two_product(em, multiple, b)
    r, low = fast_two_sum(em, first, em.fneg(product))
    return Quadrant(q, r, em.fma(multiple, -c, em.fsub(low, error)))


def _reduce_without_fma(em: Emitter, f: Format, x: Reg, multiple: Reg, q: Reg) -> Quadrant:
    """Exact products of short parts, in doubles for both formats."""
    wide, times = x, multiple
    if f.ty == "float":
        wide, times = em.convert("fpext", x, "double"), em.convert("fpext", multiple, "double")
    a, b, c = _SHORT_PARTS
    first = em.fsub(wide, em.fmul(times, a))
    r, error = two_sum(em, first, em.fmul(times, -b))
    low = em.fsub(error, em.fmul(times, c))
    r, low = em.copysign(em.fadd(r, low), r), em.fadd(em.fsub(r, em.fadd(r, low)), low)
    if f.ty == "float":
        short = em.convert("fptrunc", r, "float")
        return Quadrant(q, short, em.convert("fptrunc", em.fsub(r, em.convert("fpext", short, "double")), "float"))
    return Quadrant(q, r, low)


def _sine(em: Emitter, f: Format, r: Reg, z: Reg) -> Reg:
    """sin(r), z = r*r."""
    return em.copysign(em.fma(em.fmul(horner(em, z, f.sin_s), z), r, r), r)


def _cosine(em: Emitter, f: Format, z: Reg) -> Reg:
    """cos(r), z = r*r."""
    return em.fma(horner(em, z, f.cos_c), em.fmul(z, z), em.fma(z, -0.5, em.const(1.0, f.ty)))


def _sin_core(em: Emitter, f: Format, x: Quadrant) -> Reg:
    z = em.fmul(x.r, x.r)
    y = em.select(em.convert("trunc", x.q, "i1"), _cosine(em, f, z), _sine(em, f, x.r, z))
    sign = em.shl(em.and_(x.q, 2), 30 if f.ty == "float" else 62)
    return em.bitcast(em.xor(em.bitcast(y, f.int_ty), sign), f.ty)


def _tan_core(em: Emitter, f: Format, x: Quadrant) -> Reg:
    r, z = x.r, em.fmul(x.r, x.r)
    s = fast_two_sum(em, r, em.fma(em.fmul(horner(em, z, f.sin_s), z), r, x.low))
    half = em.fmul(z, 0.5)
    c, c_low = fast_two_sum(em, 1.0, em.fneg(half))
    c_low = em.fma(horner(em, z, f.cos_c), em.fmul(z, z), em.fma(em.fneg(r), x.low, c_low))
    c, c_low = fast_two_sum(em, c, c_low)
    odd = em.convert("trunc", x.q, "i1")
    n = em.select(odd, c, s[0]), em.select(odd, c_low, s[1])
    d = em.select(odd, s[0], c), em.select(odd, s[1], c_low)
    y = em.copysign(divide_pairs(em, n, d), r)
    return em.select(odd, em.fneg(y), y)


def _slow(core: Core) -> ColdBuilder:
    """One element of any size (and NaN for infinities), in doubles; the quadrant is moved on by the second operand."""

    def build(em: Emitter, args: Sequence[Reg]) -> Reg:
        x, ahead = args
        wide = em.convert("fpext", x, "double") if x.ty == "float" else x
        q, r, low = reduce_huge(em, wide)
        y = core(em, F64, Quadrant(em.add(q, em.convert("zext", ahead, "i64")), r, low))
        y = em.select(em.compare("olt", em.fabs(wide), float("inf")), y, float("nan"))
        return em.convert("fptrunc", y, "float") if x.ty == "float" else y

    return build


def _trig(em: Emitter, x: Reg, core: Core, helper: str, ahead: int) -> Reg:
    """``core`` at x moved on by ``ahead`` quadrants; sine and cosine share one cold helper."""
    f = format_of(x)
    q, r, low = _reduce(em, f, x, core is _tan_core)
    fast = core(em, f, Quadrant(em.add(q, ahead) if ahead else q, r, low))
    huge = em.compare("ogt", em.fabs(x), f.trig_range if em.has_fma else min(f.trig_range, 1e6))
    return em.cold(huge, fast, f"pb.{helper}.{em.scalar().suffix(x.ty)}", _slow(core), x, em.const(ahead, "i8"))


def sin(em: Emitter, x: Reg) -> Reg:
    """Sine; NaN for infinities."""
    return _trig(em, x, _sin_core, "sin", 0)


def cos(em: Emitter, x: Reg) -> Reg:
    """Cosine: the sine a quadrant ahead."""
    return _trig(em, x, _sin_core, "sin", 1)


def tan(em: Emitter, x: Reg) -> Reg:
    """Tangent; NaN for infinities."""
    return _trig(em, x, _tan_core, "tan", 0)
