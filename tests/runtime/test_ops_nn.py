"""Activations and losses against NumPy; gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, close, same

X = np.array([[1.5, -0.3, 0.8], [-2.0, 0.4, 3.0]])
Y = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("relu6", lambda x: np.clip(x, 0, 6)),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x)),
        ("softplus", lambda x: np.log1p(np.exp(x))),
        ("softsign", lambda x: x / (1 + abs(x))),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("softmax", softmax),
        ("log_softmax", lambda x: np.log(softmax(x))),
        ("tanh", np.tanh),
        ("l2_loss", lambda x: np.sum(x**2) / 2),
    ],
)
def test_as_numpy_with_gradient(name: str, oracle: Any) -> None:
    f = getattr(pb.nn, name)
    close(f(pb.constant(X)), oracle(X), rtol=1e-12)
    check_gradient(f, X)


@pytest.mark.parametrize(
    "f", [pb.nn.gelu, pb.nn.selu, pb.nn.crelu, lambda x: pb.nn.gelu(x, approximate=True), lambda x: pb.nn.softmax(x, 0)]
)
def test_other_gradients(f: Any) -> None:
    check_gradient(f, X)


def test_cross_entropies() -> None:
    logp = np.log(softmax(X))
    close(pb.nn.softmax_cross_entropy_with_logits(labels=Y, logits=X), -(Y * logp).sum(1), rtol=1e-12)
    close(pb.nn.softmax_cross_entropy_with_logits(labels=Y.T, logits=X.T, axis=0), -(Y * logp).sum(1), rtol=1e-12)
    close(
        pb.nn.sparse_softmax_cross_entropy_with_logits(labels=[2, 0], logits=X), [-logp[0, 2], -logp[1, 0]], rtol=1e-12
    )
    p = 1 / (1 + np.exp(-X))
    close(
        pb.nn.sigmoid_cross_entropy_with_logits(labels=Y, logits=X),
        -Y * np.log(p) - (1 - Y) * np.log(1 - p),
        rtol=1e-12,
    )
    close(
        pb.nn.weighted_cross_entropy_with_logits(labels=Y, logits=X, pos_weight=2.0),
        -2 * Y * np.log(p) - (1 - Y) * np.log(1 - p),
        rtol=1e-12,
    )
    check_gradient(lambda y, x: pb.nn.softmax_cross_entropy_with_logits(y, x), Y, X)
    check_gradient(lambda x: pb.nn.sparse_softmax_cross_entropy_with_logits([2, 0], x), X)
    check_gradient(lambda y, x: pb.nn.sigmoid_cross_entropy_with_logits(y, x), Y, X)


@pytest.mark.parametrize(
    "f",
    [
        lambda: pb.nn.sparse_softmax_cross_entropy_with_logits(labels=[3, 0], logits=X),
        lambda: pb.nn.sparse_softmax_cross_entropy_with_logits(labels=[[1, 0]], logits=X),
        lambda: pb.nn.sigmoid_cross_entropy_with_logits(labels=Y[:1], logits=X),
        lambda: pb.nn.bias_add(X, [1.0, 2.0]),
    ],
)
def test_refused(f: Any) -> None:
    with pytest.raises(pb.errors.InvalidArgumentError):
        f()


def test_large_inputs_do_not_overflow() -> None:
    same(pb.nn.softmax([1000.0, 0.0]), [1.0, 0.0])
    close(pb.reduce_logsumexp([1000.0, 1000.0]), np.float32(1000 + np.log(2)))
    same(pb.nn.softplus([100.0, -200.0]), [100.0, 0.0])
    same(pb.nn.sigmoid_cross_entropy_with_logits([1.0], [-1000.0]), [1000.0])


def test_normalising() -> None:
    mean, variance = pb.nn.moments(X, [0])
    close(mean, X.mean(0), rtol=1e-12)
    close(variance, X.var(0), rtol=1e-12)
    close(pb.nn.l2_normalize(X, 1), X / np.linalg.norm(X, axis=1, keepdims=True), rtol=1e-12)
    close(
        pb.nn.batch_normalization(X, mean, variance, 0.5, 2.0, 1e-3),
        (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-3) * 2 + 0.5,
        rtol=1e-12,
    )
    same(pb.nn.bias_add(pb.ones([2, 3]), [1.0, 2.0, 3.0]), [[2.0, 3.0, 4.0]] * 2)
    check_gradient(lambda x: pb.nn.moments(x, [0])[1], X)


def test_dropout() -> None:
    x = pb.ones([10000])
    y = pb.nn.dropout(x, 0.25, seed=1).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(pb.nn.dropout(x, 0.0), x)
    with pytest.raises(ValueError, match="rate"):
        pb.nn.dropout(x, 1.0)
