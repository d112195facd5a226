"""Tensors as Python objects."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import same


def test_properties() -> None:
    t = pb.constant([[1.0, 2.0, 3.0]])
    assert t.dtype is pb.float32
    assert t.shape == [1, 3]
    assert t.ndim == 2
    assert "CPU:0" in t.device
    assert t.get_shape().as_list() == [1, 3]
    for name in ("name", "op", "graph", "T", "reshape", "foo"):
        assert not hasattr(t, name)


@pytest.mark.parametrize(
    ("make", "text", "representation"),
    [
        (
            lambda: pb.constant(9.0),
            "tf.Tensor(9.0, shape=(), dtype=float32)",
            "<tf.Tensor: shape=(), dtype=float32, numpy=9.0>",
        ),
        (lambda: pb.constant(3), "tf.Tensor(3, shape=(), dtype=int32)", "<tf.Tensor: shape=(), dtype=int32, numpy=3>"),
        (
            lambda: pb.constant(True),
            "tf.Tensor(True, shape=(), dtype=bool)",
            "<tf.Tensor: shape=(), dtype=bool, numpy=True>",
        ),
        (
            lambda: pb.constant([1, 2]),
            "tf.Tensor([1 2], shape=(2,), dtype=int32)",
            "<tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>",
        ),
        (
            lambda: pb.constant([[0.5, 1e-10], [1e10, 2.0]]),
            "tf.Tensor(\n[[5.e-01 1.e-10]\n [1.e+10 2.e+00]], shape=(2, 2), dtype=float32)",
            "<tf.Tensor: shape=(2, 2), dtype=float32, numpy=\n"
            "array([[5.e-01, 1.e-10],\n       [1.e+10, 2.e+00]], dtype=float32)>",
        ),
        (
            lambda: pb.constant("a"),
            "tf.Tensor(b'a', shape=(), dtype=string)",
            "<tf.Tensor: shape=(), dtype=string, numpy=b'a'>",
        ),
        (
            lambda: pb.zeros([2000]),
            "tf.Tensor([0. 0. 0. ... 0. 0. 0.], shape=(2000,), dtype=float32)",
            "<tf.Tensor: shape=(2000,), dtype=float32, numpy=array([0., 0., 0., ..., 0., 0., 0.], dtype=float32)>",
        ),
    ],
)
def test_printed_as_tensorflow_prints(make: Any, text: str, representation: str) -> None:
    t = make()
    assert str(t) == text
    assert repr(t) == representation


def test_format() -> None:
    t = pb.constant(3.5)
    assert f"{t:.2f}" == "3.50"
    assert f"{pb.constant([1, 2])}" == "[1 2]"
    assert "%d" % pb.constant(3) == "3"  # noqa: UP031  (the operator is what is tested)
    assert f"{pb.constant(2)!r}" == "<tf.Tensor: shape=(), dtype=int32, numpy=2>"


def test_numpy_gives_a_copy_and_a_scalar() -> None:
    t = pb.constant([1.0, 2.0])
    n = t.numpy()
    n[0] = 7.0
    same(t, [1.0, 2.0])
    assert type(pb.constant(1.0).numpy()) is np.float32
    assert pb.constant("s").numpy() == b"s"


def test_array_protocol_cannot_write() -> None:
    t = pb.constant([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(t)[0] = 7.0
    assert np.array(t).flags.writeable
    assert np.asarray(t, np.float64).dtype == np.float64


def test_source_array_is_not_shared() -> None:
    a = np.ones(2, np.float32)
    t = pb.constant(a)
    a[0] = 5.0
    same(t, [1.0, 1.0])


def test_python_numbers() -> None:
    assert float(pb.constant(2.5)) == 2.5
    assert int(pb.constant(2.7)) == 2
    assert complex(pb.constant(1 + 2j)) == 1 + 2j
    assert operator.index(pb.constant(3)) == 3
    assert [10, 20, 30][pb.constant(1)] == 20
    assert bool(pb.constant([True]))
    assert not bool(pb.constant(0.0))


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda: float(pb.constant([1.0])), TypeError),
        (lambda: operator.index(pb.constant(1.0)), TypeError),
        (lambda: bool(pb.constant([True, False])), ValueError),
        (lambda: len(pb.constant(1.0)), TypeError),
        (lambda: list(pb.constant(1.0)), TypeError),
        (lambda: hash(pb.constant(1.0)), TypeError),
        (lambda: operator.setitem(pb.constant([1.0]), 0, 2.0), TypeError),
        (lambda: operator.delitem(pb.constant([1.0]), 0), TypeError),
        (lambda: setattr(pb.constant(1.0), "shape", ()), AttributeError),
    ],
)
def test_misuse(use: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        use()


def test_errors_name_the_line() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\).*reduce_any.*\[test_tensor\.py:\d+\]"):
        bool(pb.constant([True, False]))


def test_iteration_and_unpacking() -> None:
    a, b = pb.constant([1.0, 2.0])
    same(a, 1.0)
    same(b, 2.0)
    rows = list(pb.constant([[1, 2], [3, 4]]))
    assert len(rows) == 2
    same(rows[1], [3, 4])


def test_references() -> None:
    a, b = pb.constant(1.0), pb.constant(1.0)
    assert a.ref() == a.ref()
    assert a.ref() != b.ref()
    assert a.ref().deref() is a
    assert len({a.ref(), b.ref(), a.ref()}) == 2
    with pytest.raises(TypeError):
        a.ref() == a  # noqa: B015


@pytest.mark.parametrize("value", [1.5, [1, 2], [[True]], "text", 1 + 2j])
def test_copies_and_pickles(value: Any) -> None:
    t = pb.constant(value)
    for other in (copy.copy(t), copy.deepcopy([t])[0], pickle.loads(pickle.dumps(t))):
        assert other is not t
        assert other.dtype is t.dtype
        np.testing.assert_array_equal(other.numpy(), t.numpy())


def test_deepcopy_keeps_sharing() -> None:
    t = pb.constant(1.0)
    a, b = copy.deepcopy([t, t])
    assert a is b
