"""Reduction of huge arguments modulo pi/2 (Payne and Hanek), scalar code for the cold helpers of
``math_trig``.

x = M 2^E with a 53-bit integer M. Of the product x (2/pi) only the part below 4 matters, so M is multiplied
by the 192 bits of 2/pi that begin where 2^E times the bit is 2; bits before give multiples of 4, bits after
are below the error. The closest a double comes to a multiple of pi/2 is 2^-61, so 75 good bits remain in the
worst case.
"""

from __future__ import annotations

from functools import lru_cache

from .emitter import Emitter, Reg
from .math_common import fast_two_sum, two_product

_LIMBS = 20  # the first is zero, so that windows may begin before the binary point
_TABLE = "pb.two_over_pi"
HALF_PI = (1.5707963267948966, 6.123233995736766e-17)


@lru_cache(maxsize=1)
def two_over_pi_limbs() -> tuple[int, ...]:
    """The bits of 2/pi as 64-bit words, most significant first, after one word of zeros."""
    bits = 64 * (_LIMBS - 1)
    one = 1 << (bits + 64)
    pi = 4 * (4 * _arctan_inverse(5, one) - _arctan_inverse(239, one))
    digits = ((2 * one) << bits) // pi
    return (0, *((digits >> (64 * k)) & (2**64 - 1) for k in reversed(range(_LIMBS - 1))))


def _arctan_inverse(n: int, one: int) -> int:
    """arctan(1/n) in units of 1/one, by its series (Machin's formula gives pi from two of these)."""
    power, total, k = one // n, 0, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power //= n * n
        k += 2
    return total


def _window(em: Emitter, first_bit: Reg) -> tuple[Reg, Reg, Reg]:
    """192 bits of 2/pi from ``first_bit``, as three i64."""
    if _TABLE not in em.decls:
        words = ", ".join(f"i64 {em.const(w, 'i64').text}" for w in two_over_pi_limbs())
        em.decls[_TABLE] = f"@{_TABLE} = private constant [{_LIMBS} x i64] [{words}]"
    index, shift = em.lshr(first_bit, 6), em.and_(first_bit, 63)
    limbs = []
    for k in range(4):
        address = em.op(f"getelementptr i64, ptr @{_TABLE}, i64 {em.add(index, k).text}", "ptr")
        limbs.append(em.op(f"load i64, ptr {address.text}", "i64"))
    a, b, c = (em.intrinsic("fshl", limbs[k], limbs[k + 1], shift) for k in range(3))
    return a, b, c


def _product(em: Emitter, m: Reg, window: tuple[Reg, Reg, Reg]) -> tuple[Reg, Reg, Reg]:
    """m times the 192-bit window modulo 2**192, as three i64."""
    wide = em.convert("zext", m, "i128")
    low = em.mul(wide, em.convert("zext", window[2], "i128"))
    middle = em.add(em.lshr(low, 64), em.mul(wide, em.convert("zext", window[1], "i128")))
    top = em.add(em.convert("trunc", em.lshr(middle, 64), "i64"), em.mul(m, window[0]))
    return top, em.convert("trunc", middle, "i64"), em.convert("trunc", low, "i64")


def reduce_huge(em: Emitter, x: Reg) -> tuple[Reg, Reg, Reg]:
    """(q, r, low) with x = q pi/2 + r + low modulo 2 pi and |r| <= pi/4, for a double of size at least 2**10."""
    bits = em.bitcast(x, "i64")
    exponent = em.and_(em.lshr(bits, 52), 0x7FF)
    m = em.or_(em.and_(bits, (1 << 52) - 1), 1 << 52)
    # Bit j after the point of 2/pi (table position j + 63) has weight 2**(E-j), E = exponent - 1075; start at 2**1.
    top, middle, low = _product(em, m, _window(em, em.sub(exponent, 1075 - 62)))
    q = em.lshr(em.add(top, 1 << 61), 62)
    a = em.intrinsic(
        "fshl", top, middle, em.const(2, "i64")
    )  # the fraction, from -1/2 to 1/2, two's complement
    b = em.intrinsic("fshl", middle, low, em.const(2, "i64"))
    c = em.shl(low, 2)
    sign = em.ashr(a, 63)
    a, b, c = em.xor(a, sign), em.xor(b, sign), em.xor(c, sign)
    r, r_low = _times_half_pi(em, a, b, c)
    flip = em.and_(em.xor(sign, bits), -(1 << 63))
    r, r_low = (em.bitcast(em.xor(em.bitcast(v, "i64"), flip), "double") for v in (r, r_low))
    return em.select(em.compare("slt", bits, 0), em.sub(0, q), q), r, r_low


def _times_half_pi(em: Emitter, a: Reg, b: Reg, c: Reg) -> tuple[Reg, Reg]:
    """The 192-bit fraction (a, b, c) times pi/2 as a pair; a is not zero."""
    zeros = em.op(f"call i64 @llvm.ctlz.i64(i64 {a.text}, i1 false)", "i64")
    em.decls.setdefault("llvm.ctlz.i64", "declare i64 @llvm.ctlz.i64(i64, i1)")
    a, b = em.intrinsic("fshl", a, b, zeros), em.intrinsic("fshl", b, c, zeros)
    rest = em.lshr(em.intrinsic("fshl", a, b, em.const(53, "i64")), 11)
    high = em.fmul(em.convert("sitofp", em.lshr(a, 11), "double"), 2.0**-53)
    low = em.fmul(em.convert("sitofp", rest, "double"), 2.0**-106)
    r, error = two_product(em, high, HALF_PI[0])
    r, error = fast_two_sum(em, r, em.fma(low, HALF_PI[0], em.fma(high, HALF_PI[1], error)))
    power = em.bitcast(em.shl(em.sub(1023, zeros), 52), "double")
    return em.fmul(r, power), em.fmul(error, power)
