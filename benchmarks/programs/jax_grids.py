"""stencils.py and factor.py as JAX's users have to write them: no writes, no `for`, static sizes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax


def jacobi_1d(a: Any, steps: int) -> Any:
    def step(_: Any, ab: Any) -> Any:
        a, b = ab
        b = b.at[1:-1].set((a[:-2] + a[1:-1] + a[2:]) / 3.0)
        a = a.at[1:-1].set((b[:-2] + b[1:-1] + b[2:]) / 3.0)
        return a, b

    return jnp.sum(lax.fori_loop(0, steps, step, (a, a))[0] ** 2)


def jacobi_2d(a: Any, steps: int) -> Any:
    def cross(a: Any) -> Any:
        return 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])

    def step(_: Any, ab: Any) -> Any:
        a, b = ab
        b = b.at[1:-1, 1:-1].set(cross(a))
        a = a.at[1:-1, 1:-1].set(cross(b))
        return a, b

    return jnp.sum(lax.fori_loop(0, steps, step, (a, a))[0] ** 2)


def heat_3d(u: Any, k: Any, steps: int) -> Any:
    def step(_: Any, u: Any) -> Any:
        c = u[1:-1, 1:-1, 1:-1]
        return u.at[1:-1, 1:-1, 1:-1].set(
            c
            + k * (u[2:, 1:-1, 1:-1] - 2.0 * c + u[:-2, 1:-1, 1:-1])
            + k * (u[1:-1, 2:, 1:-1] - 2.0 * c + u[1:-1, :-2, 1:-1])
            + k * (u[1:-1, 1:-1, 2:] - 2.0 * c + u[1:-1, 1:-1, :-2])
        )

    return jnp.sum(lax.fori_loop(0, steps, step, u) ** 2)


def seidel_2d(a: Any, steps: int) -> Any:
    """Rows one after another; within a row, a scan over the points, each of which needs the one before."""
    n = a.shape[0]

    def point(left: Any, rest: Any) -> Any:
        new = (rest + left) / 9.0
        return new, new

    def row(i: Any, a: Any) -> Any:
        above = lax.dynamic_index_in_dim(a, i - 1, keepdims=False)
        here = lax.dynamic_index_in_dim(a, i, keepdims=False)
        below = lax.dynamic_index_in_dim(a, i + 1, keepdims=False)
        known = above[:-2] + above[1:-1] + above[2:] + here[1:-1] + here[2:] + below[:-2] + below[1:-1] + below[2:]
        _, new = lax.scan(point, here[0], known)
        return a.at[i, 1:-1].set(new)

    def sweep(_: Any, a: Any) -> Any:
        return lax.fori_loop(1, n - 1, row, a)

    return jnp.sum(lax.fori_loop(0, steps, sweep, a) ** 2)


def lu(a: Any) -> Any:
    """Slices of changing size are not to be had: masks in their place."""
    n = a.shape[0]
    at = jnp.arange(n)

    def step(k: Any, a: Any) -> Any:
        below = at > k
        factors = jnp.where(below, a[:, k] / a[k, k], 0.0)
        a = a - jnp.outer(factors, jnp.where(below, a[k], 0.0))
        return a.at[:, k].set(jnp.where(below, factors, a[:, k]))

    return jnp.sum(jnp.log(jnp.abs(jnp.diag(lax.fori_loop(0, n - 1, step, a)))))


def cholesky(a: Any, w: Any) -> Any:
    n = a.shape[0]

    def entry(j: Any, carry: Any) -> Any:
        i, low = carry
        value = (a[i, j] - jnp.dot(low[i], low[j])) / low[j, j]
        return i, low.at[i, j].set(value)

    def row(i: Any, low: Any) -> Any:
        _, low = lax.fori_loop(0, n, lambda j, c: lax.cond(j < i, entry, lambda _, c: c, j, c), (i, low))
        return low.at[i, i].set(jnp.sqrt(a[i, i] - jnp.dot(low[i], low[i])))

    return jnp.sum(w * lax.fori_loop(0, n, row, jnp.zeros_like(a)))


def gram_schmidt(a: Any, w: Any) -> Any:
    m, n = a.shape
    at = jnp.arange(n)

    def column(k: Any, carry: Any) -> Any:
        a, q, r = carry
        norm = jnp.sqrt(jnp.sum(a[:, k] ** 2))
        unit = a[:, k] / norm
        row = jnp.where(at > k, unit @ a, 0.0)
        return a - jnp.outer(unit, row), q.at[:, k].set(unit), r.at[k].set(row.at[k].set(norm))

    _, q, r = lax.fori_loop(0, n, column, (a, jnp.zeros((m, n)), jnp.zeros((n, n))))
    return jnp.sum(w * q) + jnp.sum(jnp.log(jnp.diag(r)))


def durbin(r: Any) -> Any:
    n = r.shape[0]
    at = jnp.arange(n)

    def step(k: Any, carry: Any) -> Any:
        y, alpha, beta = carry
        beta = (1.0 - alpha * alpha) * beta
        backward = jnp.where(at < k, jnp.take(y, k - 1 - at, mode="clip"), 0.0)
        alpha = -(r[k] + jnp.dot(r, backward)) / beta
        return (y + alpha * backward).at[k].set(alpha), alpha, beta

    y, _, _ = lax.fori_loop(1, n, step, (jnp.zeros_like(r).at[0].set(-r[0]), -r[0], jnp.ones((), r.dtype)))
    return jnp.sum(y**2)


def triangular_solve(low: Any, b: Any) -> Any:
    def step(i: Any, x: Any) -> Any:
        return x.at[i].set((b[i] - jnp.dot(low[i], x)) / low[i, i])

    return jnp.sum(lax.fori_loop(0, b.shape[0], step, jnp.zeros_like(b)) ** 2)


def shortest_paths(d: Any, w: Any) -> Any:
    def step(k: Any, d: Any) -> Any:
        return jnp.minimum(d, d[:, k][:, None] + d[k])

    return jnp.sum(w * lax.fori_loop(0, d.shape[0], step, d))


FORWARD = {
    "jacobi_1d": jacobi_1d, "jacobi_2d": jacobi_2d, "heat_3d": heat_3d, "seidel_2d": seidel_2d, "lu": lu,
    "cholesky": cholesky, "gram_schmidt": gram_schmidt, "durbin": durbin, "triangular_solve": triangular_solve,
    "shortest_paths": shortest_paths,
}  # fmt: skip

