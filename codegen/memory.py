"""Loads and stores of lanes: contiguous, reversed, strided or scattered, whole or masked.

LLVM's masked intrinsics are written in the spelling with an alignment operand, which every LLVM since 7 reads
(newer ones upgrade it). Inputs are only aligned to their element, so no load claims more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir.graph import Value
from . import scalar
from .access import Guard
from .emitter import Emitter, Reg
from .index_map import Index
from .scope import Scope, Val

if TYPE_CHECKING:
    from .evaluate import Evaluator

BYTES = {"float": 4, "double": 8, "i32": 4, "i64": 8, "i8": 1}


def load(ev: Evaluator, owner: Value, position: Index, scope: Scope, guard: Guard) -> Val:
    """The element at a flat position; lanes and elements for which `guard` fails are not touched in memory."""
    pointer, offset, stride = ev.place(owner, position, scope, guard)
    memory = scalar.MEMORY[owner.type.dtype.short]
    if offset is None and not stride:
        # A bound that varies along the lanes says nothing about an address that does not.
        guard = tuple(b for b in guard if not ev.index(b.place, scope).wide)
    holds = ev.condition(guard, scope) if guard else None
    if offset is None and not stride:
        return _single(ev, pointer, owner, holds, scope)
    depth = max(pointer.depth, ev.order[ev.vector], holds.depth if holds else -1, offset.depth if offset else -1)  # type: ignore[index]
    where = scope.at(depth)
    em, mask = where.wide, _mask(ev, where, holds, scope)
    if offset is not None:
        reg = _gather(em, _spread_pointer(em, pointer.reg, offset.reg, memory), memory, mask)
    elif stride == 1:
        reg = contiguous(em, pointer.reg, memory, mask)
    elif stride == -1:
        reg = _reversed(em, pointer.reg, memory, mask)
    else:
        reg = _gather(em, _spread_pointer(em, pointer.reg, _lane_offsets(em, stride), memory), memory, mask)
    return Val(scalar.load_as(em, reg), depth, True)


def store(ev: Evaluator, owner: Value, position: Index, value: Val, scope: Scope, add: bool = False) -> None:
    """Writes an element (per lane where the position moves with the lanes) in the innermost scope, or adds to it."""
    pointer, offset, stride = ev.place(owner, position, scope)
    memory = scalar.MEMORY[owner.type.dtype.short]
    wide = offset is not None or stride != 0
    if wide:
        value = ev.spread(value, scope)
    em = scope.emitter(wide)
    mask = scope.mask if wide else None
    target: Reg | None = None
    if offset is None and stride == -1:  # downwards: turned round, from the last lane's place upwards
        lowest = em.op(f"getelementptr {memory}, ptr {pointer.reg.text}, i64 {1 - em.lanes}", "ptr")
        pointer = Val(lowest, pointer.depth)
        value = Val(flip(em, value.reg), value.depth, True)
        mask = None if mask is None else flip(em, mask)
    elif wide and (offset is not None or stride != 1):
        moved = offset.reg if offset is not None else _lane_offsets(em, stride)
        target = _spread_pointer(em, pointer.reg, moved, memory)
    if add:
        old = _gather(em, target, memory, mask) if target else contiguous(em, pointer.reg, memory, mask)
        dtype = owner.type.dtype.short
        value = Val(scalar.lower(em, "add", [scalar.load_as(em, old), value.reg], dtype, in_dtype=dtype), 0)
    write(em, pointer.reg, scalar.store_as(em, value.reg), mask, target)


def write(em: Emitter, pointer: Reg, value: Reg, mask: Reg | None, target: Reg | None = None) -> None:
    """A store at `pointer`, or per lane at the pointers `target`."""
    align = BYTES[value.ty]
    if target is not None:
        lanes = em.lanes
        symbol = f"llvm.masked.scatter.{em.suffix(value.ty)}.v{lanes}p0"
        em.decls.setdefault(
            symbol, f"declare void @{symbol}({em.ty(value.ty)}, <{lanes} x ptr>, i32, <{lanes} x i1>)"
        )
        em.raw(f"call void @{symbol}({em.typed(value)}, {em.typed(target)}, i32 {align}, {_all(em, mask)})")
    elif mask is None:
        em.raw(f"store {em.typed(value)}, ptr {pointer.text}, align {align}")
    else:
        symbol = f"llvm.masked.store.{em.suffix(value.ty)}.p0"
        em.decls.setdefault(symbol, f"declare void @{symbol}({em.ty(value.ty)}, ptr, i32, <{em.lanes} x i1>)")
        em.raw(f"call void @{symbol}({em.typed(value)}, ptr {pointer.text}, i32 {align}, {em.typed(mask)})")


def _single(ev: Evaluator, pointer: Val, owner: Value, holds: Val | None, scope: Scope) -> Val:
    """One element; where `holds` is false, the first of the buffer instead."""
    depth, memory, start = pointer.depth, scalar.MEMORY[owner.type.dtype.short], ev.start(owner)
    if holds is not None:
        depth = max(depth, holds.depth)
        em = scope.at(depth).scalar
        pointer = Val(em.op(f"select i1 {holds.reg.text}, ptr {pointer.reg.text}, ptr {start}", "ptr"), depth)
    em = scope.at(depth).scalar
    key = ("load", owner, pointer.reg.text)  # the owner: other values may lie there at other times
    hit = scope.find(key)
    if hit is None:
        reg = em.op(f"load {memory}, ptr {pointer.reg.text}, align {BYTES[memory]}", memory)
        hit = scope.keep(key, Val(scalar.load_as(em, reg), depth))
    return hit


def _mask(ev: Evaluator, where: Scope, holds: Val | None, scope: Scope) -> Reg | None:
    """The lanes that may be touched; None for all."""
    if holds is None:
        return where.mask
    reg = ev.spread(holds, scope).reg
    return reg if where.mask is None else where.wide.and_(reg, where.mask)


def _all(em: Emitter, mask: Reg | None) -> str:
    return em.typed(mask) if mask is not None else f"<{em.lanes} x i1> splat (i1 true)"


def contiguous(em: Emitter, pointer: Reg, memory: str, mask: Reg | None) -> Reg:
    """An element or a vector of them from `pointer` on; lanes outside of the mask are 0."""
    align = BYTES[memory]
    if mask is None:
        return em.op(f"load {em.ty(memory)}, ptr {pointer.text}, align {align}", memory)
    symbol = f"llvm.masked.load.{em.suffix(memory)}.p0"
    ty = em.ty(memory)
    em.decls.setdefault(symbol, f"declare {ty} @{symbol}(ptr, i32, <{em.lanes} x i1>, {ty})")
    return em.op(
        f"call {ty} @{symbol}(ptr {pointer.text}, i32 {align}, {em.typed(mask)}, {ty} zeroinitializer)", memory
    )


def _reversed(em: Emitter, pointer: Reg, memory: str, mask: Reg | None) -> Reg:
    """Lanes that run down in memory: loaded upwards from the last one, then turned round."""
    first = em.op(f"getelementptr {memory}, ptr {pointer.text}, i64 {1 - em.lanes}", "ptr")
    loaded = contiguous(em, first, memory, None if mask is None else flip(em, mask))
    return flip(em, loaded)


def flip(em: Emitter, x: Reg) -> Reg:
    """The lanes in the opposite order."""
    return shuffle(em, x, range(em.lanes - 1, -1, -1))


def shuffle(em: Emitter, x: Reg, order: range | list[int]) -> Reg:
    """Lane k of the result is lane order[k] of `x`."""
    lanes = ", ".join(f"i32 {k}" for k in order)
    return em.op(f"shufflevector {em.typed(x)}, {em.ty(x.ty)} poison, <{em.lanes} x i32> <{lanes}>", x.ty)


def _lane_offsets(em: Emitter, stride: int) -> Reg:
    return Reg("<" + ", ".join(f"i64 {k * stride}" for k in range(em.lanes)) + ">", "i64")


def _spread_pointer(em: Emitter, pointer: Reg, offset: Reg, memory: str) -> Reg:
    return em.op(f"getelementptr {memory}, ptr {pointer.text}, {em.ty('i64')} {offset.text}", "ptr")


def _gather(em: Emitter, pointers: Reg, memory: str, mask: Reg | None) -> Reg:
    ty, lanes = em.ty(memory), em.lanes
    symbol = f"llvm.masked.gather.{em.suffix(memory)}.v{lanes}p0"
    em.decls.setdefault(symbol, f"declare {ty} @{symbol}(<{lanes} x ptr>, i32, <{lanes} x i1>, {ty})")
    args = f"{em.typed(pointers)}, i32 {BYTES[memory]}, {_all(em, mask)}, {ty} zeroinitializer"
    return em.op(f"call {ty} @{symbol}({args})", memory)


