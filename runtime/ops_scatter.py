"""Public ops that write at index vectors: scatter_nd and tensor_scatter_nd_*; segment sums are built on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dims import product
from ..ir.opdef import get
from .convert import as_tensor, make
from .dispatch import apply
from .elementwise import operands
from .errors import ShapeMismatch, fail
from .ops_create import zeros
from .ops_index import _index_depth, _indices, flat_places, gather, where
from .ops_shape import known_sizes, reshape, shape_argument
from .tensor import Tensor

_SCATTER = get("scatter_add")


def tensor_scatter(kind: str, tensor: Tensor, indices: Any, updates: Any) -> Tensor:
    """`tensor` with `updates` written at index vectors: kind is add, sub, update, max or min.

    Raises:
      InvalidArgumentError: an index out of range, or updates of another shape than the indices ask for.
    """
    t, u = operands("tensor_scatter_nd_" + kind, tensor, updates)
    i = _indices(indices)
    depth, sizes = _index_depth(i, t, "tensor_scatter_nd_" + kind)
    want = (*i.type.shape[:-1], *t.type.shape[depth:])
    if u.type.shape != want:
        fail(
            ShapeMismatch,
            f"Dimensions [0,{i.ndim - 1}) of indices[shape={i.shape}] must match those of updates[shape="
            f"{u.shape}]: updates of shape {want} are needed",
        )
    places = reshape(flat_places(i, sizes, "tensor_scatter_nd_" + kind), (-1,))
    rest = t.type.shape[depth:]
    base = reshape(t, (product(sizes), *rest))
    rows = reshape(u, (product(i.type.shape[:-1]), *rest))
    return reshape(_write(kind, base, places, rows), t.type.shape)


def _add(base: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    return apply(_SCATTER, (base, places, rows), {"axis": 0, "batch_dims": 0})  # type: ignore[no-any-return]


def _write(kind: str, base: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    if kind == "add":
        return _add(base, places, rows)
    if kind == "sub":
        return _add(base, places, -rows)
    winner = _winners(kind, base, places, rows)
    hit = reshape(winner >= as_tensor(0, winner.dtype), (-1, *(1,) * (base.ndim - 1)))
    picked = gather(rows, where(winner < as_tensor(0, winner.dtype), as_tensor(0, winner.dtype), winner), axis=0)
    if kind == "update":
        return where(hit, picked, base)
    from .ops_math import maximum, minimum

    for k in range(known_sizes(rows, "tensor_scatter_nd_" + kind)[0]):
        row = _add(zeros(base.type.shape, base.dtype), places[k : k + 1], rows[k : k + 1])
        at = _add(zeros(base.type.shape, base.dtype), places[k : k + 1], rows[k : k + 1] * 0 + 1)
        better = maximum(base, row) if kind == "max" else minimum(base, row)
        base = where(at != as_tensor(0, base.dtype), better, base)
    return base


def _winners(kind: str, base: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    """Per row of the base the number of the last update of it, -1 for none."""
    value = places._constant_value()
    if value is None:
        fail(TypeError, f"tensor_scatter_nd_{kind}: the indices must be known while a function is traced")
    out = np.full(known_sizes(base, "tensor_scatter_nd_" + kind)[0], -1, np.int64)
    out[value] = np.arange(len(value))
    return make(out)


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Zeros of a shape with `updates` added at index vectors."""
    u = as_tensor(updates)
    return tensor_scatter("add", zeros(shape_argument(shape), u.dtype), indices, u)


def tensor_scatter_nd_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with `updates` added at index vectors."""
    return tensor_scatter("add", tensor, indices, updates)


def tensor_scatter_nd_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with `updates` subtracted at index vectors."""
    return tensor_scatter("sub", tensor, indices, updates)


def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with `updates` written at index vectors; of repeated ones the last wins."""
    return tensor_scatter("update", tensor, indices, updates)


def tensor_scatter_nd_max(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with the larger of itself and `updates` at index vectors."""
    return tensor_scatter("max", tensor, indices, updates)


def tensor_scatter_nd_min(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """`tensor` with the smaller of itself and `updates` at index vectors."""
    return tensor_scatter("min", tensor, indices, updates)
