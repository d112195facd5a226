"""Logistic regression and the steps of the networks, with variables and Keras's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timing import Bench
from workloads import Inputs
from workloads.training import DIGITS_RATE, EPSILON, RATES, changes, parameters

from .base import Base


class Training(Base):
    def logistic(self, i: Inputs) -> Bench:
        tf = self.tf
        x, y, w, b = self.constants(i, "x y w b")

        def value_and_gradient(w: Any, b: Any, x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch((w, b))
                z = tf.linalg.matvec(x, w) + b
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z))
            return loss, tape.gradient(loss, (w, b))

        return Bench(self.compiled(value_and_gradient), (w, b, x, y))

    def network(self, kind: str, p: list[Any]) -> Callable[[Any, Any], Any]:
        tf = self.tf

        def classes(x: Any, y: Any) -> Any:
            h = tf.nn.relu(x @ p[0] + p[1])
            return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=h @ p[2] + p[3]))

        def squares(x: Any, y: Any) -> Any:
            h = tf.tanh(x @ p[0] + p[1])
            h = tf.tanh(h @ p[2] + p[3])
            return tf.reduce_mean((h @ p[4] + p[5] - y) ** 2)

        return classes if kind == "mlp" else squares

    def step(self, kind: str, rule: str, i: Inputs) -> Bench:
        tf, rate = self.tf, RATES[rule]
        p = [tf.Variable(q) for q in parameters(i)]
        loss_of = self.network(kind, p)
        adam = tf.keras.optimizers.Adam(rate, epsilon=EPSILON)
        adam.build(p)

        def train_step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = loss_of(x, y)
            gradients = tape.gradient(loss, p)
            if rule == "sgd":
                for q, g in zip(p, gradients, strict=True):
                    q.assign_sub(rate * g)
            else:
                adam.apply_gradients(zip(gradients, p, strict=True))
            return loss

        step, reset = self.compiled(train_step), self.reset(p, adam, i)
        x, y = self.constants(i, "x y")

        def result() -> list[Any]:
            reset()
            return [step(x, y), *changes(i, [q.numpy() for q in p], rate)]

        return Bench(step, (x, y), 1, result, reset)

    def reset(self, variables: list[Any], optimizer: Any, i: Inputs) -> Callable[[], None]:
        """Puts variables back to the start and the optimizer's state to zero."""
        tf = self.tf

        def reset() -> None:
            for variable, value in zip(variables, parameters(i), strict=True):
                variable.assign(value)
            for variable in optimizer.variables:
                if variable is not optimizer.learning_rate:
                    variable.assign(tf.zeros(variable.shape, variable.dtype))

        return reset

    def mlp_sgd(self, i: Inputs) -> Bench:
        return self.step("mlp", "sgd", i)

    def mlp_adam(self, i: Inputs) -> Bench:
        return self.step("mlp", "adam", i)

    def tiny_sgd(self, i: Inputs) -> Bench:
        return self.step("tiny", "sgd", i)

    def tiny_adam(self, i: Inputs) -> Bench:
        return self.step("tiny", "adam", i)

    def digits_step(self, i: Inputs) -> Bench:
        tf, keras = self.tf, self.tf.keras
        dense = keras.layers.Dense
        model = keras.Sequential([dense(64, activation="relu"), dense(64, activation="relu"), dense(10)])
        model.build((None, 64))
        optimizer = keras.optimizers.Adam(DIGITS_RATE)
        optimizer.build(model.trainable_variables)

        def train_step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x)))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        step, reset = self.compiled(train_step), self.reset(model.trainable_variables, optimizer, i)
        batches = [(tf.constant(x), tf.constant(y)) for x, y in zip(i["x"], i["y"], strict=True)]

        def epoch() -> Any:
            for x, y in batches:
                loss = step(x, y)
            return loss.numpy()

        def result() -> list[Any]:
            reset()
            return [epoch(), *(v.numpy() for v in model.trainable_variables)]

        return Bench(epoch, (), len(batches), result, reset)
