"""Factorisations and substitutions as code of our own: LU with row exchanges, Cholesky, triangular systems.

One function per op, sizes and dtype, for a whole batch. Up to a block of rows everything is loops over rows in lanes;
larger matrices go block by block, and what is outside of the blocks is updated by BLAS's matrix product, so that no
LAPACK is needed. Where a matrix has no factor the op says so: `cholesky` gives NaN, `lu_solve` sets a status.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..ir.graph import Op
from . import memory, scalar
from .access import shape_of
from .blas import BlasInfo
from .emitter import Context, Reg
from .matrix_code import Matrix, MatrixCode, Size
from .scope import Carried, Scope

BLOCK = 64
OPS = ("cholesky", "lu", "lu_solve", "triangular_solve")


def function(op: Op, context: Context, functions: dict[str, str], blas: Callable[[], BlasInfo]) -> str:
    """The name of the op's function, written into `functions` unless it is there; it takes operands, then results."""
    dtype = op.operands[0].type.dtype.short
    shapes = "_".join("x".join(map(str, shape_of(v))) for v in op.operands)
    flags = "".join("ny"[bool(v)] for v in op.attrs.values())
    name = f"{op.kind.name}_{dtype}_{shapes}{flags and '_' + flags}"
    if name not in functions:
        code = MatrixCode(scalar.MEMORY[dtype], context, blas)
        values = [*op.operands, *op.results]
        params = [f"%m{k}" for k in range(len(values))]
        count = prod(shape_of(op.operands[0])[:-2])

        def one(scope: Scope, i: Reg, _: Carried) -> None:
            places = []
            for p, v in zip(params, values, strict=True):
                size = prod(shape_of(v)) // count
                by: Size = scope.scalar.mul(i, size) if count > 1 else 0
                places.append(code.move(scope, p, by, scalar.MEMORY[v.type.dtype.short]))
            _WRITERS[op.kind.name](code, scope, op, places)

        code.each(code.top, 0, count, one)
        functions[name] = code.finish(name, params)
    return name


# -- LU --------------------------------------------------------------------------------------------------------------

def _lu(code: MatrixCode, scope: Scope, op: Op, places: list[str]) -> None:
    """Elimination with the largest pivot of each column; the rows' exchanges, and their sign."""
    source, factors, exchanges, sign = places
    n = shape_of(op.operands[0])[-1]
    memory.write(scope.scalar, Reg(sign, "ptr"), scope.scalar.const(1.0, code.ty), None)
    if not n:
        return
    code.copy(scope, factors, source, n * n)
    m = Matrix(factors, n)

    def block(s: Scope, low: Size, high: Size) -> None:
        code.each(s, low, high, lambda s2, k, _: _column(code, s2, m, k, high, (exchanges, sign)))
        if isinstance(high, int):
            return
        rest = code.sub(s, n, high)
        _rows(code, s, m, m, (low, high), (high, n), lower=True, unit=True)
        width = code.sub(s, high, low)
        code.take_product(s, (rest, rest, width), (m, high, low), (m, low, high), (m, high, high))

    code.blocks(scope, n, BLOCK, block)


def _column(code: MatrixCode, scope: Scope, m: Matrix, k: Reg, high: Size, places: tuple[str, str]) -> None:
    """One step of the elimination, for the columns up to `high`."""
    em, n = scope.scalar, m.columns
    start = em.fabs(code.get(scope, m, k, k))

    def look(s: Scope, i: Reg, best: Carried) -> Carried:
        size = s.scalar.fabs(code.get(s, m, i, k))
        more = s.scalar.compare("ogt", size, best[0])
        return [s.scalar.select(more, size, best[0]), s.scalar.select(more, i, best[1])]

    after = code.add(scope, k, 1)
    _, p = code.each(scope, after, n, look, [(start, False), (k, False)])
    em.raw(f"store i32 {em.convert('trunc', p, 'i32').text}, ptr {code.move(scope, places[0], k, 'i32')}")

    def swap(s: Scope) -> None:
        code.exchange(s, m, k, p)
        old = memory.contiguous(s.scalar, Reg(places[1], "ptr"), code.ty, None)
        memory.write(s.scalar, Reg(places[1], "ptr"), s.scalar.fneg(old), None)

    code.when(scope, em.compare("ne", p, k), swap)
    pivot = code.get(scope, m, k, k)
    pivot = em.select(em.compare("oeq", pivot, 0.0), 1.0, pivot)  # then all below is 0 as well

    def row(s: Scope, i: Reg, _: Carried) -> None:
        factor = s.scalar.fdiv(code.get(s, m, i, k), pivot)
        code.put(s, m, i, k, factor)
        code.take(s, m, i, factor, k, after, high)

    code.each(scope, after, n, row)


