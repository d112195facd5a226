"""Where code goes: one scope per loop body, each remembering what it has computed.

Code is written into the outermost scope in which all its operands exist, so loop-invariant values leave the loop by
construction and equal subexpressions are computed once. A scope's instructions are collected apart and pasted into
the parent when the loop is complete: until then the parent can still take hoisted code.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from .emitter import Emitter, Reg


class Val(NamedTuple):
    """A computed value: its register, the depth of the scope that holds it, whether it is one number per lane."""

    reg: Reg
    depth: int
    wide: bool = False


class Scope:
    """The body of a loop (depth: its place in the order of loops), or the body of the function (depth -1).

    `mask` is set where only some lanes of the vector level are inside its extent.
    """

    __slots__ = ("depth", "mask", "memo", "parent", "scalar", "vars", "wide")

    def __init__(self, parent: Scope | None, depth: int, scalar: Emitter, lanes: int, mask: Reg | None = None) -> None:
        self.parent = parent
        self.depth = depth
        self.scalar = scalar
        self.wide = scalar.widen(lanes) if lanes else scalar
        self.mask = mask
        self.memo: dict[Hashable, Val] = {}
        self.vars: dict[int, str] = dict(parent.vars) if parent else {}

    def emitter(self, wide: bool) -> Emitter:
        """The emitter for one number, or for one per lane."""
        return self.wide if wide else self.scalar

    def at(self, depth: int) -> Scope:
        """The enclosing scope for code of this depth."""
        scope = self
        while scope.depth > depth:
            assert scope.parent is not None
            scope = scope.parent
        return scope

    def find(self, key: Hashable) -> Val | None:
        """What was computed under this key, here or further out."""
        scope: Scope | None = self
        while scope is not None:
            hit = scope.memo.get(key)
            if hit is not None:
                return hit
            scope = scope.parent
        return None

    def keep(self, key: Hashable, val: Val) -> Val:
        """Remembers a value in the scope that holds its code."""
        self.at(val.depth).memo[key] = val
        return val


Carried = list[Reg]


def loop(
    scope: Scope,
    depth: int,
    level: int,
    bounds: tuple[str, str, int],
    carried: Sequence[tuple[Reg, bool]],
    body: Callable[[Scope, Carried], Carried],
    sure: bool,
) -> Carried:
    """Writes `for var = low; var < high; var += step` into the scope and returns what the carried values end as.

    Args:
      bounds: low and high as operands, and the step.
      carried: initial values, each with whether it is one number per lane.
      body: writes the body into the scope it is given; from the values carried in to those carried on.
      sure: whether at least one trip is certain; else a test comes first.
    """
    name, out = scope.scalar.new_label("loop"), scope.scalar.new_label("done")
    inner = Scope(scope, depth, scope.scalar.fork(0, block=name), scope.wide.lanes, scope.mask)
    inner.vars[level] = inner.scalar.fresh()
    phis = [Reg(inner.scalar.fresh(), init.ty) for init, _ in carried]
    ends = body(inner, list(phis))
    before = scope.scalar.block
    _enter(scope, bounds, (name, out), sure)
    _paste(scope, inner, inner.vars[level], bounds, (name, out, before), list(zip(phis, carried, ends, strict=True)))
    if sure:
        return ends
    latch = inner.scalar.block
    return [
        scope.emitter(wide).phi(init.ty, (init, before), (end, latch))
        for (init, wide), end in zip(carried, ends, strict=True)
    ]


def _enter(scope: Scope, bounds: tuple[str, str, int], labels: tuple[str, str], sure: bool) -> None:
    """The branch into the loop, or past it where there may be no trip."""
    em = scope.scalar
    if sure:
        em.raw(f"br label %{labels[0]}")
    else:
        more = em.compare("slt", Reg(bounds[0], "i64"), Reg(bounds[1], "i64"))
        em.raw(f"br i1 {more.text}, label %{labels[0]}, label %{labels[1]}")


def _paste(
    scope: Scope,
    inner: Scope,
    i: str,
    bounds: tuple[str, str, int],
    labels: tuple[str, str, str],
    carried: list[tuple[Reg, tuple[Reg, bool], Reg]],
) -> None:
    """The complete loop: phis, the body's instructions, the step and the branch back."""
    (low, high, step), (name, out, before) = bounds, labels
    em, latch = scope.scalar, inner.scalar.block
    following = em.fresh()
    em.label(name)
    em.raw(f"{i} = phi i64 [{low}, %{before}], [{following}, %{latch}]")
    for phi, (init, wide), end in carried:
        ty = scope.emitter(wide).ty(init.ty)
        em.raw(f"{phi.text} = phi {ty} [{init.text}, %{before}], [{end.text}, %{latch}]")
    em.lines.extend(inner.scalar.lines)
    em.body.block = latch
    em.raw(f"{following} = add nuw nsw i64 {i}, {step}")
    again = em.compare("slt", Reg(following, "i64"), Reg(high, "i64"))
    em.raw(f"br i1 {again.text}, label %{name}, label %{out}")
    em.label(out)


def once(
    scope: Scope,
    depth: int,
    level: int,
    at: str,
    carried: Sequence[tuple[Reg, bool]],
    body: Callable[[Scope, Carried], Carried],
) -> Carried:
    """The body of a loop of one trip, without the loop."""
    inner = Scope(scope, depth, scope.scalar, scope.wide.lanes, scope.mask)
    inner.vars[level] = at
    return body(inner, [init for init, _ in carried])
