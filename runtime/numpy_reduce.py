"""NumPy's reductions and running sums: `np.sum`, `np.mean`, `np.max`, `np.argmax`, `np.cumsum` and their relatives.

Dtypes are NumPy's: sums of small integers and bools are int64, means of integers float64. `where=` keeps what the mask
chooses, `initial=` is one more element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dims import Dim, product
from ..ir.dtypes import as_dtype, bool_, float64, int64, uint64
from .arithmetic import cast
from .convert import static_value
from .dispatch import call
from .errors import fail
from .location import at
from .numpy_promote import promoted, tensor
from .numpy_protocol import NumpyNotSupported, call_ufunc, implements
from .numpy_ufuncs import number, op
from .ops_reduce import axes_argument, element_count
from .ops_shape import axis_argument, broadcast_to, concat, expand_dims, part, reshape
from .tensor import Tensor

NO: Any = np._NoValue


def given(x: Any) -> bool:
    """Whether an optional argument was given."""
    return x is not None and x is not NO


def keeps(keepdims: Any) -> bool:
    """`keepdims` as a bool."""
    return bool(keepdims) if given(keepdims) else False


def reduced(name: str, t: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """A reduction of the op table."""
    attrs = {"axes": axes_argument(axis, t.ndim), "keepdims": keeps(keepdims)}
    return call(name, t, **attrs)  # type: ignore[no-any-return]


def accumulator(t: Tensor, dtype: Any) -> Tensor:
    """The tensor in the dtype in which NumPy adds it up."""
    if given(dtype):
        return cast(t, as_dtype(np.dtype(dtype)))
    if t.dtype.is_bool or (t.dtype.is_integer and t.dtype.size < 8):
        return cast(t, uint64 if t.dtype.is_unsigned else int64)
    return t


def floats(t: Tensor) -> Tensor:
    """The tensor, integers and bools as float64."""
    return t if t.dtype.is_differentiable else cast(t, float64)


def not_bool(what: str, t: Tensor, x: Any) -> Tensor:
    """The tensor made of `x`. Raises TypeError where NumPy would subtract bools."""
    if tensor(x).dtype.is_bool:
        fail(TypeError, f"{what}: bools cannot be subtracted")
    return t


def masked(t: Tensor, where: Any, neutral: Any) -> Tensor:
    """The tensor with a neutral element where the mask is False."""
    if where is True or not given(where):
        return t
    (m, n) = tensor(where, bool_), number(neutral, t)
    return op("where", m, t, n)  # type: ignore[no-any-return]


def _count(t: Tensor, axis: Any, where: Any, keepdims: Any) -> Tensor:
    """How many elements a reduction takes, in the tensor's dtype."""
    if where is True or not given(where):
        return element_count(t, axes_argument(axis, t.ndim), t.dtype)
    mask = broadcast_to(cast(tensor(where, bool_), t.dtype), t.type.shape)
    return reduced("reduce_sum", mask, axis, keepdims)


# ---------------------------------------------------------------- sums and products
def _total(name: str, join: np.ufunc, neutral: Any) -> Any:
    def total(
        a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = NO, initial: Any = NO, where: Any = NO
    ) -> Tensor:
        t = masked(accumulator(tensor(a), dtype), where, neutral)
        y = reduced(name, t, axis, keepdims)
        return y if not given(initial) else call_ufunc(join, y, tensor(initial, y.dtype))

    return total


sum_ = implements(np.sum)(_total("reduce_sum", np.add, 0))
prod = implements(np.prod)(_total("reduce_prod", np.multiply, 1))


@implements(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = NO, where: Any = NO) -> Tensor:
    """The mean; of integers as float64."""
    t = floats(tensor(a)) if not given(dtype) else tensor(a, dtype)
    total = reduced("reduce_sum", masked(t, where, 0), axis, keepdims)
    return op("div", total, _count(t, axis, where, keepdims))  # type: ignore[no-any-return]


