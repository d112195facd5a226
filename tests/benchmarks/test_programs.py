"""The real programs compute what they are named for: plain NumPy against matrices, definitions and other algorithms."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from ..real_programs import PROGRAMS, dynamics, factor, sequences, stencils

close = np.testing.assert_allclose


def shifts(n: int) -> tuple[Any, Any, Any]:
    """Matrices that take the left neighbour, the right one, and the inner points of a line."""
    inner = np.diag([0.0, *[1.0] * (n - 2), 0.0])
    return inner @ np.eye(n, k=-1), inner @ np.eye(n, k=1), inner


@pytest.mark.parametrize("name", PROGRAMS)
def test_objectives_leave_their_arguments_alone_and_are_finite(name: str) -> None:
    program = PROGRAMS[name]
    inputs = program.inputs(program.tiny)
    before = {k: np.copy(v) for k, v in inputs.items()}
    value = program.objective(*inputs.values())
    assert np.ndim(value) == 0
    assert np.isfinite(value)
    for k, v in inputs.items():
        np.testing.assert_array_equal(v, before[k], err_msg=k)
    assert set(program.wrt) <= set(inputs)


def test_jacobi_sweeps_are_powers_of_a_matrix() -> None:
    a = np.random.default_rng(0).standard_normal(9)
    left, right, inner = shifts(9)
    sweep = np.eye(9) - inner + (left + inner + right) / 3.0
    close(stencils.jacobi_1d(a.copy(), 4), np.linalg.matrix_power(sweep, 8) @ a, rtol=1e-12)
    b = np.random.default_rng(1).standard_normal((6, 6))
    left, right, inner = shifts(6)
    both = np.kron(inner, inner)
    cross = 0.2 * (both + np.kron(inner, left) + np.kron(inner, right) + np.kron(left, inner) + np.kron(right, inner))
    sweep = np.eye(36) - both + cross @ both.clip(0, 1) + cross @ (np.eye(36) - both)
    close(stencils.jacobi_2d(b.copy(), 3).ravel(), np.linalg.matrix_power(sweep, 6) @ b.ravel(), rtol=1e-12)


def test_heat_in_a_cube_decays_as_its_eigenmode() -> None:
    n, k, steps = 9, 0.1, 7
    s = np.sin(np.pi * np.arange(n) / (n - 1))
    s[-1] = 0.0
    u = s[:, None, None] * s[None, :, None] * s[None, None, :]
    factor_ = 1.0 - 3.0 * k * (2.0 - 2.0 * np.cos(np.pi / (n - 1)))
    close(stencils.heat_3d(u.copy(), np.array(k), steps), factor_**steps * u, atol=1e-13)


def test_seidel_solves_with_the_points_before() -> None:
    """A sweep is x' with (9 I - L) x' = (D + U) x at inner points: L the neighbours before, U those after."""
    n = 5
    a = np.random.default_rng(2).standard_normal((n, n))
    m, rest = np.eye(n * n), np.eye(n * n)
    for i, j in itertools.product(range(1, n - 1), repeat=2):
        p = i * n + j
        m[p], rest[p] = 0.0, 0.0
        m[p, p], rest[p, p] = 9.0, 1.0
        for d in (-n - 1, -n, -n + 1, -1):
            m[p, p + d], rest[p, p - d] = -1.0, 1.0
    sweep = np.linalg.solve(m, rest)
    close(stencils.seidel_2d(a.copy(), 3).ravel(), np.linalg.matrix_power(sweep, 3) @ a.ravel(), rtol=1e-12)


def test_factorisations_give_back_the_matrix() -> None:
    a = factor.lu_inputs(7)["a"]
    both = factor.lu(a.copy())
    close((np.tril(both, -1) + np.eye(7)) @ np.triu(both), a, rtol=1e-12)
    close(factor.lu_objective(a), np.linalg.slogdet(a)[1], rtol=1e-12)
    a = factor.cholesky_inputs(7)["a"]
    close(factor.cholesky(a), np.linalg.cholesky(a), atol=1e-13)
    a = factor.gram_schmidt_inputs(5)["a"]
    q, r = factor.gram_schmidt(a.copy())
    close(q @ r, a, atol=1e-13)
    close(q.T @ q, np.eye(5), atol=1e-13)
    close(np.tril(r, -1), 0.0)


def test_solvers_solve() -> None:
    r = factor.durbin_inputs(8)["r"]
    first = np.concatenate([[1.0], r[:-1]])
    toeplitz = first[np.abs(np.subtract.outer(np.arange(8), np.arange(8)))]
    close(factor.durbin(r), np.linalg.solve(toeplitz, -r), rtol=1e-10)
    inputs = factor.triangular_solve_inputs(8)
    close(factor.triangular_solve(**inputs), np.linalg.solve(inputs["low"], inputs["b"]), rtol=1e-12)
    u = dynamics.newton(np.zeros(15), np.array(1.0))
    padded = np.concatenate([[0.0], u, [0.0]])
    close((padded[:-2] - 2.0 * u + padded[2:]) * 16.0**2, -np.exp(u), rtol=1e-9)
    assert 0.13 < u.max() < 0.15                            # 0.1405 at the middle in the limit (the lower branch)
    mean = dynamics.kepler_inputs(20)["mean"]
    e = dynamics.kepler(mean, np.array(0.6))
    close(e - 0.6 * np.sin(e), mean, rtol=1e-12)


def test_shortest_paths_are_the_least_over_all_ways() -> None:
    d = factor.shortest_paths_inputs(5)["d"]
    found = factor.shortest_paths(d.copy())
    for a, b in itertools.permutations(range(5), 2):
        others = [k for k in range(5) if k not in (a, b)]
        ways = [w for n in range(4) for w in itertools.permutations(others, n)]
        close(found[a, b], min(sum(d[p, q] for p, q in itertools.pairwise((a, *w, b))) for w in ways), rtol=1e-12)


def test_bodies_keep_momentum_and_energy_and_go_back() -> None:
    i = dynamics.nbody_inputs(6)
    x0, v0, m = i["x"], i["v"], i["m"]

    def energy(x: Any, v: Any) -> float:
        pairs = itertools.combinations(range(6), 2)
        potential = sum(m[a] * m[b] / np.sqrt(np.sum((x[a] - x[b]) ** 2) + dynamics.SOFTENING) for a, b in pairs)
        return float(0.5 * np.sum(m[:, None] * v * v) - potential)

    x, v = dynamics.nbody(x0.copy(), v0.copy(), m, 1e-3, 200)
    close(m @ v, m @ v0, atol=1e-13)
    close(energy(x, v), energy(x0, v0), rtol=1e-5)
    assert np.max(np.abs(x - x0)) > 0.01
    back, _ = dynamics.nbody(x.copy(), -v, m, 1e-3, 200)
    close(back, x0, atol=1e-12)


def test_water_keeps_its_volume_and_runs_at_the_wave_speed() -> None:
    i = dynamics.shallow_water_inputs(12)
    n = 12
    u, v = np.zeros((n + 1, n)), np.zeros((n, n + 1))
    h = dynamics.shallow_water(i["h"].copy(), u, v, i["depth"], 0.05, 30)
    close(np.sum(h), np.sum(i["h"]), rtol=1e-12)
    # A small standing wave between two walls swings with the frequency 2 sqrt(g depth) sin(k / 2).
    n, dt = 64, 0.01
    k = np.pi / n
    wave = 1e-6 * np.cos(k * (np.arange(n) + 0.5))[:, None] * np.ones((1, 2))
    period = np.pi / (np.sqrt(9.81) * np.sin(k / 2.0))
    u, v = np.zeros((n + 1, 2)), np.zeros((n, 3))
    half = dynamics.shallow_water(wave.copy(), u, v, np.ones((n, 2)), dt, round(period / 2.0 / dt))
    close(half, -wave, atol=2e-9)


def test_the_oscillator_agrees_with_small_fixed_steps() -> None:
    y = np.array([2.0, 0.3])
    for _ in range(4000):
        y = dynamics.rk4_step(y, 1.5, 5.0 / 4000)
    close(dynamics.rk4_adaptive(np.array([2.0, 0.3]), np.array(1.5), np.array(5.0), 1e-10), y, rtol=1e-8)


def test_lstm_unit_by_unit() -> None:
    i = sequences.lstm_inputs(3)
    xs, w, u, b = i["xs"], i["w"], i["u"], i["b"] + 0.1
    time, batch, features = xs.shape
    h, c = np.zeros((2, batch, 3))
    for t in range(time):
        new, cells = np.zeros((batch, 3)), np.zeros((batch, 3))
        for r, j in itertools.product(range(batch), range(3)):
            z = [b[g * 3 + j] + sum(xs[t, r, f] * w[f, g * 3 + j] for f in range(features))
                 + sum(h[r, f] * u[f, g * 3 + j] for f in range(3)) for g in range(4)]  # fmt: skip
            gate = [0.5 * (1.0 + np.tanh(0.5 * v)) for v in z]
            cells[r, j] = gate[1] * c[r, j] + gate[0] * np.tanh(z[2])
            new[r, j] = gate[3] * np.tanh(cells[r, j])
        h, c = new, cells
        close(sequences.lstm(xs, w, u, b)[t], h, rtol=1e-12)


def test_hidden_paths_are_all_counted() -> None:
    i = sequences.hmm_inputs(3)
    seen = i["seen"][:5]
    start, move, emit = (np.exp(i[k]) for k in ("start", "move", "emit"))
    total = 0.0
    for path in itertools.product(range(3), repeat=5):
        p = start[path[0]] * emit[path[0], seen[0]]
        for t in range(1, 5):
            p *= move[path[t - 1], path[t]] * emit[path[t], seen[t]]
        total += p
    close(sequences.hmm_forward(i["start"], i["move"], i["emit"], seen), np.log(total), rtol=1e-12)


def test_the_filter_s_likelihood_is_that_of_one_large_gaussian() -> None:
    i = sequences.kalman_inputs(4)
    zs, f, h, q, r = i.values()
    powers = [np.linalg.matrix_power(f, k) for k in range(5)]
    covariance = np.zeros((8, 8))
    for a, b in itertools.product(range(4), repeat=2):
        x = powers[a + 1] @ powers[b + 1].T                  # of the start
        x = x + sum(powers[a - k] @ q @ powers[b - k].T for k in range(min(a, b) + 1))
        covariance[2 * a : 2 * a + 2, 2 * b : 2 * b + 2] = h @ x @ h.T + (r if a == b else 0.0)
    z = zs.ravel()
    expected = -0.5 * (z @ np.linalg.solve(covariance, z) + np.linalg.slogdet(2.0 * np.pi * covariance)[1])
    close(sequences.kalman(zs, f, h, q, r)[1], expected, rtol=1e-12)


def test_escape_counts_as_complex_numbers_do() -> None:
    i = sequences.escape_inputs(9)
    found = sequences.escape(i["cx"], i["cy"], 30)
    for (row, y), (column, x) in itertools.product(enumerate(i["cy"]), enumerate(i["cx"])):
        z, k = 0j, 0
        while k < 30 and abs(z) < 100.0:
            z, k = z * z + complex(x, y), k + 1
        expected = k - np.log2(2.0 * np.log(abs(z))) if k < 30 else 0.0
        close(found[row, column], expected, rtol=1e-9)
    assert 0.0 < np.mean(found == 0.0) < 1.0
