"""NumPy's functions that are a line or two of others: covariance, deletions, polynomials, writes, index helpers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dtypes import bool_
from .arithmetic import cast
from .convert import is_tensor, make, static_value
from .errors import fail
from .numpy_calculus import convolve
from .numpy_join import concatenate
from .numpy_linalg import dot, line
from .numpy_promote import kind_of, promoted, tensor
from .numpy_protocol import call_ufunc, implements
from .numpy_reduce import NO, any_, argmax, argmin, cumprod, cumsum, given, mean, reduced
from .numpy_shape import common_shape, take
from .numpy_sort import searchsorted
from .numpy_ufuncs import UFUNCS, number, op
from .ops_shape import axis_argument, broadcast_to, known_sizes, part, reshape, transpose, unstack
from .tensor import Tensor


# ---------------------------------------------------------------- dtypes and text: nothing that could be recorded
@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that NumPy's promotion gives."""
    kinds = [kind_of(x) if is_tensor(x) else x for x in arrays_and_dtypes]
    return np.result_type(*[k(0) if k in (int, float, complex) and isinstance(k, type) else k for k in kinds])


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether a dtype can be converted."""
    return np.can_cast(from_.dtype.np if is_tensor(from_) else from_, to, casting)


def _text(function: Any) -> None:
    def show(a: Any, *args: Any, **kwargs: Any) -> Any:
        value = tensor(a)._constant_value()
        return function(value, *args, **kwargs) if value is not None else str(a)

    implements(function)(show)


for _function in (np.array2string, np.array_repr, np.array_str):
    _text(_function)


# ---------------------------------------------------------------- statistics
@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None, *, dtype: Any = None
) -> Tensor:
    """The covariance of variables in rows (or columns), over n - 1 observations."""
    t = tensor(m)
    t = cast(t, np.result_type(t.dtype.np, np.float64) if dtype is None else dtype)
    rows = [_as_rows(v, rowvar) for v in ([t] if y is None else [t, tensor(y, t.dtype)])]
    x = concatenate(rows, 0)
    n = known_sizes(x, "np.cov")[1]
    x = op("sub", x, mean(x, 1, keepdims=True))
    less = (0 if bias else 1) if ddof is None else ddof
    products = dot(x, transpose(UFUNCS[np.conjugate](x)))
    c: Tensor = op("div", products, number(max(n - less, 0), products))
    return reshape(c, [d for d in c.type.shape if d != 1])


def _as_rows(t: Tensor, rowvar: Any) -> Tensor:
    if t.ndim < 2:
        return reshape(t, (1, -1))
    return t if rowvar else transpose(t)


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: Any = True) -> Tensor:
    """The coefficients of correlation."""
    c = cov(x, y, rowvar)
    if not c.ndim:
        return op("div", c, c)  # type: ignore[no-any-return]
    hit = op("eq", line(c.type.shape[0], 0, 2), line(c.type.shape[0], 1, 2))
    size = op("sqrt", reduced("reduce_sum", op("where", hit, c, number(0, c)), 1, False))
    r = op("div", op("div", c, reshape(size, (-1, 1))), reshape(size, (1, -1)))
    return op("maximum", op("minimum", r, number(1, r)), number(-1, r))  # type: ignore[no-any-return]


def _running(run: Any) -> Any:
    def running(
        x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
    ) -> Tensor:
        t = tensor(x)
        if axis is None and t.ndim > 1:
            fail(ValueError, "For arrays which have more than one dimension ``axis`` argument is required.")
        y: Tensor = run(t, 0 if axis is None else axis, dtype)
        if not include_initial:
            return y
        k = axis_argument(0 if axis is None else axis, y.ndim)
        dims = [1 if d == k else n for d, n in enumerate(y.type.shape)]
        start = broadcast_to(number(0 if run is cumsum else 1, y), dims)
        return concatenate([start, y], k)

    return running


implements(np.cumulative_sum)(_running(cumsum))
implements(np.cumulative_prod)(_running(cumprod))


def _without_nan(function: Any, neutral: Any) -> Any:
    def without(a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Tensor:
        t = tensor(a)
        if t.dtype.is_floating:
            t = op("where", op("is_nan", t), number(neutral, t), t)
        return function(t, axis, *args, **kwargs)  # type: ignore[no-any-return]

    return without


implements(np.nancumsum)(_without_nan(cumsum, 0))
implements(np.nancumprod)(_without_nan(cumprod, 1))
implements(np.nanargmax)(_without_nan(argmax, -np.inf))
implements(np.nanargmin)(_without_nan(argmin, np.inf))


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Tensor:
    """The number of the bin in which each value lies; the bins ascend."""
    return searchsorted(bins, x, "left" if right else "right")


@implements(np.isin)
def isin(element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, **rest: Any) -> Tensor:
    """Whether each element is one of others."""
    x, y = promoted("np.isin", tensor(element), tensor(test_elements))
    hit = any_(op("eq", reshape(x, (*x.type.shape, 1)), reshape(y, (*(1,) * x.ndim, -1))), -1)
    return op("logical_not", hit) if invert else hit  # type: ignore[no-any-return]


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Tensor:
    """Whether elements are equal after broadcasting."""
    x, y = promoted("np.array_equiv", a1, a2)
    try:
        common_shape(x.type.shape, y.type.shape)
    except ValueError:
        return make(np.array(False))
    return reduced("reduce_all", op("eq", x, y), None, False)


def _has_parts(of_imaginary: bool) -> Any:
    def test(x: Any) -> Tensor:
        t = tensor(x)
        if not t.dtype.is_complex:
            return op("ne" if of_imaginary else "eq", number(0, t), broadcast_to(number(0, t), t.type.shape))  # type: ignore[no-any-return]
        from .ops_complex import imag

        part_of = imag(t)
        return op("ne" if of_imaginary else "eq", part_of, number(0, part_of))  # type: ignore[no-any-return]

    return test


implements(np.iscomplex)(_has_parts(True))
implements(np.isreal)(_has_parts(False))


# ---------------------------------------------------------------- parts
@implements(np.unstack)
def unstacked(x: Any, /, *, axis: Any = 0) -> tuple[Tensor, ...]:
    """The arrays along an axis."""
    return tuple(unstack(tensor(x), axis=axis))


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Tensor:
    """The same numbers in another dtype."""
    return tensor(x, dtype)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Tensor:
    """Without the elements of some numbers, which must be known."""
    t = tensor(arr)
    if axis is None:
        t, axis = reshape(t, (-1,)), 0
    k = axis_argument(axis, t.ndim)
    places = np.arange(known_sizes(t, "np.delete")[k])
    gone = obj if isinstance(obj, slice) else np.asarray(static_value(obj, "The argument `obj`"))
    return take(t, np.delete(places, gone), k)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Tensor:
    """Values put in before a place, which must be known."""
    t = tensor(arr)
    if axis is None:
        t, axis = reshape(t, (-1,)), 0
    k, place = axis_argument(axis, t.ndim), static_value(obj, "The argument `obj`")
    n = known_sizes(t, "np.insert")[k]
    if not isinstance(place, int):
        fail(TypeError, "np.insert: one place is needed here: insert several one after another")
    place = place + n if place < 0 else place
    v = tensor(values, t.dtype)
    dims = t.type.shape
    if v.ndim < t.ndim:
        v = reshape(v, (*(1,) * (t.ndim - v.ndim), *v.type.shape))
    v = broadcast_to(v, [v.type.shape[d] if d == k else dims[d] for d in range(t.ndim)])
    return concatenate([part(t, k, 0, place), v, part(t, k, place, n - place)], k)


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Tensor:
    """The product of polynomials."""
    return convolve(a1, a2)


@implements(np.polyder)
def polyder(p: Any, m: Any = 1) -> Tensor:
    """The derivative of a polynomial, highest power first."""
    t = tensor(p)
    for _ in range(static_value(m, "The argument `m`")):
        n = known_sizes(t, "np.polyder")[0]
        t = call_ufunc(np.multiply, part(t, 0, 0, n - 1), np.arange(n - 1, 0, -1))
    return t


# ---------------------------------------------------------------- writes
@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = NO) -> None:
    """Writes one array into another."""
    if given(where) and where is not True:
        kept, new = tensor(dst), broadcast_to(tensor(src, dst.dtype), dst.type.shape)
        dst[...] = op("where", tensor(where, bool_), new, kept)
    else:
        dst[...] = src


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Writes a diagonal."""
    t = tensor(a)
    if t.ndim != 2 or wrap:
        fail(ValueError, "np.fill_diagonal: a matrix is needed, without wrap")
    m, n = t.type.shape
    v = tensor(val, t.dtype)
    if v.ndim:
        v = reshape(take(reshape(v, (-1,)), op("mod", line(m, 0, 1), tensor(int(v.type.size)))), (-1, 1))  # type: ignore[arg-type]
    a[...] = op("where", op("eq", line(m, 0, 2), line(n, 1, 2)), v, t)


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Writes a number where a mask is True."""
    v = tensor(values, a.dtype)
    if v.type.size != 1:
        fail(TypeError, "np.putmask: one value is needed here: write a[...] = np.where(mask, values, a)")
    a[...] = op("where", tensor(mask, bool_), reshape(v, ()), tensor(a))


# ---------------------------------------------------------------- indices from shapes: constants
def _of_shape(function: Any, plain: Any) -> None:
    def indices(arr: Any, k: int = 0) -> tuple[Tensor, ...]:
        rows, columns = known_sizes(tensor(arr), function.__name__)
        return tuple(map(make, plain(rows, columns, k)))

    implements(function)(indices)


_of_shape(np.tril_indices_from, lambda n, m, k: np.tril_indices(n, k, m))
_of_shape(np.triu_indices_from, lambda n, m, k: np.triu_indices(n, k, m))
_of_shape(np.diag_indices_from, lambda n, m, k: np.diag_indices(n))


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Tensor, ...]:
    """Positions in a row as index vectors."""
    t, out = cast(tensor(indices), np.int64), []
    for n in reversed(static_value(shape, "The argument `shape`")):
        out.append(op("mod", t, tensor(n)))
        t = op("floordiv", t, tensor(n))
    return tuple(out[::-1])


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> Tensor:
    """Index vectors as positions in a row."""
    total: Any = tensor(0)
    for i, n in zip(multi_index, static_value(dims, "The argument `dims`"), strict=True):
        total = op("add", op("mul", total, tensor(n)), cast(tensor(i), np.int64))
    return total  # type: ignore[no-any-return]


@implements(np.shares_memory, np.may_share_memory)
def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether one is a view of the other, or both of one array."""
    first, second = (x._part.base if getattr(x, "_part", None) is not None else x for x in (a, b))
    return first is second


for _ufunc, _equation in ((np.matvec, "...ij,...j->...i"), (np.vecmat, "...i,...ij->...j")):
    UFUNCS[_ufunc] = lambda x, y, equation=_equation: _einsum(equation, x, y)


def _einsum(equation: str, *ts: Tensor) -> Tensor:
    from .numpy_linalg import einsum

    return einsum(equation, *ts)
