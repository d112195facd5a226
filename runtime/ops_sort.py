"""Public ops on order and counts: sort, argsort, top_k, searchsorted; unique, bincount.

An op finds the order; the values themselves are gathered by it, so that gradients flow through them. What has a size
that depends on values (unique, bincount) is for eager tensors only.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ..ir.dtypes import DType, as_dtype, int32
from .arithmetic import cast, greater, less, logical_and
from .convert import as_tensor, make, static_value
from .dispatch import call
from .elementwise import operands
from .errors import ShapeMismatch, fail
from .ops_index import gather
from .ops_math import is_finite
from .ops_reduce import reduce_sum
from .ops_shape import axis_argument, expand_dims, part, reshape, transpose
from .tensor import Array, Tensor


class TopK(NamedTuple):
    """The largest elements and where they stand."""

    values: Tensor
    indices: Tensor


class Unique(NamedTuple):
    """The distinct elements, and for each element which one it is."""

    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    """As Unique, with how often each occurs."""

    y: Tensor
    idx: Tensor
    count: Tensor  # type: ignore[assignment]  # TensorFlow's name hides tuple.count


def _known(t: Tensor, what: str) -> Array:
    value = t._constant_value()
    if value is None:
        fail(TypeError, f"{what} is not available inside a traced function yet: call it before, and pass the result in")
    return value


def _order(t: Tensor, axis: int, descending: bool, dtype: DType = int32) -> Tensor:
    return call("argsort", t, axis=axis, descending=descending, dtype=dtype)  # type: ignore[no-any-return]


def _sortable(values: Any, what: str) -> Tensor:
    t = as_tensor(values)
    if not t.ndim:
        fail(ShapeMismatch, f"{what}: a scalar has no axis to sort along")
    return t


def argsort(
    values: Any, axis: Any = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Tensor:
    """The indices that sort along an axis, equal elements in their order."""
    t = _sortable(values, "argsort")
    return _order(t, axis_argument(axis, t.ndim), _descending(direction))


def _descending(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        fail(ValueError, f"direction should be 'ASCENDING' or 'DESCENDING', got {direction!r}")
    return direction == "DESCENDING"


def sort(values: Any, axis: Any = -1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """Sorted along an axis."""
    t = _sortable(values, "sort")
    k = axis_argument(axis, t.ndim)
    return _take_along(t, _order(t, k, _descending(direction)), k)


def _take_along(t: Tensor, order: Tensor, axis: int) -> Tensor:
    """The elements of each line along an axis in another order."""
    last = t.ndim - 1
    perm = [*(k for k in range(t.ndim) if k != axis), axis]
    x, places = (transpose(v, perm) if axis != last else v for v in (t, order))
    y = gather(x, places, axis=last, batch_dims=last)
    return transpose(y, [perm.index(k) for k in range(t.ndim)]) if axis != last else y


def top_k(input: Any, k: Any = 1, sorted: bool = True, index_type: Any = int32, name: str | None = None) -> TopK:
    """The k largest elements of the last dimension, largest first, and their indices."""
    t = as_tensor(input)
    n = int(static_value(k, "The argument `k`"))
    if not t.ndim or n > int(t.type.shape[-1]):  # type: ignore[arg-type]
        fail(ShapeMismatch, f"input must have at least k columns: had {t.shape}, needed {n}")
    places = part(_order(t, t.ndim - 1, True, as_dtype(index_type)), t.ndim - 1, 0, n)
    return TopK(_take_along(t, places, t.ndim - 1), places)


def in_top_k(targets: Any, predictions: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether the prediction of each target class is among the k largest."""
    p, y = as_tensor(predictions), as_tensor(targets)
    mine = gather(p, expand_dims(y, 1), axis=1, batch_dims=1)
    above = reduce_sum(cast(greater(p, mine), int32), 1)
    return logical_and(less(above, as_tensor(k, int32)), is_finite(mine)[:, 0])


def unique(x: Any, out_idx: Any = int32, name: str | None = None) -> Unique:
    """The distinct elements of a vector in the order of their first occurrence."""
    found = unique_with_counts(x, out_idx)
    return Unique(found.y, found.idx)


def unique_with_counts(x: Any, out_idx: Any = int32, name: str | None = None) -> UniqueWithCounts:
    """As `unique`, with how often each occurs."""
    t = as_tensor(x)
    if t.ndim != 1:
        fail(ShapeMismatch, f"unique expects a 1D vector, got shape {t.shape}")
    _, first, inverse, counts = np.unique(
        _known(t, "unique"), return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    kind = as_dtype(out_idx).np
    y = gather(t, make(first[order].astype(np.int64)))
    return UniqueWithCounts(y, make(rank[inverse].astype(kind)), make(counts[order].astype(kind)))


def searchsorted(
    sorted_sequence: Any,
    values: Any,
    side: Literal["left", "right"] = "left",
    out_type: Any = int32,
    name: str | None = None,
) -> Tensor:
    """Where to insert values into sorted rows to keep them sorted; a single sorted row serves values of any shape."""
    if side not in ("left", "right"):
        fail(ValueError, f"side must be either 'right' or 'left'. Saw: {side}.")
    s, v = operands("searchsorted", sorted_sequence, values)
    shape = v.type.shape
    if s.ndim == 1 and v.ndim != 1:
        v = reshape(v, [-1])
    if s.ndim != v.ndim:
        fail(ShapeMismatch, f"searchsorted: found rows {s.shape} and values {shape}: give each sorted row its values")
    y: Tensor = call("searchsorted", s, v, right=side == "right", dtype=as_dtype(out_type))
    return y if y.type.shape == shape else reshape(y, shape)


def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = int32,
    name: str | None = None,
) -> Tensor:
    """How often each number from 0 on occurs, or the sum of its weights."""
    x = _known(as_tensor(arr), "bincount").ravel()
    w = None if weights is None else _known(as_tensor(weights), "bincount").ravel()
    if x.size and x.min() < 0:
        fail(ShapeMismatch, "bincount: the numbers must not be negative")
    if maxlength is not None:
        keep = x < int(maxlength)
        x, w = x[keep], None if w is None else w[keep]
    out = np.bincount(x.astype(np.int64), w, 0 if minlength is None else int(minlength))
    return make(out.astype(as_dtype(dtype).np if w is None else w.dtype))


def histogram_fixed_width(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = int32, name: str | None = None
) -> Tensor:
    """How many values fall into each of `nbins` equal parts of a range; those outside count at its ends."""
    x = _known(as_tensor(values), "histogram_fixed_width").ravel().astype(np.float64)
    low, high = static_value(value_range, "value_range")
    n = int(nbins)
    places = np.clip(np.floor((x - low) / (high - low) * n), 0, n - 1).astype(np.int64)
    return make(np.bincount(places, minlength=n).astype(as_dtype(dtype).np))


__all__ = ["TopK", "Unique", "UniqueWithCounts", "argsort", "bincount", "histogram_fixed_width", "in_top_k",
           "searchsorted", "sort", "top_k", "unique", "unique_with_counts"]  # fmt: skip
