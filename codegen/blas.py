"""BLAS that compiled code can call: function pointers, found, checked by use, never assumed.

NumPy carries an OpenBLAS of its own; its CBLAS entry points are reached through the symbols of NumPy's extension
module, under names that differ between builds and with 32- or 64-bit integers. What is found is believed only after
test products (not square, transposed, padded rows) agree with NumPy's. Then SciPy's `cython_blas` is asked, if SciPy is
loaded or NumPy has nothing. When all fail, `numpy_fallback` gives C callbacks of the same shape that run `np.matmul`.

`PULLBACK_BLAS=off|numpy|scipy` restricts the search (for tests and for trouble).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

ROW_MAJOR, NO_TRANS, TRANS = 101, 111, 112

# (prefix, suffix, bits of an integer); openblas's own 64-bit builds end in 64_
_SPELLINGS = (("scipy_cblas_", "64_", 64), ("cblas_", "64_", 64), ("scipy_cblas_", "", 32), ("cblas_", "", 32),
              ("openblas_cblas_", "64_", 64), ("cblas_", "$NEWLAPACK$ILP64", 64), ("cblas_", "$NEWLAPACK", 32))
_NAMES = ("sgemm", "dgemm", "sgemv", "dgemv")


@dataclass(frozen=True, slots=True)
class BlasInfo:
    """CBLAS-shaped entry points. `int_bits` is the width of its integers; 0 for an address means: not there.

    `library` says where it was found; `keep` holds whatever owns the code.
    """

    name: str
    library: str
    int_bits: int
    sgemm: int
    dgemm: int
    sgemv: int = 0
    dgemv: int = 0
    keep: Any = None

    def has_gemv(self, dtype: np.dtype[Any]) -> bool:
        """Whether there is a matrix-vector product for float32 or float64."""
        return bool(self.sgemv if dtype.itemsize == 4 else self.dgemv)

    def symbols(self) -> dict[str, int]:
        """The names that emitted calls use, for `compile_module`."""
        return {f"pb_{name}": getattr(self, name) for name in _NAMES if getattr(self, name)}


@lru_cache(maxsize=1)
def find() -> BlasInfo | None:
    """The best BLAS of this process, checked, or None (use `numpy_fallback`)."""
    wanted = os.environ.get("PULLBACK_BLAS", "")
    if wanted not in ("", "off", "numpy", "scipy"):
        raise ValueError(f"PULLBACK_BLAS: found {wanted!r}; write off, numpy or scipy")
    if wanted == "off":
        return None
    if wanted != "scipy":
        for candidate in _numpy_candidates():
            if _works(candidate):
                return candidate
    if wanted != "numpy":
        return _scipy_candidate()
    return None


def available() -> BlasInfo:
    """`find()`, or NumPy itself behind C callbacks: there is always something to call."""
    return find() or numpy_fallback()


def _numpy_candidates() -> Iterator[BlasInfo]:
    if sys.implementation.name != "cpython":
        return
    path = getattr(sys.modules.get("numpy._core._multiarray_umath"), "__file__", None)
    if not path:
        return
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return
    for prefix, suffix, bits in _SPELLINGS:
        found = {name: _symbol(library, prefix + name + suffix) for name in _NAMES}
        if found["sgemm"] and found["dgemm"]:
            yield BlasInfo("numpy's BLAS", f"{path}: {prefix}sgemm{suffix}", bits, **found, keep=library)


def _symbol(library: ctypes.CDLL, name: str) -> int:
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    except AttributeError:
        return 0


# -- the test call

def _prototype(real: Any, integer: Any) -> Any:
    pointer = ctypes.c_void_p
    return ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_int, integer, integer, integer, real,
                            pointer, integer, pointer, integer, real, pointer, integer)


def _gemv_prototype(real: Any, integer: Any) -> Any:
    pointer = ctypes.c_void_p
    return ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, integer, integer, real, pointer, integer,
                            pointer, integer, real, pointer, integer)


def _types(name: str, int_bits: int) -> tuple[Any, Any, Any]:
    """(ctypes real, ctypes integer, NumPy dtype) for the function `name`."""
    integer = ctypes.c_int64 if int_bits == 64 else ctypes.c_int32
    if name.startswith("s"):
        return ctypes.c_float, integer, np.dtype("float32")
    return ctypes.c_double, integer, np.dtype("float64")


def _works(info: BlasInfo) -> bool:
    """Whether each function gives NumPy's answers. A 64-bit integer read as 32-bit (or the reverse) shows up here."""
    gemm = all(_gemm_works(info, name) for name in ("sgemm", "dgemm"))
    return gemm and all(_gemv_works(info, name) for name in ("sgemv", "dgemv") if getattr(info, name))


