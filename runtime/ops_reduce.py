"""Public reductions and cumulative sums. `axis` is None for all, a number, a list, or a tensor of known value."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dims import Dim, product
from ..ir.dtypes import DType, as_dtype, float64, int64
from ..ir.opdef import OpDef, get
from .arithmetic import abs as magnitude
from .arithmetic import cast, conj_square, equal, logical_not
from .convert import as_tensor, static_value
from .dispatch import apply
from .elementwise import NONE, unary
from .errors import ShapeMismatch, TypeMismatch, fail
from .ops_math import exp, is_nan, log, maximum, rsqrt, sqrt, square, truncatediv
from .ops_shape import axis_argument, reshape
from .tensor import Tensor

_SUM, _PROD, _MAX, _MIN, _ANY, _ALL = (get("reduce_" + n) for n in ("sum", "prod", "max", "min", "any", "all"))


def axes_argument(axis: Any, rank: int) -> tuple[int, ...]:
    """An axis argument as sorted axis numbers.

    Raises:
      InvalidArgumentError (also a ValueError): an axis that the tensor does not have, or one given twice.
    """
    if axis is None:
        return tuple(range(rank))
    ks = static_value(axis, "The argument `axis`")
    ks = list(ks) if isinstance(ks, (list, tuple, range)) else [ks]
    found = [axis_argument(k, rank) for k in ks]
    if len(set(found)) != len(found):
        fail(ShapeMismatch, f"Invalid reduction arguments: Axes contains duplicate dimension: {ks}")
    return tuple(sorted(found))


def _reduce(op: OpDef, x: Any, axis: Any, keepdims: Any) -> Tensor:
    t = as_tensor(x)
    attrs = {"axes": axes_argument(axis, t.ndim), "keepdims": bool(keepdims)}
    if t.dtype.is_bool and getattr(op, "types", "") != "bool":
        fail(
            TypeMismatch,
            f"{op.name} is not defined for bool: use pb.reduce_any or pb.reduce_all, or pb.cast(x, pb.int32) to count",
        )
    return unary(op, t, **attrs)


def reduce_sum(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The sum over axes, in the tensor's own dtype."""
    return _reduce(_SUM, input_tensor, axis, keepdims)


