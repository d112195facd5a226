"""The update rules of Keras 3, with its defaults: g is the gradient, v the variable, t the step counted from 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import Tensor, Variable, abs, cast, clip_by_value, constant, maximum, rsqrt, sign, sqrt, square
from . import schedules
from .optimizer import Optimizer

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "Optimizer", "RMSprop",
    "schedules",
]


def lerp(slot: Variable, value: Tensor, weight: float) -> Tensor:
    """Moves a running mean towards `value`: slot += (value - slot) * weight. Returns the new mean."""
    slot.assign_add((value - slot) * weight)
    return slot.read_value()


class SGD(Optimizer):
    """v -= rate * g; with momentum, the velocity m = momentum * m - rate * g is added (Nesterov: one step ahead)."""

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"momentum must be between 0 and 1, not {momentum}.")
        self.momentum, self.nesterov = momentum, nesterov

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.velocities = self.add_slots("momentum") if self.momentum else []

    def update_step(self, gradient: Tensor, variable: Variable, shared: Tensor) -> None:
        if not self.momentum:
            variable.assign_sub(shared * gradient)
            return
        velocity = self.velocities[self.place(variable)]
        moved = self.momentum * velocity - shared * gradient
        velocity.assign(moved)
        variable.assign_add(self.momentum * moved - shared * gradient if self.nesterov else moved)


class _TwoMeans(Optimizer):
    """What the Adam family shares: weights of a running mean of the gradient and of one of its size."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon


class Adam(_TwoMeans):
    """Kingma and Ba 2014: v -= rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(s) + epsilon).

    m and s are running means of g and g*g; `amsgrad` uses the largest s so far (Reddi et al. 2018).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.amsgrad = amsgrad

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.means = self.add_slots("momentum")
        self.squares = self.add_slots("velocity")
        self.largest = self.add_slots("velocity_hat") if self.amsgrad else []

    def coefficients(self, rate: Tensor, step: Tensor) -> Tensor:
        one1 = 1.0 - constant(self.beta_1, step.dtype) ** step
        one2 = 1.0 - constant(self.beta_2, step.dtype) ** step
        return rate * sqrt(one2) / one1

    def update_step(self, gradient: Tensor, variable: Variable, shared: Tensor) -> None:
        place = self.place(variable)
        mean = lerp(self.means[place], gradient, 1.0 - self.beta_1)
        spread = lerp(self.squares[place], square(gradient), 1.0 - self.beta_2)
        if self.amsgrad:
            spread = maximum(self.largest[place], spread)
            self.largest[place].assign(spread)
        variable.assign_sub(mean * shared / (sqrt(spread) + self.epsilon))


class AdamW(Adam):
    """Adam with weight decay taken from the variable, not added to the gradient (Loshchilov and Hutter 2017)."""

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, **kwargs: Any) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)


class Adamax(_TwoMeans):
    """Kingma and Ba 2014, section 7: Adam with the infinity norm u = max(beta2 * u, |g|) in place of sqrt(s)."""

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.means, self.norms = self.add_slots("momentum"), self.add_slots("norm")

    def coefficients(self, rate: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        return rate, 1.0 - constant(self.beta_1, step.dtype) ** step

    def update_step(self, gradient: Tensor, variable: Variable, shared: tuple[Tensor, Tensor]) -> None:
        rate, one1 = shared
        mean = lerp(self.means[self.place(variable)], gradient, 1.0 - self.beta_1)
        norm = self.norms[self.place(variable)]
        norm.assign(maximum(self.beta_2 * norm, abs(gradient)))
        variable.assign_sub(rate * mean / (one1 * (norm + self.epsilon)))


class Nadam(_TwoMeans):
    """Adam with Nesterov momentum (Dozat 2016), momentum schedule mu_t = beta1 * (1 - 0.96^t / 2)."""

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.means, self.squares = self.add_slots("momentum"), self.add_slots("velocity")
        self.product = Variable(1.0, trainable=False, name="u_product")
        self._slots.append(self.product)

    def apply_gradients(self, grads_and_vars: Any) -> Variable:
        self._product_moved = False
        return super().apply_gradients(grads_and_vars)

    def coefficients(self, rate: Tensor, step: Tensor) -> tuple[Tensor, ...]:
        decay = constant(0.96, step.dtype)
        now = self.beta_1 * (1.0 - 0.5 * decay**step)
        following = self.beta_1 * (1.0 - 0.5 * decay ** (step + 1.0))
        if not self._product_moved:                      # once a step, also with variables of several dtypes
            self.product.assign(self.product * cast(now, "float32"))
            self._product_moved = True
        product = cast(self.product, step.dtype)
        one2 = 1.0 - constant(self.beta_2, step.dtype) ** step
        return rate, following / (1.0 - product * following), (1.0 - now) / (1.0 - product), one2

    def update_step(self, gradient: Tensor, variable: Variable, shared: tuple[Tensor, ...]) -> None:
        rate, of_mean, of_gradient, one2 = shared
        mean = lerp(self.means[self.place(variable)], gradient, 1.0 - self.beta_1)
        spread = lerp(self.squares[self.place(variable)], square(gradient), 1.0 - self.beta_2)
        ahead = of_mean * mean + of_gradient * gradient
        variable.assign_sub(ahead * rate / (sqrt(spread / one2) + self.epsilon))


class RMSprop(Optimizer):
    """v -= rate * g / sqrt(s + epsilon), s a running mean of g*g, when `centered` less the square of that of g."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.squares = self.add_slots("velocity")
        self.velocities = self.add_slots("momentum") if self.momentum else []
        self.averages = self.add_slots("average_gradient") if self.centered else []

    def update_step(self, gradient: Tensor, variable: Variable, shared: Tensor) -> None:
        place = self.place(variable)
        spread = self.rho * self.squares[place] + (1.0 - self.rho) * square(gradient)
        self.squares[place].assign(spread)
        if self.centered:
            average = self.rho * self.averages[place] + (1.0 - self.rho) * gradient
            self.averages[place].assign(average)
            spread = spread - square(average)
        move = shared * gradient * rsqrt(spread + self.epsilon)
        if self.momentum:
            move = self.momentum * self.velocities[place] + move
            self.velocities[place].assign(move)
        variable.assign_sub(move)