def _lu_solve(code: MatrixCode, scope: Scope, op: Op, places: list[str]) -> None:
    """P A = L U: rows exchanged, L y = P b, U x = y; for the transpose U^T y = b, L^T z = y, rows exchanged back."""
    factors, exchanges, right, out = places
    n, width = shape_of(op.results[0])[-2:]
    code.copy(scope, out, right, n * width)
    x = Matrix(out, width)

    def exchange(s: Scope, k: Size) -> None:
        p = s.scalar.op(f"load i32, ptr {code.move(s, exchanges, k, 'i32')}", "i32")
        p = s.scalar.convert("sext", p, "i64")
        code.when(s, s.scalar.compare("ne", p, k), lambda s2: code.exchange(s2, x, k, p))

    def check(s: Scope, i: Reg, _: Carried) -> None:
        code.fail(s, s.scalar.compare("oeq", code.get(s, Matrix(factors, n), i, i), 0.0))

    code.each(scope, 0, n, check)
    if op.attrs["adjoint"]:
        m = Matrix(factors, n, flip=True)
        substitute(code, scope, m, x, n, lower=True)
        substitute(code, scope, m, x, n, lower=False, unit=True)
        code.down(scope, 0, n, exchange)
    else:
        m = Matrix(factors, n)
        code.each(scope, 0, n, lambda s, k, _: exchange(s, k))
        substitute(code, scope, m, x, n, lower=True, unit=True)
        substitute(code, scope, m, x, n, lower=False)


# -- triangular systems ----------------------------------------------------------------------------------------------

def _triangular_solve(code: MatrixCode, scope: Scope, op: Op, places: list[str]) -> None:
    n, width = shape_of(op.results[0])[-2:]
    flip = bool(op.attrs["adjoint"])
    code.copy(scope, places[2], places[1], n * width)
    m = Matrix(places[0], n, flip)
    substitute(code, scope, m, Matrix(places[2], width), n, lower=bool(op.attrs["lower"]) != flip)


def substitute(
    code: MatrixCode, scope: Scope, m: Matrix, x: Matrix, n: int, lower: bool, unit: bool = False
) -> None:
    """Solves a triangular system in place of its right side; `unit`: the diagonal counts as ones."""

    def block(s: Scope, low: Size, high: Size) -> None:
        if not isinstance(high, int):
            done = (0, low) if lower else (high, code.sub(s, n, high))
            size = code.sub(s, high, low)
            code.take_product(s, (size, x.columns, done[1]), (m, low, done[0]), (x, done[0], 0), (x, low, 0))
        _rows(code, s, m, x, (low, high), (0, x.columns), lower, unit)

    if lower:
        code.blocks(scope, n, BLOCK, block)
        return

    def backwards(s: Scope, low: Size, high: Size) -> None:
        if isinstance(high, int):
            block(s, low, high)
        else:  # the blocks from the other end
            block(s, code.sub(s, n, high), code.sub(s, n, low))

    code.blocks(scope, n, BLOCK, backwards)


def _rows(
    code: MatrixCode, scope: Scope, m: Matrix, x: Matrix, rows: tuple[Size, Size], columns: tuple[Size, Size],
    lower: bool, unit: bool,
) -> None:  # fmt: skip
    """Substitution within some rows, for some columns of the right side: a vector of columns at a time."""
    low, high = rows

    def panel(s: Scope, c: Size, mask: Reg | None) -> None:
        def row(s2: Scope, i: Size) -> None:
            def term(s3: Scope, j: Reg, left: Carried) -> Carried:
                a = wide(s3).splat(s3.scalar.fneg(code.get(s3, m, i, j)))
                return [wide(s3).fma(a, get(s3, j), left[0])]

            start, end = (low, i) if lower else (code.add(s2, i, 1), high)
            (y,) = code.each(s2, start, end, term, [(get(s2, i), not thin)])
            if not unit:
                y = wide(s2).fdiv(y, wide(s2).splat(code.get(s2, m, i, i)))
            memory.write(wide(s2), Reg(code.place(s2, x, i, c), "ptr"), y, mask)

        def get(s2: Scope, i: Size) -> Reg:
            return memory.contiguous(wide(s2), Reg(code.place(s2, x, i, c), "ptr"), code.ty, mask)

        if lower:
            code.each(s, low, high, lambda s2, i, _: row(s2, i))
        else:
            code.down(s, low, high, row)

    thin = columns == (0, 1)

    def wide(s: Scope) -> object:
        return s.scalar if thin else s.wide

    if thin:
        panel(scope, 0, None)
    else:
        code.along(scope, *columns, panel)


