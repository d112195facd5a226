"""Indexing against NumPy, its gradient against the slot, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb

from .checks import same

X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
bound = st.none() | st.integers(-6, 6)
step = st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3])


def item(size: int) -> Any:
    return st.one_of(st.integers(-size, size - 1), st.builds(slice, bound, bound, step), st.just(None))


@st.composite
def keys(draw: Any) -> Any:
    parts: list[Any] = []
    dims = list(X.shape)
    while dims and draw(st.booleans()):
        part = draw(item(dims[0]))
        parts.append(part)
        if part is not None:
            dims.pop(0)
    if draw(st.booleans()):
        parts.append(Ellipsis)
    return tuple(parts)


@settings(max_examples=200, deadline=None)
@given(keys())
def test_as_numpy_with_gradient(key: Any) -> None:
    t = pb.constant(X)
    with pb.GradientTape() as tape:
        tape.watch(t)
        y = t[key]
    same(y, X[key])
    want = np.zeros_like(X)
    want[key] = 1.0
    same(tape.gradient(y, t), want)


@settings(max_examples=60, deadline=None)
@given(keys(), st.floats(-5, 5, width=32))
def test_writing_through_a_variable_as_numpy(key: Any, value: float) -> None:
    v, a = pb.Variable(X), X.copy()
    v[key].assign(value)
    a[key] = np.float32(value)
    same(v, a)
    v[key].assign_add(np.full(a[key].shape, 2.0, np.float32))
    a[key] += 2
    same(v, a)


def test_tensor_indices_and_masks() -> None:
    t = pb.constant(X)
    same(t[pb.constant(1), 0], X[1, 0])
    same(t[pb.constant(0) : pb.constant(1)], X[:1])
    same(t[np.int64(1), 2, 3], X[1, 2, 3])
    same(t[t > 5.0], X[X > 5])
    same(t[pb.constant([True, False])], X[[True, False]])
    same(t[[0, 1]], X[0, 1])  # a list is a tuple of indices, as in TensorFlow
    assert t[pb.newaxis].shape == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (5, pb.errors.InvalidArgumentError),
        (-3, pb.errors.InvalidArgumentError),
        (5, IndexError),
        ((0, 0, 0, 0), pb.errors.InvalidArgumentError),
        (slice(0, 1, 0), pb.errors.InvalidArgumentError),
        ("x", TypeError),
        (1.5, TypeError),
        ((Ellipsis, Ellipsis), pb.errors.InvalidArgumentError),
    ],
)
def test_errors(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"test_indexing\.py"):
        pb.constant(X)[key]


def test_reading_many_rows_costs_one_cotangent() -> None:
    n = 300
    x = pb.constant(np.arange(n, dtype=np.float64))
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.add_n([x[i] * float(i) for i in range(n)])
    same(tape.gradient(y, x), np.arange(n, dtype=np.float64))


def test_contents_are_not_shared_with_a_variable() -> None:
    v = pb.Variable([1.0, 2.0])
    part, whole = v[0:1], v.read_value()
    v.assign([5.0, 6.0])
    same(part, [1.0])
    same(whole, [1.0, 2.0])
