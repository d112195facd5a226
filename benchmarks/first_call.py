"""One fresh process: `python first_call.py FRAMEWORK` prints what importing and the first two compilations cost.

`cold` is the first gradient the process asks for, with whatever the framework still has to load; `warm` the first call
of a second, different function. On-disk caches are empty: the conductor gives every process a cache folder of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

start = time.perf_counter()
import numpy as np  # noqa: E402  (its import is what is timed)

NUMPY_SECONDS = time.perf_counter() - start

Call = Callable[[Any], Any]
Functions = tuple[Any, Call, Call]      # an argument, and two functions whose first call traces and compiles
X = np.linspace(-2.0, 2.0, 1000, dtype=np.float32)


def tensorflow_style(tf: Any, compiled: Any) -> Functions:
    def first(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.tanh(x) * tf.exp(-x * x))
        return tape.gradient(y, x)

    def second(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.sin(x) * x + tf.cos(x))
        return tape.gradient(y, x)

    f, g = compiled(first), compiled(second)
    return tf.constant(X), lambda x: f(x).numpy(), lambda x: g(x).numpy()


def make_pullback() -> Callable[[], Functions]:
    import pullback as pb

    return lambda: tensorflow_style(pb, pb.function)


def make_tf() -> Callable[[], Functions]:
    import tensorflow as tf

    return lambda: tensorflow_style(tf, tf.function)


def make_jax() -> Callable[[], Functions]:
    import jax
    import jax.numpy as jnp

    def functions() -> Functions:
        f = jax.jit(jax.grad(lambda x: jnp.sum(jnp.tanh(x) * jnp.exp(-x * x))))
        g = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(x) * x + jnp.cos(x))))
        return jnp.asarray(X), lambda x: np.asarray(f(x)), lambda x: np.asarray(g(x))

    return functions


def make_misc() -> Callable[[], Functions]:
    import math

    import numba

    def first(x: Any) -> Any:
        out = np.empty_like(x)
        for k in range(x.size):
            t, e = math.tanh(x[k]), math.exp(-x[k] * x[k])
            out[k] = (1.0 - t * t) * e - 2.0 * x[k] * t * e
        return out

    def second(x: Any) -> Any:
        out = np.empty_like(x)
        for k in range(x.size):
            out[k] = math.cos(x[k]) * x[k]
        return out

    return lambda: (X, numba.njit(first), numba.njit(second))


MAKERS = {"pullback": make_pullback, "jax": make_jax, "tf": make_tf, "misc": make_misc}


def expected() -> tuple[Any, Any]:
    x = X.astype(np.float64)
    t, e = np.tanh(x), np.exp(-x * x)
    return (1.0 - t * t) * e - 2.0 * x * t * e, np.cos(x) * x


def main() -> None:
    if sys.argv[1] == "numpy":
        print(json.dumps({"numpy": NUMPY_SECONDS, "import": 0.0}))
        return
    begin = time.perf_counter()
    functions = MAKERS[sys.argv[1]]()
    imported = time.perf_counter()
    x, first, second = functions()
    ready = time.perf_counter()
    a = first(x)
    cold = time.perf_counter()
    b = second(x)
    warm = time.perf_counter()
    right = all(np.allclose(got, want, atol=1e-4) for got, want in zip((a, b), expected(), strict=True))
    seconds = {"numpy": NUMPY_SECONDS, "import": imported - begin, "cold": cold - ready, "warm": warm - cold}
    print(json.dumps({**seconds, "right": right}))


if __name__ == "__main__":
    main()
