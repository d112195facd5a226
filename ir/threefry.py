"""Threefry-2x32 with 20 rounds in NumPy: counter-based random bits, the meaning of every random op.

A pure function of (key, counter), after Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1,
2, 3" (SC11). Compiled code (`codegen/math_threefry.py`) gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PARITY = 0x1BD11BDA
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def threefry2x32(key: Any, counter: Any) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """64 random bits for each key and counter, broadcast together.

    Args:
      key: integer array (uint64, or int64 by its bits); the low 32 bits are the first key word, the high
        ones the second.
      counter: integer array, packed the same way.

    Returns:
      uint64 array, first output word | second output word << 32.
    """
    k, c = np.broadcast_arrays(_unsigned(key), _unsigned(counter))
    k0, k1 = _halves(k)
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(PARITY))
    x0, x1 = _halves(c)
    with np.errstate(over="ignore"):
        x0, x1 = x0 + k0, x1 + k1
        for block in range(5):
            for amount in ROTATIONS[block % 2]:
                x0 = x0 + x1
                x1 = ((x1 << np.uint32(amount)) | (x1 >> np.uint32(32 - amount))) ^ x0
            x0 = x0 + keys[(block + 1) % 3]
            x1 = x1 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return np.asarray(x0, np.uint64) | (np.asarray(x1, np.uint64) << _SHIFT)


def _unsigned(x: Any) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The bits of an integer array (or Python int) as uint64."""
    if isinstance(x, int):
        return np.asarray(x & 0xFFFFFFFFFFFFFFFF, np.uint64)
    a = np.asarray(x)
    if a.dtype.kind not in "iu":
        raise TypeError(
            f"threefry2x32 takes integer keys and counters, found {a.dtype}; convert with .astype(np.uint64)"
        )
    return a.astype(np.int64).view(np.uint64) if a.dtype.kind == "i" else a.astype(np.uint64)


def _halves(x: np.ndarray[Any, np.dtype[np.uint64]]) -> tuple[Any, Any]:
    return (x & _MASK).astype(np.uint32), (x >> _SHIFT).astype(np.uint32)
