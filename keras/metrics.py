"""Running means over batches. State is in Variables, so metrics work inside `@function` too."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .. import (
    Tensor,
    Variable,
    argmax,
    broadcast_to,
    cast,
    convert_to_tensor,
    equal,
    math,
    reduce_mean,
    reduce_sum,
    shape,
    size,
    squeeze,
)
from . import losses


class Metric:
    """Base of metrics: `update_state(...)`, `result()`, `reset_state()`; a call does the first two."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()
        self.variables: list[Variable] = []

    def add_variable(self, name: str) -> Variable:
        """A float32 scalar, 0 at the start and after `reset_state`."""
        variable = Variable(0.0, trainable=False, name=name)
        self.variables.append(variable)
        return variable

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Takes in one batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state.")

    def result(self) -> Tensor:
        """The metric of all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define result.")

    def reset_state(self) -> None:
        """Forgets all batches."""
        for variable in self.variables:
            variable.assign(0.0)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        self.update_state(*args, **kwargs)
        return self.result()


def per_example(values: Any, sample_weight: Any, reduce: Callable[..., Tensor]) -> tuple[Tensor, Tensor | None]:
    """Values times weights, and the weights, with every axis but the first reduced, as Keras 3 does.

    Weights of fewer axes apply to values reduced to that many axes first.
    """
    values = cast(values, "float32")
    weights = None
    if sample_weight is not None:
        weights = cast(sample_weight, "float32")
        rank = len(weights.shape)
        if len(values.shape) > rank:
            values = reduce(values, axis=list(range(rank, len(values.shape))))
        weights = broadcast_to(weights, shape(values))
        values = values * weights
        if rank > 1:
            weights = reduce(weights, axis=list(range(1, rank)))
    if len(values.shape) > 1:
        values = reduce(values, axis=list(range(1, len(values.shape))))
    return values, weights


class Sum(Metric):
    """The sum of all values, each times its weight."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.total = self.add_variable("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = per_example(values, sample_weight, reduce_sum)
        self.total.assign_add(reduce_sum(values))

    def result(self) -> Tensor:
        return self.total.read_value()


class Mean(Metric):
    """The weighted mean over all examples, each counting with the mean of its values; 0 before the first."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.total, self.count = self.add_variable("total"), self.add_variable("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weights = per_example(values, sample_weight, reduce_mean)
        self.total.assign_add(reduce_sum(values))
        self.count.assign_add(cast(size(values), "float32") if weights is None else reduce_sum(weights))

    def result(self) -> Tensor:
        mean: Tensor = math.divide_no_nan(self.total.read_value(), self.count.read_value())
        return mean


class MeanOfFunction(Mean):
    """The mean of `function(y_true, y_pred)` over all examples."""

    def __init__(self, function: Callable[..., Tensor], name: str | None = None, **options: Any) -> None:
        super().__init__(name)
        self.function, self.options = function, options

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(self.function(y_true, y_pred, **self.options), sample_weight)


def class_numbers(y_true: Any, rank: int) -> Tensor:
    """Labels as int64 of this rank: a trailing axis of size 1 is dropped."""
    labels = convert_to_tensor(y_true)
    if len(labels.shape) == rank + 1 and labels.shape[-1] == 1:
        labels = squeeze(labels, axis=-1)
    return cast(labels, "int64")


def matches(y_true: Any, y_pred: Any) -> Tensor:
    """1 where y_true equals y_pred, 0 elsewhere."""
    t, p = losses.prepare(y_true, y_pred)
    return cast(equal(t, p), "float32")


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where y_pred is on the side of the threshold that y_true (0 or 1) says."""
    t, p = losses.prepare(y_true, y_pred)
    return cast(equal(t, cast(p > threshold, p.dtype)), "float32")


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 for every example whose largest score is where y_true is largest."""
    hits = equal(argmax(convert_to_tensor(y_true), axis=-1), argmax(convert_to_tensor(y_pred), axis=-1))
    return cast(hits, "float32")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 for every example whose largest score is at its class number."""
    found = argmax(convert_to_tensor(y_pred), axis=-1)
    return cast(equal(class_numbers(y_true, len(found.shape)), cast(found, "int64")), "float32")


class Accuracy(MeanOfFunction):
    """How often y_true equals y_pred."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(matches, name)


class BinaryAccuracy(MeanOfFunction):
    """How often a probability is on the right side of the threshold."""

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, threshold=threshold)


class CategoricalAccuracy(MeanOfFunction):
    """How often the largest score is at the class that y_true, one-hot, says."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(categorical_accuracy, name)


class SparseCategoricalAccuracy(MeanOfFunction):
    """How often the largest score is at the class whose number y_true is."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(sparse_categorical_accuracy, name)


class MeanSquaredError(MeanOfFunction):
    """The mean squared error of all examples."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.mean_squared_error, name)


class MeanAbsoluteError(MeanOfFunction):
    """The mean absolute error of all examples."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.mean_absolute_error, name)
