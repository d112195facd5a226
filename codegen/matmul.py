"""Matrix products: one, or one per matrix of a batch, by a small function of the module (`gemm.py`) or by BLAS.

A transposed operand costs nothing (a flag). A single row or column is BLAS's matrix-vector product, which reads the
matrix once as it lies (its matrix product would pack it first). Products of integers, and of small matrices with a
single row or column, never come here: `lowering.py` writes them as sums of products, which fuse with what is around.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import prod
from typing import Any

from ..ir.graph import Op, Value
from . import gemm
from .access import shape_of
from .blas import BlasInfo
from .blas_emit import declare_gemm, declare_gemv, emit_gemm_call, emit_gemv_call
from .emitter import Emitter, Reg
from .index_map import strides_of
from .nest import attributes
from .pieces import PieceWriter, stretches
from .scope import Carried, Scope, loop
from .special import MULTIPLY_ADDS_PER_NS, untransposed


def emit(
    op: Op,
    scope: Scope,
    pointer: Callable[[Value], str],
    functions: dict[str, str],
    find_blas: Callable[[], BlasInfo],
) -> None:
    """The product, in the body of `main`. Functions it needs are added to the module's `functions`."""
    out = op.results[0]
    (a, flip_a), (b, flip_b) = (untransposed(v) for v in op.operands)
    trans_a, trans_b = flip_a != op.attrs["transpose_a"], flip_b != op.attrs["transpose_b"]
    *batch, m, n = shape_of(out)
    k = shape_of(op.operands[0])[-2 if op.attrs["transpose_a"] else -1]
    if not prod(shape_of(out)):
        return
    dtype = out.type.dtype.np
    pointers = [pointer(a), pointer(b), pointer(out)]
    if not k:
        _zero(scope, pointers[2], prod(shape_of(out)) * dtype.itemsize)
        return
    element = "float" if dtype.itemsize == 4 else "double"
    steps = [_batch_steps(shape_of(v)[:-2], batch, prod(shape_of(v)[-2:])) for v in (a, b, out)]
    if (m == 1 or n == 1) and find_blas().has_gemv(dtype):
        call = _vector_call(scope, find_blas(), dtype, (m, n, k), (trans_a, trans_b))
    elif gemm.suits(m, n, k, (trans_a, trans_b), dtype.itemsize):
        one = gemm.function((m, n, k), (trans_a, trans_b), element, scope.scalar.context, functions)
        many = _shared(one, batch, steps, m * n * k, element, scope.scalar, functions)
        if many:
            scope.scalar.raw(f"call void @{many}({', '.join(f'ptr {p}' for p in pointers)})")
            return
        call = _own_call(one)
    else:
        call = _blas_call(scope, find_blas(), dtype, (m, n, k), (trans_a, trans_b))
    _batches(scope, batch, steps, pointers, element, call)


def _shared(
    one: str, batch: list[int], steps: list[list[int]], work: int, memory: str, main: Emitter, functions: dict[str, str]
) -> str:
    """The name of a function that has threads share the products of a large batch; empty where that does not suit."""
    count = prod(batch)
    cut = stretches(count, count * work / MULTIPLY_ADDS_PER_NS)
    by = [_even(batch, s) for s in steps]
    if cut is None or any(step is None for step in by):
        return ""
    name = f"{one}_by_{'_'.join(map(str, by))}_of_{count}"
    if name not in functions:
        writer = PieceWriter(name, cut, attributes(), checks=False)
        writer.pointers = ["%a", "%b", "%c"]
        top = Scope(None, -1, main.fork(0), 0)

        def body(inner: Scope, _: Carried) -> Carried:
            em, i = inner.scalar, Reg(inner.vars[0], "i64")
            places = [
                em.op(f"getelementptr {memory}, ptr {p}, i64 {em.mul(i, step or 0).text}", "ptr").text
                for p, step in zip(writer.pointers, by, strict=True)
            ]
            _own_call(one)(inner, places)
            return []

        loop(top, 0, 0, ("%low", "%high", 1), [], body, sure=True)
        functions[name] = writer.write(count, [], [], [], top.scalar.lines, main.context)
    return name


