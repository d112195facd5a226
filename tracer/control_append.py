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
from ..runtime.convert import as_tensor
from ..runtime.dispatch import apply
from ..runtime.ops_shape import concat
from ..runtime.stacked import StackedList
from ..runtime.tensor import Tensor
from .control_carry import Carried, Key, LoopState, Slot
from .control_region import Region
from .control_state import placeholder
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
        self.latest: Any = previous
        self.wants_previous = False

    def stop(self, what: str, first_trip: bool = False) -> NoReturn:
        """Ends the trial."""
        impossible(f"the list {self.name!r} {what}", (self.trial,), first_trip)

    def append(self, x: Any) -> None:
        """`items.append(x)`."""
        if not isinstance(x, Tensor) and (not hasattr(x, "_as_tensor") or kind_of(x) is not None):
            self.stop(f"gets elements of type {type(x).__name__}, not tensors")
        t = as_tensor(x)
        self.add(t[None], 1)
        self.latest = t

    def add(self, stacked: Tensor, n: int) -> None:
        """More elements at once."""
        trace = self.trial.trace
        if trace.builder.block is not self.block:
            self.stop("is appended to on some trips only, or in an inner loop on tensors")
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
                return self.entries[-1][0][-1]
            if len(self.start):
                self.wants_previous = True
                found = self.start[-1]
                if isinstance(found, Tensor):
                    return found
            self.stop("is read before it has an element", True)
        return self.stop("is read in the loop that fills it, by more than [-1]")

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


def after_loop(start: Any, buffer: Tensor, n: int) -> Any:
    """The list behind the loop that appended the rows of a buffer to it."""
    if isinstance(start, Appending):
        start.add(buffer, n)
        return start
    parts = start.parts if isinstance(start, StackedList) else StackedList.of(start).parts
    return StackedList([*parts, (buffer, n)])


class Lists:
    """The lists that a loop appends to, over the attempts at tracing it.

    Attributes:
      names: their variables. initial: for lists whose last element the body reads, that element before the loop.
    """

    def __init__(self, names: Sequence[str], trial: Any) -> None:
        self.names, self.trial = list(names), trial
        self.initial: dict[str, Tensor] = {}
        self.appending: dict[str, Appending] = {}

    def slots(self) -> dict[Key, Slot]:
        """The values to carry that are known before the body is traced."""
        return {(n, -2): Slot(n, t) for n, t in self.initial.items()}

    def bind(self, values: dict[str, Any], start: Mapping[str, Any], state: LoopState, region: Region) -> None:
        """At the body's start."""
        for n in self.names:
            slot = state.slots.get((n, -2))
            previous = None if slot is None else SymbolicTensor(slot.params[-1], self.trial.trace)
            self.appending[n] = values[n] = Appending(n, start[n], self.trial, region.block, previous)

    def close(self, body: Region, state: LoopState, trips: int | None, steady: bool, trip: Callable[[], Any]) -> bool:
        """At the end of the (closed) body. True when it has to be traced again."""
        again = False
        for a in self.appending.values():
            if a.wants_previous and a.name not in self.initial:
                self.initial[a.name] = as_tensor(a.start[-1])
                again = True
            if a.entries and (trips is None or not steady):
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
            values[n] = start[n] if at is None else after_loop(start[n], outs[at], int(outs[at].type.shape[0]))
