"""Triangular systems as code: substitution in place of the right side.

Right sides are columns, and lie along the lanes. Small systems are straight code with the solution in registers; large
ones go block by block, with BLAS for what is outside of the blocks.
"""

from __future__ import annotations

from .emitter import Reg
from .matrix_code import Matrix, MatrixCode, Size
from .scope import Carried, Scope

SMALL = 8  # rows up to which code is straight


def substitute(
    code: MatrixCode, scope: Scope, m: Matrix, x: Matrix, n: int, size: int, lower: bool, unit: bool = False
) -> None:
    """Solves a triangular system of n rows, in blocks of `size`; `unit`: the diagonal counts as ones."""

    def block(s: Scope, low: Size, width: int) -> None:
        high = code.add(s, low, width)
        if width != n:
            first, count = (0, low) if lower else (high, code.sub(s, n, high))
            code.take_product(s, (width, x.columns, count), (m, low, first), (x, first, 0), (x, low, 0))
        rows(code, s, m, x, (low, high), (0, x.columns), lower, unit)

    code.blocks(scope, n, size, block, back=not lower)


def rows(
    code: MatrixCode, scope: Scope, m: Matrix, x: Matrix, part: tuple[Size, Size], columns: tuple[Size, Size],
    lower: bool, unit: bool,
) -> None:  # fmt: skip
    """Substitution within the rows low..high, for some columns of the right side: a piece of columns at a time."""
    low, high = part
    if low == 0 and isinstance(high, int) and high <= SMALL:
        code.along(scope, *columns, lambda s, c: _straight(code, s, m, x, high, c, lower, unit))
        return

    def piece(s: Scope, c: Size) -> None:
        def row(s2: Scope, i: Size) -> None:
            def term(s3: Scope, j: Reg, left: Carried) -> Carried:
                a = s3.wide.splat(s3.scalar.fneg(code.get(s3, m, i, j)))
                return [s3.wide.fma(a, code.get_row(s3, x, j, c), left[0])]

            start, end = (low, i) if lower else (code.add(s2, i, 1), high)
            (y,) = code.each(s2, start, end, term, [(code.get_row(s2, x, i, c), True)])
            if not unit:
                y = s2.wide.fdiv(y, s2.wide.splat(code.get(s2, m, i, i)))
            code.put_row(s2, x, i, c, y)

        if lower:
            code.each(s, low, high, lambda s2, i, _: row(s2, i))
        else:
            code.down(s, low, high, row)

    code.along(scope, *columns, piece)


def _straight(
    code: MatrixCode, scope: Scope, m: Matrix, x: Matrix, n: int, c: Size, lower: bool, unit: bool
) -> None:
    """All rows of a piece of columns, in registers."""
    wide = scope.wide
    y = [code.get_row(scope, x, i, c) for i in range(n)]
    order = range(n) if lower else range(n - 1, -1, -1)
    for i in order:
        for j in range(i) if lower else range(n - 1, i, -1):
            y[i] = wide.fma(wide.splat(scope.scalar.fneg(code.get(scope, m, i, j))), y[j], y[i])
        if not unit:
            y[i] = wide.fdiv(y[i], wide.splat(code.get(scope, m, i, i)))
    for i in range(n):
        code.put_row(scope, x, i, c, y[i])
