"""Dtypes and tensor types."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from pullback.ir import dtypes
from pullback.ir.dims import symbol
from pullback.ir.dtypes import as_dtype
from pullback.ir.types import TensorType, tensor_type, type_of_array


@pytest.mark.parametrize("d", dtypes.ALL, ids=lambda d: d.name)
def test_a_dtype_is_found_by_all_its_names(d):
    assert as_dtype(d) is as_dtype(d.name) is as_dtype(d.short) is d
    assert as_dtype(d.np) is d
    assert copy.deepcopy(d) is d
    assert pickle.loads(pickle.dumps(d)) is d
    assert d == d.name
    assert repr(d) == f"tf.{d.name}"


def test_dtypes_from_numpy_and_python():
    assert as_dtype(np.float32) is dtypes.float32
    assert as_dtype(np.dtype(">f8")) is dtypes.float64
    assert as_dtype(float) is dtypes.float32
    assert as_dtype(bool) is dtypes.bool_
    assert dtypes.float32 == np.float32
    assert dtypes.float32 != np.float64
    assert dtypes.float32 != "no such"
    assert dtypes.int32 != None  # noqa: E711
    assert dtypes.int8.min == -128
    assert dtypes.float32.max == np.finfo(np.float32).max


def test_an_unknown_dtype_is_a_type_error():
    with pytest.raises(TypeError, match="float32"):
        as_dtype("floaty")


def test_types_print_and_substitute():
    n = symbol("n")
    t = tensor_type("f32", (n, 3))
    assert str(t) == "f32[n, 3]"
    assert str(tensor_type("bool")) == "bool"
    assert not t.is_static
    assert t.substitute({"n": 4}) == tensor_type("float32", (4, 3))
    assert t.substitute({"n": 4}).size == 12
    assert type_of_array(np.zeros((2, 0), np.int64)) == TensorType(dtypes.int64, (2, 0))
