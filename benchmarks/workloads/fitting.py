"""Two problems of ADBench in float64: a mixture of Gaussians and the residuals of bundle adjustment."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Inputs, Size, Workload, generator, whole

DIMENSIONS, COMPONENTS = 10, 25
LOWER = np.tril_indices(DIMENSIONS, -1)              # row by row: the order of the entries below the diagonal


def mixture_inputs(size: Size) -> Inputs:
    """Log weights; means; log diagonals and lower triangles of the inverse square roots of covariances; points."""
    rng, d, k = generator("mixture"), DIMENSIONS, COMPONENTS
    return {
        "alphas": rng.standard_normal(k),
        "means": rng.uniform(0.0, 1.0, (k, d)),
        "logs": 0.5 * rng.standard_normal((k, d)),
        "lower": 0.5 * rng.standard_normal((k, len(LOWER[0]))),
        "x": rng.standard_normal((whole(size), d)),
    }


def mixture(i: Inputs) -> list[Array]:
    """Log likelihood with a Wishart prior (gamma 1, m 0; constants left out) and its gradient by the four parameters.

    With A = diag(exp(logs)) + lower: sum_n log sum_k exp(alpha_k + sum logs_k - |A_k (x_n - mean_k)|^2 / 2)
    - N log sum_k exp(alpha_k) + (|exp(logs)|^2 + |lower|^2) / 2.
    """
    alphas, logs, lower, x = i["alphas"], i["logs"], i["lower"], i["x"]
    a = np.zeros((len(alphas), DIMENSIONS, DIMENSIONS))
    a[:, LOWER[0], LOWER[1]] = lower
    scale = np.exp(logs)
    a[:, range(DIMENSIONS), range(DIMENSIONS)] = scale
    centred = x[:, None] - i["means"]
    q = np.einsum("kab,nkb->nka", a, centred)
    main = alphas + logs.sum(1) - 0.5 * (q * q).sum(2)
    top = main.max(1, keepdims=True)
    parts = np.exp(main - top)
    sums = parts.sum(1, keepdims=True)
    weights = np.exp(alphas - alphas.max())
    value = np.sum(top + np.log(sums)) - len(x) * (alphas.max() + np.log(weights.sum()))
    value += 0.5 * (np.sum(scale**2) + np.sum(lower**2))
    p = parts / sums                                  # responsibilities
    by_a = -np.einsum("nk,nka,nkb->kab", p, q, centred)
    return [
        np.asarray(value),
        p.sum(0) - len(x) * weights / weights.sum(),
        np.einsum("nk,nka,kab->kb", p, q, a),
        p.sum(0)[:, None] + by_a[:, range(DIMENSIONS), range(DIMENSIONS)] * scale + scale**2,
        by_a[:, LOWER[0], LOWER[1]] + lower,
    ]


def bundle_inputs(size: Size) -> Inputs:
    """p: rotation 3, centre 3, focal length, principal point 2, distortion 2, point 3, weight; the feature seen."""
    rng, n = generator("bundle"), whole(size)
    point = rng.standard_normal((n, 3)) + np.array([0.0, 0.0, 6.0])
    parts = [
        0.3 * rng.standard_normal((n, 3)), rng.standard_normal((n, 3)), rng.uniform(1.0, 2.0, (n, 1)),
        0.1 * rng.standard_normal((n, 2)), 0.05 * rng.standard_normal((n, 2)), point, rng.uniform(0.5, 1.0, (n, 1)),
    ]  # fmt: skip
    return {"p": np.concatenate(parts, 1), "feature": rng.standard_normal((n, 2))}


def cross(a: Array, b: Array) -> Array:
    return np.cross(a, b, axis=0)


def bundle(i: Inputs) -> list[Array]:
    """Residuals [n, 2] and their Jacobians [n, 2, 15], by the chain rule from the image back to the 15 parameters.

    Rodrigues' rotation of X - C; division by depth; radial distortion 1 + k1 r + k2 r^2; focal length, principal point.
    """
    r, c, f, x0, k, point, w = np.split(i["p"].T, [3, 6, 7, 9, 11, 14])
    f, w, d = f[0], w[0], point - c
    angle = np.sqrt((r * r).sum(0))
    u, co, si = r / angle, np.cos(angle), np.sin(angle)
    e, along = cross(u, d), (u * d).sum(0)
    y = d * co + e * si + u * (along * (1.0 - co))
    q = y[:2] / y[2]
    rr = (q * q).sum(0)
    radial = 1.0 + k[0] * rr + k[1] * rr * rr
    off = q * radial * f + x0 - i["feature"].T
    residual, jacobian = w * off, np.zeros((i["p"].shape[0], 2, 15))
    for o in range(2):
        by_q = 2.0 * q * (w * f * q[o] * (k[0] + 2.0 * k[1] * rr))
        by_q[o] += w * f * radial
        by_y = np.stack([by_q[0] / y[2], by_q[1] / y[2], -(by_q * q).sum(0) / y[2]])
        dot_u = (by_y * u).sum(0)
        by_d = co * by_y + si * cross(by_y, u) + (1.0 - co) * dot_u * u
        by_u = si * cross(d, by_y) + (1.0 - co) * (along * by_y + dot_u * d)
        by_angle = -si * (by_y * d).sum(0) + co * (by_y * e).sum(0) + si * along * dot_u
        by_r = (by_u - u * (u * by_u).sum(0)) / angle + u * by_angle
        columns = [*by_r, *-by_d, w * q[o] * radial, w * (o == 0), w * (o == 1), w * f * q[o] * rr,
                   w * f * q[o] * rr * rr, *by_d, off[o]]  # fmt: skip
        jacobian[:, o] = np.stack(columns, 1)
    return [residual.T, jacobian]


def rotated(u: list[Any], d: list[Any], cos: Any, sin: Any) -> list[Any]:
    """Rodrigues: d turned about the unit vector u."""
    cross = [u[1] * d[2] - u[2] * d[1], u[2] * d[0] - u[0] * d[2], u[0] * d[1] - u[1] * d[0]]
    along = (u[0] * d[0] + u[1] * d[1] + u[2] * d[2]) * (1.0 - cos)
    return [d[k] * cos + cross[k] * sin + u[k] * along for k in range(3)]


def residuals(p: list[Any], feature: list[Any], m: Any) -> list[Any]:
    """The two residuals of observations whose 15 parameters are the entries of `p`; `m` has sqrt, cos and sin."""
    angle = m.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
    y = rotated([p[k] / angle for k in range(3)], [p[11 + k] - p[3 + k] for k in range(3)], m.cos(angle), m.sin(angle))
    q = [y[0] / y[2], y[1] / y[2]]
    rr = q[0] * q[0] + q[1] * q[1]
    radial = 1.0 + p[9] * rr + p[10] * rr * rr
    return [p[14] * (q[k] * radial * p[6] + p[7 + k] - feature[k]) for k in range(2)]


def places() -> Any:
    """Where the entry [a, b] of a lower triangle is kept: the last place, a zero, on and above the diagonal."""
    where = np.full((DIMENSIONS, DIMENSIONS), len(LOWER[0]), np.int32)
    where[LOWER] = np.arange(len(LOWER[0]))
    return where


FITTING = [
    Workload(
        "mixture", "mixture of 25 Gaussians in 10 dimensions, value and gradient, float64", "derivatives",
        (1000,), 20, mixture_inputs, mixture, 1e-9,
    ),
    Workload(
        "bundle", "residuals of bundle adjustment and their Jacobians 2x15, float64", "derivatives",
        (10_000,), 50, bundle_inputs, bundle, 1e-9,
    ),
]
