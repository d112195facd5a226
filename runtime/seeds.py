"""What a reverse sweep starts with: the cotangents of its targets, and zeros for sources that nothing depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import as_tensor
from .eager_builder import EAGER
from .errors import ShapeMismatch, fail
from .tensor import Tensor
from .variable import Variable


def can_carry(t: Any) -> bool:
    """Whether values of the tensor's dtype have gradients."""
    return t._data.dtype.kind in "fcV" if type(t) is Tensor else t.dtype.is_differentiable


def _ones(like: Any) -> Any:
    g = np.empty(like.shape, like.dtype)
    g.fill(1)
    return g


def zeros_of(source: Any) -> Tensor:
    """Zeros of a source's shape and dtype."""
    t = source._read_unrecorded() if isinstance(source, Variable) else source
    return EAGER.zeros_like(t)  # type: ignore[no-any-return]


def seed(target: Any, ct: Any, ones: bool, raw: bool) -> Any:
    """The cotangent that a target starts with: ones, or what the caller gave; None when it cannot carry one."""
    if ones and raw and type(target) is Tensor:
        return _ones(target._data) if can_carry(target) else None
    dtype = target.dtype
    if not dtype.is_differentiable:
        return None
    t = target._read_unrecorded() if isinstance(target, Variable) else target
    shape = t.type.shape
    if ones:
        return np.ones(shape, dtype.np) if raw else EAGER.full(shape, 1, dtype)
    g = as_tensor(ct, dtype)
    if g.type.shape != shape:
        try:
            g = EAGER.broadcast_to(g, shape=shape)
        except ShapeMismatch:
            fail(
                ShapeMismatch,
                f"output_gradients of shape {g.shape} for a target of shape {t.shape}: they must be equal",
            )
    return g._data if raw else g
