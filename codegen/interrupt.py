"""Ctrl-C held back over a critical stretch.

llvmlite takes a Python lock around every call; a KeyboardInterrupt inside its `__enter__` would leave that
lock taken for ever. A compile takes milliseconds, so the main thread notes the signal, finishes, and
delivers it afterwards. Other threads never receive KeyboardInterrupt: for them this does nothing.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Uninterrupted:
    """Context manager: SIGINT that arrives inside is delivered at the end, to the handler before."""

    __slots__ = ("_old", "_pending")

    def __init__(self) -> None:
        self._old: object = None
        self._pending: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        old = signal.getsignal(signal.SIGINT)
        if callable(old) and getattr(old, "__func__", None) is not Uninterrupted._note:
            self._old = old
            signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._pending = (number, frame)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        old = self._old
        if callable(old):
            signal.signal(signal.SIGINT, old)
            if self._pending is not None:
                old(*self._pending)
