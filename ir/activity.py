"""Activity through control flow: which values depend on given ones, and which contribute to given ones.

Both analyses look into regions, carried value by carried value, and go round a loop until nothing changes: a loop that
carries a counter beside a state differentiates the state alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .control import FOR, IF, WHILE
from .graph import Op, Value
from .rewrite import inputs


@dataclass(frozen=True, slots=True)
class Carried:
    """A value that a loop carries: its start, the body's parameter, what the body yields for it, the loop's result."""

    start: Value
    param: Value
    given: Value
    result: Value


def is_loop(op: Op) -> bool:
    """Whether the op is `for` or `while`."""
    return op.kind is FOR or op.kind is WHILE


def carried(op: Op) -> list[Carried]:
    """What a `for` or `while` carries, in order."""
    first = 3 if op.kind is FOR else 0
    starts, params = op.operands[first:], op.regions[-1].params[first // 3 :]
    given = op.regions[-1].terminator.operands
    return [Carried(*c) for c in zip(starts, params, given, op.results, strict=True)]


def vary(ops: Iterable[Op], varied: set[Value]) -> None:
    """Adds to `varied` all values, in regions as well, that depend on those in it through differentiable dtypes."""
    for op in ops:
        if is_loop(op):
            _vary_loop(op, varied)
        elif op.kind is IF:
            for r in op.regions:
                vary(r.ops, varied)
            for i, result in enumerate(op.results):
                if any(r.terminator.operands[i] in varied for r in op.regions):
                    varied.add(result)
        elif any(v in varied for v in inputs(op)):
            varied.update(r for r in op.results if r.type.dtype.is_differentiable)


def _vary_loop(op: Op, varied: set[Value]) -> None:
    cs = carried(op)
    found = [c for c in cs if c.start in varied]
    while True:
        for c in found:
            varied.update((c.param, c.result))
        vary(op.regions[-1].ops, varied)
        found = [c for c in cs if c.given in varied and c.param not in varied]
        if not found:
            return


def contribute(ops: Sequence[Op], live: set[Value], varied: set[Value]) -> None:
    """Adds to `live` all varied values, in regions as well, that those in it are computed from."""
    for op in reversed(ops):
        if is_loop(op):
            _contribute_loop(op, live, varied)
        elif op.kind is IF:
            for r in op.regions:
                given = zip(op.results, r.terminator.operands, strict=True)
                live.update(y for result, y in given if result in live and y in varied)
                contribute(r.ops, live, varied)
        elif any(r in live for r in op.results):
            live.update(v for v in inputs(op) if v in varied)


def _contribute_loop(op: Op, live: set[Value], varied: set[Value]) -> None:
    cs = carried(op)
    found = [c for c in cs if c.result in live]
    while found:
        live.update(c.given for c in found if c.given in varied)
        contribute(op.regions[-1].ops, live, varied)
        # A parameter that contributes asks for what the trip before yielded.
        found = [c for c in cs if c.param in live and c.given in varied and c.given not in live]
    live.update(c.start for c in cs if (c.param in live or c.result in live) and c.start in varied)
