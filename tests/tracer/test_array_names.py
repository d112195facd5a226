"""Names that come to mean another array in a loop: what Python's names would do, or an error, never something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb


def named_inside(x: Any, n: Any) -> Any:
    u, w = x.copy(), x.copy()
    for _ in range(n):
        w = u
        u[0] += 1.0
    u[1] = 100.0
    return w, u


def exchanged(x: Any, n: Any) -> Any:
    u, w = x.copy(), x.copy()
    for _ in range(n):
        t = u
        u = w
        w = t
        w[0] += 1.0
    u[1] = 100.0
    return w, u


def two_names_before(x: Any, n: Any) -> Any:
    u = x.copy()
    v = u
    for _ in range(n):
        u = u + 1.0
        u[0] = 5.0
        v[1] += 2.0
    return u, v


def views_in_a_list(x: Any, n: Any) -> Any:
    rows = [x[i : i + 2] for i in range(3)]
    for _ in range(n):
        for r in rows:
            r[0] += 1.0
    return x


def best_so_far(x: Any, n: Any) -> Any:
    best = x
    for i in range(n):
        y = x * i
        if y.sum() > 3.0:
            best = y
    return best * 2.0


def argument_by_another_name(x: Any, n: Any) -> Any:
    acc = x
    for _ in range(n):
        acc = acc + x
        acc *= 0.5
    acc += 1.0
    return acc


def reversed_each_time(x: Any, n: Any) -> Any:
    u = x
    for _ in range(n):
        u[0] += 1.0
        u = u[::-1]
    return u, x


def copied_each_time(x: Any, n: Any) -> Any:
    u = v = x.copy()
    for _ in range(n):
        u = u.copy()
        v[0] += u[1]
        u[1] += v[0]
    return u, v


PROGRAMS = [
    named_inside, exchanged, two_names_before, views_in_a_list, best_so_far, argument_by_another_name,
    reversed_each_time, copied_each_time,
]  # fmt: skip
# Where a tensor says how many trips there are, it is not known which array the name means.
UNKNOWN = {named_inside, two_names_before, argument_by_another_name, reversed_each_time, copied_each_time}


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [0, 1, 2, 6, 9])
def test_python_counts(f: Callable[..., Any], n: int) -> None:
    ours, theirs = np.arange(4.0), np.arange(4.0)
    found, expected = pb.function(f)(ours, n), f(theirs, n)
    for y, e in zip(pb.nest.flatten(found), pb.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(np.asarray(y), e)
    np.testing.assert_allclose(ours, theirs)


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [0, 6])
def test_a_tensor_counts(f: Callable[..., Any], n: int) -> None:
    ours, theirs = np.arange(4.0), np.arange(4.0)
    if f in UNKNOWN:
        with pytest.raises(ValueError, match=r"may also be.*write \w+ = \w+\.copy\(\).*\[test_array_names.py:\d+\]"):
            pb.function(f)(ours, np.int64(n))
        np.testing.assert_array_equal(ours, theirs)
        return
    found, expected = pb.function(f)(ours, np.int64(n)), f(theirs, n)
    for y, e in zip(pb.nest.flatten(found), pb.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(np.asarray(y), e)
    np.testing.assert_allclose(ours, theirs)


def test_a_tensor_written_to_in_a_loop_is_the_handle_that_others_have() -> None:
    @pb.function
    def f(t: Any, n: Any) -> Any:
        other = t
        for _ in pb.range(n):
            t[0] += 1.0
        return other + 0.0

    t = pb.constant([1.0, 2.0])
    np.testing.assert_array_equal(f(t, pb.constant(3)), [4, 2])
    np.testing.assert_array_equal(t, [4, 2])
