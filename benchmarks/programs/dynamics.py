"""Things that move: bodies, water, an oscillator with its own step size, and two Newton iterations to convergence."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Inputs, Program, seeded

SOFTENING = 0.01
GRAVITY = 9.81


def accelerations(x: Array, m: Array) -> Array:
    """Of bodies at x with masses m, gravitational constant 1, softened at short distances."""
    d = x[np.newaxis, :, :] - x[:, np.newaxis, :]
    r2 = np.sum(d * d, axis=2) + SOFTENING
    return np.sum(d * (m / (r2 * np.sqrt(r2)))[:, :, np.newaxis], axis=1)


def nbody(x: Array, v: Array, m: Array, dt: Array, steps: int) -> tuple[Array, Array]:
    """Leap-frog, kick-drift-kick."""
    a = accelerations(x, m)
    for _ in range(steps):
        v += 0.5 * dt * a
        x += dt * v
        a = accelerations(x, m)
        v += 0.5 * dt * a
    return x, v


def nbody_objective(x: Array, v: Array, m: Array, dt: Array, steps: int) -> Array:
    x, v = nbody(x.copy(), v.copy(), m, dt, steps)
    return np.sum(x * x) + np.sum(x * v)


def nbody_inputs(n: int) -> Inputs:
    r = seeded("nbody")
    return {
        "x": r.standard_normal((n, 3)), "v": 0.3 * r.standard_normal((n, 3)), "m": r.uniform(0.5, 1.5, n) / n,
        "dt": np.array(0.01), "steps": 100 if n > 5 else 5,
    }  # fmt: skip


def shallow_water(h: Array, u: Array, v: Array, depth: Array, dt: Array, steps: int) -> Array:
    """Surface height h at cell centres, velocities u, v on the faces between them, closed walls, cells of size 1.

    Velocities fall down the surface's slope; the water that a face lets through has the depth of the cell upstream.
    """
    flux_x, flux_y = np.zeros_like(u), np.zeros_like(v)
    for _ in range(steps):
        u[1:-1, :] -= dt * GRAVITY * (h[1:, :] - h[:-1, :])
        v[:, 1:-1] -= dt * GRAVITY * (h[:, 1:] - h[:, :-1])
        water = h + depth
        flux_x[1:-1, :] = u[1:-1, :] * np.where(u[1:-1, :] > 0.0, water[:-1, :], water[1:, :])
        flux_y[:, 1:-1] = v[:, 1:-1] * np.where(v[:, 1:-1] > 0.0, water[:, :-1], water[:, 1:])
        h -= dt * (flux_x[1:, :] - flux_x[:-1, :] + flux_y[:, 1:] - flux_y[:, :-1])
    return h


def shallow_water_objective(h: Array, depth: Array, dt: Array, steps: int) -> Array:
    n, m = h.shape
    return np.sum(shallow_water(h.copy(), np.zeros((n + 1, m)), np.zeros((n, m + 1)), depth, dt, steps) ** 2)


def shallow_water_inputs(n: int) -> Inputs:
    x = (np.arange(n) + 0.5) / n
    h = 0.2 * np.exp(-30.0 * ((x[:, None] - 0.4) ** 2 + (x[None, :] - 0.55) ** 2))
    depth = 1.0 + 0.1 * seeded("shallow_water").uniform(size=(n, n))
    return {"h": h, "depth": depth, "dt": np.array(0.1), "steps": 2 * n}


def oscillator(y: Array, mu: Array) -> Array:
    """Van der Pol's: x'' = mu (1 - x^2) x' - x, as a system of two."""
    return np.array([y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]])


def rk4_step(y: Array, mu: Array, dt: Any) -> Array:
    k1 = oscillator(y, mu)
    k2 = oscillator(y + 0.5 * dt * k1, mu)
    k3 = oscillator(y + 0.5 * dt * k2, mu)
    k4 = oscillator(y + dt * k3, mu)
    return y + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def rk4_adaptive(y: Array, mu: Array, end: Array, tolerance: float) -> Array:
    """From time 0 to `end`. A step is taken once whole and once as two halves; their difference sets the next size."""
    t: Any = 0.0
    dt: Any = 0.01
    while t < end:
        dt = min(dt, end - t)
        whole = rk4_step(y, mu, dt)
        halves = rk4_step(rk4_step(y, mu, 0.5 * dt), mu, 0.5 * dt)
        error = np.max(np.abs(halves - whole)) / tolerance
        if error <= 1.0:
            t = t + dt
            y = halves + (halves - whole) / 15.0
        dt = dt * min(2.0, max(0.2, 0.9 * (error + 1e-10) ** -0.2))
    return y


def rk4_adaptive_objective(y: Array, mu: Array, end: Array) -> Array:
    y = rk4_adaptive(y, mu, end, 1e-8)
    return y[0] * y[0] + y[0] * y[1]


def rk4_adaptive_inputs(n: int) -> Inputs:
    return {"y": np.array([2.0, 0.3]), "mu": np.array(1.5), "end": np.array(0.5 * n)}


def newton(u: Array, strength: Array) -> Array:
    """Bratu's problem u'' + strength e^u = 0 on (0, 1), u = 0 at the ends, on a grid, by Newton to convergence."""
    n = u.shape[0]
    h2 = 1.0 / (n + 1.0) ** 2
    laplace = np.eye(n, k=1) + np.eye(n, k=-1) - 2.0 * np.eye(n)
    change = 1.0
    while change > 1e-12:
        source = strength * h2 * np.exp(u)
        step = np.linalg.solve(laplace + np.diag(source), laplace @ u + source)
        u = u - step
        change = np.max(np.abs(step))
    return u


def newton_objective(u: Array, strength: Array) -> Array:
    return np.sum(newton(u, strength) ** 2)


def newton_inputs(n: int) -> Inputs:
    return {"u": np.zeros(n), "strength": np.array(1.0)}


def kepler(mean: Array, eccentricity: Array) -> Array:
    """The eccentric anomalies E with E - e sin E = M, each by its own Newton iteration."""
    out = np.zeros_like(mean)
    for i in range(mean.shape[0]):
        x = mean[i] + eccentricity * np.sin(mean[i])
        step = 1.0
        while np.abs(step) > 1e-10:
            step = (x - eccentricity * np.sin(x) - mean[i]) / (1.0 - eccentricity * np.cos(x))
            x = x - step
        out[i] = x
    return out


def kepler_objective(mean: Array, eccentricity: Array) -> Array:
    return np.sum(np.sin(kepler(mean, eccentricity)))


def kepler_inputs(n: int) -> Inputs:
    return {"mean": seeded("kepler").uniform(0.0, 2.0 * np.pi, n), "eccentricity": np.array(0.6)}


PROGRAMS = [
    Program("nbody", "n bodies, leap-frog", nbody_objective, nbody_inputs, ("x", "v", "m", "dt"), (10, 50), 3),
    Program(
        "shallow_water", "shallow water with upwind flux", shallow_water_objective, shallow_water_inputs,
        ("h", "depth"), (20, 80), 4,
    ),
    Program(
        "rk4_adaptive", "van der Pol, RK4 with step control", rk4_adaptive_objective, rk4_adaptive_inputs,
        ("y", "mu", "end"), (10, 100), 3,
    ),
    Program("newton", "Bratu's problem by Newton", newton_objective, newton_inputs, ("strength",), (20, 100), 5),
    Program("kepler", "Kepler's equation", kepler_objective, kepler_inputs, ("mean", "eccentricity"), (1000, 20000), 6),
]
