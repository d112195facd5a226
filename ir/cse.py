"""Common subexpression elimination: an op that computes what a visible earlier op computed is replaced by it.

Values are equal when op, attributes (to the bit) and operands are. What is computed inside a region is not visible
outside; what was computed outside is visible inside. Ops with effects or regions are left alone.
"""

from __future__ import annotations

from collections.abc import Hashable

from .attrs import attrs_key
from .control import has_effect
from .graph import Block, Function, Op, Value
from .rewrite import keep_name
from .types import StackType

# Not minimum and maximum: which of 0.0 and -0.0 they return depends on the order.
COMMUTATIVE = frozenset({"add", "mul", "eq", "ne", "logical_and", "logical_or", "logical_xor"}) | {
    "bitwise_and", "bitwise_or", "bitwise_xor",
}  # fmt: skip


def cse(fn: Function) -> Function:
    """A copy of the function in which equal ops are computed once."""
    return Function(fn.name, _Merge().block(fn.body))


class _Merge:
    def __init__(self) -> None:
        self.mapping: dict[Value, Value] = {}
        self.seen: dict[Hashable, Op] = {}
        self.effects: dict[int, bool] = {}

    def block(self, block: Block) -> Block:
        new = Block(Value(p.type, p.name) for p in block.params)
        self.mapping.update(zip(block.params, new.params, strict=True))
        added: list[Hashable] = []
        for op in block.ops:
            self._op(op, new, added)
        for key in added:
            del self.seen[key]
        return new

    def _op(self, op: Op, into: Block, added: list[Hashable]) -> None:
        operands = [self.mapping[v] for v in op.operands]
        key: Hashable = None
        stacks = any(isinstance(r.type, StackType) for r in op.results)  # used linearly: two of them stay two
        if not op.regions and not op.kind.terminator and not stacks and not has_effect(op, self.effects):
            ids = [id(v) for v in operands]
            if op.kind.name in COMMUTATIVE:
                ids.sort()
            # The type is part of the key: two constants of no elements differ in nothing else.
            key = (op.kind.name, tuple(ids), attrs_key(op.attrs), tuple(r.type for r in op.results))
            earlier = self.seen.get(key)
            if earlier is not None:
                for old, r in zip(op.results, earlier.results, strict=True):
                    keep_name(r, old)
                    self.mapping[old] = r
                return
        new = Op(op.kind, operands, dict(op.attrs), map(self.block, op.regions), [r.type for r in op.results], op.loc)
        for old, r in zip(op.results, new.results, strict=True):
            r.name = old.name
            self.mapping[old] = r
        into.ops.append(new)
        if key is not None:
            self.seen[key] = new
            added.append(key)
