"""Loops as `lax.scan` and `lax.fori_loop`; unrolled while tracing, as the direct port has them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from timing import Bench, Builder
from workloads import Inputs
from workloads.loops import BATCH, DIFFUSION, HIDDEN, RATE, REACTION

from .base import arrays, ready


def rnn_cell(z: Any, c: Any) -> tuple[Any, Any]:
    return jnp.tanh(z), c


def lstm_cell(z: Any, c: Any) -> tuple[Any, Any]:
    gi, gf, gg, go = jnp.split(z, 4, axis=1)
    c = jax.nn.sigmoid(gf) * c + jax.nn.sigmoid(gi) * jnp.tanh(gg)
    return jax.nn.sigmoid(go) * jnp.tanh(c), c


def recurrent(cell: Any, unrolled: bool = False) -> Builder:
    def loss(w: Any, u: Any, b: Any, x: Any) -> Any:
        start = (jnp.zeros((BATCH, HIDDEN)), jnp.zeros((BATCH, HIDDEN)))

        def step(carry: Any, row: Any) -> Any:
            h, c = cell(row @ w + carry[0] @ u + b, carry[1])
            return (h, c), h

        if unrolled:
            carry, hs = start, []
            for t in range(len(x)):
                carry, h = step(carry, x[t])
                hs.append(h)
            return sum(jnp.sum(h * h) for h in hs) / (len(x) * BATCH * HIDDEN)
        _, hs = lax.scan(step, start, x)
        return jnp.mean(hs * hs)

    return lambda i: Bench(ready(jax.jit(jax.value_and_grad(loss, (0, 1, 2)))), arrays(i, "w u b x"))


def descent(i: Inputs) -> Bench:
    steps = int(i["steps"])

    def train(x: Any, a: Any, b: Any) -> Any:
        slope = jax.grad(lambda x: a * x * x + b * x)
        return lax.fori_loop(0, steps, lambda _, x: x - RATE * slope(x), x)

    return Bench(ready(jax.jit(train)), arrays(i, "x a b"))


def recurrence_by(scan: bool) -> Builder:
    def build(i: Inputs) -> Bench:
        steps = int(i["steps"])
        h = 2.0 / steps

        def last(x: Any, c: Any) -> Any:
            def step(x: Any) -> Any:
                return x + h * (1.01 * jnp.sin(x) + c)

            if scan:
                return lax.scan(lambda x, _: (step(x), None), x, None, length=steps, unroll=16)[0]
            return lax.fori_loop(0, steps, lambda _, x: step(x), x)

        return Bench(ready(jax.jit(jax.value_and_grad(last, (0, 1)))), arrays(i, "x c"))

    return build


def energy(u: Any) -> Any:
    return 0.5 * jnp.sum(u * u)


def change(u: Any, reaction: float) -> Any:
    c = u[1:-1]
    d = DIFFUSION * (u[:-2] - 2.0 * c + u[2:])
    return d + reaction * (c - c * c * c) if reaction else d


def time_steps(reaction: float, concat: bool = False) -> Builder:
    def step(u: Any) -> Any:
        if concat:
            return jnp.concatenate([u[:1], u[1:-1] + change(u, reaction), u[-1:]])
        return u.at[1:-1].add(change(u, reaction))

    def build(i: Inputs) -> Bench:
        steps = int(i["steps"])

        def last(u: Any) -> Any:
            return energy(lax.fori_loop(0, steps, lambda _, u: step(u), u))

        return Bench(ready(jax.jit(jax.value_and_grad(last))), arrays(i, "u"))

    return build


def elements(i: Inputs) -> Bench:
    steps, n = int(i["steps"]), i["u"].size

    def at(u: Any, k: Any) -> Any:
        v = u[k]
        return v + DIFFUSION * (u[k - 1] - 2.0 * v + u[k + 1]) + REACTION * (v - v * v * v)

    def sweep(u: Any) -> Any:
        return lax.fori_loop(1, n - 1, lambda k, new: new.at[k].set(at(u, k)), u)

    def last(u: Any) -> Any:
        return energy(lax.fori_loop(0, steps, lambda _, u: sweep(u), u))

    return Bench(ready(jax.jit(jax.value_and_grad(last))), arrays(i, "u"))


heat_concat, allen_cahn_concat = time_steps(0.0, True), time_steps(REACTION, True)
rnn_unrolled, lstm_unrolled = recurrent(rnn_cell, True), recurrent(lstm_cell, True)
recurrence_scan = recurrence_by(True)
BUILDERS: dict[str, Builder] = {
    "rnn": recurrent(rnn_cell), "lstm": recurrent(lstm_cell), "descent": descent,
    "recurrence": recurrence_by(False), "heat": time_steps(0.0), "allen_cahn": time_steps(REACTION),
    "elements": elements,
}  # fmt: skip
