"""JAX as its users write it: `jit` of `value_and_grad`, optimizer state as a tree, buffers donated."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from timing import Bench
from workloads import BETA1, BETA2, EPSILON, LEARNING_RATE, Inputs, parameters


def version() -> str:
    return f"jax {jax.__version__}"


def ready(f: Any) -> Any:
    return lambda *args: jax.block_until_ready(f(*args))


def square(x: Any) -> Any:
    return x * x


def total(x: Any) -> Any:
    return jnp.sum(jnp.tanh(x) * jnp.exp(-x * x) + jnp.sin(x))


def scalar_call(i: Inputs) -> Bench:
    return Bench(ready(jax.jit(square)), (jnp.asarray(i["x"]),))


def scalar_gradient(i: Inputs) -> Bench:
    return Bench(ready(jax.jit(jax.grad(square))), (jnp.asarray(i["x"]),))


def value_and_gradient(i: Inputs) -> Bench:
    x, f = jnp.asarray(i["x"]), ready(jax.jit(jax.value_and_grad(total)))
    return Bench(f, (x,), x.size, lambda: list(f(x)))


def eager_op(i: Inputs) -> Bench:
    return Bench(ready(square), (jnp.asarray(i["x"]),))


def eager_tape(i: Inputs) -> Bench:
    x, f = jnp.asarray(i["x"]), ready(jax.value_and_grad(total))
    return Bench(f, (x,), 1, lambda: list(f(x)))


def loss_fn(p: list[Any], x: Any, y: Any) -> Any:
    h = jax.nn.relu(x @ p[0] + p[1])
    h = jax.nn.relu(h @ p[2] + p[3])
    logits = h @ p[4] + p[5]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


@partial(jax.jit, donate_argnums=(0, 1))
def train_step(p: list[Any], state: tuple[Any, Any, Any], x: Any, y: Any) -> tuple[Any, Any, Any]:
    loss, grads = jax.value_and_grad(loss_fn)(p, x, y)
    step, m, v = state
    step = step + 1
    m = jax.tree.map(lambda a, g: a + (g - a) * (1 - BETA1), m, grads)
    v = jax.tree.map(lambda a, g: a + (g * g - a) * (1 - BETA2), v, grads)
    alpha = LEARNING_RATE * jnp.sqrt(1 - BETA2**step) / (1 - BETA1**step)
    p = jax.tree.map(lambda q, a, b: q - alpha * a / (jnp.sqrt(b) + EPSILON), p, m, v)
    return loss, p, (step, m, v)


def digits_step(i: Inputs) -> Bench:
    batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(i["x"], i["y"], strict=True)]
    now: dict[str, Any] = {}

    def reset() -> None:
        zeros = [jnp.zeros_like(q) for q in parameters(i)]
        now["p"] = [jnp.array(q) for q in parameters(i)]
        now["state"] = (jnp.array(0.0, jnp.float32), zeros, [jnp.zeros_like(q) for q in zeros])

    def epoch() -> Any:
        p, state = now["p"], now["state"]
        for x, y in batches:
            loss, p, state = train_step(p, state, x, y)
        now["p"], now["state"] = p, state
        jax.block_until_ready((loss, p))
        return loss

    def result() -> list[Any]:
        reset()
        return [epoch(), *now["p"]]

    return Bench(epoch, (), len(batches), result, reset)


VARIANTS = {
    "jax": {
        "scalar_call": scalar_call, "scalar_gradient": scalar_gradient, "value_and_gradient": value_and_gradient,
        "digits_step": digits_step, "eager_op": eager_op, "eager_tape": eager_tape,
    }
}
