"""Values and derivatives of array programs: elementwise, Black-Scholes, Rosenbrock, fifty lengths, two of ADBench's."""

from __future__ import annotations

from math import erf

import numpy as np

from .base import Array, Inputs, Size, Workload, doubles, generator, whole


def vector_inputs(size: Size) -> Inputs:
    return {"x": generator("vector").uniform(-2.0, 2.0, whole(size)).astype(np.float32)}


def bump(x: Array) -> tuple[Array, Array]:
    """tanh(x) exp(-x^2) + sin(x) and its derivative (1 - tanh^2) e - 2 x tanh e + cos x."""
    t, e = np.tanh(x), np.exp(-x * x)
    return t * e + np.sin(x), (1.0 - t * t) * e - 2.0 * x * t * e + np.cos(x)


def elementwise(i: Inputs) -> list[Array]:
    y, slope = bump(doubles(i)["x"])
    return [np.sum(y), slope]


LENGTHS = [100 + 17 * k for k in range(50)]


def lengths_inputs(size: Size) -> Inputs:
    rng = generator("lengths")
    return {f"x{k}": rng.uniform(-2.0, 2.0, n).astype(np.float32) for k, n in enumerate(LENGTHS[: whole(size)])}


def lengths_gradients(i: Inputs) -> list[Array]:
    return [bump(x)[1] for x in doubles(i).values()]


def option_inputs(size: Size) -> Inputs:
    """Spot, strike, years, rate and volatility of European calls."""
    rng, n = generator("options"), whole(size)
    ranges = {"spot": (80, 120), "strike": (80, 120), "years": (0.25, 2), "rate": (0.01, 0.05), "sigma": (0.1, 0.5)}
    return {name: rng.uniform(a, b, n).astype(np.float32) for name, (a, b) in ranges.items()}


def greeks(i: Inputs) -> list[Array]:
    """Sum of the prices and its derivatives by each argument: the greeks' textbook formulas."""
    s, k, t, r, v = doubles(i).values()
    normal = np.vectorize(lambda d: 0.5 * (1.0 + erf(d / np.sqrt(2.0))))
    root = np.sqrt(t)
    d1 = (np.log(s / k) + (r + 0.5 * v * v) * t) / (v * root)
    d2 = d1 - v * root
    n1, n2, discount = normal(d1), normal(d2), np.exp(-r * t)
    density = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    theta = s * density * v / (2.0 * root) + r * k * discount * n2
    return [
        np.sum(s * n1 - k * discount * n2),
        n1, -discount * n2, theta, k * t * discount * n2, s * density * root,
    ]  # fmt: skip


def rosenbrock_inputs(size: Size) -> Inputs:
    rng, n = generator("rosenbrock"), whole(size)
    return {"x": rng.uniform(-1.5, 1.5, n).astype(np.float32), "v": rng.standard_normal(n).astype(np.float32)}


def rosenbrock_value(i: Inputs) -> list[Array]:
    """sum 100 (x[k+1] - x[k]^2)^2 + (1 - x[k])^2."""
    x = doubles(i)["x"]
    return [np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)]


def rosenbrock_gradient(i: Inputs) -> list[Array]:
    x = doubles(i)["x"]
    a = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[:-1] = -400.0 * x[:-1] * a - 2.0 * (1.0 - x[:-1])
    g[1:] += 200.0 * a
    return [*rosenbrock_value(i), g]


def rosenbrock_hessian(i: Inputs) -> list[Array]:
    """Tridiagonal."""
    x = doubles(i)["x"]
    diagonal = np.zeros_like(x)
    diagonal[:-1] = 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    diagonal[1:] += 200.0
    beside = -400.0 * x[:-1]
    return [np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)]


def rosenbrock_hvp(i: Inputs) -> list[Array]:
    return [rosenbrock_hessian(i)[0] @ doubles(i)["v"]]


SUM = "sum(tanh(x)*exp(-x*x) + sin(x))"
ARRAYS = [
    Workload(
        "elementwise", f"value and gradient of {SUM}", "elementwise",
        (1_000, 100_000, 10_000_000), 1_000, vector_inputs, elementwise, 1e-3,      # float32 sums of ten million
    ),
    Workload(
        "black_scholes", "prices of calls and five greeks", "elementwise",
        (1_000_000,), 1_000, option_inputs, greeks, 5e-4,
    ),
    Workload(
        "fifty_lengths", f"one gradient of {SUM} for each of fifty lengths, all seen before", "shapes",
        (50,), 5, lengths_inputs, lengths_gradients, 1e-4, "pass",
    ),
    Workload(
        "eager_tape", f"eager value and gradient of {SUM} by a tape", "eager",
        (1_000,), 100, vector_inputs, elementwise, 1e-4,
    ),
    *(
        Workload(f"rosenbrock_{what}", title, "derivatives", (size,), 10, rosenbrock_inputs, reference, 1e-4)
        for what, title, size, reference in (
            ("value", "value of Rosenbrock's function", 1000, rosenbrock_value),
            ("gradient", "its value and gradient", 1000, rosenbrock_gradient),
            ("hvp", "product of its Hessian and a vector", 1000, rosenbrock_hvp),
            ("hessian", "its dense Hessian", 100, rosenbrock_hessian),
        )
    ),
]
