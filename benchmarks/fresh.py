"""One fresh process: what importing a framework and its first calls cost.

`python fresh.py FRAMEWORK` prints how long importing takes. With VARIANT WORKLOAD INPUTS REFERENCE it prints the first
call of that workload, too (trace, differentiate, compile, run), after a small gradient that loads whatever the
framework loads when first used (`cold`).
On-disk caches are empty: the conductor gives every process a cache folder of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

if os.environ.get("BENCHMARK_THREADS", "1") == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

start = time.perf_counter()
import numpy as np  # noqa: E402  (its import is what is timed)

NUMPY_SECONDS = time.perf_counter() - start
MODULES = {
    "pullback": "pullback", "jax": "jax.numpy", "tf": "tensorflow", "torch": "torch", "numba": "numba",
    "autograd": "autograd.numpy",
}  # fmt: skip
X = np.linspace(-2.0, 2.0, 1000, dtype=np.float32)
Gradient = Callable[[], Any]


def tensorflow_style(tf: Any, compiled: Any) -> Gradient:
    def gradient(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.tanh(x) * tf.exp(-x * x))
        return tape.gradient(y, x)

    f, x = compiled(gradient), tf.constant(X)
    return lambda: f(x).numpy()


def of_pullback(variant: str) -> Gradient:
    import pullback as pb

    return tensorflow_style(pb, pb.function)


def of_tf(variant: str) -> Gradient:
    import tensorflow as tf

    return tensorflow_style(tf, tf.function(jit_compile=True) if variant == "tf xla" else tf.function)


def of_jax(variant: str) -> Gradient:
    import jax
    import jax.numpy as jnp

    f = jax.jit(jax.grad(lambda x: jnp.sum(jnp.tanh(x) * jnp.exp(-x * x))))
    return lambda: np.asarray(f(jnp.asarray(X)))


def of_torch(variant: str) -> Gradient:
    import torch

    def f(x: Any) -> Any:
        return torch.sum(torch.tanh(x) * torch.exp(-x * x))

    if variant in ("torch eager", "torch nn"):
        x = torch.tensor(X, requires_grad=True)
        return lambda: torch.autograd.grad(f(x), x)[0].numpy()
    g = torch.compile(torch.func.grad(f))
    return lambda: g(torch.tensor(X)).numpy()


def of_numba(variant: str) -> Gradient:
    import math

    import numba

    def gradient(x: Any) -> Any:
        out = np.empty_like(x)
        for k in range(x.size):
            t, e = math.tanh(x[k]), math.exp(-x[k] * x[k])
            out[k] = (1.0 - t * t) * e - 2.0 * x[k] * t * e
        return out

    f = numba.njit(gradient)
    return lambda: f(X)


def of_autograd(variant: str) -> Gradient:
    import autograd
    import autograd.numpy as anp

    f = autograd.grad(lambda x: anp.sum(anp.tanh(x) * anp.exp(-x * x)))
    return lambda: f(X)


MAKERS = {
    "pullback": of_pullback, "tf": of_tf, "jax": of_jax, "torch": of_torch, "numba": of_numba, "autograd": of_autograd,
}  # fmt: skip


def first_calls(framework: str, variant: str, workload: str, inputs: str, reference: str) -> dict[str, Any]:
    """Seconds of the small gradient and of the workload's first call, and how wrong the answer is."""
    from answers import errors_of, leaves

    gradient = MAKERS[framework](variant)
    begin = time.perf_counter()
    gradient()
    cold = time.perf_counter() - begin
    builders = importlib.import_module(f"with_{framework}").VARIANTS[variant]
    with np.load(inputs) as data:
        bench = builders[workload](dict(data))
    begin = time.perf_counter()
    outputs = bench.call(*bench.args)
    first = time.perf_counter() - begin
    with np.load(reference) as data:
        errors = errors_of(leaves(bench.result() if bench.result else outputs), list(data.values()))
    return {"cold": cold, "first": first, "error_of_answer": max(errors)}


def main() -> None:
    framework = sys.argv[1]
    begin = time.perf_counter()
    if framework in MODULES:
        importlib.import_module(MODULES[framework])
    answer: dict[str, Any] = {"import": NUMPY_SECONDS + time.perf_counter() - begin}
    if len(sys.argv) > 2:
        answer.update(first_calls(*sys.argv[1:]))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
