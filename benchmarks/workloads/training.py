"""Training: logistic regression, and whole steps (forward, backward, update) of three networks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from .base import Array, Inputs, Size, Workload, doubles, generator, pair, whole

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7
RATES = {"sgd": 1e-3, "adam": 1e-5}      # small: the steps of one sample stay near where they started
DIGITS_RATE = 1e-3
LAYERS = {"mlp": (784, 128, 10), "tiny": (2, 16, 16, 1)}


def logistic_inputs(size: Size) -> Inputs:
    n, d = pair(size)
    rng = generator("logistic")
    x, w = rng.standard_normal((n, d)), 0.3 * rng.standard_normal(d)
    y = rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-x @ w))
    inputs = {"x": x, "y": y, "w": 0.5 * w, "b": np.array(0.1)}
    return {k: np.asarray(v).astype(np.float32) for k, v in inputs.items()}


def logistic(i: Inputs) -> list[Array]:
    """Mean of softplus(z) - y z with z = x w + b, and its gradient by w and b."""
    x, y, w, b = doubles(i).values()
    z = x @ w + b
    off = 1.0 / (1.0 + np.exp(-z)) - y
    return [np.mean(np.logaddexp(0.0, z) - y * z), x.T @ off / len(y), np.mean(off)]


def network_inputs(kind: str) -> Callable[[Size], Inputs]:
    """A batch of normal numbers, with classes or numbers to fit; weights of variance 1/fan-in, biases 0."""

    def inputs(size: Size) -> Inputs:
        rng, batch, widths = generator(kind), whole(size), LAYERS[kind]
        out: Inputs = {"x": rng.standard_normal((batch, widths[0])).astype(np.float32)}
        targets = rng.integers(0, 10, batch).astype(np.int32)
        out["y"] = targets if kind == "mlp" else rng.standard_normal((batch, 1)).astype(np.float32)
        for k, (a, b) in enumerate(pairwise(widths)):
            out[f"w{k}"] = (rng.standard_normal((a, b)) / np.sqrt(a)).astype(np.float32)
            out[f"b{k}"] = np.zeros(b, np.float32)
        return out

    return inputs


def digits_inputs(size: Size) -> Inputs:
    """The first 44 batches of scikit-learn's handwritten digits, and Glorot-uniform weights of 64-64-64-10."""
    from sklearn.datasets import load_digits

    batch, steps = whole(size), 44
    images, labels = load_digits(return_X_y=True)
    inputs: Inputs = {
        "x": (images[: steps * batch] / 16.0).astype(np.float32).reshape(steps, batch, 64),
        "y": labels[: steps * batch].astype(np.int32).reshape(steps, batch),
    }
    rng = np.random.default_rng(1)
    for k, (a, b) in enumerate([(64, 64), (64, 64), (64, 10)]):
        limit = np.sqrt(6.0 / (a + b))
        inputs[f"w{k}"] = rng.uniform(-limit, limit, (a, b)).astype(np.float32)
        inputs[f"b{k}"] = np.zeros(b, np.float32)
    return inputs


def parameters(i: Inputs) -> list[Array]:
    """Weights and biases, layer by layer."""
    return [i[name] for name in i if name[0] in "wb"]


def cross_entropy_gradients(p: list[Array], x: Array, y: Array) -> tuple[Array, list[Array]]:
    """Loss and gradients of dense layers with relu between them; works in the dtype of its arguments."""
    layers = [x]
    for w, b in zip(p[:-2:2], p[1:-2:2], strict=True):
        layers.append(np.maximum(layers[-1] @ w + b, 0))
    z = layers[-1] @ p[-2] + p[-1]
    z -= z.max(1, keepdims=True)
    e = np.exp(z)
    s = e.sum(1, keepdims=True)
    rows = np.arange(len(y))
    loss = np.mean(np.log(s[:, 0]) - z[rows, y])
    d = e / s
    d[rows, y] -= 1
    d /= len(y)
    gradients: list[Array] = []
    for k in reversed(range(len(layers))):
        gradients[:0] = [layers[k].T @ d, d.sum(0)]
        if k:
            d = (d @ p[2 * k].T) * (layers[k] > 0)
    return loss, gradients


