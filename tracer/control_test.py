"""Conditions: what decides a branch or a loop, as a Python bool or as a bool scalar of the running trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.errors import ShapeMismatch
from ..runtime.arithmetic import not_equal
from ..runtime.convert import as_tensor
from ..runtime.location import at
from ..runtime.tensor import Tensor
from .control_region import current_trace
from .number import Number
from .symbolic import SymbolicTensor


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor or a variable."""
    return isinstance(x, Tensor) or (hasattr(x, "_as_tensor") and not isinstance(x, type))


def condition(x: Any, fold: bool = False) -> bool | SymbolicTensor:
    """A Python bool, or inside a trace a bool scalar for a tensor or variable.

    Args:
      fold: whether a tensor whose value is known while tracing counts as a Python value.

    Raises:
      ValueError: for a tensor of more than one element. Whatever the truth of a Python object raises.
    """
    trace = current_trace()
    if isinstance(x, Number):
        x = x.truth()
    if trace is None or not is_tensor(x):
        return bool(x)
    t = as_tensor(x)
    shape = t.type.shape
    if shape:
        if any(d != 1 for d in shape):
            raise ShapeMismatch(
                f"the truth of a tensor of shape {t.shape} is ambiguous: use pb.reduce_any() or pb.reduce_all(){at()}"
            )
        from ..runtime.ops_shape import reshape

        t = reshape(t, [])
    static = trace.static_of(t) if fold and isinstance(t, SymbolicTensor) else None
    if static is not None and static.dtype != object:
        return bool(static[()])
    if not t.dtype.is_bool:
        t = not_equal(t, np.zeros((), t.dtype.np))
    if not isinstance(t, SymbolicTensor) or t.trace is not trace:
        value = trace.value_of(t)
        t = SymbolicTensor(value, trace)
    return t
