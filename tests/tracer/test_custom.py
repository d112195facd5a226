"""Derivatives given in Python, and reads of assigned variables, inside compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.verifier import verify

X = pb.constant(2.0)


def slope(f: Callable[[Any], Any], *more: Any) -> Callable[[Any], Any]:
    def g(x: Any) -> Any:
        with pb.GradientTape() as t:
            t.watch(x)
            y = f(x)
        found = t.gradient(y, [x, *more])
        return found if more else found[0]

    return g


@pb.custom_gradient
def ten_times(x: Any) -> Any:
    return x * 2.0, lambda dy: dy * 10.0


@pb.custom_gradient
def cube(x: Any) -> Any:
    z = x * x
    return z * x, lambda dy: dy * 3.0 * z


WAYS: list[Callable[[Any], Any]] = [
    lambda f: slope(f),
    lambda f: slope(pb.function(f)),
    lambda f: pb.function(slope(f)),
    lambda f: pb.function(slope(pb.function(f))),
    lambda f: pb.function(lambda x: pb.gradients(f(x), x)[0]),
]


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_the_given_derivative_is_used(way: int) -> None:
    assert float(WAYS[way](ten_times)(X)) == 10.0
    assert float(WAYS[way](lambda x: ten_times(ten_times(x)) + x)(X)) == 101.0


@pytest.mark.parametrize("outer", range(len(WAYS)))
@pytest.mark.parametrize("inner", range(len(WAYS) - 1))
def test_second_derivative_goes_through_the_gradient_function(outer: int, inner: int) -> None:
    assert float(WAYS[outer](WAYS[inner](cube))(X)) == 12.0


def test_variables_get_the_gradients_given_for_them() -> None:
    w = pb.Variable(3.0)

    @pb.custom_gradient
    def layer(x: Any) -> Any:
        def grad(dy: Any, variables: Any = None) -> Any:
            return dy * w * 10.0, [dy * x * 100.0]

        return x * w, grad

    for f in (layer, pb.function(layer)):
        assert [float(g) for g in slope(f, w)(X)] == [30.0, 200.0]


def test_several_arguments_results_and_none() -> None:
    @pb.custom_gradient
    def f(a: Any, b: Any) -> Any:
        return (a + b, a * b), lambda da, db: (da * 2.0 + db * 3.0, None)

    @pb.function
    def g(a: Any, b: Any) -> Any:
        y, z = f(a, b)
        return y + 0.0 * z if False else y

    a, b = pb.constant([1.0, 2.0]), pb.constant([3.0, 4.0])
    with pb.GradientTape() as t:
        t.watch([a, b])
        y = g(a, b)
    ga, gb = t.gradient(y, [a, b])
    assert ga.numpy().tolist() == [2.0, 2.0]
    assert gb is None


def test_gradient_function_that_raises_does_so_only_when_asked() -> None:
    @pb.custom_gradient
    def f(x: Any) -> Any:
        def grad(dy: Any) -> Any:
            raise LookupError("no gradient here")

        return x * 1.0, grad

    g = pb.function(lambda x: f(x) + 1.0)
    assert float(g(X)) == 3.0
    with pytest.raises(LookupError, match="no gradient here"):
        slope(g)(X)


def test_different_rules_on_the_same_values_stay_apart() -> None:
    scaled = [pb.custom_gradient(lambda x, k=k: (x * 1.0, lambda dy: dy * k)) for k in (2.0, 3.0)]
    f = pb.function(lambda x: scaled[0](x) + scaled[1](x))
    assert float(slope(f)(X)) == 5.0


def test_symbolic_sizes_and_the_text() -> None:
    clip = pb.custom_gradient(lambda x: (x * 1.0, lambda dy: pb.clip_by_value(dy, -1.0, 1.0)))
    f = pb.function(lambda x: clip(x) * 5.0, input_signature=[pb.TensorSpec([None])])
    for n in (2, 3):
        assert slope(f)(pb.ones([n])).numpy().tolist() == [1.0] * n
    assert f.trace_count == 1
    verify(f.get_concrete_function().ir)
    assert "custom_gradient" in f.inspect()
    assert "custom_gradient" not in f.inspect(stage="opt")
    assert f.inspect() == f.inspect()


def test_stop_gradient_and_recompute() -> None:
    f = pb.function(lambda x: pb.stop_gradient(x * x) * x)
    assert float(slope(f)(X)) == 4.0
    g = pb.function(pb.recompute_grad(lambda x: pb.sin(x) * x))
    assert float(slope(g)(X)) == pytest.approx(np.cos(2.0) * 2 + np.sin(2.0), rel=1e-6)


def test_gradient_of_a_variable_read_after_an_assignment_goes_to_the_variable() -> None:
    v = pb.Variable(1.0)

    def f(x: Any) -> Any:
        v.assign(x * 3.0)
        y = v * x
        v.assign_add(1.0)
        return y + v * 10.0

    for way in (f, pb.function(f), pb.function(pb.function(f))):
        gx, gv = slope(way, v)(X)
        assert float(gx) == 6.0  # y = v * x, with v = 6 no function of x
        assert float(gv) == 12.0  # x once, 10 once
    gx, gv = pb.function(slope(f, v))(X)
    assert (float(gx), float(gv)) == (6.0, 12.0)
