"""Factorisations and substitutions as code of our own: LU with row exchanges, Cholesky, triangular systems.

One function per op, sizes and dtype, for a whole batch. Rows lie along the lanes. Matrices larger than a block go block
by block, and what is outside of the blocks is updated by BLAS's matrix product, so that no LAPACK is needed. Where
a matrix has no factor the op says so: `cholesky` gives NaN, `lu_solve` sets a status.
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
from .nest import vector_bytes
from .pieces import Pieces, stretches
from .scope import Carried, Scope
from .substitute import SMALL, rows, substitute

OPS = ("cholesky", "lu", "lu_solve", "triangular_solve")
STEPS_PER_NS = 5.0


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

        cut = _shared(op, count)
        if cut is None:
            code.each(code.top, 0, count, one)
            functions[name] = code.finish(name, params)
        else:
            code.each(code.top, Reg("%low", "i64"), Reg("%high", "i64"), one)
            functions[name] = code.finish_in_pieces(name, params, cut, count)
    return name


def _shared(op: Op, count: int) -> Pieces | None:
    """How threads share a batch: not where its matrices are so large that BLAS, with its own threads, is called."""
    *_, rows, columns = shape_of(op.operands[0])
    if not count or max(rows, columns) > block_size():
        return None
    return stretches(count, prod(shape_of(op.results[0])) * columns / STEPS_PER_NS)


def block_size() -> int:
    """Rows and columns that are factored without BLAS."""
    return 64 if vector_bytes() == 64 else 32


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

    def block(s: Scope, low: Size, width: int) -> None:
        def column(s2: Scope, k: Reg, start: Size, first: int) -> None:
            pivot = _pivot(code, s2, m, k, (low, width), (exchanges, sign))
            _eliminate(code, s2, m, k, pivot, (start, first, width))

        _steps(code, s, low, width, column)
        high = code.add(s, low, width)
        if low == 0 and width == n:
            return

        def exchange(s2: Scope, k: Size, _: Carried) -> None:
            p = _partner(code, s2, exchanges, k)
            code.exchange(s2, m, k, p, 0, low)
            code.exchange(s2, m, k, p, high, n)

        code.each(s, low, high, exchange)
        if high != n:
            rest = code.sub(s, n, high)
            rows(code, s, m, m, (low, high), (high, n), lower=True, unit=True)
            code.take_product(s, (rest, rest, width), (m, high, low), (m, low, high), (m, high, high))

    code.blocks(scope, n, block_size(), block)


def _steps(
    code: MatrixCode, scope: Scope, low: Size, width: int, column: Callable[[Scope, Reg, Size, int], None]
) -> None:
    """`column(k, start, first)` for the columns k of a panel.

    They come in groups that lie in one piece of a row; it begins at the column `start`, the panel's `first`.
    """
    for first in range(0, width, code.lanes):
        start, end = code.add(scope, low, first), code.add(scope, low, min(first + code.lanes, width))
        code.each(scope, start, end, lambda s, k, _, a=start, b=first: column(s, k, a, b))  # type: ignore[misc]


def _partner(code: MatrixCode, scope: Scope, exchanges: str, k: Size) -> Reg:
    """The row that row k is exchanged with."""
    em = scope.scalar
    return em.convert("sext", em.op(f"load i32, ptr {code.move(scope, exchanges, k, 'i32')}", "i32"), "i64")


def _pivot(
    code: MatrixCode, scope: Scope, m: Matrix, k: Reg, part: tuple[Size, int], places: tuple[str, str]
) -> Reg:
    """The largest element of column k from the diagonal down, after its row is exchanged with row k in the panel."""
    em, (exchanges, sign), (low, width) = scope.scalar, places, part

    def look(s: Scope, i: Reg, best: Carried) -> Carried:
        size = s.scalar.fabs(code.get(s, m, i, k))
        more = s.scalar.compare("ogt", size, best[0])
        return [s.scalar.select(more, size, best[0]), s.scalar.select(more, i, best[1])]

    start = em.fabs(code.get(scope, m, k, k))
    _, p = code.each(scope, code.add(scope, k, 1), m.columns, look, [(start, False), (k, False)])
    em.raw(f"store i32 {em.convert('trunc', p, 'i32').text}, ptr {code.move(scope, exchanges, k, 'i32')}")

    def swap(s: Scope) -> None:
        _in_panel(code, s, low, 0, width, lambda s2, j: code.exchange(s2, m, k, p, j, code.add(s2, j, _lanes(s2))))
        old = memory.contiguous(s.scalar, Reg(sign, "ptr"), code.ty, None)
        memory.write(s.scalar, Reg(sign, "ptr"), s.scalar.fneg(old), None)

    code.when(scope, em.compare("ne", p, k), swap)
    pivot = code.get(scope, m, k, k)
    return em.select(em.compare("oeq", pivot, 0.0), 1.0, pivot)  # where it is 0 all below is 0 as well


def _lanes(scope: Scope) -> int:
    return scope.wide.lanes or 1


def _in_panel(
    code: MatrixCode, scope: Scope, low: Size, first: int, width: int, body: Callable[[Scope, Size], None]
) -> None:
    """`body(scope, j)` for pieces of the columns of a panel that begins at `low`, from its column `first` on."""
    code.along(scope, first, width, lambda s, j: body(s, code.add(s, low, j)))


def _eliminate(
    code: MatrixCode, scope: Scope, m: Matrix, k: Reg, divisor: Reg, part: tuple[Size, int, int]
) -> None:
    """Takes row k from the rows below it, so often that column k would be 0; the factors are left in that column.

    Row k has no part in the columns before k + 1 of the piece that holds column k: it begins at `start`.
    """
    start, first, width = part
    size = min(code.lanes, width - first)
    head = code.wide(scope, size)
    columns = code.columns(head, start)
    at = head.wide.compare("eq", columns, head.wide.splat(k))
    after = head.wide.compare("sgt", columns, head.wide.splat(k))
    line = head.wide.select(after, code.get_row(head, m, k, start), 0.0)

    def row(s: Scope, i: Reg, _: Carried) -> None:
        factor = s.scalar.fdiv(code.get(s, m, i, k), divisor)
        minus = s.scalar.fneg(factor)
        mine = code.wide(s, size)
        new = mine.wide.fma(mine.wide.splat(minus), line, code.get_row(mine, m, i, start))
        code.put_row(mine, m, i, start, mine.wide.select(at, mine.wide.splat(factor), new))

        def part(s2: Scope, j: Size) -> None:
            j = code.add(s2, start, j)
            new = s2.wide.fma(s2.wide.splat(minus), code.get_row(s2, m, k, j), code.get_row(s2, m, i, j))
            code.put_row(s2, m, i, j, new)

        code.along(s, size, width - first, part)

    code.each(scope, code.add(scope, k, 1), m.columns, row)


def _lu_solve(code: MatrixCode, scope: Scope, op: Op, places: list[str]) -> None:
    """P A = L U: rows exchanged, L y = P b, U x = y; for the transpose U^T y = b, L^T z = y, rows exchanged back."""
    factors, exchanges, right, out = places
    n, width = shape_of(op.results[0])[-2:]
    code.copy(scope, out, right, n * width)
    x = Matrix(out, width)

    def exchange(s: Scope, k: Size) -> None:
        p = _partner(code, s, exchanges, k)
        code.when(s, s.scalar.compare("ne", p, k), lambda s2: code.exchange(s2, x, k, p, 0, width))

    def check(s: Scope, i: Reg, _: Carried) -> None:
        code.fail(s, s.scalar.compare("oeq", code.get(s, Matrix(factors, n), i, i), 0.0))

    code.each(scope, 0, n, check)
    size = block_size()
    if op.attrs["adjoint"]:
        m = Matrix(factors, n, flip=True)
        substitute(code, scope, m, x, n, size, lower=True)
        substitute(code, scope, m, x, n, size, lower=False, unit=True)
        code.down(scope, 0, n, exchange)
    else:
        m = Matrix(factors, n)
        code.each(scope, 0, n, lambda s, k, _: exchange(s, k))
        substitute(code, scope, m, x, n, size, lower=True, unit=True)
        substitute(code, scope, m, x, n, size, lower=False)


def _triangular_solve(code: MatrixCode, scope: Scope, op: Op, places: list[str]) -> None:
    n, width = shape_of(op.results[0])[-2:]
    flip = bool(op.attrs["adjoint"])
    code.copy(scope, places[2], places[1], n * width)
    m, x = Matrix(places[0], n, flip), Matrix(places[2], width)
    substitute(code, scope, m, x, n, block_size(), lower=bool(op.attrs["lower"]) != flip)


# -- Cholesky --------------------------------------------------------------------------------------------------------

def _cholesky(code: MatrixCode, scope: Scope, op: Op, places: list[str]) -> None:
    """Column by column; a diagonal element that is not above 0 makes everything NaN."""
    n = shape_of(op.operands[0])[-1]
    if n <= SMALL:
        _small_cholesky(code, scope, Matrix(places[0], n), Matrix(places[1], n))
        return
    code.copy(scope, places[1], places[0], n * n)
    m = Matrix(places[1], n)
    good = scope.scalar.fresh()
    code.start.append(f"  {good} = alloca i1")
    scope.scalar.raw(f"store i1 true, ptr {good}")

    def block(s: Scope, low: Size, width: int) -> None:
        if low != 0:
            turned = Matrix(m.pointer, n, flip=True)
            code.take_product(s, (code.sub(s, n, low), width, low), (m, low, 0), (turned, 0, low), (m, low, low))
        code.each(s, low, code.add(s, low, width), lambda s2, i, _: _mirror(code, s2, m, low, i))

        def column(s2: Scope, k: Reg, start: Size, first: int) -> None:
            root = _scale(code, s2, m, k, (start, first, width), good)
            _eliminate(code, s2, m, k, root, (start, first, width))

        _steps(code, s, low, width, column)

    code.blocks(scope, n, block_size(), block)
    all_good = scope.scalar.op(f"load i1, ptr {good}", "i1")
    code.each(scope, 0, n, lambda s, i, _: code.along(s, 0, n, lambda s2, j: _clear(code, s2, m, i, j, all_good)))


def _mirror(code: MatrixCode, scope: Scope, m: Matrix, low: Size, i: Reg) -> None:
    """Row i above the diagonal, in the block: what is below it, so that elimination may work with rows."""
    code.each(scope, low, i, lambda s, j, _: code.put(s, m, j, i, code.get(s, m, i, j)))


def _scale(
    code: MatrixCode, scope: Scope, m: Matrix, k: Reg, part: tuple[Size, int, int], good: str
) -> Reg:
    """The root of the diagonal element; row k is divided by it from there on."""
    em, (start, first, width) = scope.scalar, part
    pivot = code.get(scope, m, k, k)
    old = em.op(f"load i1, ptr {good}", "i1")
    em.raw(f"store i1 {em.and_(old, em.compare('ogt', pivot, 0.0)).text}, ptr {good}")
    root = em.sqrt(pivot)

    def piece(s: Scope, j: Size) -> None:
        j = code.add(s, start, j)
        columns, x = code.columns(s, j), code.get_row(s, m, k, j)
        at, after = (s.wide.compare(p, columns, s.wide.splat(k)) for p in ("eq", "sgt"))
        scaled = s.wide.fdiv(x, s.wide.splat(root))
        code.put_row(s, m, k, j, s.wide.select(after, scaled, s.wide.select(at, s.wide.splat(root), x)))

    code.along(scope, 0, width - first, piece)
    return root


def _clear(code: MatrixCode, scope: Scope, m: Matrix, i: Reg, j: Size, good: Reg) -> None:
    """Zeros above the diagonal, and NaN everywhere where there is no factor."""
    wide = scope.wide
    below = wide.compare("sle", code.columns(scope, j), wide.splat(i))
    x = wide.select(below, code.get_row(scope, m, i, j), 0.0)
    nan = wide.const(float("nan"), code.ty)
    code.put_row(scope, m, i, j, wide.select(wide.splat(good), x, nan))


def _small_cholesky(code: MatrixCode, scope: Scope, a: Matrix, out: Matrix) -> None:
    """All elements in registers."""
    em, n = scope.scalar, a.columns
    good = Reg("true", "i1")
    factor: dict[tuple[int, int], Reg] = {}
    for i in range(n):
        for j in range(i + 1):
            x = code.get(scope, a, i, j)
            for k in range(j):
                x = em.fma(em.fneg(factor[i, k]), factor[j, k], x)
            if i == j:
                good = em.and_(good, em.compare("ogt", x, 0.0))
            factor[i, j] = em.sqrt(x) if i == j else em.fdiv(x, factor[j, j])
    nan, zero = em.const(float("nan"), code.ty), em.const(0.0, code.ty)
    for i in range(n):
        for j in range(n):
            code.put(scope, out, i, j, em.select(good, factor.get((i, j), zero), nan))


_WRITERS: dict[str, Callable[[MatrixCode, Scope, Op, list[str]], None]] = {
    "cholesky": _cholesky, "lu": _lu, "lu_solve": _lu_solve, "triangular_solve": _triangular_solve,
}  # fmt: skip
