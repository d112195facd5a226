"""The optimizer's frame: what every update rule shares, as Keras 3 defines it.

A rule (`optimizers.py`) says which slot variables it keeps and how one variable moves. Clipping, weight decay, the
learning rate, the step count and missing gradients are handled here. It is ordinary code on Variables, so it runs
eagerly and inside `@function` alike; there the whole step becomes part of the compiled function.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import (
    GradientTape,
    Tensor,
    Variable,
    cast,
    clip_by_value,
    convert_to_tensor,
    maximum,
    minimum,
    reduce_sum,
    sqrt,
)
from .initializers import numpy_dtype
from .schedules import LearningRateSchedule

GradsAndVars = Iterable[tuple[Any, Variable]]


class Optimizer:
    """Base of all optimizers.

    Args:
        learning_rate: a number, a `schedules.LearningRateSchedule`, or a function without arguments.
        weight_decay: if set, every step first takes learning_rate * weight_decay * v from each variable v.
        clipnorm, clipvalue, global_clipnorm: at most one: bound each gradient's norm, each entry, or the norm of all.
    """

    def __init__(
        self,
        learning_rate: Any,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        given = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        clips = {key: bound for key, bound in given.items() if bound is not None}
        if len(clips) > 1:
            raise ValueError(f"Only one of clipnorm, clipvalue and global_clipnorm can be set, not {clips}.")
        for key, bound in clips.items():
            if bound <= 0:
                raise ValueError(f"{key} must be positive, not {bound}.")
        self.name = name or type(self).__name__.lower()
        self.weight_decay, self.clipnorm, self.clipvalue, self.global_clipnorm = (
            weight_decay, clipnorm, clipvalue, global_clipnorm,
        )
        self.iterations = Variable(np.array(0, np.int64), trainable=False, name="iteration")
        self._rate: Any = learning_rate
        if not callable(learning_rate):
            self._rate = Variable(np.array(learning_rate, np.float32), trainable=False, name="learning_rate")
        self._trained: list[Variable] = []
        self._index: dict[int, int] = {}                 # id of a trained variable (kept alive above) -> its place
        self._slots: list[Variable] = []
        self._not_decayed: list[Variable] = []
        self._not_decayed_names: list[str] = []
        self.built = False

    # What a rule implements.

    def create_slots(self, variables: Sequence[Variable]) -> None:
        """Makes the rule's slots with `add_slots`. Called once, with all variables that will be trained."""

    def coefficients(self, rate: Tensor, step: Tensor) -> Any:
        """What all variables share in one step; `step` counts from 1. Given to every `update_step`."""
        return rate

    def update_step(self, gradient: Tensor, variable: Variable, shared: Any) -> None:
        """Moves one variable."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, shared).")

    # Slots.

    def add_slots(self, name: str, initial: float = 0.0) -> list[Variable]:
        """One variable per trained variable, of its shape and dtype, filled with `initial`."""
        slots = [
            Variable(
                np.full(tuple(v.shape), initial, numpy_dtype(v.dtype)), trainable=False, name=f"{name}_{place}"
            )
            for place, v in enumerate(self._trained)
        ]
        self._slots += slots
        return slots

    def place(self, variable: Variable) -> int:
        """The index of a trained variable in the lists of slots."""
        return self._index[id(variable)]

    def build(self, variables: Iterable[Variable]) -> None:
        """Creates the slots for `variables`. Called by the first `apply_gradients`; later calls do nothing."""
        if self.built:
            return
        self._trained = list(variables)
        self._index = {id(v): place for place, v in enumerate(self._trained)}
        self.create_slots(self._trained)
        self.built = True

    @property
    def variables(self) -> list[Variable]:
        """The step count, the learning rate and all slots."""
        rate = [] if callable(self._rate) else [self._rate]
        return [self.iterations, *rate, *self._slots]

    # The learning rate.

    @property
    def learning_rate(self) -> Any:
        """The Variable that holds it, or what a schedule gives for the current step. Can be set to a number."""
        if isinstance(self._rate, LearningRateSchedule):
            return self._rate(self.iterations)
        return self._rate() if callable(self._rate) else self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._rate, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a LearningRateSchedule, so its learning rate is not settable. "
                "Create it with a number to be able to set it."
            )
        if callable(value):
            self._rate = value
        elif callable(self._rate):
            self._rate = Variable(np.array(value, np.float32), trainable=False, name="learning_rate")
        else:
            self._rate.assign(cast(value, "float32"))

    # The step.

    def minimize(
        self,
        loss: Any,
        var_list: Iterable[Variable] | Callable[[], Iterable[Variable]],
        tape: GradientTape | None = None,
    ) -> None:
        """One step on `loss`: a function without arguments, or a tensor computed under `tape`.

        Raises ValueError when `loss` is a tensor and no tape is given.
        """
        if not callable(loss) and tape is None:
            raise ValueError("minimize needs a loss function, or a loss tensor and the tape that recorded it.")
        if callable(loss):
            tape = GradientTape()
            with tape:
                loss = loss()
        assert tape is not None
        variables = list(var_list() if callable(var_list) else var_list)
        self.apply_gradients(list(zip(tape.gradient(loss, variables), variables, strict=True)))

    def apply_gradients(self, grads_and_vars: GradsAndVars) -> Variable:
        """One step: every variable moves by its gradient. Returns the step count.

        Variables whose gradient is None keep their value, with a warning. Raises ValueError when there is no gradient
        at all, and for a variable that was not there on the first call.
        """
        pairs = list(grads_and_vars)
        self.build(v for _, v in pairs)
        used = self._with_gradients(pairs)
        gradients = self._clipped([self._as_gradient(g, v) for g, v in used])
        rate = convert_to_tensor(self.learning_rate)
        step = self.iterations + 1
        by_dtype: dict[Any, Any] = {}
        for gradient, (_, variable) in zip(gradients, used, strict=True):
            dtype = variable.dtype
            if dtype not in by_dtype:
                by_dtype[dtype] = self.coefficients(cast(rate, dtype), cast(step, dtype))
            if self._decays(variable):
                variable.assign_sub(variable * cast(self.weight_decay, dtype) * cast(rate, dtype))
            self.update_step(gradient, variable, by_dtype[dtype])
        self.iterations.assign_add(1)
        return self.iterations

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Variable] | None = None) -> Variable:
        """`apply_gradients` with two lists; the second may be left out once the optimizer is built."""
        variables = self._trained if trainable_variables is None else list(trainable_variables)
        return self.apply_gradients(list(zip(grads, variables, strict=True)))

    def _with_gradients(self, pairs: list[tuple[Any, Variable]]) -> list[tuple[Any, Variable]]:
        used = [(g, v) for g, v in pairs if g is not None]
        missing = [v.name for g, v in pairs if g is None]
        if not used:
            names = f" Gradients are None for: {', '.join(missing)}." if missing else " The list is empty."
            raise ValueError(f"No gradients provided for any variable.{names}")
        if missing:
            warnings.warn(
                f"Gradients do not exist for variables {missing} when minimizing the loss; they keep their values.",
                stacklevel=4,
            )
        for _, v in used:
            if id(v) not in self._index:
                raise ValueError(
                    f"Unknown variable {v.name!r}: this optimizer was built for {[t.name for t in self._trained]}. "
                    "Call optimizer.build(all_variables) before the first step, or use a second optimizer."
                )
        return used

    @staticmethod
    def _as_gradient(gradient: Any, variable: Variable) -> Tensor:
        gradient = convert_to_tensor(gradient)
        if tuple(gradient.shape) != tuple(variable.shape):
            raise ValueError(
                f"The gradient for variable {variable.name!r} has shape {tuple(gradient.shape)}, "
                f"but the variable has shape {tuple(variable.shape)}."
            )
        return cast(gradient, variable.dtype)

    def _clipped(self, gradients: list[Tensor]) -> list[Tensor]:
        """Keras's three ways to bound gradients; a norm that is not finite gives NaN rather than zeros."""
        if self.clipvalue is not None:
            return [clip_by_value(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            norms = [sqrt(reduce_sum(g * g)) for g in gradients]
            return [g * self.clipnorm / maximum(n, self.clipnorm) for g, n in zip(gradients, norms, strict=True)]
        if self.global_clipnorm is not None:
            total = sqrt(sum(cast(reduce_sum(g * g), "float32") for g in gradients))
            scale = self.global_clipnorm * minimum(1.0 / total, 1.0 / self.global_clipnorm) + (total - total)
            return [g * cast(scale, g.dtype) for g in gradients]
        return gradients

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Keeps these variables, or all whose name contains one of `var_names`, from weight decay."""
        self._not_decayed += list(var_list or [])
        self._not_decayed_names += list(var_names or [])

    def _decays(self, variable: Variable) -> bool:
        return not (
            self.weight_decay is None
            or any(variable is v for v in self._not_decayed)
            or any(part in variable.name for part in self._not_decayed_names)
        )
