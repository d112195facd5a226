"""Conversion to tensors: dtypes of Python and NumPy data, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.runtime import convert

from .checks import same


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "int32"),
        (1.0, "float32"),
        (True, "bool"),
        (1j, "complex128"),
        ("a", "string"),
        (b"a", "string"),
        ([1, 2], "int32"),
        ([1, 2.0], "float32"),
        ([], "float32"),
        (3_000_000_000, "int64"),
        ([1, 3_000_000_000], "int64"),
        (np.float64(1), "float64"),
        (np.int8(1), "int8"),
        (np.arange(3), "int64"),
        ([np.float64(1), 2], "float64"),
        ([np.ones(2), np.zeros(2)], "float64"),
        (range(3), "int32"),
        (np.zeros(2, ">f4"), "float32"),
        ([[True], [False]], "bool"),
        (pb.TensorShape([2, 3]), "int32"),
    ],
)
def test_inferred_dtypes(value: Any, dtype: str) -> None:
    assert pb.constant(value).dtype.name == dtype


def test_values_survive() -> None:
    same(pb.constant([[1, 2], [3, 4]]), [[1, 2], [3, 4]], "int32")
    same(pb.constant(np.arange(12).reshape(3, 4).T[::2]), np.arange(12).reshape(3, 4).T[::2], "int64")
    same(pb.constant(7, shape=[2, 2]), [[7, 7], [7, 7]])
    same(pb.constant([1, 2, 3, 4], shape=[2, 2]), [[1, 2], [3, 4]])


@pytest.mark.parametrize("dtype", [pb.float16, pb.bfloat16, pb.float32, pb.float64, pb.complex64])
def test_python_numbers_take_a_dtype(dtype: pb.DType) -> None:
    t = pb.constant([1, 2.5], dtype)
    assert t.dtype is dtype
    assert t.numpy().astype(np.complex64).tolist() == [1, 2.5]


def test_integers_wrap_into_small_types_as_in_tensorflow() -> None:
    same(pb.constant(300, pb.int8), 44)
    same(pb.constant(-1, pb.uint8), 255)


def test_negative_zero_is_kept_after_zero() -> None:
    pb.constant(0.0)
    assert np.signbit(pb.constant(-0.0).numpy())
    assert (1.0 / pb.constant(-0.0)).numpy() == -np.inf


@pytest.mark.parametrize(
    ("value", "dtype", "error"),
    [
        (None, None, ValueError),
        (object(), None, ValueError),
        ([[1], [1, 2]], None, ValueError),
        ([1, "a"], None, ValueError),
        (2**70, None, OverflowError),
        (3_000_000_000, pb.int32, ValueError),
        (1.5, pb.int32, TypeError),
        ("a", pb.float32, TypeError),
        (1, pb.bool, TypeError),
        ([True, 2], None, ValueError),
        ({"a": 1}, None, ValueError),
        (np.array([1.5]), pb.int32, TypeError),
        (1j, pb.float32, TypeError),
        ([None], None, ValueError),
        (int, None, ValueError),
    ],
)
def test_refused(value: Any, dtype: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        pb.constant(value, dtype)


def test_wrong_number_of_elements() -> None:
    with pytest.raises(TypeError, match=r"3 elements.*has 2"):
        pb.constant([1, 2, 3], shape=[2])


def test_tensors_are_never_cast() -> None:
    t = pb.constant(1.0)
    with pytest.raises(TypeError, match=r"float64.*float32.*pb\.cast"):
        pb.convert_to_tensor(t, pb.float64)
    with pytest.raises(ValueError, match="cast"):
        pb.convert_to_tensor(t, pb.float64)
    assert pb.convert_to_tensor(t) is t


def test_hint_is_dropped_when_it_does_not_fit() -> None:
    assert pb.convert_to_tensor(1, dtype_hint=pb.float32).dtype is pb.float32
    assert pb.convert_to_tensor(1.5, dtype_hint=pb.int32).dtype is pb.float32


def test_tensors_inside_lists_are_stacked_and_recorded() -> None:
    x = pb.Variable(2.0)
    with pb.GradientTape() as tape:
        t = pb.convert_to_tensor([[x, 1.0], [3.0, x * x]])
        y = pb.reduce_sum(t * [[1.0, 1.0], [1.0, 10.0]])
    same(t, [[2.0, 1.0], [3.0, 4.0]])
    same(tape.gradient(y, x), 41.0)


def test_registered_conversion() -> None:
    class Metres:
        def __init__(self, n: float) -> None:
            self.n = n

    pb.register_tensor_conversion_function(Metres, lambda v, dtype, name, as_ref: pb.constant(v.n, dtype))
    same(pb.convert_to_tensor(Metres(2.5)), 2.5)
    same(pb.constant(1.0) + Metres(2.5), 3.5)


def test_numbers_and_arrays_are_never_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "_registered", [])
    monkeypatch.setattr(convert, "_priorities", [])
    for base in (int, bool, np.float32, np.ndarray, (str, float), 3, "x"):
        with pytest.raises(TypeError, match="class"):
            pb.register_tensor_conversion_function(base, lambda *_: 1.0)
    with pytest.raises(TypeError, match="callable"):
        pb.register_tensor_conversion_function(complex, None)
    pb.register_tensor_conversion_function(object, lambda *_: 7.0)
    for x in (1, 2.5, True, np.float64(1), np.ones(2)):
        np.testing.assert_array_equal(pb.convert_to_tensor(x), x)
    assert float(pb.convert_to_tensor(None)) == 7.0


def test_is_tensor() -> None:
    assert pb.is_tensor(pb.constant(1.0))
    assert pb.is_tensor(pb.Variable(1.0))
    assert not pb.is_tensor(1.0)
    assert not pb.is_tensor(np.ones(1))
    assert not pb.is_symbolic_tensor(pb.constant(1.0))


def test_cast() -> None:
    x = pb.constant([-1.7, 0.0, 2.5])
    same(pb.cast(x, pb.int32), [-1, 0, 2], "int32")
    same(pb.cast(x, pb.bool), [True, False, True], "bool")
    same(pb.cast(x, "float64"), x.numpy().astype(np.float64), "float64")
    same(pb.cast([256 + 3], pb.uint8), [3])
    same(pb.saturate_cast([300.0, -5.0], pb.uint8), [255, 0])
    kept = pb.cast(x, pb.float32)
    assert kept is not x  # each may be written to alone
    np.testing.assert_array_equal(kept, x)
