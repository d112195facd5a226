"""Rules of the canonicaliser for elementwise ops, exact for every input: `x * 0` for floats, say, is not among them."""

from __future__ import annotations

import numpy as np

from .dtypes import DType
from .errors import ShapeMismatch
from .graph import Value
from .rules import Match, Result, Simplifier, producer, rule
from .types import TensorType


def _is_int(t: TensorType) -> bool:
    return t.dtype.is_integer


@rule("elementwise")
def splats(s: Simplifier, m: Match) -> Result:
    """An op on operands of one number each is computed once and broadcast."""
    scalars = [s.splat(x) for x in m.xs]
    known = [c for c in scalars if c is not None]
    if len(known) < len(scalars):
        return None
    made = s._eager(Match(m.kind, m.xs, m.attrs, [], (TensorType(m.type.dtype),)), known)
    return None if made is None else s.fill_value(made[0], m.type)


@rule("elementwise")
def late_broadcast(s: Simplifier, m: Match) -> Result:
    """`add(x, broadcast_to(y))` is `add(x, y)`; where all operands are broadcast, so is the result instead."""
    sources = [producer(x, "broadcast_to") for x in m.xs]
    if not any(sources):
        return None
    xs = [x if op is None else op.operands[0] for x, op in zip(m.xs, sources, strict=True)]
    try:
        m.kind.infer(m.attrs, [x.type for x in xs])
    except ShapeMismatch:
        return None  # symbolic sizes of which it is not known that they fit
    return _kept(s, m, s.emit(m.kind, xs, m.attrs)[0])


def _kept(s: Simplifier, m: Match, x: Value) -> Value:
    """The operand at the result's shape."""
    return s.to_shape(x, m.type)


@rule("add")
def add(s: Simplifier, m: Match) -> Result:
    """x + 0; for floats only -0.0 changes nothing (-0.0 + 0.0 is 0.0)."""
    x, y = m.xs
    zero = 0 if _is_int(m.type) else -0.0
    if s.is_splat(y, zero):
        return _kept(s, m, x)
    if s.is_splat(x, zero):
        return _kept(s, m, y)
    negated = producer(y, "neg")
    if negated is not None:
        return s.value("sub", x, negated.operands[0])
    return None


@rule("sub")
def sub(s: Simplifier, m: Match) -> Result:
    """x - 0, and for integers x - x and 0 - x."""
    x, y = m.xs
    if s.is_splat(y, 0 if _is_int(m.type) else 0.0):
        return _kept(s, m, x)
    if _is_int(m.type) and x is y:
        return s.fill_value(0, m.type)
    if _is_int(m.type) and s.is_splat(x, 0):
        return _kept(s, m, s.value("neg", y))
    negated = producer(y, "neg")
    if negated is not None:
        return s.value("add", x, negated.operands[0])
    return None


@rule("mul")
def mul(s: Simplifier, m: Match) -> Result:
    """x * 1, x * -1, and for integers x * 0."""
    for x, y in (m.xs, m.xs[::-1]):
        if s.is_splat(y, 1):
            return _kept(s, m, x)
        if m.type.dtype.kind in "fi" and s.is_splat(y, -1):
            return _kept(s, m, s.value("neg", x))
        if _is_int(m.type) and s.is_splat(y, 0):
            return s.fill_value(0, m.type)
    a, b = (producer(x, "neg") for x in m.xs)
    if a is not None and b is not None:
        return s.value("mul", a.operands[0], b.operands[0])
    return None


@rule("div")
def div(s: Simplifier, m: Match) -> Result:
    """x / 1, x / -1, and a division by a power of two as a product with its exact inverse."""
    x, y = m.xs
    c = s.splat(y)
    if c is None or m.type.dtype.kind != "f":
        return None
    if s.is_splat(y, 1):
        return _kept(s, m, x)
    if s.is_splat(y, -1):
        return _kept(s, m, s.value("neg", x))
    number = float(c)
    if not np.isfinite(number) or abs(np.frexp(number)[0]) != 0.5:
        return None
    inverse = np.asarray(1.0 / number).astype(c.dtype)
    # The inverse of 2**k is exact, as long as neither is subnormal nor out of range.
    tiny = np.finfo(c.dtype).tiny
    if not np.isfinite(inverse) or min(abs(number), abs(float(inverse))) < tiny or float(inverse) * number != 1.0:
        return None
    return s.value("mul", x, s.literal(inverse))