class Adagrad(Optimizer):
    """v -= rate * g / sqrt(s + epsilon), s the sum of g*g so far (Duchi et al. 2011)."""

    def __init__(
        self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.sums = self.add_slots("accumulator", self.initial_accumulator_value)

    def update_step(self, gradient: Tensor, variable: Variable, shared: Tensor) -> None:
        total = self.sums[self.place(variable)]
        total.assign_add(square(gradient))
        variable.assign_sub(shared * gradient / sqrt(total + self.epsilon))


class Adadelta(Optimizer):
    """Zeiler 2012: moves by the ratio of running root mean squares of past moves and of gradients."""

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.of_gradients = self.add_slots("accumulated_grad")
        self.of_moves = self.add_slots("accumulated_delta_var")

    def update_step(self, gradient: Tensor, variable: Variable, shared: Tensor) -> None:
        place = self.place(variable)
        moves = self.of_moves[place]
        gradients = self.rho * self.of_gradients[place] + (1.0 - self.rho) * square(gradient)
        self.of_gradients[place].assign(gradients)
        move = sqrt(moves + self.epsilon) * gradient / sqrt(gradients + self.epsilon)
        moves.assign(self.rho * moves + (1.0 - self.rho) * square(move))
        variable.assign_sub(shared * move)


class Ftrl(Optimizer):
    """Follow the regularised leader, per coordinate (McMahan et al. 2013, algorithm 1); shrinkage, beta as in Keras."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        if initial_accumulator_value < 0.0:
            raise ValueError(f"initial_accumulator_value must not be negative, not {initial_accumulator_value}.")
        if learning_rate_power > 0.0:
            raise ValueError(f"learning_rate_power must not be positive, not {learning_rate_power}.")
        self.power, self.initial_accumulator_value, self.beta = -learning_rate_power, initial_accumulator_value, beta
        self.l1, self.l2 = l1_regularization_strength, l2_regularization_strength
        self.shrinkage = l2_shrinkage_regularization_strength

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.sums = self.add_slots("accumulator", self.initial_accumulator_value)
        self.linears = self.add_slots("linear")

    def update_step(self, gradient: Tensor, variable: Variable, shared: Tensor) -> None:
        place = self.place(variable)
        before = self.sums[place].read_value()
        after = before + square(gradient)
        shrunk = gradient + 2.0 * self.shrinkage * variable if self.shrinkage else gradient
        root = after**self.power
        linear = self.linears[place] + shrunk - (root - before**self.power) / shared * variable
        quadratic = root / shared + 2.0 * (self.l2 + self.beta / (2.0 * shared))
        variable.assign((clip_by_value(linear, -self.l1, self.l1) - linear) / quadratic)
        self.linears[place].assign(linear)
        self.sums[place].assign(after)


class Lion(Optimizer):
    """v -= rate * sign(beta1 * m + (1 - beta1) * g), m a running mean of g with beta2 (Chen et al. 2023)."""

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        if not 0.0 < beta_1 <= 1.0:
            raise ValueError(f"beta_1 must be above 0 and at most 1, not {beta_1}.")
        self.beta_1, self.beta_2 = beta_1, beta_2

    def create_slots(self, variables: Sequence[Variable]) -> None:
        self.means = self.add_slots("momentum")

    def update_step(self, gradient: Tensor, variable: Variable, shared: Tensor) -> None:
        mean = self.means[self.place(variable)]
        variable.assign_sub(shared * sign(self.beta_1 * mean + (1.0 - self.beta_1) * gradient))
        mean.assign(self.beta_2 * mean + (1.0 - self.beta_2) * gradient)
