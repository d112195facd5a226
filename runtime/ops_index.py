"""Public ops that pick and place: where, gather, one_hot, masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dims import product
from ..ir.dtypes import as_dtype, bool_, float32, int32, int64
from ..ir.opdef import get
from .context import context
from .convert import as_tensor, make, static_value
from .dispatch import apply
from .elementwise import operands, tensor_or_none
from .errors import DtypeMismatch, ShapeMismatch, TypeMismatch, fail
from .ops_shape import axis_argument, expand_dims, known_sizes, reshape, transpose
from .tensor import Tensor

_WHERE, _GATHER, _ONE_HOT = get("where"), get("gather"), get("one_hot")


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """x where the condition holds, else y, broadcast; with the condition alone the indices of its true elements.

    The cotangent of the branch that was not taken is an exact zero.

    Raises:
      ValueError: only one of x and y. TypeError: a condition that is not bool.
    """
    c = as_tensor(condition)
    if not c.dtype.is_bool:
        if x is not None or not c.dtype.is_numeric:
            fail(TypeMismatch, f"where: the condition must be bool, not {c.dtype.name}: compare first, as in x > 0")
        c = c != as_tensor(0, c.dtype)
    if x is None and y is None:
        return _indices_of(c)
    if x is None or y is None:
        fail(ValueError, "where: x and y must both be non-None or both be None")
    a, d = operands("where", x, y)
    return apply(_WHERE, (c, a, d), {})  # type: ignore[no-any-return]


def _indices_of(c: Tensor) -> Tensor:
    value = c._constant_value()
    if value is None:
        return _computed_indices(c)
    return make(np.argwhere(value).astype(np.int64))


def _computed_indices(c: Tensor) -> Tensor:
    """The indices of the true elements, in rows, where their number is known only when the traced function runs."""
    from .arithmetic import floordiv, mod

    dims = c.type.shape
    n = product(dims)
    rest = boolean_mask(apply(get("iota"), (), {"shape": (n,), "axis": 0, "dtype": int64}), reshape(c, (n,)))
    columns = []
    for d in reversed(known_sizes(c, "where")[1:]):
        columns.append(mod(rest, as_tensor(d, int64)))
        rest = floordiv(rest, as_tensor(d, int64))
    from .ops_shape import stack

    return stack([rest, *reversed(columns)], -1) if dims else reshape(rest, (-1, 0))


def _indices(x: Any) -> Tensor:
    t = tensor_or_none(x)
    if t is None:
        t = as_tensor(x) if not (isinstance(x, (list, tuple)) and not x) else as_tensor(x, int32)
    if not t.dtype.is_integer:
        fail(DtypeMismatch, f"The indices must be int32 or int64, not {t.dtype.name}: write pb.cast(indices, pb.int32)")
    if t.dtype not in (int32, int64):
        t = apply(get("cast"), (t,), {"dtype": int32 if t.dtype.size < 4 else int64})
    return t


def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Tensor:
    """params[..., indices, ...]: elements at integer indices along an axis.

    The first `batch_dims` dimensions of both run together.

    Raises:
      InvalidArgumentError: an index outside [0, size).
    """
    p, i = as_tensor(params), _indices(indices)
    if not p.ndim:
        fail(ShapeMismatch, "gather: params must have at least one dimension, got a scalar")
    batch = int(batch_dims) + (i.ndim if batch_dims < 0 else 0)
    k = batch if axis is None else axis_argument(axis, p.ndim)
    return apply(_GATHER, (p, i), {"axis": k, "batch_dims": batch})  # type: ignore[no-any-return]


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Tensor:
    """Rows of `params` at `ids`."""
    return gather(params, ids)


def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Tensor:
    """Elements (or slices) at index vectors: the last dimension of `indices` addresses the first ones of params."""
    p, i = as_tensor(params), _indices(indices)
    if batch_dims:
        return _gather_nd_batched(p, i, int(batch_dims))
    depth, sizes = _index_depth(i, p, "gather_nd")
    lead = p.type.shape[:depth]
    flat = reshape(p, (product(lead), *p.type.shape[depth:]))
    return apply(_GATHER, (flat, flat_places(i, sizes, "gather_nd")), {"axis": 0, "batch_dims": 0})  # type: ignore[no-any-return]


def _gather_nd_batched(p: Tensor, i: Tensor, batch: int) -> Tensor:
    lead = known_sizes(i, "gather_nd")[:batch]
    grids = []
    for k in range(batch):
        line = as_tensor(np.arange(lead[k]), i.dtype)
        shape = (*(-1 if d == k else 1 for d in range(i.ndim - 1)), 1)
        grids.append(reshape(line, shape) + as_tensor(np.zeros((*i.type.shape[:-1], 1), i.dtype.np)))
    from .ops_shape import concat

    return gather_nd(p, concat([*grids, i], -1))


def _index_depth(i: Tensor, p: Tensor, what: str) -> tuple[int, tuple[Any, ...]]:
    depth = i.type.shape[-1] if i.ndim else None
    if not isinstance(depth, int) or depth > p.ndim:
        fail(
            ShapeMismatch,
            f"{what}: index vectors of length {depth} for a tensor of shape {p.shape}: the last dimension of "
            f"indices must be at most {p.ndim}",
        )
    return depth, p.type.shape[:depth]


def flat_places(i: Tensor, sizes: tuple[Any, ...], what: str) -> Tensor:
    """Index vectors as row-major positions. Raises InvalidArgumentError (eagerly) for one that is out of range."""
    if type(i) is Tensor:
        bad = (i._data < 0) | (i._data >= np.array(sizes, np.int64))
        if bad.any():
            place = tuple(np.argwhere(bad)[0][:-1])
            fail(
                ShapeMismatch,
                f"{what}: indices[{','.join(map(str, place))}] = {i._data[place].tolist()} does not index "
                f"into a shape of {list(sizes)}",
            )
    total: Any = None
    for k in range(len(sizes)):
        step: Any = product(sizes[k + 1 :])
        term = i[..., k] * as_tensor(step, i.dtype)
        total = term if total is None else total + term
    return total if total is not None else as_tensor(np.zeros(i.type.shape[:-1], i.dtype.np))


def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None, dtype: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """A new dimension (the last by default) with `on_value` at each index and `off_value` elsewhere."""
    i = as_tensor(indices)
    if not i.dtype.is_integer:
        fail(TypeMismatch, f"one_hot: indices must be integers, not {i.dtype.name}: write pb.cast(indices, pb.int32)")
    want = None if dtype is None else as_dtype(dtype)
    if on_value is None and off_value is None:
        want = want or float32
    on = as_tensor(1 if on_value is None else on_value, want if want or on_value is not None else _dtype_of(off_value))
    off = as_tensor(0 if off_value is None else off_value, on.dtype)
    if want is not None and on.dtype is not want:
        fail(DtypeMismatch, f"one_hot: on_value has dtype {on.dtype.name}, but dtype={want.name} was asked for")
    k = i.ndim if axis is None or axis == -1 else axis_argument(axis, i.ndim + 1)
    n = static_value(depth, "The argument `depth`")
    return apply(_ONE_HOT, (i, on, off), {"depth": n, "axis": k, "dtype": on.dtype})  # type: ignore[no-any-return]


def _dtype_of(x: Any) -> Any:
    return as_tensor(x).dtype


def boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: str = "boolean_mask") -> Tensor:
    """The elements (or slices) where the mask is True, along the mask's dimensions from `axis` on.

    Raises:
      ValueError: a scalar mask or one that does not fit.
    """
    t, m = as_tensor(tensor), as_tensor(mask, bool_)
    k = 0 if axis is None else axis_argument(axis, t.ndim)
    if not m.ndim:
        fail(ValueError, "mask cannot be scalar.")
    dims = t.type.shape
    if dims[k : k + m.ndim] != m.type.shape:
        fail(
            ShapeMismatch,
            f"Shapes {t.shape[k : k + m.ndim]} and {m.shape} are incompatible: the mask must have the tensor's sizes",
        )
    value = m._constant_value()
    flat = reshape(t, (*dims[:k], product(dims[k : k + m.ndim]), *dims[k + m.ndim :])) if m.ndim > 1 else t
    if value is None:
        line = reshape(m, (product(m.type.shape),)) if m.ndim > 1 else m
        size = context.trace.selected(line)  # type: ignore[union-attr]
        return apply(get("compress"), (flat, line), {"axis": k, "size": size})  # type: ignore[no-any-return]
    places = make(np.flatnonzero(value).astype(np.int64))
    return apply(_GATHER, (flat, places), {"axis": k, "batch_dims": 0})  # type: ignore[no-any-return]


def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = bool_, name: str | None = None) -> Tensor:
    """mask[..., j] = j < lengths[...], for j below `maxlen` (the largest length by default)."""
    from .arithmetic import cast

    t = as_tensor(lengths)
    if maxlen is None:
        value = t._constant_value()
        if value is None:
            fail(TypeError, "sequence_mask: maxlen must be given while a function is traced")
        maxlen = int(value.max()) if value.size else 0
    line = as_tensor(np.arange(static_value(maxlen, "The argument `maxlen`")), t.dtype)
    return cast(line < expand_dims(t, -1), as_dtype(dtype))


def reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: Any = None, batch_axis: Any = 0, name: str | None = None
) -> Tensor:
    """Reverses the first seq_lengths[b] elements along `seq_axis` of each example b."""
    t, lengths = as_tensor(input), as_tensor(seq_lengths)
    s, b = axis_argument(seq_axis, t.ndim), axis_argument(batch_axis, t.ndim)
    order = [b, s, *(k for k in range(t.ndim) if k not in (b, s))]
    x = transpose(t, order)
    line = as_tensor(np.arange(known_sizes(x, "reverse_sequence")[1]), lengths.dtype)[None, :]
    n = expand_dims(lengths, 1)
    places = where(line < n, n - line - as_tensor(1, lengths.dtype), line)
    y = gather(x, places, axis=1, batch_dims=1)
    return transpose(y, [order.index(k) for k in range(t.ndim)])
