"""Running means over batches. State is in Variables, so metrics work inside `@function` too."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .. import Tensor, Variable, argmax, cast, convert_to_tensor, equal, reduce_sum, size, squeeze, where
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


class Sum(Metric):
    """The sum of all values, each times its weight."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.total = self.add_variable("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = cast(values, "float32")
        weighted = values if sample_weight is None else values * cast(sample_weight, "float32")
        self.total.assign_add(reduce_sum(weighted))

    def result(self) -> Tensor:
        return self.total.read_value()


class Mean(Metric):
    """The weighted mean of all values; 0 before the first."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.total, self.count = self.add_variable("total"), self.add_variable("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = cast(values, "float32")
        if sample_weight is None:
            self.total.assign_add(reduce_sum(values))
            self.count.assign_add(cast(size(values), "float32"))
            return
        weights = cast(sample_weight, "float32") + 0.0 * values          # the weights, broadcast to the values
        self.total.assign_add(reduce_sum(values * weights))
        self.count.assign_add(reduce_sum(weights))

    def result(self) -> Tensor:
        count = self.count.read_value()
        return where(equal(count, 0.0), 0.0, self.total / where(equal(count, 0.0), 1.0, count))


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


def binary_matches(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where y_pred is on the side of the threshold that y_true (0 or 1) says."""
    t, p = losses.prepare(y_true, y_pred)
    return cast(equal(t, cast(p > threshold, p.dtype)), "float32")


def categorical_matches(y_true: Any, y_pred: Any) -> Tensor:
    """1 for every example whose largest score is where y_true is largest."""
    hits = equal(argmax(convert_to_tensor(y_true), axis=-1), argmax(convert_to_tensor(y_pred), axis=-1))
    return cast(hits, "float32")


def sparse_categorical_matches(y_true: Any, y_pred: Any) -> Tensor:
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
        super().__init__(binary_matches, name, threshold=threshold)


class CategoricalAccuracy(MeanOfFunction):
    """How often the largest score is at the class that y_true, one-hot, says."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(categorical_matches, name)


class SparseCategoricalAccuracy(MeanOfFunction):
    """How often the largest score is at the class whose number y_true is."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(sparse_categorical_matches, name)


class MeanSquaredError(MeanOfFunction):
    """The mean squared error of all examples."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.mean_squared_error, name)


class MeanAbsoluteError(MeanOfFunction):
    """The mean absolute error of all examples."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.mean_absolute_error, name)
