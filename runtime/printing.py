"""Text of tensors and variables: exactly what TensorFlow prints, whatever NumPy's version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .tensor import Tensor
    from .variable import Variable

# NumPy >= 2.2 adds the shape to the repr of an array that it shortens.
_SHAPE = re.compile(r",\s+shape=\([0-9, ]*\)(?=, dtype=|\)$)")


def numpy_text(data: Any, is_repr: bool = False) -> str:
    """An array as TensorFlow shows it; a text of several lines starts on a new one."""
    if data.ndim == 0:
        item = data[()]
        if not is_repr:
            return str(item)
        return repr(item) if isinstance(item, (str, bytes)) else repr(item.item())
    text = _SHAPE.sub("", repr(data)) if is_repr else str(data)
    return "\n" + text if "\n" in text else text


def tensor_repr(t: Tensor) -> str:
    """`<tf.Tensor: shape=(), dtype=float32, numpy=1.0>`."""
    return f"<tf.Tensor: shape={t.shape}, dtype={t.dtype.name}, numpy={numpy_text(t._data, True)}>"


def tensor_str(t: Tensor) -> str:
    """`tf.Tensor(1.0, shape=(), dtype=float32)`."""
    return f"tf.Tensor({numpy_text(t._data)}, shape={t.shape}, dtype={t.dtype.name})"


def variable_repr(v: Variable) -> str:
    """`<tf.Variable 'w:0' shape=() dtype=float32, numpy=1.0>`."""
    return f"<tf.Variable '{v.name}' shape={v.shape} dtype={v.dtype.name}, numpy={numpy_text(v._data, True)}>"


# ---------------------------------------------------------------- pb.print
def element_text(x: Any, quote: bool = False) -> str:
    """One element as `pb.print` writes it: the shortest of 6 or 9 (15 or 17) digits that reads back the same."""
    if isinstance(x, bytes):
        return f'"{x.decode(errors="replace")}"' if quote else x.decode(errors="replace")
    kind = np.asarray(x).dtype
    if kind.kind == "b":
        return "1" if x else "0"
    if kind.kind in "iu":
        return str(int(x))
    if kind.kind == "c":
        return f"({element_text(x.real)},{element_text(x.imag)})"
    if kind == np.float64:
        return _digits(float(x), 15, 17, float)
    narrow = np.float32(x)
    return _digits(float(narrow), 6, 9, lambda s: np.float32(float(s)) if np.isfinite(narrow) else narrow)


def _digits(x: float, few: int, many: int, read: Any) -> str:
    if x != x:
        return "nan"
    if x in (float("inf"), float("-inf")):
        return "inf" if x > 0 else "-inf"
    text = f"{x:.{few}g}"
    return text if read(text) == x else f"{x:.{many}g}"


def summary(data: Any, ends: int) -> str:
    """An array as `pb.print` writes it: `ends` elements at both ends of each dimension, all when negative."""
    if data.ndim == 0:
        return element_text(data[()])
    return _dimension(data, 0, ends if ends >= 0 else max(data.shape, default=0) + 1)


def _dimension(data: Any, depth: int, ends: int) -> str:
    if data.ndim == 0:
        return element_text(data[()], quote=True)
    gap = " " if data.ndim == 1 else "\n" * (data.ndim - 1) + " " * (depth + 1)
    n = len(data)
    if n > 2 * ends:
        parts = [_dimension(data[i], depth + 1, ends) for i in range(ends)] + ["..."]
        parts += [_dimension(data[i], depth + 1, ends) for i in range(n - ends, n)]
    else:
        parts = [_dimension(data[i], depth + 1, ends) for i in range(n)]
    return "[" + gap.join(parts) + "]"
