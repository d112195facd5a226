"""Softmax and cross-entropies: values in mpmath, overflow, recorded TensorFlow gradients, errors."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from pullback.ir.builder import RAW
from pullback.ir.errors import InvalidArgumentError, ShapeMismatch, TypeMismatch

from .rules import infer, vjp


def test_softmax_and_log_softmax_are_accurate() -> None:
    x = np.array([1.5, -20.0, 3.25, 0.0])
    with mpmath.workdps(40):
        e = [mpmath.exp(mpmath.mpf(v)) for v in x]
        want = [float(v / sum(e)) for v in e]
        logs = [float(mpmath.log(v / sum(e))) for v in e]
    np.testing.assert_allclose(RAW.softmax(x, axis=0), want, rtol=1e-14)
    np.testing.assert_allclose(RAW.log_softmax(x, axis=0), logs, rtol=1e-14)


@pytest.mark.filterwarnings("error")
def test_large_logits_do_not_overflow() -> None:
    x = np.float32([[1000, 0, -1000], [-1e30, -1e30, -1e30]])
    np.testing.assert_allclose(RAW.softmax(x, axis=1), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    assert np.isfinite(RAW.log_softmax(x, axis=1)).all()
    loss = RAW.sparse_softmax_cross_entropy(np.array([2, 0]), x)
    np.testing.assert_allclose(loss, [2000, np.log(3)], rtol=1e-6)
    (_, g) = vjp("sparse_softmax_cross_entropy", {}, np.array([2, 0]), x)
    np.testing.assert_allclose(g, [[1, 0, -1], [-2 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_the_dense_gradient_is_tensorflows() -> None:
    # Labels that do not add up to one: TensorFlow's gradient is softmax - labels all the same.
    labels, logits = np.float32([[0.5, 1.5]]), np.float32([[0.0, 0.0]])
    to_labels, to_logits = vjp("softmax_cross_entropy", {}, labels, logits, ct=[2.0])
    np.testing.assert_allclose(to_logits, [[0.0, -2.0]], atol=1e-7)
    np.testing.assert_allclose(to_labels, [[2 * np.log(2)] * 2], rtol=1e-6)


def test_the_entropies_agree() -> None:
    logits = np.random.default_rng(1).normal(size=(4, 3))
    labels = np.array([2, 0, 1, 1], np.int32)
    dense = RAW.softmax_cross_entropy(np.eye(3)[labels], logits)
    np.testing.assert_allclose(RAW.sparse_softmax_cross_entropy(labels, logits), dense, rtol=1e-13)
    want = -np.log(np.exp(logits)[range(4), labels] / np.exp(logits).sum(1))
    np.testing.assert_allclose(dense, want, rtol=1e-13)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class(label: int) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"value of {label} .* of \[0, 3\). Label values: 0 {label}"):
        RAW.sparse_softmax_cross_entropy(np.array([0, label]), np.zeros((2, 3)))


def test_types_and_errors() -> None:
    assert infer("softmax", "f32[n, 3]", axis=1) == "f32[n, 3]"
    assert infer("softmax_cross_entropy", "f32[n, 3]", "f32[n, 3]") == "f32[n]"
    assert infer("sparse_softmax_cross_entropy", "i32[n]", "f32[n, m]") == "f32[n]"
    with pytest.raises(TypeMismatch, match="floating-point"):
        infer("softmax", "i32[3]", axis=0)
    with pytest.raises(ShapeMismatch, match="axis 1 does not exist"):
        infer("log_softmax", "f32[3]", axis=1)
    with pytest.raises(ShapeMismatch, match="one shape"):
        infer("softmax_cross_entropy", "f32[2, 3]", "f32[2, 4]")
    with pytest.raises(ShapeMismatch, match="shape of the logits without the last"):
        infer("sparse_softmax_cross_entropy", "i32[3]", "f32[2, 3]")
    with pytest.raises(ShapeMismatch, match="last axis of classes"):
        infer("sparse_softmax_cross_entropy", "i32", "f32")
    with pytest.raises(TypeMismatch, match="labels must be int32 or int64"):
        infer("sparse_softmax_cross_entropy", "f32[2]", "f32[2, 3]")
