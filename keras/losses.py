"""Loss functions, and loss classes that reduce them to a number, as in Keras 3."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .. import (
    Tensor,
    abs,
    cast,
    clip_by_value,
    convert_to_tensor,
    expand_dims,
    log,
    math,
    maximum,
    nn,
    reduce_mean,
    reduce_sum,
    shape,
    size,
    square,
    squeeze,
    where,
)

EPSILON = 1e-7                   # keeps probabilities away from 0 and 1
REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)

LossFunction = Callable[..., Tensor]


def prepare(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of y_pred's dtype and rank: a trailing axis of size 1 that only one has does not count."""
    p = convert_to_tensor(y_pred)
    t = cast(y_true, p.dtype)
    if len(t.shape) == len(p.shape) + 1 and t.shape[-1] == 1:
        t = squeeze(t, axis=-1)
    elif len(p.shape) == len(t.shape) + 1 and p.shape[-1] == 1:
        t = expand_dims(t, axis=-1)
    return t, p


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean of (y_true - y_pred)^2 over the last axis."""
    t, p = prepare(y_true, y_pred)
    return reduce_mean(square(t - p), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean of |y_true - y_pred| over the last axis."""
    t, p = prepare(y_true, y_pred)
    return reduce_mean(abs(t - p), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Mean of e^2 / 2 where |e| <= delta, delta |e| - delta^2 / 2 elsewhere (Huber 1964)."""
    t, p = prepare(y_true, y_pred)
    e = abs(p - t)
    return reduce_mean(where(e <= delta, 0.5 * square(e), delta * e - 0.5 * delta**2), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Mean of log(cosh(y_pred - y_true)), as e + softplus(-2 e) - log(2), which cannot overflow."""
    t, p = prepare(y_true, y_pred)
    e = abs(p - t)
    return reduce_mean(e + nn.softplus(-2.0 * e) - 0.6931471805599453, axis=-1)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Mean of max(1 - y_true y_pred, 0); labels 0 and 1 are read as -1 and 1."""
    t, p = prepare(y_true, y_pred)
    signs = where((t == 0.0) | (t == 1.0), 2.0 * t - 1.0, t)
    return reduce_mean(maximum(1.0 - signs * p, 0.0), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """Mean of y_pred - y_true log(y_pred)."""
    t, p = prepare(y_true, y_pred)
    return reduce_mean(p - t * log(p + EPSILON), axis=-1)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Sum of y_true log(y_true / y_pred) over the last axis."""
    t, p = prepare(y_true, y_pred)
    t, p = clip_by_value(t, EPSILON, 1.0), clip_by_value(p, EPSILON, 1.0)
    return reduce_sum(t * log(t / p), axis=-1)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Mean of -(t log(p) + (1 - t) log(1 - p)) over `axis`; with logits z, as max(z, 0) - z t + log(1 + exp(-|z|))."""
    t, p = prepare(y_true, y_pred)
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        losses = maximum(p, 0.0) - p * t + nn.softplus(-abs(p))
    else:
        p = clip_by_value(p, EPSILON, 1.0 - EPSILON)
        losses = -(t * log(p) + (1.0 - t) * log(1.0 - p))
    return reduce_mean(losses, axis=axis)


def number_of(p: Tensor, axis: int) -> Any:
    """The number of classes along an axis, which may be known only when the compiled function runs."""
    count = p.shape[axis]
    return cast(shape(p)[axis], p.dtype) if count is None else count


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """-sum of t log(p) over `axis`, the classes; probabilities are scaled to sum 1 first."""
    t, p = prepare(y_true, y_pred)
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + label_smoothing / number_of(p, axis)
    if from_logits:
        return -reduce_sum(t * nn.log_softmax(p, axis=axis), axis=axis)
    p = clip_by_value(p / reduce_sum(p, axis=axis, keepdims=True), EPSILON, 1.0 - EPSILON)
    return -reduce_sum(t * log(p), axis=axis)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """-log(p[class]), classes along the last axis; y_true holds class numbers, of any numeric dtype."""
    p = convert_to_tensor(y_pred)
    labels = convert_to_tensor(y_true)
    if len(labels.shape) == len(p.shape) and labels.shape[-1] == 1:
        labels = squeeze(labels, axis=-1)
    labels = labels if labels.dtype.is_integer else cast(labels, "int64")
    logits = p if from_logits else log(clip_by_value(p, EPSILON, 1.0 - EPSILON))
    losses: Tensor = nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return losses


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
kld = KLD = kl_divergence
logcosh = log_cosh


class Loss:
    """Base of losses: `loss(y_true, y_pred, sample_weight=None)`.

    reduction: "sum_over_batch_size" or "mean", the sum over the number of values, also with weights;
    "mean_with_sample_weight", the sum over the sum of weights; "sum"; None, which gives a value per example.
    Subclasses define `call(y_true, y_pred)`.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, not {reduction!r}.")
        self.reduction = reduction
        self.name = name or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """The values to be reduced, one per example."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        losses = self.call(y_true, y_pred)
        weights = None
        if sample_weight is not None:
            weights = cast(sample_weight, losses.dtype)
            if len(weights.shape) == len(losses.shape) + 1 and weights.shape[-1] == 1:
                weights = squeeze(weights, axis=-1)
            while len(weights.shape) < len(losses.shape) and len(weights.shape):
                weights = expand_dims(weights, axis=-1)
            losses = losses * weights
        if self.reduction in (None, "none"):
            return losses
        total = reduce_sum(losses)
        if self.reduction == "sum":
            return total
        if self.reduction == "mean_with_sample_weight" and weights is not None:
            mean: Tensor = math.divide_no_nan(total, reduce_sum(weights))
            return mean
        return total / cast(size(losses), losses.dtype)


class FunctionLoss(Loss):
    """A loss made of one of the functions above with fixed options."""

    def __init__(self, function: LossFunction, reduction: str | None, name: str | None, **options: Any) -> None:
        super().__init__(reduction, name)
        self.function, self.options = function, options

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return self.function(y_true, y_pred, **self.options)


def simple_loss(title: str, function: LossFunction) -> type[FunctionLoss]:
    """The class `title` of a loss function without options."""

    class SimpleLoss(FunctionLoss):
        def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
            super().__init__(function, reduction, name)

    SimpleLoss.__name__ = SimpleLoss.__qualname__ = title
    SimpleLoss.__doc__ = f"`{function.__name__}`, reduced: {function.__doc__}"
    return SimpleLoss


MeanSquaredError = simple_loss("MeanSquaredError", mean_squared_error)
MeanAbsoluteError = simple_loss("MeanAbsoluteError", mean_absolute_error)
LogCosh = simple_loss("LogCosh", log_cosh)
Hinge = simple_loss("Hinge", hinge)
Poisson = simple_loss("Poisson", poisson)
KLDivergence = simple_loss("KLDivergence", kl_divergence)


class Huber(FunctionLoss):
    """`huber`, reduced."""

    def __init__(
        self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(huber, reduction, name, delta=delta)


class BinaryCrossentropy(FunctionLoss):
    """`binary_crossentropy`, reduced."""

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, **options)


class CategoricalCrossentropy(FunctionLoss):
    """`categorical_crossentropy`, reduced."""

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, **options)


class SparseCategoricalCrossentropy(FunctionLoss):
    """`sparse_categorical_crossentropy`, reduced."""

    def __init__(
        self, from_logits: bool = False, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(sparse_categorical_crossentropy, reduction, name, from_logits=from_logits)
