"""Constants, iota, counter-based random numbers, identity and stop_gradient."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.ir import ops
from pullback.ir.builder import RAW
from pullback.ir.dtypes import bool_, float16, float32, float64, int32
from pullback.ir.errors import ShapeMismatch, TypeMismatch
from pullback.ir.threefry import threefry2x32

from .rules import infer, vjp

KEY = np.int64(-42)


def test_iota() -> None:
    np.testing.assert_array_equal(RAW.iota(shape=(2, 3), axis=1, dtype=int32), [[0, 1, 2]] * 2)
    np.testing.assert_array_equal(RAW.iota(shape=(2, 3), axis=0, dtype=float32), [[0] * 3, [1] * 3])
    assert RAW.iota(shape=(0,), axis=0, dtype=float16).dtype == np.float16
    with pytest.raises(ShapeMismatch, match="axis 0 does not exist"):
        infer("iota", shape=(), axis=0, dtype=int32)
    with pytest.raises(TypeMismatch, match="numeric"):
        infer("iota", shape=(2,), axis=0, dtype=bool_)


def test_random_bits_are_a_function_of_key_and_position() -> None:
    bits = RAW.random_bits(KEY, np.int64(10), shape=(2, 3))
    assert bits.dtype == np.int64
    np.testing.assert_array_equal(bits.view(np.uint64).ravel(), threefry2x32(KEY, np.arange(10, 16)))
    np.testing.assert_array_equal(bits.ravel()[2:], RAW.random_bits(KEY, np.int64(12), shape=(4,)))
    assert RAW.random_bits(KEY, np.int64(0), shape=()).shape == ()


@pytest.mark.filterwarnings("error")
def test_the_counter_wraps_round() -> None:
    last = RAW.random_bits(KEY, np.int64(2**63 - 1), shape=(2,))
    np.testing.assert_array_equal(last[1:], RAW.random_bits(KEY, np.int64(-(2**63)), shape=(1,)))
    last = RAW.random_bits(KEY, np.int64(-1), shape=(2,))
    np.testing.assert_array_equal(last[1:], RAW.random_bits(KEY, np.int64(0), shape=(1,)))


@pytest.mark.parametrize(("dtype", "digits"), [(float32, 24), (float64, 53)])
def test_uniform_numbers_use_all_digits_and_stay_below_one(dtype: object, digits: int) -> None:
    x = RAW.random_uniform(KEY, np.int64(0), shape=(20000,), dtype=dtype)
    assert (x >= 0).all()
    assert (x < 1).all()
    scaled = x.astype(np.float64) * 2.0**digits
    np.testing.assert_array_equal(scaled, np.floor(scaled))
    assert (scaled % 2 == 1).any()
    # Mean and variance of 20000 draws, five standard deviations wide; and a chi-square over 16 bins.
    assert abs(x.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 20000)
    assert abs(x.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / 20000)
    counts = np.bincount((x * 16).astype(int), minlength=16)
    assert ((counts - 1250) ** 2 / 1250).sum() < 50


def test_random_ops_are_not_differentiable_and_check_their_operands() -> None:
    assert not ops.get("random_uniform").differentiable
    with pytest.raises(TypeMismatch, match="must be i64 scalars"):
        infer("random_bits", "i32", "i64", shape=(2,))
    with pytest.raises(TypeMismatch, match="float32 or float64"):
        infer("random_uniform", "i64", "i64", shape=(2,), dtype=float16)


def test_identity_and_stop_gradient() -> None:
    x = np.float32([1, 2])
    np.testing.assert_array_equal(vjp("identity", {}, x, ct=[3, 4])[0], [3, 4])
    assert vjp("stop_gradient", {}, x) == [None]
    assert ops.get("stop_gradient").jvp(RAW, {}, [x], [x], [x]) == (None,)
    np.testing.assert_array_equal(RAW.stop_gradient(x), x)


def test_constant() -> None:
    assert infer("constant", value=np.zeros((2, 3), np.int64)) == "i64[2, 3]"
    assert RAW.constant(value=np.float32(2)).shape == ()
