"""Canonicalisation: constants folded, algebra done, needless moves removed. The rules are in `rules_*.py`."""

from __future__ import annotations

from . import ops as _ops  # noqa: F401  fills the op table, which the rules refer to
from . import rules_math, rules_shape
from .control_rules import simple_regions
from .dce import dce
from .graph import Block, Function, Op, Value
from .rewrite import keep_name
from .rules import Simplifier

__all__ = ["canon", "rules_math", "rules_shape"]


def canon(fn: Function) -> Function:
    """A simpler copy of the function with the same results, to the bit; what became dead is dropped.

    One walk over the ops: the time is linear in their number.
    """
    body = Block(Value(p.type, p.name) for p in fn.params)
    s = Simplifier(body)
    _ops_into(s, fn.body, dict(zip(fn.params, body.params, strict=True)))
    return dce(Function(fn.name, body))


def _ops_into(s: Simplifier, block: Block, mapping: dict[Value, Value]) -> None:
    for old in block.ops:
        op = old
        regions: list[Block] = []
        if old.regions:
            op, regions = simple_regions(old, mapping, lambda o: [_region(s, r, mapping) for r in o.regions])
        s.loc = op.loc
        results = s.emit(op.kind, [mapping[v] for v in op.operands], dict(op.attrs), regions)
        for before, new in zip(op.results, results, strict=True):
            mapping[before] = new
            if isinstance(new.owner, Op):
                keep_name(new, before)


def _region(s: Simplifier, region: Block, mapping: dict[Value, Value]) -> Block:
    new = Block(Value(p.type, p.name) for p in region.params)
    mapping.update(zip(region.params, new.params, strict=True))
    outer, s.block = s.block, new
    _ops_into(s, region, mapping)
    s.block = outer
    return new
