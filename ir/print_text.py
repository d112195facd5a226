"""How values look when a program prints them: TensorFlow's `tf.print`, in eager and compiled code alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def element_text(x: Any, quote: bool = False) -> str:
    """One element: the shorter of 6 and 9 (float64: 15 and 17) digits that reads back the same."""
    if isinstance(x, bytes):
        text = x.decode(errors="replace")
        return f'"{text}"' if quote else text
    dtype = np.asarray(x).dtype
    if dtype.kind == "b":
        return "1" if x else "0"
    if dtype.kind in "iu":
        return str(int(x))
    if dtype.kind == "c":
        return f"({element_text(x.real)},{element_text(x.imag)})"
    if dtype == np.float64:
        return _digits(float(x), 15, 17, float)
    return _digits(float(x), 6, 9, lambda s: float(np.float32(s)))


def _digits(x: float, few: int, many: int, read: Callable[[str], float]) -> str:
    if x != x:
        return "nan"
    if x in (float("inf"), float("-inf")):
        return "inf" if x > 0 else "-inf"
    text = f"{x:.{few}g}"
    return text if read(text) == x else f"{x:.{many}g}"


def array_text(x: Any, summarize: int = 3) -> str:
    """An array: `summarize` elements at both ends of each dimension, all of them when negative."""
    data = np.asarray(x)
    if data.ndim == 0:
        return element_text(data[()])
    return _dimension(data, 0, summarize if summarize >= 0 else max(data.shape) + 1)


def _dimension(data: Any, depth: int, ends: int) -> str:
    if not isinstance(data, np.ndarray) or data.ndim == 0:
        return element_text(data if not isinstance(data, np.ndarray) else data[()], quote=True)
    gap = " " if data.ndim == 1 else "\n" * (data.ndim - 1) + " " * (depth + 1)
    n = len(data)
    if n > 2 * ends:
        shown = [_dimension(data[i], depth + 1, ends) for i in range(ends)] + ["..."]
        shown += [_dimension(data[i], depth + 1, ends) for i in range(n - ends, n)]
    else:
        shown = [_dimension(data[i], depth + 1, ends) for i in range(n)]
    return "[" + gap.join(shown) + "]"
