"""What the reverse of loops and branches keeps, written down while it is made: for `inspect(stage="residuals")`.

Each array or stack that keeps values gets a name of its own, which passes leave alone. So what is found under that name
after all of them is what is really kept, whatever they dropped or merged.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .dims import DimLike
from .graph import Block, Loc, Op, Value
from .rewrite import inputs
from .schedule import Schedule
from .types import TensorType

Why = tuple[str, Loc | None]  # an op's name and line


@dataclass(slots=True)
class Kept:
    """A value that is kept. `tag` names what keeps it, `why` says what needs it."""

    tag: str
    name: str
    type: TensorType
    loc: Loc | None
    why: Why


@dataclass(slots=True)
class Note:
    """What one loop or branch keeps, which of its ops are run again instead, and by which schedule.

    `trips` is None for a branch, and where the number is not known before a loop runs.
    """

    op: Op
    loc: Loc | None
    kept: list[Kept] = field(default_factory=list)
    again: list[Op] = field(default_factory=list)
    schedule: Schedule | None = None
    trips: DimLike | None = None


class Ledger:
    """All notes of one derivative."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self._by_tag: dict[str, Kept] = {}

    def note(self, op: Op, saved: Sequence[Value], body: Block, reverse: Block, again: Sequence[Op]) -> Note:
        """Writes down what the reverse of a region reads."""
        made = Note(op, op.loc, again=list(again))
        made.kept = [self.kept(v, op, reason(v, body.ops, reverse.walk(), again)) for v in saved]
        self.notes.append(made)
        return made

    def kept(self, v: Value, op: Op, why: Why) -> Kept:
        """An entry for a value of a region op."""
        inner = self._by_tag.get(v.name)  # what an inner loop keeps in each trip of this one
        name, loc = v.name, v.owner.loc if isinstance(v.owner, Op) else op.loc
        if inner is not None:
            name, loc, why = inner.name, inner.loc, inner.why
        tag = f"kept.{len(self._by_tag) + 1}"
        self._by_tag[tag] = found = Kept(tag, name, v.type, loc, why)
        return found


_active = threading.local()


def ledger() -> Ledger | None:
    """The ledger that is open in this thread."""
    return getattr(_active, "ledger", None)


@contextmanager
def collecting(book: Ledger | None) -> Iterator[None]:
    """Inside, notes go to the book; with None, to none."""
    before = ledger()
    _active.ledger = book
    try:
        yield
    finally:
        _active.ledger = before


def reason(v: Value, body: Sequence[Op], reverse: Iterable[Op], again: Sequence[Op] = ()) -> Why:
    """Which op's derivative reads a value, directly or through what is computed again from it."""
    reached = {v}
    for op in again:
        if any(x in reached for x in inputs(op)):
            reached.update(op.results)
    for reader in reverse:
        found = next((x for x in inputs(reader) if x in reached), None)
        if found is not None:
            return needed_by(found, reader.loc, body)
    return ("", None)


def needed_by(v: Value, loc: Loc | None, ops: Iterable[Op]) -> Why:
    """The op on a line that a value goes into or comes out of: the backward ops of an op have its line."""
    near = [op for op in ops if op.loc == loc and (v in inputs(op) or v in op.results)]
    inner = [op for op in near if v in inputs(op)] or near
    return (inner[0].kind.name if inner else "", loc)
