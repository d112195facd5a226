"""The plan of a function: which values live in buffers, and the steps that make them.

A `Kernel` is a loop nest over one domain with several roots (arrays to store, reductions to finish); a `Call` is an
op that runs by itself (a matrix product, a scatter); a `Number` is a scalar that is read from arrays; a `Region` is a
loop or a branch, with a plan for each of its blocks; `Rows` are kernels that run together, block by block. A value that
owns no buffer is written into each kernel that needs it. `walk` finds what a root reads; everything later (fusion,
schedules, buffers) looks only at its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from ..ir.graph import Function, Op, Value
from ..ir.ranges import Ranges
from ..ir.types import StackType
from . import access
from .index_map import ZERO, At, Index, variable


class Leaf(NamedTuple):
    """An element read from a buffer: whose, and at which flat position."""

    owner: Value
    position: Index


@dataclass(slots=True, eq=False)
class Root:
    """Something that a kernel makes: `target`, from `source[at]` at every point of the domain, written at `out`.

    `reduce` is empty for a store; else the kind of reduction, and `axes` the levels of the domain it takes together.
    `base` is what the target's buffer must hold before (only a slot of it is written); `add` adds to what is there.
    What is not `kept` is needed in this kernel only and stays in registers. `why` says, for dumps, why it has a buffer.
    """

    op: Op
    target: Value
    source: Value
    at: At
    out: At
    reduce: str = ""
    axes: frozenset[int] = frozenset()
    base: Value | None = None
    add: bool = False
    kept: bool = True
    why: str = ""

    @property
    def position(self) -> Index:
        """Where in the target's buffer the element goes."""
        return access.address(self.out, access.shape_of(self.target))


@dataclass(slots=True)
class Walk:
    """What a root (or a kernel) reads: leaves, 0-d values, and the values computed on the way, with their positions."""

    leaves: dict[Leaf, None] = field(default_factory=dict)
    scalars: dict[Value, None] = field(default_factory=dict)
    visits: dict[tuple[Value, At], None] = field(default_factory=dict)

    def update(self, other: Walk) -> None:
        """Takes in what another walk found."""
        self.leaves.update(other.leaves)
        self.scalars.update(other.scalars)
        self.visits.update(other.visits)


@dataclass(slots=True, eq=False)
class Step:
    """A part of the program. `deps` is a bit set of the numbers of all steps that must come before."""

    number: int
    deps: int = 0

    @property
    def bit(self) -> int:
        """This step in a bit set."""
        return 1 << self.number


class Obstacle(NamedTuple):
    """Why something is not computed in a kernel: words for dumps, with `{}` where the value's name belongs."""

    words: str
    value: Value | None = None


@dataclass(slots=True, eq=False)
class Kernel(Step):
    """A fused loop nest: one domain, roots in program order, and what they read together.

    `apart` says, for dumps, why its first root is in no kernel of the same domain that came before: the last such
    kernel, what stood against it, and the value that this is about.
    """

    domain: tuple[int, ...] = ()
    roots: list[Root] = field(default_factory=list)
    reads: Walk = field(default_factory=Walk)
    apart: tuple[Kernel, Obstacle] | None = None

    @property
    def targets(self) -> list[Value]:
        """The values that this step makes."""
        return list(dict.fromkeys(r.target for r in self.roots if r.kept))


@dataclass(slots=True, eq=False)
class Call(Step):
    """An op that is a step of its own; `inputs` are the buffers and scalars it takes, `work` an array that only it uses
    (see `special`)."""

    op: Op | None = None
    inputs: tuple[Value, ...] = ()
    work: Value | None = None

    @property
    def targets(self) -> list[Value]:
        """The values with buffers that this step makes: a scalar from a stack goes into a register."""
        assert self.op is not None
        results = [v for v in self.op.results if not isinstance(v.type, StackType)]
        results += [] if self.work is None else [self.work]
        return [v for v in results if is_array(v) or self.op.kind.name != "pop"]


@dataclass(slots=True, eq=False)
class Number(Step):
    """A 0-d value that is read from arrays, into a register, at this point of the program."""

    op: Op | None = None
    reads: Walk = field(default_factory=Walk)

    @property
    def targets(self) -> list[Value]:
        """No value with a buffer."""
        return []


@dataclass(slots=True, eq=False)
class Region(Step):
    """`for`, `while` or `if`: the plans of its blocks. `inputs` are the values it reads, from blocks outside too."""

    op: Op | None = None
    inputs: tuple[Value, ...] = ()
    plans: list[Plan] = field(default_factory=list)

    @property
    def targets(self) -> list[Value]:
        """The arrays that this step makes."""
        assert self.op is not None
        return [v for v in self.op.results if is_array(v)]


@dataclass(slots=True, eq=False)
class Rows(Step):
    """Kernels over the same rows (trips of level 0) that run together, `size` rows after `size` rows: what one makes of
    a row is read by the next while it is in the cache.

    Attributes:
      strides: for the arrays that are made row by row, their elements per row. local: those of them that nobody else
      reads; memory holds a block of their rows only.
    """

    kernels: list[Kernel] = field(default_factory=list)
    size: int = 0
    strides: dict[Value, int] = field(default_factory=dict)
    local: dict[Value, int] = field(default_factory=dict)

    @property
    def targets(self) -> list[Value]:
        """The values that the kernels make."""
        return list(dict.fromkeys(v for k in self.kernels for v in k.targets))


Steps = Kernel | Call | Number | Region | Rows