def _gemm_works(info: BlasInfo, name: str) -> bool:
    real, integer, dtype = _types(name, info.int_bits)
    call = _prototype(real, integer)(getattr(info, name))
    m, n, k = 3, 5, 4
    for trans_a in (False, True):
        for trans_b in (False, True):
            a = (np.arange(8 * 9, dtype=dtype).reshape(8, 9) % 7 - 3)
            b = (np.arange(8 * 9, dtype=dtype).reshape(8, 9) % 5 - 2)
            c = np.full((m, n + 2), 3, dtype)
            left = a[:k, :m].T if trans_a else a[:m, :k]
            right = b[:n, :k].T if trans_b else b[:k, :n]
            expected = c.copy()
            expected[:, :n] = 2 * np.einsum("ik,kj->ij", left, right) - 1 * c[:, :n]
            call(ROW_MAJOR, TRANS if trans_a else NO_TRANS, TRANS if trans_b else NO_TRANS, m, n, k, 2.0,
                 a.ctypes.data, 9, b.ctypes.data, 9, -1.0, c.ctypes.data, n + 2)
            if not np.array_equal(c, expected):
                return False
    return True


def _gemv_works(info: BlasInfo, name: str) -> bool:
    real, integer, dtype = _types(name, info.int_bits)
    call = _gemv_prototype(real, integer)(getattr(info, name))
    m, n = 3, 5
    for trans in (False, True):
        a = np.arange(m * 7, dtype=dtype).reshape(m, 7) % 6 - 2
        matrix = a[:, :n].T if trans else a[:, :n]
        x = np.arange(2 * n, dtype=dtype)
        y = np.arange(n, dtype=dtype) + 1
        expected = y.copy()
        rows, columns = matrix.shape
        expected[:rows] = 3 * np.einsum("ij,j->i", matrix, x[:2 * columns:2]) + 2 * y[:rows]
        call(ROW_MAJOR, TRANS if trans else NO_TRANS, m, n, 3.0, a.ctypes.data, 7, x.ctypes.data, 2,
             2.0, y.ctypes.data, 1)
        if not np.array_equal(y, expected):
            return False
        y = np.full(n, np.nan, dtype)     # with beta 0 it must not be read
        call(ROW_MAJOR, TRANS if trans else NO_TRANS, m, n, 1.0, a.ctypes.data, 7, x.ctypes.data, 2, 0.0,
             y.ctypes.data, 1)
        if not np.array_equal(y[:rows], np.einsum("ij,j->i", matrix, x[:2 * columns:2])):
            return False
    return True


# -- scipy: Fortran calling convention (column-major, every argument by pointer) behind a compiled adapter

def _scipy_candidate() -> BlasInfo | None:
    """SciPy's BLAS in CBLAS shape. A second library with its own thread pool, hence the second choice."""
    try:
        from scipy.linalg import cython_blas
    except ImportError:
        return None
    capsules = getattr(cython_blas, "__pyx_capi__", {})
    if any(name not in capsules for name in _NAMES):
        return None
    from .jit import compile_module

    library = compile_module("".join(_gemm_adapter(n) + _gemv_adapter(n) for n in "sd"),
                             {name: _capsule_pointer(capsules[name]) for name in _NAMES})
    addresses = {name: library.address(f"adapt_{name}") for name in _NAMES}
    info = BlasInfo("scipy's BLAS", "scipy.linalg.cython_blas", 64, **addresses, keep=library)
    return info if _works(info) else None


def _capsule_pointer(capsule: Any) -> int:
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer_of(capsule, name_of(capsule)) or 0


def _cells(names: tuple[tuple[str, str], ...]) -> str:
    """Stack cells for arguments that Fortran takes by address; integers narrow to 32 bits on the way."""
    lines = []
    for name, kind in names:
        if kind == "i32":
            lines.append(f"  %{name}.n = trunc i64 %{name} to i32")
        value = f"%{name}.n" if kind == "i32" else f"%{name}"
        lines += [f"  %{name}.p = alloca {kind}", f"  store {kind} {value}, ptr %{name}.p"]
    return "\n".join(lines)


def _letter(flag: str, out: str, when_trans: str, otherwise: str) -> str:
    """A cell with BLAS's letter for the CBLAS transpose flag `flag`."""
    return (f"  %{out}.t = icmp eq i32 %{flag}, {TRANS}\n"
            f"  %{out}.c = select i1 %{out}.t, i8 {ord(when_trans)}, i8 {ord(otherwise)}\n"
            f"  %{out} = alloca i8\n  store i8 %{out}.c, ptr %{out}\n")


