"""custom_gradient and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import close, same


@pb.custom_gradient
def log1pexp(x: Any) -> Any:
    e = pb.exp(x)
    return pb.math.log(1 + e), lambda upstream: upstream * (1 - 1 / (1 + e))


def test_replaces_the_gradient() -> None:
    x = pb.constant([0.0, 100.0])
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = log1pexp(x)
    same(tape.gradient(y, x), [0.5, 1.0])


def test_second_order_goes_through_the_rule() -> None:
    x = pb.constant(0.3, pb.float64)
    with pb.GradientTape() as outer:
        outer.watch(x)
        with pb.GradientTape() as inner:
            inner.watch(x)
            y = log1pexp(x)
        g = inner.gradient(y, x)
    s = 1 / (1 + np.exp(-0.3))
    close(g, s, rtol=1e-12)
    close(outer.gradient(g, x), s * (1 - s), rtol=1e-12)


def test_variables() -> None:
    v = pb.Variable(3.0)

    @pb.custom_gradient
    def f(x: Any) -> Any:
        def grad(dy: Any, variables: Any = None) -> Any:
            return dy * 5.0, [dy * 7.0 for _ in variables]

        return x * v, grad

    x = pb.constant(2.0)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    gx, gv = tape.gradient(y, [x, v])
    same(gx, 5.0)
    same(gv, 7.0)


def test_several_arguments_and_results() -> None:
    f = pb.custom_gradient(lambda a, b: ([a + b, a * b], lambda da, db: (da * 2.0, None)))
    a, b = pb.constant(1.0), pb.Variable(2.0)
    with pb.GradientTape() as tape:
        tape.watch(a)
        y = f(a, b)
    ga, gb = tape.gradient(y, [a, b])
    same(ga, 2.0)
    assert gb is None
    same(f(np.float32(1.0), 2.0)[1], 2.0)


def test_misuse() -> None:
    v = pb.Variable(1.0)
    x = pb.Variable(1.0)
    with pytest.raises(TypeError, match="variables"):
        pb.custom_gradient(lambda t: (t * v, lambda g: g))(pb.constant(1.0))
    with pytest.raises(TypeError, match="must return"):
        pb.custom_gradient(lambda t: t)(1.0)
    with pb.GradientTape() as tape:
        y = pb.custom_gradient(lambda t: (t * 1.0, lambda g: (g, g)))(x)
    with pytest.raises(ValueError, match="1 gradients, but returned 2"):
        tape.gradient(y, x)


def test_stop_prevent_and_pass_through() -> None:
    x = pb.Variable(3.0)
    with pb.GradientTape(persistent=True) as tape:
        y = pb.stop_gradient(x * x) * x
        z = pb.grad_pass_through(pb.round)(x * 2.5)
        w = pb.prevent_gradient(x * 2.0, "not here")
    same(tape.gradient(y, x), 9.0)
    same(tape.gradient(z, x), 2.5)
    with pytest.raises(LookupError, match="not here"):
        tape.gradient(w, x)
