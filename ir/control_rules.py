"""What loops and branches need not carry: dropped by the canonicaliser while it copies their regions.

A carried value that every trip passes on unchanged is its start, inside the loop and behind it; a result for which both
branches give the same outer value is that value. As this shows in part only after the regions are simplified, and then
lets them be simplified further, a loop that loses carried values so is copied once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .activity import is_loop
from .control import FOR, IF
from .graph import Block, Op, Value

Mapping = dict[Value, Value]


def simple_regions(op: Op, mapping: Mapping, copy: Callable[[Op], list[Block]]) -> tuple[Op, list[Block]]:
    """The op, with less to carry where that can be, and what `copy` makes of its regions.

    What is dropped gets its entry in `mapping` (from values of the old function to those of the new one). The op given
    back shares its regions' ops and its results with the one that came: only its kind, operands and results are of use.
    """
    if is_loop(op):
        return _loop(op, mapping, copy)
    regions = copy(op)
    return _branches(op, mapping, regions) if op.kind is IF else (op, regions)


def _loop(op: Op, mapping: Mapping, copy: Callable[[Op], list[Block]]) -> tuple[Op, list[Block]]:
    n = 1 if op.kind is FOR else 0
    idle = _idle(op, op.regions, op.operands)
    while True:
        for i in idle:
            start = mapping[op.operands[3 * n + i]]
            mapping[op.results[i]] = start
            mapping.update((r.params[n + i], start) for r in op.regions)
        op = _without(op, idle)
        regions = copy(op)
        idle = _idle(op, regions, [mapping[v] for v in op.operands])
        if not idle:
            return op, regions


def _idle(op: Op, regions: Sequence[Block], operands: Sequence[Value]) -> list[int]:
    """Numbers of the carried values that a trip does not change."""
    n = 1 if op.kind is FOR else 0
    given = enumerate(regions[-1].terminator.operands)
    return [i for i, v in given if v is regions[-1].params[n + i] or v is operands[3 * n + i]]


def _branches(op: Op, mapping: Mapping, regions: list[Block]) -> tuple[Op, list[Block]]:
    given = list(zip(*(r.terminator.operands for r in regions), strict=True))
    same = [i for i, (a, b) in enumerate(given) if a is b]
    if not same:
        return op, regions
    mapping.update((op.results[i], given[i][0]) for i in same)
    for r in regions:
        r.terminator.operands[:] = _others(r.terminator.operands, same)
    return _with_results(Op(op.kind, op.operands, op.attrs, (), (), op.loc), _others(op.results, same)), regions


def _without(op: Op, idle: Sequence[int]) -> Op:
    """A loop without the carried values of these numbers."""
    if not idle:
        return op
    n = 1 if op.kind is FOR else 0
    operands = [*op.operands[: 3 * n], *_others(op.operands[3 * n :], idle)]
    regions = [_region(r, n, idle, r is op.regions[-1]) for r in op.regions]
    return _with_results(Op(op.kind, operands, op.attrs, regions, (), op.loc), _others(op.results, idle))


def _region(region: Block, n: int, idle: Sequence[int], gives: bool) -> Block:
    """The region with fewer parameters and, if it `gives` the results, fewer values yielded."""
    new = Block()
    new.params = [*region.params[:n], *_others(region.params[n:], idle)]  # they keep their owner: this is a view
    end = region.terminator
    given = _others(end.operands, idle) if gives else end.operands
    new.ops = [*region.ops[:-1], Op(end.kind, given, end.attrs, (), (), end.loc)]
    return new


def _others(values: Sequence[Value], numbers: Sequence[int]) -> list[Value]:
    gone = set(numbers)
    return [v for i, v in enumerate(values) if i not in gone]


def _with_results(op: Op, results: list[Value]) -> Op:
    op.results = results
    return op
