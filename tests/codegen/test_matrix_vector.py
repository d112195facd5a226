"""Products with a single row or column: small ones as sums of products, large ones by BLAS's matrix-vector product."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen import blas, module
from pullback.codegen.compile import compile_function
from pullback.codegen.pipeline import optimise

from .compiled import Array, array, function


def product(x: Array, y: Array, turned: tuple[bool, bool]) -> Any:
    """The compiled product of operands stored as the flags say, and its executable."""
    left, right = (np.ascontiguousarray(a.swapaxes(-1, -2)) if t else a for a, t in zip((x, y), turned, strict=True))
    fn = function(lambda b, x, y: b.matmul(x, y, transpose_a=turned[0], transpose_b=turned[1]), [left, right])
    exe = compile_function(optimise(fn))
    return exe.run([left, right])[0], exe.llvm


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 70, 90), (90, 70, 1), (1, 5000, 1), (5000, 1, 1), (1, 1, 5000),
                                             (3000, 3, 1)])
def test_every_way_to_store_the_operands(m: int, k: int, n: int, turned: tuple[bool, bool], dtype: str) -> None:
    x, y = array((m, k), dtype), array((k, n), dtype, 1)
    got, text = product(x, y, turned)
    want = x.astype(np.float64) @ y.astype(np.float64)
    assert np.abs(got - want).max() <= 4 * k * np.finfo(dtype).eps
    assert "gemm" not in text
    assert ("call void @pb_" in text) == (m * k * n > 64 * 64)


@pytest.mark.parametrize("shapes", [((3, 80, 60), (3, 60, 1)), ((80, 60), (4, 60, 1)), ((2, 1, 80), (2, 80, 60)),
                                    ((5, 1, 1, 80), (3, 80, 60)), ((0, 80, 60), (0, 60, 1))])
def test_batches(shapes: tuple[tuple[int, ...], ...]) -> None:
    x, y = array(shapes[0]), array(shapes[1], seed=1)
    got, _ = product(x, y, (False, False))
    want = x.astype(np.float64) @ y.astype(np.float64)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=4 * 80 * np.finfo("f").eps)


def test_what_the_result_held_before_is_not_read() -> None:
    """The scratch of the product holds NaN from the call before it."""
    @pb.function
    def f(x: Any, a: Any) -> Any:
        return pb.reduce_sum(pb.linalg.matvec(a, x) * 2.0)

    a = array((100, 80))
    assert np.isnan(f(pb.constant(np.full(80, np.nan, "f")), pb.constant(a)).numpy())
    np.testing.assert_allclose(f(pb.ones(80), pb.constant(a)).numpy(), 2 * a.sum(), rtol=1e-4, atol=1e-4)


def test_a_blas_without_it_serves_by_its_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(blas.available(), sgemv=0, dgemv=0)
    monkeypatch.setattr(module, "available", lambda: bare)
    x, y = array((2000, 60)), array((60, 1), seed=1)
    got, text = product(x, y, (False, False))
    assert "pb_sgemv" not in text
    assert "gemm" in text
    np.testing.assert_allclose(got, x @ y, atol=1e-4)


def test_one_that_reads_the_result_is_not_believed() -> None:
    good = blas.numpy_fallback()

    def reads(order: int, trans: int, m: int, n: int, alpha: float, a: int, lda: int, x: int, incx: int, beta: float,
              y: int, incy: int) -> None:
        blas._numpy_gemv(np.dtype("float32"))(order, trans, m, n, alpha, a, lda, x, incx, beta or 1e-300, y, incy)

    call = blas._gemv_prototype(ctypes.c_float, ctypes.c_int64)(reads)
    address = ctypes.cast(call, ctypes.c_void_p).value or 0
    assert blas._works(replace(good, keep=None))
    assert not blas._works(replace(good, sgemv=address))


def test_sizes_that_vary() -> None:
    @pb.function
    def f(a: Any, x: Any) -> Any:
        return pb.linalg.matvec(a, x), pb.linalg.matvec(a, x[:1] * pb.ones(a.shape[0]), transpose_a=True)

    for n in (100, 120, 333, 70):
        a, x = array((n, 90)), array((90,), seed=n)
        for got, want in zip(f(pb.constant(a), pb.constant(x)), (a @ x, a.sum(0) * x[0]), strict=True):
            np.testing.assert_allclose(got.numpy(), want, atol=2e-4)