@dataclass(slots=True)
class Plan:
    """The steps in the order of running, and for each value with a buffer the value that owns it.

    The plan of a region's block shares `owner`, `order` and `registers` with those round it; its `fn` is the block
    as a function. `registers` are 0-d values that a step puts into a register; `inputs` are the whole function's
    parameters, `ranges` what its integer scalars can be.
    """

    fn: Function
    steps: list[Steps] = field(default_factory=list)
    owner: dict[Value, Value] = field(default_factory=dict)
    order: dict[Op, int] = field(default_factory=dict)
    registers: set[Value] = field(default_factory=set)
    inputs: frozenset[Value] = frozenset()
    ranges: Ranges = field(default_factory=lambda: Ranges(None))

    def copy(self) -> Plan:
        """A plan without steps, whose decisions are not seen in this one."""
        return Plan(self.fn, [], dict(self.owner), self.order, set(self.registers), self.inputs, self.ranges)

    def walk(self, root: Root) -> Walk:
        """What a root reads."""
        found = Walk()
        todo: list[tuple[Value, At]] = []
        if root.source is root.target:
            found.visits[root.source, root.at] = None
            self._definition(root.source, root.at, todo)
        else:
            todo.append((root.source, root.at))
        todo += [(d.value, d.at) for d in access.dynamics(root.out)]
        while todo:
            v, at = todo.pop()
            if not v.type.shape:
                if not is_literal(v):
                    found.scalars[v] = None
            elif v in self.owner:
                leaf = Leaf(self.owner[v], access.address(at, access.shape_of(v)))
                found.leaves[leaf] = None
                todo += [(d.value, d.at) for d in access.dynamics((leaf.position,))]
            elif (v, at) not in found.visits:
                found.visits[v, at] = None
                self._definition(v, at, todo)
        return found

    def owners(self, v: Value) -> Iterator[Value]:
        """The buffers that a value is read from; for a 0-d value those of the expression that makes it."""
        todo, seen = [v], set()
        while todo:
            x = todo.pop()
            if x in seen:
                continue
            seen.add(x)
            owner = self.owner.get(x)
            if owner is not None:
                yield owner
            elif isinstance(x.owner, Op) and x not in self.registers and not is_literal(x):
                todo.extend(x.owner.operands)

    def _definition(self, v: Value, at: At, todo: list[tuple[Value, At]]) -> None:
        op = v.owner
        assert isinstance(op, Op)
        if access.form(op) == access.SOURCE:
            todo += [(d.value, d.at) for d in access.dynamics(at)]
        todo += [(p.value, p.at) for p in access.parts(op, at)]
        for p in access.parts(op, at) if access.form(op) == access.CHOICE else ():
            for b in p.guard:
                todo += [(d.value, d.at) for d in access.dynamics((b.place,))]


def is_array(v: Value) -> bool:
    """Whether a value is a tensor with elements in memory: neither a scalar nor a stack."""
    return bool(v.type.shape) and not isinstance(v.type, StackType)


def is_literal(v: Value) -> bool:
    """Whether a value is a constant that instructions can hold: a scalar, or one number everywhere."""
    op = v.owner
    if not isinstance(op, Op) or op.kind.name != "constant":
        return False
    if not v.type.shape:
        return True
    array = op.attrs["value"]
    return (bool(array.size) and not any(array.strides)) or (0 < array.size <= 4096 and _uniform(array))


def _uniform(array: object) -> bool:
    import numpy as np

    a = np.asarray(array)
    first = a.flat[0]
    return bool(a.tobytes() == np.full(a.shape, first, a.dtype).tobytes())


def domain_of(shape: Iterable[int]) -> tuple[tuple[int, ...], At]:
    """The shape without its dimensions of size 1, and the position of an element in terms of what is left."""
    domain: list[int] = []
    at: list[Index] = []
    for n in shape:
        if n == 1:
            at.append(ZERO)
        else:
            at.append(variable(len(domain), n))
            domain.append(n)
    return tuple(domain), tuple(at)


def store(op: Op, target: Value) -> tuple[tuple[int, ...], Root]:
    """Domain and root of a whole array."""
    domain, at = domain_of(access.shape_of(target))
    return domain, Root(op, target, target, at, at)


def slots(op: Op, target: Value) -> list[tuple[tuple[int, ...], Root]]:
    """A concatenation as one root per operand, each writing its own range."""
    out, low, axis = [], 0, op.attrs["axis"]
    for v in op.operands:
        domain, at = domain_of(access.shape_of(v))
        place = (*at[:axis], at[axis].plus(low), *at[axis + 1 :])
        out.append((domain, Root(op, target, v, at, place)))
        low += access.shape_of(v)[axis]
    return out


def number(op: Op) -> Root:
    """A 0-d value that is read from arrays."""
    return Root(op, op.results[0], op.results[0], (), ())


def write(op: Op) -> tuple[tuple[int, ...], Root]:
    """Domain and root of an `update` or `add_at`: the slot's."""
    base, v, *dynamic = op.operands
    domain, at = domain_of(access.shape_of(v))
    place = access.slot(op, at, access.shape_of(base), access.shape_of(v), dynamic)
    return domain, Root(op, op.results[0], v, at, place, base=base, add=op.kind.name == "add_at")


def reduction(op: Op) -> tuple[tuple[int, ...], Root]:
    """Domain and root of a reduction."""
    source, target = op.operands[0], op.results[0]
    domain, at = domain_of(access.shape_of(source))
    axes = set(op.attrs["axes"])
    kept = [i for k, i in enumerate(at) if k not in axes]
    place = tuple(ZERO if k in axes else i for k, i in enumerate(at)) if op.attrs["keepdims"] else tuple(kept)
    levels = frozenset(_level(at[k]) for k in axes if at[k] is not ZERO)
    return domain, Root(op, target, source, at, place, access.reduction(op), levels)


def _level(i: Index) -> int:
    (var,) = i.terms
    return var.level  # type: ignore[union-attr]


def numel(v: Value) -> int:
    """The number of elements of a value."""
    return prod(access.shape_of(v))
