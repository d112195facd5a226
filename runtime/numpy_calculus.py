"""NumPy's differences, integrals, interpolation, convolution and polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arithmetic import cast
from .convert import static_value
from .dispatch import call
from .errors import fail
from .location import at
from .numpy_join import concatenate
from .numpy_linalg import dot
from .numpy_promote import strong, tensor
from .numpy_protocol import NumpyNotSupported, call_ufunc, implements
from .numpy_reduce import NO, floats, given, not_bool, sum_
from .numpy_shape import take
from .numpy_sort import searchsorted
from .numpy_ufuncs import UFUNCS, number, op
from .ops_create import filled
from .ops_shape import axis_argument, broadcast_to, known_sizes, part, reshape
from .tensor import Tensor


# ---------------------------------------------------------------- differences and integrals
def _from(t: Tensor, k: int, start: Any) -> Tensor:
    return part(t, k, start, t.type.shape[k] - start)


def _until(t: Tensor, k: int, less: Any) -> Tensor:
    return part(t, k, 0, t.type.shape[k] - less)


@implements(np.diff)
def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = NO, append: Any = NO) -> Tensor:
    """Differences of neighbours, n times over."""
    t = tensor(a)
    k = axis_argument(axis, t.ndim)
    ends = [_end(t, k, x) if given(x) else None for x in (prepend, append)]
    if any(e is not None for e in ends):
        t = concatenate([e for e in (ends[0], t, ends[1]) if e is not None], k)
    minus = np.not_equal if t.dtype.is_bool else np.subtract
    for _ in range(static_value(n, "The argument `n`")):
        if t.type.shape[k] == 0:
            break
        t = call_ufunc(minus, _from(t, k, 1), _until(t, k, 1))
    return t


def _end(t: Tensor, k: int, x: Any) -> Tensor:
    e = tensor(x)
    dims = t.type.shape
    return e if e.ndim else broadcast_to(e, (*dims[:k], 1, *dims[k + 1 :]))


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Tensor:
    """Differences of neighbours of the flattened array."""
    t = reshape(tensor(ary), (-1,))
    t = call_ufunc(np.subtract, _from(t, 0, 1), _until(t, 0, 1))
    ends = [None if e is None else reshape(tensor(e, t.dtype), (-1,)) for e in (to_begin, to_end)]
    return concatenate([e for e in (ends[0], t, ends[1]) if e is not None])


def _cut(t: Tensor, k: int, start: int, stop: int) -> Tensor:
    """t[start : stop] along an axis, with stop <= 0 counted from the end."""
    return part(t, k, start, (t.type.shape[k] + stop if stop <= 0 else stop) - start)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """Central differences inside, one-sided ones at the ends, along each axis."""
    t = not_bool("np.gradient", floats(tensor(f)), f)
    axes = static_value(axis, "The argument `axis`")
    axes = range(t.ndim) if axes is None else axes if isinstance(axes, (list, tuple)) else [axes]
    ks = [axis_argument(k, t.ndim) for k in axes]
    steps = list(varargs) * (len(ks) if len(varargs) == 1 else 1) or [1.0] * len(ks)
    if len(steps) != len(ks):
        fail(TypeError, "np.gradient: invalid number of arguments")
    out = [_gradient(t, k, h, edge_order) for k, h in zip(ks, steps, strict=True)]
    return out[0] if len(ks) == 1 else tuple(out)


def _gradient(t: Tensor, k: int, step: Any, edge_order: int) -> Tensor:
    if edge_order not in (1, 2):
        fail(ValueError, "'edge_order' greater than 2 not supported")
    if known_sizes(t, "np.gradient")[k] < edge_order + 1:
        fail(ValueError, f"np.gradient: the array is too small, at least {edge_order + 1} elements are needed")
    h = tensor(step, t.dtype)
    if h.ndim:
        return _uneven_gradient(t, k, h, edge_order)
    inside = op("div", op("sub", _cut(t, k, 2, 0), _cut(t, k, 0, -2)), op("mul", number(2, t), h))
    if edge_order == 1:
        first = op("div", op("sub", _cut(t, k, 1, 2), _cut(t, k, 0, 1)), h)
        last = _one_sided(t, k, h)
        return concatenate([first, inside, last], k)
    ends = [_second_order(t, k, h, side) for side in (0, 1)]
    return concatenate([ends[0], inside, ends[1]], k)


def _at(t: Tensor, k: int, i: int) -> Tensor:
    """The element i, counted from the end when negative, with its dimension kept."""
    return part(t, k, i if i >= 0 else t.type.shape[k] + i, 1)


def _one_sided(t: Tensor, k: int, h: Tensor) -> Tensor:
    return op("div", op("sub", _at(t, k, -1), _at(t, k, -2)), h)  # type: ignore[no-any-return]


def _weighted(*terms: tuple[Tensor, Tensor]) -> Tensor:
    total: Tensor | None = None
    for w, x in terms:
        y = op("mul", w, x)
        total = y if total is None else op("add", total, y)
    assert total is not None
    return total


def _second_order(t: Tensor, k: int, h: Tensor, side: int) -> Tensor:
    places = (0, 1, 2) if side == 0 else (-3, -2, -1)
    weights = (-1.5, 2.0, -0.5) if side == 0 else (0.5, -2.0, 1.5)
    terms = [(op("div", number(w, t), h), _at(t, k, i)) for w, i in zip(weights, places, strict=True)]
    return _weighted(*terms)


def _uneven_gradient(t: Tensor, k: int, x: Tensor, edge_order: int) -> Tensor:
    """As `_gradient`, at given coordinates."""
    if edge_order != 1:
        raise NumpyNotSupported(f"np.gradient: edge_order=2 with coordinates is not available{at()}")
    h = reshape(diff(x), [-1 if d == k else 1 for d in range(t.ndim)])
    h1, h2 = _until(h, k, 1), _from(h, k, 1)
    a = op("neg", op("div", h2, op("mul", h1, op("add", h1, h2))))
    b = op("div", op("sub", h2, h1), op("mul", h1, h2))
    c = op("div", h1, op("mul", h2, op("add", h1, h2)))
    inside = _weighted((a, _cut(t, k, 0, -2)), (b, _cut(t, k, 1, -1)), (c, _cut(t, k, 2, 0)))
    first = op("div", op("sub", _at(t, k, 1), _at(t, k, 0)), _at(h, k, 0))
    return concatenate([first, inside, _one_sided(t, k, _at(h, k, -1))], k)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Tensor:
    """The integral by the trapezoidal rule."""
    t = tensor(y)
    k = axis_argument(axis, t.ndim)
    if x is None:
        d: Any = dx
    else:
        d = diff(x, axis=-1 if tensor(x).ndim == 1 else k)
        if d.ndim == 1:
            d = reshape(d, [-1 if a == k else 1 for a in range(t.ndim)])
    pair = call_ufunc(np.add, _from(t, k, 1), _until(t, k, 1))
    return sum_(call_ufunc(np.true_divide, call_ufunc(np.multiply, d, pair), 2.0), k)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- interpolation, convolution, polynomials
@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Tensor:
    """Linear between the points (xp, fp), constant outside."""
    if period is not None:
        raise NumpyNotSupported(f"np.interp: `period` is not available: reduce x with % first{at()}")
    t, xs, fs = (tensor(v, "float64") for v in (x, xp, fp))
    n = known_sizes(xs, "np.interp")[0]
    if n == 0:
        fail(ValueError, "array of sample points is empty")
    lo, hi = tensor(0), tensor(max(n - 2, 0))
    j = op("maximum", op("minimum", op("sub", searchsorted(xs, t, "right"), tensor(1)), hi), lo)
    after = op("minimum", op("add", j, tensor(1)), tensor(n - 1))
    x0, x1, f0, f1 = take(xs, j), take(xs, after), take(fs, j), take(fs, after)
    width = op("sub", x1, x0)
    slope = op("div", op("sub", f1, f0), op("where", op("eq", width, number(0, t)), number(1, t), width))
    y = op("add", op("mul", slope, op("sub", t, x0)), f0)
    first, last = part(xs, 0, 0, 1), part(xs, 0, n - 1, 1)
    y = op("where", op("lt", t, reshape(first, ())), _outside(left, fs, 0), y)
    y = op("where", op("ge", t, reshape(last, ())), reshape(part(fs, 0, n - 1, 1), ()), y)
    return op("where", op("gt", t, reshape(last, ())), _outside(right, fs, n - 1), y)  # type: ignore[no-any-return]


def _outside(value: Any, fs: Tensor, place: int) -> Tensor:
    return tensor(value, "float64") if value is not None else reshape(part(fs, 0, place, 1), ())


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    """The convolution of two vectors, as a product with the matrix of shifted rows."""
    x, y = strong("np.convolve", a, v)
    m, n = known_sizes(x, "np.convolve")[0], known_sizes(y, "np.convolve")[0]
    if not m or not n:
        fail(ValueError, "a or v cannot be empty")
    if n > m:
        x, y, m, n = y, x, n, m
    ends = {"full": (n - 1, n - 1), "same": (n // 2, (n - 1) - n // 2), "valid": (0, 0)}
    if mode not in ends:
        fail(ValueError, f"mode must be one of 'full', 'same', or 'valid', got {mode!r}")
    low, high = ends[mode]
    wide = call("pad", x, number(0, x), low=(low,), high=(high,))
    size = m + low + high - n + 1
    rows = take(wide, np.arange(size)[:, None] + np.arange(n)[None, :])
    return dot(rows, call("reverse", y, axes=(0,)))


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Tensor:
    """The correlation of two vectors."""
    x, y = strong("np.correlate", a, v)
    return convolve(x, call("reverse", UFUNCS[np.conjugate](y), axes=(0,)), mode)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Tensor:
    """A polynomial by Horner's rule, highest power first."""
    coefficients, t = strong("np.polyval", p, x)
    y: Tensor = filled(t.type.shape, number(0, t))
    for i in range(known_sizes(coefficients, "np.polyval")[0]):
        c = reshape(part(coefficients, 0, i, 1), ())
        y = call_ufunc(np.add, call_ufunc(np.multiply, y, t), c)
    return y


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Tensor:
    """Columns of powers."""
    t = tensor(x)
    t = cast(t, np.promote_types(t.dtype.np, int))
    n = known_sizes(t, "np.vander")[0] if N is None else static_value(N, "The argument `N`")
    columns = [filled(t.type.shape, number(1, t))]
    for _ in range(n - 1):
        columns.append(op("mul", columns[-1], t))
    ordered: Sequence[Tensor] = columns if increasing else columns[::-1]
    return concatenate([reshape(c, (-1, 1)) for c in ordered], 1) if n else reshape(part(t, 0, 0, 0), (-1, 0))
