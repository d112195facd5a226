"""Solves Kepler's equation E - e sin E = M by Newton's method, in plain NumPy, and differentiates the solution.

The loops end when each equation is solved, after a number of steps that nobody knows before. The gradient goes back
through all of them, and agrees with the derivative of the implicit function, 1 / (1 - e cos E).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pullback as pb


def eccentric_anomalies(mean: Any, eccentricity: Any) -> Any:
    out = np.zeros_like(mean)
    for i in range(mean.shape[0]):
        x = mean[i]
        step = 1.0
        while np.abs(step) > 1e-12:
            step = (x - eccentricity * np.sin(x) - mean[i]) / (1.0 - eccentricity * np.cos(x))
            x = x - step
        out[i] = x
    return out


@pb.function
def solution_and_gradient(mean: Any, eccentricity: Any) -> Any:
    with pb.GradientTape() as tape:
        tape.watch([mean, eccentricity])
        solution = eccentric_anomalies(mean, eccentricity)
        total = np.sum(solution)
    return solution, tape.gradient(total, [mean, eccentricity])


def main() -> None:
    mean, eccentricity = np.linspace(0.1, 6.0, 1000), np.float64(0.7)
    solution, (by_mean, by_eccentricity) = solution_and_gradient(mean, eccentricity)
    x = solution.numpy()
    implicit = 1.0 / (1.0 - eccentricity * np.cos(x))
    print("largest residual of the equation:    ", np.max(np.abs(x - eccentricity * np.sin(x) - mean)))
    print("largest error of dE/dM:              ", np.max(np.abs(by_mean.numpy() - implicit)))
    print("relative error of d(sum E)/de:       ", abs(float(by_eccentricity) / np.sum(np.sin(x) * implicit) - 1.0))
    print("same as plain NumPy:                 ", np.allclose(x, eccentric_anomalies(mean, eccentricity), rtol=1e-13))


if __name__ == "__main__":
    main()
