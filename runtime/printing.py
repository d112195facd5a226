"""Text of tensors and variables: exactly what TensorFlow prints, whatever NumPy's version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

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
