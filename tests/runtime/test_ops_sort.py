"""Sorting and searching in public: eager and compiled against NumPy, gradients through the values, in loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, same

R = np.random.default_rng(2)
X = R.permutation(42).reshape(3, 7, 2) / 10.0


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("direction", ["ASCENDING", "DESCENDING"])
def test_sort_and_argsort(axis: int, direction: str, compiled: bool) -> None:
    def f(x: Any) -> Any:
        return pb.sort(x, axis, direction), pb.argsort(x, axis, direction)

    values, order = (pb.function(f) if compiled else f)(pb.constant(X))
    want, places = np.sort(X, axis), np.argsort(X, axis)
    down = direction == "DESCENDING"
    same(values, np.flip(want, axis) if down else want, "float64")
    same(order, np.flip(places, axis) if down else places, "int32")


def test_ties_keep_their_order() -> None:
    x = pb.constant([1, 1, 2, 2])
    for f in (pb.argsort, pb.function(pb.argsort)):
        same(f(x), [0, 1, 2, 3])
        same(f(x, direction="DESCENDING"), [2, 3, 0, 1])  # as TensorFlow


@pytest.mark.parametrize("f", [
    lambda x: pb.sort(x, 1) * pb.constant(np.arange(7.0).reshape(7, 1)) ** 2,
    lambda x: pb.sort(pb.sin(x) * 3.0, 0, "DESCENDING") ** 2,
    lambda x: pb.math.top_k(x, 2).values ** 3,
])  # fmt: skip
def test_gradients_to_order_two(f: Callable[..., Any]) -> None:
    check_gradient(f, X)
    check_gradient(pb.function(f), X)

    def slope(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.reduce_sum(f(x) ** 2)
        return tape.gradient(y, x)

    check_gradient(slope, X, rtol=1e-4, atol=1e-5)
    check_gradient(pb.function(slope), X, rtol=1e-4, atol=1e-5)


def test_forward_mode() -> None:
    x, t = pb.constant(X), pb.constant(R.normal(size=X.shape))
    for f in (pb.sort, pb.function(pb.sort)):
        with pb.autodiff.ForwardAccumulator(x, t) as forward:
            same(forward.jvp(f(x, 1)), np.take_along_axis(t.numpy(), np.argsort(X, 1), 1))


def test_top_k_and_in_top_k() -> None:
    x = pb.constant([[1.0, 5.0, 3.0], [9.0, 2.0, 9.0]])
    for f in (pb.math.top_k, pb.function(pb.math.top_k)):
        found = f(x, 2)
        same(found.values, [[5.0, 3.0], [9.0, 9.0]], "float32")
        same(found.indices, [[1, 2], [0, 2]], "int32")
        assert f(x, 1, index_type=pb.int64).indices.dtype is pb.int64
    inside = pb.constant([[np.inf, 0.5, 0.2], [0.1, 0.1, 0.1], [0.3, 0.2, 0.1]])
    for g in (pb.math.in_top_k, pb.function(pb.math.in_top_k)):
        same(g([0, 2, 1], inside, 1), [False, True, False])  # not finite: never, as in TensorFlow; ties count
        same(g([1, 2, 1], inside, 2), [True, True, True])


def test_searchsorted() -> None:
    rows, values = np.sort(R.normal(size=(4, 9)), 1), R.normal(size=(4, 5))
    for f in (pb.searchsorted, pb.function(pb.searchsorted)):
        for side in ("left", "right"):
            want = [np.searchsorted(a, v, side) for a, v in zip(rows, values, strict=True)]
            same(f(rows, values, side=side), want, "int32")
        same(f(rows[0], values, out_type=pb.int64), np.searchsorted(rows[0], values), "int64")
        same(f(rows[0], 0.5), np.searchsorted(rows[0], 0.5))


def test_in_a_compiled_loop() -> None:
    """A particle filter's step, many times: weights are summed and searched; the largest are drawn together."""

    def run(x: Any) -> Any:
        for _ in pb.range(4):
            ladder = pb.cumsum(pb.nn.softmax(x))
            at = pb.searchsorted(ladder, pb.constant((np.arange(8) + 0.5) / 8))
            x = pb.sort(pb.gather(x, at) + 0.1 * x, direction="DESCENDING") * 0.9
        return x

    x = R.normal(size=8)
    fn = pb.function(run)
    np.testing.assert_allclose(fn(pb.constant(x)), run(pb.constant(x)), rtol=1e-12)
    llvm = str(fn.inspect(pb.constant(x), stage="llvm"))
    assert "call i32 @argsort_f64_8_" in llvm
    assert "call i32 @searchsorted_f64_8_8_" in llvm
    check_gradient(fn, x)


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (lambda: pb.sort(pb.constant(1.0)), "scalar"), (lambda: pb.argsort(pb.constant(1.0)), "scalar"),
        (lambda: pb.sort([1.0], direction="UP"), "direction"), (lambda: pb.searchsorted([1.0], [1.0], "up"), "side"),
        (lambda: pb.searchsorted([[1.0]], [1.0]), "each sorted row"), (lambda: pb.math.top_k([1.0], 2), "at least k"),
        (lambda: pb.function(pb.sort)(pb.constant([True])), "numeric"),
        (lambda: pb.function(lambda x: pb.unique(x).y)(pb.constant([1, 2])), "inside a traced function"),
    ],
)  # fmt: skip
def test_refused(f: Any, what: str) -> None:
    with pytest.raises((ValueError, TypeError), match=what) as e:
        f()
    assert "test_ops_sort.py" in str(e.value) + "".join(getattr(e.value, "__notes__", []))
