"""Compiled calls and eager operations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from timing import Bench, Builder
from workloads import Inputs
from workloads.calls import MANY

from .base import ready


def square(x: Any) -> Any:
    return x * x


def cube(x: Any) -> Any:
    return x * x * x


def chain20(x: Any) -> Any:
    y = x
    for _ in range(6):
        y = jnp.sin(y) * x + x
    return jnp.sin(y) * x


def compiled(f: Any, argument: Any) -> Builder:
    return lambda i: Bench(ready(jax.jit(f)), (argument(i["x"]),))


def call_tree20(i: Inputs) -> Bench:
    f = jax.jit(lambda xs: [2.0 * x for x in xs])
    return Bench(ready(f), ([jnp.asarray(x) for x in i["x"]],))


def many(f: Any) -> Builder:
    def call(x: Any) -> Any:
        for _ in range(MANY):
            y = f(x)
        return jax.block_until_ready(y)

    return lambda i: Bench(call, (jnp.asarray(i["x"]),), MANY)


def taped(f: Any) -> Builder:
    def chain(x: Any) -> Any:
        y = x
        for _ in range(MANY):
            y = f(y, x)
        return y

    return lambda i: Bench(lambda x: jax.block_until_ready(jax.vjp(chain, x)[0]), (jnp.asarray(i["x"]),), MANY)


def gradient(f: Any) -> Builder:
    def total(x: Any) -> Any:
        return jnp.sum(f(x))

    return lambda i: Bench(ready(jax.grad(f if i["x"].ndim == 0 else total)), (jnp.asarray(i["x"]),))


ARGUMENTS = {"tensor": jnp.asarray, "float": float, "ndarray": lambda x: x}
BUILDERS: dict[str, Builder] = {
    **{f"call_{kind}": compiled(square, argument) for kind, argument in ARGUMENTS.items()},
    **{f"gradient_{kind}": compiled(jax.grad(square), argument) for kind, argument in ARGUMENTS.items()},
    "call_tree20": call_tree20,
    "eager_add": many(lambda x: x + x), "eager_mul": many(lambda x: x * x), "eager_sin": many(jnp.sin),
    "taped_add": taped(lambda y, x: y + x), "taped_mul": taped(lambda y, x: y * x),
    "taped_sin": taped(lambda y, x: jnp.sin(y)),
    "tape_cube": gradient(cube), "tape_chain20": gradient(chain20),
}  # fmt: skip
