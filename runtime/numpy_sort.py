"""NumPy's functions on order: sort, argsort, searchsorted, median, quantile, unique."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dtypes import bool_, int64
from .arithmetic import cast
from .convert import make, static_value
from .dispatch import call
from .errors import fail
from .location import at
from .numpy_promote import joined, promoted, tensor
from .numpy_protocol import NumpyNotSupported, implements
from .numpy_reduce import floats, keeps, not_bool, reduced
from .numpy_shape import take
from .numpy_ufuncs import number, op
from .ops_index import where as positions
from .ops_shape import axis_argument, expand_dims, known_sizes, part, reshape
from .tensor import Tensor


def _public() -> Any:
    from . import public

    return public


def _line_up(a: Any, axis: Any) -> tuple[Tensor, int]:
    """The tensor and its axis; flattened for None."""
    t = tensor(a)
    if axis is None:
        return reshape(t, (-1,)), 0
    return t, axis_argument(axis, t.ndim)


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Tensor:
    """In ascending order along an axis."""
    t, k = _line_up(a, axis)
    if t.dtype.is_bool:
        return cast(_public().sort(cast(t, np.int32), axis=k), bool_)
    return _public().sort(t, axis=k)  # type: ignore[no-any-return]


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Tensor:
    """The indices that sort along an axis; equal elements in their order."""
    t, k = _line_up(a, axis)
    t = cast(t, np.int32) if t.dtype.is_bool else t
    return cast(_public().argsort(t, axis=k, stable=True), int64)


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Tensor:
    """Where to insert values into a sorted vector: the number of its elements that are smaller (or not greater)."""
    s, x = promoted("np.searchsorted", a, v)
    if sorter is not None:
        s = take(s, sorter)
    if side not in ("left", "right"):
        fail(ValueError, f"search side must be 'left' or 'right' (got '{side}')")
    if s.dtype.is_bool:
        s, x = cast(s, np.int32), cast(x, np.int32)
    return _public().searchsorted(s, x, side, out_type=int64)  # type: ignore[no-any-return]


@implements(np.median)
def median(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Tensor:
    """The middle of the sorted elements, or the mean of the two; NaN where one is."""
    return _quantiles(tensor(a), 0.5, axis, keepdims)


@implements(np.quantile)
def quantile(
    a: Any, q: Any, axis: Any = None, overwrite_input: bool = False, method: str = "linear", keepdims: Any = False
) -> Tensor:
    """The q-th part of the sorted elements, linear in between; q must be known."""
    if method != "linear":
        raise NumpyNotSupported(f"np.quantile: the method {method!r} is not available: use 'linear'{at()}")
    return _quantiles(not_bool("np.quantile", tensor(a), a), q, axis, keepdims)


def _quantiles(whole: Tensor, q: Any, axis: Any, keepdims: Any) -> Tensor:
    kind = joined((whole.dtype.np, float if np.ndim(q) == 0 else np.dtype(float)))
    t, k = _line_up(floats(cast(whole, kind)), axis)
    n = known_sizes(t, "np.quantile")[k]
    share = np.asarray(static_value(q, "The argument `q`"), np.float64)
    if not n or (share.size and not (share.min() >= 0 and share.max() <= 1)):
        fail(ValueError, "Quantiles must be in the range [0, 1], of at least one element")
    ordered = sort(t, k)
    rows = [_between(ordered, k, float(p) * (n - 1)) for p in share.reshape(-1)]
    nan = reduced("reduce_any", op("is_nan", t), k, False)
    found = [op("where", nan, number(np.nan, t), r) for r in rows]
    if keeps(keepdims):
        found = [expand_dims(f, k) if axis is not None else reshape(f, (1,) * whole.ndim) for f in found]
    return reshape(_public().stack(found, 0), (*share.shape, *found[0].type.shape))


def _between(t: Tensor, axis: int, place: float) -> Tensor:
    """The element at a place, linear between two; a mean for the half."""
    low, rest = int(place), place - int(place)
    dims = tuple(d for k, d in enumerate(t.type.shape) if k != axis)
    first = reshape(part(t, axis, low, 1), dims)
    if not rest:
        return first
    second = reshape(part(t, axis, low + 1, 1), dims)
    apart = op("sub", second, first)
    if rest < 0.5:
        return op("add", first, op("mul", apart, number(rest, t)))  # type: ignore[no-any-return]
    return op("sub", second, op("mul", apart, number(1.0 - rest, t)))  # type: ignore[no-any-return]


@implements(np.percentile)
def percentile(a: Any, q: Any, axis: Any = None, **rest: Any) -> Tensor:
    """As quantile, in percent."""
    return quantile(a, np.true_divide(np.asarray(static_value(q, "The argument `q`")), 100), axis, **rest)


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Tensor:
    """The positions of the elements that are not 0."""
    return nonzero(reshape(tensor(a), (-1,)))[0]


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Tensor, ...]:
    """The positions of the elements that are not 0, a vector for each dimension."""
    t = tensor(a)
    if not t.ndim:
        fail(ValueError, "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead.")
    value = t._constant_value()
    if value is None:  # how many there are is computed when the function runs
        rows = positions(t)
        return tuple(reshape(part(rows, 1, k, 1), rows.type.shape[:1]) for k in range(t.ndim))
    return tuple(make(i) for i in np.nonzero(value))


@implements(np.argwhere)
def argwhere(a: Any) -> Tensor:
    """The positions of the elements that are not 0, as rows."""
    t = tensor(a)
    value = t._constant_value()
    return positions(t) if value is None else make(np.argwhere(value).astype(np.int64))


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Tensor:
    """The elements where a condition holds, in a row."""
    mask, t = reshape(tensor(condition, bool_), (-1,)), reshape(tensor(arr), (-1,))
    return _public().boolean_mask(t, mask)  # type: ignore[no-any-return]


@implements(np.unique)
def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """The distinct elements in ascending order; where they stand first, which each is, how often."""
    t = reshape(tensor(ar), (-1,))
    value = known(t, "np.unique", "the call outside of the function, and pass the result in")
    _, first, inverse, counts = np.unique(value, return_index=True, return_inverse=True, return_counts=True)
    out = [call("gather", t, make(first.astype(np.int64)), axis=0, batch_dims=0)]
    if return_index:
        out.append(make(first))
    if return_inverse:
        out.append(make(inverse.reshape(tensor(ar).type.shape)))
    if return_counts:
        out.append(make(counts))
    return tuple(out) if len(out) > 1 else out[0]


def known(t: Tensor, what: str, instead: str) -> Any:
    """The value of a tensor. Raises NumpyNotSupported where it is not known while tracing."""
    value = t._constant_value()
    if value is None:
        raise NumpyNotSupported(
            f"{what}: the size of the result depends on values that are not known while the function is traced: "
            f"write {instead}{at()}"
        )
    return value


