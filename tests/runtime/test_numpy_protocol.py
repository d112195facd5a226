"""NumPy functions on tensors: recorded, or noted as a detour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, same

X = np.array([0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    "f",
    [
        np.sin,
        np.exp,
        np.log,
        np.tanh,
        np.sqrt,
        np.square,
        np.negative,
        np.abs,
        lambda t: np.add(t, X),
        lambda t: np.multiply(X, t),
        lambda t: np.true_divide(1.0, t),
        lambda t: np.power(t, 2.0),
        lambda t: np.maximum(t, 1.0),
        lambda t: X * t - X,
        lambda t: np.float64(2.0) / t,
        np.sum,
        np.mean,
        np.prod,
        np.max,
        lambda t: np.sum(t, keepdims=True),
        np.add.reduce,
        np.std,
        lambda t: np.concatenate([t, t]),
        lambda t: np.stack([t, t]),
        lambda t: np.reshape(t, (3, 1)),
        lambda t: np.where(t > 1, t, 0.0),
        lambda t: np.dot(t, X),
        lambda t: np.dot(t, t),
        lambda t: np.outer(t, X),
        lambda t: np.clip(t, 1.0, 2.0),
        lambda t: np.tensordot(t, X, 1),
        lambda t: np.transpose(np.expand_dims(t, 0)),
        lambda t: np.arctan2(t, X + 1),
    ],
)
def test_recorded(f: Any) -> None:
    got = f(pb.constant(X))
    assert isinstance(got, pb.Tensor)
    np.testing.assert_allclose(got.numpy(), f(X), rtol=1e-12)
    check_gradient(f, X)


def test_in_compiled_functions() -> None:
    f = pb.function(lambda t: np.sum(np.sin(t) * X))
    np.testing.assert_allclose(f(pb.constant(X)).numpy(), np.sum(np.sin(X) * X), rtol=1e-12)


def test_matrix_products() -> None:
    a, t = np.ones((2, 2)), pb.constant([[1.0], [2.0]])
    same(a @ t, [[3.0], [3.0]], "float32")
    same(t[:, :, None] @ np.ones((2, 1, 1)), [[[1.0]], [[2.0]]])


def test_integers_become_floats_where_numpy_makes_floats() -> None:
    same(np.sqrt(pb.constant([4, 9])), [2.0, 3.0], "float64")
    same(np.add(pb.constant([4, 9]), 1), [5, 10], "int32")


def test_detours_give_arrays_and_are_noted() -> None:
    x = pb.Variable(X)
    with pb.GradientTape(persistent=True) as tape:
        y = x * 2.0
        with pytest.warns(UserWarning, match=r"np.nanmedian is computed by NumPy outside of the GradientTape"):
            m = np.nanmedian(y)
        z = pb.constant(m) * 1.0
    assert isinstance(m, float)
    assert tape.gradient(z, x) is None
    assert "test_numpy_protocol.py" in tape.explain(z, x)


def test_writing_into_a_tensor_is_refused() -> None:
    t = pb.constant(X)
    with pytest.raises(TypeError, match="never changes"):
        np.add(X, 1.0, out=t)  # type: ignore[call-overload]
    out = np.zeros(3)
    np.add(t, t, out=out)
    np.testing.assert_array_equal(out, 2 * X)
