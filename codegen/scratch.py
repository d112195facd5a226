"""The arena that compiled code computes in: one block for the whole process, as large as its largest user.

Fresh memory costs a page fault every 4 kB (11 ms for 40 MB, against 3 ms for the work in it), so calls take turns with
one block; a call that finds it taken (another thread's, or an outer call) allocates and frees a block of its own. The
native side is in `entry_native`; this is the Python side: the descriptor, users' sizes, giving memory back.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import Counter
from collections.abc import Callable

_LOCK, _BASE, _SIZE = range(3)


class Arena:
    """The descriptor (lock, base, size) that native code works on, and who needs how much."""

    def __init__(self) -> None:
        self._words = (ctypes.c_int64 * 4)()
        self._users: Counter[int] = Counter()
        self._guard = threading.RLock()  # a collection may run a user's __del__ in the middle of `add`
        self._free: Callable[[], None] | None = None
        self.address = ctypes.addressof(self._words)

    @property
    def size(self) -> int:
        """Bytes held at present."""
        return self._words[_SIZE]

    def connect(self, free: Callable[[], None]) -> None:
        """Set the native function that frees the block; called once, with the GIL held while it runs."""
        self._free = free

    def add(self, size: int) -> None:
        """A function that needs `size` bytes came to life."""
        with self._guard:
            self._users[size] += 1

    def remove(self, size: int) -> None:
        """A function that needed `size` bytes died: give the block back if nobody left needs it that large."""
        with self._guard:
            self._users[size] -= 1
            if not self._users[size]:
                del self._users[size]
            idle = self._words[_LOCK] == 0
            if self._free is not None and idle and self.size > max(self._users, default=0):
                self._free()


arena = Arena()


class ScratchUse:
    """Holds the arena at `size` bytes or more for as long as it lives."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size
        arena.add(size)

    # Bound early: at exit the globals may be gone, and so may be those that `remove` needs.
    def __del__(self, arena: Arena = arena, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        if not exiting():
            arena.remove(self._size)
