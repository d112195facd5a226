"""NumPy's advanced indexing: index arrays, alone or beside slices and integers, as numbers of elements.

`x[i, j]` with index arrays picks the elements (i[k], j[k]); `x[i]` rows; slices beside them stay whole. Every such key
becomes one array of numbers into the flattened tensor, of the shape that NumPy gives the result: where the index
arrays stand next to each other their broadcast shape takes their place, else it comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.dtypes import int64
from ..ir.opdef import get
from .arithmetic import cast
from .convert import as_tensor, is_tensor
from .dispatch import apply
from .errors import IndexMismatch, fail
from .tensor import Tensor

_GATHER = get("gather")


def is_advanced(key: Any) -> bool:
    """Whether the key has an index array (or list) in it."""
    items = key if isinstance(key, tuple) else (key,)
    return any(_is_array(k) for k in items)


def _is_array(k: Any) -> bool:
    if is_tensor(k):
        return as_tensor(k).ndim > 0
    if isinstance(k, np.ndarray):
        return k.ndim > 0
    return isinstance(k, (list, range))


def pick(t: Tensor, key: Any) -> Tensor:
    """`t[key]` for a key with index arrays."""
    from .ops_shape import reshape

    if not isinstance(key, tuple) and isinstance(t.type.shape[0], int):
        index = from_the_start(as_tensor(np.asarray(key) if isinstance(key, (list, range)) else key), t.type.shape[0])
        return apply(_GATHER, (t, index), {"axis": 0, "batch_dims": 0})  # type: ignore[no-any-return]
    places, shape = places_of(t, key)
    found = apply(_GATHER, (reshape(t, (-1,)), reshape(places, (-1,))), {"axis": 0, "batch_dims": 0})
    return reshape(found, shape)


def from_the_start(index: Tensor, size: int) -> Tensor:
    """Indices, counted from the end where they are negative. Raises for known ones that are out of range."""
    if not index.dtype.is_integer:
        found = index.dtype.name
        fail(IndexMismatch, f"index arrays must be integers or bools, found {found}: write pb.cast(i, pb.int64)")
    known = index._constant_value()
    if known is not None:
        k = np.asarray(known)
        if k.dtype != object:
            if k.size and (k.min() < -size or k.max() >= size):
                bad = k[(k < -size) | (k >= size)].flat[0]
                fail(IndexMismatch, f"index {bad} is out of bounds for a dimension of size {size}")
            if not k.size or k.min() >= 0:
                return index if index.dtype is int64 or k.dtype == np.int32 else cast(index, int64)
            return as_tensor(np.where(k < 0, k + size, k).astype(np.int64))
    index = cast(index, int64)
    zero = as_tensor(0, int64)
    return apply(get("where"), (index < zero, index + as_tensor(size, int64), index), {})  # type: ignore[no-any-return]


def places_of(t: Tensor, key: Any) -> tuple[Tensor, tuple[Any, ...]]:
    """Numbers of elements of the flattened tensor, and the shape of the result (that of the numbers)."""
    dims = t.type.shape
    if not all(isinstance(d, int) for d in dims):
        fail(IndexMismatch, f"index arrays beside slices need a tensor of known sizes, found {t.type}: use pb.gather")
    items = _complete(key, len(dims), t)
    return _combine(items, [d for d in dims if isinstance(d, int)], t)


def _complete(key: Any, rank: int, t: Tensor) -> list[Any]:
    """The items of a key, the ellipsis written out, masks as their index arrays."""
    items: list[Any] = []
    for k in key if isinstance(key, tuple) else (key,):
        array = np.asarray(k) if isinstance(k, (list, range)) else k
        if isinstance(array, np.ndarray) and array.dtype == np.bool_:
            items += list(array.nonzero())
        elif is_tensor(array) and as_tensor(array).dtype.is_bool:
            known = as_tensor(array)._constant_value()
            if known is None:
                fail(IndexMismatch, "a mask beside other indices must be known while tracing: use pb.where")
            items += list(known.nonzero())
        else:
            items.append(array)
    used = sum(1 for k in items if k is not None and k is not Ellipsis)
    if used > rank:
        fail(IndexMismatch, f"too many indices: {used} for a tensor of shape {t.shape}")
    at = next((i for i, k in enumerate(items) if k is Ellipsis), len(items))
    return items[:at] + [slice(None)] * (rank - used) + items[at + 1 :]


def _combine(items: Sequence[Any], dims: Sequence[int], t: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
    """One sum of index * stride, each index shaped to its place in the result."""
    arrays: list[tuple[Tensor, int]] = []  # index, stride
    lines: list[tuple[np.ndarray[Any, Any] | None, int]] = []  # what slices and newaxis give, in order
    front = 0  # how many lines lie before the first index array
    where_arrays: list[int] = []
    axis = 0
    for number, k in enumerate(items):
        if k is None:
            lines.append((None, 0))
            continue
        size, stride = dims[axis], int(np.prod(dims[axis + 1 :], dtype=np.int64))
        if isinstance(k, slice):
            lines.append((np.arange(*_known_slice(k, size), dtype=np.int64) * stride, 0))
        else:
            if not where_arrays:
                front = len(lines)
            where_arrays.append(number)
            arrays.append((from_the_start(as_tensor(k), size), stride))
        axis += 1
    together = where_arrays == list(range(where_arrays[0], where_arrays[-1] + 1))
    front = front if together else 0
    return _sum(arrays, lines, front)


def _known_slice(k: slice, size: int) -> tuple[int, int, int]:
    from .indexing import _bound

    bounds = [_bound(b, 0) for b in (k.start, k.stop, k.step)]
    return slice(*bounds).indices(size)


def _sum(
    arrays: Sequence[tuple[Tensor, int]], lines: Sequence[tuple[np.ndarray[Any, Any] | None, int]], front: int
) -> tuple[Tensor, tuple[Any, ...]]:
    from .numpy_shape import common_shape
    from .ops_shape import broadcast_to, reshape

    inner = common_shape(*(a.type.shape for a, _ in arrays))
    sizes: list[Any] = [1 if line is None else len(line) for line, _ in lines]
    shape = (*sizes[:front], *inner, *sizes[front:])
    behind = len(sizes) - front
    total: Tensor | None = None
    for a, stride in arrays:
        part = cast(a, int64) * as_tensor(stride, int64)
        part = reshape(part, (*part.type.shape, *(1,) * behind)) if behind else part
        total = part if total is None else total + part
    assert total is not None
    for i, (line, _) in enumerate(lines):
        if line is None:
            continue
        after = len(sizes) - 1 - i + (len(inner) if i < front else 0)
        total = total + as_tensor(line.reshape(-1, *(1,) * after), int64)
    return (total if total.type.shape == shape else broadcast_to(total, shape)), shape
