"""Public ops that make tensors from shapes and bounds: zeros, ones, fill, eye, range, linspace."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dims import Dim
from ..ir.dtypes import DType, as_dtype, float32, float64, int32, int64
from ..ir.opdef import get
from .arithmetic import cast
from .context import context
from .convert import as_tensor, is_tensor, make, static_value
from .dispatch import apply
from .elementwise import operands
from .errors import ShapeMismatch, fail
from .ops_shape import axis_argument, broadcast_to, concat, expand_dims, reshape, shape_argument
from .tensor import Tensor

_BROADCAST = get("broadcast_to")


def filled(dims: tuple[Any, ...], value: Tensor) -> Tensor:
    """A tensor full of a scalar; in a trace an op, so that the function holds no large constant."""
    if any(isinstance(d, int) and d < 0 for d in dims):
        fail(ShapeMismatch, f"Dimensions must be >= 0, got the shape {list(dims)}")
    if not dims:
        return value
    return apply(_BROADCAST, (value,), {"shape": dims})  # type: ignore[no-any-return]


def zeros(shape: Any, dtype: Any = float32, name: str | None = None, layout: Any = None) -> Tensor:
    """Zeros (False, empty text) of a shape."""
    d = as_dtype(dtype)
    return filled(shape_argument(shape), as_tensor(_nothing(d), d))


def _nothing(d: DType) -> Any:
    return b"" if d.kind == "s" else False if d.is_bool else 0


def ones(shape: Any, dtype: Any = float32, name: str | None = None, layout: Any = None) -> Tensor:
    """Ones (True) of a shape."""
    d = as_dtype(dtype)
    return filled(shape_argument(shape), as_tensor(True if d.is_bool else 1, d))


def fill(dims: Any, value: Any, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor full of one value, of the value's dtype."""
    v = as_tensor(value)
    if v.ndim:
        fail(ShapeMismatch, f"fill: the value must be a scalar, got shape {v.shape}")
    return filled(shape_argument(dims, "dims"), v)


def _like(input: Any, dtype: Any, one: bool) -> Tensor:
    t = as_tensor(input)
    d = t.dtype if dtype is None else as_dtype(dtype)
    value = (True if d.is_bool else 1) if one else _nothing(d)
    return filled(t.type.shape, as_tensor(value, d))


