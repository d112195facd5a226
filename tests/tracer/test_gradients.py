"""`pb.gradients` inside compiled functions."""

from __future__ import annotations

from typing import Any

import pytest

import pullback as pb


def test_of_arguments_intermediates_and_variables() -> None:
    v = pb.Variable(3.0)

    @pb.function
    def f(x: Any) -> Any:
        y = x**2 * v
        z = y * 5.0
        return pb.gradients(z, [x, y, v]), pb.gradients([z, x * 2.0], x), pb.gradients(z, x, grad_ys=pb.constant(2.0))

    a, b, c = f(pb.constant(2.0))
    assert [float(t) for t in a] == [60.0, 5.0, 20.0]
    assert [float(t) for t in b] == [62.0]
    assert [float(t) for t in c] == [120.0]


def test_second_order_stops_and_unconnected() -> None:
    @pb.function
    def f(x: Any, w: Any) -> Any:
        y = x**3
        first = pb.gradients(y, x)[0]
        second = pb.gradients(first, x)[0]
        stopped = pb.gradients(y * x, x, stop_gradients=[y])[0]
        assert pb.gradients(y, w) == [None]
        return first, second, stopped, pb.gradients(y, w, unconnected_gradients="zero")[0]

    out = f(pb.constant(2.0), pb.constant([1.0, 1.0]))
    assert [float(t) for t in out[:3]] == [12.0, 12.0, 8.0]
    assert out[3].numpy().tolist() == [0.0, 0.0]


def test_eagerly_it_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"GradientTape instead \[test_gradients.py"):
        pb.gradients(pb.constant(1.0), pb.constant(1.0))


def test_wrong_number_of_grad_ys() -> None:
    f = pb.function(lambda x: pb.gradients([x, x], x, grad_ys=[None]))
    with pytest.raises(ValueError, match="1 entries for 2"):
        f(pb.constant(1.0))
