"""Arrays that NumPy's functions make: `np.zeros`, `np.arange`, `np.array` and their relatives, giving arrays of ours.

They have no tensor among their arguments, so NumPy does not ask us; rewritten code does (`tracer.control.call`), by the
table `CREATION`. Dtypes are NumPy's: float64, int64. What is large is made by an op, so that a compiled function holds
no large constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.dims import Dim
from ..ir.dtypes import DType, as_dtype, int64
from .arithmetic import cast, identity
from .array import array_of, is_array
from .convert import is_tensor, make, static_value
from .dispatch import call
from .errors import fail
from .numpy_linalg import line, tril
from .numpy_promote import finished, holds_plain, promoted, rule, tensor
from .numpy_protocol import implements
from .numpy_reduce import floats
from .numpy_shape import expand_dims
from .numpy_ufuncs import number, op
from .ops_create import computed_range, filled
from .ops_shape import broadcast_to, reshape, shape_argument, transpose
from .tensor import Tensor

CREATION: dict[Any, Callable[..., Any]] = {}
SMALL = 64  # elements up to which an array is a constant, whose value is known while tracing


def creates(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enters an implementation into `CREATION`; its result becomes an array."""

    def enter(implementation: Callable[..., Any]) -> Callable[..., Any]:
        def create(*args: Any, **kwargs: Any) -> Any:
            kwargs.pop("like", None)
            kwargs.pop("device", None)
            saved, rule.plain = rule.plain, False
            try:
                return finished(implementation(*args, **kwargs), False, (args, kwargs))
            finally:
                rule.plain = saved

        create.__name__, create.__doc__ = implementation.__name__, implementation.__doc__
        for f in functions:
            CREATION[f] = create
        return create

    return enter


def dtype_of(dtype: Any, default: Any = None) -> DType:
    """A dtype argument as NumPy means it: `float` is float64, `int` int64."""
    if isinstance(dtype, DType):
        return dtype
    return as_dtype(np.dtype(default if dtype is None else dtype))


# ---------------------------------------------------------------- of one value
def _fill(shape: Any, value: Any, dtype: DType) -> Tensor:
    dims = shape_argument(shape)
    if any(isinstance(d, int) and d < 0 for d in dims):
        fail(ValueError, "negative dimensions are not allowed")
    return filled(dims, tensor(value, dtype))


@creates(np.zeros)
def zeros(shape: Any, dtype: Any = None, order: str = "C") -> Tensor:
    """Zeros of a shape."""
    return _fill(shape, 0, dtype_of(dtype, float))


@creates(np.empty, np.ndarray)
def empty(shape: Any, dtype: Any = None, order: str = "C", buffer: Any = None, **rest: Any) -> Tensor:
    """An array of a shape; its elements are 0 until they are written."""
    if buffer is not None or rest:
        fail(TypeError, "np.ndarray: only `shape` and `dtype` are available: write np.array(data)")
    return _fill(shape, 0, dtype_of(dtype, float))


@creates(np.ones)
def ones(shape: Any, dtype: Any = None, order: str = "C") -> Tensor:
    """Ones of a shape."""
    return _fill(shape, 1, dtype_of(dtype, float))


@creates(np.full)
def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> Tensor:
    """A value in every place."""
    t = tensor(fill_value) if dtype is None else tensor(fill_value, dtype_of(dtype))
    return broadcast_to(t, shape_argument(shape)) if t.ndim else filled(shape_argument(shape), t)


def _like(value: Any) -> Callable[..., Tensor]:
    def like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Tensor:
        t = tensor(a)
        return _fill(t.type.shape if shape is None else shape, value, t.dtype if dtype is None else dtype_of(dtype))

    return like


for _function, _value in ((np.zeros_like, 0), (np.empty_like, 0), (np.ones_like, 1)):
    creates(_function)(implements(_function)(_like(_value)))


@implements(np.full_like)
def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Tensor:
    t = tensor(a)
    kind = t.dtype if dtype is None else dtype_of(dtype)
    dims = t.type.shape if shape is None else shape_argument(shape)
    v = tensor(fill_value, kind)
    return broadcast_to(v, dims) if v.ndim else filled(dims, v)


full_like = creates(np.full_like)(_full_like)


