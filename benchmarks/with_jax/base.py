"""What the parts share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from workloads import Inputs


def ready(f: Any) -> Any:
    """A call that ends when its result exists."""
    return lambda *args: jax.block_until_ready(f(*args))


def arrays(i: Inputs, names: str = "") -> tuple[Any, ...]:
    return tuple(jnp.asarray(i[name]) for name in names.split() or i)


def double(builder: Any) -> Any:
    """With float64 switched on while it is built and called."""

    def build(i: Inputs) -> Any:
        with jax.enable_x64(True):
            bench = builder(i)
        call = bench.call

        def in_double(*args: Any) -> Any:
            with jax.enable_x64(True):
                return call(*args)

        bench.call = in_double
        return bench

    return build
