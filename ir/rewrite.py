"""What passes share: values that an op reads through its regions, and copying with sizes replaced."""

from __future__ import annotations

from collections.abc import Mapping

from .attrs import resolve_attrs
from .dims import DimLike
from .graph import Block, Op, Value
from .trips import known_branch, never_runs


def inputs(op: Op) -> list[Value]:
    """The values that an op reads: its operands, then what its regions use from outside, each once."""
    if not op.regions:
        return op.operands
    found = dict.fromkeys(op.operands)
    for r in op.regions:
        found.update(dict.fromkeys(free_values(r)))
    return list(found)


def free_values(block: Block) -> list[Value]:
    """Values that a block uses and does not define, in the order of first use."""
    inside: set[Value] = set(block.params)
    found: dict[Value, None] = {}
    for op in block.ops:
        found.update((v, None) for v in inputs(op) if v not in inside)
        inside.update(op.results)
    return list(found)


def keep_name(new: Value, old: Value) -> None:
    """Gives the user's name of a replaced value to the one in its place, if that has none."""
    if old.name and not new.name:
        new.name = old.name


def instantiate(block: Block, into: Block, mapping: dict[Value, Value], sizes: Mapping[str, DimLike]) -> None:
    """Copies a block's ops into another with sizes replaced and every type inferred anew.

    What these sizes keep from running is not copied: it need not make sense for them (`x[0]` where x has no elements).
    `mapping` holds what stands for the block's parameters and outer values; it is extended by the ops' results.
    """
    for op in block.ops:
        taken = known_branch(op, mapping) if op.regions else None
        if taken is not None:
            *ops, end = op.regions[taken].ops
            instantiate(Block((), ops), into, mapping, sizes)
            mapping.update((r, mapping.get(v, v)) for r, v in zip(op.results, end.operands, strict=True))
        elif op.regions and never_runs(op, mapping):
            mapping.update((r, mapping.get(v, v)) for r, v in zip(op.results, op.operands[3:], strict=True))
        else:
            into.ops.append(instantiate_op(op, mapping, sizes))


def instantiate_op(op: Op, mapping: dict[Value, Value], sizes: Mapping[str, DimLike]) -> Op:
    """A copy of one op with sizes replaced; see `instantiate`."""
    regions = []
    for r in op.regions:
        region = Block(Value(p.type.substitute(sizes), p.name) for p in r.params)
        mapping.update(zip(r.params, region.params, strict=True))
        instantiate(r, region, mapping, sizes)
        regions.append(region)
    operands = [mapping.get(v, v) for v in op.operands]
    attrs = resolve_attrs(op.attrs, sizes)
    types = op.kind.infer(attrs, [v.type for v in operands], regions)
    new = Op(op.kind, operands, attrs, regions, types, op.loc)
    for old, fresh in zip(op.results, new.results, strict=True):
        fresh.name = old.name
        mapping[old] = fresh
    return new
