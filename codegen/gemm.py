"""Matrix products as code of our own: a register tile of rows by two vectors, no packing, no call overhead.

Up to the size of the second cache this beats a BLAS that does not know the CPU (twice OpenBLAS's speed on AVX-512
under an unknown name), and its result depends on no library and no number of threads. One function per (sizes,
transpose, dtype) and module. The right operand is read along its rows, so a transposed right operand is left to
BLAS. Sums over k run in order, with fused multiply-adds where the CPU has them.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.sizes import is_named
from . import memory
from .emitter import Context, Emitter, Reg
from .host import host
from .loops import attributes
from .nest import vector_bytes
from .scope import Carried, Scope, loop, once

# Vector width -> the largest dimension, and the bytes of both operands, up to which no packing is needed.
_LIMITS = {64: (1024, 2 << 20), 32: (160, 96 << 10), 16: (96, 48 << 10)}


def suits(m: int, n: int, k: int, trans_b: bool, item: int) -> bool:
    """Whether the product is done here."""
    largest, most = _LIMITS[vector_bytes()]
    if any(map(is_named, (m, n, k))):
        return False  # it is written for its sizes
    return not trans_b and max(m, n, k) <= largest and (m * k + k * n) * item <= most


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
        return Reg("<" + ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(self.lanes)) + ">", "i1")


def function(
    sizes: tuple[int, int, int], trans_a: bool, ty: str, context: Context, functions: dict[str, str]
) -> str:
    """The name of the product's function, written into `functions` unless it is there."""
    name = f"gemm_{'t' if trans_a else 'n'}_{ty}_" + "_".join(map(str, sizes))
    if name not in functions:
        functions[name] = _Gemm(sizes, trans_a, ty, context).write(name)
    return name
