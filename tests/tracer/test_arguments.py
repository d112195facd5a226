"""Keys of calls: what is the same to the compiler, what is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.dims import symbol
from pullback.tracer.arguments import key_of, leaf_names, replace_leaves, skeleton, without_arrays
from pullback.tracer.spec import TensorSpec


def key(*values: Any) -> Any:
    return key_of(values)[0]


class Thing:
    pass


DIFFERENT = [
    1, 2, 1.0, True, "1", b"1", None, 1j, 0.0, -0.0, math.nan, math.inf, [1], (1,), {"a": 1}, {"b": 1}, [1, [2]],
    [[1], 2], range(3), slice(1, 2), slice(1, 3), ..., Thing(), Thing(), Thing, len,
    np.zeros(3, np.float32), np.zeros(3, np.float64), np.zeros((3, 1), np.float32), np.float32(1), np.int32(1),
    TensorSpec([None]), TensorSpec([symbol("n")]),
]  # fmt: skip


def test_keys_of_different_values_differ() -> None:
    keys = [key(v) for v in DIFFERENT]
    same = [(DIFFERENT[i], DIFFERENT[j]) for i in range(len(keys)) for j in range(i) if keys[i] == keys[j]]
    assert same == []


@pytest.mark.parametrize("value", DIFFERENT, ids=repr)
def test_key_of_a_value_is_stable_and_hashable(value: Any) -> None:
    assert hash(key(value)) == hash(key(value))
    assert key(value) == key(value)


def test_tensors_count_by_type() -> None:
    a, b = pb.constant([1.0, 2.0]), pb.constant([5.0, 6.0])
    assert key(a) == key(b) == without_arrays(key(np.array([7, 8], np.float32))) == key(TensorSpec([2]))
    assert key(a) != key(pb.constant([1.0]))
    assert key(a) != key(pb.constant([1, 2]))


def test_nan_is_one_value() -> None:
    assert key(float("nan")) == key(math.nan)


def test_order_of_dict_entries_does_not_matter() -> None:
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})


def test_leaves_in_order_and_replaced() -> None:
    x, y = pb.constant(1.0), np.array([2.0], np.float32)
    value = {"b": [x, 5], "a": (y, None)}
    _, leaves, _ = key_of((value,))
    assert [t.numpy().tolist() for t in leaves] == [[2.0], 1.0]
    assert replace_leaves(value, iter(["first", "second"])) == {"b": ["second", 5], "a": ("first", None)}
    assert leaf_names(value, "d") == ["d_a_0", "d_b_0"]


def test_objects_without_tensors_stay_themselves() -> None:
    thing = Thing()
    value = [thing, pb.constant(1.0)]
    assert replace_leaves(value, iter([0]))[0] is thing


def test_skeleton_forgets_sizes_only() -> None:
    a, b = pb.zeros([2, 3]), pb.zeros([4, 5])
    assert skeleton(key(a, 1)) == skeleton(key(b, 1))
    assert skeleton(key(a, 1)) != skeleton(key(b, 2))
    assert skeleton(key(a)) != skeleton(key(pb.zeros([2])))
