"""What a call costs: compiled calls of next to nothing, and eager operations, plain and under a tape."""

from __future__ import annotations

import numpy as np

from .base import Array, Inputs, Size, Workload, doubles, whole

MANY = 100                               # eager operations in one call, which the time is divided by


def scalar_inputs(size: Size) -> Inputs:
    return {"x": np.array(3.0, np.float32)}


def square(i: Inputs) -> list[Array]:
    return [doubles(i)["x"] ** 2]


def square_gradient(i: Inputs) -> list[Array]:
    return [2.0 * doubles(i)["x"]]


def tree_inputs(size: Size) -> Inputs:
    return {"x": np.arange(whole(size), dtype=np.float32)}


def tree_doubled(i: Inputs) -> list[Array]:
    return [2.0 * x for x in doubles(i)["x"]]


def eager_inputs(size: Size) -> Inputs:
    return {"x": np.full(() if size == 1 else (whole(size),), 0.7, np.float32)}


def add(i: Inputs) -> list[Array]:
    return [2.0 * doubles(i)["x"]]


def multiply(i: Inputs) -> list[Array]:
    return [doubles(i)["x"] ** 2]


def sine(i: Inputs) -> list[Array]:
    return [np.sin(doubles(i)["x"])]


def added(i: Inputs) -> list[Array]:
    return [(MANY + 1) * doubles(i)["x"]]


def multiplied(i: Inputs) -> list[Array]:
    return [doubles(i)["x"] ** (MANY + 1)]


def sine_of_sine(i: Inputs) -> list[Array]:
    y = doubles(i)["x"]
    for _ in range(MANY):
        y = np.sin(y)
    return [y]


def cube_gradient(i: Inputs) -> list[Array]:
    return [3.0 * doubles(i)["x"] ** 2]


def chain_gradient(i: Inputs) -> list[Array]:
    """y = x, six times y = sin(y) x + x, then sin(y) x; the derivative runs along."""
    x = doubles(i)["x"]
    y, slope = x, np.ones_like(x)
    for k in range(7):
        y, slope = np.sin(y) * x + (x if k < 6 else 0.0), np.cos(y) * slope * x + np.sin(y) + (k < 6)
    return [slope]


def call(name: str, title: str, derivative: bool) -> Workload:
    return Workload(name, title, "calls", (1,), 1, scalar_inputs, square_gradient if derivative else square)


def eager(name: str, title: str, reference: object, tolerance: float = 1e-5) -> Workload:
    assert callable(reference)
    unit = "call" if name.startswith("tape_") else "op"
    return Workload(name, title, "eager", (1, 100), 100, eager_inputs, reference, tolerance, unit)


KINDS = {"tensor": "the framework's scalar tensor", "float": "a Python float", "ndarray": "an ndarray of no dimensions"}
CALLS = [
    *(call(f"call_{k}", f"compiled call of x*x, {what} in", False) for k, what in KINDS.items()),
    *(call(f"gradient_{k}", f"compiled call of its gradient, {what} in", True) for k, what in KINDS.items()),
    Workload(
        "call_tree20", "compiled call with a list of 20 scalar tensors in and out", "calls",
        (20,), 20, tree_inputs, tree_doubled,
    ),
]
EAGER = [
    eager("eager_add", "eager x+x", add),
    eager("eager_mul", "eager x*x", multiply),
    eager("eager_sin", "eager sin(x)", sine),
    eager("taped_add", "y = y+x, a hundred times under a tape", added),
    eager("taped_mul", "y = y*x, a hundred times under a tape", multiplied, 1e-4),
    eager("taped_sin", "y = sin(y), a hundred times under a tape", sine_of_sine),
    eager("tape_cube", "eager tape and gradient of x*x*x", cube_gradient),
    eager("tape_chain20", "eager tape and gradient of 20 operations", chain_gradient, 1e-4),
]
