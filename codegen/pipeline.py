"""The passes between a traced function and code generation, as readable lists."""

from __future__ import annotations

from collections.abc import Callable

from ..ir.cse import cse
from ..ir.dce import dce
from ..ir.expand import expand
from ..ir.graph import Function, Value, clone_function
from ..ir.inline import inline
from ..ir.interiors import interiors
from ..ir.licm import licm
from ..ir.loop_merge import count_up, merge_loops
from ..ir.narrow import narrow
from ..ir.reread import reread
from ..ir.segments import segments
from ..ir.simplify import canon
from ..ir.sink_transposes import sink_transposes
from ..ir.unstack import unstack
from ..ir.vectorise import vectorise

Passes = tuple[Callable[[Function], Function], ...]


def settle(fn: Function) -> Function:
    """The function without ops that only matter to derivatives: none is taken any more."""
    if not any(op.kind.name == "stop_gradient" for op in fn.body.walk()):
        return fn
    new = clone_function(fn)
    same: dict[Value, Value] = {}
    for op in new.body.walk():
        op.operands = [same.get(v, v) for v in op.operands]
        if op.kind.name == "stop_gradient":
            same[op.result] = op.operands[0]
    return cse(canon(new))


PASSES: Passes = (inline, settle, canon, expand, count_up, canon, licm, cse)
LOOPS: Passes = (unstack, cse, merge_loops, narrow, vectorise, canon, licm, cse)  # for functions with loops
LAST: Passes = (dce, sink_transposes, reread, segments, interiors, reread)


def optimise(fn: Function) -> Function:
    """The function inlined, simplified, with ops that have no machine form expanded. The given one is not changed."""
    for p in PASSES:
        fn = p(fn)
    if any(op.regions for op in fn.body.ops):
        for p in LOOPS:
            fn = p(fn)
    for p in LAST:
        fn = p(fn)
    return fn
