"""BLAS pointers called from compiled code, against NumPy's einsum and exact integer products."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pullback.codegen import blas, blas_emit
from pullback.codegen.jit import compile_module

F32, F64 = np.dtype("float32"), np.dtype("float64")
P, I64 = ctypes.c_void_p, ctypes.c_int64


def providers() -> dict[str, blas.BlasInfo]:
    found = {"fallback": blas.numpy_fallback()}
    best = blas.find()
    if best is not None:
        found[best.name] = best
    second = blas._scipy_candidate()
    if second is not None:
        found[second.name] = second
    return found


PROVIDERS = providers()


def numbers(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int) -> np.ndarray[Any, Any]:
    """Small integers: products and sums are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (3, 5, 4), (17, 2, 9), (40, 33, 50)])
def test_gemm(provider: str, dtype: np.dtype[Any], m: int, n: int, k: int) -> None:
    info = PROVIDERS[provider]
    for (trans_a, trans_b), pad in itertools.product(itertools.product((False, True), repeat=2), (0, 3)):
        a = numbers((k, m + pad) if trans_a else (m, k + pad), dtype, 1)
        b = numbers((n, k + pad) if trans_b else (k, n + pad), dtype, 2)
        c = numbers((m, n + pad), dtype, 3)
        left = a[:, :m].T if trans_a else a[:, :k]
        right = b[:, :k].T if trans_b else b[:, :n]
        expected = c.copy()
        expected[:, :n] = 2 * np.einsum("ik,kj->ij", left, right) - c[:, :n]
        body = blas_emit.emit_gemm_call(info, dtype, m=m, n="%n", k=k, a="%a", lda=a.shape[1], b="%b",
                                        ldb=b.shape[1], c="%c", ldc="%ldc", trans_a=trans_a, trans_b=trans_b,
                                        alpha=2.0, beta=-1.0)
        ir = (f"{blas_emit.declare_gemm(info, dtype)}\ndefine void @f(ptr %a, ptr %b, ptr %c, i64 %n, i64 %ldc) {{\n"
              f"{body}\n  ret void\n}}")
        f = compile_module(ir, info.symbols()).function("f", None, P, P, P, I64, I64)
        f(a.ctypes.data, b.ctypes.data, c.ctypes.data, n, n + pad)
        np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("trans", [False, True])
def test_gemv(provider: str, dtype: np.dtype[Any], trans: bool) -> None:
    info = PROVIDERS[provider]
    if not info.dgemv:
        pytest.skip("this BLAS has no gemv")
    m, n, ld = 7, 4, 6
    a = numbers((m, ld), dtype, 4)
    matrix = a[:, :n].T if trans else a[:, :n]
    x, y = numbers((matrix.shape[1] * 2,), dtype, 5), numbers((matrix.shape[0],), dtype, 6)
    expected = np.einsum("ij,j->i", matrix, x[::2]) * dtype.type(0.5) + 3 * y
    body = blas_emit.emit_gemv_call(info, dtype, m=m, n=n, a="%a", lda=ld, x="%x", y="%y", incx=2, trans=trans,
                                    alpha=0.5, beta=3.0)
    ir = f"{blas_emit.declare_gemv(info, dtype)}\ndefine void @f(ptr %a, ptr %x, ptr %y) {{\n{body}\n  ret void\n}}"
    f = compile_module(ir, info.symbols()).function("f", None, P, P, P)
    f(a.ctypes.data, x.ctypes.data, y.ctypes.data)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_beta_zero_does_not_read_the_output(provider: str) -> None:
    info = PROVIDERS[provider]
    a, b, c = numbers((3, 4), F32, 1), numbers((4, 2), F32, 2), np.full((3, 2), np.nan, F32)
    body = blas_emit.emit_gemm_call(info, F32, m=3, n=2, k=4, a="%a", lda=4, b="%b", ldb=2, c="%c", ldc=2)
    ir = f"{blas_emit.declare_gemm(info, F32)}\ndefine void @f(ptr %a, ptr %b, ptr %c) {{\n{body}\n  ret void\n}}"
    f = compile_module(ir, info.symbols()).function("f", None, P, P, P)
    f(a.ctypes.data, b.ctypes.data, c.ctypes.data)
    np.testing.assert_array_equal(c, np.einsum("ik,kj->ij", a, b))


def test_fallback_without_inner_dimension() -> None:
    info = blas.numpy_fallback()
    call = blas._prototype(ctypes.c_double, I64)(info.dgemm)
    c = numbers((2, 3), F64, 1)
    expected = 2 * c
    call(blas.ROW_MAJOR, blas.NO_TRANS, blas.NO_TRANS, 2, 3, 0, 1.0, None, 1, None, 3, 2.0, c.ctypes.data, 3)
    np.testing.assert_array_equal(c, expected)


def test_a_wrong_pointer_is_not_believed() -> None:
    """The test call tells sgemm from dgemm, and a product that ignores its flags from one that does not."""
    good = blas.numpy_fallback()

    def ignores_flags(order: int, _ta: int, _tb: int, *rest: Any) -> None:
        blas._numpy_gemm(F32)(order, blas.NO_TRANS, blas.NO_TRANS, *rest)

    wrong = blas._prototype(ctypes.c_float, I64)(ignores_flags)
    address = ctypes.cast(wrong, P).value or 0
    assert blas._works(good)
    assert not blas._works(blas.BlasInfo("wrong", "", 64, address, good.dgemm))


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match="int32"):
        blas_emit.declare_gemm(blas.numpy_fallback(), np.dtype("int32"))


@pytest.mark.parametrize(("choice", "expected"), [("off", "None"), ("numpy", "numpy"), ("scipy", "scipy")])
def test_environment_switch(choice: str, expected: str) -> None:
    code = ("from pullback.codegen import blas; import sys; f = blas.find();"
            "print(f and f.name, 'scipy' in sys.modules); print(blas.available().name)")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env={**os.environ, "PULLBACK_BLAS": choice})
    if choice == "off":
        assert run.stdout.splitlines() == ["None False", "numpy.matmul"]
    else:
        assert run.stdout.startswith((expected, "None"))
    if choice == "numpy":
        assert "False" in run.stdout  # scipy is not imported for nothing


def test_environment_switch_refuses_nonsense() -> None:
    run = subprocess.run([sys.executable, "-c", "from pullback.codegen import blas; blas.find()"], check=False,
                         capture_output=True, text=True, env={**os.environ, "PULLBACK_BLAS": "mkl"})
    assert "write off, numpy or scipy" in run.stderr
