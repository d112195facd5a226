"""The new value of `t[key] = v`, as ops: what tapes record and traces compile.

Integers and slices name a slot, which `update` replaces. A bool mask is a `where`. Index arrays are numbers of elements
of the flattened tensor, at which `scatter_update` writes; of an element that is named twice the last write counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dtypes import DType, float64
from ..ir.opdef import get
from .arithmetic import cast
from .convert import as_tensor, is_tensor
from .dispatch import apply
from .errors import ShapeMismatch, fail
from .indexing import _is_mask, write_item
from .location import at
from .numpy_methods import NumpyMethods
from .ops_shape import reshape
from .picking import is_advanced, places_of
from .tensor import Tensor
from .weak import Weak

_SCATTER, _WHERE, _UNCOMPRESS = get("scatter_update"), get("where"), get("uncompress")

_EVERYTHING = slice(None)


def written(t: Any, key: Any, value: Any) -> Tensor:
    """`t` with the part that the key names replaced.

    Raises:
      DtypeMismatch: a tensor of another dtype for a Tensor (an array converts, as NumPy does).
      InvalidArgumentError (an IndexError too), ShapeMismatch: a key or a value that does not fit.
    """
    v = converted(value, t)._resolved()
    if (key is Ellipsis or (type(key) is slice and key == _EVERYTHING)) and v.type == t.type:
        return v
    if _is_mask(key):
        return _masked(t, key, v)
    if is_advanced(key):
        places, shape = places_of(t, key)
        flat = reshape(t, (-1,))
        rows = reshape(_fitted(v, shape, key), (-1,))
        new = apply(_SCATTER, (flat, reshape(places, (-1,)), rows), {"axis": 0, "batch_dims": 0})
        return reshape(new, t.type.shape)
    return write_item(t, key, v)


def converted(value: Any, t: Any) -> Tensor:
    """The value in the dtype of what it is written to."""
    dtype: DType = t.dtype
    if not isinstance(t, NumpyMethods):
        if isinstance(value, Tensor) and isinstance(value, NumpyMethods) and value.dtype is not dtype:
            return cast(value, dtype)
        return as_tensor(value, dtype)
    if is_tensor(value) or isinstance(value, Weak):
        v = as_tensor(value, float64) if isinstance(value, Weak) and value.kind is float else as_tensor(value)
        return v if v.dtype is dtype else cast(v, dtype)
    if isinstance(value, (list, tuple)) and _has_tensor(value):
        v = as_tensor(value)
        return v if v.dtype is dtype else cast(v, dtype)
    return as_tensor(np.asarray(value).astype(dtype.np), dtype)


def _has_tensor(value: Any) -> bool:
    return any(is_tensor(v) or (isinstance(v, (list, tuple)) and _has_tensor(v)) for v in value)


def _fitted(v: Tensor, shape: tuple[Any, ...], key: Any) -> Tensor:
    """The value broadcast to the shape of the part."""
    from .ops_shape import broadcast_to

    found = v.type.shape
    while len(found) > len(shape) and found[0] == 1:  # NumPy drops leading ones of what is written
        found = found[1:]
        v = reshape(v, found)
    return v if found == shape else broadcast_to(v, shape)


def _masked(t: Tensor, key: Any, v: Tensor) -> Tensor:
    """The value where the mask is true: one for all, or the n-th for the n-th place."""
    mask = as_tensor(key)
    dims, m = t.type.shape, mask.type.shape
    if dims[: len(m)] != m:
        fail(
            ShapeMismatch,
            f"boolean index of shape {mask.shape} does not fit a tensor of shape {t.shape}: it must have its sizes",
        )
    rest = dims[len(m) :]
    wide = reshape(mask, (*m, *(1,) * len(rest))) if rest else mask
    if v.ndim > len(rest) and v.type.shape[0] != 1:
        v = _spread(mask, v, rest)
    return apply(_WHERE, (wide, v, t), {})  # type: ignore[no-any-return]


def _spread(mask: Tensor, v: Tensor, rest: tuple[Any, ...]) -> Tensor:
    """Values for the true places of a mask, in order, as a tensor of the mask's shape."""
    known, n = mask._constant_value(), v.type.shape[0]
    if known is not None and isinstance(n, int) and (true := int(np.count_nonzero(known))) != n:
        fail(ShapeMismatch, f"cannot assign {n} values to the {true} places where the mask is true")
    flat = mask if mask.ndim == 1 else reshape(mask, (-1,))
    if known is None and isinstance(n, int):
        count = apply(get("reduce_sum"), (cast(flat, np.int64),), {"axes": (0,), "keepdims": False})
        message = f"cannot assign {n} values: the mask is true in another number of places{at()}"
        apply(get("assert"), (count == as_tensor(n, count.dtype), count), {"message": message})
    out: Tensor = apply(_UNCOMPRESS, (v, flat), {"axis": 0})
    return out if mask.ndim == 1 else reshape(out, (*mask.type.shape, *rest))