def _even(batch: list[int], steps: list[int]) -> int | None:
    """How far an operand moves from one matrix of the batch to the next, over all of its dimensions, if it is even."""
    sizes = [(n, s) for n, s in zip(batch, steps, strict=True) if n != 1]
    even = all(s == inner * n for (_, s), (n, inner) in itertools.pairwise(sizes))
    return sizes[-1][1] if sizes and even else None


def _own_call(name: str) -> Callable[[Scope, list[str]], None]:
    """What writes one product by a function of the module."""

    def call(inner: Scope, places: list[str]) -> None:
        inner.scalar.raw(f"call void @{name}({', '.join(f'ptr {p}' for p in places)})")

    return call


def _blas_call(
    scope: Scope, blas: BlasInfo, dtype: Any, sizes: tuple[int, int, int], flags: tuple[bool, bool]
) -> Callable[[Scope, list[str]], None]:
    """What writes one product of BLAS."""
    (m, n, k), (trans_a, trans_b) = sizes, flags
    scope.scalar.decls.setdefault(f"pb_{'s' if dtype.itemsize == 4 else 'd'}gemm", declare_gemm(blas, dtype))

    def call(inner: Scope, places: list[str]) -> None:
        prefix = inner.scalar.fresh() + ".g"
        text = emit_gemm_call(
            blas, dtype, m=m, n=n, k=k, a=places[0], lda=max(1, m if trans_a else k), b=places[1],
            ldb=max(1, k if trans_b else n), c=places[2], ldc=max(1, n), trans_a=trans_a, trans_b=trans_b,
            prefix=prefix,
        )  # fmt: skip
        inner.scalar.lines.extend(text.split("\n"))

    return call


def _vector_call(
    scope: Scope, blas: BlasInfo, dtype: Any, sizes: tuple[int, int, int], flags: tuple[bool, bool]
) -> Callable[[Scope, list[str]], None]:
    """What writes one product with a single row or column: of the matrix that lies as [rows, columns], and a vector."""
    m, n, k = sizes
    column = n == 1
    turned = flags[0] if column else not flags[1]
    width = m if column else n
    rows, columns = (k, width) if turned else (width, k)
    scope.scalar.decls.setdefault(f"pb_{'s' if dtype.itemsize == 4 else 'd'}gemv", declare_gemv(blas, dtype))

    def call(inner: Scope, places: list[str]) -> None:
        matrix, vector = places[:2] if column else (places[1], places[0])
        prefix = inner.scalar.fresh() + ".g"
        text = emit_gemv_call(
            blas, dtype, m=rows, n=columns, a=matrix, lda=max(1, columns), x=vector, y=places[2], trans=turned,
            prefix=prefix,
        )  # fmt: skip
        inner.scalar.lines.extend(text.split("\n"))

    return call


def _batch_steps(shape: tuple[int, ...], batch: list[int], matrix: int) -> list[int]:
    """How far (in elements) an operand moves per step of each batch dimension; 0 where it is broadcast."""
    own = [s * matrix for s in strides_of(shape)]
    full = [0] * (len(batch) - len(shape)) + own
    sizes = [1] * (len(batch) - len(shape)) + list(shape)
    return [s if n != 1 else 0 for s, n in zip(full, sizes, strict=True)]


def _batches(
    scope: Scope,
    batch: list[int],
    steps: list[list[int]],
    pointers: list[str],
    memory: str,
    call: Callable[[Scope, list[str]], None],
) -> None:
    if not batch:
        call(scope, pointers)
        return
    if batch[0] == 1:
        _batches(scope, batch[1:], [s[1:] for s in steps], pointers, memory, call)
        return

    def body(inner: Scope, _: Carried) -> Carried:
        em, i = inner.scalar, Reg(inner.vars[-len(batch)], "i64")
        places = []
        for p, s in zip(pointers, steps, strict=True):
            if s[0]:
                p = em.op(f"getelementptr {memory}, ptr {p}, i64 {em.mul(i, s[0]).text}", "ptr").text
            places.append(p)
        _batches(inner, batch[1:], [s[1:] for s in steps], places, memory, call)
        return []

    loop(scope, scope.depth, -len(batch), ("0", str(batch[0]), 1), [], body, sure=True)


def _zero(scope: Scope, pointer: str, size: int) -> None:
    em = scope.scalar
    em.decls.setdefault("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    em.raw(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {size}, i1 false)")
