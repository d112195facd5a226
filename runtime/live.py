"""The tapes and accumulators that still know tensors, recording or not: whoever changes a handle tells them.

A branch or loop body of a trace is one op to the tapes outside of it, and so are the writes in it: a tape hears only of
writes in the block of the program in which it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

from .context import context

_tapes: set[ref[Any]] = set()  # each method below is one step of the interpreter, so that no lock is needed


def place() -> Any:
    """The block of the program that is being run or traced in this thread; None eagerly."""
    trace: Any = context.trace
    return None if trace is None else trace.block_here()


def enlist(tape: Any) -> None:
    """The tape, which has an attribute `_place`, knows tensors from now on, until it is dropped or `dismiss`ed."""
    tape._place = place()
    _tapes.add(ref(tape, _tapes.discard))


def dismiss(tape: Any) -> None:
    """The tape has forgotten everything."""
    _tapes.discard(ref(tape))


def live_tapes() -> Sequence[Any]:
    """Those that hear of a write here and now."""
    if not _tapes:
        return ()
    here = place()
    tapes = [r() for r in _tapes.copy()]
    return [t for t in tapes if t is not None and t._place is here]


class Moves:
    """Which handles got new values while a tape was recording, so that records refer to the old ones."""

    __slots__ = ("_last", "_moves")

    def __init__(self) -> None:
        self._moves: list[tuple[int, Any, Any]] = []
        self._last: dict[int, int] = {}  # a handle's id (`_moves` keeps it alive) -> the position of its last move

    def add(self, position: int, handle: Any, old: Any) -> None:
        """In the records before the position, `old` stands for the handle. Where nothing was recorded since its last
        move, that one tells it all, and the values in between are not kept."""
        if self._last.get(id(handle)) == position:
            return
        self._last[id(handle)] = position
        self._moves.append((position, handle, old))

    def settle(self, records: list[Any]) -> None:
        """Rewrites the records, in one sweep from the last to the first."""
        moves, stands = self._moves, {}
        self._moves, self._last = [], {}
        for r in range(len(records) - 1, -1, -1):
            while moves and moves[-1][0] > r:
                _, handle, old = moves.pop()
                stands[id(handle)] = old
            if not moves and not stands:
                return
            op, attrs, xs, outs = records[r]
            if any(id(x) in stands for x in xs) or any(id(o) in stands for o in outs):
                new = [tuple([stands.get(id(t), t) for t in ts]) for ts in (xs, outs)]
                records[r] = (op, attrs, *new)
