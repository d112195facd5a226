"""gather, where, one_hot, masks, scatter, segments, sorting, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, same

X = np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 3


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (lambda t: pb.gather(t, [1, 0, 1]), lambda x: x[[1, 0, 1]]),
        (lambda t: pb.gather(t, [[2, 0]], axis=1), lambda x: x[:, [[2, 0]]]),
        (
            lambda t: pb.gather(t, [[1, 0], [2, 2]], batch_dims=1, axis=1),
            lambda x: np.stack([x[0][[1, 0]], x[1][[2, 2]]]),
        ),
        (lambda t: pb.gather(t, [3, 3], axis=-1), lambda x: x[..., [3, 3]]),
        (lambda t: pb.gather_nd(t, [[0, 1], [1, 2], [0, 1]]), lambda x: x[[0, 1, 0], [1, 2, 1]]),
        (lambda t: pb.gather_nd(t, [[[0, 1, 2]]]), lambda x: x[[[0]], [[1]], [[2]]]),
        (lambda t: pb.gather_nd(t, [[2], [0]], batch_dims=1), lambda x: np.stack([x[0, 2], x[1, 0]])),
        (lambda t: pb.boolean_mask(t, [True, False]), lambda x: x[[True, False]]),
        (
            lambda t: pb.boolean_mask(t, [[True, False, True], [False, True, True]]),
            lambda x: x[np.array([[True, False, True], [False, True, True]])],
        ),
        (
            lambda t: pb.where([[True], [False], [True]], t, -1.0),
            lambda x: np.where([[True], [False], [True]], x, -1.0),
        ),
        (lambda t: pb.sort(t, direction="DESCENDING"), lambda x: -np.sort(-x)),
        (lambda t: pb.math.top_k(t, 2)[0], lambda x: -np.sort(-x)[..., :2]),
        (lambda t: pb.reverse_sequence(t, [1, 3], seq_axis=1), lambda x: np.stack([x[0], x[1][[2, 1, 0]]])),
        (lambda t: pb.linalg.diag_part(t), lambda x: np.diagonal(x, axis1=1, axis2=2)),
        (lambda t: pb.linalg.band_part(t, 1, 0), lambda x: np.tril(x) * (np.triu(np.ones((3, 4)), -1))),
        (lambda t: pb.linalg.diag(t), lambda x: x[..., None] * np.eye(4)),
        (lambda t: pb.math.segment_sum(t, [0, 2]), lambda x: np.stack([x[0], 0 * x[0], x[1]])),
        (lambda t: pb.math.unsorted_segment_mean(t, [1, 1], 2), lambda x: np.stack([0 * x[0], x.mean(0)])),
        (lambda t: pb.math.segment_max(t, [0, 0]), lambda x: x.max(0)[None]),
        (lambda t: pb.concat(pb.dynamic_partition(t, [1, 0], 2), 0), lambda x: x[::-1]),
        (lambda t: pb.dynamic_stitch([[1], [0]], [t[:1], t[1:]]), lambda x: x[::-1]),
    ],
)
def test_as_numpy_with_gradient(ours: Any, numpys: Any) -> None:
    same(ours(pb.constant(X)), numpys(X))
    check_gradient(ours, X)


def test_scatter() -> None:
    same(pb.scatter_nd([[1], [3], [1]], [5, 6, 7], [5]), [0, 12, 0, 6, 0])
    t = pb.constant([1.0, 2.0, 3.0])
    same(pb.tensor_scatter_nd_update(t, [[1]], [9.0]), [1.0, 9.0, 3.0])
    same(pb.tensor_scatter_nd_add(t, [[1], [1]], [1.0, 1.0]), [1.0, 4.0, 3.0])
    same(pb.tensor_scatter_nd_sub(t, [[0]], [1.0]), [0.0, 2.0, 3.0])
    same(pb.tensor_scatter_nd_max(t, [[0], [2]], [5.0, 1.0]), [5.0, 2.0, 3.0])
    same(pb.tensor_scatter_nd_min(t, [[0], [2]], [5.0, 1.0]), [1.0, 2.0, 1.0])
    for f in (pb.tensor_scatter_nd_update, pb.tensor_scatter_nd_add, pb.tensor_scatter_nd_max):
        check_gradient(lambda a, b, f=f: f(a, [[2], [0]], b), [1.0, -2.0, 3.0, 0.5], [0.7, 2.5])  # type: ignore[misc]


def test_masks_and_one_hot() -> None:
    same(pb.one_hot([0, 2, -1], 3), [[1, 0, 0], [0, 0, 1], [0, 0, 0]], "float32")
    same(pb.one_hot([1], 2, on_value=5, off_value=-1), [[-1, 5]], "int32")
    same(pb.one_hot([1, 0], 2, axis=0, dtype=pb.int64), [[0, 1], [1, 0]], "int64")
    same(pb.sequence_mask([1, 3], 4), [[True, False, False, False], [True, True, True, False]])
    same(pb.where([[True, False], [False, True]]), [[0, 0], [1, 1]], "int64")


def test_order_and_counts() -> None:
    x = np.array([[3.0, 1.0, 2.0], [9.0, 9.0, 8.0]], np.float32)
    same(pb.argsort(x), np.argsort(x, kind="stable"), "int32")
    same(pb.argsort(x, direction="DESCENDING"), [[0, 2, 1], [0, 1, 2]])
    same(pb.sort(x, axis=0), np.sort(x, 0))
    y, idx, count = pb.unique_with_counts([2, 5, 2, 1])
    same(y, [2, 5, 1])
    same(idx, [0, 1, 0, 2])
    same(count, [2, 1, 1])
    same(pb.searchsorted([1.0, 3.0, 5.0], [3.0, 4.0]), [1, 2])
    same(pb.searchsorted([1.0, 3.0, 5.0], [3.0, 4.0], side="right"), [2, 2])
    same(pb.math.bincount([1, 1, 3]), [0, 2, 0, 1])
    same(pb.math.in_top_k([1, 0], x, 1), [False, True])


@pytest.mark.parametrize(
    "f",
    [
        lambda t: pb.gather(t, [5]),
        lambda t: pb.gather(t, [-1]),
        lambda t: pb.gather_nd(t, [[7]]),
        lambda t: pb.scatter_nd([[9]], [5], [4]),
        lambda t: pb.gather(t, [0.5]),
        lambda t: pb.boolean_mask(t, [True]),
        lambda t: pb.where(t, t, t),
        lambda t: pb.gather_nd(t, [[0, 0, 0, 0]]),
        lambda t: pb.math.top_k(t, 9),
        lambda t: pb.math.segment_sum(t, [1, 0]),
    ],
)
def test_refused(f: Any) -> None:
    with pytest.raises(pb.errors.InvalidArgumentError, match=r"test_ops_index\.py"):
        f(pb.constant(X))