def _gemm_adapter(kind: str) -> str:
    """Row-major C = A B is column-major C' = B' A': swap the operands and keep their transpose flags."""
    real = "float" if kind == "s" else "double"
    cells = _cells((("m", "i32"), ("n", "i32"), ("k", "i32"), ("alpha", real), ("lda", "i32"), ("ldb", "i32"),
                    ("beta", real), ("ldc", "i32")))
    return f"""
declare void @{kind}gemm({", ".join(["ptr"] * 13)})
define void @adapt_{kind}gemm(i32 %order, i32 %ta, i32 %tb, i64 %m, i64 %n, i64 %k, {real} %alpha, ptr %a, i64 %lda,
                              ptr %b, i64 %ldb, {real} %beta, ptr %c, i64 %ldc) {{
{_letter("ta", "la", "T", "N")}{_letter("tb", "lb", "T", "N")}{cells}
  call void @{kind}gemm(ptr %lb, ptr %la, ptr %n.p, ptr %m.p, ptr %k.p, ptr %alpha.p, ptr %b, ptr %ldb.p, ptr %a,
                        ptr %lda.p, ptr %beta.p, ptr %c, ptr %ldc.p)
  ret void
}}
"""


def _gemv_adapter(kind: str) -> str:
    """A row-major m by n matrix is a column-major n by m one, transposed."""
    real = "float" if kind == "s" else "double"
    cells = _cells((("m", "i32"), ("n", "i32"), ("alpha", real), ("lda", "i32"), ("incx", "i32"), ("beta", real),
                    ("incy", "i32")))
    return f"""
declare void @{kind}gemv({", ".join(["ptr"] * 11)})
define void @adapt_{kind}gemv(i32 %order, i32 %ta, i64 %m, i64 %n, {real} %alpha, ptr %a, i64 %lda, ptr %x,
                              i64 %incx, {real} %beta, ptr %y, i64 %incy) {{
{_letter("ta", "la", "N", "T")}{cells}
  call void @{kind}gemv(ptr %la, ptr %n.p, ptr %m.p, ptr %alpha.p, ptr %a, ptr %lda.p, ptr %x, ptr %incx.p,
                        ptr %beta.p, ptr %y, ptr %incy.p)
  ret void
}}
"""


# -- NumPy as the last resort

@lru_cache(maxsize=1)
def numpy_fallback() -> BlasInfo:
    """CBLAS-shaped C callbacks that run NumPy. They take the GIL themselves: code may call them without it."""
    callbacks: dict[str, Any] = {}
    for name in _NAMES:
        real, integer, dtype = _types(name, 64)
        if name.endswith("gemm"):
            callbacks[name] = _prototype(real, integer)(_numpy_gemm(dtype))
        else:
            callbacks[name] = _gemv_prototype(real, integer)(_numpy_gemv(dtype))
    addresses = {name: ctypes.cast(call, ctypes.c_void_p).value or 0 for name, call in callbacks.items()}
    return BlasInfo("numpy.matmul", "C callbacks", 64, **addresses, keep=callbacks)


def _matrix(pointer: int, rows: int, columns: int, ld: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The row-major matrix at `pointer` as an array that shares its memory."""
    size = dtype.itemsize
    if not rows or not columns:
        return np.empty((rows, columns), dtype)
    memory: Any = (ctypes.c_char * (((rows - 1) * ld + columns) * size)).from_address(pointer)
    return np.ndarray((rows, columns), dtype, memory, strides=(ld * size, size))


def _store(out: np.ndarray[Any, Any], product: np.ndarray[Any, Any], alpha: float, beta: float) -> None:
    """out = alpha product + beta out; with beta 0 `out` is not read (it may hold NaN), as BLAS has it."""
    if alpha != 1.0:
        product = product * out.dtype.type(alpha)
    out[...] = product if beta == 0.0 else product + out.dtype.type(beta) * out


def _numpy_gemm(dtype: np.dtype[Any]) -> Callable[..., None]:
    def gemm(_order: int, trans_a: int, trans_b: int, m: int, n: int, k: int, alpha: float, a: int, lda: int,
             b: int, ldb: int, beta: float, c: int, ldc: int) -> None:
        left = _matrix(a, k, m, lda, dtype).T if trans_a == TRANS else _matrix(a, m, k, lda, dtype)
        right = _matrix(b, n, k, ldb, dtype).T if trans_b == TRANS else _matrix(b, k, n, ldb, dtype)
        _store(_matrix(c, m, n, ldc, dtype), left @ right, alpha, beta)
    return gemm


def _numpy_gemv(dtype: np.dtype[Any]) -> Callable[..., None]:
    def gemv(_order: int, trans: int, m: int, n: int, alpha: float, a: int, lda: int, x: int, incx: int,
             beta: float, y: int, incy: int) -> None:
        matrix = _matrix(a, m, n, lda, dtype)
        matrix = matrix.T if trans == TRANS else matrix
        rows, columns = matrix.shape
        out = _matrix(y, rows, 1, incy, dtype)[:, 0]
        _store(out, matrix @ _matrix(x, columns, 1, incx, dtype)[:, 0], alpha, beta)
    return gemv
