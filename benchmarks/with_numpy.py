"""NumPy as its users write it: derivatives by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from timing import Bench, Builder
from workloads import Inputs
from workloads.arrays import bump
from workloads.base import Array
from workloads.calls import MANY
from workloads.fitting import mixture
from workloads.loops import DIFFUSION, HIDDEN, REACTION, gradients_of_gates
from workloads.training import DIGITS_RATE, GRADIENTS, RATES, adam_by_hand, changes, parameters


def version() -> str:
    return f"numpy {np.__version__}"


def of_x(f: Callable[[Array], Any]) -> Builder:
    return lambda i: Bench(f, (i["x"],))


def many(f: Callable[[Array], Array]) -> Builder:
    def call(x: Array) -> Array:
        for _ in range(MANY):
            y = f(x)
        return y

    return lambda i: Bench(call, (i["x"][()],), MANY)


def elementwise(x: Array) -> list[Any]:
    y, slope = bump(x)
    return [np.sum(y), slope]


def fifty_lengths(i: Inputs) -> Bench:
    xs = list(i.values())
    return Bench(lambda: [bump(x)[1] for x in xs])


def value_of_rosenbrock(x: Array) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def gradient_of_rosenbrock(x: Array) -> list[Any]:
    a, b = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    g = np.zeros_like(x)
    g[:-1] = -400.0 * x[:-1] * a - 2.0 * b
    g[1:] += 200.0 * a
    return [np.sum(100.0 * a * a + b * b), g]


def logistic(i: Inputs) -> Bench:
    def value_and_gradient(x: Array, y: Array, w: Array, b: Array) -> list[Any]:
        z = x @ w + b
        e = np.exp(-np.abs(z))
        off = np.where(z > 0, 1.0, e) / (1.0 + e) - y
        return [np.mean(np.maximum(z, 0) + np.log1p(e) - y * z), x.T @ off / len(y), off.mean()]

    return Bench(value_and_gradient, tuple(i.values()))


class Trainer:
    """Parameters and Adam's state, updated in place."""

    def __init__(self, i: Inputs, kind: str, rule: str, rate: float) -> None:
        self.i, self.gradients, self.rule, self.rate = i, GRADIENTS[kind], rule, np.float32(rate)
        self.reset()

    def reset(self) -> None:
        self.p, self.count = [q.copy() for q in parameters(self.i)], 0
        self.m, self.v = ([np.zeros_like(q) for q in self.p] for _ in range(2))

    def step(self, x: Array, y: Array) -> Any:
        loss, grads = self.gradients(self.p, x, y)
        self.count += 1
        if self.rule == "sgd":
            for q, g in zip(self.p, grads, strict=True):
                q -= self.rate * g
        else:
            adam_by_hand(self.p, self.m, self.v, grads, self.count, float(self.rate))
        return loss


def one_step(kind: str, rule: str) -> Builder:
    def build(i: Inputs) -> Bench:
        trainer = Trainer(i, kind, rule, RATES[rule])

        def result() -> list[Any]:
            trainer.reset()
            return [trainer.step(i["x"], i["y"]), *changes(i, trainer.p, RATES[rule])]

        return Bench(trainer.step, (i["x"], i["y"]), 1, result, trainer.reset)

    return build


def digits_step(i: Inputs) -> Bench:
    trainer = Trainer(i, "mlp", "adam", DIGITS_RATE)

    def epoch() -> Any:
        for x, y in zip(i["x"], i["y"], strict=True):
            loss = trainer.step(x, y)
        return loss

    def result() -> list[Any]:
        trainer.reset()
        return [epoch(), *trainer.p]

    return Bench(epoch, (), len(i["x"]), result, trainer.reset)


def rnn(i: Inputs) -> Bench:
    def value_and_gradient(x: Array, w: Array, u: Array, b: Array) -> list[Any]:
        steps, batch, features = x.shape
        zs = (x.reshape(-1, features) @ w + b).reshape(steps, batch, HIDDEN)
        hs = np.zeros((steps + 1, batch, HIDDEN), x.dtype)
        for t in range(steps):
            hs[t + 1] = np.tanh(zs[t] + hs[t] @ u)
        dz, dh, scale = np.empty_like(zs), np.zeros_like(zs[0]), x.dtype.type(2.0 / zs.size)
        for t in reversed(range(steps)):
            h = hs[t + 1]
            dz[t] = (dh + scale * h) * (1 - h * h)
            dh = dz[t] @ u.T
        return [np.mean(hs[1:] ** 2), *gradients_of_gates(x, hs, dz)]

    return Bench(value_and_gradient, tuple(i.values()))


def time_steps(reaction: float) -> Builder:
    def value_and_gradient(u: Array, steps: int) -> list[Any]:
        states = np.empty((steps + 1, u.size), u.dtype)
        states[0] = u
        for q, p in pairwise(states):
            c = q[1:-1]
            p[:] = q
            p[1:-1] += DIFFUSION * (q[:-2] - 2.0 * c + q[2:]) + reaction * (c - c * c * c)
        g = states[-1].copy()
        for q in states[-2::-1]:
            inside = g[1:-1].copy()
            g[1:-1] += inside * (reaction - 2.0 * DIFFUSION - 3.0 * reaction * q[1:-1] ** 2)
            g[:-2] += DIFFUSION * inside
            g[2:] += DIFFUSION * inside
        return [0.5 * np.sum(states[-1] ** 2), g]

    return lambda i: Bench(value_and_gradient, (i["u"], int(i["steps"])))


CALLS: dict[str, Builder] = {
    **{name: of_x(lambda x: x * x) for name in ("call_tensor", "call_ndarray")},
    **{name: of_x(lambda x: 2.0 * x) for name in ("gradient_tensor", "gradient_ndarray")},
    "eager_add": many(lambda x: x + x), "eager_mul": many(lambda x: x * x), "eager_sin": many(np.sin),
}  # fmt: skip
ARRAYS: dict[str, Builder] = {
    "elementwise": of_x(elementwise), "fifty_lengths": fifty_lengths,
    "rosenbrock_value": of_x(value_of_rosenbrock), "rosenbrock_gradient": of_x(gradient_of_rosenbrock),
    "mixture": lambda i: Bench(mixture, (i,)),
}  # fmt: skip
PROGRAMS: dict[str, Builder] = {
    "logistic": logistic, "digits_step": digits_step, "rnn": rnn,
    "heat": time_steps(0.0), "allen_cahn": time_steps(REACTION),
    **{f"{kind}_{rule}": one_step(kind, rule) for kind in GRADIENTS for rule in RATES},
}  # fmt: skip
VARIANTS = {"numpy": {**CALLS, **ARRAYS, **PROGRAMS}}
