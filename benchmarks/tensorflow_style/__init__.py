"""The workloads in the style TensorFlow and pullback share, so that both run the very same code."""

from __future__ import annotations

from timing import Builder

from .arrays import Arrays
from .calls import Calls
from .loops import Loops
from .training import Training

COMPILED = [
    "call_tensor", "call_float", "call_ndarray", "gradient_tensor", "gradient_float", "gradient_ndarray", "call_tree20",
    "elementwise", "black_scholes", "fifty_lengths", "rosenbrock_value", "rosenbrock_gradient", "rosenbrock_hvp",
    "rosenbrock_hessian", "mixture", "bundle", "logistic", "mlp_sgd", "mlp_adam", "tiny_sgd", "tiny_adam",
    "digits_step", "rnn", "lstm", "descent", "recurrence", "heat", "allen_cahn",
]  # fmt: skip
EAGER = [
    "eager_add", "eager_mul", "eager_sin", "taped_add", "taped_mul", "taped_sin", "tape_cube", "tape_chain20",
    "eager_tape", "black_scholes", "mlp_sgd", "mlp_adam", "tiny_sgd", "tiny_adam", "digits_step",
]  # fmt: skip


class Style(Calls, Arrays, Training, Loops):
    """Builders of every workload for one module and one way to run its functions."""

    def builders(self) -> dict[str, Builder]:
        return {name: getattr(self, name) for name in (EAGER if self.eager else COMPILED)}
