"""HIPS Autograd: NumPy and a tape, eager."""

from __future__ import annotations

from typing import Any

import autograd
import autograd.numpy as np
from autograd.core import make_vjp
from autograd.scipy.special import erf, logsumexp
from timing import Bench, Builder, only
from workloads import Inputs
from workloads.calls import MANY
from workloads.fitting import places
from workloads.loops import BATCH, DIFFUSION, HIDDEN, RATE, REACTION
from workloads.training import RATES, changes, parameters


def version() -> str:
    from importlib.metadata import version as of

    return f"autograd {of('autograd')}"


def square(x: Any) -> Any:
    return x * x


def cube(x: Any) -> Any:
    return x * x * x


def chain20(x: Any) -> Any:
    y = x
    for _ in range(6):
        y = np.sin(y) * x + x
    return np.sin(y) * x


def taped(f: Any) -> Builder:
    def chain(x: Any) -> Any:
        y = x
        for _ in range(MANY):
            y = f(y, x)
        return y

    return lambda i: Bench(lambda x: make_vjp(chain, x)[1], (i["x"] if i["x"].ndim else float(i["x"]),), MANY)


def gradient(f: Any) -> Builder:
    return lambda i: Bench(autograd.elementwise_grad(f), (i["x"] if i["x"].ndim else float(i["x"]),))


def bump_sum(x: Any) -> Any:
    return np.sum(np.tanh(x) * np.exp(-x * x) + np.sin(x))


def fifty_lengths(i: Inputs) -> Bench:
    g, xs = autograd.grad(bump_sum), list(i.values())
    return Bench(lambda: [g(x) for x in xs])


def black_scholes(i: Inputs) -> Bench:
    def normal(d: Any) -> Any:
        return 0.5 * (1.0 + erf(d * 0.7071067811865476))

    def total(p: Any) -> Any:
        s, k, t, r, v = p
        root = np.sqrt(t)
        d1 = (np.log(s / k) + (r + 0.5 * v * v) * t) / (v * root)
        return np.sum(s * normal(d1) - k * np.exp(-r * t) * normal(d1 - v * root))

    return Bench(autograd.value_and_grad(total), (tuple(i.values()),))


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def mixture(i: Inputs) -> Bench:
    where, x = places(), i["x"]

    def likelihood(p: Any) -> Any:
        alphas, means, logs, lower = p
        scale = np.exp(logs)
        triangle = np.concatenate([lower, np.zeros((len(alphas), 1))], 1)[:, where]
        centred = x[:, None, :] - means
        q = scale * centred + np.einsum("kab,nkb->nka", triangle, centred)
        main = alphas + np.sum(logs, 1) - 0.5 * np.sum(q * q, 2)
        each = np.sum(logsumexp(main, axis=1)) - len(x) * logsumexp(alphas)
        return each + 0.5 * (np.sum(scale * scale) + np.sum(lower * lower))

    return Bench(autograd.value_and_grad(likelihood), (tuple(i[k] for k in ("alphas", "means", "logs", "lower")),))


def logistic(i: Inputs) -> Bench:
    x, y = i["x"], i["y"]

    def loss(p: Any) -> Any:
        z = np.dot(x, p[0]) + p[1]
        return np.mean(np.logaddexp(0.0, z) - y * z)

    return Bench(autograd.value_and_grad(loss), ((i["w"], float(i["b"])),))


def mlp_sgd(i: Inputs) -> Bench:
    x, y, rows, rate = i["x"], i["y"], np.arange(len(i["y"])), np.float32(RATES["sgd"])
    now = {"p": parameters(i)}

    def loss(p: Any) -> Any:
        h = np.maximum(np.dot(x, p[0]) + p[1], 0)
        z = np.dot(h, p[2]) + p[3]
        return np.mean(logsumexp(z, axis=1) - z[rows, y])

    both = autograd.value_and_grad(loss)

    def step() -> Any:
        value, grads = both(now["p"])
        now["p"] = [q - rate * g for q, g in zip(now["p"], grads, strict=True)]
        return value

    def reset() -> None:
        now["p"] = parameters(i)

    def result() -> list[Any]:
        reset()
        return [step(), *changes(i, now["p"], RATES["sgd"])]

    return Bench(step, (), 1, result, reset)


