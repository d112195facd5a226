"""Loops whose bounds are about as far apart as int32 allows: gradients see the same trips as the loop itself."""

from __future__ import annotations

import numpy as np
import pytest

import pullback as pb

STEP = 10**8
TOP = 2**31 - 1


@pytest.mark.parametrize(
    ("first", "last", "step"),
    [
        (0, TOP, STEP), (0, TOP - 5, STEP), (-2 * 10**9, 2 * 10**9, STEP), (-(2**31), TOP, STEP), (5, -(2**31), STEP),
        (TOP, -(2**31), -STEP), (TOP, 0, -STEP), (0, -(2**31), -STEP), (0, TOP, 2**30), (7, 7, STEP),
    ],
)  # fmt: skip
@pytest.mark.parametrize("constant", ["none", "first", "last", "all but step"])
def test_wide_bounds(first: int, last: int, step: int, constant: str) -> None:
    @pb.function
    def f(x: pb.Tensor, low: pb.Tensor, high: pb.Tensor, by: pb.Tensor) -> tuple[pb.Tensor, pb.Tensor]:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = x
            for _ in pb.range(low, high, by):
                y = y * 1.5 + x
        return y, tape.gradient(y, x)

    all_but = constant == "all but step"
    low, high = (v if constant == name or all_but else pb.constant(v) for name, v in (("first", first), ("last", last)))
    y, dx = f(pb.constant(1.0, pb.float64), low, high, pb.constant(step) if all_but else step)
    want = 1.0
    for _ in range(first, last, step):
        want = want * 1.5 + 1.0
    np.testing.assert_allclose([y.numpy(), dx.numpy()], want, rtol=1e-12)
