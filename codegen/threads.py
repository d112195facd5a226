"""How many threads compiled code uses, and the pool that they are.

Kernels whose work is worth it come in pieces (`pieces`), which `pb_parallel` runs on this pool. Machine code reads the
number of threads at each such kernel, so a change takes effect at once and recompiles nothing. No thread is made before
the first kernel that is to be shared. While `threadpoolctl` (or anybody) holds NumPy's OpenBLAS to fewer threads than
it began with, compiled code keeps to that number, too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from . import pool_system, pool_text
from .cores import default_threads

if TYPE_CHECKING:
    from .jit import Library

DECLARATION = "declare void @pb_parallel(ptr, ptr, i64)"
_GETTERS = ("scipy_openblas_get_num_threads64_", "openblas_get_num_threads64_", "scipy_openblas_get_num_threads",
            "openblas_get_num_threads")
MOST = pool_text.MOST

_state = (ctypes.c_int64 * (pool_text.SIZE // 8 + 8))()
_start = -(-ctypes.addressof(_state) // 64) * 64  # on cache lines of its own
_limit = ctypes.c_int64.from_address(_start + pool_text.LIMIT)
_helpers = ctypes.c_int64.from_address(_start + pool_text.HELPERS)
_lock = threading.Lock()
_library: Library | None = None
_chosen = 0


def _blas_getter() -> Any:
    """The function of NumPy's OpenBLAS that tells its number of threads, or None."""
    path = getattr(sys.modules.get("numpy._core._multiarray_umath"), "__file__", None)
    try:
        library = ctypes.CDLL(path) if path else None
    except OSError:
        return None
    return next((getattr(library, name) for name in _GETTERS if hasattr(library, name)), None)


# Asked when this module is imported: later a limit may be in force.
_blas = _blas_getter()
_blas_at_start: int = _blas() if _blas is not None else 0


def set_threads(n: int) -> None:
    """At most `n` threads, the caller's included, for each compiled call from now on; 0 for the default."""
    global _chosen
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MOST:
        raise ValueError(f"found {n!r} threads; write a whole number from 1 to {MOST}, or 0 for the default")
    with _lock:
        _chosen = n
        if n or _limit.value:  # else the default is looked up when it is needed
            _limit.value = n or default_threads()


def chosen_threads() -> int:
    """What `set_threads` was last given; 0 for the default."""
    return _chosen


def threads() -> int:
    """The number of threads that a large kernel of this process would use now."""
    limit = _limit.value or default_threads()
    now = _blas() if _blas is not None else _blas_at_start
    return max(1, min(limit, now)) if now < _blas_at_start else limit


def helpers() -> int:
    """How many threads the pool has made."""
    return _helpers.value


def symbol() -> int:
    """The address of `pb_parallel`."""
    global _library
    if _library is None:
        from .interrupt import Uninterrupted

        with Uninterrupted(), _lock:
            if _library is None:
                _limit.value = _limit.value or default_threads()
                _library = _make()
                for thing in (_library, _state):  # helpers may run until the process is gone
                    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    return _library.address("pb_parallel")


def _make() -> Library:
    from .host import host
    from .jit import compile_module, of_process

    found = {name: of_process(name) for name in pool_text.FUNCTIONS} if os.name == "posix" else {}
    symbols = {name: address for name, address in found.items() if address}
    if len(symbols) < len(pool_text.FUNCTIONS):
        return compile_module(pool_text.SERIAL, opt=0)
    others = {name: of_process(name) for name in pool_system.OPTIONAL} if sys.platform == "linux" else {}
    apart = len(others) > 0 and all(others.values())
    symbols.update({name: address for name, address in others.items() if apart and address})
    symbols["pb_pool"] = _start
    if _blas is not None:
        symbols["pb_blas_threads"] = ctypes.cast(_blas, ctypes.c_void_p).value or 0
    ctypes.c_int64.from_address(_start + pool_text.BLAS_AT_START).value = _blas_at_start
    text = pool_text.pool_text(host().arch, int(signal.SIG_SETMASK), _blas is not None, apart)
    library = compile_module(text, symbols, opt=0)  # 4 ms; opt=1 takes 15, and calls are no faster
    reset = library.function("pb_pool_reset", None)
    reset()
    os.register_at_fork(after_in_child=reset)  # the child has none of the threads, and may have copied a held lock
    return library
