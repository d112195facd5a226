"""The function transformers of TensorFlow 1."""

from __future__ import annotations

import pytest

import pullback as pb

from .checks import same


def test_gradients_function() -> None:
    f = pb.contrib.eager.gradients_function(lambda x, y: x * x * y)
    gx, gy = f(3.0, 2.0)
    same(gx, 12.0)
    same(gy, 9.0)
    (only,) = pb.tfe.gradients_function(lambda x, y: x * y, params=["y"])(2.0, 3.0)
    same(only, 2.0)
    g = pb.tfe.gradients_function
    third = g(lambda x: g(lambda x: g(lambda x: x**4)(x)[0])(x)[0])(2.0)[0]
    same(third, 48.0)
    same(g(lambda x: x * x)(pb.constant([1.0, 2.0]), dy=pb.constant([10.0, 100.0]))[0], [20.0, 400.0])
    assert g(lambda x: x * 2)(3) == [None]


def test_the_same_argument_twice() -> None:
    x = pb.constant(3.0)
    a, b = pb.tfe.gradients_function(lambda p, q: p * p * q)(x, x)
    same(a, 18.0)
    same(b, 9.0)


def test_values_and_implicit() -> None:
    v, w = pb.Variable(3.0), pb.Variable(2.0)
    value, pairs = pb.tfe.implicit_value_and_gradients(lambda x: x * v * w * w)(2.0)
    same(value, 24.0)
    assert [p[1] is q for p, q in zip(pairs, (v, w), strict=True)] == [True, True]
    same(pairs[0][0], 8.0)
    same(pb.tfe.implicit_gradients(lambda: v * v)()[0][0], 6.0)
    (a, b), grads = pb.tfe.value_and_gradients_function(lambda x, y: (x * y, x + y))(3.0, 2.0)
    same(a, 6.0)
    same(b, 5.0)
    same(grads[0], 3.0)


def test_refused() -> None:
    g = pb.tfe.gradients_function
    for call in (
        lambda: g(lambda x: None)(1.0),
        lambda: g(lambda x: x)(x=1.0),
        lambda: g(lambda x, y: x, params=["q"])(1.0, 2.0),
        lambda: g(lambda x, y: x, params=[0, "y"])(1.0, 2.0),
        lambda: g(lambda x: x, params=[3])(1.0),
        lambda: pb.tfe.implicit_gradients(lambda: pb.constant(1.0))(),
    ):
        with pytest.raises(ValueError, match=r"."):
            call()
