"""The machine form of every elementwise op, one lane at a time: op name and dtype to instructions.

``lower`` is a lookup: arithmetic maps to one instruction each, in the order the user wrote (no contraction,
no reassociation, so results equal NumPy's bit for bit), math functions to the polynomials of ``math_f32`` and
``math_f64``. Where NumPy and the plain instruction differ (NaN in minimum, floor division, casts out of
range) NumPy wins, except that nothing traps: an integer divided by zero is 0. A bool is an i1 in registers
and a byte in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from . import math_round as rounding
from .division import divide
from .emitter import Emitter, Reg
from .math_table import MATH
from .math_threefry import random_bits

__all__ = ["ELEMENT", "MEMORY", "OPS", "element", "load_as", "lower", "random_bits", "store_as"]

# dtype -> element type in registers, and in memory.
ELEMENT = {"f32": "float", "f64": "double", "i32": "i32", "i64": "i64", "bool": "i1"}
MEMORY = {"f32": "float", "f64": "double", "i32": "i32", "i64": "i64", "bool": "i8"}

Lowering = Callable[..., Reg]
_FLOATS, _INTS, _NUMBERS, _ANY = "f", "i", "fi", "fib"


def element(dtype: str) -> str:
    """The LLVM element type of a dtype in registers. Raises TypeError for a dtype without machine form."""
    try:
        return ELEMENT[dtype]
    except KeyError:
        raise TypeError(
            f"dtype {dtype!r} has no machine form; compiled code takes {', '.join(ELEMENT)}"
        ) from None


def load_as(em: Emitter, loaded: Reg) -> Reg:
    """What was loaded from memory as a register value: a byte becomes an i1, all else stays."""
    return em.compare("ne", loaded, 0) if loaded.ty == "i8" else loaded


def store_as(em: Emitter, value: Reg) -> Reg:
    """A register value as it is stored: an i1 becomes a byte 0 or 1, all else stays."""
    return em.convert("zext", value, "i8") if value.ty == "i1" else value


def lower(
    em: Emitter,
    op: str,
    operands: Sequence[Reg],
    out: str,
    *,
    in_dtype: str,
    attrs: Mapping[str, object] | None = None,
) -> Reg:
    """Emit one elementwise op and return its value.

    Args:
      em: the builder, scalar or vector.
      op: the op's name in the IR (``add``, ``tanh``, ``where``, ``cast`` ...).
      operands: registers of ``in_dtype`` (for ``where``: a bool, then two of ``in_dtype``).
      out: the dtype of the result: what ``cast`` converts to.
      in_dtype: the dtype of the operands.
      attrs: the op's attributes (``alpha`` of ``elu``).

    Raises:
      TypeError: the op does not exist for this dtype.
    """
    ty = element(in_dtype)
    if op == "cast":
        return _cast(em, operands[0], element(out))
    kind = "f" if ty in ("float", "double") else "b" if ty == "i1" else "i"
    found = OPS.get((op, kind))
    if found is None:
        known = sorted({k for name, k in OPS if name == op})
        hint = f"it exists for {', '.join(_KINDS[k] for k in known)}" if known else "no such elementwise op"
        raise TypeError(f"op {op!r} has no machine form for {in_dtype}: {hint}")
    if op == "elu":
        return _elu(em, operands[0], float(str((attrs or {}).get("alpha", 1.0))))
    return found(em, *operands)


_KINDS = {"f": "floats", "i": "integers", "b": "bool"}


def _instruction(opcode: str) -> Lowering:
    def emit(em: Emitter, a: Reg, b: Reg) -> Reg:
        flag = " contract" if em.contract and opcode[0] == "f" else ""
        return em.binary(opcode + flag, a, b)

    return emit


def _comparison(predicate: str) -> Lowering:
    return lambda em, a, b: em.compare(predicate, a, b)


def _truth(em: Emitter, x: Reg) -> Reg:
    """NumPy's truth value: not equal to zero, so NaN is true."""
    if x.ty == "i1":
        return x
    return em.compare("une" if x.ty in ("float", "double") else "ne", x, 0)


