"""Sweeps over grids: each point becomes an average of its neighbours, time after time."""

from __future__ import annotations

import numpy as np

from .base import Array, Inputs, Program, seeded


def jacobi_1d(a: Array, steps: int) -> Array:
    """Two sweeps a step over a line, from one array to the other and back."""
    b = a.copy()
    for _ in range(steps):
        b[1:-1] = (a[:-2] + a[1:-1] + a[2:]) / 3.0
        a[1:-1] = (b[:-2] + b[1:-1] + b[2:]) / 3.0
    return a


def jacobi_1d_objective(a: Array, steps: int) -> Array:
    return np.sum(jacobi_1d(a.copy(), steps) ** 2)


def jacobi_1d_inputs(n: int) -> Inputs:
    return {"a": seeded("jacobi_1d").standard_normal(n), "steps": n // 4}


def jacobi_2d(a: Array, steps: int) -> Array:
    """The mean of the five points of a cross, all points at once."""
    b = a.copy()
    for _ in range(steps):
        b[1:-1, 1:-1] = 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])
        a[1:-1, 1:-1] = 0.2 * (b[1:-1, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:] + b[2:, 1:-1] + b[:-2, 1:-1])
    return a


def jacobi_2d_objective(a: Array, steps: int) -> Array:
    return np.sum(jacobi_2d(a.copy(), steps) ** 2)


def jacobi_2d_inputs(n: int) -> Inputs:
    return {"a": seeded("jacobi_2d").standard_normal((n, n)), "steps": n // 2}


def heat_3d(u: Array, k: Array, steps: int) -> Array:
    """Explicit Euler steps of du/dt = k (u_xx + u_yy + u_zz), grid spacing and time step 1, fixed boundary."""
    for _ in range(steps):
        c = u[1:-1, 1:-1, 1:-1]
        u[1:-1, 1:-1, 1:-1] = (
            c
            + k * (u[2:, 1:-1, 1:-1] - 2.0 * c + u[:-2, 1:-1, 1:-1])
            + k * (u[1:-1, 2:, 1:-1] - 2.0 * c + u[1:-1, :-2, 1:-1])
            + k * (u[1:-1, 1:-1, 2:] - 2.0 * c + u[1:-1, 1:-1, :-2])
        )
    return u


def heat_3d_objective(u: Array, k: Array, steps: int) -> Array:
    return np.sum(heat_3d(u.copy(), k, steps) ** 2)


def heat_3d_inputs(n: int) -> Inputs:
    return {"u": seeded("heat_3d").standard_normal((n, n, n)), "k": np.array(0.125), "steps": n}


def seidel_2d(a: Array, steps: int) -> Array:
    """Gauss-Seidel: the mean over 3 x 3 points, in place, so that a point sees the new values before it."""
    n, m = a.shape
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                a[i, j] = (
                    a[i - 1, j - 1] + a[i - 1, j] + a[i - 1, j + 1]
                    + a[i, j - 1] + a[i, j] + a[i, j + 1]
                    + a[i + 1, j - 1] + a[i + 1, j] + a[i + 1, j + 1]
                ) / 9.0  # fmt: skip
    return a


def seidel_2d_objective(a: Array, steps: int) -> Array:
    return np.sum(seidel_2d(a.copy(), steps) ** 2)


def seidel_2d_inputs(n: int) -> Inputs:
    return {"a": seeded("seidel_2d").standard_normal((n, n)), "steps": n // 4}


PROGRAMS = [
    Program("jacobi_1d", "Jacobi sweeps on a line", jacobi_1d_objective, jacobi_1d_inputs, ("a",), (1000, 4000), 12),
    Program("jacobi_2d", "Jacobi sweeps on a square", jacobi_2d_objective, jacobi_2d_inputs, ("a",), (64, 200), 6),
    Program("heat_3d", "heat equation in a cube", heat_3d_objective, heat_3d_inputs, ("u", "k"), (20, 50), 5),
    Program("seidel_2d", "Gauss-Seidel sweeps", seidel_2d_objective, seidel_2d_inputs, ("a",), (40, 120), 6),
]
