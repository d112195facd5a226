"""Matrix products as code of our own: a register tile of rows by two vectors, no packing, no call overhead.

Up to the size of the second cache this beats a BLAS that does not know the CPU (twice OpenBLAS's speed on AVX-512
under an unknown name), and its result depends on no library and no number of threads. One function per (sizes,
transpose, dtype) and module. The right operand is read along its rows. Sums over k run in order, with fused
multiply-adds where the CPU has them. A transposed right operand is left to BLAS, unless both operands have few and long
rows: their products are sums along the lanes, of which each takes its share of k in order.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from ..ir.sizes import is_named
from . import memory
from .emitter import Context, Emitter, Reg
from .host import host
from .nest import attributes, vector_bytes
from .reduce_loops import total
from .scope import Carried, Scope, loop, once

# Vector width -> the largest dimension, and the bytes of both operands, up to which no packing is needed.
_LIMITS = {64: (1024, 2 << 20), 32: (160, 96 << 10), 16: (96, 48 << 10)}


# Few rows on both sides, of many vectors, which BLAS packs first: 20 times 10 by 10 rows of 1000 f64: 71 us, not 95.
_FEW, _LONG = 12, 32


def suits(m: int, n: int, k: int, trans: tuple[bool, bool], item: int) -> bool:
    """Whether the product is done here."""
    largest, most = _LIMITS[vector_bytes()]
    if any(map(is_named, (m, n, k))):
        return False  # it is written for its sizes
    if trans[1]:
        return not trans[0] and max(m, n) <= _FEW and k * item >= _LONG * vector_bytes()
    return max(m, n, k) <= largest and (m * k + k * n) * item <= most


class _Gemm:
    """Writes `name(a, b, c)`: C[m, n] = op(A)[m, k] B[k, n], all row-major and contiguous."""

    def __init__(self, sizes: tuple[int, int, int], trans_a: bool, ty: str, context: Context) -> None:
        self.m, self.n, self.k = sizes
        self.trans_a, self.ty = trans_a, ty
        self.lanes = vector_bytes() // memory.BYTES[ty]
        self.rows = 8 if vector_bytes() == 64 else 4
        self.top = Scope(None, -1, Emitter(0, fma=host().has_fma, context=context), self.lanes)

    def write(self, name: str) -> str:
        """The whole function."""
        step = 2 * self.lanes
        whole = self.n - self.n % step

        if whole:
            self._loop(self.top, 0, (0, whole, step), lambda s, _: self._down(s, 2, step))
        if self.n > whole:
            rest = self.n - whole
            vectors = -(-rest // self.lanes)
            once(self.top, 0, 0, str(whole), [], lambda s, _: self._down(s, vectors, rest))
        head = f"define private void @{name}(ptr %a, ptr %b, ptr %c) {attributes()} {{"
        return "\n".join([head, "entry:", *self.top.scalar.lines, "  ret void", "}"])

    def _loop(
        self, scope: Scope, depth: int, bounds: tuple[int, int, int], body: Callable[[Scope, Carried], Carried]
    ) -> None:
        low, high, step = bounds
        if high - low <= step:
            once(scope, depth, depth, str(low), [], body)
        else:
            loop(scope, depth, depth, (str(low), str(high), step), [], body, sure=True)

    def _down(self, scope: Scope, vectors: int, width: int) -> Carried:
        """A panel of columns, from the top row to the last."""
        whole = self.m - self.m % self.rows

        def tile(rows: int) -> Callable[[Scope, Carried], Carried]:
            return lambda inner, _: self._tile(inner, rows, vectors, width)

        if whole:
            self._loop(scope, 1, (0, whole, self.rows), tile(self.rows))
        if self.m > whole:
            once(scope, 1, 1, str(whole), [], tile(self.m - whole))
        return []

    def _tile(self, scope: Scope, rows: int, vectors: int, width: int) -> Carried:
        """A tile of the result, in registers over the whole of k."""
        em, wide = scope.scalar, scope.wide
        j, i = Reg(scope.vars[0], "i64"), Reg(scope.vars[1], "i64")
        b = self._at("%b", em, j)
        a = self._at("%a", em, i if self.trans_a else em.mul(i, self.k))
        masks = [self._mask(width - v * self.lanes) for v in range(vectors)]
        zero = [(wide.const(0.0, self.ty), True)] * (rows * vectors)

        def step(inner: Scope, sums: Carried) -> Carried:
            e, kk = inner.scalar, Reg(inner.vars[2], "i64")
            row = self._at(b, e, e.mul(kk, self.n))
            right = [
                memory.contiguous(inner.wide, self._move(e, row, v * self.lanes), self.ty, masks[v])
                for v in range(vectors)
            ]
            left = self._at(a, e, e.mul(kk, self.m) if self.trans_a else kk)
            out = []
            for r in range(rows):
                place = self._move(e, left, r * (1 if self.trans_a else self.k))
                x = inner.wide.splat(memory.contiguous(e, place, self.ty, None))
                out += [inner.wide.fma(x, y, sums[r * vectors + v]) for v, y in enumerate(right)]
            return out

        sums = loop(scope, 2, 2, ("0", str(self.k), 1), zero, step, sure=True)
        c = self._at(self._at("%c", em, j), em, em.mul(i, self.n))
        for r in range(rows):
            for v in range(vectors):
                place = self._move(em, c, r * self.n + v * self.lanes)
                memory.write(wide, place, sums[r * vectors + v], masks[v])
        return []

    def _at(self, pointer: str, em: Emitter, offset: Reg) -> str:
        return em.op(f"getelementptr {self.ty}, ptr {pointer}, i64 {offset.text}", "ptr").text

    def _move(self, em: Emitter, pointer: str, by: int) -> Reg:
        return em.op(f"getelementptr {self.ty}, ptr {pointer}, i64 {by}", "ptr") if by else Reg(pointer, "ptr")

    def _mask(self, count: int) -> Reg | None:
        if count >= self.lanes:
            return None
        return _mask(count, self.lanes)


class _Dots:
    """Writes `name(a, b, c)`: C[m, n] = A[m, k] B[n, k]^T, all row-major and contiguous: products of long rows."""

    def __init__(self, sizes: tuple[int, int, int], ty: str, context: Context) -> None:
        self.m, self.n, self.k = sizes
        self.ty = ty
        self.lanes = vector_bytes() // memory.BYTES[ty]
        self.most = 5 if vector_bytes() == 64 else 3
        self.top = Scope(None, -1, Emitter(0, fma=host().has_fma, context=context), self.lanes)

    def write(self, name: str) -> str:
        """The whole function: tile by tile."""
        for i, rows in _even_parts(self.m, self.most):
            for j, columns in _even_parts(self.n, self.most):
                self._tile((i, rows), (j, columns))
        head = f"define private void @{name}(ptr %a, ptr %b, ptr %c) {attributes()} {{"
        return "\n".join([head, "entry:", *self.top.scalar.lines, "  ret void", "}"])

    def _tile(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        """Some rows of A by some of B, a vector of sums for each pair."""
        top, whole = self.top, self.k - self.k % self.lanes
        zero = [(top.wide.const(0.0, self.ty), True)] * (rows[1] * columns[1])

        def step(inner: Scope, sums: Carried, mask: Reg | None = None) -> Carried:
            left = [self._row("%a", rows[0] + r, inner, mask) for r in range(rows[1])]
            right = [self._row("%b", columns[0] + c, inner, mask) for c in range(columns[1])]
            return [
                inner.wide.fma(x, y, sums[r * columns[1] + c]) for r, x in enumerate(left) for c, y in enumerate(right)
            ]

        sums = loop(top, 0, 0, ("0", str(whole), self.lanes), zero, step, sure=True)
        if self.k > whole:
            given = [(x, True) for x in sums]
            sums = once(top, 0, 0, str(whole), given, lambda s, regs: step(s, regs, _mask(self.k - whole, self.lanes)))
        for r in range(rows[1]):
            for c in range(columns[1]):
                place = (rows[0] + r) * self.n + columns[0] + c
                at = top.scalar.op(f"getelementptr {self.ty}, ptr %c, i64 {place}", "ptr")
                memory.write(top.scalar, at, total(top, "sum", sums[r * columns[1] + c]), None)

    def _row(self, pointer: str, row: int, scope: Scope, mask: Reg | None) -> Reg:
        em = scope.scalar
        place = em.add(Reg(scope.vars[0], "i64"), row * self.k)
        return memory.contiguous(scope.wide, em.op(f"getelementptr {self.ty}, ptr {pointer}, i64 {place.text}", "ptr"),
                                 self.ty, mask)  # fmt: skip


def _even_parts(n: int, most: int) -> list[tuple[int, int]]:
    """`n` cut into parts of at most `most`, as even as it goes: where each begins, and its size."""
    count = -(-n // most)
    ends = [n * k // count for k in range(count + 1)]
    return [(low, high - low) for low, high in pairwise(ends)]


def _mask(count: int, lanes: int) -> Reg:
    return Reg("<" + ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(lanes)) + ">", "i1")


def function(
    sizes: tuple[int, int, int], trans: tuple[bool, bool], ty: str, context: Context, functions: dict[str, str]
) -> str:
    """The name of the product's function, written into `functions` unless it is there."""
    name = f"gemm_{'t' if trans[0] else 'n'}{'t' if trans[1] else ''}_{ty}_" + "_".join(map(str, sizes))
    if name not in functions:
        writer = _Dots(sizes, ty, context) if trans[1] else _Gemm(sizes, trans[0], ty, context)
        functions[name] = writer.write(name)
    return name
