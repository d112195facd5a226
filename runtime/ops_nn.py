"""`pb.nn`: activations, softmax and the cross-entropies, moments."""

from __future__ import annotations

import math
from typing import Any

from ..ir.dtypes import DType, float32
from ..ir.opdef import get
from .arithmetic import abs as magnitude
from .arithmetic import as_new, cast
from .convert import as_tensor
from .dispatch import apply
from .elementwise import operands, unary
from .errors import ShapeMismatch, TypeMismatch, fail
from .ops_create import zeros_like
from .ops_index import _indices, where
from .ops_math import elu, erfc, exp, log1p, maximum, minimum, relu, rsqrt, sigmoid, softplus, square, tanh
from .ops_reduce import axes_argument, l2_normalize, reduce_mean, reduce_sum, zero_fraction
from .ops_shape import axis_argument, concat, reshape, squeeze, transpose
from .tensor import Tensor

_STOP = get("stop_gradient")


def _number(value: float, t: Tensor) -> Tensor:
    return as_tensor(value, t.dtype)


def relu6(features: Any, name: str | None = None) -> Tensor:
    """min(max(x, 0), 6). The gradient is 0 outside of (0, 6)."""
    x = as_tensor(features)
    inside = (x > _number(0, x)) & (x < _number(6, x))
    return where(inside, x, apply(_STOP, (minimum(maximum(x, _number(0, x)), _number(6, x)),), {}))


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """x where positive, else alpha * x."""
    x = as_tensor(features)
    if x.dtype.is_integer:
        x = cast(x, float32)
    return where(x > _number(0, x), x, _number(alpha, x) * x)


def selu(features: Any, name: str | None = None) -> Tensor:
    """scale * x where positive, else scale * alpha * (exp(x) - 1), of self-normalising networks (Klambauer 2017)."""
    x = as_tensor(features)
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return _number(scale, x) * where(x > _number(0, x), x, _number(alpha, x) * elu(x))


