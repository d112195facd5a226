"""Dense linear algebra written out: factorisations, substitution, a recursion for Toeplitz systems, shortest paths."""

from __future__ import annotations

import numpy as np

from .base import Array, Inputs, Program, seeded


def lu(a: Array) -> Array:
    """L (below the diagonal, its own diagonal is 1) and U of a = L U, in place, without pivots."""
    for k in range(a.shape[0] - 1):
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a


def lu_objective(a: Array) -> Array:
    """log |det a|, whose gradient is the inverse, transposed."""
    return np.sum(np.log(np.abs(np.diag(lu(a.copy())))))


def lu_inputs(n: int) -> Inputs:
    return {"a": seeded("lu").standard_normal((n, n)) + 2.0 * n * np.eye(n)}


def cholesky(a: Array) -> Array:
    """The lower triangular L with a = L L^T, column entries by inner products of rows; reads the lower half of a."""
    n = a.shape[0]
    low = np.zeros_like(a)
    for i in range(n):
        for j in range(i):
            low[i, j] = (a[i, j] - np.dot(low[i, :j], low[j, :j])) / low[j, j]
        low[i, i] = np.sqrt(a[i, i] - np.dot(low[i, :i], low[i, :i]))
    return low


def cholesky_objective(a: Array, w: Array) -> Array:
    return np.sum(w * cholesky(a))


def cholesky_inputs(n: int) -> Inputs:
    r = seeded("cholesky")
    b = r.standard_normal((n, n))
    return {"a": b @ b.T / n + np.eye(n), "w": r.standard_normal((n, n))}


def gram_schmidt(a: Array) -> tuple[Array, Array]:
    """Modified Gram-Schmidt: a = q r, q with orthonormal columns, r upper triangular. Overwrites a."""
    m, n = a.shape
    q, r = np.zeros((m, n)), np.zeros((n, n))
    for k in range(n):
        r[k, k] = np.sqrt(np.sum(a[:, k] ** 2))
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, n):
            r[k, j] = np.dot(q[:, k], a[:, j])
            a[:, j] -= q[:, k] * r[k, j]
    return q, r


def gram_schmidt_objective(a: Array, w: Array) -> Array:
    q, r = gram_schmidt(a.copy())
    return np.sum(w * q) + np.sum(np.log(np.diag(r)))


def gram_schmidt_inputs(n: int) -> Inputs:
    r = seeded("gram_schmidt")
    return {"a": r.standard_normal((n + 2, n)), "w": r.standard_normal((n + 2, n))}


def durbin(r: Array) -> Array:
    """Durbin's recursion: the y with T y = -r for the symmetric Toeplitz T of first row 1, r[0], ..., r[n-2]."""
    n = r.shape[0]
    y = np.zeros_like(r)
    y[0] = -r[0]
    beta, alpha = 1.0, -r[0]
    for k in range(1, n):
        beta = (1.0 - alpha * alpha) * beta
        alpha = -(r[k] + np.dot(r[:k][::-1], y[:k])) / beta
        y[:k] += alpha * y[:k][::-1]
        y[k] = alpha
    return y


def durbin_objective(r: Array) -> Array:
    return np.sum(durbin(r) ** 2)


def durbin_inputs(n: int) -> Inputs:
    """Correlations of a process whose influence halves with each step, and a little noise."""
    return {"r": 0.5 ** np.arange(1.0, n + 1.0) + 0.01 / n * seeded("durbin").standard_normal(n)}


def triangular_solve(low: Array, b: Array) -> Array:
    """Forward substitution: the x with low x = b."""
    x = np.zeros_like(b)
    for i in range(b.shape[0]):
        x[i] = (b[i] - np.dot(low[i, :i], x[:i])) / low[i, i]
    return x


def triangular_solve_objective(low: Array, b: Array) -> Array:
    return np.sum(triangular_solve(low, b) ** 2)


def triangular_solve_inputs(n: int) -> Inputs:
    r = seeded("triangular_solve")
    return {"low": np.tril(r.standard_normal((n, n)), -1) / n + np.eye(n) * 2.0, "b": r.standard_normal(n)}


def shortest_paths(d: Array) -> Array:
    """Floyd and Warshall: the length of the shortest way between all pairs, from the lengths of direct ways."""
    for k in range(d.shape[0]):
        d[:] = np.minimum(d, d[:, k][:, np.newaxis] + d[k])
    return d


def shortest_paths_objective(d: Array, w: Array) -> Array:
    return np.sum(w * shortest_paths(d.copy()))


def shortest_paths_inputs(n: int) -> Inputs:
    r = seeded("shortest_paths")
    d = r.uniform(0.1, 1.0, (n, n)) ** 3
    np.fill_diagonal(d, 1e-4)                               # less than any way round, and no tie with it
    return {"d": d, "w": r.uniform(0.5, 1.5, (n, n))}


PROGRAMS = [
    Program("lu", "LU without pivots", lu_objective, lu_inputs, ("a",), (40, 120), 5),
    Program("cholesky", "Cholesky by inner products", cholesky_objective, cholesky_inputs, ("a",), (40, 120), 5),
    Program("gram_schmidt", "QR by Gram-Schmidt", gram_schmidt_objective, gram_schmidt_inputs, ("a",), (20, 60), 4),
    Program("durbin", "Toeplitz system by Durbin", durbin_objective, durbin_inputs, ("r",), (100, 400), 6),
    Program(
        "triangular_solve", "forward substitution", triangular_solve_objective, triangular_solve_inputs,
        ("low", "b"), (100, 400), 5,
    ),
    Program(
        "shortest_paths", "Floyd-Warshall, min-plus", shortest_paths_objective, shortest_paths_inputs,
        ("d",), (40, 120), 6,
    ),
]
