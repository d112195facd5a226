"""A counter that sends every native call down the slow path while it is not zero.

The runtime raises it while a tape records, a trace runs or eager execution is switched on: then calls must be seen by
Python. Native entries read the number at `slow_mode.address`; it counts because these states nest and overlap between
threads.
"""

from __future__ import annotations

import ctypes
import threading
from types import TracebackType


class SlowMode:
    """The counter; also a context manager that enters and leaves.

    Who counts elsewhere mirrors into `cell`, the ctypes integer that entries read (`cell.value = count`), and leaves
    `enter` and `leave` alone.
    """

    __slots__ = ("_lock", "address", "cell")

    def __init__(self) -> None:
        self.cell = ctypes.c_int64(0)
        self._lock = threading.Lock()
        self.address = ctypes.addressof(self.cell)

    @property
    def value(self) -> int:
        """How many reasons there are at present to go slowly."""
        return self.cell.value

    def enter(self) -> None:
        """One more reason."""
        with self._lock:
            self.cell.value += 1

    def leave(self) -> None:
        """One reason less; RuntimeError without a matching `enter`."""
        with self._lock:
            if self.cell.value <= 0:
                raise RuntimeError("slow_mode.leave() without slow_mode.enter()")
            self.cell.value -= 1

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.leave()


slow_mode = SlowMode()
