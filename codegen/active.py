"""Which part of a loop does anything: masks `low <= i < high` become the loop's bounds.

A sum of `where(i < k, x, 0)` needs only the trips below k, a write of `where(i < k, x, what is there)` too. Slices with
computed bounds come as such masks (see `ir/pad.py`); with them as bounds, a triangular loop nest does a third of the
work of the full one. A kernel's loop is cut only to what all of its roots agree on.
"""

from __future__ import annotations

from typing import NamedTuple

from ..ir.graph import Op, Value
from . import access
from .index_map import At, Var
from .plan import Plan, Root, is_literal
from .reduce_loops import identity


class Limit(NamedTuple):
    """`variable of the level + shift` is at least (`low`) or below (not `low`) an i64 scalar."""

    level: int
    low: bool
    bound: Value
    shift: int = 0


Limits = frozenset[Limit]


def common(plan: Plan, roots: list[Root]) -> Limits:
    """The limits that hold wherever any of the roots does something."""
    found: Limits | None = None
    for root in roots:
        mine = of_root(plan, root)
        found = mine if found is None else found & mine
        if not found:
            break
    return found or frozenset()


def of_root(plan: Plan, root: Root) -> Limits:
    """Where a root does anything at all."""
    found: Limits = frozenset()
    if root.source is root.target:
        return found
    v, at = root.source, root.at
    while v.type.shape and isinstance(v.owner, Op):
        op = v.owner
        if op.kind.name == "where":
            c, x, y = access.parts(op, at)
            limits = conjunction(c.value, c.at)
            if limits is None or any(limit.shift for limit in limits) or not _idle(plan, root, y.value, y.at):
                break
            found |= limits
            v, at = x.value, x.at
        elif access.form(op) == access.MAP:
            ((v, at, _),) = access.parts(op, at)
        else:
            break
    return found


def conjunction(v: Value, at: At) -> Limits | None:
    """A bool element as limits that all have to hold; None when it is something else."""
    op = v.owner
    if not isinstance(op, Op) or not v.type.shape:
        return None
    name = op.kind.name
    if name == "logical_and":
        both = [conjunction(p.value, p.at) for p in access.parts(op, at)]
        return None if both[0] is None or both[1] is None else both[0] | both[1]
    if name in ("lt", "ge"):
        x, y = access.parts(op, at)
        place = _place(x.value, x.at)
        if place is None or y.value.type.shape or y.value.type.dtype.short != "i64":
            return None
        return frozenset([Limit(place[0], name == "ge", y.value, place[1])])
    if access.form(op) == access.MAP and name != "same_size":
        (part,) = access.parts(op, at)
        return conjunction(part.value, part.at)
    return None


def settled(op: Op, at: At, limits: Limits, vector: int | None, shift: int) -> access.Part | None:
    """The operand that an element is at every point that loops with these limits visit; None where that varies.

    Args:
      vector, shift: the level of the lanes, and how far along it the points lie that are being written.
    """

    def surely(part: access.Part) -> bool:
        found = conjunction(part.value, part.at)
        return found is not None and all(
            limit.shift == (shift if limit.level == vector else 0) and limit._replace(shift=0) in limits
            for limit in found
        )

    if op.kind.name == "where":
        c, x, _ = access.parts(op, at)
        return x if surely(c) else None
    if op.kind.name == "logical_and":
        a, b = access.parts(op, at)
        return b if surely(a) else a if surely(b) else None
    return None


def _place(v: Value, at: At) -> tuple[int, int] | None:
    """The level and the shift of an element of an iota that counts one loop."""
    while isinstance(v.owner, Op) and v.type.shape and access.form(v.owner) == access.MAP:
        ((v, at, _),) = access.parts(v.owner, at)
    if not isinstance(v.owner, Op) or v.owner.kind.name != "iota":
        return None
    index = at[v.owner.attrs["axis"]]
    if len(index.terms) != 1:
        return None
    ((atom, times),) = index.terms.items()
    return (atom.level, index.const) if isinstance(atom, Var) and times == 1 else None


def _idle(plan: Plan, root: Root, v: Value, at: At) -> bool:
    """Whether taking in this element changes nothing: neutral for a reduction, what is there for a write."""
    while isinstance(v.owner, Op) and v.type.shape and v not in plan.owner and access.form(v.owner) == access.MAP:
        ((v, at, _),) = access.parts(v.owner, at)
    if root.reduce or root.add:
        if not is_literal(v) or not isinstance(v.owner, Op):
            return False
        neutral = identity(root.reduce or "sum", v.type.dtype.short)
        return bool(v.owner.attrs["value"].flat[0] == neutral)
    if root.base is None or v not in plan.owner or plan.owner[v] is not plan.owner[root.base]:
        return False
    return access.address(at, access.shape_of(v)) == root.position