def crelu(features: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """relu(x) and relu(-x), joined along an axis."""
    x = as_tensor(features)
    return relu(concat([x, -x], axis))


def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Tensor:
    """x * P(X <= x) of a normal X; or its tanh approximation."""
    x = as_tensor(features)
    if approximate:
        inner = _number(math.sqrt(2 / math.pi), x) * (x + _number(0.044715, x) * x * x * x)
        return _number(0.5, x) * x * (_number(1, x) + tanh(inner))
    return _number(0.5, x) * x * erfc(-x * cast(math.sqrt(0.5), x.dtype))


def silu(features: Any, beta: float = 1.0) -> Tensor:
    """x * sigmoid(beta * x)."""
    x = as_tensor(features)
    return x * sigmoid(x if isinstance(beta, float) and beta == 1.0 else as_tensor(beta, x.dtype) * x)


swish = silu


def softsign(features: Any, name: str | None = None) -> Tensor:
    """x / (1 + |x|)."""
    x = as_tensor(features)
    return x / (_number(1, x) + magnitude(x))


def softmax(logits: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis, the last by default."""
    x = as_tensor(logits)
    return unary(get("softmax"), x, axis=axis_argument(-1 if axis is None else axis, x.ndim))


def log_softmax(logits: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """log(softmax(x)), without overflow."""
    x = as_tensor(logits)
    return unary(get("log_softmax"), x, axis=axis_argument(-1 if axis is None else axis, x.ndim))


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: Any = -1, name: str | None = None) -> Tensor:
    """-sum(labels * log_softmax(logits)) along an axis; both get gradients.

    Raises:
      InvalidArgumentError (also a ValueError): labels and logits of different shapes.
    """
    y, x = operands("softmax_cross_entropy_with_logits", *_labels_like(labels, logits))
    k = axis_argument(axis, x.ndim)
    if k != x.ndim - 1:
        order = [*(i for i in range(x.ndim) if i != k), k]
        y, x = transpose(y, order), transpose(x, order)
    if y.type.shape != x.type.shape:
        from .ops_shape import broadcast_to
        from .ops_sizes import broadcast_static_shape

        shape = broadcast_static_shape(y.shape, x.shape)
        y, x = broadcast_to(y, shape), broadcast_to(x, shape)
    return apply(get("softmax_cross_entropy"), (y, x), {})  # type: ignore[no-any-return]


def _labels_like(labels: Any, logits: Any) -> tuple[Tensor, Tensor]:
    x = as_tensor(logits)
    return as_tensor(labels, x.dtype if not isinstance(labels, Tensor) else None), x


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Tensor:
    """-log_softmax(logits)[label] along the last axis; labels are class numbers.

    Raises:
      InvalidArgumentError (also a ValueError): ranks that do not fit, or (eagerly) a label that is no class.
    """
    y, x = _indices(labels), as_tensor(logits)
    if y.ndim != x.ndim - 1:
        fail(
            ShapeMismatch,
            f"`labels.shape.rank` must equal `logits.shape.rank - 1`. Received: labels.shape={y.shape} "
            f"and logits.shape={x.shape}; use pb.squeeze(labels), or softmax_cross_entropy_with_logits for "
            "one-hot labels",
        )
    return apply(get("sparse_softmax_cross_entropy"), (y, x), {})  # type: ignore[no-any-return]


def sigmoid_cross_entropy_with_logits(labels: Any = None, logits: Any = None, name: str | None = None) -> Tensor:
    """max(x, 0) - x * y + log(1 + exp(-|x|)): the cross-entropy of independent yes/no labels y."""
    y, x = _labels_like(labels, logits)
    y, x = operands("sigmoid_cross_entropy_with_logits", y, x)
    if y.type.shape != x.type.shape:
        fail(ShapeMismatch, f"`logits` and `labels` must have the same shape, received ({x.shape} vs {y.shape})")
    positive = x >= zeros_like(x)
    return where(positive, x, zeros_like(x)) - x * y + log1p(exp(where(positive, -x, x)))


def weighted_cross_entropy_with_logits(labels: Any, logits: Any, pos_weight: Any, name: str | None = None) -> Tensor:
    """`sigmoid_cross_entropy_with_logits` with the positive labels weighted."""
    y, x = _labels_like(labels, logits)
    weight = _number(1, x) + (as_tensor(pos_weight, x.dtype) - _number(1, x)) * y
    return (_number(1, x) - y) * x + weight * (log1p(exp(-magnitude(x))) + relu(-x))


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """A vector added along the last dimension (the second one for NCHW).

    Raises:
      InvalidArgumentError: a bias that is no vector of that size. ValueError: an unknown format.
    """
    x, c = operands("bias_add", value, bias)
    if data_format not in (None, "N...C", "NHWC", "NCHW", "NC...", "NDHWC", "NCDHW", "NWC", "NCW"):
        fail(ValueError, f"`data_format` must be of the form `N...C` or `NC...`, got {data_format!r}")
    axis = 1 if data_format and data_format.startswith("NC") else x.ndim - 1
    if c.ndim != 1 or x.ndim < 2 or c.type.shape[0] != x.type.shape[axis]:
        fail(
            ShapeMismatch,
            f"bias_add: Must provide as many biases as the last dimension of the input tensor: {c.shape} vs. {x.shape}",
        )
    return x + (c if axis == x.ndim - 1 else reshape(c, [-1 if k == axis else 1 for k in range(x.ndim)]))


def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The mean and the variance over axes."""
    t = as_tensor(x)
    wide: DType = float32 if t.dtype.size < 4 else t.dtype
    y = cast(t, wide)
    ks = axes_argument(axes, t.ndim)
    mean = reduce_mean(y, ks, keepdims=True)
    variance = reduce_mean(square(y - apply(_STOP, (mean,), {})), ks, keepdims=True)
    if not keepdims:
        mean, variance = squeeze(mean, list(ks)), squeeze(variance, list(ks))
    return cast(mean, t.dtype), cast(variance, t.dtype)


def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any, name: str | None = None
) -> Tensor:
    """(x - mean) * scale / sqrt(variance + epsilon) + offset."""
    t = as_tensor(x)
    v = as_tensor(variance, t.dtype)
    inv = rsqrt(v + as_tensor(variance_epsilon, t.dtype))
    if scale is not None:
        inv = inv * as_tensor(scale, t.dtype)
    shift = as_tensor(0 if offset is None else offset, t.dtype) - as_tensor(mean, t.dtype) * inv
    return t * inv + shift


def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """sum(x**2) / 2."""
    x = as_tensor(t)
    return reduce_sum(square(x)) * _number(0.5, x)


def log_poisson_loss(targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None) -> Tensor:
    """exp(log_input) - targets * log_input."""
    x = as_tensor(log_input)
    if compute_full_loss:
        fail(TypeMismatch, "log_poisson_loss: compute_full_loss is not available")
    return exp(x) - x * as_tensor(targets, x.dtype)


@as_new
def dropout(x: Any, rate: Any, noise_shape: Any = None, seed: Any = None, name: str | None = None) -> Tensor:
    """Elements set to 0 with probability `rate`, the others scaled by 1 / (1 - rate).

    Raises:
      ValueError: a rate outside of [0, 1).
    """
    t = as_tensor(x)
    if isinstance(rate, (int, float)) and not 0 <= rate < 1:
        fail(ValueError, f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}")
    if isinstance(rate, (int, float)) and rate == 0:
        return t
    from .ops_shape import shape_argument
    from .random import uniform

    p = as_tensor(rate, t.dtype)
    dims = t.type.shape if noise_shape is None else shape_argument(noise_shape, "noise_shape")
    keep = uniform(dims, dtype=t.dtype if t.dtype.size > 2 else float32, seed=seed) >= cast(
        p, float32 if t.dtype.size < 4 else t.dtype
    )
    return where(keep, t / (_number(1, t) - p), zeros_like(t))


__all__ = [
    "batch_normalization", "bias_add", "crelu", "dropout", "elu", "gelu", "l2_loss", "l2_normalize", "leaky_relu",
    "log_poisson_loss", "log_softmax", "moments", "relu", "relu6", "selu", "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "silu", "softmax", "softmax_cross_entropy_with_logits", "softplus", "softsign",
    "sparse_softmax_cross_entropy_with_logits", "swish", "tanh", "weighted_cross_entropy_with_logits", "zero_fraction",
]  # fmt: skip
