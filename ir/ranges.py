"""What integers can be at most: intervals from the program's text, so that indices in loops need no checks.

`for i in 1..n-1` with known bounds makes `A[i - 1]` safe; so do `mod`, `minimum`, `maximum`. Arithmetic that could
leave its dtype wraps round, so its interval is the whole dtype.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .graph import Block, Function, Op, Value

Range = tuple[int, int]
_DEPTH = 40  # how far back to look


def _mul(a: Range, b: Range) -> Range:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


_RULES: dict[str, Callable[..., Range]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": _mul,
    "neg": lambda a: (-a[1], -a[0]),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "cast": lambda a: a,
    "identity": lambda a: a,
}


class Ranges:
    """The intervals of a function's integer scalars; without a function nothing is known of loops."""

    def __init__(self, fn: Function | None) -> None:
        self.loops: dict[Value, Op] = {}
        self.known: dict[Value, Range] = {}
        for op in fn.body.walk() if fn is not None else ():
            if op.kind.name == "for":
                self.loops[op.regions[0].params[0]] = op

    def of(self, v: Value, depth: int = _DEPTH) -> Range:
        """The smallest and largest value (inclusive) of an i32 or i64 scalar."""
        found = self.known.get(v)
        if found is None:
            found = self.known[v] = self._of(v, depth)
        return found

    def exact(self, v: Value) -> bool:
        """Whether a sum, difference or product cannot wrap round."""
        op = v.owner
        if not isinstance(op, Op) or op.kind.name not in _RULES:
            return False
        low, high = _RULES[op.kind.name](*(self.of(x) for x in op.operands))
        least, most = dtype_range(v)
        return least <= low and high <= most

    def offset(self, v: Value) -> tuple[Value, int]:
        """(root, c) with v = root + c as whole numbers."""
        c = 0
        while self.exact(v):
            op = v.owner
            assert isinstance(op, Op)
            if op.kind.name not in ("add", "sub"):
                break
            a, b = op.operands
            if _is_number(b):
                v, c = a, c + (1 if op.kind.name == "add" else -1) * _number(b)
            elif _is_number(a) and op.kind.name == "add":
                v, c = b, c + _number(a)
            else:
                break
        return v, c

    def _of(self, v: Value, depth: int) -> Range:
        whole = dtype_range(v)
        if depth <= 0 or v.type.dtype.short not in ("i32", "i64"):
            return whole
        if isinstance(v.owner, Block):
            op = self.loops.get(v)
            return whole if op is None else self._index(op, depth - 1)
        op = v.owner
        if not isinstance(op, Op) or v.type.shape:
            return whole
        if _is_number(v):
            return _number(v), _number(v)
        found = self._result(op, depth - 1)
        return found if found is not None and whole[0] <= found[0] and found[1] <= whole[1] else whole

    def _result(self, op: Op, depth: int) -> Range | None:
        name = op.kind.name
        if name == "mod" and _is_number(op.operands[1]) and _number(op.operands[1]) > 0:
            return 0, _number(op.operands[1]) - 1
        if name == "where":
            a, b = (self.of(x, depth) for x in op.operands[1:])
            return min(a[0], b[0]), max(a[1], b[1])
        rule = _RULES.get(name)
        if rule is None or any(x.type.dtype.short not in ("i32", "i64") for x in op.operands):
            return None
        return rule(*(self.of(x, depth) for x in op.operands))

    def _index(self, op: Op, depth: int) -> Range:
        """The indices of a loop that makes a trip at all."""
        low, high = (self.of(x, depth) for x in op.operands[:2])
        step = self.of(op.operands[2], depth)
        if step[0] > 0:
            return low[0], max(high[1] - 1, low[0])
        if step[1] < 0:
            return min(high[0] + 1, low[1]), low[1]
        return min(low[0], high[0] + 1), max(low[1], high[1] - 1)


def dtype_range(v: Value) -> Range:
    """The interval of the value's dtype."""
    bits = 64 if v.type.dtype.short == "i64" else 32
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _is_number(v: Value) -> bool:
    return isinstance(v.owner, Op) and v.owner.kind.name == "constant" and not v.type.shape


def _number(v: Value) -> int:
    assert isinstance(v.owner, Op)
    return int(np.asarray(v.owner.attrs["value"]).flat[0])
