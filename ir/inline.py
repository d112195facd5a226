"""Inlining: a call is replaced by the body of the function it names, with that function's symbols replaced by sizes.

Ops keep the lines where the user wrote them, so an error inside an inlined function still points at its own line.
"""

from __future__ import annotations

from .control import CALL, match_shapes
from .graph import Block, Function, Op, Value
from .rewrite import instantiate, keep_name


def inline(fn: Function, limit: int | None = None) -> Function:
    """A copy of the function with calls replaced by bodies.

    Args:
      limit: only functions of at most this many ops (counted before their own calls are inlined); None inlines all.
        A function that calls itself stays a call.
    """
    return Function(fn.name, _Inline(limit, fn).block(fn.body, {}))


class _Inline:
    def __init__(self, limit: int | None, fn: Function) -> None:
        self.limit = limit
        self.stack: list[Function] = [fn]
        self.sizes: dict[int, int] = {}

    def block(self, block: Block, mapping: dict[Value, Value]) -> Block:
        new = Block(Value(p.type, p.name) for p in block.params)
        mapping.update(zip(block.params, new.params, strict=True))
        self.ops(block.ops, new, mapping)
        return new

    def ops(self, ops: list[Op], into: Block, mapping: dict[Value, Value]) -> None:
        for op in ops:
            if op.kind is CALL and self._wanted(op.attrs["callee"]):
                self._call(op, into, mapping)
                continue
            regions = [self.block(r, mapping) for r in op.regions]
            operands = [mapping[v] for v in op.operands]
            new = Op(op.kind, operands, dict(op.attrs), regions, [r.type for r in op.results], op.loc)
            for old, r in zip(op.results, new.results, strict=True):
                r.name = old.name
                mapping[old] = r
            into.ops.append(new)

    def _wanted(self, callee: Function) -> bool:
        if callee in self.stack:
            return False
        if self.limit is not None and id(callee) not in self.sizes:
            self.sizes[id(callee)] = sum(1 for _ in callee.body.walk())
        return self.limit is None or self.sizes[id(callee)] <= self.limit

    def _call(self, op: Op, into: Block, mapping: dict[Value, Value]) -> None:
        callee: Function = op.attrs["callee"]
        operands = [mapping[v] for v in op.operands]
        sizes = match_shapes(callee.name, callee.param_types, [v.type for v in operands])
        # First with the caller's sizes, then its own calls: those are matched against sizes that are final.
        inner: dict[Value, Value] = dict(zip(callee.params, operands, strict=True))
        body = Block()
        instantiate(callee.body, body, inner, sizes)
        self.stack.append(callee)
        outside = {v: v for v in operands}
        self.ops(body.ops[:-1], into, outside)
        self.stack.pop()
        for old, result in zip(op.results, body.ops[-1].operands, strict=True):
            mapping[old] = outside[result]
            keep_name(mapping[old], old)