def rnn_cell(z: Any, c: Any) -> tuple[Any, Any]:
    return np.tanh(z), c


def lstm_cell(z: Any, c: Any) -> tuple[Any, Any]:
    gi, gf, go = (1.0 / (1.0 + np.exp(-z[:, k * HIDDEN : (k + 1) * HIDDEN])) for k in (0, 1, 3))
    c = gf * c + gi * np.tanh(z[:, 2 * HIDDEN : 3 * HIDDEN])
    return go * np.tanh(c), c


def recurrent(cell: Any) -> Builder:
    def build(i: Inputs) -> Bench:
        def loss(p: Any) -> Any:
            w, u, b = p
            h = c = np.zeros((BATCH, HIDDEN), np.float32)
            total = 0.0
            for row in i["x"]:
                h, c = cell(np.dot(row, w) + np.dot(h, u) + b, c)
                total = total + np.sum(h * h)
            return total / (len(i["x"]) * BATCH * HIDDEN)

        return Bench(autograd.value_and_grad(loss), (tuple(i[k] for k in "wub"),))

    return build


def descent(i: Inputs) -> Bench:
    start, a, b = (float(i[k]) for k in "xab")
    slope, steps = autograd.grad(lambda x: a * x * x + b * x), int(i["steps"])

    def train(x: float) -> float:
        for _ in range(steps):
            x = x - RATE * slope(x)
        return x

    return Bench(train, (start,))


def recurrence(i: Inputs) -> Bench:
    steps = int(i["steps"])
    h = 2.0 / steps

    def last(p: Any) -> Any:
        x, c = p
        for _ in range(steps):
            x = x + h * (1.01 * np.sin(x) + c)
        return x

    return Bench(autograd.value_and_grad(last), ((float(i["x"]), float(i["c"])),))


def time_steps(reaction: float) -> Builder:
    def build(i: Inputs) -> Bench:
        def energy(u: Any) -> Any:
            for _ in range(int(i["steps"])):
                c = u[1:-1]
                change = DIFFUSION * (u[:-2] - 2.0 * c + u[2:])
                if reaction:
                    change = change + reaction * (c - c * c * c)
                u = np.concatenate([u[:1], c + change, u[-1:]])
            return 0.5 * np.sum(u * u)

        return Bench(autograd.value_and_grad(energy), (i["u"],))

    return build


BUILDERS: dict[str, Builder] = {
    "gradient_float": lambda i: Bench(autograd.grad(square), (float(i["x"]),)),
    "gradient_ndarray": lambda i: Bench(autograd.grad(square), (i["x"].astype(np.float64),)),
    "taped_add": taped(lambda y, x: y + x), "taped_mul": taped(lambda y, x: y * x),
    "taped_sin": taped(lambda y, x: np.sin(y)),
    "tape_cube": gradient(cube), "tape_chain20": gradient(chain20),
    "elementwise": lambda i: Bench(autograd.value_and_grad(bump_sum), (i["x"],)),
    "eager_tape": lambda i: Bench(autograd.value_and_grad(bump_sum), (i["x"],)),
    "fifty_lengths": fifty_lengths, "black_scholes": black_scholes,
    "rosenbrock_gradient": lambda i: Bench(autograd.value_and_grad(rosenbrock), (i["x"],)),
    "rosenbrock_hvp": lambda i: Bench(autograd.hessian_vector_product(rosenbrock), (i["x"], i["v"])),
    "rosenbrock_hessian": lambda i: Bench(autograd.hessian(rosenbrock), (i["x"],)),
    "mixture": mixture, "logistic": logistic, "mlp_sgd": mlp_sgd,
    "rnn": recurrent(rnn_cell), "lstm": recurrent(lstm_cell),
    "descent": descent, "recurrence": only(recurrence, 1000),
    "heat": time_steps(0.0), "allen_cahn": time_steps(REACTION),
}  # fmt: skip
VARIANTS = {"autograd": BUILDERS}