@rule("pow")
def power(s: Simplifier, m: Match) -> Result:
    """x ** 1, x ** 2 and x ** 0 (which is 1 for every x, NaN too)."""
    x, p = m.xs
    if s.is_splat(p, 1):
        return _kept(s, m, x)
    if s.is_splat(p, 2):
        return _kept(s, m, s.value("square", x))
    return s.fill_value(1, m.type) if s.is_splat(p, 0) else None


@rule("neg", "logical_not")
def twice(s: Simplifier, m: Match) -> Result:
    """-(-x) and not not x."""
    op = producer(m.xs[0], m.kind.name)
    return None if op is None else op.operands[0]


@rule("abs", "sign", "relu", "floor", "ceil", "trunc", "round")
def idempotent(s: Simplifier, m: Match) -> Result:
    """f(f(x)) = f(x)."""
    return m.xs[0] if producer(m.xs[0], m.kind.name) else None


@rule("abs", "square")
def even(s: Simplifier, m: Match) -> Result:
    """f(-x) = f(x); |square(x)| needs no op of its own."""
    op = producer(m.xs[0], "neg")
    if op is not None and (m.type.dtype.kind == "f" or m.kind.name == "square"):
        return s.emit(m.kind, op.operands)[0]
    return None


@rule("maximum", "minimum", "logical_and", "logical_or", "bitwise_and", "bitwise_or")
def same_operands(s: Simplifier, m: Match) -> Result:
    """f(x, x) = x."""
    return m.xs[0] if m.xs[0] is m.xs[1] else None


@rule("logical_and", "logical_or")
def known_side(s: Simplifier, m: Match) -> Result:
    """x and true, x and false, x or true, x or false."""
    for x, y in (m.xs, m.xs[::-1]):
        c = s.splat(y)
        if c is not None:
            neutral = m.kind.name == "logical_and"
            return _kept(s, m, x) if bool(c) == neutral else s.fill_value(bool(c), m.type)
    return None


@rule("eq", "ne", "lt", "le", "gt", "ge")
def compared_with_itself(s: Simplifier, m: Match) -> Result:
    """x < x is false always; x == x is true for everything but NaN, so not for floats."""
    if m.xs[0] is not m.xs[1]:
        return None
    if m.kind.name in ("lt", "gt"):
        return s.fill_value(False, m.type)
    if m.xs[0].type.dtype.kind in "iub":
        return s.fill_value(m.kind.name != "ne", m.type)
    return None


@rule("where")
def where(s: Simplifier, m: Match) -> Result:
    """A known condition, equal branches, a condition within itself, a negated condition."""
    condition, x, y = m.xs
    c = s.splat(condition)
    if c is not None:
        return _kept(s, m, x if bool(c) else y)
    if x is y:
        return _kept(s, m, x)
    for k, branch in ((1, x), (2, y)):
        inner = producer(branch, "where")
        if inner is not None and inner.operands[0] is condition:  # asked already
            return s.emit(m.kind, [condition, *(inner.operands[1:2] if k == 1 else [x]),
                                   *(inner.operands[2:] if k == 2 else [y])])[0]  # fmt: skip
    op = producer(condition, "logical_not")
    return s.emit(m.kind, [op.operands[0], y, x])[0] if op is not None else None


def exact_cast(a: DType, b: DType) -> bool:
    """Whether every value of dtype `a` is a value of dtype `b`."""
    if a == b:
        return True
    if a.is_bool:
        return b.kind in "iuf"
    if a.is_integer and b.is_integer:
        return bool(b.min <= a.min and a.max <= b.max)
    if a.is_integer and b.is_floating:
        return 8 * a.size - (a.kind == "i") <= _MANTISSA[b.short]
    if a.is_floating and b.is_floating:
        return _MANTISSA[a.short] <= _MANTISSA[b.short] and _EXPONENT[a.short] <= _EXPONENT[b.short]
    return False


_MANTISSA = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}
_EXPONENT = {"f16": 5, "bf16": 8, "f32": 8, "f64": 11}


@rule("cast")
def cast(s: Simplifier, m: Match) -> Result:
    """A cast to the own dtype; two casts of which the first loses nothing."""
    (x,) = m.xs
    if x.type.dtype == m.type.dtype:
        return x
    op = producer(x, "cast")
    if op is None:
        return None
    source = op.operands[0]
    # Floats to integers are left alone: out of range, what comes out depends on the width of the float.
    if exact_cast(source.type.dtype, x.type.dtype) and not (x.type.dtype.is_floating and m.type.dtype.is_integer):
        return s.emit(m.kind, [source], m.attrs)[0]
    if exact_cast(source.type.dtype, x.type.dtype) and source.type.dtype == m.type.dtype:
        return source
    return None
