"""The schedule of a kernel: which loops there are, in which order, and which of them runs along the lanes.

Neighbouring loops that every address runs through as one are collapsed. Loops that a reduction takes together come
innermost. Lanes go along the level in which most addresses are contiguous; it is last among the loops it may be
exchanged with. Sums of f32 are cut into blocks: at most `CHAIN` additions per lane in f32, blocks added in f64.
Nothing here depends on the number of threads, so neither does a result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from ..ir.sizes import estimate, is_named
from . import access, turned
from .host import host
from .index_map import ZERO, At, Index, Var, atom, divide, levels_of, substitute
from .plan import Kernel, Leaf, Root, Walk

CHAIN = 256  # additions in f32 per lane before the sum goes to f64: 4096 elements of 16 lanes
_HEAVY = 40  # a body that costs more is not unrolled
_UNROLL = 4
_LONG = 64  # instructions from which on a nest may need more registers than there are


@dataclass(slots=True)
class Schedule:
    """The loops of a kernel.

    Attributes:
      order: levels from the outermost to the innermost. extents: trip counts by level.
      vector: the level of the lanes, or None for scalar code. lanes: how many. unroll: vectors per trip of that level.
      split: the level at which sums are cut into blocks of `block` trips, or None. heavy: whether code size matters.
      turned: the level, next to the innermost one, along which arrays are read that are stored along the lanes.
      roots: the kernel's roots in terms of these levels. reads: what they read.
    """

    order: tuple[int, ...]
    extents: dict[int, int]
    roots: list[Root]
    reads: Walk
    vector: int | None = None
    lanes: int = 0
    unroll: int = 1
    split: int | None = None
    block: int = 0
    heavy: bool = False
    turned: int | None = None
    depth: dict[int, int] = field(default_factory=dict)

    def start(self, root: Root) -> int:
        """The depth of the outermost loop that a reduction takes together."""
        return min((self.depth[level] for level in root.axes), default=len(self.order))

    def shifted(self, root: Root, shift: int) -> Root:
        """A root so many elements on along the lanes."""
        assert self.vector is not None
        # So far from the end: an index that stays inside its dimension needs no remainder by it.
        to = {self.vector: atom(Var(self.vector, self.extents[self.vector] - shift)).plus(shift)}
        return replace(root, at=each(root.at, to), out=each(root.out, to))


def schedule(kernel: Kernel, rows: bool = False) -> Schedule:
    """The loops for a kernel whose domain has no size 0. With `rows`, level 0 stays a loop of its own."""
    extents = dict(enumerate(kernel.domain))
    roots, extents, reads = _collapse(kernel.roots, extents, kernel.reads, {0} if rows else set())
    out = Schedule((), extents, roots, reads)
    groups = _groups(out)
    if extents:
        out.lanes = _lanes(out)
        out.vector = _vector_level(out)
        for group in groups:
            if out.vector in group:
                group.remove(out.vector)
                group.append(out.vector)
    out.order = tuple(level for group in groups for level in group)
    squares = turned.levels(out)
    if squares is not None:
        out.turned, out.vector = squares
        out.order = (*(level for level in out.order if level not in squares), *squares)
    out.depth = {level: k for k, level in enumerate(out.order)}
    work = sum(access.cost(v.owner) for v, _ in reads.visits)  # type: ignore[arg-type, misc]
    out.heavy = work > _HEAVY
    if out.order and out.vector == out.order[-1] and not out.heavy:
        out.unroll = _unroll(out)
    _cut(out)
    return out


def _positions(roots: Iterable[Root], reads: Walk) -> list[Index]:
    return [leaf.position for leaf in reads.leaves] + [r.position for r in roots]


def _collapse(
    roots: list[Root], extents: dict[int, int], reads: Walk, alone: set[int]
) -> tuple[list[Root], dict[int, int], Walk]:
    """Joins levels a, b (b faster) wherever every address moves by extent(b) times as much in a as in b."""
    levels = sorted(extents, reverse=True)
    fixed = _fixed(reads, roots) | alone if len(levels) > 1 else alone
    b = levels[0] if levels else 0
    for a in levels[1:]:
        n = extents[b]
        joint = not (a in fixed or b in fixed) and _same_class(roots, a, b, n)
        if not joint or any(_coefficient(p, a) != _coefficient(p, b) * n for p in _addresses(roots, reads)):
            b = a
            continue
        # Positions with i_a = 0 and i_b running over both extents are the same addresses; b keeps the name.
        extents[b] *= extents.pop(a)
        # The maps of a walk need indices within their dimensions: there the two stay apart, and meet in the addresses.
        to = {a: ZERO, b: atom(Var(b, extents[b]))}
        apart = dict(zip((a, b), divide(to[b], n), strict=True))
        roots = [replace(r, at=each(r.at, apart), out=each(r.out, to), axes=r.axes - {a}) for r in roots]
        leaves = {Leaf(leaf.owner, substitute(leaf.position, to)): None for leaf in reads.leaves}
        reads = Walk(leaves, reads.scalars, reads.visits)
    return roots, extents, reads


def _addresses(roots: list[Root], reads: Walk) -> list[Index]:
    out = [leaf.position for leaf in reads.leaves]
    return out + [r.position for r in roots if not r.reduce]


def each(at: At, to: dict[int, Index]) -> At:
    """A position with the variables of some levels replaced."""
    return tuple(substitute(i, to) for i in at)


def _same_class(roots: list[Root], a: int, b: int, extent: int) -> bool:
    """Whether both levels are reduced by the same roots, and kept ones lie alike in the results."""
    for r in roots:
        if (a in r.axes) != (b in r.axes):
            return False
        if r.reduce and a not in r.axes and _coefficient(r.position, a) != _coefficient(r.position, b) * extent:
            return False
    return True


def _coefficient(e: Index, level: int) -> int:
    return sum(c for a, c in e.terms.items() if isinstance(a, Var) and a.level == level)


def _fixed(reads: Walk, roots: list[Root]) -> set[int]:
    """Levels whose variables are used otherwise than in affine addresses: by iota, bounds, divisions, random bits."""
    out: set[int] = set()
    for v, at in reads.visits:
        op = v.owner
        f = access.form(op)  # type: ignore[arg-type]
        if f in (access.SOURCE, access.CHOICE) and op.kind.name != "constant":  # type: ignore[union-attr]
            for i in at:
                out |= levels_of(i)
        elif f == access.GATHER:
            for i in at:
                out |= {level for a in i.terms if not isinstance(a, Var) for level in levels_of(atom(a))}
    for p in _positions(roots, reads):
        for a in p.terms:
            if not isinstance(a, Var):
                out |= levels_of(atom(a))
    return out


def _groups(s: Schedule) -> list[list[int]]:
    """Levels in the order of loops: what fewer reductions take together comes first; a group may be reordered."""
    count = {level: len([r for r in s.roots if level in r.axes]) for level in s.extents}
    return [[level for level in s.extents if count[level] == n] for n in sorted(set(count.values()))]


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """Width of the host's vectors."""
    return host().vector_bytes


