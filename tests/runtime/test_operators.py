"""Operators against NumPy, and their dtype rules."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb

from .checks import same

FLOAT = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod]
INT = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.floordiv,
    operator.mod,
    operator.and_,
    operator.or_,
    operator.xor,
]
COMPARE = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
numbers = st.floats(-100, 100, width=32).filter(lambda v: abs(v) > 1e-3)
integers = st.integers(-50, 50).filter(bool)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(FLOAT + COMPARE),
    st.lists(numbers, min_size=3, max_size=3),
    st.lists(numbers, min_size=3, max_size=3),
)
def test_floats_as_numpy(op: Any, a: list[float], b: list[float]) -> None:
    x, y = np.array(a, np.float32), np.array(b, np.float32)
    got = op(pb.constant(x), pb.constant(y))
    want = np.floor(x / y) if op is operator.floordiv else op(x, y)
    np.testing.assert_array_equal(got.numpy(), want)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(INT + COMPARE),
    st.lists(integers, min_size=3, max_size=3),
    st.lists(integers, min_size=3, max_size=3),
)
def test_integers_as_numpy(op: Any, a: list[int], b: list[int]) -> None:
    same(op(pb.constant(a), pb.constant(b)), op(np.array(a, np.int32), np.array(b, np.int32)))


@pytest.mark.parametrize("op", [*FLOAT, operator.pow, *COMPARE])
def test_reflected_with_python_and_numpy_operands(op: Any) -> None:
    t, x = pb.constant([1.5, 2.5]), np.array([1.5, 2.5], np.float32)
    for other in (2.0, 3, True, [1.0, 2.0], np.float32(2), np.array([1.0, 3.0]), np.array([1, 2])):
        y = np.asarray(other, np.float32)
        expected = (np.floor(x / y), np.floor(y / x)) if op is operator.floordiv else (op(x, y), op(y, x))
        np.testing.assert_allclose(op(t, other).numpy(), expected[0], rtol=1e-6)
        got = op(other, t)
        assert isinstance(got, pb.Tensor)
        np.testing.assert_allclose(got.numpy(), expected[1], rtol=1e-6)


def test_division_of_integers() -> None:
    assert (pb.constant(7) / 2).dtype is pb.float64
    assert (pb.constant(7, pb.int8) / pb.constant(2, pb.int8)).dtype is pb.float32
    same(pb.constant([7, -7]) // [2, 2], [3, -4])
    same(pb.truncatediv([7, -7], [2, 2]), [3, -3])
    same(pb.truncatemod([7, -7], [2, 2]), [1, -1])
    with pytest.raises(pb.errors.InvalidArgumentError, match="zero"):
        pb.constant(1) // 0


def test_unary() -> None:
    t = pb.constant([-1.5, 2.0])
    same(-t, [1.5, -2.0])
    same(+t, [-1.5, 2.0])
    same(abs(t), [1.5, 2.0])
    same(~pb.constant([True, False]), [False, True])
    same(~pb.constant([0, 5]), [-1, -6])


@pytest.mark.parametrize(
    ("f", "names"),
    [
        (lambda: pb.constant(1.0) + pb.constant(1), ("float32", "int32")),
        (lambda: pb.constant(1) * pb.constant(1, pb.int64), ("int32", "int64")),
        (lambda: pb.constant(1) + 1.5, ("int32", "float")),
        (lambda: pb.Variable(1.0) - pb.constant(1.0, pb.float64), ("float32", "float64")),
        (lambda: pb.constant(1.0) < pb.constant(1), ("float32", "int32")),
        (lambda: pb.stack([pb.constant(1.0), pb.constant(1)]), ("float32", "int32")),
    ],
)
def test_mixed_dtypes_name_both_and_the_remedy(f: Any, names: tuple[str, str]) -> None:
    with pytest.raises(pb.errors.InvalidArgumentError) as found:
        f()
    text = str(found.value)
    assert all(n in text for n in names)
    assert "pb.cast" in text
    assert "test_operators.py:" in text
    assert isinstance(found.value, TypeError)


@pytest.mark.parametrize("f", [lambda b: b + b, lambda b: -b, pb.sin, pb.sqrt, pb.reduce_sum, pb.nn.softmax])
def test_bools_are_no_numbers(f: Any) -> None:
    with pytest.raises(pb.errors.InvalidArgumentError):
        f(pb.constant([True, False]))


def test_equality() -> None:
    a = pb.constant([1, 2])
    same(a == [1, 2], [True, True])
    same(a != pb.constant([1, 3]), [False, True])
    assert (a == None) is False  # noqa: E711
    assert a != None  # noqa: E711
    same(a == pb.constant([1, 2, 3]), False)
    same(a != pb.constant([1, 2, 3]), True)
    with pytest.raises(TypeError):
        a == "x"  # noqa: B015


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"f32\[2\] and f32\[3\].*test_operators\.py"):
        pb.ones([2]) + pb.ones([3])
    with pytest.raises(pb.errors.InvalidArgumentError):
        pb.ones([2]) + pb.ones([3])


def test_no_warnings_from_numpy(recwarn: pytest.WarningsRecorder) -> None:
    big = pb.constant([3e38, 0.0])
    for y in (big * big, big / 0.0, pb.math.log(big - big), pb.sqrt(-big), pb.exp(big), pb.pow(big, 3.0)):
        y.numpy()
    with pb.GradientTape() as tape:
        tape.watch(big)
        y = pb.reduce_sum(pb.math.log(big) / big * big)
    tape.gradient(y, big)
    assert not recwarn.list
