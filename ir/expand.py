"""Expansion: ops without a machine form are replaced by the simpler ops that their `expand` writes."""

from __future__ import annotations

from .builder import Expr, IRBuilder
from .graph import Block, Function, Op, Value
from .opdef import OpDef
from .rewrite import keep_name


def expand(fn: Function) -> Function:
    """A copy of the function in which ops that have no lowering but an expansion are expanded, all the way down."""
    return Function(fn.name, _block(fn.body, {}))


def expandable(kind: OpDef) -> bool:
    """Whether an op is made of simpler ones."""
    return kind.lowering is None and type(kind).expand is not OpDef.expand


def _block(block: Block, mapping: dict[Value, Value]) -> Block:
    new = Block(Value(p.type, p.name) for p in block.params)
    mapping.update(zip(block.params, new.params, strict=True))
    for op in block.ops:
        _op(op, new, mapping)
    return new


def _op(op: Op, into: Block, mapping: dict[Value, Value]) -> None:
    operands = [mapping[v] for v in op.operands]
    if expandable(op.kind) and not op.regions:
        simple = Block()
        b = IRBuilder(simple, op.loc)
        made = op.kind.expand(b, op.attrs, [Expr(b, v) for v in operands])
        if made is not None:
            # What the expansion wrote may need expanding itself.
            inner = {v: v for v in operands}
            for o in simple.ops:
                _op(o, into, inner)
            for old, r in zip(op.results, made if isinstance(made, (tuple, list)) else (made,), strict=True):
                mapping[old] = inner[r.value]
                keep_name(mapping[old], old)
            return
    regions = [_block(r, mapping) for r in op.regions]
    new = Op(op.kind, operands, dict(op.attrs), regions, [r.type for r in op.results], op.loc)
    for old, r in zip(op.results, new.results, strict=True):
        r.name = old.name
        mapping[old] = r
    into.ops.append(new)
