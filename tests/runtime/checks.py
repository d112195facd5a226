"""What the runtime's tests share: finite differences, and tensors to arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb

Array = np.ndarray[Any, Any]


def same(t: Any, expected: Any, dtype: str | None = None) -> None:
    """The tensor has exactly these values and this shape, and the dtype when one is given."""
    want = np.asarray(expected)
    assert tuple(t.shape) == want.shape
    np.testing.assert_array_equal(t.numpy(), want)
    if dtype is not None:
        assert t.dtype.name == dtype


def close(t: Any, expected: Any, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    """The tensor is near these values."""
    want = np.asarray(expected)
    assert tuple(t.shape) == want.shape
    np.testing.assert_allclose(t.numpy(), want, rtol=rtol, atol=atol)


def numeric_gradient(f: Callable[..., Array], xs: list[Array], weights: Array, step: float = 1e-6) -> list[Array]:
    """Central differences of sum(weights * f(*xs)) by each element of each x, all float64."""
    out = []
    for k, x in enumerate(xs):
        g = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            ends = []
            for sign in (1, -1):
                moved = [v.copy() for v in xs]
                moved[k][i] += sign * step
                ends.append(float(np.sum(weights * f(*moved))))
            g[i] = (ends[0] - ends[1]) / (2 * step)
        out.append(g)
    return out


def check_gradient(f: Callable[..., Any], *arrays: Any, rtol: float = 1e-5, atol: float = 1e-7) -> None:
    """The tape's gradients of `f` on float64 arrays agree with central differences, with and without an outer tape."""
    xs = [np.asarray(a, np.float64) for a in arrays]

    def run(*vs: Array) -> Array:
        return np.asarray(f(*map(pb.constant, vs)).numpy())

    weights = np.cos(1.0 + np.arange(run(*xs).size)).reshape(run(*xs).shape)
    want = numeric_gradient(run, xs, weights)
    for nested in (False, True):
        ts = [pb.constant(x) for x in xs]
        with pb.GradientTape() as outer:
            outer.watch(ts)
            with pb.GradientTape() as tape:
                tape.watch(ts)
                y = f(*ts)
            if nested:
                got = tape.gradient(y, ts, output_gradients=pb.constant(weights))
        if not nested:
            got = tape.gradient(y, ts, output_gradients=pb.constant(weights))
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(np.zeros_like(w) if g is None else g.numpy(), w, rtol=rtol, atol=atol)
