"""Building blocks of routines on matrices: counted loops, branches, elements, rows of lanes, products.

Sizes and positions are Python ints where they are known and `i64` registers where they are not; matrices are row-major
and contiguous. Rows are walked in whole vectors and a rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import memory
from .blas import BlasInfo
from .blas_emit import declare_gemm, emit_gemm_call
from .emitter import Context, Emitter, Reg
from .host import host
from .nest import attributes, vector_bytes
from .pieces import Pieces, PieceWriter
from .scope import Carried, Scope, loop, once

Size = int | Reg
Body = Callable[[Scope, Reg, Carried], Sequence[Reg] | None]
_UNROLL = 4  # whole vectors of a row that are written one after the other


class Matrix:
    """A matrix in memory: the text of its address, its columns, and whether it is read as its transpose."""

    __slots__ = ("columns", "flip", "pointer")

    def __init__(self, pointer: str, columns: int, flip: bool = False) -> None:
        self.pointer, self.columns, self.flip = pointer, columns, flip


class MatrixCode:
    """A function on matrices of one dtype that is being written."""

    def __init__(self, ty: str, context: Context, blas: Callable[[], BlasInfo]) -> None:
        self.ty = ty
        self.lanes = vector_bytes() // memory.BYTES[ty]
        self.blas = blas
        self.top = Scope(None, -1, Emitter(0, fma=host().has_fma, context=context), self.lanes)
        self.start: list[str] = []  # allocas

    def finish(self, name: str, params: Sequence[str]) -> str:
        """The whole function; it returns the status that `fail` has set."""
        head = f"define private i32 @{name}({', '.join(f'ptr {p}' for p in params)}) {attributes()} {{"
        start = ["  %status = alloca i32", "  store i32 0, ptr %status", *self.start]
        end = ["  %failed = load i32, ptr %status", "  ret i32 %failed"]
        return "\n".join([head, "entry:", *start, *self.top.scalar.lines, *end, "}"])

    def finish_in_pieces(self, name: str, params: Sequence[str], cut: Pieces, count: int) -> str:
        """The same for threads: the body goes from `%low` to `%high`, some of the `count` trips."""
        writer = PieceWriter(name, cut, attributes(), checks=True)
        writer.pointers = list(params)
        return writer.write(count, [], [], self.start, self.top.scalar.lines, self.top.scalar.context)

    def fail(self, scope: Scope, bad: Reg) -> None:
        """Sets the status where the condition holds."""
        em = scope.scalar
        old = em.op("load i32, ptr %status", "i32")
        em.raw(f"store i32 {em.select(bad, 1, old).text}, ptr %status")

    # -- control -----------------------------------------------------------------------------------------------------

    def each(
        self, scope: Scope, low: Size, high: Size, body: Body, carried: Sequence[tuple[Reg, bool]] = (), step: int = 1
    ) -> Carried:
        """`for i in range(low, high, step)`; the body takes i and the carried values and gives those of the next trip.

        A carried value comes with whether it is one number per lane.
        """
        known = isinstance(low, int) and isinstance(high, int)
        level = scope.depth + 1

        def run(inner: Scope, now: Carried) -> Carried:
            return list(body(inner, Reg(inner.vars[level], "i64"), now) or ())

        if known and low >= high:  # type: ignore[operator]
            return [r for r, _ in carried]
        if known and low + step >= high:  # type: ignore[operator]
            return once(scope, level, level, str(low), carried, run)
        bounds = (_text(low), _text(high), step)
        return loop(scope, level, level, bounds, carried, run, sure=known)

    def down(self, scope: Scope, low: Size, high: Size, body: Callable[[Scope, Size], None]) -> None:
        """`for i in reversed(range(low, high))`."""

        def run(inner: Scope, t: Reg, _: Carried) -> None:
            body(inner, self.sub(inner, self.sub(inner, self.add(inner, high, low), 1), t))

        self.each(scope, low, high, run)

    def when(self, scope: Scope, condition: Reg, body: Callable[[Scope], None]) -> None:
        """The body where the condition holds."""
        em = scope.scalar
        yes, out = em.new_label("when"), em.new_label("after")
        em.raw(f"br i1 {condition.text}, label %{yes}, label %{out}")
        em.label(yes)
        body(scope)
        em.raw(f"br label %{out}")
        em.label(out)

    def blocks(
        self, scope: Scope, n: int, size: int, body: Callable[[Scope, Size, int], None], back: bool = False
    ) -> None:
        """`body(low, width)` for pieces of `size` of 0..n, last to first with `back`; the rest, if any, is its end."""
        if n <= size + size // 2:
            body(scope, 0, n)
            return
        rest = n % size

        def run(inner: Scope, low: Size, _: Carried) -> None:
            body(inner, self.sub(inner, n - rest - size, low) if back else low, size)

        if back and rest:
            body(scope, n - rest, rest)
        self.each(scope, 0, n - rest, run, step=size)
        if rest and not back:
            body(scope, n - rest, rest)

    # -- numbers -----------------------------------------------------------------------------------------------------

    def add(self, scope: Scope, a: Size, b: Size) -> Size:
        """a + b."""
        return a + b if isinstance(a, int) and isinstance(b, int) else scope.scalar.add(number(a), number(b))

    def sub(self, scope: Scope, a: Size, b: Size) -> Size:
        """a - b."""
        return a - b if isinstance(a, int) and isinstance(b, int) else scope.scalar.sub(number(a), number(b))

    def place(self, scope: Scope, m: Matrix, i: Size, j: Size) -> str:
        """The address of element (i, j)."""
        if m.flip:
            i, j = j, i
        row = i * m.columns if isinstance(i, int) else scope.scalar.mul(i, m.columns)
        at = self.add(scope, row, j)
        return self.move(scope, m.pointer, at)

    def move(self, scope: Scope, pointer: str, by: Size, ty: str = "") -> str:
        """The address `by` elements further on."""
        if by == 0:
            return pointer
        return scope.scalar.op(f"getelementptr {ty or self.ty}, ptr {pointer}, i64 {_text(by)}", "ptr").text

    def get(self, scope: Scope, m: Matrix, i: Size, j: Size) -> Reg:
        """The element (i, j)."""
        return memory.contiguous(scope.scalar, Reg(self.place(scope, m, i, j), "ptr"), self.ty, None)

    def put(self, scope: Scope, m: Matrix, i: Size, j: Size, x: Reg) -> None:
        """Writes the element (i, j)."""
        memory.write(scope.scalar, Reg(self.place(scope, m, i, j), "ptr"), x, None)

    # -- rows --------------------------------------------------------------------------------------------------------

    def along(self, scope: Scope, low: Size, high: Size, body: Callable[[Scope, Size], None]) -> None:
        """`body(scope, j)` for pieces of the columns low..high (low <= high), each as wide as its scope has lanes.

        Whole vectors come first; a rest whose size is known is one vector of that size, else it is one column after the
        other. There are no masks, and pieces begin at the same columns each time, because a load is fast only
        where it finds what one store, without a mask, has written just before.
        """
        lanes = self.lanes
        if isinstance(low, int) and isinstance(high, int):
            whole = high - (high - low) % lanes
            if whole - low <= _UNROLL * lanes:
                for j in range(low, whole, lanes):
                    body(self.wide(scope, lanes), j)
            else:
                self.each(scope, low, whole, lambda s, j, _: body(self.wide(s, lanes), j), step=lanes)
            if high > whole:
                body(self.wide(scope, high - whole), whole)
            return
        count = self.sub(scope, high, low)
        assert isinstance(count, Reg)
        end = self.add(scope, low, scope.scalar.and_(count, -lanes))
        self.each(scope, low, end, lambda s, j, _: body(self.wide(s, lanes), j), step=lanes)
        self.each(scope, end, high, lambda s, j, _: body(self.wide(s, 1), j))

    def wide(self, scope: Scope, lanes: int) -> Scope:
        """The same place with so many lanes."""
        lanes = lanes if lanes > 1 else 0
        return scope if scope.wide.lanes == lanes else Scope(scope, scope.depth, scope.scalar, lanes)

    def get_row(self, scope: Scope, m: Matrix, i: Size, j: Size) -> Reg:
        """As many elements of row i from column j on as the scope has lanes."""
        return memory.contiguous(scope.wide, Reg(self.place(scope, m, i, j), "ptr"), self.ty, None)

    def put_row(self, scope: Scope, m: Matrix, i: Size, j: Size, x: Reg) -> None:
        """Writes as many elements of row i from column j on."""
        memory.write(scope.wide, Reg(self.place(scope, m, i, j), "ptr"), x, None)

    def columns(self, scope: Scope, j: Size) -> Reg:
        """The numbers of the columns that the lanes from column j on stand for."""
        lanes = scope.wide.lanes
        ramp = "<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">" if lanes else "0"
        return scope.wide.add(Reg(ramp, "i64"), scope.wide.splat(number(j)))

    def exchange(self, scope: Scope, m: Matrix, i: Size, k: Size, low: Size, high: Size) -> None:
        """The columns low..high of rows i and k in each other's place."""

        def part(s: Scope, j: Size) -> None:
            first, second = self.get_row(s, m, i, j), self.get_row(s, m, k, j)
            self.put_row(s, m, i, j, second)
            self.put_row(s, m, k, j, first)

        self.along(scope, low, high, part)

    def copy(self, scope: Scope, to: str, source: str, count: int) -> None:
        """Copies elements."""
        symbol = "llvm.memcpy.p0.p0.i64"
        em = scope.scalar
        em.decls.setdefault(symbol, f"declare void @{symbol}(ptr, ptr, i64, i1)")
        em.raw(f"call void @{symbol}(ptr {to}, ptr {source}, i64 {count * memory.BYTES[self.ty]}, i1 false)")

    def take_product(
        self, scope: Scope, sizes: tuple[Size, Size, Size], a: tuple[Matrix, Size, Size], b: tuple[Matrix, Size, Size],
        c: tuple[Matrix, Size, Size],
    ) -> None:  # fmt: skip
        """C -= A B by BLAS, for the [m, k], [k, n], [m, n] parts of matrices that begin at the given elements."""
        dtype = np.dtype(np.float32 if self.ty == "float" else np.float64)
        info = self.blas()
        m, n, k = sizes
        scope.scalar.decls.setdefault(f"pb_{'s' if self.ty == 'float' else 'd'}gemm", declare_gemm(info, dtype))

        def call(s: Scope) -> None:
            places = [self.place(s, x, i, j) for x, i, j in (a, b, c)]
            text = emit_gemm_call(
                info, dtype, m=_operand(m), n=_operand(n), k=_operand(k), a=places[0], lda=a[0].columns, b=places[1],
                ldb=b[0].columns, c=places[2], ldc=c[0].columns, trans_a=a[0].flip, trans_b=b[0].flip,
                alpha=-1.0, beta=1.0, prefix=s.scalar.fresh() + ".g",
            )  # fmt: skip
            s.scalar.lines.extend(text.split("\n"))

        holds = Reg("true", "i1")
        for size in sizes:
            if isinstance(size, Reg):
                holds = scope.scalar.and_(holds, scope.scalar.compare("sgt", size, 0))
        self.when(scope, holds, call)


def _text(x: Size) -> str:
    return x.text if isinstance(x, Reg) else str(x)


def _operand(x: Size) -> int | str:
    return x.text if isinstance(x, Reg) else x


def number(x: Size) -> Reg:
    """A size as an operand."""
    return x if isinstance(x, Reg) else Reg(str(x), "i64")
