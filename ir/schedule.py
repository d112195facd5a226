"""How many states a checkpointed loop keeps, how long its segments are, and where the next state is kept.

A loop of N trips is cut into Q segments. Its reverse takes the segments last to first; each is run once more with its
residuals stored. To reach a segment it runs forward from the last state that was kept before it. Which states to keep
so that this takes the fewest trips is the binomial schedule of Griewank and Walther ("Algorithm 799: revolve", ACM
Transactions on Mathematical Software 26, 2000): with s slots and no segment run more than r times, at most
reach(s, r) = (s + r)! / (s! r!) segments can be reversed, and l segments take r*l - reach(s + 1, r - 1) runs, r being
the least number with l <= reach(s, r). No schedule takes fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

from .builder import Expr, IRBuilder
from .control import WHILE, YIELD
from .dims import DimLike, floordiv, is_static, maximum
from .dtypes import int64
from .errors import InvalidArgumentError
from .graph import Attrs, Block, Op, Value
from .types import TensorType

SLOTS, BYTES, SEGMENT = "slots", "bytes", "segment"  # the attributes of a loop that is to be checkpointed
NOMINAL = 1 << 20  # how many trips a budget is laid out for when the number is not known before the loop runs
CACHED = 1 << 16  # with a number of slots, residuals of so many bytes are stored at once whatever the states' size


@dataclass(frozen=True, slots=True)
class Schedule:
    """So many states are kept; a segment is so many trips."""

    slots: DimLike
    segment: DimLike


@dataclass(frozen=True, slots=True)
class Sizes:
    """What there is to keep. `trips`: None when not known before the loop runs. `state`: bytes of what a trip takes
    from the one before. `step`: bytes of one trip's residuals; None when they lie on stacks."""

    trips: DimLike | None
    state: DimLike
    step: DimLike | None


def reach(slots: int, repeats: int) -> int:
    """How many segments can be reversed with so many slots, none of them run more often than that."""
    return comb(slots + repeats, slots)


def repeats(length: int, slots: int) -> int:
    """The least r with length <= reach(slots, r)."""
    r = 0
    while reach(slots, r) < length:
        r += 1
    return r


def runs(length: int, slots: int) -> int:
    """The least number of segments that are run forward to reverse so many, the runs that store residuals aside."""
    r = repeats(length, slots)
    return r * length - (reach(slots + 1, r - 1) if r else 0)


def choose(attrs: Attrs, sizes: Sizes) -> Schedule | None:
    """The schedule for a loop's attributes; None where storing every trip's residuals is better, or fits the budget.

    Raises:
      InvalidArgumentError: when one state and one trip's residuals are more than the budget.
    """
    if SEGMENT in attrs:
        return Schedule(attrs[SLOTS], attrs[SEGMENT])
    return _by_slots(attrs[SLOTS], sizes) if SLOTS in attrs else _by_bytes(attrs[BYTES], sizes)


def _by_slots(slots: int, sizes: Sizes) -> Schedule | None:
    """Segments whose residuals take as much memory as the slots."""
    trips, state, step = sizes.trips, sizes.state, sizes.step
    if isinstance(trips, int) and trips <= slots:
        return None
    if step is None:
        return Schedule(slots, 1)
    if not (isinstance(state, int) and isinstance(step, int)):
        length = floordiv(slots * state, step)
        return Schedule(slots, length if is_static(length) else slots)
    length = max(1, max(slots * state, CACHED) // max(step, 1))
    if isinstance(trips, int):
        if length >= trips:
            return None
        slots = min(slots, -(-trips // length))
    return Schedule(slots, length)


def _by_bytes(budget: int, sizes: Sizes) -> Schedule | None:
    trips, state, step = sizes.trips, sizes.state, sizes.step
    if not (isinstance(state, int) and isinstance(step, (int, type(None)))):
        assert step is not None or not isinstance(state, int)
        slots, length = (maximum(1, floordiv(budget // 2, maximum(1, n))) for n in (state, step or 1))
        return Schedule(slots, 1 if step is None else length)
    if step is not None and isinstance(trips, int) and trips * step <= budget:
        return None
    n = trips if isinstance(trips, int) else NOMINAL
    if state + (step or 0) > budget:
        raise InvalidArgumentError(
            f"checkpoint: a budget of {budget:,} bytes is too small: one state of the loop takes {state:,} bytes, the "
            f"residuals of one trip {step or 0:,}; give a larger budget, or a number of slots"
        )
    return cheapest(n, budget, state, step)


def cheapest(trips: int, budget: int, state: int, step: int | None) -> Schedule:
    """The schedule that runs each segment the least often within the budget; of those, the one of least memory."""
    state, most = max(state, 1), trips
    r = 0
    while True:
        best: tuple[int, Schedule] | None = None
        for slots in _candidates(min(max(trips, 1), budget // state)):
            length = min(max(1, -(-trips // reach(slots, r))), most)
            if step is None:
                fits = reach(slots, r) >= trips
                length, memory = 1, slots * state
            else:
                memory = slots * state + length * step
                fits = memory <= budget
            if fits and (best is None or memory < best[0]):
                best = memory, Schedule(slots, length)
        if best is not None:
            return best[1]
        r += 1


def _candidates(most: int) -> Iterator[int]:
    """1, 2, 3, ... up to `most`, in steps that grow."""
    n = 1
    while n < most:
        yield n
        n += 1 + n // 32
    yield max(most, 1)


def split_point(b: IRBuilder, length: Value, slots: Value) -> Expr:
    """Ops for how far ahead of a kept state the next one is kept; all are i64 scalars.

    With r least such that length <= reach(slots, r), any m with reach(s, r - 2) <= m <= reach(s, r - 1) and
    reach(s - 1, r - 1) <= length - m <= reach(s - 1, r) is as good as can be (Griewank and Walther); this is the
    largest. With one slot: up to the last segment. There are two segments at least.
    """
    test, body = Block(), Block()
    for block in (test, body):
        block.add_param(TensorType(int64), "r")
        block.add_param(TensorType(int64), "reach")
    t, w = IRBuilder(test, b.loc), IRBuilder(body, b.loc)
    more = t.logical_and(t.lt(test.params[1], length), t.gt(slots, 1))
    test.ops.append(Op(YIELD, [more.value]))
    r = w.add(body.params[0], 1)
    grown = w.floordiv(w.mul(body.params[1], w.add(slots, r)), r)
    body.ops.append(Op(YIELD, [r.value, grown.value]))
    start = [b.const(k, int64).value for k in (0, 1)]
    r, whole = map(b.expr, b.emit(WHILE, start, {}, [test, body]))
    s, n = b.expr(slots), b.expr(length)
    low = b.floordiv(whole * r, b.maximum(s + r, 1))  # reach(s, r - 1)
    less = b.floordiv(low * s, b.maximum(s + r - 1, 1))  # reach(s - 1, r - 1)
    found: Expr = b.where(s > 1, b.minimum(low, n - less), n - 1)
    return found
