"""Small questions that fusion asks about ops, positions and kernels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod

from ..ir.failing import may_fail
from ..ir.graph import Op, Value
from ..ir.sizes import estimate
from . import access
from .index_map import At, Index, Quot, Rem, Var, levels_of
from .plan import Kernel, Number, Plan, Root, Rows, Steps, Walk, is_array, is_literal, numel

MEMORY = 6  # what storing and loading an element costs, in additions
STEP = 4  # what loading one costs in addition where the next one does not lie beside it
LAUNCH = 300  # what one more loop nest costs


def early(ops: Iterable[Op]) -> dict[Value, list[Op]]:
    """Reshapes of one element to a scalar, by that element: they are read where it is, not where they stand."""
    out: dict[Value, list[Op]] = {}
    for op in ops:
        if access.form(op) == access.MAP and not op.results[0].type.shape and len(op.operands) == 1:
            v = op.operands[0]
            if is_array(v) and isinstance(v.owner, Op) and not v.owner.regions:
                out.setdefault(v, []).append(op)
    return out


def nested(kernel: Kernel, root: Root) -> bool:
    """Whether one order of loops serves the root's reduction and those of the kernel: their axes form a chain."""
    return all(not r.reduce or r.axes <= root.axes or root.axes <= r.axes for r in kernel.roots)


def trips(domain: tuple[int, ...], at: At) -> int:
    """How often an element at this position is computed: once per trip of the loops down to the last it depends on."""
    used = [level for i in at for level in levels_of(i)]
    return prod(domain[: max(used) + 1]) if used else 1


def divides(e: Index) -> bool:
    """Whether quotients or remainders occur."""
    return any(isinstance(a, (Quot, Rem)) for a in e.terms)


def fails(root: Root, reads: Walk) -> bool:
    """Whether making the root may stop the program."""
    return may_fail(root.op) or any(isinstance(v.owner, Op) and may_fail(v.owner) for v, _ in reads.visits)


def awkward(plan: Plan, walks: Iterable[Walk]) -> Iterator[Value]:
    """Operands of reshapes that would be read through divisions: with a buffer the reshape is free."""
    for walk in walks:
        if not any(divides(leaf.position) for leaf in walk.leaves):
            continue
        for v, at in walk.visits:
            op = v.owner
            assert isinstance(op, Op)
            x = op.operands[0] if access.form(op) == access.MAP else None
            if x is not None and x.type.shape and x not in plan.owner:
                (part,) = access.parts(op, at)
                if any(map(divides, part.at)) and not any(map(divides, at)) and not is_literal(part.value):
                    yield part.value


def across(kernels: Iterable[Kernel]) -> Iterator[Value]:
    """Transposed values of which a loop reads each element many times, in steps across memory: a copy lies in order."""
    for kernel in kernels:
        last = len(kernel.domain) - 1
        for v, at in kernel.reads.visits:
            op = v.owner
            if not isinstance(op, Op) or op.kind.name != "transpose" or is_literal(op.operands[0]):
                continue
            (part,) = access.parts(op, at)
            step = sum(
                c
                for a, c in access.address(part.at, access.shape_of(part.value)).terms.items()
                if isinstance(a, Var) and a.level == last
            )
            size = estimate(numel(v))
            if abs(step) > 1 and STEP * estimate(trips(kernel.domain, at)) > (MEMORY + STEP) * size + LAUNCH:
                yield v


def small_reads(plan: Plan, root: Root, reads: Walk) -> list[Value]:
    """Small parts of an array that a write into a large part of it reads elsewhere: a row and a column, say.

    With copies of these the array can be written in place. Empty where they are not all that is read elsewhere.
    """
    assert root.base is not None
    owner = plan.owner[root.base]
    open_ = {leaf.position for leaf in reads.leaves if leaf.owner is owner and leaf.position != root.position}
    found: list[Value] = []
    if not open_:
        return found
    for v, at in reads.visits:
        op = v.owner
        assert isinstance(op, Op)
        if access.form(op) != access.MAP or plan.owner.get(op.operands[0]) is not owner:
            continue
        (part,) = access.parts(op, at)
        position = access.address(part.at, access.shape_of(part.value))
        if position in open_ and 4 * numel(v) <= numel(root.base):
            open_.discard(position)
            found.append(v)
    return found if not open_ else []


def ordered(steps: list[Steps]) -> list[Steps]:
    """The steps, each behind those that it depends on, else as they come."""
    present, done, left = sum(s.bit for s in steps), 0, list(steps)
    out: list[Steps] = []
    while left:
        ready = next(s for s in left if not s.deps & present & ~done)
        left.remove(ready)
        done |= ready.bit
        out.append(ready)
    return out


def mark_dead_stores(plan: Plan, steps: list[Steps], need: Mapping[Value, int]) -> None:
    """Marks the stores that nobody outside of their kernel reads. `need`: the steps that a value is made by."""
    live = {o for v in plan.fn.results for o in plan.owners(v)}
    for step in steps:
        others: list[Value]
        if isinstance(step, Number):
            live |= {leaf.owner for leaf in step.reads.leaves}
            others = [*step.reads.scalars]
        elif isinstance(step, Kernel):
            live |= {leaf.owner for leaf in step.reads.leaves if need[leaf.owner] != step.bit}
            others = [*step.reads.scalars, *(r.base for r in step.roots if r.base is not None)]
        else:
            assert not isinstance(step, Rows)  # they are made of a finished plan
            others = list(step.inputs)
        live |= {o for v in others for o in plan.owners(v)}
    for step in steps:
        if isinstance(step, Kernel):
            for r in step.roots:
                r.kept = bool(r.reduce) or r.target in live
