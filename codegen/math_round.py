"""Rounding to integers, float division with remainder, and the integer arithmetic that needs more than one
instruction.

Everything here is exact: the remainder of floats is the true one (a fused multiply-add when the quotient is
small, long division on the bits in a cold helper when it is huge), and integer division never traps.
"""

from __future__ import annotations

from collections.abc import Sequence

from .emitter import Emitter, Reg

# 2**(mantissa bits): at and above it every float is an integer, and adding it rounds a smaller one to an integer.
_INTEGRAL = {"float": 2.0**23, "double": 2.0**52}


def _round_by(em: Emitter, name: str, x: Reg) -> Reg:
    """One rounding instruction where the target has FMA (so SSE4.1 or better), else None of libm: additions."""
    if em.has_fma:
        return em.intrinsic(name, x)
    big = _INTEGRAL[x.ty]
    a = em.fabs(x)
    nearest = em.fsub(em.fadd(a, big), big)
    if name == "trunc":
        nearest = em.select(em.compare("ogt", nearest, a), em.fsub(nearest, 1.0), nearest)
    y = em.copysign(nearest, x)
    if name == "floor":
        y = em.copysign(em.select(em.compare("ogt", y, x), em.fsub(y, 1.0), y), x)
    if name == "ceil":
        y = em.copysign(em.select(em.compare("olt", y, x), em.fadd(y, 1.0), y), x)
    return em.select(em.compare("olt", a, big), y, x)


def floor(em: Emitter, x: Reg) -> Reg:
    """The largest integer not above x; keeps -0, inf and NaN."""
    return _round_by(em, "floor", x)


def ceil(em: Emitter, x: Reg) -> Reg:
    """The smallest integer not below x; keeps -0, inf and NaN."""
    return _round_by(em, "ceil", x)


def trunc(em: Emitter, x: Reg) -> Reg:
    """x without its fraction; keeps -0, inf and NaN."""
    return _round_by(em, "trunc", x)


def round_even(em: Emitter, x: Reg) -> Reg:
    """The nearest integer, halves to even; keeps -0, inf and NaN."""
    return _round_by(em, "roundeven", x)


def fmod(em: Emitter, a: Reg, b: Reg) -> Reg:
    """C's fmod: a - trunc(a/b)*b exactly, with the sign of a; NaN for infinite a or zero b."""
    x, y = em.fabs(a), em.fabs(b)
    q = trunc(em, em.fdiv(x, y))
    if em.has_fma:
        # q is the true quotient or, rounded up, one more; either way x - q*y is representable, so the fma is exact.
        r = em.fma(em.fneg(q), y, x)
        r = em.select(em.compare("olt", r, 0.0), em.fadd(r, y), r)
        hard = em.compare("oge", q, _INTEGRAL[a.ty])
    else:
        r, hard = q, em.compare("oge", q, 1.0)
    fast = em.copysign(em.select(em.compare("oeq", q, 0.0), x, r), a)
    return em.cold(hard, fast, f"pb.fmod.{em.scalar().suffix(a.ty)}", _fmod_bits, a, b)


def _decode(em: Emitter, x: Reg) -> tuple[Reg, Reg]:
    """(mantissa, exponent) of a double as i64, with |x| = mantissa * 2**(exponent - 1075)."""
    bits = em.bitcast(x, "i64")
    exponent = em.and_(em.lshr(bits, 52), 0x7FF)
    fraction = em.and_(bits, (1 << 52) - 1)
    normal = em.compare("ne", exponent, 0)
    return em.select(normal, em.or_(fraction, 1 << 52), fraction), em.select(normal, exponent, 1)


def _fmod_bits(em: Emitter, args: Sequence[Reg]) -> Reg:
    """fmod of two scalars by long division of the mantissas, 11 bits a step (at most 186 steps)."""
    a, b = (em.convert("fpext", x, "double") if x.ty == "float" else x for x in args)
    (ma, ea), (mb, eb) = _decode(em, a), _decode(em, b)
    divisor = em.maximum(mb, 1)
    distance, start = em.sub(ea, eb), em.binary("urem", ma, divisor)
    head, step, done, entry = em.new_label("fmod"), em.new_label("fmod"), em.new_label("fmod"), em.block
    em.raw(f"br label %{head}")
    em.label(head)
    next_r, next_left = em.fresh(), em.fresh()
    r = em.phi("i64", (start, entry), (Reg(next_r, "i64"), step))
    left = em.phi("i64", (distance, entry), (Reg(next_left, "i64"), step))
    em.raw(f"br i1 {em.compare('sgt', left, 0).text}, label %{step}, label %{done}")
    em.label(step)
    bits = em.minimum(left, 11)
    em.raw(f"{next_r} = urem i64 {em.shl(r, bits).text}, {divisor.text}")
    em.raw(f"{next_left} = sub i64 {left.text}, {bits.text}")
    em.raw(f"br label %{head}")
    em.label(done)
    y = em.convert("uitofp", r, "double")
    scale = em.sub(eb, 1075)
    half = em.ashr(scale, 1)
    for e in (half, em.sub(scale, half)):
        y = em.fmul(y, em.bitcast(em.shl(em.add(e, 1023), 52), "double"))
    y = em.copysign(em.select(em.compare("slt", distance, 0), em.fabs(a), y), a)
    defined = em.and_(em.compare("olt", em.fabs(a), float("inf")), em.compare("ogt", em.fabs(b), 0.0))
    y = em.select(defined, y, float("nan"))
    return em.convert("fptrunc", y, "float") if args[0].ty == "float" else y


