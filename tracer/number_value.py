"""The value of a `Number` behind the loop that made it, where nothing but Python numbers went into it.

Such a value is computed when Python asks for it (`x[:k]` with a `k` that a loop counted): the ops that lead to it,
loops included, are cut out of the program and run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir.dce import dce
from ..ir.graph import Block, Function, Op, Value, clone_op
from ..ir.opdef import get

if TYPE_CHECKING:
    from .number import Number


def known(number: Number) -> Any:
    """The value as a Python number; None when it depends on arguments, variables or an open loop."""
    if number.kind is not float and number.range.low == number.range.high:
        return number.kind(number.range.low)
    value = getattr(number.tensor, "value", None)
    if value is None:
        return number.kind(number.tensor._data[()])
    fn = _cut_out(value)
    if fn is None:
        return None
    from .execute import executable

    return number.kind(executable(fn, (), {}).run([])[0][()])


def _cut_out(value: Value) -> Function | None:
    """A function without parameters that gives the value; None where it needs some."""
    ops: list[Op] = []
    outside: dict[Value, None] = {}
    _collect(value, ops, outside, set())
    body = Block()
    mapping = {v: body.add_param(v.type, v.name) for v in outside}
    for op in ops:
        new = clone_op(op, mapping)
        _without_effects(new)
        body.ops.append(new)
    body.ops.append(Op(get("return"), [mapping[value]], {}))
    fn = dce(Function("value", body))
    params = set(fn.params)
    if any(v in params for op in fn.body.walk() for v in op.operands):
        return None
    return Function("value", Block((), fn.body.ops))


def _collect(value: Value, ops: list[Op], outside: dict[Value, None], seen: set[Any]) -> None:
    """The ops that lead to a value, each behind those that it needs."""
    todo: list[Any] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, Op):
            ops.append(item)
        elif item not in seen:
            seen.add(item)
            owner = item.owner
            if not isinstance(owner, Op):
                outside[item] = None
            elif id(owner) not in seen:
                seen.add(id(owner))
                from .control_region import free_values

                todo.append(owner)
                todo += free_values(owner)
    ops.sort(key=_Order(ops).rank)


class _Order:
    """Ranks ops by how long the way to them is."""

    def __init__(self, ops: list[Op]) -> None:
        from .control_region import free_values

        self.needs = {id(op): [v.owner for v in free_values(op) if isinstance(v.owner, Op)] for op in ops}
        self.known: dict[int, int] = {}

    def rank(self, op: Op) -> int:
        """0 for an op that needs no other."""
        todo = [op]
        while todo:
            top = todo[-1]
            missing = [o for o in self.needs[id(top)] if id(o) not in self.known]
            if missing:
                todo += missing
                continue
            todo.pop()
            self.known[id(top)] = 1 + max((self.known[id(o)] for o in self.needs[id(top)]), default=-1)
        return self.known[id(op)]


def _without_effects(op: Op) -> None:
    for region in op.regions:
        region.ops = [o for o in region.ops if not o.kind.effect]
        for o in region.ops:
            _without_effects(o)