def attributes(instructions: int = 0) -> str:
    """Function attributes of everything with vectors in it.

    A long function puts vectors on the stack. LLVM does not align it for that by itself; where they straddle cache
    lines, which depends on who called, a nest takes a third longer.
    """
    align = f"alignstack({vector_bytes()}) " * (instructions > _LONG)
    return f'nounwind {align}"prefer-vector-width"="{8 * vector_bytes()}"'


def _lanes(s: Schedule) -> int:
    """One number of lanes for the nest: what a vector of 4-byte elements holds, or of 8-byte ones if they dominate."""
    wide = narrow = 0
    values = [leaf.owner for leaf in s.reads.leaves] + [r.target for r in s.roots] + [v for v, _ in s.reads.visits]
    for v in values:
        short = v.type.dtype.short
        if short == "f64":
            wide += 2
        elif short == "i64":
            wide += 1
        elif short != "bool":
            narrow += 1
    return max(2, vector_bytes() // (8 if wide > narrow else 4))


def _vector_level(s: Schedule) -> int:
    """The level along which most addresses are contiguous and lanes are well filled."""
    positions = [(p, 1.0) for p in (leaf.position for leaf in s.reads.leaves)]
    positions += [(r.position, 1.5) for r in s.roots if not r.reduce]
    best, most = 0, float("-inf")
    for level, n in s.extents.items():
        score = 0.0
        for p, weight in positions:
            c = _coefficient(p, level)
            inner = any(level in levels_of(atom(a)) for a in p.terms if not isinstance(a, Var))
            score += weight * (-2.0 if inner or abs(c) > 1 else 1.0 if c else 0.4)
        filled = estimate(n) / (-(-estimate(n) // s.lanes) * s.lanes)
        score = score * filled if score > 0 else score - (1 - filled)
        if score >= most:
            best, most = level, score
    return best


def _unroll(s: Schedule) -> int:
    """Vectors per trip: enough to hide the latency of light bodies, never more than there are.

    Reductions always have the same number, so that how their elements come together does not depend on how many
    there are, nor on whether that is known.
    """
    assert s.vector is not None
    if any(r.reduce and s.vector in r.axes for r in s.roots):
        return _UNROLL
    vectors = estimate(s.extents[s.vector]) // s.lanes
    unroll = 2
    while unroll > 1 and vectors < 2 * unroll:
        unroll //= 2
    return unroll


def _cut(s: Schedule) -> None:
    """Chooses the level at which f32 sums are cut into blocks."""
    if not any(r.reduce == "sum" and r.target.type.dtype.short == "f32" for r in s.roots):
        return
    reduced = {level for r in s.roots if r.reduce == "sum" for level in r.axes}
    trips = 1
    for level in reversed(s.order):
        if level not in reduced:
            continue
        step = s.lanes * s.unroll if level == s.vector else 1
        n = -(-s.extents[level] // step)
        per = CHAIN // (s.unroll if level == s.vector else 1)
        # One block is as good as none. So where a single size is not known, there are always blocks.
        if (is_named(n) and len(reduced) == 1) or trips * n > per:
            s.split, s.block = level, max(1, per // trips) * step
            return
        trips *= n

