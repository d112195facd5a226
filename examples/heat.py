"""Finds the temperatures that a rod had, from what is left of them after 200 time steps, by gradient descent.

The simulation is plain NumPy that writes into its array. `pb.function` compiles it as it stands; the tape's gradient
runs the time steps backwards, in place as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pullback as pb

POINTS, STEPS, K = 64, 200, 0.25


def simulate(u: Any) -> Any:
    u[0], u[-1] = 0.0, 0.0                                     # the ends are kept cold
    for _ in range(STEPS):
        u[1:-1] += K * (u[:-2] - 2.0 * u[1:-1] + u[2:])
    return u


def misfit(start: Any, measured: Any) -> Any:
    return np.sum((simulate(start.copy()) - measured) ** 2)


@pb.function
def descend(start: Any, measured: Any, rate: Any) -> Any:
    """One step of gradient descent; gives the new start and the misfit of the old one."""
    with pb.GradientTape() as tape:
        tape.watch(start)
        error = misfit(start, measured)
    return start - rate * tape.gradient(error, start), error


def main() -> None:
    x = np.linspace(0.0, np.pi, POINTS)
    truth = np.sin(x) + 0.5 * np.sin(3.0 * x)
    measured = simulate(truth.copy())
    start = np.zeros(POINTS)
    for k in range(41):
        new, error = descend(start, measured, np.float64(0.45))
        if k % 10 == 0:
            print(f"step {k:2d}: misfit {float(error):.3e}, largest error {np.max(np.abs(start - truth)):.1e}")
        start = new.numpy()


if __name__ == "__main__":
    main()
