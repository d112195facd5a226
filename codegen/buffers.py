"""Where arrays live: in an input, in a result, in the arena (scratch), or among the module's constants.

Lifetimes come from the order of the steps (`lifetimes.py`). Values that are never alive together may form a group
that shares memory: an `update` with its base, what a loop carries with its initial value, its next value and the
loop's result. A buffer that dies where an elementwise kernel writes another of its size, element by element at the
same place, is taken over. Where the next value of something carried cannot share its memory, both areas change roles
after each trip (a ring: the pointers turn, nothing is copied). Results are written in place, also where they may
share memory with a donated parameter, if every read of that parameter comes before or at the very element that is
written; else they are made in the arena and copied at the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..ir.graph import Value
from ..ir.sizes import is_named
from .free_space import FreeSpace
from .lifetimes import Lifetimes, Piece
from .overlap import apart
from .plan import Call, Kernel, Plan, Region, Root, Rows, Steps, numel
from .regions import carries, is_loop
from .special import SCATTERS

ALIGN = 64
_PAGE = 4096
_CELL = 8


class Place(NamedTuple):
    """A location: kind `in`, `out`, `scratch` or `ring`; `at` is a parameter, a result, a byte offset, or a number."""

    kind: str
    at: int


@dataclass(slots=True)
class Memory:
    """The memory of a function.

    Attributes:
      places: the location of every buffer. scratch: bytes of the arena. copies: (result, owner of its elements) to be
      copied at the end; `staged` says that all sources must be read before any result is written. rings: places whose
      areas change roles at run time, with the number of the ring they belong to and the offset of the area they have
      at first. turns: for each loop what is carried (parameter -> source of its next value) by turning a ring.
    """

    places: dict[Value, Place] = field(default_factory=dict)
    scratch: int = 0
    copies: list[tuple[int, Value]] = field(default_factory=list)
    staged: dict[Value, int] = field(default_factory=dict)
    rings: dict[Place, tuple[int, int]] = field(default_factory=dict)
    turns: dict[Region, dict[Value, Value]] = field(default_factory=dict)


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
        self.life = Lifetimes(plan)
        self.group: dict[Value, list[Value]] = {v: [v] for v in self.life.writes}  # values that share memory
        self.ring: dict[int, list[list[Value]]] = {}  # id of a group -> the groups of its ring
        self.residents: defaultdict[Place, list[Value]] = defaultdict(list)

    def run(self) -> Memory:
        """Places for everything."""
        for k, p in enumerate(self.plan.fn.params):
            self.memory.places[p] = Place("in", k)
        self._keep_local()
        results = self._results()
        self._join_updates(results)
        self._join_moves()
        self._turn()
        self._place_results(results)
        self._arena()
        for k, v in enumerate(self.plan.fn.results):
            o = self.plan.owner.get(v)
            if v.type.shape and o is not None and self.memory.places.get(o) != Place("out", k):
                self.memory.copies.append((k, o))
        self._stage()
        return self.memory

    def _keep_local(self) -> None:
        """Finds what only the kernels of one step read: it gets no place, but the rows of a block on the stack."""
        for k, event in enumerate(self.life.events):
            step = event.step
            if isinstance(step, Rows):
                for v, stride in step.strides.items():
                    if self.life.span(v) == (k, k):
                        step.local[v] = stride
                        del self.group[v]

    def _results(self) -> dict[Value, int]:
        """Buffers made by steps that are results, each with the first result it is."""
        out: dict[Value, int] = {}
        for k, v in enumerate(self.plan.fn.results):
            o = self.plan.owner.get(v)
            if v.type.shape and o is not None and o in self.group:
                out.setdefault(o, k)
        return out

    # -- groups ------------------------------------------------------------------------------------------------------

    def _join(self, a: Value, b: Value) -> None:
        small, large = sorted((self.group[a], self.group[b]), key=len)
        if small is not large:
            large += small
            self.group.update((v, large) for v in small)

    def _join_updates(self, results: Mapping[Value, int]) -> None:
        """An update shares its base's memory where the base is not needed afterwards."""
        for k, event in enumerate(self.life.events):
            bases = list(_bases(self.plan, event.step)) if event.what == "step" else []
            for target, base in bases:
                mine = target not in results or base not in results
                mine = mine and sum(b is base for _, b in bases) == 1  # two updates of one base: each needs its own
                if not mine or base not in self.group or target not in self.group or self.life.last_read(base, k) != k:
                    continue
                if self._same_place(event.step, base, target):
                    self._join(target, base)

    def _join_moves(self) -> None:
        """What is handed on by a region shares memory with where it came from, if they are never alive together."""
        moments = sorted(self.life.events, key=lambda e: ("leave", "yield", "enter").index(e.what) if e.moves else 3)
        for event in moments:
            for target, source in event.moves.items():
                if source in self.group and not self._interfere(target, source):
                    self._join(target, source)

    def _interfere(self, a: Value, b: Value) -> bool:
        """Whether some members of two groups are alive together."""
        if self.group[a] is self.group[b]:
            return False
        return any(
            self._overlap(x, p, y, q)
            for x in self.group[a]
            for y in self.group[b]
            for p in self.life.pieces[x]
            for q in self.life.pieces[y]
        )

    def _overlap(self, a: Value, p: Piece, b: Value, q: Piece) -> bool:
        if self.life.exclusive(p.start, q.start):
            return False
        if p.start > q.start:
            a, p, b, q = b, q, a, p
        last = max((k for k in p.ends if not self.life.exclusive(k, q.start)), default=-1)
        if p.start == q.start or last > q.start:
            return True
        return last == q.start and not self._handed_over(q.start, a, b)

    def _handed_over(self, k: int, old: Value, new: Value) -> bool:
        """Whether at an event that reads `old` for the last time `new` may be written over it."""
        event = self.life.events[k]
        if event.what != "step":
            return event.moves.get(new) is old and sum(v is old for v in event.moves.values()) == 1
        if isinstance(event.step, Kernel):
            return self._takes_over(event.step, old, new)
        return (new, old) in _bases(self.plan, event.step) and self._same_place(event.step, old, new)

    def _same_place(self, step: Steps, v: Value, target: Value) -> bool:
        """Whether the step reads `v` only at the element of `target` that it writes just then."""
        if not isinstance(step, Kernel):
            assert isinstance(step, Call)
            return step.inputs.count(v) <= 1 and sum(self.plan.owner.get(x) is v for x in step.inputs) <= 1
        if any(v in self.plan.owners(s) for s in step.reads.scalars):
            return False
        written = [r.position for r in _stores(step, target)]
        positions = {leaf.position for leaf in step.reads.leaves if leaf.owner is v}
        positions = {p for p in positions if not all(apart(p, w, self.plan.ranges) for w in written)}
        return not positions or (len(positions) == 1 and all(w in positions for w in written))

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

    # -- rings -------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Finds the loops whose carried arrays change areas from trip to trip."""
        for event in self.life.events:
            step = event.step
            if event.what != "leave" or not isinstance(step, Region) or not is_loop(step):
                continue
            turns: dict[Value, Value] = {}
            arrays = [(c.param, self.plan.owner.get(c.given[0])) for c in carries(step)]
            taken = {id(self.group[p]) for p, v in arrays if p and v in self.group and self.group[v] is self.group[p]}
            for p, v in arrays:
                assert p is not None
                if v is None or v not in self.group or id(self.group[v]) in taken or not self.life.inside(v, step):
                    continue
                if all(bytes_of(x) == bytes_of(p) for x in (*self.group[v], *self.group[p])):
                    taken.add(id(self.group[v]))
                    turns[p] = v
                    self._link(self.group[p], self.group[v])
            self.memory.turns[step] = turns

    def _link(self, a: list[Value], b: list[Value]) -> None:
        one, other = (self.ring.setdefault(id(g), [g]) for g in (a, b))
        if one is not other:
            one += other
            self.ring.update((id(g), one) for g in other)

    # -- results -----------------------------------------------------------------------------------------------------

    def _place_results(self, results: Mapping[Value, int]) -> None:
        for o, k in results.items():
            members = self.group[o]
            taken = any(v in self.memory.places for v in members) or id(members) in self.ring
            if not taken and self._safe(members, k):
                self._settle(members, Place("out", k))

    def _settle(self, members: list[Value], place: Place) -> None:
        self.memory.places.update((v, place) for v in members)
        self.residents[place] += members

    def _safe(self, members: list[Value], result: int) -> bool:
        """Whether writing these into the result cannot destroy a donated parameter that is still to be read."""
        number = self.donate.get(result)
        if number is None:
            return True
        p = self.plan.fn.params[number]
        reads = self.life.reads[p]
        last = max(reads, default=-1)
        for v in members:
            for k in self.life.writes[v]:
                if last > k or (k in reads and not self._handed_over(k, p, v)):
                    return False
        return True

    # -- the arena ---------------------------------------------------------------------------------------------------

    def _arena(self) -> None:
        """First fit by lifetime; 0-d values made by steps have cells of their own at the start."""
        cells = [v for v in self.group if not v.type.shape]
        for n, v in enumerate(cells):
            self.memory.places[v] = Place("scratch", n * _CELL)
        floor = _aligned(len(cells) * _CELL)
        self.memory.scratch = floor
        space = FreeSpace(floor)
        for number, (start, end, ring) in enumerate(self._units()):
            space.release(start)
            for members in ring:
                size = _apart(_aligned(max(max(map(bytes_of, members)), 1)))
                offset = self._taken_over(start, members) if len(ring) == 1 else None
                if offset is None:
                    offset = space.take(size, end)
                else:
                    space.renew(offset, end)
                self.memory.scratch = max(self.memory.scratch, offset + size)
                place = Place("scratch", offset)
                if len(ring) > 1:
                    place = Place("ring", len(self.memory.rings))
                    self.memory.rings[place] = number, offset
                self._settle(members, place)

    def _units(self) -> list[tuple[int, int, list[list[Value]]]]:
        """The rings (groups without one alone) in the order of their first event, with that and their last one."""
        out: dict[int, tuple[int, int, list[list[Value]]]] = {}
        for v, members in self.group.items():
            ring = self.ring.get(id(members), [members])
            if v not in self.memory.places and id(ring[0]) not in out:
                spans = [self.life.span(x) for g in ring for x in g]
                out[id(ring[0])] = min(s for s, _ in spans), max(e for _, e in spans), ring
        return sorted(out.values(), key=lambda u: u[0])

    def _taken_over(self, k: int, members: list[Value]) -> int | None:
        """The offset of a buffer that dies in this kernel and that these values may overwrite."""
        step = self.life.events[k].step
        v = min(members, key=lambda x: self.life.writes[x][0])
        if not isinstance(step, Kernel) or v not in step.targets or len(self.life.writes[v]) > 1:
            return None
        for old in dict.fromkeys(leaf.owner for leaf in step.reads.leaves):
            place = self.memory.places.get(old)
            if place is None or place.kind != "scratch" or bytes_of(old) != bytes_of(v):
                continue
            # Units come in the order of their first events: who is gone by now need not be asked again.
            here = self.residents[place] = [x for x in self.residents[place] if self.life.span(x)[1] >= k]
            if all(x is old for x in here) and self.life.span(old)[1] == k and self._takes_over(step, old, v):
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
                self.memory.scratch += _apart(_aligned(bytes_of(o)))


def _stores(step: Kernel, target: Value) -> list[Root]:
    return [r for r in step.roots if r.target is target]


def _bases(plan: Plan, step: Steps) -> Iterator[tuple[Value, Value]]:
    """(target, base) of the step's writes into a slot, without those that are needed in this kernel only."""
    if isinstance(step, Kernel):
        for r in step.roots:
            if r.base is not None and r.kept:
                yield r.target, plan.owner[r.base]
    elif isinstance(step, Call) and step.op is not None and step.op.kind.name in SCATTERS:
        yield step.op.results[0], plan.owner[step.inputs[0]]


def _aligned(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


def _apart(size: int) -> int:
    """The size with padding after it, so that the next buffer does not begin at nearly the same place in a page.

    A load whose address differs from that of a store before it by about a multiple of 4 kB waits for the store (Intel's
    and AMD's memory disambiguation compare the low 12 bits): a stencil over buffers of 4000 bytes takes twice as long.
    """
    if is_named(size) or size < _PAGE // 4 or _PAGE // 4 <= size % _PAGE <= _PAGE * 3 // 4:
        return size
    return size + (_PAGE // 4 + ALIGN - size) % _PAGE
