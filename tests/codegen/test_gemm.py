"""Our own matrix products: every remainder of the register tile, both orders of the left operand, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.codegen import gemm
from pullback.codegen.compile import compile_function
from pullback.codegen.pipeline import optimise

from .compiled import array, function


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [2, 7, 8, 9, 10, 23, 33])
@pytest.mark.parametrize("n", [2, 3, 15, 16, 17, 31, 32, 33, 50, 65])
def test_every_remainder_of_the_tile(m: int, n: int, dtype: str) -> None:
    for k, turned in ((1, False), (5, True), (40, False), (40, True)):
        x, y = array((k, m) if turned else (m, k), dtype), array((k, n), dtype, 1)
        fn = function(lambda b, x, y, t=turned: b.matmul(x, y * 1.0, transpose_a=t, transpose_b=False), [x, y])
        got = compile_function(optimise(fn)).run([x, y])[0]
        want = (x.T if turned else x).astype(np.float64) @ y.astype(np.float64)
        assert np.abs(got - want).max() <= 4 * k * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [2, 3, 5, 6, 10, 12])
@pytest.mark.parametrize("n", [2, 4, 7, 11])
def test_few_long_rows_by_few_long_rows(m: int, n: int, dtype: str) -> None:
    """Every remainder of the tile and of the vectors; a batch; one operand that the batch shares."""
    for k, batch in ((512, ()), (513, (3,)), (1031, (2, 2))):
        x, y = array((*batch, m, k), dtype), array((n, k), dtype, 1)
        fn = function(lambda b, x, y: b.matmul(x, y * 1.0, transpose_a=False, transpose_b=True), [x, y])
        exe = compile_function(optimise(fn))
        assert ("gemm_nt_" in exe.llvm) is gemm.suits(m, n, k, (False, True), x.dtype.itemsize)
        want = x.astype(np.float64) @ y.astype(np.float64).T
        assert np.abs(exe.run([x, y])[0] - want).max() <= 4 * k * np.finfo(dtype).eps


def test_large_and_transposed_products_go_to_blas() -> None:
    assert gemm.suits(64, 64, 64, (False, False), 4)
    assert not gemm.suits(64, 64, 64, (False, True), 4)
    assert not gemm.suits(5000, 5000, 5000, (False, False), 4)
    assert gemm.suits(10, 10, 1000, (False, True), 8)
    assert not gemm.suits(10, 10, 20, (False, True), 8)
    assert not gemm.suits(10, 10, 1000, (True, True), 8)


def test_products_that_are_longer_than_a_piece_of_work() -> None:
    """A batch of few large ones is cut for threads one by one."""
    x, y = array((3, 300, 200), "float32"), array((3, 200, 150), "float32", 1)
    fn = function(lambda b, x, y: b.matmul(x, y, transpose_a=False, transpose_b=False), [x, y])
    got = compile_function(optimise(fn)).run([x, y])[0]
    np.testing.assert_allclose(got, x.astype(np.float64) @ y, rtol=0, atol=2e-4)


def test_equal_products_share_one_function() -> None:
    def build(b: Any, x: Any, w: Any) -> Any:
        for _ in range(3):
            x = b.matmul(x, w, transpose_a=False, transpose_b=False)
        return x

    exe = compile_function(optimise(function(build, [array((8, 16)), array((16, 16))])))
    assert exe.llvm.count("define private void @gemm_") == 1
    assert exe.llvm.count("call void @gemm_") == 3


def test_equal_kernels_share_one_function() -> None:
    def build(b: Any, x: Any, w: Any) -> Any:
        for _ in range(5):
            x = b.tanh(b.matmul(x, w, transpose_a=False, transpose_b=False))
        return x

    exe = compile_function(optimise(function(build, [array((8, 16)), array((16, 16))])))
    assert exe.llvm.count("define private void @k") == 1