def _logical(opcode: str) -> Lowering:
    return lambda em, a, b: em.binary(opcode, _truth(em, a), _truth(em, b))


def _extreme(predicate: str) -> Lowering:
    """np.minimum or np.maximum of floats: a where it compares so or is NaN, else b.

    So NaN wins, and of two zeros of different sign the second, as in NumPy.
    """

    def emit(em: Emitter, a: Reg, b: Reg) -> Reg:
        return em.select(em.or_(em.compare(predicate, a, b), em.compare("uno", a, a)), a, b)

    return emit


def _int_extreme(predicate: str) -> Lowering:
    return lambda em, a, b: em.select(em.compare(predicate, a, b), a, b)


def _float_sign(em: Emitter, x: Reg) -> Reg:
    """np.sign: -1, 0 or 1; NaN stays, and -0 gives 0."""
    unit = em.select(em.compare("ogt", x, 0.0), 1.0, em.const(-1.0, x.ty))
    zero_or_nan = em.select(em.compare("oeq", x, 0.0), em.const(0.0, x.ty), x)
    return em.select(em.compare("one", x, 0.0), unit, zero_or_nan)


def _int_sign(em: Emitter, x: Reg) -> Reg:
    bits = 31 if x.ty == "i32" else 63
    return em.or_(em.ashr(x, bits), em.lshr(em.sub(0, x), bits))


def _int_abs(em: Emitter, x: Reg) -> Reg:
    return em.select(em.compare("slt", x, 0), em.sub(0, x), x)


def _float_relu(em: Emitter, x: Reg) -> Reg:
    """np.maximum(x, 0): NaN stays NaN."""
    return em.select(em.compare("ole", x, 0.0), em.const(0.0, x.ty), x)


def _float_min_zero(em: Emitter, x: Reg) -> Reg:
    """np.minimum(x, 0)."""
    return em.select(em.compare("oge", x, 0.0), em.const(0.0, x.ty), x)


def _elu(em: Emitter, x: Reg, alpha: float) -> Reg:
    """x where x > 0, else alpha * expm1(x)."""
    negative = MATH["expm1"](em, _float_min_zero(em, x))
    if alpha != 1.0:
        negative = em.fmul(negative, alpha)
    return em.select(em.compare("ogt", x, 0.0), x, negative)


def _is_finite(em: Emitter, x: Reg) -> Reg:
    return em.compare("olt", em.fabs(x), float("inf"))


def _cast(em: Emitter, x: Reg, ty: str) -> Reg:
    """Any dtype to any other, as ndarray.astype."""
    floats = ("float", "double")
    if x.ty == ty:
        return x
    if ty == "i1":
        return _truth(em, x)
    if x.ty == "i1":
        return em.select(x, em.const(1, ty), 0) if ty in floats else em.convert("zext", x, ty)
    if x.ty in floats:
        if ty in floats:
            return em.convert("fpext" if ty == "double" else "fptrunc", x, ty)
        return _float_to_int(em, x, ty)
    if ty in floats:
        return em.convert("sitofp", x, ty)
    return em.convert("sext" if ty == "i64" else "trunc", x, ty)


def _float_to_int(em: Emitter, x: Reg, ty: str) -> Reg:
    """Cut towards zero; NaN and what does not fit give the most negative integer, as on x86."""
    top = 2.0**31 if ty == "i32" else 2.0**63
    if x.ty == "double" and ty == "i32":
        above = em.compare("ogt", x, -top - 1.0)
    else:
        above = em.compare("oge", x, -top)
    fits = em.and_(above, em.compare("olt", x, top))
    return em.select(fits, em.convert("fptosi", em.select(fits, x, 0.0), ty), int(-top))


def _bool_order(opcode: str, flip: int) -> Lowering:
    """Comparisons of bools as logic: a < b is (not a) and b, and so on; ``flip`` says which operand is negated."""

    def emit(em: Emitter, a: Reg, b: Reg) -> Reg:
        return em.binary(opcode, em.not_(a) if flip == 0 else a, em.not_(b) if flip == 1 else b)

    return emit


