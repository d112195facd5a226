"""Whether two places in one array can meet: row i - 1 that is read while row i is written cannot."""

from __future__ import annotations

from ..ir.graph import Value
from ..ir.ranges import Ranges
from .index_map import Dyn, Index, Var


def apart(a: Index, b: Index, ranges: Ranges) -> bool:
    """Whether no element that one position runs over is one that the other runs over, in any loop round the kernel.

    Both are the same affine function of scalars from outside (a loop's index, say), but for a constant that is larger
    than the stretch that the kernel's own loops run over.
    """
    one, other = _spread(a, ranges), _spread(b, ranges)
    if one is None or other is None or one[2] != other[2]:
        return False
    return one[1] < other[0] or other[1] < one[0]


def _spread(e: Index, ranges: Ranges) -> tuple[int, int, dict[Value, int]] | None:
    """(lowest, highest, multiples of scalars) with the position = something between the two + the multiples."""
    low = high = e.const
    scalars: dict[Value, int] = {}
    for a, c in e.terms.items():
        if isinstance(a, Var):
            low, high = low + min(0, c * (a.extent - 1)), high + max(0, c * (a.extent - 1))
        elif isinstance(a, Dyn) and not a.value.type.shape:
            root, moved = ranges.offset(a.value)
            scalars[root] = scalars.get(root, 0) + c
            low, high = low + c * (moved - a.low), high + c * (moved - a.low)
        else:
            return None
    return low, high, {v: c for v, c in scalars.items() if c}
