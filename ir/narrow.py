"""Comparisons of integers that the ranges of loop indices decide become constants.

`A[i]` counts from the end where i is negative; in `for i in range(1, n)` it never is. With the choice gone, the index
is affine in the loop's: it needs no check, and the loop over it may become one over whole arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import bool_
from .graph import Function, Op, clone_function
from .opdef import get
from .ranges import Range, Ranges
from .simplify import canon

# (always true, always false) for two intervals.
_DECIDE: dict[str, Callable[[Range, Range], tuple[bool, bool]]] = {
    "lt": lambda a, b: (a[1] < b[0], a[0] >= b[1]),
    "le": lambda a, b: (a[1] <= b[0], a[0] > b[1]),
    "gt": lambda a, b: (a[0] > b[1], a[1] <= b[0]),
    "ge": lambda a, b: (a[0] >= b[1], a[1] < b[0]),
}


def narrow(fn: Function) -> Function:
    """The function with decided comparisons folded, or the function itself where there are none."""
    ranges = Ranges(fn)
    decided = {id(op): found for op in fn.body.walk() if (found := _decided(op, ranges)) is not None}
    if not decided:
        return fn
    new = clone_function(fn)
    for old, op in zip(fn.body.walk(), new.body.walk(), strict=True):
        if id(old) in decided:
            op.kind, op.operands, op.attrs = get("constant"), [], {"value": _array(decided[id(old)])}
    return canon(new)


def _decided(op: Op, ranges: Ranges) -> bool | None:
    """What a comparison of integer scalars always gives; None where it depends."""
    rule = _DECIDE.get(op.kind.name)
    if rule is None or op.results[0].type.shape or op.operands[0].type.dtype.short not in ("i32", "i64"):
        return None
    true, false = rule(*(ranges.of(v) for v in op.operands))
    return True if true else False if false else None


def _array(value: bool) -> np.ndarray[Any, Any]:
    array = np.array(value, bool_.np)
    array.setflags(write=False)
    return array



