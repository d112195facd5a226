"""JAX as its users write it: `jit` of `value_and_grad`, `lax` loops, optimizer state as a tree, buffers donated."""

from __future__ import annotations

import jax
from timing import slow

from . import arrays, calls, loops, training


def version() -> str:
    return f"jax {jax.__version__}"


VARIANTS = {
    "jax": {**calls.BUILDERS, **arrays.BUILDERS, **training.BUILDERS, **loops.BUILDERS},
    "jax forward": {"bundle": arrays.bundle_forward},
    "jax concat": {"heat": loops.heat_concat, "allen_cahn": loops.allen_cahn_concat},
    "jax unrolled": {"rnn": slow(loops.rnn_unrolled), "lstm": slow(loops.lstm_unrolled)},
    "jax scan 16": {"recurrence": loops.recurrence_scan},
}
