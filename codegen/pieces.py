"""Cutting a kernel into pieces that may run on several threads.

One level of the loop nest is cut into stretches of equal size. Every point of a nest writes its own elements and reads
nothing that another one writes (`fusion`, `buffers`), so stretches may run at the same time and in any order. A
reduction that takes the cut level together leaves a partial result for each piece; afterwards these are joined from
the first to the last. How a nest is cut follows from its sizes and its text alone: the number of threads changes who
runs a piece, never what comes out. A nest that is too small for several threads is not cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

from ..ir.dtypes import as_dtype
from ..ir.graph import Value
from ..ir.sizes import estimate, is_named, larger, smaller
from ..ir.types import TensorType
from . import access, memory, scalar, size_table, threads
from .emitter import Context, Emitter, Reg
from .reduce_loops import Accumulator, combine
from .scope import Carried, Scope, loop

if TYPE_CHECKING:
    from .nest import Schedule
    from .plan import Root

LEAST = 40_000.0  # ns of work below which a nest is not cut: waking a thread that sleeps takes about as long
PIECE = 6_000.0  # ns of work in a piece
MOST = 128  # pieces
PARTIALS = 4096  # elements of partial results that a reduction may leave


@dataclass(frozen=True, slots=True)
class Pieces:
    """`count` stretches of `size` trips (the last one may be shorter) of a level of the nest, at most `most`.

    Size and count may have names (`ir.sizes`): then they are known when the code runs, by the same rule.
    """

    level: int
    size: int
    count: int
    most: int


def point(s: Schedule) -> float:
    """A rough time in ns for a point of a nest, as if its data lay in the cache."""
    work = sum(access.cost(v.owner) for v, _ in s.reads.visits)  # type: ignore[arg-type, misc]
    return 0.15 + 0.16 * work / max(s.lanes, 1)


def pieces(s: Schedule) -> Pieces | None:
    """How a nest is cut: along the outermost level with enough trips, rather one that no reduction takes together."""
    per, points = point(s), prod(s.extents.values())
    if points < ceil(LEAST / per):
        return None
    wanted = enough(points, per)
    best: tuple[bool, int, bool, int] | None = None
    found: Pieces | None = None
    for depth, level in enumerate(s.order):
        cut = _cut(s, level, wanted)
        if cut is not None:
            count = estimate(cut.count)
            many = 4 * count >= 3 * min(estimate(wanted), 16)
            rank = many, 0 if many else count, not any(level in r.axes for r in s.roots), -depth
            if best is None or rank > best:
                best, found = rank, cut
    return found


def enough(points: int, per: float) -> int:
    """How many pieces: an even number, as most machines have an even number of cores."""
    even: int = larger(smaller(2 * (points // max(1, int(2 * PIECE / per))), MOST), 2)
    return even


def _size(units: int, wanted: int) -> int:
    """Units in a piece: where a piece has few, rather more pieces than fewer and larger ones."""
    size: int = -(-units // wanted) if units >= 8 * wanted else larger(units // wanted, 1)
    return size


def stretches(trips: int, work: float) -> Pieces | None:
    """How a loop of independent trips that takes `work` ns is cut; None where that does not pay."""
    if is_named(trips) or work < LEAST or trips < 2:
        return None
    size = _size(trips, enough(trips, work / trips))
    count = -(-trips // size)
    return Pieces(0, size, count, count) if count > 1 else None


def _cut(s: Schedule, level: int, wanted: int) -> Pieces | None:
    """A level cut into about so many pieces; None where there would be but one, or too many partial results."""
    unit = s.block if level == s.split else s.lanes * s.unroll if level == s.vector else 1
    unit = s.lanes if level == s.turned else unit
    left = max((_elements(r) for r in s.roots if level in r.axes), default=0)
    found = split(level, s.extents[level], unit, left, wanted)
    return found if found is not None and found.count > 1 else None


def split(level: int, extent: int, unit: int, left: int, wanted: int) -> Pieces | None:
    """A level in about so many pieces of whole units; None where reductions that leave so many elements would leave
    too many."""
    if is_named(left):
        return None
    most = min(MOST, PARTIALS // left) if left else MOST
    if most < 2:
        return None
    units = -(-extent // unit)
    size = _size(units, smaller(wanted, most))
    if left:
        size = larger(size, -(-units // most))
    # Rounding down sizes of few units gives more pieces than were wanted, but not twice as many.
    return Pieces(level, size * unit, -(-units // size), most if left else 2 * MOST)


def _elements(root: Root) -> int:
    return prod(access.shape_of(root.target))


def partial(acc: Accumulator) -> Value:
    """A buffer for the partial results of a reduction in one piece."""
    dtype = "f64" if acc.total or (acc.goes_on and acc.dtype == "f32" and acc.root.reduce == "sum") else acc.dtype
    return Value(TensorType(as_dtype(dtype), access.shape_of(acc.root.target)))


class PieceWriter:
    """The functions of a nest in pieces: one that runs a piece, and the one that shares them out.

    Args:
      pointers, numbers: what the whole function is given, by name.
    """

    def __init__(self, name: str, cut: Pieces, attributes: str, checks: bool) -> None:
        self.name, self.cut, self.attributes, self.checks = name, cut, attributes, checks
        self.pointers: list[str] = []
        self.numbers: list[Reg] = []
        self.parts: list[Value] = []
        self.sizes: list[int] = []

    @property
    def _slots(self) -> int:
        """Words of the context: pointers, numbers, partial results, statuses."""
        return len(self.pointers) + len(self.numbers) + len(self.parts) + 1

    def write(
        self, extent: int, accs: list[Accumulator], results: list[str], allocas: list[str], lines: list[str],
        context: Context,
    ) -> str:
        """Both functions.

        Args:
          extent: of the cut level. accs, results: reductions with partial results, and where their whole results go.
          allocas, lines: the body of the nest.
        """  # fmt: skip
        context.decls.setdefault("pb_parallel", threads.DECLARATION)
        self.sizes = size_table.numbers([*allocas, *lines, f"{self.cut.size} {self.cut.count} {extent}"])
        if self.sizes or any(size_table.TABLE in line for line in lines):
            self.pointers = [size_table.NAME, *self.pointers]
        self.parts = [a.partial for a in accs if a.partial is not None]
        return self._piece(extent, allocas, lines) + "\n" + self._whole(accs, results, context)

    def _piece(self, extent: int, allocas: list[str], lines: list[str]) -> str:
        head = [f"define private void @{self.name}.piece(ptr %context, i64 %piece) {self.attributes} {{", "entry:"]
        head += allocas
        given = [("ptr", p) for p in self.pointers] + [(n.ty, n.text) for n in self.numbers]
        for k, (ty, name) in enumerate(given):
            at = f"%given{k}"
            head += [f"  {at} = getelementptr i64, ptr %context, i64 {k}", f"  {name} = load {ty}, ptr {at}"]
        head += size_table.loads(self.sizes)
        for k, v in enumerate(self.parts, len(given)):
            size = prod(access.shape_of(v)) * v.type.dtype.size
            head += [f"  %given{k} = getelementptr i64, ptr %context, i64 {k}",
                     f"  %all{k} = load ptr, ptr %given{k}", f"  %offset{k} = mul i64 %piece, {size}",
                     f"  {self.part(k - len(given))} = getelementptr i8, ptr %all{k}, i64 %offset{k}"]
        if self.checks:
            head += [f"  %given.s = getelementptr i64, ptr %context, i64 {self._slots - 1}",
                     "  %all.s = load ptr, ptr %given.s", "  %status = getelementptr i32, ptr %all.s, i64 %piece",
                     "  store i32 0, ptr %status"]
        size = self.cut.size
        head += [f"  %low = mul nuw nsw i64 %piece, {size}", f"  %low.end = add nuw nsw i64 %low, {size}",
                 f"  %whole = icmp ult i64 %low.end, {extent}",
                 f"  %high = select i1 %whole, i64 %low.end, i64 {extent}"]
        return "\n".join([*head, *lines, "  ret void", "}"])

    @staticmethod
    def part(k: int) -> str:
        """The pointer to a piece's partial results."""
        return f"%part{k}"

    def _whole(self, accs: list[Accumulator], results: list[str], context: Context) -> str:
        params = [f"ptr {p}" for p in self.pointers] + [f"{n.ty} {n.text}" for n in self.numbers]
        em = Emitter(0, "u", context=context.renamed())
        em.lines.extend(size_table.loads(self.sizes))
        em.raw(f"%context = alloca [{self._slots} x i64]")
        given = [("ptr", p) for p in self.pointers] + [(n.ty, n.text) for n in self.numbers]
        for k, v in enumerate(self.parts):
            many = self.cut.most * prod(access.shape_of(v))
            em.raw(f"{self.part(k)} = alloca [{many} x {scalar.MEMORY[v.type.dtype.short]}], align 64")
            given.append(("ptr", self.part(k)))
        em.raw(f"%statuses = alloca [{self.cut.most} x i32]")
        given.append(("ptr", "%statuses"))
        for k, (ty, name) in enumerate(given):
            at = em.op(f"getelementptr i64, ptr %context, i64 {k}", "ptr")
            em.raw(f"store {ty} {name}, ptr {at.text}")
        em.raw(f"call void @pb_parallel(ptr @{self.name}.piece, ptr %context, i64 {self.cut.count})")
        if self.checks:
            self._failed(em)
        top = Scope(None, -1, em, 0)
        for k, (acc, v, result) in enumerate(zip(accs, self.parts, results, strict=True)):
            self._join(top, acc, v, self.part(k), result)
        result, end = ("i32", "ret i32 0") if self.checks else ("void", "ret void")
        head = f"define private {result} @{self.name}({', '.join(params)}) {self.attributes} {{"
        return "\n".join([head, "entry:", *em.lines, f"  {end}", "}"])

    def _failed(self, em: Emitter) -> None:
        """Leaves with the status of the first piece that has one."""
        em.lines.extend(["  br label %look", "look:", "  %k = phi i64 [0, %entry], [%k1, %fine]",
                         "  %status.at = getelementptr i32, ptr %statuses, i64 %k",
                         "  %found = load i32, ptr %status.at", "  %bad = icmp ne i32 %found, 0",
                         "  br i1 %bad, label %failed, label %fine", "failed:", "  ret i32 %found", "fine:",
                         "  %k1 = add i64 %k, 1", f"  %more = icmp ult i64 %k1, {self.cut.count}",
                         "  br i1 %more, label %look, label %good"])
        em.label("good")

    def _join(self, top: Scope, acc: Accumulator, v: Value, part: str, target: str) -> None:
        """Partial results as one, from the first piece to the last, for each element."""
        short, n = v.type.dtype.short, prod(access.shape_of(v))
        kind, ty = acc.root.reduce, scalar.MEMORY[short]

        def take(scope: Scope, k: str) -> Reg:
            em = scope.scalar
            place = em.add(em.mul(Reg(k, "i64"), n), Reg(scope.vars[0], "i64"))
            at = em.op(f"getelementptr {ty}, ptr {part}, i64 {place.text}", "ptr")
            return scalar.load_as(em, memory.contiguous(em, at, ty, None))

        def element(outer: Scope, _: Carried) -> Carried:
            def more(inner: Scope, regs: Carried) -> Carried:
                return [combine(inner.scalar, kind, regs[0], take(inner, inner.vars[1]))]

            first = take(outer, "0")
            many = (self.cut.most if is_named(self.cut.count) else self.cut.count) > 1
            (total,) = loop(outer, 1, 1, ("1", str(self.cut.count), 1), [(first, False)], more, sure=many)
            em = outer.scalar
            if short != acc.dtype:
                total = em.convert("fptrunc", total, "float")
            to = scalar.MEMORY[acc.dtype]
            at = em.op(f"getelementptr {to}, ptr {target}, i64 {outer.vars[0]}", "ptr")
            memory.write(em, at, scalar.store_as(em, total), None)
            return []

        loop(top, 0, 0, ("0", str(n), 1), [], element, sure=True)
