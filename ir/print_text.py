"""How values look when a program prints them, in eager and compiled code alike: as TensorFlow's `tf.print` does, or as
Python's `str`, `repr` and `format` show tensors and NumPy arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dtypes import as_dtype
from .graph import Attrs

# NumPy >= 2.2 adds the shape to the repr of an array that it shortens.
_SHAPE = re.compile(r",\s+shape=\([0-9, ]*\)(?=, dtype=|\)$)")


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


def numpy_text(data: Any, is_repr: bool = False) -> str:
    """An array as TensorFlow shows it inside of a tensor's text; a text of several lines starts on a new one."""
    if data.ndim == 0:
        item = data[()]
        if not is_repr:
            return str(item)
        return repr(item) if isinstance(item, (str, bytes)) else repr(item.item())
    text = _SHAPE.sub("", repr(data)) if is_repr else str(data)
    return "\n" + text if "\n" in text else text


STYLES = ("", "str", "repr", "variable", "array", "array repr")  # or "format " and a format specification


def value_text(x: Any, style: str, summarize: int) -> str:
    """An array in one of the STYLES: `tf.print`'s; `str` and `repr` of a Tensor; the number part of a Variable's repr;
    `str` and `repr` of an ndarray; `format` of what it holds."""
    data = np.asarray(x)
    if not style:
        return array_text(data, summarize)
    if style.startswith("format "):
        return format(data[()], style.removeprefix("format "))
    if style in ("array", "array repr"):
        return str(data[()]) if style == "array" else repr(data[()])
    if style == "variable":
        return numpy_text(data, True)
    about = f"shape={data.shape}, dtype={as_dtype(data.dtype).name}"
    return f"tf.Tensor({numpy_text(data)}, {about})" if style == "str" else (
        f"<tf.Tensor: {about}, numpy={numpy_text(data, True)}>"
    )  # fmt: skip


def joined_text(attrs: Attrs, xs: Sequence[Any]) -> str:
    """The attribute `segments` with operands between them, in the styles of the attribute `styles`."""
    segments, limit = attrs["segments"], attrs.get("summarize", 3)
    styles = attrs.get("styles") or ("",) * len(xs)
    parts = [segments[0]]
    for x, style, text in zip(xs, styles, segments[1:], strict=True):
        parts += [value_text(x, style, limit), text]
    return "".join(parts)
