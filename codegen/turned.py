"""Squares: what lies along one level in memory and is stored along another is read in rows and turned in registers.

A transposed array is contiguous along a level that is not the one of the lanes. Read lane by lane (a gather), every
element costs an access, and a power of two between them makes all fall into one set of the cache. So the two levels
run innermost, in squares of as many points as there are lanes each way: a square's rows are read as they lie, `lanes`
vectors, turned with shuffles, and its points are computed row by row, all else as ever. What is left over at the ends
of the two levels goes point by point. Every element is computed as before.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from ..ir.failing import may_fail
from ..ir.graph import Op, Value
from ..ir.sizes import estimate
from . import access, memory, scalar
from .emitter import Emitter, Reg
from .index_map import Index, Var, atom, substitute
from .plan import Leaf, Root, is_literal
from .scope import Carried, Scope, Val

if TYPE_CHECKING:
    from .evaluate import Evaluator
    from .loops import KernelWriter
    from .nest import Schedule

LEAST = 1024  # points of a nest for which the longer code pays
_LIGHT = 8  # additions at a point; each is written once per row of a square
_MOST = 2  # arrays that are turned together: each takes as many registers as there are lanes


def levels(s: Schedule) -> tuple[int, int] | None:
    """The level along which rows are read, and that of the lanes, if the nest is to run in squares."""
    along = _stored(s) if estimate(prod(s.extents.values())) >= LEAST else None
    if along is None or not _light(s):
        return None
    found: dict[int, int] = {}
    for leaf in s.reads.leaves:
        rows = _along(leaf, along)
        if rows is not None:
            found[rows] = found.get(rows, 0) + 1
    best = max(found, key=lambda u: (found[u], u), default=None)
    if best is None or found[best] > _MOST or min(estimate(s.extents[u]) for u in (best, along)) < s.lanes:
        return None
    return best, along


def _stored(s: Schedule) -> int | None:
    """The level along which all is stored that the nest makes; None where it makes anything but whole arrays."""
    if any(r.reduce or r.base is not None for r in s.roots):
        return None
    return next((k for k in s.extents if all(_step(r.position, k) == 1 for r in s.roots)), None)


def _light(s: Schedule) -> bool:
    """Whether the nest only computes a little."""
    work = 0
    for v, _ in s.reads.visits:
        op = v.owner
        assert isinstance(op, Op)
        simple = access.form(op) in (access.ELEMENTWISE, access.MAP) or is_literal(v)
        if not simple or may_fail(op):
            return False
        work += access.cost(op)
    return work <= _LIGHT


def _step(position: Index, level: int) -> int:
    return sum(c for a, c in position.terms.items() if isinstance(a, Var) and a.level == level)


def _along(leaf: Leaf, vector: int) -> int | None:
    """The level along which an array lies, if that is not the one of the lanes."""
    variables = [a for a in leaf.position.terms if isinstance(a, Var)]
    short = memory.BYTES[scalar.MEMORY[leaf.owner.type.dtype.short]] < 4
    if short or len(variables) != len(leaf.position.terms) or abs(_step(leaf.position, vector)) < 2:
        return None
    return next((a.level for a in variables if _step(leaf.position, a.level) == 1), None)


class Square:
    """The square being written: `row` is the number of the row along `level`."""

    def __init__(self, s: Schedule) -> None:
        assert s.turned is not None
        self.level, self.lanes, self.extent = s.turned, s.lanes, s.extents[s.turned]
        self.row = 0
        self.read: dict[tuple[Value, Index], list[Reg]] = {}

    def moved(self, root: Root) -> Root:
        """A root in this row."""
        to = {self.level: atom(Var(self.level, self.extent - self.row)).plus(self.row)}
        at, out = (tuple(substitute(i, to) for i in p) for p in (root.at, root.out))
        return replace(root, at=at, out=out)

    def load(self, ev: Evaluator, owner: Value, position: Index, scope: Scope) -> Val | None:
        """This row of an array that is turned; None for any other."""
        assert ev.vector is not None
        if _along(Leaf(owner, position), ev.vector) != self.level:
            return None
        first = substitute(position.plus(-self.row), {self.level: atom(Var(self.level, self.extent))})
        if (owner, first) not in self.read:
            self.read[owner, first] = self._turned(ev, owner, first, scope)
        em = scope.wide
        return Val(scalar.load_as(em, self.read[owner, first][self.row]), scope.depth, True)

    def _turned(self, ev: Evaluator, owner: Value, first: Index, scope: Scope) -> list[Reg]:
        pointer, _, stride = ev.place(owner, first, scope)
        ty, rows = scalar.MEMORY[owner.type.dtype.short], []
        for k in range(self.lanes):
            at = pointer.reg
            if k:
                at = scope.scalar.op(f"getelementptr {ty}, ptr {at.text}, i64 {k * stride}", "ptr")
            rows.append(memory.contiguous(scope.wide, at, ty, None))
        return turn(scope.wide, rows)


def turn(em: Emitter, rows: list[Reg]) -> list[Reg]:
    """A square of as many vectors as they have lanes, turned over its diagonal: halves, then quarters change places."""
    n, rows = len(rows), list(rows)
    half = n // 2
    while half:
        for k in range(n):
            if not k & half:
                a, b = rows[k], rows[k + half]
                rows[k] = _pick(em, a, b, [i if not i & half else n + i - half for i in range(n)])
                rows[k + half] = _pick(em, a, b, [i + half if not i & half else n + i for i in range(n)])
        half //= 2
    return rows


def _pick(em: Emitter, a: Reg, b: Reg, order: list[int]) -> Reg:
    lanes = ", ".join(f"i32 {k}" for k in order)
    return em.op(f"shufflevector {em.typed(a)}, {em.typed(b)}, <{em.lanes} x i32> <{lanes}>", a.ty)


def squares(writer: KernelWriter, depth: int, scope: Scope, low: str, high: str) -> None:
    """The two innermost loops: squares, then what is left at the end of the rows, then the rows that are left."""
    s = writer.schedule
    assert s.vector is not None
    first, last = writer.bounds(s.vector)
    middle, whole = (_whole(scope, *ends, s.lanes) for ends in ((low, high), (first, last)))

    def points(inner: Scope, _: Carried) -> Carried:
        square = writer.ev.square = Square(s)
        for square.row in range(s.lanes):
            writer.put(inner, [square.moved(r) for r in s.roots], [])
        writer.ev.square = None
        return []

    def across(inner: Scope, _: Carried) -> Carried:
        return writer.run(depth + 1, inner, (first, whole, s.lanes), [], points)

    def end(inner: Scope, _: Carried) -> Carried:
        writer.level(depth + 1, inner, whole, last)
        return []

    def row(inner: Scope, _: Carried) -> Carried:
        writer.level(depth + 1, inner, first, last)
        return []

    writer.run(depth, scope, (low, middle, s.lanes), [], across)
    if whole != last:
        writer.run(depth, scope, (low, middle, 1), [], end)
    if middle != high:
        writer.run(depth, scope, (middle, high, 1), [], row)


def _whole(scope: Scope, low: str, high: str, step: int) -> str:
    """Where the whole steps from low to high end."""
    if low.isdigit() and high.isdigit():
        return str(int(low) + (int(high) - int(low)) // step * step)
    em = scope.scalar
    span = em.sub(Reg(high, "i64"), Reg(low, "i64"))
    return em.add(Reg(low, "i64"), em.and_(span, -step)).text
