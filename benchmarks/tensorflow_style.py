"""The workloads in the style TensorFlow and pullback share, so that both run the very same code.

`tf` is the module, `compiled` its decorator: `tf.function`, `tf.function(jit_compile=True)`, or the identity (eager).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timing import Bench
from workloads import LEARNING_RATE, Inputs, parameters

Decorator = Callable[[Any], Any]


class Style:
    """Builders of every workload for one module and one way to run its functions."""

    def __init__(self, tf: Any, compiled: Decorator) -> None:
        self.tf, self.compiled = tf, compiled

    def scalar_call(self, i: Inputs) -> Bench:
        def square(x: Any) -> Any:
            return x * x

        return Bench(self.compiled(square), (self.tf.constant(i["x"]),))

    def scalar_gradient(self, i: Inputs) -> Bench:
        tf = self.tf

        def gradient(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = x * x
            return tape.gradient(y, x)

        return Bench(self.compiled(gradient), (tf.constant(i["x"]),))

    def tape_of_sum(self, i: Inputs, work: float) -> Bench:
        tf = self.tf

        def value_and_gradient(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(tf.tanh(x) * tf.exp(-x * x) + tf.sin(x))
            return y, tape.gradient(y, x)

        f, x = self.compiled(value_and_gradient), tf.constant(i["x"])
        return Bench(f, (x,), work, lambda: list(f(x)))

    def value_and_gradient(self, i: Inputs) -> Bench:
        return self.tape_of_sum(i, i["x"].size)

    def eager_tape(self, i: Inputs) -> Bench:
        return self.tape_of_sum(i, 1)

    def digits_step(self, i: Inputs) -> Bench:
        tf, keras = self.tf, self.tf.keras
        dense = keras.layers.Dense
        model = keras.Sequential([dense(64, activation="relu"), dense(64, activation="relu"), dense(10)])
        model.build((None, 64))
        optimizer = keras.optimizers.Adam(LEARNING_RATE)
        optimizer.build(model.trainable_variables)

        def train_step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x)))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        step = self.compiled(train_step)
        batches = [(tf.constant(x), tf.constant(y)) for x, y in zip(i["x"], i["y"], strict=True)]

        def reset() -> None:
            for variable, value in zip(model.trainable_variables, parameters(i), strict=True):
                variable.assign(value)
            for variable in optimizer.variables:
                if variable is not optimizer.learning_rate:
                    variable.assign(tf.zeros(variable.shape, variable.dtype))

        def epoch() -> Any:
            for x, y in batches:
                loss = step(x, y)
            return loss.numpy()

        def result() -> list[Any]:
            reset()
            return [epoch(), *(v.numpy() for v in model.trainable_variables)]

        return Bench(epoch, (), len(batches), result, reset)

    def everything(self) -> dict[str, Callable[[Inputs], Bench]]:
        return {name: getattr(self, name) for name in COMPILED}


COMPILED = ("scalar_call", "scalar_gradient", "value_and_gradient", "digits_step")
