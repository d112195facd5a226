"""The arena as a row of blocks, taken and free: first fit, in the order of events.

Each block lies right behind the one before, so that what is freed joins its neighbours without any comparison of
addresses: sizes may have names (`ir.sizes`), and a comparison of theirs would be kept as a guard.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush
from itertools import count
from typing import Any

from ..ir.sizes import estimate, is_named


class Block:
    """A stretch of the arena; `end` is the last event of what lies there, None while it is free."""

    __slots__ = ("after", "before", "end", "offset", "size")

    def __init__(self, offset: int, size: int | None, before: Block | None, after: Block | None) -> None:
        self.offset = offset
        self.size = size  # None for the last one, which has no bounds
        self.before, self.after = before, after
        self.end: int | None = None


def _place(block: Block) -> Any:
    return estimate(block.offset)


class FreeSpace:
    """Blocks from the offset `floor` on."""

    def __init__(self, floor: int) -> None:
        self._free = [Block(floor, None, None, None)]  # in their order
        self._ends: list[tuple[int, int, Block]] = []  # of taken blocks, the next one first
        self._taken: dict[int, Block] = {}
        self._serial = count()

    def take(self, size: int, end: int) -> int:
        """The lowest free offset with room for `size` bytes; they are taken up to the event `end`."""
        k = next(k for k, b in enumerate(self._free) if b.size is None or b.size >= size)
        block = self._free[k]
        rest = None if block.size is None else block.size - size
        if rest is None or is_named(rest) or rest > 0:
            left = Block(block.offset + size, rest, block, block.after)
            if block.after is not None:
                block.after.before = left
            block.after = left
            self._free[k] = left
        else:
            del self._free[k]
        block.size = size
        self._keep(block, end)
        return block.offset

    def renew(self, offset: int, end: int) -> None:
        """What lies at the offset gives its bytes to something that stays up to the event `end`."""
        self._keep(self._taken[offset], end)

    def _keep(self, block: Block, end: int) -> None:
        block.end = end
        self._taken[block.offset] = block
        heappush(self._ends, (end, next(self._serial), block))

    def release(self, event: int) -> None:
        """Frees what is not needed from this event on."""
        while self._ends and self._ends[0][0] < event:
            block = heappop(self._ends)[2]
            if block.end is not None and block.end < event:
                self._give(block)

    def _give(self, block: Block) -> None:
        """Makes a block free, as one with free blocks beside it."""
        block.end = None
        del self._taken[block.offset]
        before, after = block.before, block.after
        if after is not None and after.end is None:
            self._drop(after)
            self._swallow(block, after)
        if before is not None and before.end is None:
            self._drop(before)
            self._swallow(before, block)
            block = before
        insort(self._free, block, key=_place)

    def _drop(self, block: Block) -> None:
        del self._free[bisect_left(self._free, _place(block), key=_place)]

    @staticmethod
    def _swallow(block: Block, after: Block) -> None:
        block.size = None if after.size is None or block.size is None else block.size + after.size
        block.after = after.after
        if after.after is not None:
            after.after.before = block
