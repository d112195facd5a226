"""LLVM text for calls into BLAS: the right name, integer width and constants.

A module that calls BLAS contains `declare_gemm(...)` once and is compiled with `symbols=info.symbols()`. Sizes and
leading dimensions are Python ints or the names of `i64` values; matrices are row-major.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from .blas import NO_TRANS, ROW_MAJOR, TRANS, BlasInfo

Size = int | str


def _kind(dtype: np.dtype[Any]) -> tuple[str, str]:
    """(BLAS letter, LLVM type); TypeError for anything but float32 and float64."""
    if dtype == np.float32:
        return "s", "float"
    if dtype == np.float64:
        return "d", "double"
    raise TypeError(f"BLAS has float32 and float64, found {dtype}")


def declare_gemm(info: BlasInfo, dtype: np.dtype[Any]) -> str:
    """The declaration of the matrix product for `dtype`."""
    letter, real = _kind(dtype)
    i = f"i{info.int_bits}"
    return (f"declare void @pb_{letter}gemm(i32, i32, i32, {i}, {i}, {i}, {real}, ptr, {i}, ptr, {i}, {real}, "
            f"ptr, {i})")


def declare_gemv(info: BlasInfo, dtype: np.dtype[Any]) -> str:
    """The declaration of the matrix-vector product for `dtype`."""
    letter, real = _kind(dtype)
    i = f"i{info.int_bits}"
    return f"declare void @pb_{letter}gemv(i32, i32, {i}, {i}, {real}, ptr, {i}, ptr, {i}, {real}, ptr, {i})"


def _literal(value: float | str, real: str) -> str:
    """A constant as LLVM writes it, bit for bit (a float is written as the double of the same value)."""
    if isinstance(value, str):
        return value
    if real == "float":
        value = float(np.float32(value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _integers(info: BlasInfo, sizes: tuple[Size, ...], prefix: str) -> tuple[list[str], list[str]]:
    """(lines that narrow run-time sizes, operands with their type)."""
    lines, operands = [], []
    for index, size in enumerate(sizes):
        if isinstance(size, str) and info.int_bits == 32:
            lines.append(f"  {prefix}.n{index} = trunc i64 {size} to i32")
            size = f"{prefix}.n{index}"
        operands.append(f"i{info.int_bits} {size}")
    return lines, operands


def emit_gemm_call(info: BlasInfo, dtype: np.dtype[Any], *, m: Size, n: Size, k: Size, a: str, lda: Size, b: str,
                   ldb: Size, c: str, ldc: Size, trans_a: bool = False, trans_b: bool = False,
                   alpha: float | str = 1.0, beta: float | str = 0.0, prefix: str = "%gemm") -> str:
    """C[m, n] = alpha op(A)[m, k] op(B)[k, n] + beta C, as lines for a function body.

    `a`, `b`, `c` are names of pointers; `alpha` and `beta` numbers or names of values; `prefix` starts the names
    this defines, so give each call in a function its own. No size may be 0 where BLAS wants `ld >= 1`: a leading
    dimension is at least 1.
    """
    letter, real = _kind(dtype)
    lines, (mi, ni, ki, la, lb, lc) = _integers(info, (m, n, k, lda, ldb, ldc), prefix)
    flags = [f"i32 {TRANS if t else NO_TRANS}" for t in (trans_a, trans_b)]
    lines.append(f"  call void @pb_{letter}gemm(i32 {ROW_MAJOR}, {flags[0]}, {flags[1]}, {mi}, {ni}, {ki}, "
                 f"{real} {_literal(alpha, real)}, ptr {a}, {la}, ptr {b}, {lb}, "
                 f"{real} {_literal(beta, real)}, ptr {c}, {lc})")
    return "\n".join(lines)


def emit_gemv_call(info: BlasInfo, dtype: np.dtype[Any], *, m: Size, n: Size, a: str, lda: Size, x: str, y: str,
                   incx: Size = 1, incy: Size = 1, trans: bool = False, alpha: float | str = 1.0,
                   beta: float | str = 0.0, prefix: str = "%gemv") -> str:
    """y = alpha op(A) x + beta y for the row-major A[m, n] (op transposes), as lines for a function body."""
    letter, real = _kind(dtype)
    lines, (mi, ni, la, ix, iy) = _integers(info, (m, n, lda, incx, incy), prefix)
    lines.append(f"  call void @pb_{letter}gemv(i32 {ROW_MAJOR}, i32 {TRANS if trans else NO_TRANS}, {mi}, {ni}, "
                 f"{real} {_literal(alpha, real)}, ptr {a}, {la}, ptr {x}, {ix}, "
                 f"{real} {_literal(beta, real)}, ptr {y}, {iy})")
    return "\n".join(lines)
