"""The gamma functions in public: derivatives of every order, compiled and eager; what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, close

M = pb.math
X = np.array([[0.3, 1.2, 4.5], [0.9, 2.5, 11.0]])


@pytest.mark.parametrize("f", [
    M.lgamma, M.digamma, lambda x: M.polygamma(2, x), M.lbeta,
    lambda x: M.bessel_i0(x * 0.3), lambda x: M.bessel_i1(x * 0.3), M.bessel_i0e, M.bessel_i1e,
    lambda x: M.lgamma(-x), lambda x: M.digamma(-x),
])  # fmt: skip
def test_gradients_to_order_two(f: Callable[..., Any]) -> None:
    x = np.where(X == 11.0, 10.7, X)  # no pole at -x
    check_gradient(f, x, rtol=1e-4)

    def slope(v: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(v)
            y = pb.reduce_sum(f(v) ** 2)
        return tape.gradient(y, v)

    for g in (slope, pb.function(slope)):
        check_gradient(g, x, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Calling GradientTape.gradient on a persistent tape")
def test_four_orders_of_lgamma() -> None:
    x = y = pb.constant(2.3, pb.float64)
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = M.lgamma(x)
        for order in range(4):
            y = tape.gradient(y, x)
            assert float(y) == pytest.approx(float(mp.polygamma(order, mp.mpf(2.3))), rel=1e-13)


def test_lbeta_and_polygamma() -> None:
    for f in (M.lbeta, pb.function(M.lbeta)):
        close(f(pb.constant([[1.0, 2.0], [3.0, 4.0]])), [-0.6931472, -4.0943446])
        close(f(pb.zeros([2, 0])), [-np.inf, -np.inf])  # as TensorFlow
    close(M.polygamma(0.0, X), M.digamma(X))
    close(M.polygamma(pb.constant([1.0, 1.0, 1.0]), X), M.polygamma(1, X))
    for bad in (0.5, -1, [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"whole number.*test_ops_gamma\.py"):
            M.polygamma(bad, X)
    with pytest.raises(pb.errors.InvalidArgumentError, match="vector"):
        M.lbeta(1.0)
    with pytest.raises(TypeError, match=r"pb\.cast"):
        M.lgamma(pb.constant([1, 2]))


def test_in_a_compiled_loop() -> None:
    """A Dirichlet distribution's likelihood, by gradient steps."""

    def fit(a: Any, data: Any) -> Any:
        for _ in pb.range(5):
            slope = pb.reduce_mean(pb.math.log(data), 0) - M.digamma(a) + M.digamma(pb.reduce_sum(a))
            a = a + 0.1 * a * slope
        return M.lbeta(a)

    data = np.random.default_rng(0).dirichlet([2.0, 3.0, 4.0], 20)
    fn = pb.function(fit)
    close(fn(pb.ones([3], pb.float64), data), fit(pb.ones([3], pb.float64), data).numpy(), rtol=1e-12)
    check_gradient(fn, np.array([1.0, 2.0, 1.5]), data, rtol=1e-4, atol=1e-6)
