"""Elementwise functions, Rosenbrock's, and the two problems of ADBench."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from timing import Bench, Builder
from workloads import Inputs
from workloads.fitting import places, residuals

from .base import arrays, double, ready


def bump_sum(x: Any) -> Any:
    return jnp.sum(jnp.tanh(x) * jnp.exp(-x * x) + jnp.sin(x))


def elementwise(i: Inputs) -> Bench:
    return Bench(ready(jax.jit(jax.value_and_grad(bump_sum))), arrays(i))


def eager_tape(i: Inputs) -> Bench:
    return Bench(ready(jax.value_and_grad(bump_sum)), arrays(i))


def fifty_lengths(i: Inputs) -> Bench:
    f, xs = jax.jit(jax.grad(bump_sum)), arrays(i)
    return Bench(ready(lambda: [f(x) for x in xs]))


def black_scholes(i: Inputs) -> Bench:
    def normal(d: Any) -> Any:
        return 0.5 * (1.0 + jax.scipy.special.erf(d * 0.7071067811865476))

    def total(s: Any, k: Any, t: Any, r: Any, v: Any) -> Any:
        root = jnp.sqrt(t)
        d1 = (jnp.log(s / k) + (r + 0.5 * v * v) * t) / (v * root)
        return jnp.sum(s * normal(d1) - k * jnp.exp(-r * t) * normal(d1 - v * root))

    return Bench(ready(jax.jit(jax.value_and_grad(total, range(5)))), arrays(i))


def rosenbrock(x: Any) -> Any:
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def product(x: Any, v: Any) -> Any:
    return jax.jvp(jax.grad(rosenbrock), (x,), (v,))[1]


def of_x(f: Any) -> Builder:
    return lambda i: Bench(ready(jax.jit(f)), arrays(i, "x"))


def mixture(i: Inputs) -> Bench:
    where = places()

    def likelihood(alphas: Any, means: Any, logs: Any, lower: Any, x: Any) -> Any:
        scale = jnp.exp(logs)
        triangle = jnp.pad(lower, ((0, 0), (0, 1)))[:, where]
        centred = x[:, None, :] - means
        q = scale * centred + jnp.einsum("kab,nkb->nka", triangle, centred)
        main = alphas + logs.sum(1) - 0.5 * (q * q).sum(2)
        each = jnp.sum(jax.nn.logsumexp(main, 1)) - len(x) * jax.nn.logsumexp(alphas)
        return each + 0.5 * (jnp.sum(scale * scale) + jnp.sum(lower * lower))

    f = jax.jit(jax.value_and_grad(likelihood, range(4)))
    return Bench(ready(f), arrays(i, "alphas means logs lower x"))


def bundle_by(jacobian: Any) -> Builder:
    def of_one(p: Any, feature: Any) -> Any:
        return jnp.stack(residuals(p, feature, jnp))

    f = jax.jit(lambda p, feature: (jax.vmap(of_one)(p, feature), jax.vmap(jacobian(of_one))(p, feature)))
    return lambda i: Bench(ready(f), arrays(i))


bundle_forward = double(bundle_by(jax.jacfwd))
BUILDERS: dict[str, Builder] = {
    "elementwise": elementwise, "eager_tape": eager_tape, "fifty_lengths": fifty_lengths,
    "black_scholes": black_scholes,
    "rosenbrock_value": of_x(rosenbrock), "rosenbrock_gradient": of_x(jax.value_and_grad(rosenbrock)),
    "rosenbrock_hvp": lambda i: Bench(ready(jax.jit(product)), arrays(i)),
    "rosenbrock_hessian": of_x(jax.hessian(rosenbrock)),
    "mixture": double(mixture), "bundle": double(bundle_by(jax.jacrev)),
}  # fmt: skip