@implements(np.var)
def var(
    a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = NO, where: Any = NO, mean: Any = NO,
    correction: Any = NO,
) -> Tensor:  # fmt: skip
    """The mean squared distance from the mean, over n - ddof elements."""
    t = floats(tensor(a)) if not given(dtype) else tensor(a, dtype)
    ddof = correction if given(correction) else ddof
    center = _mean(t, axis, keepdims=True, where=where) if not given(mean) else tensor(mean, t.dtype)
    apart = op("sub", t, center)
    if t.dtype.is_complex:
        from .ops_complex import conj, real

        square = real(op("mul", apart, conj(apart)))
    else:
        square = op("mul", apart, apart)
    total = reduced("reduce_sum", masked(square, where, 0), axis, keepdims)
    n = _count(square, axis, where, keepdims)
    return op("div", total, op("maximum", op("sub", n, tensor(ddof, n.dtype)), number(0, n)))  # type: ignore[no-any-return]


_mean = mean


@implements(np.std)
def std(a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, **rest: Any) -> Tensor:
    """The square root of the variance."""
    return op("sqrt", var(a, axis, dtype, ddof, **rest))  # type: ignore[no-any-return]


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: Any = False, keepdims: Any = NO) -> Any:
    """The weighted mean."""
    t = floats(tensor(a))
    if weights is None:
        y, n = mean(t, axis, keepdims=keepdims), element_count(t, axes_argument(axis, t.ndim), t.dtype)
        return (y, broadcast_to(n, y.type.shape)) if returned else y
    t, w = promoted("np.average", t, floats(tensor(weights)))
    if w.type.shape != t.type.shape:
        if w.ndim != 1 or axis is None:
            fail(TypeError, "np.average: weights of another shape than `a` must be 1-d, and `axis` given")
        k = axis_argument(axis, t.ndim)
        w = broadcast_to(reshape(w, [-1 if d == k else 1 for d in range(t.ndim)]), t.type.shape)
    scale = reduced("reduce_sum", w, axis, keepdims)
    y = op("div", reduced("reduce_sum", op("mul", t, w), axis, keepdims), scale)
    return (y, scale) if returned else y


# ---------------------------------------------------------------- extremes
def _extreme(name: str, of_bools: str, join: np.ufunc) -> Any:
    def extreme(a: Any, axis: Any = None, keepdims: Any = NO, initial: Any = NO, where: Any = NO) -> Tensor:
        t = tensor(a)
        axes = axes_argument(axis, t.ndim)
        if given(where) and where is not True:
            if not given(initial):
                fail(ValueError, f"np.{join.__name__}.reduce: `where` needs an `initial` value")
            t = masked(t, where, static_value(initial, "initial"))
        if product(tuple(t.type.shape[k] for k in axes)) == 0 and not given(initial):
            fail(ValueError, f"zero-size array to reduction operation {join.__name__} which has no identity")
        y = reduced(of_bools if t.dtype.is_bool else name, t, axes, keepdims)
        return y if not given(initial) else call_ufunc(join, y, tensor(initial, y.dtype))

    return extreme


max_ = implements(np.max, np.amax)(_extreme("reduce_max", "reduce_any", np.maximum))
min_ = implements(np.min, np.amin)(_extreme("reduce_min", "reduce_all", np.minimum))


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, keepdims: Any = NO) -> Tensor:
    """The largest minus the smallest."""
    t = tensor(a)
    return op("sub", max_(t, axis, keepdims), min_(t, axis, keepdims))  # type: ignore[no-any-return]


def _arg(name: str) -> Any:
    def where_extreme(a: Any, axis: Any = None, *, keepdims: Any = NO) -> Tensor:
        t = tensor(a)
        rank = t.ndim
        if axis is None:
            t = reshape(t, (-1,))
        k = axis_argument(0 if axis is None else axis, t.ndim)
        if t.type.shape[k] == 0:
            fail(ValueError, f"attempt to get {name} of an empty sequence")
        y: Tensor = call(name, t, axis=k, dtype=int64)
        if not keeps(keepdims):
            return y
        return expand_dims(y, k) if axis is not None else reshape(y, (1,) * rank)

    return where_extreme


argmax = implements(np.argmax)(_arg("argmax"))
argmin = implements(np.argmin)(_arg("argmin"))


# ---------------------------------------------------------------- truth
def _truth(name: str, neutral: bool) -> Any:
    def truth(a: Any, axis: Any = None, keepdims: Any = NO, where: Any = NO) -> Tensor:
        return reduced(name, masked(tensor(a, bool_), where, neutral), axis, keepdims)

    return truth


