"""Where arrays live: in an input, in a result, in the arena (scratch), or among the module's constants.

Lifetimes come from the order of the steps. A buffer that dies where an elementwise kernel writes another of its
size, element by element at the same place, is taken over; so is the base of an `update` when nobody needs it
afterwards. Results are written in place, also where they may share memory with a donated parameter, if every read
of that parameter comes before or at the very element that is written; else they are made in the arena and copied at
the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..ir.graph import Value
from .plan import Call, Kernel, Plan, Root, numel

ALIGN = 64
_CELL = 8


class Place(NamedTuple):
    """A location: kind `in`, `out`, `scratch` or `const`; `at` is a parameter, a result, or a byte offset."""

    kind: str
    at: int


@dataclass(slots=True)
class Memory:
    """The memory of a function.

    Attributes:
      places: the location of every buffer. scratch: bytes of the arena. copies: (result, owner of its elements) to be
      copied at the end; `staged` says that all sources must be read before any result is written.
    """

    places: dict[Value, Place] = field(default_factory=dict)
    scratch: int = 0
    copies: list[tuple[int, Value]] = field(default_factory=list)
    staged: dict[Value, int] = field(default_factory=dict)


def bytes_of(v: Value) -> int:
    """The bytes that a value's elements take."""
    return numel(v) * (1 if v.type.dtype.is_bool else v.type.dtype.size)


def assign(plan: Plan, donate: Mapping[int, int]) -> Memory:
    """Places for all buffers of a plan. `donate` maps results to the parameters whose memory they may be given."""
    return _Assigner(plan, donate).run()


