"""When ndarrays are arrays and when Tensors; compiled functions that call each other; methods on Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb


def step(A: Any, k: Any) -> Any:
    A[k] = A[k - 1] * 2.0
    A += 1.0
    return A.sum()


def steps(A: Any, n: Any, step: Any = step) -> Any:
    total = 0.0
    for k in range(1, n):
        total += step(A, k)
        total += step(A[::-1], 1)
    return total


@pytest.mark.parametrize("n", [5, np.int64(5)])
def test_a_compiled_function_writes_to_the_arrays_and_views_of_another(n: Any) -> None:
    inner = pb.function(step)

    @pb.function
    def outer(A: Any, n: Any) -> Any:
        return steps(A, n, inner)

    ours, theirs = np.arange(6.0), np.arange(6.0)
    np.testing.assert_allclose(outer(ours, n), steps(theirs, 5))
    np.testing.assert_allclose(ours, theirs)
    x, h = pb.array(np.arange(6.0)), 1e-6
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = outer(x, n)
    expected = [
        (steps(np.arange(6.0) + h * e, 5) - steps(np.arange(6.0) - h * e, 5)) / (2 * h) for e in np.eye(6)
    ]
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-6, atol=1e-6)


def test_a_function_without_numpy_takes_ndarrays_for_tensors() -> None:
    f = pb.function(lambda x: x * x)
    assert type(f(np.ones(2))) is pb.Tensor
    with pytest.raises(AttributeError, match="sum"):
        f(np.ones(2)).sum()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.sum(),
        lambda x: x.T + 1.0,
        lambda x: np.exp(x),
        lambda x: x + np.zeros(3),
        lambda x: [x.__setitem__(0, 1.0), x][1],
        lambda x: x.copy(),
    ],
)
def test_a_function_that_uses_numpy_makes_arrays_of_them(f: Any) -> None:
    compiled = pb.function(f)
    y = compiled(np.arange(3.0))
    assert type(y) is not pb.Tensor
    np.testing.assert_allclose(np.asarray(y), f(np.arange(3.0)))
    assert y.dtype == np.float64
    assert compiled.trace_count == 1


def test_a_trace_that_starts_over_leaves_nothing_behind() -> None:
    seen = []

    @pb.function
    def f(x: Any) -> Any:
        seen.append(x)
        y = x * 2.0
        try:
            y[0] = 1.0
        except Exception:
            return "the signal is no exception that user code catches"
        return y

    np.testing.assert_array_equal(f(np.ones(3)), [1, 2, 2])
    assert len(seen) == 2  # once with a Tensor, once with an array
    assert f.trace_count == 1


def test_tensors_and_variables_have_numpys_methods_inside_of_functions() -> None:
    v = pb.Variable(np.linspace(0.1, 0.6, 6).reshape(2, 3))

    def f(v: Any) -> Any:
        y = np.tanh(v * 2.0)
        part = y.reshape(3, 2).T.copy()
        return part.sum() + y.mean(axis=0).max() + part.ravel().dot(part.flatten()) + y.shape[0]

    with pb.GradientTape() as tape:
        value = pb.function(f)(v)
    plain = v.numpy()
    np.testing.assert_allclose(value, f(plain), rtol=1e-13)
    h = 1e-6
    expected = np.zeros((2, 3))
    for k in np.ndindex(2, 3):
        d = np.zeros((2, 3))
        d[k] = h
        expected[k] = (f(plain + d) - f(plain - d)) / (2 * h)
    np.testing.assert_allclose(tape.gradient(value, v), expected, rtol=1e-6)
    assert not hasattr(pb.constant(1.0), "sum")  # outside, TensorFlow's rule


def test_numpy_scalars_are_arguments_inside_of_traces_too() -> None:
    inner = pb.function(lambda A, n: A * n)
    outer = pb.function(lambda A: inner(A + 0.0, np.int64(3)) + inner(A.copy(), np.float64(0.5)))
    np.testing.assert_allclose(outer(np.ones(2)), [3.5, 3.5])
