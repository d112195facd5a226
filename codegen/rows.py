"""Kernels that run together over blocks of rows, so that what one makes is in the cache when the next one reads it.

A softmax is three kernels: the maximum of a row, the sum of its exponentials, the quotients. One after the other they
pass over the whole array three times; run together for a few rows at a time they pass over memory once, and what only
they need (the exponentials) is never there as a whole. Rows are the trips of level 0. A kernel may join those before it
if all it reads of what they make are elements of the row at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ir.graph import Value
from ..ir.sizes import dim_of, estimate, is_named, larger
from .index_map import Index, Var, bounds, levels_of
from .pieces import PARTIALS
from .plan import Kernel, Number, Plan, Region, Rows, Steps, numel

LEAST = 1024 << 10  # bytes of all rows together below which they stay in the second cache anyway
BLOCK = 28 << 10  # bytes of a block: what fits there beside what else is read
MOST = 256 << 10  # bytes of a row from which on one block would be too large (part of it lies on the stack)
BETWEEN = 8  # steps that may stand between the kernels of a group
THREADS = 4  # that must be able to share the rows
BESIDE = 256 << 10  # bytes that may be read anew for each block


def join_rows(plan: Plan) -> None:
    """Makes `Rows` of neighbouring kernels in a plan and in those of its regions."""
    plan.steps = _joined(plan, plan.steps)
    for step in plan.steps:
        if isinstance(step, Region):
            for inner in step.plans:
                join_rows(inner)


def _joined(plan: Plan, steps: list[Steps]) -> list[Steps]:
    """The steps with groups as one; what stands between the kernels of a group but does not need them comes before."""
    out: list[Steps] = []
    before: list[Steps] = []
    group = _Group(plan)
    for step in steps:
        if isinstance(step, Kernel) and group.takes(step):
            group.add(step)
            continue
        alone = isinstance(step, (Kernel, Number)) and not step.deps & group.bits
        if group.kernels and alone and len(before) < BETWEEN:
            before.append(step)
            continue
        out += _joined(plan, before) + group.steps()
        before, group = [], _Group(plan)
        if isinstance(step, Kernel) and group.takes(step):
            group.add(step)
        else:
            out.append(step)
    return out + (_joined(plan, before) + group.steps() if group.kernels else [])


@dataclass(slots=True)
class _Group:
    """Kernels over the same rows.

    Attributes:
      bits: the kernels as a set of steps. strides: elements per row of the arrays that are made row by row. made: all
      that they make. touched: elements per row of the arrays that are read or written, 0 where that is not row by row.
    """

    plan: Plan
    kernels: list[Kernel] = field(default_factory=list)
    bits: int = 0
    strides: dict[Value, int] = field(default_factory=dict)
    made: set[Value] = field(default_factory=set)
    touched: dict[Value, int] = field(default_factory=dict)

    def takes(self, kernel: Kernel) -> bool:
        """Whether the kernel may run behind those that are here, a block of rows after the other."""
        domain = kernel.domain
        if not domain or 0 in domain or any(r.base is not None or r.add for r in kernel.roots):
            return False
        if any(0 in r.axes and not _shared(r.target) for r in kernel.roots):
            return False
        if not self.kernels:
            return True
        if not _same(domain[0], self._rows):
            return False
        if any(o in self.made for v in kernel.reads.scalars for o in self.plan.owners(v)):
            return False
        near = False
        own = set(kernel.targets)
        for leaf in kernel.reads.leaves:
            if leaf.owner in self.made:
                stride = self.strides[leaf.owner]
                if not stride or not _same(_stride(leaf.position), stride):
                    return False
                near = True
            elif leaf.owner in self.touched and leaf.owner not in own:
                stride = _stride(leaf.position)
                near = near or bool(stride and _same(stride, self.touched[leaf.owner]))
        return near and not own & self.made

    @property
    def _rows(self) -> int:
        return self.kernels[0].domain[0]

    def add(self, kernel: Kernel) -> None:
        """Takes the kernel in."""
        self.kernels.append(kernel)
        self.bits |= kernel.bit
        for r in kernel.roots:
            if not r.kept:
                continue
            stride = 0 if 0 in r.axes else _stride(r.position)
            if not _same(self.strides.setdefault(r.target, stride), stride):
                self.strides[r.target] = 0
            self.made.add(r.target)
        for v, position in [(leaf.owner, leaf.position) for leaf in kernel.reads.leaves]:
            self.touched.setdefault(v, _stride(position))
        self.touched.update((v, self.strides[v]) for v in kernel.targets)

    def steps(self) -> list[Steps]:
        """The kernels as one step where that pays, else as they are."""
        if len(self.kernels) < 2:
            return [*self.kernels]
        row = sum(n * _item(v) for v, n in self.touched.items())
        beside = sum(estimate(numel(v)) * _item(v) for v, n in self.touched.items() if not n)
        every = estimate(self._rows) * estimate(row)
        if not row or every < LEAST or every <= BLOCK or beside > BESIDE or row > MOST:
            return [*self.kernels]
        size: int = larger(BLOCK // row, 1)
        if not is_named(size) and size > 16:
            size -= size % 16  # so that vectors of rows are whole
        strides = {v: n for v, n in self.strides.items() if n}
        return [Rows(self.kernels[0].number, kernels=self.kernels, size=size, strides=strides)]


def _shared(total: Value) -> bool:
    """Whether what is left of all rows is known to be so small that several threads may each have a partial result."""
    n = numel(total)
    return not is_named(n) and n * THREADS <= PARTIALS


def _item(v: Value) -> int:
    return 1 if v.type.dtype.is_bool else v.type.dtype.size


def _same(a: int, b: int) -> bool:
    """Whether two sizes are one, without a guess that later calls would be held to."""
    if is_named(a) or is_named(b):
        return is_named(a) and is_named(b) and dim_of(a) == dim_of(b)
    return a == b


def _stride(position: Index) -> int:
    """How many elements apart two rows lie, if a position runs within the row at hand; else 0."""
    rows = [a for a in position.terms if isinstance(a, Var) and a.level == 0]
    rest = Index(position.const, {a: c for a, c in position.terms.items() if a not in rows})
    if not rows or 0 in levels_of(rest):
        return 0
    stride = sum(position.terms[a] for a in rows)
    low, high = bounds(rest)
    return stride if stride > 0 and low >= 0 and high < stride else 0