any_ = implements(np.any)(_truth("reduce_any", False))
all_ = implements(np.all)(_truth("reduce_all", True))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The number of elements that are not 0."""
    return reduced("reduce_sum", cast(tensor(a, bool_), int64), axis, keepdims)


# ---------------------------------------------------------------- NaN passed over
def _nan_to(t: Tensor, value: Any) -> Tensor:
    return op("where", op("is_nan", t), number(value, t), t) if t.dtype.is_floating else t


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = NO, **rest: Any) -> Tensor:
    """The sum without NaN."""
    return sum_(_nan_to(tensor(a), 0), axis, dtype, keepdims, **rest)  # type: ignore[no-any-return]


@implements(np.nanprod)
def nanprod(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = NO, **rest: Any) -> Tensor:
    """The product without NaN."""
    return prod(_nan_to(tensor(a), 1), axis, dtype, keepdims, **rest)  # type: ignore[no-any-return]


def _not_nan(t: Tensor) -> Any:
    return op("logical_not", op("is_nan", t)) if t.dtype.is_floating else True


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = NO) -> Tensor:
    """The mean without NaN."""
    t = tensor(a)
    return mean(_nan_to(t, 0), axis, dtype, keepdims, where=_not_nan(t))


@implements(np.nanvar)
def nanvar(a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = NO) -> Tensor:
    """The variance without NaN."""
    t = tensor(a)
    return var(_nan_to(t, 0), axis, dtype, ddof, keepdims, where=_not_nan(t))


@implements(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = NO) -> Tensor:
    """The standard deviation without NaN."""
    return op("sqrt", nanvar(a, axis, dtype, ddof, keepdims))  # type: ignore[no-any-return]


def _nan_extreme(extreme: Any, worst: float) -> Any:
    def nan_extreme(a: Any, axis: Any = None, keepdims: Any = NO) -> Tensor:
        t = tensor(a)
        if not t.dtype.is_floating:
            return extreme(t, axis, keepdims)  # type: ignore[no-any-return]
        y = extreme(_nan_to(t, worst), axis, keepdims)
        nothing = reduced("reduce_all", op("is_nan", t), axis, keepdims)
        return op("where", nothing, number(np.nan, t), y)  # type: ignore[no-any-return]

    return nan_extreme


nanmax = implements(np.nanmax)(_nan_extreme(max_, -np.inf))
nanmin = implements(np.nanmin)(_nan_extreme(min_, np.inf))


# ---------------------------------------------------------------- running
def _running(name: str) -> Any:
    def running(a: Any, axis: Any = None, dtype: Any = None) -> Tensor:
        t = accumulator(tensor(a), dtype)
        if axis is None:
            t, axis = reshape(t, (-1,)), 0
        return call(name, t, axis=axis_argument(axis, t.ndim), exclusive=False, reverse=False)  # type: ignore[no-any-return]

    return running


cumsum = implements(np.cumsum)(_running("cumsum"))
cumprod = implements(np.cumprod)(_running("cumprod"))


def accumulate(ufunc: Any, a: Any, axis: Any, dtype: Any) -> Tensor:
    """`ufunc.accumulate` of sums, products and extremes."""
    if ufunc is np.add:
        return cumsum(a, axis, dtype)  # type: ignore[no-any-return]
    if ufunc is np.multiply:
        return cumprod(a, axis, dtype)  # type: ignore[no-any-return]
    if ufunc not in (np.maximum, np.minimum, np.fmax, np.fmin, np.logical_and, np.logical_or):
        raise NumpyNotSupported(f"np.{ufunc.__name__}.accumulate is not available on tensors: write a loop{at()}")
    t = tensor(a, dtype)
    k = axis_argument(axis, t.ndim)
    n = t.type.shape[k]
    if isinstance(n, Dim):
        raise NumpyNotSupported(f"np.{ufunc.__name__}.accumulate needs a known size of the axis: write a loop{at()}")
    step = 1
    while step < n:  # each element joined with the one 1, 2, 4, ... before it
        later = call_ufunc(ufunc, part(t, k, step, n - step), part(t, k, 0, n - step))
        t = concat([part(t, k, 0, step), later], k)
        step *= 2
    return t


UFUNC_REDUCTIONS = {
    np.add: sum_, np.multiply: prod, np.maximum: max_, np.minimum: min_, np.logical_and: all_, np.logical_or: any_,
    np.fmax: nanmax, np.fmin: nanmin,
}  # fmt: skip
