"""Reductions, sums along axes and norms, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, close, same

X = np.array([[[0.5, -1.5], [2.0, 0.25]], [[1.25, -0.75], [-2.5, 3.0]]])
AXES: list[Any] = [None, 0, -1, [0, 2], [-1, 0], [], (1,), pb.constant([0, 1]), np.array(2)]


def numpy_axis(axis: Any) -> Any:
    if axis is None:
        return None
    a = np.asarray(axis).reshape(-1).tolist()
    return tuple(int(k) for k in a)


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (pb.reduce_sum, np.sum), (pb.reduce_mean, np.mean), (pb.reduce_prod, np.prod), (pb.reduce_max, np.max),
        (pb.reduce_min, np.min), (pb.math.reduce_variance, np.var), (pb.math.reduce_std, np.std),
    ],
)  # fmt: skip
def test_as_numpy(ours: Any, numpys: Any, axis: Any, keepdims: bool) -> None:
    close(ours(pb.constant(X), axis, keepdims), numpys(X, axis=numpy_axis(axis), keepdims=keepdims), rtol=1e-12)


@pytest.mark.parametrize("axis", [None, 1, [0, 2]])
@pytest.mark.parametrize(
    "f",
    [pb.reduce_sum, pb.reduce_mean, pb.reduce_prod, pb.reduce_max, pb.reduce_min, pb.reduce_logsumexp,
     pb.math.reduce_variance, pb.math.reduce_std, pb.math.reduce_euclidean_norm],
)  # fmt: skip
def test_gradients(f: Any, axis: Any) -> None:
    check_gradient(lambda x: f(x, axis), X, rtol=1e-4)


def test_logic_and_counts() -> None:
    b = np.array([[True, False], [False, False]])
    same(pb.reduce_any(b, 1), b.any(1))
    same(pb.reduce_all(b), b.all())
    same(pb.math.count_nonzero([[0, 1], [2, 0]], axis=0), [1, 1], "int64")
    with pytest.raises(pb.errors.InvalidArgumentError):
        pb.reduce_all(pb.constant([1.0]))


def test_dtypes_stay() -> None:
    same(pb.reduce_sum(pb.constant([1, 2], pb.int8)), 3, "int8")
    same(pb.reduce_mean(pb.constant([1, 2, 4])), 2, "int32")
    same(pb.reduce_mean(pb.constant([-1, -2])), -1, "int32")
    same(pb.reduce_prod(pb.constant([2, 3], pb.int64)), 6, "int64")


def test_indices_of_extremes() -> None:
    x = pb.constant([[3.0, 1.0, 3.0], [np.nan, np.inf, 0.0]])
    same(pb.argmax(x, 1), [0, 1], "int64")
    same(pb.argmin(x, axis=-1, output_type=pb.int32), [1, 2], "int32")
    same(pb.argmax([3, 9, 2]), 1)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_running(exclusive: bool, reverse: bool) -> None:
    x = X[0]

    def expected(f: Any, start: float) -> Any:
        y = x[::-1] if reverse else x
        out = f(y, axis=0)
        if exclusive:
            out = np.concatenate([np.full((1, 2), start), out[:-1]])
        return out[::-1] if reverse else out

    close(pb.cumsum(x, 0, exclusive, reverse), expected(np.cumsum, 0.0), rtol=1e-12)
    close(pb.math.cumprod(x, 0, exclusive, reverse), expected(np.cumprod, 1.0), rtol=1e-12)
    check_gradient(lambda t: pb.cumsum(t, 1, exclusive, reverse), x)
    check_gradient(lambda t: pb.math.cumprod(t, 0, exclusive, reverse), x)


@pytest.mark.parametrize("order", ["euclidean", 1, 2, 3, np.inf])
def test_norms(order: Any) -> None:
    x = X[0]
    n = 2 if order == "euclidean" else order
    close(pb.norm(x, order, axis=1), np.linalg.norm(x, n, axis=1), rtol=1e-12)
    check_gradient(lambda t: pb.norm(t, order, axis=1), x)
    if order in (1, np.inf):
        close(pb.norm(x, order, axis=[0, 1]), np.linalg.norm(x, order), rtol=1e-12)
    with pytest.raises(ValueError, match="supported"):
        pb.norm(x, "bogus")


def test_empty_and_wrong_axes() -> None:
    e = pb.zeros([0, 3])
    same(pb.reduce_sum(e), 0.0)
    same(pb.reduce_max(e), -np.inf)
    assert np.isnan(pb.reduce_mean(e).numpy())
    for axis in (2, [0, 0], -3):
        with pytest.raises(ValueError, match=r"test_ops_reduce\.py"):
            pb.reduce_sum(e, axis)
