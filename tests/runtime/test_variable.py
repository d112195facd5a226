"""Variables."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import same


def test_what_it_is() -> None:
    v = pb.Variable([[1.0, 2.0]], name="k", trainable=False)
    assert v.name == "k:0"
    assert v.shape == [1, 2]
    assert v.dtype is pb.float32
    assert not v.trainable
    assert not isinstance(v, pb.Tensor)
    assert repr(v) == "<tf.Variable 'k:0' shape=(1, 2) dtype=float32, numpy=array([[1., 2.]], dtype=float32)>"
    assert pb.Variable(1.0).name == "Variable:0"
    with pb.name_scope("outer"):
        assert pb.Variable(1.0, name="w").name == "outer/w:0"


def test_assignments() -> None:
    v = pb.Variable([1.0, 2.0])
    before = v.read_value()
    first = v.assign([3.0, 4.0])
    v.assign_add([1.0, 1.0])
    last = v.assign_sub([0.5, 0.5])
    for x in (v, first, last, v.value(), last.read_value()):
        same(x, [3.5, 4.5])
    same(before, [1.0, 2.0])
    assert last is not v
    assert isinstance(last, pb.Variable)
    assert last.ref() == v.ref()
    assert v.assign([0.0, 0.0], read_value=False) is None
    last.assign([9.0, 9.0])
    same(v, [9.0, 9.0])


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda v: v.assign([1.0, 2.0, 3.0]), ValueError),
        (lambda v: v.assign(pb.constant([1, 2])), ValueError),
        (lambda v: v.assign_add([[1.0, 2.0]]), pb.errors.InvalidArgumentError),
        (lambda v: pb.Variable(), ValueError),
        (lambda v: pb.Variable([1.0], shape=[2]), ValueError),
        (lambda v: hash(v), TypeError),
        (lambda v: bool(v), ValueError),
        (lambda v: len(v), TypeError),
        (lambda v: v.__setitem__(0, 1.0), TypeError),
    ],
)
def test_misuse(use: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        use(pb.Variable([1.0, 2.0]))


def test_arithmetic_reads_it() -> None:
    v = pb.Variable([1.0, 2.0])
    same(v + 1.0, [2.0, 3.0])
    same(2.0 * v, [2.0, 4.0])
    same(v == v, [True, True])
    same(np.array([1.0, 1.0], np.float32) + v, [2.0, 3.0])
    assert float(pb.Variable(2.0)) == 2.0
    assert [int(x) for x in pb.Variable([1, 2])] == [1, 2]


def test_initial_value_from_a_function_and_a_tensor() -> None:
    same(pb.Variable(lambda: pb.ones([2])), [1.0, 1.0])
    t = pb.constant([1.0])
    v = pb.Variable(t)
    v.assign([2.0])
    same(t, [1.0])
    assert pb.Variable([1, 2], dtype=pb.float64).dtype is pb.float64


def test_loose_shape() -> None:
    v = pb.Variable([1.0], shape=pb.TensorShape(None))
    v.assign([[1.0, 2.0]])
    same(v.read_value(), [[1.0, 2.0]])
    assert v.shape.rank is None


def test_scatter() -> None:
    v = pb.Variable([[1.0], [2.0], [3.0]])
    v.scatter_add(pb.IndexedSlices([[1.0], [1.0]], [0, 0]))
    same(v, [[3.0], [2.0], [3.0]])
    v.scatter_update(pb.IndexedSlices([[7.0]], [2]))
    v.scatter_sub(pb.IndexedSlices([[1.0]], [1]))
    same(v, [[3.0], [1.0], [7.0]])
    v.scatter_nd_add([[0, 0]], [5.0])
    v.scatter_nd_update([[1, 0]], [0.0])
    same(v, [[8.0], [0.0], [7.0]])


def test_copy_and_pickle() -> None:
    v = pb.Variable([1.0, 2.0], name="w", trainable=False)
    for other in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        other.assign([0.0, 0.0])
        assert other.name == "w:0"
        assert not other.trainable
    same(v, [1.0, 2.0])


def test_reads_outlive_in_place_updates() -> None:
    v = pb.Variable(np.ones(4, np.float32))
    seen = [v.read_value()]
    for _ in range(3):
        v.assign_add(np.ones(4, np.float32))
        seen.append(v.read_value())
    for k, t in enumerate(seen):
        same(t, np.full(4, k + 1.0))
