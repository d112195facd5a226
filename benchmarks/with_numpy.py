"""NumPy as its users write it: eager calls, derivatives by hand."""

from __future__ import annotations

import numpy as np
from timing import Bench
from workloads import Array, Inputs, adam_by_hand, digits_gradients, parameters


def version() -> str:
    return f"numpy {np.__version__}"


def scalar_call(i: Inputs) -> Bench:
    return Bench(lambda x: x * x, (i["x"],))


def scalar_gradient(i: Inputs) -> Bench:
    return Bench(lambda x: 2.0 * x, (i["x"],))


def value_and_gradient(i: Inputs) -> Bench:
    def f(x: Array) -> list[Array]:
        t, e = np.tanh(x), np.exp(-x * x)
        return [np.sum(t * e + np.sin(x)), (1.0 - t * t) * e - 2.0 * x * t * e + np.cos(x)]

    return Bench(f, (i["x"],), i["x"].size, lambda: f(i["x"]))


def digits_step(i: Inputs) -> Bench:
    state: dict[str, list[Array]] = {}

    def reset() -> None:
        state["p"] = [q.copy() for q in parameters(i)]
        state["m"], state["v"] = ([np.zeros_like(q) for q in state["p"]] for _ in range(2))

    def epoch() -> Array:
        for step, (x, y) in enumerate(zip(i["x"], i["y"], strict=True), 1):
            loss, grads = digits_gradients(state["p"], x, y)
            adam_by_hand(state["p"], state["m"], state["v"], grads, step)
        return loss

    def result() -> list[Array]:
        reset()
        return [epoch(), *state["p"]]

    return Bench(epoch, (), len(i["x"]), result, reset)


VARIANTS = {
    "numpy": {
        "scalar_call": scalar_call, "scalar_gradient": scalar_gradient, "value_and_gradient": value_and_gradient,
        "digits_step": digits_step, "eager_op": scalar_call,
    }
}
