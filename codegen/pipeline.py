"""The passes between a traced function and code generation, as one readable list."""

from __future__ import annotations

from collections.abc import Callable

from ..ir.cse import cse
from ..ir.dce import dce
from ..ir.expand import expand
from ..ir.graph import Function
from ..ir.inline import inline
from ..ir.licm import licm
from ..ir.loop_merge import count_up, merge_loops
from ..ir.narrow import narrow
from ..ir.segments import segments
from ..ir.simplify import canon
from ..ir.unstack import unstack
from ..ir.vectorise import vectorise

PASSES: tuple[Callable[[Function], Function], ...] = (
    inline, canon, expand, count_up, canon, licm, cse,
    merge_loops, unstack, narrow, vectorise, canon, licm, cse, dce, segments, canon,
)  # fmt: skip


def optimise(fn: Function) -> Function:
    """The function inlined, simplified, with ops that have no machine form expanded. The given one is not changed."""
    for p in PASSES:
        fn = p(fn)
    return fn
