"""A `for` over a Python range: tried as a loop of the IR, and unrolled where that does not work.

The trial traces the body once with a symbolic index, as a loop on tensors would. Whatever keeps it from being a loop
(a number is needed as a list index, a type changes, Python state grows, an exception) ends the trial: everything it
did to the trace, to variables and to Python's objects is taken back, and the loop starts over with Python's own
numbers. What was decided, and why, is kept for `fn.explain()`.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.dtypes import int32, int64
from ..ir.graph import Block, Loc, Value
from ..runtime.convert import as_tensor
from ..runtime.location import user_location
from ..runtime.tensor import Tensor
from . import number_range
from .control_append import Lists, is_private
from .control_carry import Carried
from .control_iter import Trips, Unrolled, counted, trips
from .control_loop import Driver
from .control_loop import For as TensorFor
from .control_numbers import NumberState
from .control_region import Region, current_trace, depth, unwind
from .control_state import UNDEFINED, PlaceKey, restore, variables
from .harmless import check_iterable
from .number import Number, owners_of, range_of
from .number_range import INT32, Range
from .symbolic import SymbolicTensor
from .trace import Trace
from .trials import Unroll, impossible, trials

SHORT = 4  # so few trips are unrolled without a trial: the code is better without the loop, and not long
MAX_FAILURES = 3  # a loop whose trials failed so often in one trace is not tried again there
PYTHON_TRIPS = 100_000  # a loop of so many trips that concerns no tensor runs in Python


@dataclass(frozen=True)
class LoopNote:
    """What became of a loop: its line, its trips (None: known at run time), why it was unrolled (None: it was not)."""

    line: Loc | None
    trips: int | None
    reason: str | None
    first: str | None = None  # why the first trip stands for itself, where it does

    def __str__(self) -> str:
        many = "" if self.trips is None else f"{self.trips} trip{'s' if self.trips != 1 else ''}"
        if self.reason is None:
            first = "" if self.first is None else f", the first of them unrolled: {self.first}"
            return f"{self.line}: rolled, {many or 'trips known at run time'}{first}"
        return f"{self.line}: unrolled {many}: {self.reason}"


class Saved:
    """What a trial may change in a trace."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.depth, self.trials = depth(), len(trials.open)
        self.states, self.captures = set(trace.states), set(trace.captures)
        self.written, self.shared = set(trace.written), set(trace.shared)
        self.created, self.notes = len(trace.created), len(trace.loops)
        self.ops = len(trace.builder.block.ops)

    def again(self) -> None:
        """Another attempt follows one that failed."""
        unwind(self.depth)
        del trials.open[self.trials + 1 :]

    def restore(self) -> None:
        """The trial never was."""
        trace = self.trace
        unwind(self.depth)
        del trials.open[self.trials :]
        tables = (trace.states, self.states), (trace.written, self.written), (trace.shared, self.shared)
        for table, kept in (*tables, (trace.captures, self.captures)):
            for key in [k for k in table if k not in kept]:
                del table[key]
        del trace.created[self.created :], trace.loops[self.notes :]
        dropped = Block()
        trace.closed.update((r, dropped) for op in trace.builder.block.ops[self.ops :] for r in op.results)
        del trace.builder.block.ops[self.ops :]


