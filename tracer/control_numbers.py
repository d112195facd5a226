"""What a loop of Python's carries: as `control_carry`, but a Python number that the body changes stays a number.

It becomes a `Number` (of kind bool, int or float) in place of a tensor. Of ints the range has to be known, so that
64 bits are certain to hold what Python would compute: a number that each trip moves by a bounded amount has one when
the number of trips has; any other is traced again with the range that came out, until it comes out the same. Counters
(`k += 2` on every trip) are not carried at all: they are made from the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.types import TensorType
from ..runtime.location import at
from ..runtime.tensor import Tensor
from . import number_range
from .control_carry import Carried, Key, LoopState, Slot
from .control_region import Region
from .control_state import converted, is_flag, label, same
from .number import TENSORS, Number, Owners, joined, kind_of, owners_of, range_of, storage
from .number_range import INT32, INT64, Range, exactly, plain
from .trials import give_up, impossible

MAX_WIDENED = 4


@dataclass
class Guess:
    """What is assumed of a carried number while the body is traced. `widened`: how often its range was too small."""

    kind: type
    range: Range | None
    owners: Owners
    widened: int = 0

    def dtype(self) -> TensorType:
        """The type of the carried value."""
        return TensorType(storage(self.kind, self.range), ())


class NumberState(LoopState):
    """The state of one loop.

    Attributes:
      owners: the trial; outer: those around it. trips: how many trips there are at most, None when that is not known;
        steady: whether all of them run to their end. index_range: what is known of the trip's number in this attempt.
        relaxed: for a loop that a tensor controls: of its ints no range is known, so they count in 32 or 64 bits.
    """

    owners: Owners = frozenset()
    outer: Owners = frozenset()
    trips: int | None = None
    steady = False
    index_range: Range | None = None
    make_index: Callable[[], Number]
    relaxed = False
    more_slots: Callable[[], dict[Key, Slot]] = staticmethod(dict)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.needed_at_head = set(args[1])
        self.numbers: dict[Key, Guess] = {}
        self.counters: dict[Key, int] = {}
        self.no_counter: set[Key] = set()

    @property
    def runs(self) -> bool:
        """As in the base."""
        return self.steady and bool(self.trips)

    @classmethod
    def of_while(cls, owners: Owners, *args: Any) -> NumberState:
        """The state of a `while` that a number controls, which belongs to the loops of these trials."""
        state = cls(*args)
        state.owners = state.outer = owners
        return state

    @classmethod
    def of_tensors(cls, *args: Any) -> NumberState:
        """The state of a loop that a tensor controls."""
        state = cls(*args)
        state.relaxed = True
        state.owners = state.outer = TENSORS
        return state

    def begin(self) -> None:
        """As in the base: numbers of which Python knows the value may be carried as well."""
        self.after_loop: dict[Key, Any] = {}
        super().begin()
        self.slots.update(self.more_slots())

    def held(self, key: Key, leaf: Any, slot: Slot | None) -> Any:
        """What a variable is in the body."""
        if slot is not None and key in self.numbers:
            guess = self.numbers[key]
            param = slot.params[-1]
            r = guess.range
            if r is not None and guess.kind is int:
                r = Range(r.low, r.high, {(param, r.low, r.high): 1}, 0, 0)
            tensor = super().held(key, leaf, slot)
            return Number(tensor, guess.kind, r, guess.owners | self.owners)
        if key in self.counters:
            return leaf + self.counters[key] * self.make_index()
        return super().held(key, leaf, slot)

    # ------------------------------------------------------------ what came out
    def leaf(self, body: Region, name: str, i: int, x: Any, y: Any) -> bool:
        """Compares one leaf; True when the body has to be traced again."""
        key = name, i
        if key in self.counters:
            return self._counter(key, x, y)
        if key in self.numbers:
            return self._carried(body, key, x, y)
        return super().leaf(body, name, i, x, y)

    def number(self, name: str, i: int, x: Any, y: Any) -> bool:
        """A leaf that is no tensor before the loop."""
        key = name, i
        kinds = kind_of(x), kind_of(y)
        if same(x, y):
            return False
        if None in kinds or is_flag(name):
            return super().number(name, i, x, y)
        if name not in self.needed_at_head and self._known_after(key, y):
            return False
        if kinds == (int, int) and key not in self.no_counter and self.steady and self.index_range is not None:
            step = _difference(range_of(y), range_of(x))
            if step is not None:
                self.counters[key] = step
                return True
        self._carry(key, x, y)
        return True

    def _known_after(self, key: Key, y: Any) -> bool:
        """Whether the last trip's value is known, as that of the loop's index is."""
        last = self.last(y)
        if last is not None:
            self.after_loop[key] = last
        return last is not None

    def last(self, y: Any) -> Any:
        """The value of a number at the end of the last trip, None when it is not known."""
        if not self.steady or not self.trips:
            return None
        if not isinstance(y, Number):
            return y
        r, own = y.range, self.index_range
        if y.kind is not int or own is None or r.least != r.most or set(r.terms) != set(own.terms):
            return None
        ((value, coefficient),) = own.terms.items()
        factor, rest = divmod(r.terms[value], coefficient)
        return None if rest else r.least - factor * own.least + factor * (self.trips - 1)

    def _counter(self, key: Key, x: Any, y: Any) -> bool:
        assert self.index_range is not None
        assert self.trips is not None
        step, start = self.counters[key], range_of(x)
        assert start is not None
        expected = number_range.add(start, number_range.multiply(exactly(step), self.index_range))
        if kind_of(y) is int and _difference(range_of(y), expected) == step:
            self.after_loop[key] = x + step * self.trips
            return False
        del self.counters[key]
        self.no_counter.add(key)
        if kind_of(y) is None:
            return super().number(*key, x, y)
        self._carry(key, x, x)
        return True

    def _carry(self, key: Key, x: Any, y: Any) -> None:
        kind = joined(kind_of(x), kind_of(y))
        r = None
        if kind is int:
            a, b = range_of(x), range_of(y)
            assert a is not None
            assert b is not None
            r = plain(min(a.low, b.low), max(a.high, b.high))
            if self.relaxed:
                r = plain(*(INT32 if r.fits(INT32) else INT64))
        self.numbers[key] = Guess(kind, r, owners_of(x))
        self.promoted[key] = self.numbers[key].dtype()

    def _carried(self, body: Region, key: Key, x: Any, y: Any) -> bool:
        guess, slot = self.numbers[key], self.slots[key]
        if isinstance(y, Tensor) or kind_of(y) is None:
            del self.numbers[key], self.promoted[key]
            self.no_counter.add(key)
            return super().number(*key, x, y)
        kind = joined(guess.kind, kind_of(y))
        if kind is int and not self.relaxed and not self._within(key, guess, slot, x, y):
            return True
        if kind is not guess.kind:
            self.numbers[key] = Guess(kind, guess.range, guess.owners)
            self.promoted[key] = self.numbers[key].dtype()
            return True
        with body.again():
            slot.final = converted(y, guess.dtype().dtype)
        return False

    def _within(self, key: Key, guess: Guess, slot: Slot, x: Any, y: Any) -> bool:
        """Whether the assumed range of an int holds; if not, a wider one is assumed from now on."""
        r, start = range_of(y), range_of(x)
        assert r is not None
        assert start is not None
        assert guess.range is not None
        moved = r.step_from(slot.params[-1])
        if moved is not None and self.trips is not None:
            low, high = min(0, moved[0]) * self.trips, max(0, moved[1]) * self.trips
            wanted = plain(start.low + low, start.high + high)
            if guess.range.low <= wanted.low and wanted.high <= guess.range.high:
                return True
        else:
            wanted = plain(min(start.low, r.low, guess.range.low), max(start.high, r.high, guess.range.high))
            if wanted == guess.range:
                return True
        if guess.widened >= MAX_WIDENED or not wanted.fits(INT64):
            give_up(f"the int {key[0]!r} may outgrow 64 bits: no bound is known for it", self.owners)
            self.relaxed = True  # no loop around it can be unrolled: it counts as in a loop that a tensor controls
            wanted = plain(*(INT32 if start.fits(INT32) else INT64))
        guess.range, guess.widened = wanted, guess.widened + 1
        self.promoted[key] = guess.dtype()
        return False

    def late_leaf(self, body: Region, name: str, i: int, leaf: Any) -> Any:
        """A leaf of a variable that the body sets first: a tensor to be carried, or something else to keep."""
        if isinstance(leaf, Number):
            if leaf.lifted:
                leaf.needed(f"a loop leaves the number in {label(name)}")
            last = self.last(leaf)
            if last is not None and not is_flag(name):
                return last
            if not is_flag(name):
                self.numbers[name, i] = Guess(leaf.kind, leaf.range, leaf.owners)
            with body.again():
                return converted(leaf, storage(leaf.kind, leaf.range))
        if isinstance(leaf, Tensor) and self.trace.runtime_sizes.changes(body.block, leaf):
            what = f"{label(name)} has another size after every trip, and is used after the loop"
            impossible(f"{what}: write into an array that is made before the loop{at()}", self.owners)
        return leaf

    # ------------------------------------------------------------ after the loop
    def outcome(self, key: Key, leaf: Any, carried: Carried, outs: Sequence[Tensor]) -> Any:
        """A leaf after the loop."""
        if key in self.after_loop:
            return self.after_loop[key]
        value = super().outcome(key, leaf, carried, outs)
        guess = self.numbers.get(key)
        if guess is None or key not in carried.slots:
            return value
        r = guess.range
        return Number(value, guess.kind, None if r is None else plain(r.low, r.high), guess.owners | self.outer)


def _difference(y: Range | None, x: Range | None) -> int | None:
    """y - x where that is a known int."""
    assert y is not None
    assert x is not None
    r = number_range.add(y, number_range.negated(x))
    return r.least if not r.terms and r.least == r.most else None
