"""dynamics.py and sequences.py as JAX's users have to write them.

Where the number of steps depends on data there are two forms: `while_loop` for values (JAX refuses to differentiate
it), and for gradients a scan over a fixed number of steps, the surplus masked. The bound is the user's to find.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .base import Inputs
from .dynamics import GRAVITY, SOFTENING

KEPLER_BOUND = 12
NEWTON_BOUND = 12


def bounded_while(more: Callable[[Any], Any], step: Callable[[Any], Any], start: Any, bound: int) -> Any:
    """while_loop with a gradient, for at most `bound` steps."""

    def body(carry: Any, _: Any) -> Any:
        return lax.cond(more(carry), step, lambda c: c, carry), None

    return lax.scan(body, start, None, length=bound)[0]


def accelerations(x: Any, m: Any) -> Any:
    d = x[None, :, :] - x[:, None, :]
    r2 = jnp.sum(d * d, axis=2) + SOFTENING
    return jnp.sum(d * (m / (r2 * jnp.sqrt(r2)))[:, :, None], axis=1)


def nbody(x: Any, v: Any, m: Any, dt: Any, steps: int) -> Any:
    def step(_: Any, carry: Any) -> Any:
        x, v, a = carry
        v = v + 0.5 * dt * a
        x = x + dt * v
        a = accelerations(x, m)
        return x, v + 0.5 * dt * a, a

    x, v, _ = lax.fori_loop(0, steps, step, (x, v, accelerations(x, m)))
    return jnp.sum(x * x) + jnp.sum(x * v)


def shallow_water(h: Any, depth: Any, dt: Any, steps: int) -> Any:
    n, m = h.shape
    u, v = jnp.zeros((n + 1, m)), jnp.zeros((n, m + 1))

    def step(_: Any, carry: Any) -> Any:
        h, u, v = carry
        u = u.at[1:-1, :].add(-dt * GRAVITY * (h[1:, :] - h[:-1, :]))
        v = v.at[:, 1:-1].add(-dt * GRAVITY * (h[:, 1:] - h[:, :-1]))
        water = h + depth
        x = jnp.pad(u[1:-1, :] * jnp.where(u[1:-1, :] > 0.0, water[:-1, :], water[1:, :]), ((1, 1), (0, 0)))
        y = jnp.pad(v[:, 1:-1] * jnp.where(v[:, 1:-1] > 0.0, water[:, :-1], water[:, 1:]), ((0, 0), (1, 1)))
        return h - dt * (x[1:, :] - x[:-1, :] + y[:, 1:] - y[:, :-1]), u, v

    return jnp.sum(lax.fori_loop(0, steps, step, (h, u, v))[0] ** 2)


def oscillator(y: Any, mu: Any) -> Any:
    return jnp.array([y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]])


def rk4_step(y: Any, mu: Any, dt: Any) -> Any:
    k1 = oscillator(y, mu)
    k2 = oscillator(y + 0.5 * dt * k1, mu)
    k3 = oscillator(y + 0.5 * dt * k2, mu)
    k4 = oscillator(y + dt * k3, mu)
    return y + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def rk4(loop: Callable[..., Any], y: Any, mu: Any, end: Any) -> Any:
    def step(carry: Any) -> Any:
        t, dt, y = carry
        dt = jnp.minimum(dt, end - t)
        whole = rk4_step(y, mu, dt)
        halves = rk4_step(rk4_step(y, mu, 0.5 * dt), mu, 0.5 * dt)
        error = jnp.max(jnp.abs(halves - whole)) / 1e-8
        taken = error <= 1.0
        y = jnp.where(taken, halves + (halves - whole) / 15.0, y)
        t = jnp.where(taken, t + dt, t)
        return t, dt * jnp.minimum(2.0, jnp.maximum(0.2, 0.9 * (error + 1e-10) ** -0.2)), y

    start = (jnp.zeros(()), jnp.full((), 0.01), y)
    _, _, y = loop(lambda c: c[0] < end, step, start)
    return y[0] * y[0] + y[0] * y[1]


def rk4_adaptive(y: Any, mu: Any, end: Any) -> Any:
    return rk4(lax.while_loop, y, mu, end)


def rk4_adaptive_bounded(y: Any, mu: Any, end: Any, bound: int) -> Any:
    return rk4(partial(bounded_while, bound=bound), y, mu, end)


def bratu(loop: Callable[..., Any], u: Any, strength: Any) -> Any:
    n = u.shape[0]
    h2 = 1.0 / (n + 1.0) ** 2
    laplace = jnp.eye(n, k=1) + jnp.eye(n, k=-1) - 2.0 * jnp.eye(n)

    def step(carry: Any) -> Any:
        u, _ = carry
        source = strength * h2 * jnp.exp(u)
        change = jnp.linalg.solve(laplace + jnp.diag(source), laplace @ u + source)
        return u - change, jnp.max(jnp.abs(change))

    u, _ = loop(lambda c: c[1] > 1e-12, step, (u, jnp.ones(())))
    return jnp.sum(u**2)


def newton(u: Any, strength: Any) -> Any:
    return bratu(lax.while_loop, u, strength)


def newton_bounded(u: Any, strength: Any) -> Any:
    return bratu(partial(bounded_while, bound=NEWTON_BOUND), u, strength)


def anomalies(loop: Callable[..., Any], mean: Any, e: Any) -> Any:
    """All of them at once; those that have converged wait."""

    def step(carry: Any) -> Any:
        x, change = carry
        open_ = jnp.abs(change) > 1e-10
        new = jnp.where(open_, (x - e * jnp.sin(x) - mean) / (1.0 - e * jnp.cos(x)), 0.0)
        return x - new, new

    x, _ = loop(lambda c: jnp.any(jnp.abs(c[1]) > 1e-10), step, (mean + e * jnp.sin(mean), jnp.ones_like(mean)))
    return jnp.sum(jnp.sin(x))


def kepler(mean: Any, eccentricity: Any) -> Any:
    return anomalies(lax.while_loop, mean, eccentricity)


def kepler_bounded(mean: Any, eccentricity: Any) -> Any:
    return anomalies(partial(bounded_while, bound=KEPLER_BOUND), mean, eccentricity)


def lstm(xs: Any, w: Any, u: Any, b: Any, target: Any) -> Any:
    def step(carry: Any, x: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(x @ w + h @ u + b, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((xs.shape[1], u.shape[0]))
    _, out = lax.scan(step, (zeros, zeros), xs)
    return jnp.mean((out - target) ** 2)


def hmm(start: Any, move: Any, emit: Any, seen: Any) -> Any:
    def step(alpha: Any, symbol: Any) -> Any:
        return jax.nn.logsumexp(alpha[:, None] + move, axis=0) + emit[:, symbol], None

    alpha, _ = lax.scan(step, start + emit[:, seen[0]], seen[1:])
    return jax.nn.logsumexp(alpha)


def kalman(zs: Any, f: Any, h: Any, q: Any, r: Any) -> Any:
    n = f.shape[0]

    def step(carry: Any, z: Any) -> Any:
        x, p = carry
        x, p = f @ x, f @ p @ f.T + q
        y, s = z - h @ x, h @ p @ h.T + r
        gain = jnp.linalg.solve(s, h @ p).T
        likelihood = -0.5 * (y @ jnp.linalg.solve(s, y) + jnp.log(jnp.linalg.det(s)))
        x = x + gain @ y
        return (x, p - gain @ (h @ p)), (x, likelihood)

    _, (track, parts) = lax.scan(step, (jnp.zeros(n), jnp.eye(n)), zs)
    return jnp.mean(track**2) - (jnp.sum(parts) - 0.5 * zs.size * jnp.log(2.0 * jnp.pi))


def escape(cx: Any, cy: Any, limit: int) -> Any:
    """All points together, each frozen when it is out."""
    shape = (cy.shape[0], cx.shape[0])
    x0, y0 = jnp.broadcast_to(cx[None, :], shape), jnp.broadcast_to(cy[:, None], shape)

    def step(_: Any, carry: Any) -> Any:
        x, y, k = carry
        inside = x * x + y * y < 1e4
        x, y = jnp.where(inside, x * x - y * y + x0, x), jnp.where(inside, 2.0 * x * y + y0, y)
        return x, y, k + inside

    x, y, k = lax.fori_loop(0, limit, step, (jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(shape)))
    out = k < limit
    r2 = jnp.where(out, x * x + y * y, 1e4)
    return jnp.sum(jnp.where(out, k - jnp.log(jnp.log(r2)) / jnp.log(2.0), 0.0))


FORWARD = {
    "nbody": nbody, "shallow_water": shallow_water, "rk4_adaptive": rk4_adaptive, "newton": newton, "kepler": kepler,
    "lstm": lstm, "hmm": hmm, "kalman": kalman, "escape": escape,
}  # fmt: skip


def gradient_forms(inputs: Inputs) -> dict[str, Callable[..., Any]]:
    """What is differentiated where it is not the forward form, for given inputs: the bounds depend on them."""
    bound = 50 + int(45 * float(inputs.get("end", 0.0)))
    adaptive = partial(rk4_adaptive_bounded, bound=bound)
    return {"newton": newton_bounded, "kepler": kepler_bounded, "rk4_adaptive": adaptive}
