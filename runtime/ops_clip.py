"""Clipping of gradients by their norms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .arithmetic import identity
from .convert import as_tensor
from .errors import fail
from .ops_index import where
from .ops_math import add_n, is_finite, maximum, minimum, sqrt, square
from .ops_nn import l2_loss
from .ops_reduce import reduce_sum
from .tensor import Tensor


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Tensor:
    """t * clip_norm / |t| where the norm |t| over axes is larger than `clip_norm`, else t."""
    x = as_tensor(t)
    limit = as_tensor(clip_norm, x.dtype)
    total = reduce_sum(x * x, axes, keepdims=True)
    positive = total > as_tensor(0, x.dtype)
    # The inner select keeps the infinite derivative of sqrt at 0 out.
    norm = where(positive, sqrt(where(positive, total, as_tensor(1, x.dtype))), total)
    return x * limit / maximum(norm, limit)


def global_norm(t_list: Sequence[Any], name: str | None = None) -> Tensor:
    """The norm of all tensors together; None entries are left out.

    Raises:
      TypeError: one tensor instead of a list.
    """
    _sequence(t_list)
    ts = [as_tensor(t) for t in t_list if t is not None]
    if not ts:
        return as_tensor(0.0)
    total = add_n([l2_loss(t) for t in ts])
    return sqrt(total * as_tensor(2, total.dtype))


def _sequence(t_list: Any) -> None:
    if not isinstance(t_list, (list, tuple)):
        fail(TypeError, "`t_list` should be a sequence of tensors, got a single object: write [t]")


def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Tensor | None], Tensor]:
    """All tensors scaled by clip_norm / max(norm, clip_norm), and the norm before. A norm of inf gives NaN.

    Raises:
      TypeError: one tensor instead of a list.
    """
    _sequence(t_list)
    norm = global_norm(t_list) if use_norm is None else as_tensor(use_norm)
    limit, one = as_tensor(clip_norm, norm.dtype), as_tensor(1, norm.dtype)
    scale = limit * minimum(one / norm, one / limit)
    scale = where(is_finite(norm), scale, as_tensor(math.nan, norm.dtype))
    return [None if t is None else as_tensor(t) * _like(scale, as_tensor(t)) for t in t_list], norm


def _like(scale: Tensor, t: Tensor) -> Tensor:
    from .arithmetic import cast

    return cast(scale, t.dtype)


def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Tensor:
    """As `clip_by_norm`, with the norm divided by the number of elements."""
    x = as_tensor(t)
    n = as_tensor(int(x.type.size), x.dtype)  # type: ignore[arg-type]
    limit = as_tensor(clip_norm, x.dtype)
    norm = sqrt(reduce_sum(square(x)))
    return identity(x * limit * minimum(n / norm, as_tensor(1, x.dtype) / limit))
