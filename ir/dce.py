"""Dead code elimination: ops that have no effect and whose results nobody uses go, in regions as well."""

from __future__ import annotations

from .control import has_effect
from .graph import Block, Function, Op, Value


def dce(fn: Function) -> Function:
    """A copy of the function without dead ops. A loop that nobody uses is dead even if it would never end."""
    live: set[Value] = set()
    kept: set[int] = set()
    _mark(fn.body, live, kept, {})
    return Function(fn.name, _copy(fn.body, {}, kept))


def _mark(block: Block, live: set[Value], kept: set[int], effects: dict[int, bool]) -> None:
    # Backwards: every use of a value comes after its definition, so one walk sees all uses first.
    for op in reversed(block.ops):
        if op.kind.terminator or any(r in live for r in op.results) or has_effect(op, effects):
            kept.add(id(op))
            live.update(op.operands)
            for r in op.regions:
                _mark(r, live, kept, effects)


def _copy(block: Block, mapping: dict[Value, Value], kept: set[int]) -> Block:
    new = Block(Value(p.type, p.name) for p in block.params)
    mapping.update(zip(block.params, new.params, strict=True))
    for op in block.ops:
        if id(op) in kept:
            regions = [_copy(r, mapping, kept) for r in op.regions]
            operands = [mapping[v] for v in op.operands]
            fresh = Op(op.kind, operands, dict(op.attrs), regions, [r.type for r in op.results], op.loc)
            for old, r in zip(op.results, fresh.results, strict=True):
                r.name = old.name
                mapping[old] = r
            new.ops.append(fresh)
    return new