class _Assigner:
    def __init__(self, plan: Plan, donate: Mapping[int, int]) -> None:
        self.plan = plan
        self.donate = donate
        self.memory = Memory()
        self.end = len(plan.steps)
        self.writes: dict[Value, list[int]] = {}
        self.reads: dict[Value, list[int]] = {}
        self.group: dict[Value, Value] = {}  # buffers that share memory by construction: base and update
        self._collect()

    def _collect(self) -> None:
        for k, step in enumerate(self.plan.steps):
            for v in step.targets:
                self.writes.setdefault(v, []).append(k)
            for v in _read(self.plan, step):
                self.reads.setdefault(v, []).append(k)
        for v in self.plan.fn.results:
            for o in self.plan.owners(v):
                self.reads.setdefault(o, []).append(self.end)

    def last_read(self, v: Value) -> int:
        """The last step that reads a buffer; -1 if none does."""
        return max(self.reads.get(v, [-1]))

    def run(self) -> Memory:
        """Places for everything."""
        for k, p in enumerate(self.plan.fn.params):
            self.memory.places[p] = Place("in", k)
        results = self._results()
        self._join_updates(results)
        self._place_results(results)
        self._arena()
        for k, v in enumerate(self.plan.fn.results):
            o = self.plan.owner.get(v)
            if v.type.shape and o is not None and self.memory.places.get(o) != Place("out", k):
                self.memory.copies.append((k, o))
        self._stage()
        return self.memory

    # -- results and updates -----------------------------------------------------------------------------------------

    def _results(self) -> dict[Value, int]:
        """Buffers made by steps that are results, each with the first result it is."""
        out: dict[Value, int] = {}
        for k, v in enumerate(self.plan.fn.results):
            o = self.plan.owner.get(v)
            if v.type.shape and o is not None and o in self.writes:
                out.setdefault(o, k)
        return out

    def _join_updates(self, results: Mapping[Value, int]) -> None:
        """An update shares its base's memory where the base is not needed afterwards."""
        for k, step in enumerate(self.plan.steps):
            bases = list(_bases(self.plan, step))
            for target, base in bases:
                mine = target not in results or base not in results
                mine = mine and sum(b is base for _, b in bases) == 1  # two updates of one base: each needs its own
                if base in self.writes and self.last_read(base) == k and mine and self._same_place(step, base, target):
                    self.group[target] = self.group.get(base, base)

    def _same_place(self, step: Kernel | Call, v: Value, target: Value) -> bool:
        """Whether the step reads `v` only at the element of `target` that it writes just then."""
        if isinstance(step, Call):
            return step.inputs.count(v) <= 1 and sum(self.plan.owner.get(x) is v for x in step.inputs) <= 1
        if any(v in self.plan.owners(s) for s in step.reads.scalars):
            return False
        positions = {leaf.position for leaf in step.reads.leaves if leaf.owner is v}
        return not positions or (len(positions) == 1 and all(r.position in positions for r in _stores(step, target)))

    def _place_results(self, results: Mapping[Value, int]) -> None:
        for o, k in results.items():
            members = [v for v in self.writes if self.group.get(v, v) is self.group.get(o, o)]
            taken = any(self.memory.places.get(v) for v in members)
            if not taken and self._safe(members, k):
                for v in members:
                    self.memory.places[v] = Place("out", k)

    def _safe(self, members: list[Value], result: int) -> bool:
        """Whether writing these into the result cannot destroy a donated parameter that is still to be read."""
        number = self.donate.get(result)
        if number is None:
            return True
        p = self.plan.fn.params[number]
        for v in members:
            for k in self.writes[v]:
                if self.last_read(p) > k:
                    return False
                step = self.plan.steps[k]
                if k in self.reads.get(p, []) and not (isinstance(step, Kernel) and self._takes_over(step, p, v)):
                    return False
        return True

    def _takes_over(self, step: Kernel, old: Value, new: Value) -> bool:
        """Whether `new` may be written over `old` while the kernel runs: element by element, each read before."""
        roots = _stores(step, new)
        if any(r.base is not None and self.plan.owner[r.base] is old for r in roots):
            return self._same_place(step, old, new) and len(roots) == 1
        positions = {leaf.position for leaf in step.reads.leaves if leaf.owner is old}
        if any(old in self.plan.owners(s) for s in step.reads.scalars) or len(roots) != 1 or len(positions) != 1:
            return False
        same = old.type.dtype.size == new.type.dtype.size and numel(old) == numel(new)
        return same and roots[0].position in positions and not roots[0].reduce and roots[0].base is None

    # -- the arena ---------------------------------------------------------------------------------------------------

    def _arena(self) -> None:
        """First fit by lifetime; 0-d values made by steps have cells of their own at the start."""
        used: list[tuple[int, int, int]] = []  # (offset, bytes, last step)
        cells = 0
        for v in self.writes:
            if not v.type.shape:
                self.memory.places[v] = Place("scratch", cells * _CELL)
                cells += 1
        floor = _aligned(cells * _CELL)
        self.memory.scratch = floor
        for k, step in enumerate(self.plan.steps):
            for v in step.targets:
                if v in self.memory.places:
                    continue
                members = [x for x in self.writes if self.group.get(x, x) is self.group.get(v, v)]
                last = max(max(self.last_read(x), *self.writes[x]) for x in members)
                used = [u for u in used if u[2] >= k]
                size = _aligned(max(bytes_of(v), 1))
                offset = self._taken_over(step, k, v, used)
                if offset is None:
                    offset = _gap(used, size, floor)
                used.append((offset, size, last))
                self.memory.scratch = max(self.memory.scratch, offset + size)
                for x in members:
                    self.memory.places[x] = Place("scratch", offset)

    def _taken_over(self, step: Kernel | Call, k: int, v: Value, used: list[tuple[int, int, int]]) -> int | None:
        """The offset of a buffer that dies in this kernel and that `v` may overwrite."""
        if not isinstance(step, Kernel) or len(self.writes[v]) > 1:
            return None
        for old in dict.fromkeys(leaf.owner for leaf in step.reads.leaves):
            place = self.memory.places.get(old)
            if place is None or place.kind != "scratch" or bytes_of(old) != bytes_of(v):
                continue
            sharers = [x for x in self.writes if self.memory.places.get(x) == place and x is not old]
            if any(max(self.last_read(x), *self.writes[x]) >= k for x in sharers) or self.last_read(old) != k:
                continue
            if self._takes_over(step, old, v):
                used[:] = [u for u in used if u[0] != place.at or u[2] != k]
                return place.at
        return None

    def _stage(self) -> None:
        """Final copies whose source another result may overwrite go through the arena."""
        donated = {self.plan.fn.params[p]: r for r, p in self.donate.items()}
        if len(self.memory.copies) < 2:
            return
        for k, o in self.memory.copies:
            if o in donated and donated[o] != k and o not in self.memory.staged:
                self.memory.staged[o] = self.memory.scratch
                self.memory.scratch += _aligned(bytes_of(o))


def _stores(step: Kernel, target: Value) -> list[Root]:
    return [r for r in step.roots if r.target is target]


def _bases(plan: Plan, step: Kernel | Call) -> Iterator[tuple[Value, Value]]:
    """(target, base) of the step's writes into a slot."""
    if isinstance(step, Kernel):
        for r in step.roots:
            if r.base is not None:
                yield r.target, plan.owner[r.base]
    elif step.op is not None and step.op.kind.name == "scatter_add":
        yield step.op.results[0], plan.owner[step.inputs[0]]


def _read(plan: Plan, step: Kernel | Call) -> Iterator[Value]:
    if isinstance(step, Kernel):
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
    else:
        for v in step.inputs:
            yield from plan.owners(v)


def _aligned(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


def _gap(used: list[tuple[int, int, int]], size: int, floor: int) -> int:
    """The lowest free offset with room for `size` bytes."""
    at = floor
    for offset, taken, _ in sorted(used):
        if offset - at >= size:
            break
        at = max(at, offset + taken)
    return at
