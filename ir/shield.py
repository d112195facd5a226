"""Residuals that only chosen places need: what `where` leaves out of a value stays out of its derivatives as well.

A residual crosses from a region to its reverse through an array or a stack, and its own cotangent comes back the same
way when that reverse is differentiated in turn. A choice (see `chosen`) does not come along: in the places that it left
out the cotangent is a plain 0, which the ops that made the residual could turn into 0 * inf. So where the reverse reads
a residual v under choices only, the region keeps `where(m, v, 1)`, m being any of them: the cotangent of v is then
behind a choice again, in the region that made v.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .builder import IRBuilder
from .chosen import within
from .elementwise import Elementwise
from .graph import Block, Op, Value, clone_op
from .residuals import READS
from .rewrite import inputs

Choices = dict[Value, None] | None  # in the order they were found; None: every place is needed


def readings(block: Block, again: Sequence[Op], under: Mapping[Op, Value]) -> dict[Value, Choices]:
    """The choices under which a reverse region reads the primal's values.

    Args:
      again: the primal's ops that the region repeats. under: the choice behind which an op of the region stands.
    """
    found: dict[Value, Choices] = {}

    def read(v: Value, choices: Choices) -> None:
        have = found.get(v, {})
        whole = have is None or choices is None or not all(within(m.type.shape, v.type.shape) for m in choices)
        found[v] = None if whole else {**(have or {}), **(choices or {})}

    for op in block.ops:
        for v in inputs(op):
            read(v, {under[op]: None} if op in under else None)
    for op in reversed(again):
        each = isinstance(op.kind, Elementwise)
        for v in inputs(op):
            read(v, found.get(op.results[0], {}) if each else None)
    return found


def computed(v: Value) -> bool:
    """Whether a cotangent 0 of the value could become NaN on its way back: an op made it, by more than reading."""
    return isinstance(v.owner, Op) and v.owner.kind.name not in READS and v.type.dtype.is_differentiable


def choice_ops(masks: Collection[Value], block: Block, given: Collection[Value]) -> list[Op] | None:
    """The ops of a reverse region that compute choices, in order; None where they need more than the primal's values.

    Args:
      given: choices from outside of the region, which the primal does not have.
    """
    own = {r: op for op in block.walk() for r in op.results}
    others = {p for op in block.walk() for r in op.regions for p in r.params} | {*block.params, *given}
    wanted: dict[Op, None] = {}
    todo = list(masks)
    while todo:
        v = todo.pop()
        if v in others:
            return None
        op = own.get(v)
        if op is None or op in wanted:
            continue
        if op.regions or op.kind.effect:
            return None
        wanted[op] = None
        todo += op.operands
    return [op for op in block.ops if op in wanted]


def shielded(b: IRBuilder, v: Value, masks: Collection[Value], ops: Sequence[Op]) -> Value:
    """`where(any of the masks, v, 1)`, with the ops that compute the masks."""
    mapping: dict[Value, Value] = {}
    b.block.ops += [clone_op(op, mapping) for op in ops]
    first, *rest = (mapping.get(m, m) for m in masks)
    either = b.expr(first)
    for m in rest:
        either = b.logical_or(either, m)
    value: Value = b.where(either, v, b.const(1, v.type.dtype)).value
    return value
