"""`@function(fp_contract=True)`: products and sums rounded once, in the function and in its derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen.host import host

X = np.float32([1.1, -2.3, 0.7])


def polynomial(x: Any) -> Any:
    return x * x * 3.1 + x * 1.7 - 0.3


def rounded_once(x: Any, y: Any, z: Any) -> Any:
    """x * y + z in f32 with one rounding; the product of two floats is exact as a double."""
    return np.float32(np.float64(x) * np.float64(y) + np.float64(z))


@pytest.mark.skipif(not host().has("fma"), reason="this CPU has no fused multiply-add")
def test_a_product_and_a_sum_are_rounded_once() -> None:
    f = pb.function(lambda x, y, z: x * y + z, fp_contract=True)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1000)).astype(np.float32)
    z = (-x * y).astype(np.float32)  # so that the rounding of the product is all that is left
    exact = np.array([rounded_once(*v) for v in zip(x, y, z, strict=True)])
    np.testing.assert_array_equal(f(*map(pb.constant, (x, y, z))), exact)
    assert np.any(exact != x * y + z)


def test_the_default_is_eager_to_the_bit_and_the_option_close_to_it() -> None:
    x = pb.constant(X)
    plain, fused = pb.function(polynomial), pb.function(polynomial, fp_contract=True)
    np.testing.assert_array_equal(plain(x), polynomial(x))
    np.testing.assert_allclose(fused(x), polynomial(x), rtol=1e-6)
    for f in (plain, fused):
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        np.testing.assert_allclose(tape.gradient(y, x), 6.2 * X + 1.7, rtol=1e-6)