def float_mod(em: Emitter, a: Reg, b: Reg) -> Reg:
    """Python's and NumPy's %: the remainder with the sign of b."""
    r = fmod(em, a, b)
    shifted = em.select(_signs_differ(em, r, b), em.fadd(r, b), r)
    return em.select(em.compare("une", r, 0.0), shifted, em.copysign(0.0, b))


def float_floordiv(em: Emitter, a: Reg, b: Reg) -> Reg:
    """Python's and NumPy's //: consistent with the remainder; a/b where b is zero."""
    r = fmod(em, a, b)
    quotient = em.fdiv(em.fsub(a, r), b)
    differ = em.and_(em.compare("une", r, 0.0), _signs_differ(em, r, b))
    quotient = em.select(differ, em.fsub(quotient, 1.0), quotient)
    down = floor(em, quotient)
    down = em.select(em.compare("ogt", em.fsub(quotient, down), 0.5), em.fadd(down, 1.0), down)
    plain = em.fdiv(a, b)
    whole = em.select(em.compare("une", quotient, 0.0), down, em.copysign(0.0, plain))
    return em.select(em.compare("oeq", b, 0.0), plain, whole)


def _signs_differ(em: Emitter, a: Reg, b: Reg) -> Reg:
    predicate = "olt" if a.ty in _INTEGRAL else "slt"
    return em.xor(em.compare(predicate, a, 0), em.compare(predicate, b, 0))


def _int_divmod(em: Emitter, a: Reg, b: Reg) -> tuple[Reg, Reg]:
    """Truncated quotient and remainder that never trap: divisor 0 gives 0 and 0, the most negative / -1 wraps."""
    zero, minus = em.compare("eq", b, 0), em.compare("eq", b, -1)
    divisor = em.select(em.or_(zero, minus), 1, b)
    if (
        em.lanes and a.ty == "i32"
    ):  # no vector division of integers exists; doubles hold i32 quotients exactly enough
        x, y = em.convert("sitofp", a, "double"), em.convert("sitofp", divisor, "double")
        q = em.convert("fptosi", em.fdiv(x, y), "i32")
    else:
        q = em.binary("sdiv", a, divisor)
    r = em.sub(a, em.mul(q, divisor))
    q = em.select(zero, 0, em.select(minus, em.sub(0, a), q))
    return q, r


def int_floordiv(em: Emitter, a: Reg, b: Reg) -> Reg:
    """Floor of the quotient; 0 for a zero divisor."""
    q, r = _int_divmod(em, a, b)
    return em.select(em.and_(em.compare("ne", r, 0), _signs_differ(em, r, b)), em.sub(q, 1), q)


def int_mod(em: Emitter, a: Reg, b: Reg) -> Reg:
    """Remainder with the sign of the divisor; 0 for a zero divisor."""
    _, r = _int_divmod(em, a, b)
    return em.select(em.and_(em.compare("ne", r, 0), _signs_differ(em, r, b)), em.add(r, b), r)


def int_pow(em: Emitter, base: Reg, exponent: Reg) -> Reg:
    """base**exponent by squaring, wrapping; a negative exponent gives the true power cut to an integer: 0, 1 or -1."""
    head, body, done, entry = em.new_label("pow"), em.new_label("pow"), em.new_label("pow"), em.block
    one = em.const(1, base.ty)
    em.raw(f"br label %{head}")
    em.label(head)
    next_y, next_b, next_e = (Reg(em.fresh(), base.ty) for _ in range(3))
    y = em.phi(base.ty, (one, entry), (next_y, body))
    b = em.phi(base.ty, (base, entry), (next_b, body))
    e = em.phi(base.ty, (exponent, entry), (next_e, body))
    em.raw(f"br i1 {em.any(em.compare('sgt', e, 0)).text}, label %{body}, label %{done}")
    em.label(body)
    odd = em.and_(em.compare("ne", em.and_(e, 1), 0), em.compare("sgt", e, 0))
    factor = em.select(odd, b, 1)
    ty = em.ty(base.ty)
    em.raw(f"{next_y.text} = mul {ty} {y.text}, {factor.text}")
    em.raw(f"{next_b.text} = mul {ty} {b.text}, {b.text}")
    em.raw(f"{next_e.text} = ashr {ty} {e.text}, {one.text}")
    em.raw(f"br label %{head}")
    em.label(done)
    minus_one = em.select(em.compare("ne", em.and_(exponent, 1), 0), -1, em.const(1, base.ty))
    unit = em.select(em.compare("eq", base, 1), 1, em.const(0, base.ty))
    unit = em.select(em.compare("eq", base, -1), minus_one, unit)
    return em.select(em.compare("slt", exponent, 0), unit, y)
