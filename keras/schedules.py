"""Learning rates that depend on the step. An optimizer calls its schedule with its count of finished steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import Tensor, cast, constant, cos, floor, minimum, where


class LearningRateSchedule:
    """Base of the schedules: `schedule(step)` is a float32 scalar; step is an integer tensor or number."""

    def __call__(self, step: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step).")


def steps_of(step: Any) -> Tensor:
    return cast(step, "float32")


class _Decay(LearningRateSchedule):
    """What ExponentialDecay and InverseTimeDecay share: the step in units of `decay_steps`, whole when `staircase`."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        if decay_steps <= 0:
            raise ValueError(f"decay_steps must be positive, not {decay_steps}.")
        self.initial, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase = staircase

    def passed(self, step: Any) -> Tensor:
        p = steps_of(step) / self.decay_steps
        return floor(p) if self.staircase else p


class ExponentialDecay(_Decay):
    """initial * decay_rate ** (step / decay_steps), the exponent rounded down when `staircase`."""

    def __call__(self, step: Any) -> Tensor:
        return self.initial * constant(self.decay_rate, "float32") ** self.passed(step)


class InverseTimeDecay(_Decay):
    """initial / (1 + decay_rate * step / decay_steps), the fraction rounded down when `staircase`."""

    def __call__(self, step: Any) -> Tensor:
        return self.initial / (1.0 + self.decay_rate * self.passed(step))


class PolynomialDecay(LearningRateSchedule):
    """From initial to end as (1 - step / decay_steps) ** power, then constant."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, end_learning_rate: float = 1e-4, power: float = 1.0
    ) -> None:
        if decay_steps <= 0:
            raise ValueError(f"decay_steps must be positive, not {decay_steps}.")
        self.initial, self.decay_steps = initial_learning_rate, decay_steps
        self.end, self.power = end_learning_rate, power

    def __call__(self, step: Any) -> Tensor:
        p = minimum(steps_of(step), float(self.decay_steps)) / self.decay_steps
        return (self.initial - self.end) * (1.0 - p) ** self.power + self.end


class CosineDecay(LearningRateSchedule):
    """Half a cosine from initial to alpha * initial over `decay_steps` (Loshchilov and Hutter 2016).

    With `warmup_target`, a straight line from initial to that target over `warmup_steps` comes first.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0,
        warmup_target: float | None = None, warmup_steps: float = 0,
    ) -> None:
        if decay_steps <= 0:
            raise ValueError(f"decay_steps must be positive, not {decay_steps}.")
        self.initial, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def decayed(self, step: Tensor, start: float) -> Tensor:
        p = minimum(step, float(self.decay_steps)) / self.decay_steps
        return start * ((1.0 - self.alpha) * 0.5 * (1.0 + cos(math.pi * p)) + self.alpha)

    def __call__(self, step: Any) -> Tensor:
        now = steps_of(step)
        if self.warmup_target is None:
            return self.decayed(now, self.initial)
        rising = (self.warmup_target - self.initial) * (now / max(self.warmup_steps, 1)) + self.initial
        return where(now < float(self.warmup_steps), rising, self.decayed(now - self.warmup_steps, self.warmup_target))


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], values[1] up to boundaries[1], and so on."""

    def __init__(self, boundaries: Sequence[float], values: Sequence[float]) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"values must have one entry more than boundaries, not {len(values)} against {len(boundaries)}."
            )
        self.boundaries, self.values = list(boundaries), list(values)

    def __call__(self, step: Any) -> Tensor:
        now = steps_of(step)
        rate = constant(self.values[-1], "float32")
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            rate = where(now <= float(boundary), constant(value, "float32"), rate)
        return rate
