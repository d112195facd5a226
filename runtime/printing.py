"""Text of tensors and variables: exactly what TensorFlow prints, whatever NumPy's version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir.print_text import numpy_text

if TYPE_CHECKING:
    from .tensor import Tensor
    from .variable import Variable

def tensor_repr(t: Tensor) -> str:
    """`<tf.Tensor: shape=(), dtype=float32, numpy=1.0>`."""
    return f"<tf.Tensor: shape={t.shape}, dtype={t.dtype.name}, numpy={numpy_text(t._data, True)}>"


def tensor_str(t: Tensor) -> str:
    """`tf.Tensor(1.0, shape=(), dtype=float32)`."""
    return f"tf.Tensor({numpy_text(t._data)}, shape={t.shape}, dtype={t.dtype.name})"


def variable_repr(v: Variable) -> str:
    """`<tf.Variable 'w:0' shape=() dtype=float32, numpy=1.0>`."""
    return f"<tf.Variable '{v.name}' shape={v.shape} dtype={v.dtype.name}, numpy={numpy_text(v._data, True)}>"