def squares_gradients(p: list[Array], x: Array, y: Array) -> tuple[Array, list[Array]]:
    """Mean squared error and gradients of 2-16-16-1 with tanh."""
    w0, b0, w1, b1, w2, b2 = p
    h0 = np.tanh(x @ w0 + b0)
    h1 = np.tanh(h0 @ w1 + b1)
    off = h1 @ w2 + b2 - y
    d2 = off * p[0].dtype.type(2.0 / len(y))
    d1 = (d2 @ w2.T) * (1 - h1 * h1)
    d0 = (d1 @ w1.T) * (1 - h0 * h0)
    return np.mean(off * off), [x.T @ d0, d0.sum(0), h0.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0)]


GRADIENTS = {"mlp": cross_entropy_gradients, "tiny": squares_gradients}


def adam_by_hand(p: list[Array], m: list[Array], v: list[Array], grads: list[Array], step: int, rate: float) -> None:
    """Kingma and Ba's Adam in the form of their section 2, as Keras computes it; updates p, m, v in place."""
    alpha = p[0].dtype.type(rate * np.sqrt(1.0 - BETA2**step) / (1.0 - BETA1**step))
    one1, one2, eps = (p[0].dtype.type(c) for c in (1.0 - BETA1, 1.0 - BETA2, EPSILON))
    for q, mq, vq, g in zip(p, m, v, grads, strict=True):
        mq += (g - mq) * one1
        vq += (g * g - vq) * one2
        q -= alpha * mq / (np.sqrt(vq) + eps)


def changes(i: Inputs, after: list[Array], rate: float) -> list[Array]:
    """What a step did to the parameters, divided by the learning rate: an update that is missing cannot hide."""
    return [(np.asarray(q, np.float64) - p) / rate for p, q in zip(parameters(i), after, strict=True)]


def network_step(kind: str, rule: str) -> Callable[[Inputs], list[Array]]:
    """The loss, and what the first step changes."""

    def step(i: Inputs) -> list[Array]:
        d = doubles(i)
        p = parameters(d)
        loss, grads = GRADIENTS[kind](p, d["x"], d["y"])
        if rule == "sgd":
            return [loss, *(-g for g in grads)]
        m, v = [np.zeros_like(q) for q in p], [np.zeros_like(q) for q in p]
        after = [q.copy() for q in p]
        adam_by_hand(after, m, v, grads, 1, RATES["adam"])
        return [loss, *changes(d, after, RATES["adam"])]

    return step


def digits_epoch(i: Inputs) -> list[Array]:
    """Last loss and all parameters after one pass over the batches, in float64."""
    d = doubles(i)
    p = [q.copy() for q in parameters(d)]
    m, v = [np.zeros_like(q) for q in p], [np.zeros_like(q) for q in p]
    loss = np.zeros(())
    for step, (x, y) in enumerate(zip(d["x"], d["y"], strict=True), 1):
        loss, grads = cross_entropy_gradients(p, x, y)
        adam_by_hand(p, m, v, grads, step, DIGITS_RATE)
    return [loss, *p]


TITLES = {"mlp": "784-128-10, relu, cross-entropy", "tiny": "2-16-16-1, tanh, squares"}
TRAINING = [
    Workload(
        "logistic", "logistic regression, value and gradient", "training",
        ("10000x100", "100000x20"), "100x10", logistic_inputs, logistic, 1e-4,
    ),
    *(
        Workload(
            f"{kind}_{rule}", f"step of {TITLES[kind]}, {rule.upper()}", "training",
            (32, 256) if kind == "mlp" else (32,), 32, network_inputs(kind), network_step(kind, rule), 2e-2, "step",
        )
        for kind in LAYERS for rule in RATES
    ),
    Workload(
        "digits_step", "digits train step, 64-64-64-10, batch 32, Adam", "training",
        (32,), 32, digits_inputs, digits_epoch, 5e-2, "step",
    ),
]  # fmt: skip
