"""Slices, updates, gather and one_hot: values against NumPy indexing, adjoints, bounds, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.ir import ops
from pullback.ir.builder import RAW
from pullback.ir.dims import symbol
from pullback.ir.dtypes import float32
from pullback.ir.errors import InvalidArgumentError, ShapeMismatch, TypeMismatch
from pullback.ir.opdef import Into

from .rules import infer, vjp

X = np.arange(60.0).reshape(3, 4, 5)
N = symbol("n")


@st.composite
def windows(draw: Any) -> tuple[int, int, int, int]:
    """(dimension, start, size, stride) of a slot inside a dimension."""
    dim = draw(st.integers(1, 7))
    start = draw(st.integers(0, dim - 1))
    stride = draw(st.integers(-3, 3).filter(bool))
    most = (dim - 1 - start) // stride + 1 if stride > 0 else start // -stride + 1
    return dim, start, draw(st.integers(0, most)), stride


@settings(max_examples=60, deadline=None)
@given(windows(), windows(), st.booleans())
def test_slots_are_those_of_explicit_indices(a: Any, c: Any, dynamic: bool) -> None:
    dims, starts, sizes, strides = zip(a, c, strict=True)
    x = np.arange(np.prod(dims), dtype=np.float64).reshape(dims)
    places = np.ix_(*(s + k * np.arange(n) for s, n, k in zip(starts, sizes, strides, strict=True)))
    given_starts = (None, starts[1]) if dynamic else starts
    extra = [np.int32(starts[0])] if dynamic else []
    y = RAW.slice(x, *extra, starts=given_starts, sizes=sizes, strides=strides)
    np.testing.assert_array_equal(y, x[places])
    v = -1.0 - np.arange(np.prod(sizes), dtype=np.float64).reshape(sizes)
    updated, added = x.copy(), x.copy()
    updated[places] = v
    added[places] += v
    before = x.copy()
    np.testing.assert_array_equal(RAW.update(x, v, *extra, starts=given_starts, strides=strides), updated)
    np.testing.assert_array_equal(RAW.add_at(x, v, *extra, starts=given_starts, strides=strides), added)
    np.testing.assert_array_equal(x, before)


def test_reading_gives_a_cotangent_that_adds_in_place() -> None:
    x, running = np.arange(5.0), np.ones(5)
    attrs = {"starts": (3,), "sizes": (2,), "strides": (-2,)}
    (into,) = ops.get("slice").vjp(RAW, attrs, [x[3::-2]], [x], [np.array([10.0, 20.0])], [True])
    assert isinstance(into, Into)
    np.testing.assert_array_equal(into.start(), [0, 20, 0, 10, 0])
    np.testing.assert_array_equal(into.add(running), [1, 21, 1, 11, 1])


def test_update_cuts_the_slot_out_of_the_base_cotangent() -> None:
    attrs = {"starts": (1,), "strides": (1,)}
    g = [1.0, 2.0, 3.0, 4.0]
    base, v = vjp("update", attrs, np.zeros(4), np.zeros(2), ct=g)
    np.testing.assert_array_equal(base, [1, 0, 0, 4])
    np.testing.assert_array_equal(v, [2, 3])
    base, v = vjp("add_at", attrs, np.zeros(4), np.zeros(2), ct=g)
    np.testing.assert_array_equal(base, g)
    np.testing.assert_array_equal(v, [2, 3])


@pytest.mark.parametrize("start", [-1, 4, 100])
def test_a_start_out_of_range_is_an_error(start: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"slice index .* of dimension 0 out of bounds.*has 5"):
        RAW.slice(np.zeros(5), np.int32(start), starts=(None,), sizes=(2,), strides=(1,))
    with pytest.raises(InvalidArgumentError, match=f"slice index {start if start != 4 else 5}"):
        RAW.update(np.zeros(5), np.zeros(2), np.int32(start), starts=(None,), strides=(1,))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_gather_is_take(dtype: Any) -> None:
    indices = np.array([[1, 0], [2, 2]], dtype)
    for axis in range(3):
        np.testing.assert_array_equal(RAW.gather(X, indices, axis=axis, batch_dims=0), np.take(X, indices, axis))
    rows = np.array([[0, 3], [1, 1], [2, 0]], dtype)
    np.testing.assert_array_equal(
        RAW.gather(X, rows, axis=1, batch_dims=1), np.stack([x[i] for x, i in zip(X, rows, strict=True)])
    )
    want = np.stack([x[:, i] for x, i in zip(X, rows, strict=True)])
    np.testing.assert_array_equal(RAW.gather(X, rows, axis=2, batch_dims=1), want)
    np.testing.assert_array_equal(
        RAW.gather(X, rows[:, :1].repeat(4, 1), axis=2, batch_dims=2),
        np.take_along_axis(X, rows[:, :1].repeat(4, 1)[..., None], 2)[..., 0],
    )


def test_repeated_indices_add_up() -> None:
    attrs = {"axis": 0, "batch_dims": 0}
    gx, gi = vjp("gather", attrs, np.zeros((3, 2)), np.array([1, 1, 0]), ct=[[1, 2], [10, 20], [5, 5]])
    np.testing.assert_array_equal(gx, [[5, 5], [11, 22], [0, 0]])
    assert gi is None
    base = np.float32([1, 1])
    np.testing.assert_array_equal(RAW.scatter_add(base, np.array([1, 1]), np.float32([2, 3]), **attrs), [1, 6])
    np.testing.assert_array_equal(base, [1, 1])


@pytest.mark.parametrize("bad", [-1, 3])
def test_an_index_out_of_range_is_an_error(bad: int) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"indices\[0,1\] = {bad} is not in \[0, 3\)"):
        RAW.gather(np.zeros(3), np.array([[0, bad]]), axis=0, batch_dims=0)
    with pytest.raises(InvalidArgumentError, match=rf"indices = {bad} is not in"):
        RAW.scatter_add(np.zeros(3), np.array(bad), np.array(1.0), axis=0, batch_dims=0)


def test_one_hot() -> None:
    on, off = np.float32(5), np.float32(-1)
    y = RAW.one_hot(np.array([0, 2, 3, -1]), on, off, depth=3, axis=1, dtype=float32)
    np.testing.assert_array_equal(y, [[5, -1, -1], [-1, -1, 5], [-1, -1, -1], [-1, -1, -1]])
    assert y.dtype == np.float32
    attrs = {"depth": 3, "axis": 0, "dtype": float32}
    assert vjp("one_hot", attrs, np.array([0, 2, 7]), on, off)[1:] == [2, 7]


def test_types_with_symbolic_sizes() -> None:
    assert infer("slice", "f32[n]", starts=(1,), sizes=(N - 1,), strides=(1,)) == "f32[n - 1]"
    assert infer("slice", "f32[n]", starts=(N - 1,), sizes=(N,), strides=(-1,)) == "f32[n]"
    assert infer("slice", "f32[n]", "i32", starts=(None,), sizes=(2,), strides=(1,)) == "f32[2]"
    assert infer("gather", "f32[n, 3]", "i64[m]", axis=0, batch_dims=0) == "f32[m, 3]"
    assert infer("one_hot", "i32[n]", "f32", "f32", depth=N, axis=0, dtype=float32) == "f32[n, n]"


@pytest.mark.parametrize(
    ("name", "operands", "attrs", "words"),
    [
        ("slice", ("f32[3]",), {"starts": (1,), "sizes": (3,), "strides": (1,)}, "3 elements from 1 in steps"),
        ("slice", ("f32[3]",), {"starts": (0,), "sizes": (2,), "strides": (-1,)}, "leave dimension 0 of size 3"),
        ("slice", ("f32[3]", "i32"), {"starts": (None,), "sizes": (4,), "strides": (1,)}, "leave dimension 0"),
        ("slice", ("f32[n]",), {"starts": (1,), "sizes": (N,), "strides": (1,)}, "n elements from 1"),
        ("slice", ("f32[3]",), {"starts": (0,), "sizes": (2,), "strides": (0,)}, "stride of dimension 0 is 0"),
        ("slice", ("f32[3]",), {"starts": (0, 0), "sizes": (2,), "strides": (1,)}, "one number per dimension"),
        ("update", ("f32[3]", "f32[2, 2]"), {"starts": (0,), "strides": (1,)}, "one number per dimension"),
        ("gather", ("f32[3]", "i32[2]"), {"axis": 1, "batch_dims": 0}, "axis 1 and batch_dims 0"),
        ("gather", ("f32[3, 2]", "i32[2, 2]"), {"axis": 1, "batch_dims": 1}, r"first 1 sizes \(batch_dims\)"),
        ("scatter_add", ("f32[3]", "i32[2]", "f32[3]"), {"axis": 0, "batch_dims": 0}, r"that gather gives: \[2\]"),
        ("one_hot", ("i32", "f32", "f32"), {"depth": 2, "axis": 1, "dtype": float32}, "axis 1 must lie in 0 to 0"),
    ],
)
def test_wrong_shapes(name: str, operands: tuple[str, ...], attrs: dict[str, Any], words: str) -> None:
    with pytest.raises(ShapeMismatch, match=words):
        infer(name, *operands, **attrs)


@pytest.mark.parametrize(
    ("name", "operands", "attrs", "words"),
    [
        ("slice", ("f32[3]", "f32"), {"starts": (None,), "sizes": (2,), "strides": (1,)}, "operand 1 must be an i32"),
        ("slice", ("f32[3]", "i32"), {"starts": (0,), "sizes": (2,), "strides": (1,)}, "takes 1 operands, found 2"),
        ("update", ("f32[3]", "f64[2]"), {"starts": (0,), "strides": (1,)}, "differ"),
        ("add_at", ("bool[3]", "bool[2]"), {"starts": (0,), "strides": (1,)}, "numeric"),
        ("gather", ("f32[3]", "f32[2]"), {"axis": 0, "batch_dims": 0}, "int32 or int64"),
        ("one_hot", ("f32[3]", "f32", "f32"), {"depth": 2, "axis": 0, "dtype": float32}, "must be integers"),
        ("one_hot", ("i32[3]", "f64", "f32"), {"depth": 2, "axis": 0, "dtype": float32}, "scalars of float32"),
    ],
)
def test_wrong_dtypes(name: str, operands: tuple[str, ...], attrs: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeMismatch, match=words):
        infer(name, *operands, **attrs)
