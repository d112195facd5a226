"""Numba (loops and derivatives by hand) and HIPS Autograd (NumPy plus derivatives, eager)."""

from __future__ import annotations

import math
from typing import Any

import autograd
import autograd.numpy as anp
import numba
import numpy as np
from timing import Bench
from workloads import Array, Inputs


def version() -> str:
    from importlib.metadata import version as of

    return f"numba {numba.__version__}, autograd {of('autograd')}"


@numba.njit  # type: ignore[untyped-decorator]
def loop(x: Array) -> tuple[float, Array]:
    gradient, value = np.empty_like(x), 0.0
    for k in range(x.size):
        v = x[k]
        t, e = math.tanh(v), math.exp(-v * v)
        value += t * e + math.sin(v)
        gradient[k] = (np.float32(1.0) - t * t) * e - np.float32(2.0) * v * t * e + math.cos(v)
    return value, gradient


def numba_scalar_call(i: Inputs) -> Bench:
    f = numba.njit(lambda x: x * x)
    return Bench(f, (i["x"][()],))


def numba_value_and_gradient(i: Inputs) -> Bench:
    return Bench(loop, (i["x"],), i["x"].size, lambda: list(loop(i["x"])))


def total(x: Any) -> Any:
    return anp.sum(anp.tanh(x) * anp.exp(-x * x) + anp.sin(x))


def autograd_scalar_gradient(i: Inputs) -> Bench:
    return Bench(autograd.grad(lambda x: x * x), (float(i["x"]),))


def autograd_sum(work: bool) -> Any:
    def build(i: Inputs) -> Bench:
        f = autograd.value_and_grad(total)
        return Bench(f, (i["x"],), i["x"].size if work else 1, lambda: list(f(i["x"])))

    return build


VARIANTS = {
    "numba": {"scalar_call": numba_scalar_call, "value_and_gradient": numba_value_and_gradient},
    "autograd": {
        "scalar_gradient": autograd_scalar_gradient,
        "value_and_gradient": autograd_sum(True),
        "eager_tape": autograd_sum(False),
    },
}