def zeros_like(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Tensor:
    """Zeros of a tensor's shape, and its dtype by default."""
    return _like(input, dtype, False)


def ones_like(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Tensor:
    """Ones of a tensor's shape, and its dtype by default."""
    return _like(input, dtype, True)


def eye(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = float32, name: str | None = None
) -> Tensor:
    """Ones on the diagonal of a matrix, zeros elsewhere; repeated for a batch."""
    (m,) = shape_argument([num_rows], "num_rows")
    (n,) = shape_argument([m if num_columns is None else num_columns], "num_columns")
    i = apply(get("iota"), (), {"shape": (m, n), "axis": 0, "dtype": int32})
    j = apply(get("iota"), (), {"shape": (m, n), "axis": 1, "dtype": int32})
    t = cast(apply(get("eq"), (i, j), {}), as_dtype(dtype))
    return t if batch_shape is None else broadcast_to(t, (*shape_argument(batch_shape, "batch_shape"), m, n))


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Tensor:
    """start, start + delta, ... as long as below `limit`; one argument counts from 0.

    Raises:
      InvalidArgumentError (also a ValueError): a delta of 0, or a limit on the wrong side.
    """
    if limit is None:
        start, limit = 0, start
    want = None if dtype is None else as_dtype(dtype)
    if dtype is None or as_dtype(dtype).is_integer:
        found = computed_range(start, limit, delta)
        if found is not None:
            return found if want is None else cast(found, want)
    bounds = [_bound(b, n) for b, n in zip((start, limit, delta), ("start", "limit", "delta"), strict=True)]
    if any(isinstance(b, Dim) for b in bounds):
        return _symbolic_range(bounds, want or int32)
    ts = [np.asarray(b) for b in bounds]
    kind = want or _widest([t.dtype for t in ts])
    lo, hi, step = (kind.np.type(t[()]) for t in ts)
    if step == 0:
        fail(ShapeMismatch, "range: Requires delta != 0: 0")
    if (step > 0 and lo > hi) or (step < 0 and lo < hi):
        way = "start <= limit when delta > 0" if step > 0 else "start >= limit when delta < 0"
        fail(ShapeMismatch, f"range: Requires {way}: {lo}/{hi}")
    return _arange(lo, hi, step, kind)


def computed_range(start: Any, limit: Any, delta: Any = 1) -> Tensor | None:
    """The range in steps of 1 with bounds that are computed, where its largest length is known; else None."""
    ts = [as_tensor(b) for b in (start, limit) if is_tensor(b)]
    unknown = [t for t in ts if t._constant_value() is None and t.dtype.is_integer and not t.ndim]
    if not unknown or type(delta) is not int or delta != 1 or len(unknown) < len(ts):
        return None
    kind = unknown[-1].dtype
    lo = as_tensor(start, kind if type(start) is int else None)
    n = apply(get("sub"), (as_tensor(limit, kind if type(limit) is int else None), lo), {})
    size = context.trace.length(n)  # type: ignore[union-attr]
    if size is None:
        return None
    index = apply(get("iota"), (), {"shape": (size,), "axis": 0, "dtype": kind})
    return index if type(start) is int and start == 0 else index + lo  # type: ignore[no-any-return]


def _bound(b: Any, what: str) -> Any:
    value = static_value(b, f"range: `{what}`")
    if isinstance(value, (list, tuple)):
        fail(ShapeMismatch, f"range: `{what}` must be a scalar, got {value!r}")
    if isinstance(value, Dim):
        return value
    t = as_tensor(b)
    return t._constant_value()


def _widest(kinds: list[Any]) -> DType:
    found = [as_dtype(k) for k in kinds]
    order = [int32, int64, as_dtype("float16"), float32, float64]
    ranked = [d for d in order if d in found]
    return ranked[-1] if ranked and all(d in order for d in found) else found[0]


def _arange(lo: Any, hi: Any, step: Any, kind: DType) -> Tensor:
    # TensorFlow's kernel adds `start + i * delta` up in the dtype, i times delta; the number of elements is exact.
    size = (
        int(np.ceil(np.abs((float(hi) - float(lo)) / float(step))))
        if kind.is_floating
        else len(_py_range(lo, hi, step))
    )
    index = apply(get("iota"), (), {"shape": (size,), "axis": 0, "dtype": kind})
    if step != 1:
        index = index * as_tensor(step)
    return index + as_tensor(lo) if lo != 0 else index  # type: ignore[no-any-return]


def _py_range(lo: Any, hi: Any, step: Any) -> Any:
    import builtins

    return builtins.range(int(lo), int(hi), int(step))


def _symbolic_range(bounds: list[Any], kind: DType) -> Tensor:
    lo, hi, step = (b if isinstance(b, Dim) else int(b[()]) for b in bounds)
    if step != 1:
        fail(TypeError, "range: a limit that is a size not known while tracing needs delta 1")
    index = apply(get("iota"), (), {"shape": (hi - lo,), "axis": 0, "dtype": kind})
    return index if lo == 0 else index + as_tensor(lo, kind)  # type: ignore[no-any-return]


def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: Any = 0) -> Tensor:
    """`num` numbers from start to stop, both ends included; of tensors along a new axis.

    Raises:
      InvalidArgumentError (also a ValueError): num below 1. TypeError: integers that are tensors.
    """
    a, c = operands("linspace", start, stop)
    if a.dtype.is_integer:
        a, c = cast(a, float64), cast(c, float64)
    n = int(static_value(num, "The argument `num`"))
    if n < 1:
        fail(ShapeMismatch, f"linspace: Requires num > 0: {n}")
    a, c = a + as_tensor(0, c.dtype) * c, c + as_tensor(0, a.dtype) * a if a.type.shape != c.type.shape else c
    k = axis_argument(axis, a.ndim + 1)
    first = expand_dims(a, k)
    if n == 1:
        return first
    last = expand_dims(c, k)
    steps = make(np.arange(1, n - 1, dtype=a.dtype.np))
    line = reshape(steps, [-1 if d == k else 1 for d in _axes(a.ndim + 1)])
    inner = first + (last - first) / as_tensor(n - 1, a.dtype) * line
    return concat([first, inner, last], k)


lin_space = linspace


def _axes(n: int) -> list[int]:
    return list(_py_range(0, n, 1))