def reduce_prod(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The product over axes."""
    return _reduce(_PROD, input_tensor, axis, keepdims)


def reduce_max(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The largest element over axes; elements that tie share the gradient."""
    return _reduce(_MAX, input_tensor, axis, keepdims)


def reduce_min(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The smallest element over axes; elements that tie share the gradient."""
    return _reduce(_MIN, input_tensor, axis, keepdims)


def reduce_any(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """Whether some element over axes is True."""
    return _reduce(_ANY, input_tensor, axis, keepdims)


def reduce_all(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """Whether every element over axes is True."""
    return _reduce(_ALL, input_tensor, axis, keepdims)


def element_count(t: Tensor, axes: tuple[int, ...], dtype: DType) -> Tensor:
    """The number of elements over axes, as a scalar tensor."""
    n: Any = product(tuple(t.type.shape[k] for k in axes))
    if not isinstance(n, Dim):
        return as_tensor(n, dtype)
    sizes = [apply(get("dim"), (t,), {"axis": k, "dtype": int64}) for k in axes]
    total = sizes[0]
    for s in sizes[1:]:
        total = total * s
    return cast(total, dtype)


def reduce_mean(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The mean over axes, in the tensor's own dtype: that of integers is cut towards zero, as in TensorFlow."""
    t = as_tensor(input_tensor)
    axes = axes_argument(axis, t.ndim)
    total = _reduce(_SUM, t, axes, keepdims)
    n = element_count(t, axes, t.dtype)
    return truncatediv(total, n) if t.dtype.is_integer else apply(get("div"), (total, n), NONE)


def reduce_variance(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The mean squared distance from the mean. Raises TypeError for integers."""
    t = _floating(input_tensor, "reduce_variance")
    axes = axes_argument(axis, t.ndim)
    apart = t - reduce_mean(t, axes, keepdims=True)
    return reduce_mean(conj_square(apart), axes, keepdims)


def reduce_std(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The square root of the variance."""
    return sqrt(reduce_variance(_floating(input_tensor, "reduce_std"), axis, keepdims))


def _floating(x: Any, what: str) -> Tensor:
    t = as_tensor(x)
    if not t.dtype.is_differentiable:
        fail(
            TypeMismatch,
            f"Input must be either real or complex. Received {what} of dtype {t.dtype.name}: "
            "write pb.cast(x, pb.float32)",
        )
    return t


def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The square root of the sum of squares; integers give the integer part."""
    t = as_tensor(input_tensor)
    if t.dtype.is_integer:
        return cast(sqrt(reduce_sum(square(cast(t, float64)), axis, keepdims)), t.dtype)
    return sqrt(reduce_sum(conj_square(t), axis, keepdims))


def reduce_logsumexp(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """log(sum(exp(x))) without overflow."""
    t = as_tensor(input_tensor)
    return apply(get("logsumexp"), (t,), {"axes": axes_argument(axis, t.ndim), "keepdims": bool(keepdims)})  # type: ignore[no-any-return]


def count_nonzero(
    input: Any, axis: Any = None, keepdims: bool = False, dtype: Any = int64, name: str | None = None
) -> Tensor:
    """The number of elements that are not 0 (or not False, or not the empty text)."""
    t = as_tensor(input)
    hit = t if t.dtype.is_bool else logical_not(equal(t, b"" if t.dtype.kind == "s" else as_tensor(0, t.dtype)))
    return reduce_sum(cast(hit, as_dtype(dtype)), axis, keepdims)


def _extreme(name: str, x: Any, axis: Any, output_type: Any) -> Tensor:
    t = as_tensor(x)
    if t.dtype.is_bool:
        t = cast(t, as_dtype("int32"))
    if t.dtype.is_floating:  # NaN is passed over, as in TensorFlow
        worst = as_tensor(-np.inf if name == "argmax" else np.inf, t.dtype)
        t = apply(get("where"), (is_nan(t), worst, t), {})
    k = axis_argument(0 if axis is None else axis, t.ndim)
    return apply(get(name), (t,), {"axis": k, "dtype": as_dtype(output_type)})  # type: ignore[no-any-return]


def argmax(input: Any, axis: Any = None, output_type: Any = int64, name: str | None = None) -> Tensor:
    """The index of the largest element along an axis (0 by default), the first of equals."""
    return _extreme("argmax", input, axis, output_type)


def argmin(input: Any, axis: Any = None, output_type: Any = int64, name: str | None = None) -> Tensor:
    """The index of the smallest element along an axis (0 by default), the first of equals."""
    return _extreme("argmin", input, axis, output_type)


def _cumulative(op: str, x: Any, axis: Any, exclusive: bool, reverse: bool) -> Tensor:
    t = as_tensor(x)
    attrs = {"axis": axis_argument(axis, t.ndim), "exclusive": bool(exclusive), "reverse": bool(reverse)}
    return apply(get(op), (t,), attrs)  # type: ignore[no-any-return]


def cumsum(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Tensor:
    """Running sums along an axis."""
    return _cumulative("cumsum", x, axis, exclusive, reverse)


def cumprod(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Tensor:
    """Running products along an axis."""
    return _cumulative("cumprod", x, axis, exclusive, reverse)


def cumulative_logsumexp(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Running log-sum-exp along an axis, relative to the largest element of the whole axis."""
    t = as_tensor(x)
    k = axis_argument(axis, t.ndim)
    top = apply(get("stop_gradient"), (reduce_max(t, k, keepdims=True),), {})
    return log(cumsum(exp(t - top), k, exclusive, reverse)) + top  # type: ignore[no-any-return]


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The norm of the whole tensor, of vectors (one axis) or of matrices (two axes).

    Args:
      ord: 'euclidean' (also 'fro' of matrices), 1, 2 (of vectors), np.inf, or a positive number p (of vectors).

    Raises:
      ValueError: an unknown norm.
    """
    t = as_tensor(tensor)
    matrix = isinstance(axis, (list, tuple)) and len(axis) == 2
    if ord in ("euclidean", "fro") or (ord == 2 and not matrix):
        return sqrt(reduce_sum(conj_square(t), axis, keepdims))
    if ord == 1:
        return reduce_sum(magnitude(t), axis, keepdims) if not matrix else _matrix_sum(t, axis, 0, keepdims)
    if ord == np.inf:
        return reduce_max(magnitude(t), axis, keepdims) if not matrix else _matrix_sum(t, axis, 1, keepdims)
    if isinstance(ord, (int, float)) and ord > 0 and not matrix:
        return reduce_sum(magnitude(t) ** ord, axis, keepdims) ** (1.0 / ord)
    return fail(
        ValueError, f"'ord' must be a supported vector or matrix norm: 'euclidean', 1, 2, p > 0 or np.inf, got {ord!r}"
    )


def _matrix_sum(t: Tensor, axis: Any, over: int, keepdims: bool) -> Tensor:
    sums = reduce_sum(magnitude(t), axis[over], keepdims=True)
    found = reduce_max(sums, list(axis), keepdims=True)
    return (
        found
        if keepdims
        else reshape(found, tuple(d for k, d in enumerate(t.type.shape) if k not in axes_argument(axis, t.ndim)))
    )


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The share of elements that are 0, as a float32."""
    t = as_tensor(value)
    hit = cast(equal(t, as_tensor(0, t.dtype)), as_dtype("float32"))
    return reduce_mean(hit)


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None) -> Tensor:
    """x / sqrt(max(sum(x**2), epsilon))."""
    t = as_tensor(x)
    total = reduce_sum(square(t), axis if dim is None else dim, keepdims=True)
    return t * rsqrt(maximum(total, as_tensor(epsilon, t.dtype)))
