"""Arrays at the end of branches and loop bodies: what a name holds that was written to inside, viewed or returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb


def returned_early(A: Any, s: Any, n: Any) -> Any:
    for _ in range(n):
        if s > 0.5:
            return A
    A[0] = 0.5
    return A


def returned_from_both(A: Any, s: Any, n: Any) -> Any:
    if s > 0.5:
        A[1] = 4.0
        return A
    A[0] = 7.0
    return A


def view_returned(A: Any, s: Any, n: Any) -> Any:
    if s > 0.5:
        A[1] = 4.0
        return A[1:]
    A[0] = 7.0
    return A[:-1]


def other_name(A: Any, s: Any, n: Any) -> Any:
    B = 2.0 * A
    if s > 0.5:
        A[0] = 5.0
        C = A
    else:
        B[0] = 6.0
        C = B
    return C + A


def name_of_a_view(A: Any, s: Any, n: Any) -> Any:
    if s > 0.5:
        V = A[1:]
        A[1] = 5.0
    else:
        V = A[:-1]
        A[0] = 6.0
    return V + A[0]


def carried_name(A: Any, s: Any, n: Any) -> Any:
    C = 0.0 * A
    for _ in range(n):
        B = A + C
        B[0] += s
        C = B[::-1]
        B[1] = 3.0 * s
    return C


PROGRAMS = [returned_early, returned_from_both, view_returned, other_name, name_of_a_view, carried_name]


@pytest.mark.parametrize("f", PROGRAMS)
@pytest.mark.parametrize("s", [0.25, 0.75])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_compiled_is_plain(f: Callable[..., Any], s: float, n: int) -> None:
    ours, theirs = np.arange(1.0, 5.0), np.arange(1.0, 5.0)
    found = pb.function(f)(ours, np.float64(s), np.int64(n))
    expected = f(theirs, np.float64(s), np.int64(n))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("s", [0.25, 0.75])
def test_a_tape_forgets_the_first_trip_that_was_tried(s: float) -> None:
    """A `while` over Python numbers tries its first trip; when a tensor turns out to end it, that trip never was."""

    def f(A: Any, s: Any) -> Any:
        k = 0
        while k < 3:
            k += 1
            A[0] = A[1] * s
            A[1] += A[0]
            if s > 0.5:
                break
        return np.sum(A * A)

    @pb.function
    def gradient(A: Any, s: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch([A, s])
            y = f(A.copy(), s)
        return tape.gradient(y, [A, s])

    x, h = np.array([1.0, 2.0, 3.0]), 1e-6
    by_a, by_s = gradient(x, np.float64(s))
    np.testing.assert_allclose(by_s, (f(x.copy(), s + h) - f(x.copy(), s - h)) / (2 * h), rtol=1e-6)
    expected = [(f(x + h * e, s) - f(x - h * e, s)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(by_a, expected, rtol=1e-6)


def test_a_copy_of_an_ndarray_from_outside_can_be_written_to() -> None:
    places = np.arange(6.0).reshape(3, 2)

    def f(x: Any) -> Any:
        a, b = places.copy(), places.astype(np.float32)
        a[1] = x
        b[:, 0] = x[0] * a[:, 1]
        return a, b

    found = pb.function(f)(np.array([7.0, 8.0]))
    for have, want in zip(found, f(np.array([7.0, 8.0])), strict=True):
        np.testing.assert_array_equal(have, want)
    np.testing.assert_array_equal(places, np.arange(6.0).reshape(3, 2))
