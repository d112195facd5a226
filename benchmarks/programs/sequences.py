"""Things that go on in time: an LSTM, a hidden Markov model, a Kalman filter; and points that run away."""

from __future__ import annotations

import numpy as np

from .base import Array, Inputs, Program, seeded


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def lstm(xs: Array, w: Array, u: Array, b: Array) -> Array:
    """The outputs [time, batch, units] for inputs xs [time, batch, features]; gates in the order i, f, g, o."""
    time, batch, _ = xs.shape
    units = u.shape[0]
    h, c = np.zeros((batch, units)), np.zeros((batch, units))
    out = np.zeros((time, batch, units))
    for t in range(time):
        z = xs[t] @ w + h @ u + b
        i, f = sigmoid(z[:, :units]), sigmoid(z[:, units : 2 * units])
        g, o = np.tanh(z[:, 2 * units : 3 * units]), sigmoid(z[:, 3 * units :])
        c = f * c + i * g
        h = o * np.tanh(c)
        out[t] = h
    return out


def lstm_objective(xs: Array, w: Array, u: Array, b: Array, target: Array) -> Array:
    return np.mean((lstm(xs, w, u, b) - target) ** 2)


def lstm_inputs(n: int) -> Inputs:
    """n units, as many time steps, batch n / 2."""
    r = seeded("lstm")
    batch, features = max(1, n // 2), max(1, n // 2)
    return {
        "xs": r.standard_normal((n, batch, features)),
        "w": r.standard_normal((features, 4 * n)) / np.sqrt(features),
        "u": r.standard_normal((n, 4 * n)) / np.sqrt(n),
        "b": np.zeros(4 * n),
        "target": r.uniform(-0.5, 0.5, (n, batch, n)),
    }


def log_sum_exp(x: Array) -> Array:
    """Along the first axis."""
    top = np.max(x, axis=0)
    return top + np.log(np.sum(np.exp(x - top), axis=0))


def hmm_forward(start: Array, move: Array, emit: Array, seen: Array) -> Array:
    """log P(seen) of a hidden Markov model; start, move [from, to] and emit [state, symbol] are log probabilities."""
    time = seen.shape[0]
    alpha = np.zeros((time, start.shape[0]))
    alpha[0] = start + emit[:, seen[0]]
    for t in range(1, time):
        alpha[t] = log_sum_exp(alpha[t - 1][:, np.newaxis] + move) + emit[:, seen[t]]
    return log_sum_exp(alpha[-1])


def hmm_inputs(n: int) -> Inputs:
    """n states, n symbols, 10 n observations."""
    r = seeded("hmm")

    def logs(x: Array) -> Array:
        made: Array = x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))
        return made

    return {
        "start": logs(r.standard_normal(n)), "move": logs(r.standard_normal((n, n))),
        "emit": logs(r.standard_normal((n, n))), "seen": r.integers(0, n, 10 * n).astype(np.int32),
    }  # fmt: skip


def kalman(zs: Array, f: Array, h: Array, q: Array, r: Array) -> tuple[Array, Array]:
    """Filtered states [time, n] and the log likelihood of the measurements zs [time, m].

    x' = f x + noise of covariance q; z = h x + noise of covariance r; x starts as 0 with covariance 1.
    """
    time, m = zs.shape
    n = f.shape[0]
    x, p = np.zeros(n), np.eye(n)
    track = np.zeros((time, n))
    log_likelihood = -0.5 * time * m * np.log(2.0 * np.pi)
    for t in range(time):
        x = f @ x
        p = f @ p @ f.T + q
        y = zs[t] - h @ x
        s = h @ p @ h.T + r
        gain = np.linalg.solve(s, h @ p).T
        log_likelihood -= 0.5 * (y @ np.linalg.solve(s, y) + np.log(np.linalg.det(s)))
        x = x + gain @ y
        p = p - gain @ (h @ p)
        track[t] = x
    return track, log_likelihood


def kalman_objective(zs: Array, f: Array, h: Array, q: Array, r: Array) -> Array:
    track, log_likelihood = kalman(zs, f, h, q, r)
    return np.mean(track**2) - log_likelihood


def kalman_inputs(n: int) -> Inputs:
    """A point in the plane with its velocity, its place measured n times."""
    g = seeded("kalman")
    f = np.eye(4) + 0.1 * np.eye(4, k=2)
    return {
        "zs": np.cumsum(0.3 * g.standard_normal((n, 2)), axis=0), "f": f, "h": np.eye(2, 4),
        "q": 0.05 * np.eye(4), "r": 0.2 * np.eye(2),
    }  # fmt: skip


def escape(cx: Array, cy: Array, limit: int) -> Array:
    """How soon z -> z^2 + c leaves a large circle, for the points of a grid: a count made smooth, 0 when it stays."""
    out = np.zeros((cy.shape[0], cx.shape[0]))
    for i in range(cy.shape[0]):
        for j in range(cx.shape[0]):
            x, y, k = 0.0, 0.0, 0
            while k < limit and x * x + y * y < 1e4:
                x, y = x * x - y * y + cx[j], 2.0 * x * y + cy[i]
                k += 1
            if k < limit:
                out[i, j] = k - np.log(np.log(x * x + y * y)) / np.log(2.0)
    return out


def escape_objective(cx: Array, cy: Array, limit: int) -> Array:
    return np.sum(escape(cx, cy, limit))


def escape_inputs(n: int) -> Inputs:
    return {"cx": np.linspace(-2.03, 0.61, n), "cy": np.linspace(-1.21, 1.17, n), "limit": 50}


PROGRAMS = [
    Program("lstm", "LSTM over time", lstm_objective, lstm_inputs, ("w", "u", "b"), (16, 64), 4),
    Program(
        "hmm", "hidden Markov model, forward", hmm_forward, hmm_inputs, ("start", "move", "emit"), (10, 40), 3,
        numba=False,
    ),
    Program("kalman", "Kalman filter", kalman_objective, kalman_inputs, ("zs", "q", "r"), (100, 1000), 6),
    Program("escape", "Mandelbrot's set", escape_objective, escape_inputs, ("cx", "cy"), (40, 200), 7, step=1e-8),
]