@creates(np.eye)
def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = None, order: str = "C") -> Tensor:
    """Ones on a diagonal."""
    (n,) = shape_argument([N], "N")
    (m,) = shape_argument([N if M is None else M], "M")
    hit = op("eq", op("add", line(n, 0, 2), tensor(int(static_value(k, "k")))), line(m, 1, 2))
    return cast(hit, dtype_of(dtype, float))


@creates(np.identity)
def identity_matrix(n: Any, dtype: Any = None) -> Tensor:
    """Ones on the diagonal of a square."""
    return eye(n, n, 0, dtype)  # type: ignore[no-any-return]


@creates(np.tri)
def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = None) -> Tensor:
    """Ones on and below a diagonal."""
    return tril(ones((N, N if M is None else M), dtype), k)


# ---------------------------------------------------------------- of data
def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None) -> Any:
    """An array of the data; an array itself when nothing has to change."""
    want = None if dtype is None else dtype_of(dtype)
    if is_array(a) and not copy and (want is None or a.dtype is want):
        return a
    t = tensor(a) if want is None else tensor(a, want)
    return array_of(identity(t) if t is a or is_array(t) else t)


for _as in (np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.require, np.asarray_chkfinite):
    CREATION[_as] = asarray


def array(
    object: Any, dtype: Any = None, *, copy: Any = True, order: Any = None, subok: bool = False, ndmin: int = 0,
    like: Any = None,
) -> Any:  # fmt: skip
    """A new array of the data."""
    t = asarray(object, dtype, copy=copy)
    return t if t.ndim >= ndmin else array_of(reshape(t, (*(1,) * (ndmin - t.ndim), *t.type.shape)))


CREATION[np.array] = array


@implements(np.copy)
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return identity(tensor(a))


copy = creates(np.copy)(_copy)


def _scalar_type(kind: type) -> Callable[..., Any]:
    def convert(value: Any = 0, *args: Any) -> Any:
        """The NumPy type; of a tensor, the conversion to that dtype."""
        if is_tensor(value) or (isinstance(value, (list, tuple)) and holds_plain(value)):
            return asarray(value, kind, copy=True)
        return kind(value, *args)

    return convert


_SCALARS = """bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64
complex128"""
for _kind in _SCALARS.split():
    CREATION[getattr(np, _kind)] = _scalar_type(getattr(np, _kind))


