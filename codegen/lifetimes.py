"""When buffers are alive: the steps of all blocks on one line, in the order of the text.

A loop takes three more events: `enter` (what it carries is set to the initial values), `yield` (the values of the
next trip take their place) and `leave`; a branch takes a `yield` at the end of each block, where its results are
written. What is read inside a loop but made outside must live until the loop is left; what the other branch of an
`if` reads does not matter to this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..ir.graph import Value
from .plan import Call, Kernel, Number, Plan, Region, Rows, Steps
from .regions import carries, is_loop

Path = tuple[tuple[Region, int], ...]  # the blocks round an event, outermost first


@dataclass(slots=True)
class Event:
    """A step, or a moment of a region. `moves` are the arrays (target -> source, owners) handed on there."""

    step: Steps
    path: Path
    what: str = "step"
    moves: dict[Value, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Piece:
    """A stretch of a value's life: from an event to the last of `ends` that can be reached from there."""

    start: int
    ends: list[int]


class Lifetimes:
    """The events of a plan, and when each buffer is written and read (events by number).

    Attributes:
      reads: reads inside loops of values from outside count as reads at the loop's end.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.events: list[Event] = []
        self.writes: defaultdict[Value, list[int]] = defaultdict(list)
        self.reads: defaultdict[Value, list[int]] = defaultdict(list)
        self.pieces: dict[Value, list[Piece]] = {}
        self._home: dict[Value, Path] = {}
        self._leave: dict[Region, int] = {}
        self._raw: list[tuple[Value, int]] = []
        self._late: list[tuple[Value, Piece]] = []
        self._block(plan, ())
        self.end = len(self.events)
        for v in plan.fn.results:
            self._raw += [(o, self.end) for o in plan.owners(v)]
        for v, k in self._raw:
            self.reads[v].append(self._extended(v, k))
        for v, at in self.writes.items():
            self.pieces.setdefault(v, [Piece(at[0], [])])[0].ends += [*at, *self.reads[v]]
        for v, piece in self._late:
            self.pieces[v].append(piece)

    # -- building ----------------------------------------------------------------------------------------------------

    def _block(self, plan: Plan, path: Path) -> None:
        for step in plan.steps:
            if isinstance(step, Region):
                self._region(step, path)
                continue
            k = self._event(Event(step, path))
            for v in step.targets:
                self._write(v, k, path)
            for v in _read(self.plan, step):
                self._raw.append((v, k))

    def _event(self, event: Event) -> int:
        self.events.append(event)
        return len(self.events) - 1

    def _write(self, v: Value, k: int, home: Path) -> None:
        self.writes[v].append(k)
        self._home.setdefault(v, home)

    def _read(self, v: Value, k: int) -> None:
        self._raw += [(o, k) for o in self.plan.owners(v)]

    def _region(self, step: Region, path: Path) -> None:
        op = step.op
        assert op is not None
        enter = self._event(Event(step, path, "enter"))
        for v in op.operands:
            self._read(v, enter)
        if is_loop(step):
            self._loop(step, path, enter)
        else:
            self._branches(step, path)

    def _loop(self, step: Region, path: Path, enter: int) -> None:
        arrays = carries(step)
        for c in arrays:
            assert c.init is not None
            assert c.param is not None
            self._write(c.param, enter, (*path, (step, 0)))
            self._move(enter, c.param, c.init)
        for i, block in enumerate(step.plans):
            inside = (*path, (step, i))
            self._block(block, inside)
            k = self._event(Event(step, inside, "yield" if block is step.plans[-1] else "test"))
            for v in block.fn.results:
                self._read(v, k)
            if block is not step.plans[-1]:
                self._raw += [(c.param, k) for c in arrays if c.param]  # what the loop gives when it ends here
        leave = self._leave[step] = self._event(Event(step, path, "leave"))
        for c in arrays:
            assert c.param is not None
            self._move(k, c.param, c.given[0])
            self._move(leave, c.result, c.param)
            self._late.append((c.param, Piece(k, [leave])))
            self._write(c.result, leave, path)

    def _branches(self, step: Region, path: Path) -> None:
        arrays = carries(step)
        ends = []
        for i, block in enumerate(step.plans):
            inside = (*path, (step, i))
            self._block(block, inside)
            ends.append(self._event(Event(step, inside, "yield")))
            for v in block.fn.results:
                self._read(v, ends[i])
            for c in arrays:
                self._move(ends[i], c.result, c.given[i])
        leave = self._leave[step] = self._event(Event(step, path, "leave"))
        for c in arrays:
            self._write(c.result, leave, path)
            self._late += [(c.result, Piece(k, [leave])) for k in ends]

    def _move(self, k: int, target: Value, source: Value) -> None:
        owner = self.plan.owner.get(source)
        if owner is not None:
            self.events[k].moves[target] = owner

    def _extended(self, v: Value, k: int) -> int:
        """The end of the outermost loop round event k that `v` is from outside of, or k."""
        if k == self.end:
            return k
        home = {step for step, _ in self._home.get(v, ())}
        for step, _ in self.events[k].path:
            if step not in home and is_loop(step):
                return self._leave[step]
        return k

    def inside(self, v: Value, step: Region) -> bool:
        """Whether a value is made in a block of the region."""
        return any(step is s for s, _ in self._home.get(v, ()))

    # -- questions ---------------------------------------------------------------------------------------------------

    def exclusive(self, a: int, b: int) -> bool:
        """Whether two events lie in different branches of an `if`."""
        if self.end in (a, b):
            return False
        for (p, i), (q, j) in zip(self.events[a].path, self.events[b].path, strict=False):
            if p is not q:
                return False
            if i != j:
                return not is_loop(p)
        return False

    def last_read(self, v: Value, seen_from: int) -> int:
        """The last read of `v` that may come after an event; -1 where there is none at all."""
        return max((k for k in self.reads[v] if not self.exclusive(k, seen_from)), default=-1)

    def span(self, v: Value) -> tuple[int, int]:
        """The first and last event of a value's life."""
        return min(p.start for p in self.pieces[v]), max(max(p.ends) for p in self.pieces[v])


def _read(plan: Plan, step: Steps) -> Iterator[Value]:
    """The buffers that a step reads."""
    if isinstance(step, Number):
        yield from (leaf.owner for leaf in step.reads.leaves)
        for v in step.reads.scalars:
            yield from plan.owners(v)
    elif isinstance(step, Kernel):
        own = {r.target for r in step.roots}
        stored = {(r.target, r.position) for r in step.roots}
        for leaf in step.reads.leaves:
            if leaf.owner not in own or (leaf.owner, leaf.position) not in stored:
                yield leaf.owner
        for v in step.reads.scalars:
            yield from plan.owners(v)
        for r in step.roots:
            if r.base is not None:
                yield plan.owner[r.base]
    elif isinstance(step, Rows):
        for kernel in step.kernels:
            yield from _read(plan, kernel)
    else:
        assert isinstance(step, Call)
        for v in step.inputs:
            yield from plan.owners(v)
