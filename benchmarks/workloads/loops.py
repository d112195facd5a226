"""Programs with loops: recurrent networks, scalar loops, explicit time steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .base import Array, Inputs, Size, Workload, doubles, generator, pair, whole

BATCH, FEATURES, HIDDEN = 16, 32, 64
DIFFUSION, REACTION = 0.2, 0.01
RATE = 0.01


def recurrent_inputs(gates: int) -> Callable[[Size], Inputs]:
    def inputs(size: Size) -> Inputs:
        rng, width = generator("recurrent"), gates * HIDDEN
        arrays = {
            "x": rng.standard_normal((whole(size), BATCH, FEATURES)),
            "w": rng.standard_normal((FEATURES, width)) / np.sqrt(FEATURES),
            "u": rng.standard_normal((HIDDEN, width)) / np.sqrt(HIDDEN),
            "b": 0.1 * rng.standard_normal(width),
        }
        return {k: v.astype(np.float32) for k, v in arrays.items()}

    return inputs


def gradients_of_gates(x: Array, hs: Array, dz: Array) -> list[Array]:
    """Gradients by w, u, b from those by x w + h u + b of all steps."""
    flat = dz.reshape(-1, dz.shape[-1])
    return [x.reshape(-1, x.shape[-1]).T @ flat, hs[:-1].reshape(-1, HIDDEN).T @ flat, flat.sum(0)]


def rnn(i: Inputs) -> list[Array]:
    """Mean of all h^2 where h = tanh(x_t w + h u + b), and its gradient by w, u, b."""
    x, w, u, b = doubles(i).values()
    hs = np.zeros((len(x) + 1, BATCH, HIDDEN))
    for t in range(len(x)):
        hs[t + 1] = np.tanh(x[t] @ w + hs[t] @ u + b)
    dz, dh = np.zeros((len(x), BATCH, HIDDEN)), np.zeros((BATCH, HIDDEN))
    for t in reversed(range(len(x))):
        h = hs[t + 1]
        dz[t] = (dh + 2.0 * h / hs[1:].size) * (1.0 - h * h)
        dh = dz[t] @ u.T
    return [np.asarray(np.mean(hs[1:] ** 2)), *gradients_of_gates(x, hs, dz)]


def sigmoid(z: Array) -> Array:
    out: Array = 1.0 / (1.0 + np.exp(-z))
    return out


def lstm(i: Inputs) -> list[Array]:
    """The same for [i f g o] = x_t w + h u + b, c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)."""
    x, w, u, b = doubles(i).values()
    steps, shape = len(x), (BATCH, HIDDEN)
    hs, cs, gates = np.zeros((steps + 1, *shape)), np.zeros((steps + 1, *shape)), []
    for t in range(steps):
        zi, zf, zg, zo = np.split(x[t] @ w + hs[t] @ u + b, 4, axis=1)
        gates.append((sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)))
        gi, gf, gg, go = gates[-1]
        cs[t + 1] = gf * cs[t] + gi * gg
        hs[t + 1] = go * np.tanh(cs[t + 1])
    dz, dh, dc = np.zeros((steps, BATCH, 4 * HIDDEN)), np.zeros(shape), np.zeros(shape)
    for t in reversed(range(steps)):
        gi, gf, gg, go = gates[t]
        tc = np.tanh(cs[t + 1])
        dh += 2.0 * hs[t + 1] / hs[1:].size
        dc += dh * go * (1.0 - tc * tc)
        parts = [dc * gg * gi * (1 - gi), dc * cs[t] * gf * (1 - gf), dc * gi * (1 - gg * gg), dh * tc * go * (1 - go)]
        dz[t] = np.concatenate(parts, 1)
        dc, dh = dc * gf, dz[t] @ u.T
    return [np.asarray(np.mean(hs[1:] ** 2)), *gradients_of_gates(x, hs, dz)]


def descent_inputs(size: Size) -> Inputs:
    scalars = {"x": 5.0, "a": 1.5, "b": -2.0}
    return {**{k: np.array(v, np.float32) for k, v in scalars.items()}, "steps": np.array(size)}


def descent(i: Inputs) -> list[Array]:
    """x after steps of x -= rate * d/dx (a x^2 + b x): it contracts to -b / 2a by 1 - 2 a rate a step."""
    x, a, b, steps = doubles(i).values()
    best = -b / (2.0 * a)
    return [best + (x - best) * (1.0 - 2.0 * a * RATE) ** steps]


def recurrence_inputs(size: Size) -> Inputs:
    return {"x": np.array(0.5, np.float32), "c": np.array(0.1, np.float32), "steps": np.array(size)}


def recurrence(i: Inputs) -> list[Array]:
    """x after N steps of x += h (1.01 sin x + c), h = 2/N, and its derivatives by the first x and by c, run along.

    An Euler step: the map without h contracts, so that its adjoint would sink into subnormal numbers.
    """
    d = doubles(i)
    x, c, steps = float(d["x"]), float(d["c"]), int(i["steps"])
    h, by_x, by_c = 2.0 / steps, 1.0, 0.0
    for _ in range(steps):
        slope = 1.0 + h * 1.01 * np.cos(x)
        x, by_x, by_c = x + h * (1.01 * np.sin(x) + c), slope * by_x, slope * by_c + h
    return [np.asarray(x), np.asarray(by_x), np.asarray(by_c)]


def field_inputs(size: Size) -> Inputs:
    n, steps = pair(size)
    u = np.sin(np.linspace(0.0, 9.0, n)) + 0.3 * generator("field").standard_normal(n)
    return {"u": u.astype(np.float32), "steps": np.array(steps)}


def time_steps(reaction: float) -> Callable[[Inputs], list[Array]]:
    """Half the sum of squares after u += 0.2 (left - 2 u + right) + reaction (u - u^3) inside, and its gradient."""

    def reference(i: Inputs) -> list[Array]:
        states = [doubles(i)["u"]]
        for _ in range(int(i["steps"])):
            u = states[-1].copy()
            c = states[-1][1:-1]
            u[1:-1] += DIFFUSION * (states[-1][:-2] - 2.0 * c + states[-1][2:]) + reaction * (c - c**3)
            states.append(u)
        g = states[-1].copy()
        for u in states[-2::-1]:
            inside = g[1:-1].copy()
            g[1:-1] += inside * (-2.0 * DIFFUSION + reaction * (1.0 - 3.0 * u[1:-1] ** 2))
            g[:-2] += DIFFUSION * inside
            g[2:] += DIFFUSION * inside
        return [0.5 * np.sum(states[-1] ** 2), g]

    return reference


LOOPS = [
    Workload("rnn", "recurrent network, 100 steps, hidden 64, batch 16, value and gradient", "loops",
             (100,), 5, recurrent_inputs(1), rnn, 1e-3),
    Workload("lstm", "the same with LSTM cells", "loops", (100,), 5, recurrent_inputs(4), lstm, 1e-3),
    Workload("descent", "steps of x -= 0.01 f'(x), the gradient inside of the loop", "loops",
             (1000,), 20, descent_inputs, descent, 1e-4),
    Workload("recurrence", "x += h (1.01 sin x + c), value and derivatives through the loop", "loops",
             (1000, 100_000), 20, recurrence_inputs, recurrence, 1e-2),
    Workload("heat", "explicit heat equation with slices, cells x steps, value and gradient", "loops",
             ("1000x1000",), "20x5", field_inputs, time_steps(0.0), 1e-3),
    Workload("allen_cahn", "the same with a reaction u - u^3", "loops",
             ("1000x1000",), "20x5", field_inputs, time_steps(REACTION), 1e-3),
    Workload("elements", "the same written with a loop over the elements", "loops",
             ("100x100", "1000x1000"), "20x5", field_inputs, time_steps(REACTION), 1e-3),
]  # fmt: skip
