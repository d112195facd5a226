"""Ops that rearrange, against NumPy; gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, same

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (lambda t: pb.reshape(t, [4, -1]), lambda x: x.reshape(4, -1)),
        (lambda t: pb.reshape(t, pb.constant([6, 4])), lambda x: x.reshape(6, 4)),
        (lambda t: pb.transpose(t), lambda x: x.T),
        (lambda t: pb.transpose(t, [1, 0, -1]), lambda x: x.transpose(1, 0, 2)),
        (lambda t: pb.expand_dims(t, -2), lambda x: x[:, :, None]),
        (lambda t: pb.squeeze(t[:1]), lambda x: x[0]),
        (lambda t: pb.broadcast_to(t[:1], [5, 3, 4]), lambda x: np.broadcast_to(x[:1], (5, 3, 4))),
        (lambda t: pb.broadcast_to(t[:1], [5, -1, 4]), lambda x: np.broadcast_to(x[:1], (5, 3, 4))),
        (lambda t: pb.tile(t, [2, 1, 3]), lambda x: np.tile(x, (2, 1, 3))),
        (lambda t: pb.concat([t, t[:, :1], t], 1), lambda x: np.concatenate([x, x[:, :1], x], 1)),
        (lambda t: pb.stack([t, -t], -1), lambda x: np.stack([x, -x], -1)),
        (lambda t: pb.unstack(t, axis=1)[2], lambda x: x[:, 2]),
        (lambda t: pb.split(t, [1, -1], 2)[1], lambda x: x[:, :, 1:]),
        (lambda t: pb.split(t, 2, 2)[1], lambda x: x[:, :, 2:]),
        (lambda t: pb.reverse(t, [0, -1]), lambda x: x[::-1, :, ::-1]),
        (
            lambda t: pb.pad(t, [[0, 1], [2, 0], [0, 0]], constant_values=9.0),
            lambda x: np.pad(x, [(0, 1), (2, 0), (0, 0)], constant_values=9),
        ),
        (
            lambda t: pb.pad(t, [[1, 0], [2, 1], [0, 3]], "reflect"),
            lambda x: np.pad(x, [(1, 0), (2, 1), (0, 3)], "reflect"),
        ),
        (
            lambda t: pb.pad(t, [[1, 2], [2, 1], [0, 4]], "SYMMETRIC"),
            lambda x: np.pad(x, [(1, 2), (2, 1), (0, 4)], "symmetric"),
        ),
        (lambda t: pb.roll(t, [1, -2], [0, 2]), lambda x: np.roll(x, [1, -2], [0, 2])),
        (lambda t: pb.repeat(t, [1, 0, 2], 1), lambda x: np.repeat(x, [1, 0, 2], 1)),
        (lambda t: pb.repeat(t, 2), lambda x: np.repeat(x, 2)),
        (lambda t: pb.slice(t, [0, 1, 1], [2, -1, 2]), lambda x: x[:, 1:, 1:3]),
        (lambda t: pb.strided_slice(t, [0, 2], [2, 0], [1, -1]), lambda x: x[0:2, 2:0:-1]),
        (lambda t: pb.linalg.matrix_transpose(t), lambda x: x.swapaxes(1, 2)),
    ],
)
def test_as_numpy(ours: Any, numpys: Any) -> None:
    same(ours(pb.constant(X)), numpys(X))
    check_gradient(lambda t: ours(t) * 1.5, X / 7)


def test_meshgrid() -> None:
    for indexing in ("xy", "ij"):
        want = np.meshgrid([1, 2], [3, 4, 5], [6], indexing=indexing)  # type: ignore[call-overload]
        for got, w in zip(pb.meshgrid([1, 2], [3, 4, 5], [6], indexing=indexing), want, strict=True):
            same(got, w)


def test_sizes() -> None:
    t = pb.constant(X)
    same(pb.shape(t), [2, 3, 4], "int32")
    same(pb.size(t, pb.int64), 24, "int64")
    same(pb.rank(t), 3, "int32")
    assert pb.broadcast_static_shape(pb.TensorShape([2, 1]), pb.TensorShape([3])) == [2, 3]
    same(pb.broadcast_dynamic_shape([2, 1], [3]), [2, 3])
    np.testing.assert_array_equal(pb.ensure_shape(t, [None, 3, 4]), t)


@pytest.mark.parametrize(
    "f",
    [
        lambda t: pb.reshape(t, [5]),
        lambda t: pb.reshape(t, [-1, -1]),
        lambda t: pb.transpose(t, [0]),
        lambda t: pb.squeeze(t, 1),
        lambda t: pb.stack([t, t[0]]),
        lambda t: pb.split(t, 5),
        lambda t: pb.split(t, [1, 3]),
        lambda t: pb.concat([t, t[0]], 0),
        lambda t: pb.concat([t, t], 3),
        lambda t: pb.pad(t, [[1, 1]]),
        lambda t: pb.pad(t, [[-1, 0]] * 3),
        lambda t: pb.pad(t, [[2, 0]] * 3, "REFLECT"),
        lambda t: pb.tile(t, [2]),
        lambda t: pb.broadcast_to(t, [3, 4, 5]),
        lambda t: pb.expand_dims(t, 5),
        lambda t: pb.ensure_shape(t, [1, 3, 4]),
        lambda t: pb.reverse(t, [3]),
        lambda t: pb.slice(t, [0, 0, 0], [2, 3, 5]),
        lambda t: pb.unstack(pb.constant(1.0)),
    ],
)
def test_refused(f: Any) -> None:
    with pytest.raises(pb.errors.InvalidArgumentError, match=r"test_ops_shape\.py"):
        f(pb.constant(X))


def test_empty() -> None:
    e = pb.zeros([0, 3])
    same(pb.concat([e, pb.ones([1, 3])], 0), [[1.0, 1.0, 1.0]])
    assert pb.reshape(e, [3, 0]).shape == [3, 0]
    assert pb.reshape(e, [-1]).shape == [0]
    assert list(e) == []


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: pb.function(f, autograph=False)])
@pytest.mark.parametrize(
    "bad",
    [
        lambda x: pb.reshape(x, [-2]), lambda x: pb.concat([], 0), lambda x: pb.reverse(x, [0, 0]),
        lambda x: pb.repeat(x, -1), lambda x: pb.repeat(x, [1, 2]), lambda x: pb.random.normal([-1]),
        lambda x: pb.linalg.band_part(x, 1, 0), lambda x: pb.pad(x, [[-1, 1]]), lambda x: pb.zeros([-1]),
        lambda x: x[5], lambda x: x[::0], lambda x: x[..., ...], lambda x: x[0, 0],
    ],
)  # fmt: skip
def test_bad_sizes_have_both_of_tensorflows_errors(bad: Any, wrap: Any) -> None:
    """InvalidArgumentError when run eagerly, ValueError in traced code: the error is both."""
    with pytest.raises(pb.errors.InvalidArgumentError) as caught:
        wrap(bad)(pb.constant([1.0, 2.0, 3.0]))
    assert isinstance(caught.value, ValueError)


def test_one_hot_wants_integers() -> None:
    with pytest.raises(pb.errors.InvalidArgumentError, match="must be integers, not float32"):
        pb.one_hot(pb.constant([1.0]), 3)
