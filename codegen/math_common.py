"""What the math functions share: the constants of a float format, polynomials, double-word arithmetic.

A function is written once for both formats; ``Format`` holds its polynomials and range-reduction constants as
data. A value that must be better than one float is a pair (high, low) with |low| far below |high|; the
identities are those of Knuth (two_sum), Dekker (two_product) and Moller. Results are compared by ULP: one
rounding costs up to half a unit, so a function that ends in several roundings carries the low part along and
pays for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .emitter import Emitter, Operand, Reg

Pair = tuple[Reg, Reg]
Coefficients = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Format:
    """Constants of one float format. Polynomials are given lowest power first.

    Each polynomial is the minimax one (Remez, in the relative error of the function it serves), rounded:
      exp_q:  exp(r) = 1 + r + r^2 q(r)        for |r| <= ln(2)/2, relative to 1; exp_q1 the same relative to r
      sinh_s: sinh(r) = r + r^3 s(r^2)         cosh_c: cosh(r) = 1 + r^2 c(r^2)
      sin_s:  sin(r) = r + r^3 s(r^2)          cos_c:  cos(r) = 1 - r^2/2 + r^4 c(r^2)    for |r| <= pi/4
      log_p:  log(1+f) = f - f^2/2 + f^3 p(f)  for 1+f in [sqrt(1/2), sqrt(2)] (empty: log_l is used)
      erf_p:  erf(x) = x + x p(x^2)            for |x| <= 1
      erf_q:  erf(x) = 1 - exp(-x q(x - 2))    for 1 <= x <= erf_one, relative to erf
      log_l:  2 atanh(s) = 2 s + s^3 l(s^2)    atanh_q: atanh(s) = s + s^3/3 + s^5 q(s^2)
    """

    ty: str
    int_ty: str
    mantissa: int  # bits of fraction
    bias: int  # of the exponent
    sqrt_half: int  # the bits of sqrt(1/2)
    ln2: tuple[float, float]  # high part short enough that its product with an exponent is exact
    ln2_pair: tuple[float, float]  # full high part, low part
    exp_range: tuple[float, float]  # below, exp rounds to zero; above, to infinity
    exp_q: Coefficients
    exp_q1: Coefficients
    expm1_floor: float  # below, expm1 rounds to -1
    tanh_one: float  # above, tanh rounds to 1
    sinh_range: float  # above, sinh and cosh overflow
    sinh_s: Coefficients
    cosh_c: Coefficients
    sin_s: Coefficients
    cos_c: Coefficients
    half_pi: tuple[float, float, float]  # pi/2 in three parts, each the rest rounded
    trig_range: float  # up to here three parts and a fused multiply-add reduce exactly enough
    log_p: Coefficients
    log_l: Coefficients
    atanh_q: Coefficients
    erf_p: Coefficients
    erf_q: Coefficients
    erf_one: float  # above, erf rounds to 1
    two_log2e: tuple[float, float]  # 2/ln(2)
    third_log2e: tuple[float, float]  # 2/(3 ln(2))

    @property
    def magic(self) -> float:
        """1.5 * 2**mantissa: adding it rounds to the nearest integer, which the low bits of the sum then hold."""
        return 1.5 * 2.0**self.mantissa

    @property
    def magic_bits(self) -> int:
        """The bits of ``magic``."""
        return ((self.bias + self.mantissa) << self.mantissa) | (1 << (self.mantissa - 1))

    @property
    def tiny(self) -> float:
        """Up to here x + O(x^2) rounds to x."""
        return float(2.0 ** -(self.mantissa + 3))

    @property
    def smallest_normal(self) -> float:
        """Below this are the subnormals."""
        return float(2.0 ** (1 - self.bias))


def horner(em: Emitter, x: Reg, coefficients: Coefficients) -> Reg:
    """c[0] + c[1] x + c[2] x^2 + ..."""
    *rest, top = coefficients
    value = em.const(top, x.ty)
    for c in reversed(rest):
        value = em.fma(value, x, c)
    return value


def nearest_int(em: Emitter, f: Format, x: Reg, factor: float) -> tuple[Reg, Reg]:
    """round(x * factor) as a float and as an integer, without a conversion (so no poison for NaN)."""
    t = em.fma(x, factor, f.magic)
    return em.fsub(t, f.magic), em.sub(em.bitcast(t, f.int_ty), f.magic_bits)


def int_to_float(em: Emitter, f: Format, n: Reg) -> Reg:
    """A small integer as a float, by the magic number (i64 conversions are missing from most vector units)."""
    return em.fsub(em.bitcast(em.add(n, f.magic_bits), f.ty), f.magic)


def power_of_two(em: Emitter, f: Format, n: Operand, base: int = 0) -> Reg:
    """2**(n + base) for exponents of normal numbers."""
    exponent = em.add(n, f.bias + base)
    return em.bitcast(em.shl(exponent, f.mantissa), f.ty)


def half_powers(em: Emitter, f: Format, n: Reg) -> Pair:
    """Two floats whose product is 2**n, for n beyond the range of normal numbers: overflow and gradual underflow."""
    half = em.ashr(n, 1)
    return power_of_two(em, f, half), power_of_two(em, f, em.sub(n, half))


def scaled(em: Emitter, f: Format, values: Sequence[Reg], multiple: Reg, n: Reg) -> list[Reg]:
    """Each value (of about 1) times 2**n, with gradual underflow; `multiple` is n as a float."""
    if em.lanes * (32 if f.ty == "float" else 64) == 512 and em.context.scales:
        return [_scalef(em, x, multiple) for x in values]
    powers = half_powers(em, f, n)
    return [scale(em, x, powers) for x in values]


def _scalef(em: Emitter, x: Reg, n: Reg) -> Reg:
    """x * 2**n for a whole number n in a float, rounded once: the same as by two powers, in one instruction."""
    short, mask = ("ps", "i16") if x.ty == "float" else ("pd", "i8")
    symbol, ty = f"llvm.x86.avx512.mask.scalef.{short}.512", em.ty(x.ty)
    em.decls.setdefault(symbol, f"declare {ty} @{symbol}({ty}, {ty}, {ty}, {mask}, i32)")
    operands = f"{em.typed(x)}, {em.typed(n)}, {ty} zeroinitializer, {mask} -1, i32 4"
    return em.op(f"call {ty} @{symbol}({operands})", x.ty)


def scale(em: Emitter, x: Reg, powers: Sequence[Reg]) -> Reg:
    """x times each of the powers."""
    for p in powers:
        x = em.fmul(x, p)
    return x


def fast_two_sum(em: Emitter, a: Operand, b: Reg) -> Pair:
    """a + b exactly, as a rounded sum and its error; needs |a| >= |b| or a = 0."""
    s = em.fadd(a, b)
    return s, em.fadd(em.fsub(a, s), b)


def two_sum(em: Emitter, a: Operand, b: Reg) -> Pair:
    """a + b exactly, as a rounded sum and its error."""
    s = em.fadd(a, b)
    part = em.fsub(s, a)
    return s, em.fadd(em.fsub(a, em.fsub(s, part)), em.fsub(b, part))


def two_product(em: Emitter, a: Operand, b: Operand) -> Pair:
    """a * b exactly, as a rounded product and its error (Dekker's algorithm where there is no FMA)."""
    x, y = em.same(a, b)
    p = em.fmul(x, y)
    if em.has_fma:
        return p, em.fma(x, y, em.fneg(p))
    (x1, x0), (y1, y0) = _split(em, x), _split(em, y)
    e = em.fsub(em.fmul(x1, y1), p)
    e = em.fadd(em.fadd(e, em.fmul(x1, y0)), em.fmul(x0, y1))
    return p, em.fadd(e, em.fmul(x0, y0))


def _split(em: Emitter, x: Reg) -> Pair:
    """x as a sum of two floats of half the bits, by cutting the low ones off, so that their products are exact."""
    int_ty, keep = ("i32", -(1 << 12)) if x.ty == "float" else ("i64", -(1 << 27))
    high = em.bitcast(em.and_(em.bitcast(x, int_ty), keep), x.ty)
    return high, em.fsub(x, high)


def residual(em: Emitter, q: Reg, d: Reg, n: Operand) -> Reg:
    """n - q*d where q is nearly n/d: exact with FMA, and as good without."""
    if em.has_fma:
        return em.fma(em.fneg(q), d, n)
    p, e = two_product(em, q, d)
    return em.fsub(em.fsub(n, p), e)


def exact_fma_error(em: Emitter, a: Reg, b: Reg, c: Reg) -> Pair:
    """a*b + c as a rounded sum and its error, for |c| >= |a*b| or c = 0 (up to the product's rounding without FMA)."""
    if em.has_fma:
        s = em.fma(a, b, c)
        return s, em.fma(a, b, em.fsub(c, s))
    p, e = two_product(em, a, b)
    s, low = fast_two_sum(em, c, p)
    return s, em.fadd(low, e)


def divide_pairs(em: Emitter, n: Pair, d: Pair) -> Reg:
    """(n0 + n1) / (d0 + d1), one division and one correction: within about half a unit. The sign of a zero is lost."""
    inverse = em.fdiv(1.0, d[0])
    q = em.fmul(n[0], inverse)
    rest = em.fadd(residual(em, q, d[0], n[0]), em.fma(em.fneg(q), d[1], n[1]))
    return em.fma(rest, inverse, q)
