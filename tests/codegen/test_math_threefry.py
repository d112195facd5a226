"""Compiled random bits are those of the NumPy reference, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.codegen.scalar import random_bits
from pullback.ir.threefry import threefry2x32

from .elementwise_kernel import Kernel


@pytest.mark.parametrize("lanes", [0, 4, 16])
def test_compiled_bits_equal_the_reference(lanes: int) -> None:
    rng = np.random.default_rng(0)
    key, counter = rng.integers(-(2**63), 2**63 - 1, (2, 1000))
    run = Kernel(random_bits, ["i64", "i64"], "i64", lanes)
    np.testing.assert_array_equal(run(key, counter).view(np.uint64), threefry2x32(key, counter))
