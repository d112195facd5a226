"""Logistic regression and train steps: pure functions of the parameters, whose buffers are donated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from timing import Bench, Builder
from workloads import Inputs
from workloads.training import BETA1, BETA2, DIGITS_RATE, EPSILON, RATES, changes, parameters

from .base import arrays, ready

State = Any


def logistic(i: Inputs) -> Bench:
    def loss(w: Any, b: Any, x: Any, y: Any) -> Any:
        z = x @ w + b
        return jnp.mean(jax.nn.softplus(z) - y * z)

    return Bench(ready(jax.jit(jax.value_and_grad(loss, (0, 1)))), arrays(i, "w b x y"))


def cross_entropy(p: list[Any], x: Any, y: Any) -> Any:
    h = x
    for w, b in zip(p[:-2:2], p[1:-2:2], strict=True):
        h = jax.nn.relu(h @ w + b)
    logits = h @ p[-2] + p[-1]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


def squares(p: list[Any], x: Any, y: Any) -> Any:
    h = jnp.tanh(x @ p[0] + p[1])
    h = jnp.tanh(h @ p[2] + p[3])
    return jnp.mean((h @ p[4] + p[5] - y) ** 2)


def sgd(rate: float) -> Callable[..., Any]:
    def update(p: list[Any], state: State, grads: list[Any]) -> tuple[Any, Any]:
        return jax.tree.map(lambda q, g: q - rate * g, p, grads), state

    return update


def adam(rate: float) -> Callable[..., Any]:
    def update(p: list[Any], state: State, grads: list[Any]) -> tuple[Any, Any]:
        step, m, v = state
        step = step + 1
        m = jax.tree.map(lambda a, g: a + (g - a) * (1 - BETA1), m, grads)
        v = jax.tree.map(lambda a, g: a + (g * g - a) * (1 - BETA2), v, grads)
        alpha = rate * jnp.sqrt(1 - BETA2**step) / (1 - BETA1**step)
        p = jax.tree.map(lambda q, a, b: q - alpha * a / (jnp.sqrt(b) + EPSILON), p, m, v)
        return p, (step, m, v)

    return update


class Trainer:
    """Parameters and optimizer state, and the compiled step from one to the next."""

    def __init__(self, i: Inputs, loss: Any, update: Any) -> None:
        self.i = i

        def train_step(p: list[Any], state: State, x: Any, y: Any) -> Any:
            value, grads = jax.value_and_grad(loss)(p, x, y)
            return value, *update(p, state, grads)

        self.compiled = jax.jit(train_step, donate_argnums=(0, 1))
        self.reset()

    def reset(self) -> None:
        self.p = [jnp.array(q) for q in parameters(self.i)]
        m, v = ([jnp.zeros_like(q) for q in self.p] for _ in range(2))
        self.state = (jnp.array(0.0, jnp.float32), m, v)

    def step(self, x: Any, y: Any) -> Any:
        loss, self.p, self.state = self.compiled(self.p, self.state, x, y)
        return loss


def one_step(loss: Any, rule: str) -> Builder:
    def build(i: Inputs) -> Bench:
        trainer = Trainer(i, loss, {"sgd": sgd, "adam": adam}[rule](RATES[rule]))
        x, y = arrays(i, "x y")

        def call() -> Any:
            value = trainer.step(x, y)
            jax.block_until_ready(trainer.p)
            return value

        def result() -> list[Any]:
            trainer.reset()
            return [call(), *changes(i, trainer.p, RATES[rule])]

        return Bench(call, (), 1, result, trainer.reset)

    return build


def digits_step(i: Inputs) -> Bench:
    trainer = Trainer(i, cross_entropy, adam(DIGITS_RATE))
    batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(i["x"], i["y"], strict=True)]

    def epoch() -> Any:
        for x, y in batches:
            loss = trainer.step(x, y)
        jax.block_until_ready((loss, trainer.p))
        return loss

    def result() -> list[Any]:
        trainer.reset()
        return [epoch(), *trainer.p]

    return Bench(epoch, (), len(batches), result, trainer.reset)


BUILDERS: dict[str, Builder] = {
    "logistic": logistic, "digits_step": digits_step,
    "mlp_sgd": one_step(cross_entropy, "sgd"), "mlp_adam": one_step(cross_entropy, "adam"),
    "tiny_sgd": one_step(squares, "sgd"), "tiny_adam": one_step(squares, "adam"),
}  # fmt: skip
