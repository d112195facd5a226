"""Stacks whose depth is known become arrays with a slot per trip.

A loop that pushes once in each of a known number of trips, and one that pops as often, the last first, are what the
reverse of a loop is made of whose bounds were not known when it was differentiated. Now that they are, the elements go
straight to and from the rows of one array: nothing grows, and kernels read and write the rows in place. Both loops run
from 0 up or down to 0, so that their indices tell the row.
"""

from __future__ import annotations

from .builder import IRBuilder
from .control import FOR
from .graph import Block, Function, Op, Value, clone_function, uses
from .trips import number
from .types import StackType, TensorType

Uses = dict[Value, list[tuple[Op, int]]]


def unstack(fn: Function) -> Function:
    """A copy of the function with arrays in place of the stacks that allow it."""
    if not any(isinstance(r.type, StackType) for op in fn.body.walk() for r in op.results):
        return fn
    new = clone_function(fn)
    _block(new.body)
    return new


def _block(block: Block) -> None:
    for op in list(block.ops):
        if op.kind.name == "stack_new":
            _stack(block, op)
        for r in op.regions:
            _block(r)


def _stack(block: Block, made: Op) -> None:
    """Replaces one stack, if one loop fills it and the next one empties it."""
    used = dict(uses(block))
    fill = _carrier(made.result, used, block)
    if fill is None:
        return
    loop, j = fill
    trips = _trips(loop)
    push = _alone(loop, j, "push", used)
    empty = _carrier(loop.results[j], used, block)
    if push is None or empty is None:
        return
    back, k = empty
    if not trips or abs(trips) != abs(_trips(back)) or back.results[k] in used:
        return
    pop = _alone(back, k, "pop", used)
    if pop is not None:
        _rewrite(block, made, (loop, j, push), (back, k, pop))


def _trips(loop: Op) -> int:
    """n for a loop over 0, 1, ..., n - 1, -n for one over n - 1, ..., 1, 0; 0 for any other."""
    low, high, step = (number(v) for v in loop.operands[:3])
    if low is None or high is None:
        return 0
    if low == 0 and step == 1:
        return max(high, 0)
    return min(-(low + 1), 0) if high == step == -1 else 0


def _carrier(v: Value, used: Uses, block: Block) -> tuple[Op, int] | None:
    """The `for` of this block that carries the value, which nobody else uses, and its number there."""
    users = used.get(v, [])
    if len(users) != 1:
        return None
    ((op, i),) = users
    return (op, i - 3) if op.kind is FOR and i >= 3 and any(op is x for x in block.ops) else None


def _alone(loop: Op, j: int, name: str, used: Uses) -> Op | None:
    """The op of this name in the loop's own body that alone uses the carried stack, and gives it to the next trip."""
    (body,) = loop.regions
    users = used.get(body.params[1 + j], [])
    if len(users) != 1:
        return None
    op = users[0][0]
    stack = op.results[0] if op.results else None
    alone = op.kind.name == name and any(op is x for x in body.ops) and len(used.get(stack, ())) == 1  # type: ignore[arg-type]
    return op if alone and body.terminator.operands[j] is stack else None


def _rewrite(block: Block, made: Op, fill: tuple[Op, int, Op], empty: tuple[Op, int, Op]) -> None:
    (loop, j, push), (back, k, pop) = fill, empty
    trips = abs(_trips(loop))
    element: TensorType = made.result.type.element  # type: ignore[attr-defined]
    full = TensorType(element.dtype, (trips, *element.shape))
    starts, strides = (None, *(0,) * element.rank), (1,) * full.rank
    b = IRBuilder(Block(), made.loc)
    loop.operands[3 + j] = b.full(full.shape, 0, element.dtype).value
    _splice(block, made, b.block.ops)
    (body,) = loop.regions
    body.params[1 + j].type = loop.results[j].type = full
    b = IRBuilder(Block(), push.loc)
    row = b.reshape(b.expr(push.operands[1]), shape=(1, *element.shape))
    new = b.update(b.expr(body.params[1 + j]), row, b.expr(body.params[0]), starts=starts, strides=strides)
    body.terminator.operands[j] = new.value
    _splice(body, push, b.block.ops)
    (body,) = back.regions
    b = IRBuilder(Block(), pop.loc)
    place = b.expr(body.params[0])
    if _trips(loop) == _trips(back):
        place = b.const(trips - 1, body.params[0].type.dtype) - place
    row = b.slice(b.expr(loop.results[j]), place, starts=starts, sizes=(1, *element.shape), strides=strides)
    top = b.reshape(row, shape=element.shape).value
    for op in body.walk():
        op.operands[:] = [top if v is pop.results[1] else v for v in op.operands]
    _splice(body, pop, b.block.ops)
    del back.operands[3 + k], back.results[k], body.params[1 + k], body.terminator.operands[k]


def _splice(block: Block, op: Op, ops: list[Op]) -> None:
    at = block.ops.index(op)
    block.ops[at : at + 1] = ops
