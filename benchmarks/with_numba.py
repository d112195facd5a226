"""Numba: loops with derivatives by hand, as one who needs them fast in Python writes them."""

from __future__ import annotations

import math
import os
from typing import Any

import numba
import numpy as np
from timing import Bench, Builder
from workloads import Inputs
from workloads.base import Array
from workloads.loops import RATE

THREADS = int(os.environ.get("BENCHMARK_THREADS", "1"))
ONE, TWO, THREE, HALF = (np.float32(v) for v in (1.0, 2.0, 3.0, 0.5))
A, R = np.float32(0.2), np.float32(0.01)


def version() -> str:
    return f"numba {numba.__version__}"


def scalar(f: Any, argument: Any) -> Builder:
    return lambda i: Bench(numba.njit(f), (argument(i["x"]),))


def square(x: Any) -> Any:
    return x * x


def slope(x: Any) -> Any:
    return 2.0 * x


def sum_and_gradient(x: Array) -> tuple[Any, Array]:
    gradient, value = np.empty_like(x), 0.0
    for k in numba.prange(x.size):
        v = x[k]
        t, e = math.tanh(v), math.exp(-v * v)
        value += t * e + math.sin(v)
        gradient[k] = (ONE - t * t) * e - TWO * v * t * e + math.cos(v)
    return value, gradient


def elementwise(i: Inputs) -> Bench:
    return Bench(numba.njit(sum_and_gradient, parallel=THREADS > 1), (i["x"],))


def fifty_lengths(i: Inputs) -> Bench:
    f, xs = numba.njit(sum_and_gradient), list(i.values())
    return Bench(lambda: [f(x)[1] for x in xs])


def rosenbrock_and_gradient(x: Array) -> tuple[Any, Array]:
    g, value = np.zeros_like(x), np.float32(0.0)
    for k in range(x.size - 1):
        a, b = x[k + 1] - x[k] * x[k], ONE - x[k]
        value += np.float32(100.0) * a * a + b * b
        g[k] += np.float32(-400.0) * x[k] * a - TWO * b
        g[k + 1] += np.float32(200.0) * a
    return value, g


def descent(i: Inputs) -> Bench:
    rate = np.float32(RATE)

    @numba.njit  # type: ignore[untyped-decorator]
    def train(x: Any, a: Any, b: Any, steps: int) -> Any:
        for _ in range(steps):
            x = x - rate * (TWO * a * x + b)
        return x

    return Bench(train, (*(i[name][()] for name in "xab"), int(i["steps"])))


def recurrence(i: Inputs) -> Bench:
    factor = np.float32(1.01)

    @numba.njit  # type: ignore[untyped-decorator]
    def run(x: Any, c: Any, steps: int) -> Any:
        states, h = np.empty(steps, np.float32), np.float32(2.0 / steps)
        for k in range(steps):
            states[k] = x
            x = x + h * (factor * math.sin(x) + c)
        by_x, by_c = ONE, np.float32(0.0)
        for k in range(steps - 1, -1, -1):
            by_c += h * by_x
            by_x += by_x * h * factor * math.cos(states[k])
        return x, by_x, by_c

    return Bench(run, (i["x"][()], i["c"][()], int(i["steps"])))


def steps_and_gradient(u: Array, steps: int, r: Any) -> tuple[Any, Array]:
    """Forward with all states kept; backward as derived line by line, each cotangent scattered to three."""
    n = u.size
    states = np.empty((steps + 1, n), np.float32)
    states[0] = u
    for t in range(steps):
        states[t + 1, 0], states[t + 1, n - 1] = states[t, 0], states[t, n - 1]
        for k in range(1, n - 1):
            v = states[t, k]
            states[t + 1, k] = v + A * (states[t, k - 1] - TWO * v + states[t, k + 1]) + r * (v - v * v * v)
    value = np.float32(0.0)
    for k in range(n):
        value += states[steps, k] * states[steps, k]
    g = states[steps].copy()
    for t in range(steps - 1, -1, -1):
        before = np.zeros(n, np.float32)
        before[0], before[n - 1] = g[0], g[n - 1]
        for k in range(1, n - 1):
            v, w = states[t, k], g[k]
            before[k] += w * (ONE - TWO * A + r - THREE * r * v * v)
            before[k - 1] += A * w
            before[k + 1] += A * w
        g = before
    return HALF * value, g


def time_steps(reaction: Any) -> Builder:
    return lambda i: Bench(numba.njit(steps_and_gradient), (i["u"], int(i["steps"]), np.float32(reaction)))


BUILDERS: dict[str, Builder] = {
    "call_tensor": scalar(square, lambda x: x[()]), "call_float": scalar(square, float),
    "call_ndarray": scalar(square, lambda x: x),
    "gradient_tensor": scalar(slope, lambda x: x[()]), "gradient_float": scalar(slope, float),
    "gradient_ndarray": scalar(slope, lambda x: x),
    "elementwise": elementwise, "fifty_lengths": fifty_lengths,
    "rosenbrock_gradient": lambda i: Bench(numba.njit(rosenbrock_and_gradient), (i["x"],)),
    "descent": descent, "recurrence": recurrence,
    "heat": time_steps(0.0), "allen_cahn": time_steps(R), "elements": time_steps(R),
}  # fmt: skip
VARIANTS = {"numba": BUILDERS}
