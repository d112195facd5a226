"""`config.threading`: how many threads compiled code may use."""

from __future__ import annotations

from typing import Any

from ..codegen import threads
from .errors import fail

NAMES = [
    "get_inter_op_parallelism_threads", "get_intra_op_parallelism_threads", "set_inter_op_parallelism_threads",
    "set_intra_op_parallelism_threads",
]  # fmt: skip


class _Inter:
    """What `set_inter_op_parallelism_threads` was last given."""

    chosen = 0


def set_intra_op_parallelism_threads(num_threads: int) -> None:
    """At most so many threads for each compiled call, the caller's included; 0 for the default.

    The default is PULLBACK_NUM_THREADS, else the cores that the process may use. A change takes effect with the next
    call and recompiles nothing; results are the same bits for any number. Matrix products are NumPy's OpenBLAS's,
    whose threads are its own (`OPENBLAS_NUM_THREADS`, threadpoolctl).
    """
    try:
        threads.set_threads(num_threads)
    except ValueError as e:
        fail(ValueError, f"set_intra_op_parallelism_threads: {e}")


def get_intra_op_parallelism_threads() -> int:
    """What was set; 0 for the default."""
    return threads.chosen_threads()


def set_inter_op_parallelism_threads(num_threads: int) -> None:
    """Is remembered and has no effect: ops run one after the other, each on the threads of the other setting."""
    number: Any = num_threads
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        fail(ValueError, f"set_inter_op_parallelism_threads: found {number!r}; write a whole number from 0 on")
    _Inter.chosen = number


def get_inter_op_parallelism_threads() -> int:
    """What was set; 0 for the default."""
    return _Inter.chosen
