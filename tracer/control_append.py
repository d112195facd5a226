"""`items.append(t)` in a loop: the elements go into a stacked buffer, one row (or a few) per trip.

In the body the name of the list is bound to an `Appending`, which knows `append` and, for what was appended last,
`items[-1]`; anything else that the body does with the list ends the trial. Behind the loop the name is bound to a
`StackedList`. That is right only where nobody knows the list by another way: it must be one that the function made,
bound to one variable and to nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from ..ir.graph import Block
from ..ir.opdef import get
from ..ir.types import TensorType
from ..runtime.array import array_of, is_array
from ..runtime.convert import as_tensor
from ..runtime.dispatch import apply
from ..runtime.ops_shape import concat
from ..runtime.stacked import StackedList, row_of
from ..runtime.tensor import Tensor
from .control_carry import Carried, Key, LoopState, Slot
from .control_region import Region
from .control_state import placeholder, taken_apart
from .number import kind_of
from .symbolic import SymbolicTensor
from .trials import impossible


def references(here: Mapping[str, Any], name: str) -> int:
    """How many references Python counts to what a variable holds."""
    return sys.getrefcount(here[name])


def _calibrated() -> int:
    items: list[Any] = []
    count = references(locals(), "items")
    del items
    return count


_ALONE = _calibrated()


def is_private(here: Mapping[str, Any], name: str) -> bool:
    """Whether a variable holds a list that nothing else holds."""
    if isinstance(here.get(name), (StackedList, Appending)):
        return True
    return type(here.get(name)) is list and references(here, name) <= _ALONE


class Appending:
    """A list in the body of a loop.

    Attributes:
      start: the list before the loop. entries: what this trip appended: stacked tensors with their lengths.
      previous: the last element at the trip's start, where it is carried; wants_previous: whether the body asks for it.
    """

    def __init__(self, name: str, start: Any, trial: Any, block: Block, previous: Any) -> None:
        self.name, self.start, self.trial, self.block, self.previous = name, start, trial, block, previous
        self.entries: list[tuple[Tensor, int]] = []
        self.elements: list[Tensor] = []  # one by one, as the body had them; of views the base
        self.arrays = False
        self.latest: Any = previous
        self.wants_previous = False
        self.also_held: list[str] = []  # variables that hold an element at the end of a trip

    def stop(self, what: str, first_trip: bool = False) -> NoReturn:
        """Ends the trial."""
        impossible(f"the list {self.name!r} {what}", (self.trial,), first_trip)

    def append(self, x: Any) -> None:
        """`items.append(x)`."""
        if not isinstance(x, Tensor) and (not hasattr(x, "_as_tensor") or kind_of(x) is not None):
            self.stop(f"gets elements of type {type(x).__name__}, not tensors")
        t = as_tensor(x)
        self.add(row_of(t), 1, is_array(t))
        self.latest = t
        part = getattr(t, "_part", None)
        owner = t if part is None else part.base  # what a write would go to
        self.elements.append(owner)
        if isinstance(owner, SymbolicTensor):
            self.trial.trace.shared[id(owner)] = (
                owner,
                f"this writes to what was appended to the list {self.name!r} before",
            )

    def add(self, stacked: Tensor, n: int, arrays: bool) -> None:
        """More elements at once."""
        if self.entries and arrays != self.arrays:
            self.stop("gets tensors and arrays")
        self.arrays = arrays
        trace = self.trial.trace
        if trace.builder.block is not self.block:
            self.stop("is appended to on some trips only, or in an inner loop on tensors")
        if trace.runtime_sizes.changes(self.block, stacked):
            self.stop("gets elements whose size changes from trip to trip")
        if self.entries and self.entries[0][0].type.shape[1:] != stacked.type.shape[1:]:
            self.stop("gets elements of several shapes")
        if self.entries and self.entries[0][0].dtype is not stacked.dtype:
            self.stop("gets elements of several dtypes")
        self.entries.append((stacked, n))
        self.latest = None

    def __getitem__(self, key: Any) -> Any:
        if type(key) is int and key == -1:
            if self.latest is not None:
                return self.latest
            if self.entries:
                return self._kind(self.entries[-1][0][-1])
            if len(self.start):
                self.wants_previous = True
                found = self.start[-1]
                if isinstance(found, Tensor):
                    return found
            self.stop("is read before it has an element", True)
        return self.stop("is read in the loop that fills it, by more than [-1]")

    def _kind(self, t: Tensor) -> Tensor:
        return array_of(t) if self.arrays and not is_array(t) else t

    def check_writes(self, trace: Any, end: Mapping[str, Any], held: Mapping[str, Any]) -> None:
        """Ends the trial where a later trip may write to an element by another name."""
        for t in self.elements:
            if id(t) in trace.written and trace.home_of(t) is not self.block:
                self.stop("gets an array that later trips write to; append a copy")
            for name, value in end.items():
                if any(leaf is t for leaf in taken_apart(value)[1]):
                    if any(id(leaf) in trace.written for leaf in taken_apart(held.get(name))[1]):
                        self.stop(f"gets what {name!r} holds, and the next trip writes to that; append a copy")
                    self.also_held.append(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_as_") or name in ("__array__", "__array_interface__", "__array_struct__"):
            raise AttributeError(name)
        self.stop(f"is used in the loop that fills it ({name})")

    def __len__(self) -> int:
        self.stop("is asked for its length in the loop that fills it")

    def __iter__(self) -> Any:
        self.stop("is iterated over in the loop that fills it")

    def __bool__(self) -> bool:
        self.stop("is tested in the loop that fills it")

    def __eq__(self, other: object) -> Any:
        self.stop("is compared in the loop that fills it")

    __hash__ = object.__hash__

    # ------------------------------------------------------------ the end of the body
    def per_trip(self) -> int:
        """How many elements a trip appends."""
        return sum(n for _, n in self.entries)

    def rows(self) -> Tensor:
        """What this trip appended, stacked."""
        return self.entries[0][0] if len(self.entries) == 1 else concat([t for t, _ in self.entries], 0)


def after_loop(start: Any, buffer: Tensor, n: int, arrays: bool) -> Any:
    """The list behind the loop that appended the rows of a buffer to it."""
    if isinstance(start, Appending):
        start.add(buffer, n, arrays)
        return start
    parts = start.parts if isinstance(start, StackedList) else StackedList.of(start).parts
    return StackedList([*parts, (buffer, n)], arrays)


class Lists:
    """The lists that a loop appends to, over the attempts at tracing it.

    Attributes:
      names: their variables. initial: for lists whose last element the body reads, that element before the loop.
    """

    def __init__(self, names: Sequence[str], trial: Any) -> None:
        self.names, self.trial = list(names), trial
        self.initial: dict[str, Tensor] = {}
        self.appending: dict[str, Appending] = {}
        self.held: dict[str, Any] = {}

    def slots(self) -> dict[Key, Slot]:
        """The values to carry that are known before the body is traced."""
        return {(n, -2): Slot(n, t) for n, t in self.initial.items()}

    def bind(self, values: dict[str, Any], start: Mapping[str, Any], state: LoopState, region: Region) -> None:
        """At the body's start."""
        self.held = dict(values)
        for n in self.names:
            slot = state.slots.get((n, -2))
            previous = None if slot is None else SymbolicTensor(slot.params[-1], self.trial.trace)
            if previous is not None:
                previous = array_of(previous) if is_array(self.initial[n]) else previous
                self.trial.trace.shared[id(previous)] = previous, f"this writes to an element of the list {n!r}"
            self.appending[n] = values[n] = Appending(n, start[n], self.trial, region.block, previous)

    def check_writes(self, end: Mapping[str, Any]) -> None:
        """Before the body is closed: ends the trial where a later trip may write to an element by another name."""
        for a in self.appending.values():
            a.check_writes(self.trial.trace, end, self.held)

    def close(self, body: Region, state: LoopState, trips: int | None, trip: Callable[[], Any]) -> bool:
        """At the end of the (closed) body. True when it has to be traced again.

        Args:
          trips: how many there are, None when that is not known. trip: makes the number of the present one.
        """
        again = False
        for a in self.appending.values():
            if a.wants_previous and a.name not in self.initial:
                self.initial[a.name] = as_tensor(a.start[-1])
                again = True
            if a.entries and trips is None:
                a.stop("grows in a loop whose number of trips is not known on entry")
        if again or trips is None:
            return again
        for a in self.appending.values():
            if a.entries:
                self._write(a, body, state, trips, trip)
        return False

    def _write(self, a: Appending, body: Region, state: LoopState, trips: int, trip: Callable[[], Any]) -> None:
        with body.again():
            rows = a.rows()
            place = (trip() * a.per_trip()).as_index(None)[0]
            last = rows[-1]
        type = TensorType(rows.dtype, (trips * a.per_trip(), *rows.type.shape[1:]))
        slot = Slot(a.name, placeholder(type), [body.block.add_param(type, a.name)])
        with body.again():
            buffer = SymbolicTensor(slot.params[0], self.trial.trace)
            rank = len(type.shape)
            attrs = {"starts": (None, *(0,) * (rank - 1)), "strides": (1,) * rank}
            slot.final = apply(get("update"), (buffer, rows, place), attrs)
        state.slots[a.name, -1] = slot
        if a.name in self.initial:
            if last.type != self.initial[a.name].type:
                a.stop("has elements of another type before the loop")
            state.slots[a.name, -2].final = last

    def conclude(self, values: dict[str, Any], start: Mapping[str, Any], carried: Carried, outs: Sequence[Any]) -> None:
        """Behind the loop: what the variables are."""
        for n in self.names:
            at = carried.slots.get((n, -1))
            if at is None:
                values[n] = start[n]
                continue
            a, buffer = self.appending[n], outs[at]
            values[n] = after_loop(start[n], buffer, int(buffer.type.shape[0]), a.arrays)
            for t in (leaf for name in a.also_held for leaf in taken_apart(values.get(name))[1]):
                if isinstance(t, SymbolicTensor):
                    self.trial.trace.shared[id(t)] = t, f"this writes to what the list {n!r} has as its last element"
