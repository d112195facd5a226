"""What the parts of `Style` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Decorator = Callable[..., Any]


class Base:
    """`tf` is the module; `compiled` its decorator: `tf.function`, `tf.function(jit_compile=True)`, or the identity."""

    def __init__(self, tf: Any, compiled: Decorator, eager: bool = False) -> None:
        self.tf, self.compiled, self.eager = tf, compiled, eager

    def scalar_function(self, f: Callable[[Any], Any]) -> Any:
        """For calls with Python numbers: a signature, else TensorFlow would trace anew for each number."""
        return self.compiled(f, input_signature=[self.tf.TensorSpec([], self.tf.float32)])

    def with_gradient(self, f: Callable[..., Any]) -> Any:
        """The compiled function that gives `f` of tensors and its derivatives by all of them."""
        tf = self.tf

        def value_and_gradient(*x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(*x)
            return y, tape.gradient(y, x)

        return self.compiled(value_and_gradient)

    def constants(self, inputs: dict[str, Any], names: str = "") -> list[Any]:
        return [self.tf.constant(inputs[name]) for name in names.split() or inputs]
