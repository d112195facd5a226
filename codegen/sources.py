"""Elements that come from no operand array: constants, iota, counter-based random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir.graph import Op, Value
from . import access, scalar
from .emitter import Emitter, Reg
from .index_map import At
from .scope import Scope, Val

if TYPE_CHECKING:
    from .evaluate import Evaluator

_NUMBERS = Emitter(0)


def literal(v: Value) -> Val:
    """A constant scalar, or the one number that a constant array holds, as an operand."""
    assert isinstance(v.owner, Op)
    array = v.owner.attrs["value"]
    return Val(number(array.flat[0].item(), v.type.dtype.short), -1)


def number(x: float, dtype: str) -> Reg:
    """A number as an operand of the dtype."""
    return _NUMBERS.const(x, scalar.element(dtype))


def source(ev: Evaluator, op: Op, at: At, scope: Scope) -> Val:
    """The element at `at` of a constant, an iota or a draw of random numbers."""
    name, dtype = op.kind.name, op.results[0].type.dtype.short
    if name == "constant":
        return literal(op.results[0])
    if name == "size_value":
        return _converted(ev, Val(Reg(str(op.attrs["size"]), "i64"), -1), dtype, scope)
    if name == "iota":
        return _converted(ev, ev.index(at[op.attrs["axis"]], scope), dtype, scope)
    bits = _random_bits(ev, op, at, scope)
    return bits if name == "random_bits" else _uniform(ev, bits, dtype, scope)


def _converted(ev: Evaluator, index: Val, dtype: str, scope: Scope) -> Val:
    def convert(em: Emitter, r: Reg) -> Reg:
        if dtype == "i64":
            return r
        return em.convert("trunc", r, "i32") if dtype == "i32" else em.convert("sitofp", r, scalar.element(dtype))

    return ev.apply(convert, scope, index)


def _random_bits(ev: Evaluator, op: Op, at: At, scope: Scope) -> Val:
    """64 bits: element k is threefry2x32(key, counter + k)."""
    key, counter = (ev.value(v, (), scope) for v in op.operands)
    memo = ("bits", key, counter, access.address(at, access.shape_of(op.results[0])))
    hit = scope.find(memo)
    if hit is None:
        place = ev.index(memo[3], scope)
        place = ev.apply(Emitter.add, scope, counter, place)
        hit = scope.keep(memo, ev.apply(scalar.random_bits, scope, key, place))
    return hit


def _uniform(ev: Evaluator, bits: Val, dtype: str, scope: Scope) -> Val:
    """The top 24 (f32) or 53 (f64) bits, divided by 2**24 or 2**53."""
    kept = 24 if dtype == "f32" else 53

    def convert(em: Emitter, r: Reg) -> Reg:
        return em.fmul(em.convert("sitofp", em.lshr(r, 64 - kept), scalar.element(dtype)), 2.0**-kept)

    return ev.apply(convert, scope, bits)