# -- Cholesky --------------------------------------------------------------------------------------------------------

def _cholesky(code: MatrixCode, scope: Scope, op: Op, places: list[str]) -> None:
    """Column by column; a diagonal element that is not above 0 makes everything NaN."""
    n = shape_of(op.operands[0])[-1]
    if not n:
        return
    code.copy(scope, places[1], places[0], n * n)
    m = Matrix(places[1], n)
    bad, column = scope.scalar.fresh(), scope.scalar.fresh()
    code.start += [f"  {bad} = alloca i1", f"  {column} = alloca {code.ty}, i64 {n}"]
    scope.scalar.raw(f"store i1 false, ptr {bad}")

    def block(s: Scope, low: Size, high: Size) -> None:
        if not isinstance(high, int):
            sizes = (code.sub(s, n, low), code.sub(s, high, low), low)
            code.take_product(s, sizes, (m, low, 0), (Matrix(m.pointer, n, flip=True), 0, low), (m, low, low))
        code.each(s, low, high, lambda s2, k, _: _cholesky_column(code, s2, m, k, high, (bad, column)))

    code.blocks(scope, n, BLOCK, block)
    failed = scope.scalar.op(f"load i1, ptr {bad}", "i1")

    def clear(s: Scope, i: Reg, _: Carried) -> None:
        ramp = Reg("<" + ", ".join(f"i64 {k}" for k in range(code.lanes)) + ">", "i64")

        def part(s2: Scope, j: Size, mask: Reg | None) -> None:
            below = s2.wide.compare("sle", s2.wide.add(ramp, s2.wide.splat(_reg(j))), s2.wide.splat(i))
            x = s2.wide.select(below, code.get_row(s2, m, i, j, mask), 0.0)
            nan = s2.wide.const(float("nan"), code.ty)
            code.put_row(s2, m, i, j, s2.wide.select(s2.wide.splat(failed), nan, x), mask)

        code.along(s, 0, n, part)

    code.each(scope, 0, n, clear)


def _cholesky_column(
    code: MatrixCode, scope: Scope, m: Matrix, k: Reg, high: Size, places: tuple[str, str]
) -> None:
    """Column k, and what it takes from the columns after it, up to `high`."""
    em, n = scope.scalar, m.columns
    pivot = code.get(scope, m, k, k)
    old = em.op(f"load i1, ptr {places[0]}", "i1")
    em.raw(f"store i1 {em.or_(old, em.not_(em.compare('ogt', pivot, 0.0))).text}, ptr {places[0]}")
    root = em.sqrt(pivot)
    code.put(scope, m, k, k, root)
    line, after = Matrix(places[1], n), code.add(scope, k, 1)

    def row(s: Scope, i: Reg, _: Carried) -> None:
        x = s.scalar.fdiv(code.get(s, m, i, k), root)
        code.put(s, m, i, k, x)
        code.put(s, line, 0, i, x)
        minus = s.wide.splat(s.scalar.fneg(x))

        def part(s2: Scope, j: Size, mask: Reg | None) -> None:
            new = s2.wide.fma(minus, code.get_row(s2, line, 0, j, mask), code.get_row(s2, m, i, j, mask))
            code.put_row(s2, m, i, j, new, mask)

        code.along(s, after, _least(s, code.add(s, i, 1), high), part)

    code.each(scope, after, n, row)


def _least(scope: Scope, a: Size, b: Size) -> Reg:
    em = scope.scalar
    return em.select(em.compare("slt", *(pair := (_reg(a), _reg(b)))), *pair)


def _reg(x: Size) -> Reg:
    return x if isinstance(x, Reg) else Reg(str(x), "i64")


_WRITERS: dict[str, Callable[[MatrixCode, Scope, Op, list[str]], None]] = {
    "cholesky": _cholesky, "lu": _lu, "lu_solve": _lu_solve, "triangular_solve": _triangular_solve,
}  # fmt: skip
