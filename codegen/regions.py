"""Planning of loops and branches: what they need from the blocks round them, and their blocks as plans.

A region sees the values of all enclosing blocks. Arrays that it uses must lie in buffers when it starts: computing
them inside would do so on every trip. Only what is a mere way of looking at a buffer (a transpose, a slice, a
constant) is written into the kernels of the region, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..ir.graph import Block, Function, Op, Value, uses
from ..ir.rewrite import free_values
from ..ir.trips import number
from ..ir.types import StackType
from . import access, special
from .errors import Unsupported
from .plan import Kernel, Number, Plan, Region, Rows, is_array, is_literal


def check(op: Op) -> None:
    """Raises Unsupported for a region whose carried values have no machine form."""
    for v in (*op.operands, *op.results):
        if v.type.dtype.short not in ("f32", "f64", "i32", "i64", "bool"):
            raise Unsupported(op, f"dtype {v.type.dtype.name} has no compiled form")
    if op.kind.name == "if" and any(isinstance(v.type, StackType) for v in op.results):
        return
    if not op.regions:
        raise Unsupported(op, "there is no compiled form of this op")


def needed(block: Block) -> Iterator[Value]:
    """Values that need a buffer whatever else is decided."""
    for op in block.ops:
        f = access.form(op)
        if f == access.REGION:
            yield from required(op)
        elif f in (access.OPAQUE, access.RETURN):
            yield from (v for v in special.inputs(op) if is_array(v))
        elif f == access.GATHER:
            v = op.operands[0]
            if isinstance(v.owner, Op) and access.form(v.owner) in (access.ELEMENTWISE, access.CHOICE):
                yield v
        elif f == access.WRITE:
            yield op.operands[0]
        elif op.kind.name == "concat" and _dear_concat(op):
            yield op.results[0]


def _dear_concat(op: Op) -> bool:
    owners = [v.owner for v in op.operands]
    return len(owners) > 3 or any(isinstance(o, Op) and access.cost(o) > 1 for o in owners)


def required(op: Op) -> Iterator[Value]:
    """The values that must have a buffer before the region starts."""
    for j, v in enumerate(carried(op)):
        if is_array(v) and not is_literal(v) and not overwritten(op, j):
            yield v
    free = [v for r in op.regions for v in free_values(r)]
    yield from anchors(free)
    outside = set(free)
    for r in op.regions:
        # What is yielded may be written straight to where it goes; all else that steps inside need must be there.
        yield from (v for v in needed(Block((), r.ops[:-1])) if v in outside)


def carried(op: Op) -> list[Value]:
    """The initial values of what a loop carries; nothing for a branch."""
    return list(op.operands[{"for": 3, "while": 0, "if": 1}[op.kind.name] :])


def overwritten(op: Op, j: int) -> bool:
    """Whether trip i of a loop does nothing with its carried array j but write row i: its start is never read."""
    array = op.results[j]
    if op.kind.name != "for" or not is_array(array):
        return False
    n = array.type.shape[0]
    if [number(v) for v in op.operands[:3]] not in ([0, n, 1], [n - 1, -1, -1]):
        return False
    (body,) = op.regions
    found = uses(body)
    new = body.terminator.operands[j]
    row = new.owner
    if not isinstance(row, Op) or row.kind.name != "update" or not any(row is x for x in body.ops):
        return False
    whole = row.operands[1].type.shape == (1, *array.type.shape[1:]) and row.attrs["starts"][0] is None
    place = row.operands[2:] == body.params[:1] and row.operands[0] is body.params[1 + j]
    return whole and place and len(found[body.params[1 + j]]) == len(found[new]) == 1


def anchors(values: Iterable[Value]) -> Iterator[Value]:
    """What must lie in memory so that kernels can read these arrays: themselves, or what they are a view of."""
    for v in values:
        while is_array(v) and not is_literal(v):
            op = v.owner
            look = isinstance(op, Op) and access.form(op) == access.MAP and not _dynamic(op)
            if not look:
                if not (isinstance(op, Op) and op.kind.name in ("iota", "constant")):
                    yield v
                break
            assert isinstance(op, Op)
            v = op.operands[0]


def _dynamic(op: Op) -> bool:
    return len(op.operands) > 1


def blocks(step: Region, outer: Plan) -> Iterator[Plan]:
    """The blocks of a region as plans to be filled, in the order in which they run.

    Array parameters own buffers; the body of a `while` has those of its condition. Scalars are registers.
    """
    op = step.op
    assert op is not None
    for block in op.regions:
        for p, first in zip(block.params, op.regions[0].params, strict=True):
            if is_array(p):
                outer.owner[p] = first
            else:
                outer.registers.add(p)
        shared = (outer.owner, outer.order, outer.registers, outer.inputs, outer.ranges)
        yield Plan(_as_function(outer.fn.name, block), [], *shared)


def _as_function(name: str, block: Block) -> Function:
    return Function(name, block)


def scalars(plan: Plan) -> Iterator[Value]:
    """The 0-d values that the steps of a plan read, inner regions included."""
    for step in plan.steps:
        if isinstance(step, (Kernel, Number)):
            yield from step.reads.scalars
        elif isinstance(step, Rows):
            yield from (v for k in step.kernels for v in k.reads.scalars)
        else:
            yield from (v for v in step.inputs if not v.type.shape)
        if isinstance(step, Region):
            for inner in step.plans:
                yield from scalars(inner)
    yield from (v for v in plan.fn.results if not v.type.shape)


class Carry(NamedTuple):
    """An array that goes through a region, all by their owners.

    Attributes:
      number: its place among the region's results. init: what a loop starts with (None for a branch). param: the
      block's parameter (None for a branch). given: what the body, or each branch, yields. result: the op's result.
    """

    number: int
    init: Value | None
    param: Value | None
    given: tuple[Value, ...]
    result: Value


def carries(step: Region) -> list[Carry]:
    """The arrays that go through a region."""
    op = step.op
    assert op is not None
    loop = op.kind.name != "if"
    inits = carried(op)
    first = op.regions[0].params[len(op.regions[0].params) - len(op.results) :] if loop else []
    ends = [r.terminator.operands for r in (op.regions[-1:] if loop else op.regions)]
    return [
        Carry(j, inits[j] if loop else None, first[j] if loop else None, tuple(e[j] for e in ends), r)
        for j, r in enumerate(op.results)
        if is_array(r)
    ]


def is_loop(step: Region) -> bool:
    """Whether the region is a loop, not a branch."""
    assert step.op is not None
    return step.op.kind.name != "if"
