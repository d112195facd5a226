"""Forward mode around compiled loops and branches, with writes in them: tangents go through, alone and over a tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb


def write_in_a_loop(A: Any, n: Any) -> Any:
    A = A.copy()
    for i in range(n):
        A[i] = A[1] * A[1]
    return np.sum(A * A)


def whole_in_a_while(A: Any, n: Any) -> Any:
    A = A.copy()
    while A[0] > 0.3:
        A *= 0.5
    return np.sum(A * A)


def write_in_a_branch(A: Any, n: Any) -> Any:
    A = A.copy()
    s = A[0]
    if s > 0.5:
        A[0] = A[2] * s
    return np.sum(A * A)


def number_of_a_branch(A: Any, n: Any) -> Any:
    A = A.copy()
    B = 2.0 * A
    s = A[0]
    if s > 0.5:
        s = A[2] * s
    B[1] = 0.5
    A[0] = B[2]
    return np.sum(A * A) + s + np.sum(B * A)


def carried(A: Any, n: Any) -> Any:
    A = A.copy()
    B = 2.0 * A
    s = A[0]
    for i in range(n):
        B[i] = 3.0
        s = s * A[i] + B[0]
    A[1] = s
    return np.sum(A * A) + s


PROGRAMS = [write_in_a_loop, whole_in_a_while, write_in_a_branch, number_of_a_branch, carried]
A, D, N = np.array([1.0, 2.0, 3.0]), np.array([0.3, 0.5, 0.7]), np.int64(2)


def slope(f: Callable[..., Any], a: Any, n: Any) -> Any:
    with pb.GradientTape() as tape:
        tape.watch(a)
        y = f(a, n)
    return tape.gradient(y, a)


@pytest.mark.parametrize("f", PROGRAMS)
def test_tangents_are_differences(f: Callable[..., Any]) -> None:
    @pb.function
    def forward(a: Any, n: Any, d: Any) -> Any:
        with pb.autodiff.ForwardAccumulator(a, d) as acc:
            y = f(a, n)
        return acc.jvp(y)

    expected = (f(A + 1e-6 * D, N) - f(A - 1e-6 * D, N)) / 2e-6
    np.testing.assert_allclose(forward(A, N, D), expected, rtol=1e-7)


@pytest.mark.parametrize("f", PROGRAMS)
def test_forward_over_reverse_is_a_difference_of_gradients(f: Callable[..., Any]) -> None:
    @pb.function
    def product(a: Any, n: Any, d: Any) -> Any:
        with pb.autodiff.ForwardAccumulator(a, d) as acc:
            g = slope(f, a, n)
        return acc.jvp(g)

    gradient = pb.function(lambda a, n: slope(f, a, n))
    expected = (gradient(A + 1e-6 * D, N).numpy() - gradient(A - 1e-6 * D, N).numpy()) / 2e-6
    np.testing.assert_allclose(product(A, N, D), expected, rtol=1e-6, atol=1e-6)
