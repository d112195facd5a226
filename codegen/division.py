"""Division of vectors by a small integer constant: the bits of `fdiv` at a third of its time.

A division takes 10 to 16 cycles per vector, and `/ 3.0` and its kin are what a stencil spends its time on. A product
with the rounded reciprocal would be off by an ulp; one step of Newton's iteration in fused operations mends that
(Markstein; Brisebarre, Muller and Raina, "Accelerating correctly rounded floating-point division when the divisor is
known in advance", 2004):

    q = round(x * r),  rem = x - q*y  (exact: one fma),  result = round(q + rem * r)  (one fma),   r = round(1/y)

For an integer y with 2 < |y| <= 2^10, rem is a multiple of the ulps of q and fits the mantissa, subnormal or not. What
the last step rounds differs from x/y by less than 2^(2-p) ulp, and x/y, when it is not a tie, is at least 1/(2|y|) ulp
from where rounding changes; so the result is x/y rounded. Ties are possible only where the result is subnormal and y
even: such lanes are divided. rem is 0 for exact quotients, zeros of either sign among them, and NaN for inf and NaN:
there q is the result.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from .emitter import Emitter, Reg

_LITERAL = re.compile(r"(?:splat \((?:float|double) )?0x([0-9A-Fa-f]{16})\)?")
_LARGEST = 1024
_TINY = {"float": 2.0**-126, "double": 2.0**-1022}


def divide(em: Emitter, x: Reg, y: Reg) -> Reg:
    """x / y, correctly rounded."""
    value = _known(y)
    if not em.lanes or not em.has_fma or value is None or not _fits(value):
        return em.binary("fdiv contract" if em.contract else "fdiv", x, y)
    r = 1.0 / value
    q = em.fmul(x, r)
    rem = em.fma(em.fneg(q), y, x)
    off = em.compare("one", rem, 0.0)
    found = em.select(off, em.fma(rem, r, q), q)
    if value % 2:
        return found
    tie = em.and_(off, em.compare("olt", em.fabs(q), _TINY[x.ty]))
    return em.cold(tie, found, f"pb.div.{em.scalar().suffix(x.ty)}", _divided, x, y)


def _divided(em: Emitter, operands: Sequence[Reg]) -> Reg:
    return em.fdiv(*operands)


def _known(y: Reg) -> float | None:
    """The value of a constant."""
    match = _LITERAL.fullmatch(y.text)
    return struct.unpack("d", struct.pack("Q", int(match[1], 16)))[0] if match else None


def _fits(value: float) -> bool:
    """An integer, and no power of two: those are products already."""
    whole = value == int(value) if abs(value) <= _LARGEST else False
    return whole and abs(value) > 2 and int(abs(value)) & (int(abs(value)) - 1) != 0
