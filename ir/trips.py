"""How often a `for` runs: as a size where that is known on entry, and the loop rewritten to count 0, 1, 2, ..."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

from .builder import IRBuilder
from .control import ASSERT, FOR, IF
from .dims import Dim, DimLike, floordiv, maximum, minimum
from .dtypes import int64
from .graph import Block, Op, Value

_T = TypeVar("_T")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip
_FOLD: dict[str, Callable[[DimLike, DimLike], DimLike]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "maximum": maximum,
    "minimum": minimum,
}


def static_size(v: Value) -> DimLike | None:
    """The value of an integer scalar in terms of sizes, where that is known; else None."""
    op = v.owner
    if not isinstance(op, Op) or not v.type.dtype.is_integer:
        return None
    name = op.kind.name
    if name == "constant":
        return int(op.attrs["value"]) if not v.type.shape else None
    if name == "size_value":
        size: DimLike = op.attrs["size"]
        return size
    if name == "dim":
        return op.operands[0].type.shape[op.attrs["axis"]]
    if name not in _FOLD and name not in ("neg", "cast", "identity", "floordiv"):
        return None
    known = [static_size(x) for x in op.operands]
    xs = [x for x in known if x is not None]
    if len(xs) < len(known):
        return None
    if name in ("cast", "identity"):
        return xs[0]
    if name == "neg":
        return -1 * xs[0]
    if name == "floordiv":
        return floordiv(xs[0], xs[1]) if isinstance(xs[1], int) and xs[1] > 0 else None
    return _FOLD[name](xs[0], xs[1])


def number(v: Value) -> int | None:
    """The value of an integer scalar where it is a constant."""
    n = static_size(v)
    return n if isinstance(n, int) else None


def known_branch(op: Op, mapping: dict[Value, Value]) -> int | None:
    """Which region of an `if` runs, where sizes alone decide; `mapping` says what stands for its operands."""
    c = mapping.get(op.operands[0], op.operands[0]).owner
    if op.kind is not IF or not isinstance(c, Op):
        return None
    if c.kind.name == "constant":
        return 0 if bool(c.attrs["value"]) else 1
    xs = [number(x) for x in c.operands] if c.kind.name in _COMPARE else [None]
    return None if None in xs else 0 if _COMPARE[c.kind.name](*xs) else 1


def never_runs(op: Op, mapping: dict[Value, Value]) -> bool:
    """Whether the bounds of a `for` are known to give no trips; `mapping` says what stands for its operands."""
    if op.kind is not FOR:
        return False
    known = [n for v in op.operands[:3] if (n := number(mapping.get(v, v))) is not None]
    return len(known) == 3 and known[2] != 0 and not range(*known)


def trip_size(trips: Value) -> DimLike | None:
    """A number of trips (a value as `normalise` gives it) as a size, never negative; None when not known on entry."""
    n = static_size(trips)
    if n is None or isinstance(n, int):
        return None if n is None else max(n, 0)
    return n if all(c >= 0 for _, c in n.terms) and _plain(n) else maximum(n, 0)


def _plain(d: Dim) -> bool:
    """Whether the size is a sum of products of symbols, which are not negative."""
    names = {a for m, _ in d.terms for a in m}
    return all(n.startswith("max(") and n.endswith(", 0)") for n in names - d.symbols)


def insert_before(home: Block, op: Op, write: Callable[[IRBuilder], _T]) -> _T:
    """What `write` gives; the ops that it writes stand right before `op`."""
    b = IRBuilder(Block(), op.loc)
    made = write(b)
    at = home.ops.index(op)
    home.ops[at:at] = b.block.ops
    return made


def normalise(home: Block, op: Op) -> Value:
    """Rewrites a `for` in place to run from 0 to its number of trips in steps of 1, and gives that number.

    The index that the body saw is computed from the new one. The value given may be negative where the loop was of
    the right form already.
    """
    lower, upper, step = op.operands[:3]
    if number(lower) == 0 and number(step) == 1:
        return upper
    zero, trips, one = insert_before(home, op, lambda b: _bounds(b, lower, upper, step))
    op.operands[:3] = [zero, trips, one]
    body = op.regions[0]
    index = body.params[0]
    body.params[0] = Value(index.type, "", body)
    b = IRBuilder(Block(), op.loc)
    k = b.expr(body.params[0])
    last = (k if number(step) == 1 else k * b.expr(step)) + b.expr(lower)
    owner = last.value.owner
    owner.results, index.owner = [index], owner
    body.ops[:0] = b.block.ops
    return trips


def _bounds(b: IRBuilder, lower: Value, upper: Value, step: Value) -> tuple[Value, Value, Value]:
    dtype = lower.type.dtype

    def constant(n: int) -> Value:
        value: Value = b.const(n, dtype).value
        return value

    known = [number(v) for v in (lower, upper, step)]
    if None not in known and known[2] != 0:
        n: Value = constant(len(range(*(k for k in known if k is not None))))
    else:
        n = _count(b, lower, upper, step)
    return constant(0), n, constant(1)


def _count(b: IRBuilder, lower: Value, upper: Value, step: Value) -> Value:
    """max(0, ceil((upper - lower) / step)). With steps of more than 1, the distance may be more than an int32 holds
    where the number of trips is not."""
    known, dtype = number(step), lower.type.dtype
    if known is not None and abs(known) == 1:
        return _positive(b, _span(b, lower, upper, known))
    if dtype is not int64:
        lower, upper, step = (b.cast(b.expr(v), dtype=int64).value for v in (lower, upper, step))
    if known is None or known == 0:
        s = b.expr(step)
        b.emit(ASSERT, [b.ne(s, 0).value], {"message": "for: the step is zero"})
        trips = b.floordiv((b.expr(upper) - b.expr(lower)) + (s - b.sign(s)), s)
    else:
        trips = b.floordiv(_span(b, lower, upper, known), abs(known))
    return _positive(b, trips if dtype is int64 else b.cast(trips, dtype=dtype))


def _positive(b: IRBuilder, trips: Any) -> Value:
    found: Value = b.maximum(trips, 0).value
    return found


def _span(b: IRBuilder, lower: Value, upper: Value, step: int) -> Any:
    """The distance from the first bound to the last, rounded up: with one constant where a bound is one."""
    first, last = (lower, upper) if step > 0 else (upper, lower)
    more = abs(step) - 1
    low, high = number(first), number(last)
    if low is not None:
        return b.expr(last) if low == more else b.expr(last) + (more - low)
    if high is not None:
        return b.const(high + more, lower.type.dtype) - b.expr(first)
    span = b.expr(last) - b.expr(first)
    return span + more if more else span