def _build_table() -> dict[tuple[str, str], Lowering]:
    table: dict[tuple[str, str], Lowering] = {}

    def row(name: str, kinds: str, emit: Lowering) -> None:
        table.update({(name, kind): emit for kind in kinds})

    _arithmetic_rows(row)
    _logic_rows(row)
    for name, function in MATH.items():
        row(name, _FLOATS, function)
    return table


def _arithmetic_rows(row: Callable[[str, str, Lowering], None]) -> None:
    for name in ("add", "sub", "mul"):
        row(name, _FLOATS, _instruction("f" + name))
        row(name, _INTS, _instruction(name))
    row("div", _FLOATS, divide)
    row("add", "b", _instruction("or"))
    row("mul", "b", _instruction("and"))
    row("floordiv", _FLOATS, rounding.float_floordiv)
    row("floordiv", _INTS, rounding.int_floordiv)
    row("mod", _FLOATS, rounding.float_mod)
    row("mod", _INTS, rounding.int_mod)
    row("pow", _INTS, rounding.int_pow)
    row("neg", _FLOATS, lambda em, x: em.fneg(x))
    row("neg", _INTS, lambda em, x: em.sub(0, x))
    row("abs", _FLOATS, lambda em, x: em.fabs(x))
    row("abs", _INTS, _int_abs)
    row("sign", _FLOATS, _float_sign)
    row("sign", _INTS, _int_sign)
    row("square", _FLOATS, lambda em, x: _instruction("fmul")(em, x, x))
    row("square", _INTS, lambda em, x: em.mul(x, x))
    row("sqrt", _FLOATS, lambda em, x: em.sqrt(x))
    row("rsqrt", _FLOATS, lambda em, x: em.fdiv(1.0, em.sqrt(x)))
    row("relu", _FLOATS, _float_relu)
    row("relu", _INTS, lambda em, x: em.maximum(x, 0))
    row("elu", _FLOATS, _elu)
    for name, rounded in (("floor", "floor"), ("ceil", "ceil"), ("trunc", "trunc"), ("round", "round_even")):
        row(name, _FLOATS, getattr(rounding, rounded))
        row(name, _INTS, lambda em, x: x)
    for name, less in (("minimum", "lt"), ("maximum", "gt")):
        row(name, _FLOATS, _extreme("o" + less))
        row(name, _INTS, _int_extreme("s" + less))
        row(name, "b", _instruction("and" if name == "minimum" else "or"))


def _logic_rows(row: Callable[[str, str, Lowering], None]) -> None:
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        row(name, _FLOATS, _comparison(("u" if name == "ne" else "o") + name))
        row(name, _INTS, _comparison(name if name in ("eq", "ne") else "s" + name))
    row("eq", "b", lambda em, a, b: em.not_(em.xor(a, b)))
    row("ne", "b", _instruction("xor"))
    row("lt", "b", _bool_order("and", 0))
    row("gt", "b", _bool_order("and", 1))
    row("le", "b", _bool_order("or", 0))
    row("ge", "b", _bool_order("or", 1))
    for name in ("and", "or", "xor"):
        row(f"logical_{name}", _ANY, _logical(name))
        row(f"bitwise_{name}", _INTS + "b", _instruction(name))
    row("logical_not", _ANY, lambda em, x: em.not_(_truth(em, x)))
    row("is_nan", _FLOATS, lambda em, x: em.compare("uno", x, x))
    row("is_inf", _FLOATS, lambda em, x: em.compare("oeq", em.fabs(x), float("inf")))
    row("is_finite", _FLOATS, _is_finite)
    row("after", _ANY, lambda em, x, y: x)
    row("where", _ANY, lambda em, c, x, y: em.select(c, x, y))


# (op, "f" | "i" | "b") -> how to emit it. `cast` is apart: it looks at two dtypes.
OPS: dict[tuple[str, str], Lowering] = _build_table()
