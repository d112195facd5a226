"""NumPy functions on tensors: recorded, or noted as a detour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.runtime.array import is_array

from ..modes import eagerly
from .checks import check_gradient, same
from .numpy_checks import array

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


# ---------------------------------------------------------------- what cannot be recorded
def test_a_function_that_is_not_ours_is_an_error_in_a_compiled_function() -> None:
    @pb.function
    def f(x: Any) -> Any:
        return np.histogram(x, 3)[0]

    with pytest.raises(TypeError, match=r"np.histogram is not available inside a compiled function.*protocol.py:"):
        f(X)


def test_an_array_that_a_tape_follows_is_never_cut_off_silently() -> None:
    @pb.function
    def f(x: Any) -> Any:
        return np.nanmedian(x * 2)

    with eagerly():
        assert float(f(X)) == 3.0
        a = array(X)
        with pb.GradientTape() as tape:
            tape.watch(a)
            with pytest.raises(TypeError, match=r"np.nanmedian is not recorded, and a GradientTape.*protocol.py"):
                np.nanmedian(a)


def test_an_array_handed_to_other_code_is_reported() -> None:
    a = array(X)
    with pb.GradientTape() as tape:
        tape.watch(a)
        with pytest.warns(UserWarning, match="no gradient flows through it") as seen:
            np.asarray(a * 2.0)
        assert seen[0].filename == __file__
        np.asarray(array(X))  # nobody follows this one


def test_an_argument_that_is_not_ours_is_named() -> None:
    with pytest.raises(TypeError, match=r"np.sort: .*'sort_key'|np.quantile: the method 'hazen' is not available"):
        np.quantile(array(X), 0.5, method="hazen")
    with pytest.raises(TypeError, match=r"np.add: the argument 'signature' is not available"):
        np.add(array(X), 1.0, signature="dd->d")
    with pytest.raises(TypeError, match=r"np.add.at is not|write pb.tensor_scatter_nd_add"):
        pb.function(lambda x: np.add.at(x, [0, 0], 1.0))(X)


def test_what_is_not_ours_gives_arrays_when_nobody_follows() -> None:
    y = np.trim_zeros(array([0.0, 1.0, 0.0]))
    np.testing.assert_array_equal(np.asarray(y), [1.0])
    assert is_array(np.lib.stride_tricks.sliding_window_view(np.ones(3), 2) @ array([1.0, 2.0]))


# ---------------------------------------------------------------- out=, rules, kinds of results
def test_results_are_written_to_out() -> None:
    a, out = array(X), array(np.zeros(3))
    assert np.add(a, 1.0, out=out) is out
    np.testing.assert_array_equal(out.numpy(), X + 1)
    assert np.sum(array([X, X]), axis=0, out=out) is out
    np.testing.assert_array_equal(out.numpy(), 2 * X)
    np.divmod(a, 2.0, out=(out, None))
    np.testing.assert_array_equal(out.numpy(), X // 2)

    @pb.function
    def f(x: Any) -> Any:
        y = np.zeros(3)
        np.multiply(x, 2.0, out=y)
        np.cumsum(y, out=y)
        return y

    np.testing.assert_array_equal(f(X).numpy(), np.cumsum(2 * X))


def test_tensors_stay_tensors_and_arrays_arrays() -> None:
    t, a = pb.constant(X), array(X)
    several = lambda v: np.concatenate([v, v]), lambda v: np.where(v > 1, v, 0)
    for f in (np.sin, np.sum, np.ravel, np.sort, np.copy, *several):
        assert type(f(t)) is pb.Tensor
        assert is_array(f(a))
    assert type(np.dot(a, t)) is pb.Tensor
    assert all(type(v) is pb.Tensor for v in np.split(t, 3))
    assert all(is_array(v) for v in np.split(a, 3))


def test_numpy_data_takes_the_dtype_of_a_tensor() -> None:
    t = pb.constant([1.0, 2.0, 3.0])
    for y in (np.dot(t, X), np.where(t > 1, t, X), np.concatenate([t, [1, 2]]), np.stack([t, X]), np.clip(t, 0, X)):
        assert y.dtype == pb.float32
        assert type(y) is pb.Tensor


def test_a_result_is_never_the_argument_itself() -> None:
    a = array(X)
    for f in (np.copy, lambda v: np.broadcast_to(v, (3,)), lambda v: np.nan_to_num(v)):
        b = f(a)
        b[0] = 9.0
        assert a.numpy()[0] == X[0]


def test_views_show_what_they_were_made_of() -> None:
    a = array(np.arange(6.0).reshape(2, 3))
    np.transpose(a)[2, 1] = 50.0
    np.reshape(a, 6)[0] = 7.0
    np.flip(a, 1)[0, 0] = 8.0
    np.split(a, 3, axis=1)[1][0] = 9.0
    np.moveaxis(a, 0, 1)[0, 1] = 10.0
    np.expand_dims(a, 0)[0, 1, 1] = 11.0
    np.testing.assert_array_equal(a.numpy(), [[7, 9, 8], [10, 11, 50]])


def test_attributes() -> None:
    a = array(np.ones((2, 3), np.float32))
    assert a.shape == (2, 3) and a.shape[::-1] == (3, 2) and isinstance(a.shape, tuple)  # noqa: PT018
    assert (a.ndim, a.size, a.itemsize, a.nbytes, len(a)) == (2, 6, 4, 24, 2)
    assert a.dtype == np.float32
    assert np.issubdtype(a.dtype, np.floating)
    assert np.finfo(a.dtype).eps == np.finfo(np.float32).eps
    assert a.dtype.type is np.float32
    assert a.shape.as_list() == [2, 3]
    assert (a.tolist(), a.sum().item(), a.item(1)) == ([[1.0] * 3] * 2, 6.0, 1.0)
    assert 1.0 in a
    assert 2.0 not in a
    assert float(a[0, 0]) == 1.0
    assert a.trace() == 2.0
    with pytest.raises(TypeError, match="astype"):
        a.view(np.int32)
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


def test_functions_that_write() -> None:
    def f(x: Any) -> Any:
        y, z, m = np.zeros(3), np.zeros((3, 3)), np.ones(3)
        np.copyto(y, x)
        np.copyto(y, 7.0, where=x > 2)
        np.fill_diagonal(z, x)
        np.fill_diagonal(z[1:, :2], 5.0)
        np.putmask(m, x > 1, 0.5)
        return y, z, m

    for got, want in zip(pb.function(f)(X), f(X), strict=True):
        same(got, want, "float64")


def test_text_of_arrays() -> None:
    a = array(X)
    with pb.GradientTape() as tape:
        tape.watch(a)
        assert np.array2string(a, precision=2) == np.array2string(X, precision=2)
    assert np.shares_memory(a, a[1:])
    assert not np.shares_memory(a, a.copy())