class RolledFor(TensorFor):
    """The driver of one `for` statement over Python's numbers; see `rewrite_emit` for how it is called."""

    def __init__(
        self,
        items: Trips,
        head: Sequence[str],
        after: Sequence[str],
        flag: str | None,
        places: Sequence[PlaceKey],
        here: Mapping[str, Any],
        lists: Sequence[str],
        forced: str | None,
        frame: Any,
    ) -> None:
        Driver.__init__(self, head, after, flag, places)
        self.all_places, self.all_lists = places, lists
        self.lists = Lists([n for n in lists if is_private(here, n)], self)
        trace = current_trace()
        assert trace is not None
        self.trace, self.numbers, self.here = trace, items, here
        self.items = None
        self.forced, self.frame, self.count = forced, frame, items.count
        self.carried: set[int] = set()
        self.line = user_location()
        self.failure: str | None = None
        self.after_body: dict[str, Any] = {}
        self.first_trip = self.stopped = False  # whether the first trip may be to blame; whether it was the last
        self.iterator = self._run()

    # ------------------------------------------------------------ called by the rewritten code
    def end(self, here: Mapping[str, Any]) -> bool:
        """Called after the body: whether the loop stops here."""
        self.load = self.load and bool(self.failures)
        if not self.failures:
            self.here = self.start = self.after_body = {}
            for name in ("lists", "state"):  # they hold on to the lists, which would look shared
                self.__dict__.pop(name, None)
            self.lists = Lists([n for n in self.all_lists if is_private(here, n)], self)
        self.after_body = variables(here) if self.failures or self.first_trip else {}
        return not self.failures and self.flag is not None and here.get(self.flag) is True

    def get(self, name: str) -> Any:
        """The value that a variable shall have now; asked for once."""
        return self.values.pop(name, UNDEFINED)

    def failed(self) -> bool:
        """An exception ended the body: whether the loop goes on all the same."""
        e = sys.exc_info()[1]
        if isinstance(e, Unroll) and e.trial is not self:
            return False
        self.failure = describe(e)
        self.first_trip = not isinstance(e, Unroll) or e.first_trip
        return True

    def _run(self) -> Iterator[Any]:
        why: str | None = self._unwanted()
        if why is None:
            why = yield from self._trial()
            if why is None:
                self.trace.loops.append(LoopNote(self.line, self.count, None))
                return
            if self.first_trip and self.count is not None and self.count > SHORT + 1:
                again = yield from self._after_first_trip()
                if again is None:
                    self.trace.loops.append(LoopNote(self.line, self.count, None, why))
                if again is None or self.stopped:
                    return
        yield from self._unrolled(why)

    def _after_first_trip(self) -> Generator[Any, None, str | None]:
        """The first trip in Python, and another trial with the rest: often it is the first trip that is different."""
        items = iter(self.numbers)
        yield next(items)
        self.stopped = self.flag is not None and self.after_body.get(self.flag) is not False
        self.numbers, self.here = self.numbers.rest(), self.after_body
        if self.stopped:
            assert self.flag is not None
            self.stopped = self.after_body.get(self.flag) is True  # else a tensor decides: the other trips are masked
            return "it may stop in its first trip"
        self.attempts, self.failure = 0, None
        return (yield from self._trial())

    def _unwanted(self) -> str | None:
        """A reason not to try."""
        if self.forced is not None:
            return self.forced
        count = self.numbers.count
        if count is not None and count <= SHORT:
            return "it is short"
        if self.trace.failures.get(self.line, 0) >= MAX_FAILURES:
            return self.trace.reasons[self.line]
        return None

    def _unrolled(self, why: str) -> Iterator[Any]:
        if self.count is None:
            start, stop, step = self.numbers.range()
            text = f"the loop of line {self.line} cannot be one of the IR ({why}), and how often it runs is not known"
            impossible(text, owners_of(start, stop, step))
        self.trace.loops.append(LoopNote(self.line, self.count, why))
        yield from self.numbers

    # ------------------------------------------------------------ the trial
    def _trial(self) -> Generator[Any, None, str | None]:
        """Yields the item of each attempt at the body. Gives a reason why there is no loop, None when there is one."""
        saved = Saved(self.trace)
        trials.open.append(self)
        self.failures = (Exception, Unroll)
        own = {(kind, (n,)) for n in self.lists.names for kind in ("items", "own")}
        self.place_keys = [p for p in self.all_places if p not in own]
        self.prepare(self.trace, self.here)
        self.carried = {id(p.base) for p in self.places}
        try:
            why = yield from self._attempts(saved)
        except Unroll as e:
            if e.trial is not self:
                raise
            why = e.reason
        except Exception as e:
            why, self.first_trip = describe(e), True
        self.failures = ()
        if why is None:
            trials.open.pop()
            return None
        saved.restore()
        restore(self.places, self.start)
        self.values, self.load = dict(self.start), True
        self.trace.failures[self.line] = self.trace.failures.get(self.line, 0) + 1
        self.trace.reasons[self.line] = why
        return why

    def _attempts(self, saved: Saved) -> Generator[Any, None, str | None]:
        start, stop, step = self._bounds()
        dtype = self._index_dtype(start, stop, step)
        bounds = [as_tensor(b, dtype) for b in (start, stop, step)]
        while True:
            made = len(self.trace.created)
            body, item, index = self._begin(bounds[0], start, stop, step)
            yield item
            if self.failure is not None:
                if not self._doubtful():
                    return self.failure
                saved.again()
                continue
            if self.accept(body, self.after_body) and made == len(self.trace.created):
                break
            if made != len(self.trace.created) and self.attempts > 1:
                return "a pb.Variable is made in its body"
        carried = self.state.finish(body)
        if self._is_python(body, carried):
            return "nothing in it depends on a tensor"
        self.complete(bounds, body, index, carried)
        return None

    def _doubtful(self) -> bool:
        """Whether the body may have failed because a number was taken for a counter: it is not from now on."""
        state = self.state
        assert isinstance(state, NumberState)
        self.failure = None if state.counters else self.failure
        state.no_counter |= set(state.counters)
        state.counters = {}
        return self.failure is None

    def _bounds(self) -> tuple[Any, Any, Any]:
        """The bounds of the IR's loop: the range's own, or the trips counted from 0 where the step is large."""
        return (0, self.numbers.count, 1) if self._counts_trips() else self.numbers.range()

    def _counts_trips(self) -> bool:
        _, _, step = self.numbers.range()
        return self.numbers.count is not None and step not in (1, -1)

    def _index_dtype(self, *bounds: Any) -> Any:
        ranges = [range_of(b) for b in bounds]
        return int32 if all(r is not None and r.fits(INT32) for r in ranges) else int64

    def _begin(self, like: Tensor, start: Any, stop: Any, step: Any) -> tuple[Region, Any, Value]:
        """A new attempt: the body's region, the item, the index."""
        self.attempt()
        body = Region(self.trace)
        index = Value(like.type, "", body.block)
        body.block.params.insert(0, index)
        number = self._number(index, start, stop, step)
        self._describe(number, start, step)
        self.enter(body)
        own_start, _, own_step = self.numbers.range()
        if self._counts_trips():
            number = own_start + own_step * number
        return body, self.numbers.item(number), index

    def _number(self, index: Value, start: Any, stop: Any, step: Any) -> Number:
        first, end = range_of(start), range_of(stop)
        assert first is not None
        assert end is not None
        if self.numbers.count is not None:
            last = start + step * (self.numbers.count - 1)
            low, high = min(start, last), max(start, last)
        elif isinstance(step, Number):
            low, high = min(first.low, end.low), max(first.high, end.high)
        else:
            low, high = (
                (first.low, max(end.high - 1, first.low)) if step > 0 else (min(end.low + 1, first.high), first.high)
            )
        tensor = SymbolicTensor(index, self.trace, None, self.line)
        return Number(
            tensor,
            int,
            Range(low, high, {(index, low, high): 1}, 0, 0),
            frozenset((self,)) | owners_of(start, stop, step),
        )

    def _describe(self, number: Number, start: Any, step: Any) -> None:
        """Tells the state how trips are numbered in this attempt."""
        state = self.state
        assert isinstance(state, NumberState)
        state.index_range = None
        if step == 1 or step == -1:
            first = range_of(start)
            assert first is not None
            moved: Range = number_range.add(number.range, number_range.negated(first))
            state.index_range = moved if step == 1 else number_range.negated(moved)
            state.make_index = lambda: number - start if step == 1 else start - number

    def new_state(self, places: Sequence[str]) -> NumberState:
        """As in the base."""
        state = NumberState(self.trace, [*self.head, *places], [*self.after, *places], self.flag, self.start)
        state.owners = frozenset((self,))
        state.outer = frozenset(t for t in trials.open if t is not self)
        state.trips = self.numbers.count
        state.more_slots = self.lists.slots
        state.steady = self.flag is None and state.trips is not None
        return state

    def accept(self, body: Region, here: Mapping[str, Any]) -> bool:
        """As in the base; all that Python changed counts, not tensors only."""
        end = variables(here) | {p.key: p.get() for p in self.places}
        self.lists.check_writes(end)
        body.close()
        self.changed = {}
        state = self.state
        assert isinstance(state, NumberState)
        again = self.lists.close(body, state, state.trips if self.flag is None else None, state.make_index)
        return state.leave(body, end) and not again

    def enter(self, region: Region) -> None:
        """As in the base."""
        super().enter(region)
        self.lists.bind(self.values, self.start, self.state, region)

    def conclude(self, carried: Carried, outs: Sequence[Tensor]) -> None:
        """As in the base."""
        super().conclude(carried, outs)
        self.lists.conclude(self.values, self.start, carried, outs)

    def _is_python(self, body: Region, carried: Carried) -> bool:
        """Whether Python's numbers are all that the loop computes."""
        state, count = self.state, self.numbers.count
        assert isinstance(state, NumberState)
        numbers = all(key in state.numbers or key[0] == self.flag for key in carried.slots)
        effects = any(op.kind.effect for op in body.block.walk())
        return numbers and not effects and not carried.variables and count is not None and count <= PYTHON_TRIPS


def describe(e: BaseException | None) -> str:
    """What an exception says, short."""
    if isinstance(e, Unroll):
        return e.reason
    text = str(e).splitlines()[0].partition(" of this loop:")[0] if e is not None and str(e) else ""
    return f"{type(e).__name__}: {text}" if text else type(e).__name__


def For(  # called in the place of the class
    iterable: Any,
    head: Sequence[str],
    after: Sequence[str],
    flag: str | None,
    places: Sequence[PlaceKey],
    here: Mapping[str, Any],
    lists: Sequence[str] = (),
) -> TensorFor:
    """The driver of a `for` statement."""
    forced = None
    if isinstance(iterable, Unrolled):
        iterable, forced = iterable.iterable, "pb.unroll"
    if current_trace() is not None:
        items = trips(iterable)
        if items is not None:
            return RolledFor(items, head, after, flag, places, here, lists, forced, sys._getframe(1))
        if forced is not None and counted(iterable) is not None:
            iterable = list(counted(iterable))  # type: ignore[arg-type]
    if trials.open:
        check_iterable(iterable)
    return TensorFor(iterable, head, after, flag, places, here)
