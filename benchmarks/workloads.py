"""What is measured, on which inputs, and what every framework must answer.

The inputs are made once, by the process that conducts the run, and every framework reads the same arrays. The reference
answers are computed here with NumPy in float64, by formulas written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = dict[str, Array]

LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-7
BATCH = 32


@dataclass(frozen=True)
class Workload:
    """`unit` is what a time is divided by; `tolerance` the relative error allowed against the reference."""

    name: str
    title: str
    unit: str
    sizes: tuple[int, ...]
    inputs: Callable[[int], Inputs]
    reference: Callable[[Inputs], list[Array]]
    tolerance: float = 1e-5


def scalar_inputs(n: int) -> Inputs:
    return {"x": np.array(3.0, np.float32)}


def vector_inputs(n: int) -> Inputs:
    return {"x": np.random.default_rng(0).uniform(-3.0, 3.0, n).astype(np.float32)}


def op_inputs(n: int) -> Inputs:
    return scalar_inputs(n) if n == 1 else vector_inputs(n)


def value_and_gradient(inputs: Inputs) -> list[Array]:
    """sum(tanh(x) exp(-x^2) + sin(x)) and its derivative (1 - tanh^2) e - 2 x tanh e + cos x."""
    x = inputs["x"].astype(np.float64)
    t, e = np.tanh(x), np.exp(-x * x)
    return [np.sum(t * e + np.sin(x)), (1.0 - t * t) * e - 2.0 * x * t * e + np.cos(x)]


def digits_inputs(batch: int) -> Inputs:
    """The first 44 batches of scikit-learn's handwritten digits, and Glorot-uniform weights of 64-64-64-10."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    steps = 44
    inputs: Inputs = {
        "x": (images[: steps * batch] / 16.0).astype(np.float32).reshape(steps, batch, 64),
        "y": labels[: steps * batch].astype(np.int32).reshape(steps, batch),
    }
    rng = np.random.default_rng(1)
    for i, (a, b) in enumerate([(64, 64), (64, 64), (64, 10)]):
        limit = np.sqrt(6.0 / (a + b))
        inputs[f"w{i}"] = rng.uniform(-limit, limit, (a, b)).astype(np.float32)
        inputs[f"b{i}"] = np.zeros(b, np.float32)
    return inputs


def parameters(inputs: Inputs) -> list[Array]:
    return [inputs[f"{kind}{i}"] for i in range(3) for kind in "wb"]


def digits_gradients(p: list[Array], x: Array, y: Array) -> tuple[Array, list[Array]]:
    """Loss and gradients of the network by hand; works in the dtype of its arguments."""
    w0, b0, w1, b1, w2, b2 = p
    h0 = np.maximum(x @ w0 + b0, 0)
    h1 = np.maximum(h0 @ w1 + b1, 0)
    z = h1 @ w2 + b2
    z -= z.max(1, keepdims=True)
    e = np.exp(z)
    s = e.sum(1, keepdims=True)
    rows = np.arange(len(y))
    loss = np.mean(np.log(s[:, 0]) - z[rows, y])
    dz = e / s
    dz[rows, y] -= 1
    dz /= len(y)
    d1 = (dz @ w2.T) * (h1 > 0)
    d0 = (d1 @ w1.T) * (h0 > 0)
    return loss, [x.T @ d0, d0.sum(0), h0.T @ d1, d1.sum(0), h1.T @ dz, dz.sum(0)]


def adam_by_hand(p: list[Array], m: list[Array], v: list[Array], grads: list[Array], step: int) -> None:
    """Kingma and Ba's Adam in the form of their section 2, as Keras computes it; updates p, m, v in place."""
    alpha = p[0].dtype.type(LEARNING_RATE * np.sqrt(1.0 - BETA2**step) / (1.0 - BETA1**step))
    one1, one2, eps = (p[0].dtype.type(c) for c in (1.0 - BETA1, 1.0 - BETA2, EPSILON))
    for q, mq, vq, g in zip(p, m, v, grads, strict=True):
        mq += (g - mq) * one1
        vq += (g * g - vq) * one2
        q -= alpha * mq / (np.sqrt(vq) + eps)


def digits_epoch(inputs: Inputs) -> list[Array]:
    """Last loss and all parameters after one pass over the batches, in float64."""
    p = [q.astype(np.float64) for q in parameters(inputs)]
    m, v = [np.zeros_like(q) for q in p], [np.zeros_like(q) for q in p]
    loss: Any = 0.0
    for step, (x, y) in enumerate(zip(inputs["x"].astype(np.float64), inputs["y"], strict=True), 1):
        loss, grads = digits_gradients(p, x, y)
        adam_by_hand(p, m, v, grads, step)
    return [np.asarray(loss), *p]


def square(inputs: Inputs) -> list[Array]:
    return [inputs["x"].astype(np.float64) ** 2]


def square_gradient(inputs: Inputs) -> list[Array]:
    return [2.0 * inputs["x"].astype(np.float64)]


SUM = "sum(tanh(x)*exp(-x*x) + sin(x))"
WORKLOADS = [
    Workload("scalar_call", "compiled call, f(x) = x*x, scalar tensor in and out", "call", (1,), scalar_inputs, square),
    Workload("scalar_gradient", "compiled call of its gradient", "call", (1,), scalar_inputs, square_gradient),
    Workload(
        "value_and_gradient", f"compiled value and gradient of {SUM}, float32", "element",
        (1_000, 100_000, 10_000_000), vector_inputs, value_and_gradient, 1e-4,
    ),
    Workload(
        "digits_step", "digits train step, 64-64-64-10, batch 32, Adam", "step",
        (BATCH,), digits_inputs, digits_epoch, 5e-3,
    ),
    Workload("eager_op", "eager x*x", "call", (1, 1_000), op_inputs, square),
    Workload(
        "eager_tape", f"eager value and gradient by tape of {SUM}", "call",
        (1_000,), vector_inputs, value_and_gradient, 1e-4,
    ),
]
