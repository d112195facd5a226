"""Aims a probe past two moving stars: the gradient of 2000 leap-frog steps says how to change its first velocity.

The simulation is plain NumPy with writes in place; compiled, it is differentiated as it stands.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import pullback as pb

STEPS, DT = 2000, 2e-3
MASSES = np.array([1.0, 0.6, 1e-9])                            # two stars and the probe
PLACES = np.array([[-0.4, 0.0], [0.6, 0.0], [-2.0, -1.0]])
VELOCITIES = np.array([[0.0, -0.45], [0.0, 0.75], [0.8, 0.3]])
TARGET = np.array([2.0, 1.5])


def accelerations(x: Any) -> Any:
    d = x[np.newaxis, :, :] - x[:, np.newaxis, :]
    r2 = np.sum(d * d, axis=2) + 1e-3
    return np.sum(d * (MASSES / (r2 * np.sqrt(r2)))[:, :, np.newaxis], axis=1)


def distance_to_target(first: Any) -> Any:
    """How far from the target the probe is after all steps, squared, when it starts with the velocity `first`."""
    x, v = PLACES.copy(), VELOCITIES.copy()
    v[2] = first
    a = accelerations(x)
    for _ in range(STEPS):
        v += 0.5 * DT * a
        x += DT * v
        a = accelerations(x)
        v += 0.5 * DT * a
    return np.sum((x[2] - TARGET) ** 2)


@pb.function
def distance_and_gradient(first: Any) -> Any:
    with pb.GradientTape() as tape:
        tape.watch(first)
        distance = distance_to_target(first)
    return distance, tape.gradient(distance, first)


def main() -> None:
    first = VELOCITIES[2].copy()
    print(f"first velocity {first}: misses by {np.sqrt(distance_to_target(first)):.4f}")
    best, gradient = distance_and_gradient(first)
    rate = 0.01
    for _ in range(400):
        trial = first - rate * gradient.numpy()
        distance, new = distance_and_gradient(trial)
        if distance < best:
            first, best, gradient, rate = trial, distance, new, 1.5 * rate
        else:
            rate *= 0.3
    print(f"first velocity {first.round(5)}: misses by {np.sqrt(distance_to_target(first)):.4f}")
    start = time.perf_counter()
    distance_to_target(first)
    plain = time.perf_counter() - start
    start = time.perf_counter()
    distance_and_gradient(first)
    print(f"plain NumPy, value: {plain * 1e3:.1f} ms; compiled, value and gradient: "
          f"{(time.perf_counter() - start) * 1e3:.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
