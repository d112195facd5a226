"""Public ops on groups of rows: segment sums and their relatives, dynamic_partition, dynamic_stitch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .convert import as_tensor, make, static_value
from .errors import ShapeMismatch, fail
from .ops_create import ones, zeros
from .ops_index import gather
from .ops_math import maximum
from .ops_reduce import reduce_max, reduce_min, reduce_prod
from .ops_scatter import tensor_scatter
from .ops_shape import concat, reshape, shape_argument, stack
from .ops_sort import _known
from .tensor import Tensor


def unsorted_segment_sum(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """Row i is the sum of the rows of `data` whose id is i; negative ids are left out."""
    t, ids = as_tensor(data), as_tensor(segment_ids)
    (n,) = shape_argument([num_segments], "num_segments")
    rest = t.type.shape[ids.ndim :]
    known = ids._constant_value()
    if known is not None and known.size and known.min() < 0:
        keep = make(np.flatnonzero(known.ravel() >= 0).astype(np.int64))
        t, ids = gather(reshape(t, (known.size, *rest)), keep), gather(reshape(ids, (-1,)), keep)
    return tensor_scatter("add", zeros((n, *rest), t.dtype), ids[..., None], t)


def segment_sum(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """As `unsorted_segment_sum`; ids must be sorted, the largest gives the number of segments."""
    return unsorted_segment_sum(data, segment_ids, _segments(segment_ids))


def _segments(segment_ids: Any) -> int:
    ids = _known(as_tensor(segment_ids), "segment ids")
    if ids.ndim != 1:
        fail(ShapeMismatch, "segment_ids should be a vector.")
    if ids.size and (np.diff(ids) < 0).any():
        fail(ShapeMismatch, "segment ids are not increasing")
    return int(ids[-1]) + 1 if ids.size else 0


def _counts(ids: Any, n: int, t: Tensor) -> Tensor:
    i = as_tensor(ids)
    found = unsorted_segment_sum(ones(i.type.shape, t.dtype), i, n)
    return reshape(found, (n, *(1,) * (t.ndim - i.ndim)))


def unsorted_segment_mean(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The mean of the rows of each id, 0 for an id without rows."""
    t = as_tensor(data)
    n = int(static_value(num_segments, "num_segments"))
    return unsorted_segment_sum(t, segment_ids, n) / maximum(_counts(segment_ids, n, t), as_tensor(1, t.dtype))


def segment_mean(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """As `unsorted_segment_mean`, of sorted ids."""
    return unsorted_segment_mean(data, segment_ids, _segments(segment_ids))


def _by_segment(
    data: Any, segment_ids: Any, n: int, reduce: Callable[..., Tensor], empty: Callable[[Tensor], Any], what: str
) -> Tensor:
    t, ids = as_tensor(data), _known(as_tensor(segment_ids), what)
    rows = reshape(t, (ids.size, *t.type.shape[ids.ndim :]))
    nothing = as_tensor(np.full([int(d) for d in rows.type.shape[1:]], empty(t), t.dtype.np))  # type: ignore[arg-type]
    out = []
    for k in range(n):
        places = np.flatnonzero(ids.ravel() == k)
        out.append(reduce(gather(rows, make(places.astype(np.int64))), axis=0) if places.size else nothing)
    return stack(out) if out else zeros((0, *rows.type.shape[1:]), t.dtype)


def unsorted_segment_max(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The largest of the rows of each id, the dtype's smallest number for an id without rows."""
    n = int(static_value(num_segments, "num_segments"))
    return _by_segment(data, segment_ids, n, reduce_max, lambda t: t.dtype.min, "unsorted_segment_max")


def unsorted_segment_min(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The smallest of the rows of each id, the dtype's largest number for an id without rows."""
    n = int(static_value(num_segments, "num_segments"))
    return _by_segment(data, segment_ids, n, reduce_min, lambda t: t.dtype.max, "unsorted_segment_min")


def unsorted_segment_prod(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The product of the rows of each id, 1 for an id without rows."""
    n = int(static_value(num_segments, "num_segments"))
    return _by_segment(data, segment_ids, n, reduce_prod, lambda t: 1, "unsorted_segment_prod")


def segment_max(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The largest of the rows of each id, 0 for an id without rows; of sorted ids."""
    return _by_segment(data, segment_ids, _segments(segment_ids), reduce_max, lambda t: 0, "segment_max")


def segment_min(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The smallest of the rows of each id, 0 for an id without rows; of sorted ids."""
    return _by_segment(data, segment_ids, _segments(segment_ids), reduce_min, lambda t: 0, "segment_min")


def segment_prod(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The product of the rows of each id, 1 for an id without rows; of sorted ids."""
    return _by_segment(data, segment_ids, _segments(segment_ids), reduce_prod, lambda t: 1, "segment_prod")


def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: str | None = None) -> list[Tensor]:
    """The rows of `data` sorted into lists by their partition number."""
    t, p = as_tensor(data), _known(as_tensor(partitions), "dynamic_partition")
    if p.size and (p.min() < 0 or p.max() >= num_partitions):
        fail(ShapeMismatch, f"dynamic_partition: partitions must lie in [0, {num_partitions}), got {p.tolist()}")
    rows = reshape(t, (p.size, *t.type.shape[p.ndim :]))
    return [gather(rows, make(np.flatnonzero(p.ravel() == k).astype(np.int64))) for k in range(num_partitions)]


def dynamic_stitch(indices: Sequence[Any], data: Sequence[Any], name: str | None = None) -> Tensor:
    """Rows put at the places that `indices` name; of repeated places the last wins."""
    places = [_known(as_tensor(i), "dynamic_stitch") for i in indices]
    ts = [as_tensor(d) for d in data]
    rest = ts[0].type.shape[places[0].ndim :]
    rows = concat([reshape(t, (p.size, *rest)) for t, p in zip(ts, places, strict=True)], 0)
    flat = np.concatenate([p.ravel() for p in places])
    n = int(flat.max()) + 1 if flat.size else 0
    winner = np.zeros(n, np.int64)
    winner[flat] = np.arange(flat.size)
    return gather(rows, make(winner))
