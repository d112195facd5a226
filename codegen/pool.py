"""Memory of large results, kept when they die and given to the next ones.

Fresh memory costs a page fault for every 4 kB: more than computing what goes into it. So results of a megabyte and
more get their memory through a handler of our own, which NumPy asks for it and gives it back to (NEP 49), and which
keeps the blocks that were given back, up to a limit. Results of a few kB and more begin at chosen places (see
`pool_native`). The native side is in `pool_native`; this is the Python side:
the table, the handler's registration, arrays for Python's own use, figures. Where the handler cannot be had, arrays are
NumPy's own.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .pool_native import LEAST, SLOTS

DEFAULT_LIMIT = 512 << 20
_HELD, _MOST, _COUNT = range(3)
_NAME = b"pullback"
Array = np.ndarray[Any, Any]


class _Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler, version 1."""

    _fields_ = (("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("ctx", ctypes.c_void_p),
                ("malloc", ctypes.c_void_p), ("calloc", ctypes.c_void_p), ("realloc", ctypes.c_void_p),
                ("free", ctypes.c_void_p))  # fmt: skip


def _limit() -> int:
    """At first: half a GiB, or an eighth of the memory if that is less."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return DEFAULT_LIMIT
    return min(DEFAULT_LIMIT, memory // 8)


def _handler_lies(handler: object, at: int) -> bool:
    """Whether arrays keep the handler of their memory there; one that does not own its memory keeps none."""
    owner = np.zeros(5)
    found = [ctypes.c_void_p.from_address(id(a) + at).value for a in (owner, owner[1:])]
    return found == [id(handler), None]


class Pool:
    """The table that native code works on, and NumPy's handler for it once there is one."""

    def __init__(self) -> None:
        self._words = (ctypes.c_int64 * (3 + 2 * SLOTS))()
        self._words[_MOST] = _limit()
        self._capsule = ctypes.c_void_p()
        self._keep: list[Any] = []
        self._switch: Callable[[Any], Any] | None = None
        self._oldest: Callable[[], None] | None = None
        self.address = ctypes.addressof(self._words)
        self.handler_address = ctypes.addressof(self._capsule)

    @property
    def held(self) -> int:
        """Bytes that are kept at present."""
        return self._words[_HELD]

    @property
    def blocks(self) -> int:
        """How many blocks these are."""
        return self._words[_COUNT]

    @property
    def limit(self) -> int:
        """The most bytes that may be kept."""
        return self._words[_MOST]

    @limit.setter
    def limit(self, size: int) -> None:
        self._words[_MOST] = size
        self.trim(size)

    def trim(self, size: int = 0) -> None:
        """Gives memory back, the oldest first, until at most `size` bytes are kept."""
        while self._oldest is not None and self.blocks and self.held > size:
            self._oldest()

    def connect(self, address: Callable[[str], int], numpy: Mapping[str, int], handler_at: int) -> None:
        """Makes a handler of the native functions; called once.

        Args:
          address: of a native function by name. numpy: addresses in NumPy's C interface. handler_at: where an array
            keeps its handler, to be checked.
        """
        self._oldest = ctypes.PYFUNCTYPE(None)(address("pb_pool_oldest"))
        set_handler, get_handler = numpy["np_SetHandler"], numpy["np_GetHandler"]
        if not (set_handler and get_handler):
            return
        if not _handler_lies(ctypes.PYFUNCTYPE(ctypes.py_object)(get_handler)(), handler_at):
            return
        functions = [address(f"pb_pool_{f}") for f in ("malloc", "calloc", "realloc", "free")]
        handler = _Handler(_NAME, 1, None, *functions)
        make = ctypes.pythonapi.PyCapsule_New
        make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p] * 3
        name = ctypes.create_string_buffer(b"mem_handler")
        capsule = make(ctypes.addressof(handler), ctypes.addressof(name), None)
        self._switch = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(set_handler)
        self._keep += [handler, name, capsule]
        for thing in (self, *self._keep):  # arrays may outlive whoever asked for them
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
        if self._works(capsule):
            self._capsule.value = id(capsule)
        else:
            self._switch = None

    def _works(self, capsule: Any) -> bool:
        """Whether NumPy takes memory from the handler, and gives it back."""
        before, self._words[_MOST] = self._words[_MOST], LEAST
        try:
            made = self._made(capsule, (LEAST,), np.dtype(np.uint8))
            name = getattr(np._core.multiarray, "get_handler_name", lambda a: "")(made)  # type: ignore[attr-defined]
            made[:] = 1
            del made
            return bool(name == _NAME.decode()) and self.held == LEAST
        except (AttributeError, SystemError, MemoryError):
            return False
        finally:
            self.trim()
            self._words[_MOST] = before

    def _made(self, capsule: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        assert self._switch is not None
        old = self._switch(capsule)
        try:
            return np.empty(shape, dtype)
        finally:
            self._switch(old)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """A new array, with memory of the pool where it is large."""
        if self._switch is None or dtype.itemsize * int(np.prod(shape, dtype=np.int64)) < LEAST:
            return np.empty(shape, dtype)
        return self._made(self._keep[2], shape, dtype)


pool = Pool()
