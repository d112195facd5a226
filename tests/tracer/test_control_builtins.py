"""Python's builtins and `math` on tensors and arrays, in compiled functions and in eager runs of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pullback as pb

from ..modes import eagerly

X = np.array([0.5, 1.5, -0.75])


def scalar_math(x: Any) -> Any:
    a, b = x[0], x[1]
    return math.sqrt(a) * math.sin(b) + math.atan2(a, b) + math.log(b) + math.log(a, 2) + math.exp(x[2])


def extremes(x: Any) -> Any:
    return max(x[0], x[1]) - min(x[2], 0.0, x[0]) + max(x) * min(x) + sum(x) + max([x[0], 0.25])


def rounding(x: Any) -> Any:
    return math.floor(x[1]), math.ceil(x[2]), round(x[0] * 3.3, 1), int(x[1]), float(x[0]) + np.ones(2)


def bounds(x: Any) -> Any:
    total = np.zeros(())
    for k in np.arange(3):
        total = total + [1.0, 2.0, 3.0][k] * x[k]
    a, b, c = np.split(x, 3)
    return total, [v * 2 for v in x], a + b * c


@pytest.mark.parametrize("f", [scalar_math, extremes, rounding, bounds])
@pytest.mark.parametrize("eager", [False, True])
def test_as_python(f: Any, eager: bool) -> None:
    want = f(X.copy())
    pb.config.run_functions_eagerly(eager)
    try:
        got = pb.function(f)(X.copy())
    finally:
        pb.config.run_functions_eagerly(False)
    flat = got if isinstance(got, (list, tuple)) else [got]
    for g, w in zip(flat, want if isinstance(want, (list, tuple)) else [want], strict=True):
        np.testing.assert_allclose(np.asarray(g), w, rtol=1e-14)


@pytest.mark.parametrize("f", [scalar_math, extremes])
def test_derivatives(f: Any) -> None:
    x = pb.constant(X)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.function(f)(x) if f is scalar_math else pb.function(lambda t: f(np.array(t)))(x)
    got = tape.gradient(y, x).numpy()
    for k in range(3):
        ends = [f(X + s * 1e-6 * (np.arange(3) == k)) for s in (1, -1)]
        np.testing.assert_allclose(got[k], (ends[0] - ends[1]) / 2e-6, rtol=1e-7)


def test_math_does_not_cut_a_gradient_in_an_eager_run() -> None:
    with eagerly():
        x = pb.constant(2.0)
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.function(lambda t: math.sqrt(t) * 3.0)(x)
        assert tape.gradient(y, x).numpy() == pytest.approx(1.5 / math.sqrt(2.0))


def test_math_refuses_arrays_as_python_does() -> None:
    with pytest.raises(TypeError, match=r"math.sqrt takes numbers, not arrays: write np.sqrt.*builtins.py"):
        pb.function(lambda x: math.sqrt(x))(X)


def test_a_tensor_written_into_an_ndarray_from_outside_is_explained() -> None:
    outside = np.zeros(3)

    @pb.function
    def f(x: Any) -> Any:
        outside[0] = x[0]
        return np.sum(x)

    with pytest.raises(ValueError, match=r"test_control_builtins.py:\d+.*A = np.array\(A\)"):
        f(X)