# ---------------------------------------------------------------- of a range
@creates(np.arange)
def arange(start: Any = None, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """start, start + step, ... below stop."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if isinstance(step, int) and step == 1 and (dtype is None or as_dtype(dtype).is_integer):
        found = computed_range(start, stop)
        if found is not None:
            return cast(found, dtype_of(dtype, int))
    lo, hi, by = (_number(v, n) for v, n in ((start, "start"), (stop, "stop"), (step, "step")))
    if any(isinstance(v, Dim) for v in (lo, hi, by)):
        if by != 1:
            fail(TypeError, "np.arange: a stop that is a symbolic size needs step 1")
        t = call("iota", shape=(hi - lo,), axis=0, dtype=int64)
        return cast(op("add", t, tensor(lo)) if lo != 0 else t, dtype_of(dtype, int))
    size = _length(lo, hi, by)
    kind = dtype_of(dtype, np.result_type(*(np.asarray(v).dtype for v in (lo, hi, by))))
    if size <= SMALL or kind.kind not in "fiu":
        return make(np.arange(lo, hi, by, dtype=kind.np))
    first, second = (np.asarray(v).astype(kind.np) for v in (lo, lo + by))
    delta = make(np.asarray(second - first, kind.np))
    t = call("iota", shape=(size,), axis=0, dtype=kind)
    return op("add", make(first), op("mul", t, delta))  # type: ignore[no-any-return]


def _length(lo: Any, hi: Any, step: Any) -> int:
    if step == 0:
        fail(ZeroDivisionError, "division by zero: np.arange needs a step other than 0")
    size: int = math.ceil((hi - lo) / step)
    return max(size, 0)


def _number(x: Any, what: str) -> Any:
    value = static_value(x, f"np.arange: `{what}`")
    if isinstance(value, (list, tuple)):
        fail(TypeError, f"np.arange: `{what}` must be a number, got {value!r}")
    return value


@creates(np.linspace)
def linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: Any = 0
) -> Any:
    """`num` numbers at equal distances from start to stop."""
    a, c = promoted("np.linspace", *(float(x) if isinstance(x, int) else _floating(x) for x in (start, stop)))
    n = int(static_value(num, "The argument `num`"))
    parts = n - 1 if endpoint else n
    step = op("div", op("sub", c, a), number(parts if parts else np.nan, a))
    index = reshape(call("iota", shape=(n,), axis=0, dtype=a.dtype), (n, *(1,) * max(a.ndim, c.ndim)))
    t = op("add", op("mul", index, step if parts else op("sub", c, a)), a)
    if endpoint and n > 1:
        t = op("where", op("eq", index, number(n - 1, index)), c, t)
    if axis != 0 and t.ndim > 1:
        order = list(range(1, t.ndim))
        order.insert(axis % t.ndim, 0)
        t = transpose(t, order)
    if dtype is not None:
        kind = dtype_of(dtype)
        t = cast(op("floor", t) if kind.is_integer else t, kind)
    return (t, step) if retstep else t


implements(np.linspace)(linspace)


def _floating(x: Any) -> Any:
    """Floats; Python's stay what they are, so that they are weak."""
    return x if isinstance(x, (float, complex)) else floats(tensor(x))


@creates(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: Any = 0
) -> Any:
    """base to the power of equally distant numbers."""
    y = op("pow", *promoted("np.logspace", floats(tensor(base)), linspace(start, stop, num, endpoint, axis=axis)))
    return y if dtype is None else cast(y, dtype_of(dtype))


@creates(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: Any = 0
) -> Any:
    """Numbers with equal quotients; of one sign."""
    a, c = promoted("np.geomspace", floats(tensor(start)), floats(tensor(stop)))
    sign = op("sign", a)
    logs = (op("log10", op("mul", v, sign)) for v in (a, c))
    n = int(static_value(num, "The argument `num`"))
    y = op("mul", logspace(*logs, n, endpoint), sign)
    index = reshape(call("iota", shape=(n,), axis=0, dtype=a.dtype), (n, *(1,) * a.ndim))
    y = op("where", op("eq", index, number(0, index)), a, y)
    if endpoint and n > 1:
        y = op("where", op("eq", index, number(n - 1, index)), c, y)
    if axis != 0:
        fail(TypeError, "np.geomspace: only axis=0 is available")
    return y if dtype is None else cast(y, dtype_of(dtype))


# ---------------------------------------------------------------- grids
@creates(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of a grid from vectors of coordinates."""
    if indexing not in ("xy", "ij"):
        fail(ValueError, "Valid values for `indexing` are 'xy' and 'ij'.")
    ts = [reshape(tensor(x), (-1,)) for x in xi]
    order = list(range(len(ts)))
    if indexing == "xy" and len(ts) > 1:
        order[:2] = [1, 0]
    shape: list[Any] = [0] * len(ts)
    for k, t in zip(order, ts, strict=True):
        shape[k] = t.type.shape[0]
    thin = [reshape(t, [-1 if d == k else 1 for d in range(len(ts))]) for k, t in zip(order, ts, strict=True)]
    return tuple(thin) if sparse else tuple(broadcast_to(t, shape) for t in thin)


implements(np.meshgrid)(meshgrid)


@creates(np.indices)
def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """For each dimension, the index of every place along it."""
    dims = shape_argument(dimensions)
    kind, rank = dtype_of(dtype), len(dims)
    lines = [cast(line(n, k, rank), kind) for k, n in enumerate(dims)]
    if sparse:
        return tuple(lines)
    return call("concat", *[expand_dims(broadcast_to(v, dims), 0) for v in lines], axis=0)


def fromfunction(function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """The function of the coordinates of each place, called once with arrays."""
    dims = shape_argument(shape)
    places = [broadcast_to(cast(line(n, k, len(dims)), dtype_of(dtype)), dims) for k, n in enumerate(dims)]
    return function(*[array_of(identity(p)) for p in places], **kwargs)


CREATION[np.fromfunction] = fromfunction


@creates(np.fromiter)
def fromiter(iter: Any, dtype: Any, count: int = -1) -> Tensor:
    """An array of what an iterator gives."""
    items = list(iter) if count < 0 else [x for _, x in zip(range(count), iter, strict=False)]
    return tensor(items, dtype_of(dtype))


