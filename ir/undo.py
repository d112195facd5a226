"""Undoing writes: how the reverse of a loop gets back the arrays that the loop changed in place.

A body that reads rows of an array and writes an element (`A[i, j] -= A[i, :j] @ A[j, :j]`) would have its reverse save
the rows. Cheaper is to save what the write is about to destroy, the element's old value. The reverse loop then carries
the array itself: it starts from its last value, and right before the reverse of each write it puts the old slot back,
bits and all. So the reverse of every op finds the array as the op saw it, and reads it again instead of a copy.

The values that the array takes in one trip, each made from the one before by a write or by a loop of writes, are a
`Chain`. Its `undo` is chosen where what must be saved then is at most half of what would be saved otherwise. A value
that is read from a state that the reverse has not gone back to yet when it is needed is saved in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .activity import Carried, carried, is_loop
from .builder import IRBuilder
from .dims import DimLike
from .graph import Block, Op, Value, clone_op
from .idle import idle, slot
from .opdef import get
from .partition import GUESS
from .residuals import Residuals, bytes_of, cheap
from .rewrite import inputs

if TYPE_CHECKING:
    from .ledger import Note
    from .reverse_control import RegionReverse, Thread

_WRITES = {"update", "add_at"}
GAIN = 2  # undoing saves at most one GAIN-th of what is saved otherwise, or is not done
_LAST = 1 << 60
# A place in the reverse block: before the op of this number, and there in the order of the second number.
Place = tuple[int, int]
FRONT: Place = (-1, 0)


@dataclass(slots=True)
class Link:
    """One change of the array: `op` made `after` from `before`.

    `old` is what the slot held: None for a loop, and for a write that changes nothing, as `A[i] = A[i]` does, which is
    how `A[i] += x` ends.
    """

    op: Op
    before: Value
    after: Value
    old: Value | None = None

    @property
    def writes(self) -> bool:
        """Whether it overwrites a slot."""
        return self.op.kind.name in _WRITES and not idle(self.op)


@dataclass(slots=True)
class Chain:
    """What a loop does to one array that it carries, in program order."""

    carried: Carried
    links: list[Link]

    def versions(self) -> list[Value]:
        """The values that the array takes in one trip."""
        return [self.carried.param, *(link.after for link in self.links)]


@dataclass(slots=True)
class Plan:
    """What the reverse of a loop saves and repeats when it undoes some chains.

    Attributes:
      saved, again: see `Residuals`. at: where in the reverse block a value can be had; at the front if not listed.
    """

    chains: list[Chain]
    saved: list[Value]
    again: list[Op]
    at: dict[Value, Place] = field(default_factory=dict)

    def explain(self, note: Note) -> None:
        """Says of the old values of slots which write needs them."""
        writes = {x.old: x.op for c in self.chains for x in c.links if x.old is not None}
        for v, k in zip(self.saved, note.kept, strict=True):
            if v in writes and k.why[1] is None:
                k.why = (writes[v].kind.name, writes[v].loc)


def chains(op: Op) -> list[Chain]:
    """The arrays that a loop carries and only changes by writes into slots, in its body or in loops there."""
    body = op.regions[-1]
    inside = {id(x) for x in body.ops}
    return [Chain(c, links) for c in carried(op) if c.param.type.shape and (links := _links(c, inside))]


def _links(c: Carried, inside: set[int]) -> list[Link] | None:
    """How the body gets from the parameter to what it yields; None where it does more than write into slots."""
    found, v = [], c.given
    while v is not c.param:
        before = _before(v) if isinstance(v.owner, Op) and id(v.owner) in inside else None
        if before is None:
            return None
        assert isinstance(v.owner, Op)
        found.append(Link(v.owner, before, v))
        v = before
    return found[::-1]


def _before(v: Value) -> Value | None:
    """The array that an op changed into this one."""
    op = v.owner
    assert isinstance(op, Op)
    if op.kind.name in _WRITES:
        return op.operands[0]
    if is_loop(op):
        return next((c.carried.start for c in chains(op) if c.carried.result is v), None)
    return None


def _least(chain: Chain) -> int:
    """What undoing the writes of a chain saves at least, in one trip."""
    return sum(bytes_of(x.op.operands[1]) for x in chain.links if x.writes)


def _all(link: Link) -> int:
    """What undoing a loop saves that its own reverse does not."""
    inner = next(c for c in chains(link.op) if c.carried.result is link.after)
    return GUESS * (_least(inner) + sum(_all(x) for x in inner.links if is_loop(x.op)))


class Undo:
    """Chooses what the reverse of a loop undoes, and writes that.

    Attributes:
      candidates: the chains to choose from. late: loops that do nothing but undo, and where they stand.
    """

    def __init__(self, region: RegionReverse, candidates: list[Chain]) -> None:
        self.region, self.body, self.block = region, region.body, region.block
        self.candidates = candidates
        self.late: list[tuple[Place, Op]] = []
        n = len(self.body.ops)
        self._turn = {id(op): n - i for i, op in enumerate(self.body.ops)}

    # ------------------------------------------------------------ choice
    def choose(self, usual: Residuals, trips: DimLike | None, outer_keeps: Iterable[Value] | None) -> Plan | None:
        """The plan that saves least, if that is at most half of what is saved otherwise.

        Args:
          outer_keeps: arrays whose last value is to be had without saving it; None where all are.
        """
        most = sum(bytes_of(v) for v in usual.saved)
        if not self.candidates or most < GAIN * min(_least(c) for c in self.candidates):
            return None
        many = trips if isinstance(trips, int) and trips > 0 else GUESS
        kept = None if outer_keeps is None else set(outer_keeps)

        def cost(plan: Plan) -> int:
            ends = [c.carried.result for c in plan.chains if kept is not None and c.carried.result not in kept]
            further = [x for c in plan.chains for x in c.links if is_loop(x.op) and self._thread(x) is None]
            saved = sum(bytes_of(v) for v in plan.saved) + sum(bytes_of(v) // many for v in ends)
            return saved + sum(_all(x) for x in further)

        self._look(self.candidates)
        best = self._best(cost)
        if best is None or GAIN * cost(best) > most:
            self._forget(self.candidates)
            return None
        self._forget([c for c in self.candidates if c not in best.chains])
        return self.settle(best.chains)

    def _best(self, cost: Callable[[Plan], int]) -> Plan | None:
        """Leaves out one chain after the other as long as that does not cost more."""
        chosen = list(self.candidates)
        best = self._plan(chosen)
        for c in self.candidates:
            fewer = [x for x in chosen if x is not c]
            plan = self._plan(fewer)
            if plan is not None and (best is None or cost(plan) <= cost(best)):
                chosen, best = fewer, plan
        return best if chosen else None

    def settle(self, chosen: list[Chain]) -> Plan | None:
        """Makes the loops in the body undo what their own reverse does not, and plans with that."""
        self._look(chosen)
        for chain in chosen:
            for link in chain.links:
                if is_loop(link.op) and self._thread(link) is None:
                    self._force(link)
        missing = any(is_loop(x.op) and self._thread(x) is None for c in chosen for x in c.links)
        return None if missing else self._plan(chosen)

    def _force(self, link: Link) -> None:
        from .reverse_loop import Loop

        cotangents = self.region.beside()
        loop = Loop(cotangents, link.op, [None] * len(link.op.results))
        loop.forced = [c for c in chains(link.op) if c.carried.result is link.after]
        loop.run()
        at = (self._mark(link.op), self._turn[id(link.op)])
        self.late += [(at, op) for op in cotangents.b.block.ops]
        self.region.cotangents.threads += cotangents.threads
        self.region.cotangents.undone += cotangents.undone

    def _look(self, chosen: Iterable[Chain]) -> None:
        """Reads each slot right before it is written, where the body does not read it anyway."""
        for chain in chosen:
            for link in chain.links:
                if link.writes and link.old is None:
                    link.old = self._same_read(link) or self._read(link)

    def _same_read(self, link: Link) -> Value | None:
        wanted, operands = slot(link.op), [link.before, *link.op.operands[2:]]
        for op in self.body.ops:
            if op.kind.name == "slice" and op.operands == operands and op.attrs == wanted:
                return op.result
        return None

    def _read(self, link: Link) -> Value:
        b = IRBuilder(Block(), link.op.loc)
        operands = [link.before, *link.op.operands[2:]]
        old = b.emit(get("slice"), operands, slot(link.op))[0]
        at = next(i for i, op in enumerate(self.body.ops) if op is link.op)
        self.body.ops[at:at] = b.block.ops
        return old

    def _forget(self, left: Iterable[Chain]) -> None:
        """Takes out the reads that `_look` made for chains that are not undone."""
        dead = {
            id(x.old.owner) for c in left for x in c.links if x.old is not None and id(x.old.owner) not in self._turn
        }
        self.body.ops = [op for op in self.body.ops if id(op) not in dead]

    # ------------------------------------------------------------ plan
    def _mark(self, op: Op) -> int:
        return self.region.begins(op)

    def _thread(self, link: Link) -> Thread | None:
        return next((t for t in self.region.cotangents.undone if t.end is link.after), None)

    def _given_back(self, link: Link) -> Place:
        """Where in the reverse block the state before a change can be had."""
        thread = self._thread(link) if is_loop(link.op) else None
        if thread is not None:
            for i, op in enumerate(self.block.ops):
                if thread.back in op.results:
                    return (i + 1, 0)
        return (self._mark(link.op), self._turn[id(link.op)])

    def _plan(self, chosen: list[Chain]) -> Plan | None:
        """What undoing these chains takes; None where a state is read before the reverse is back at it."""
        states: dict[Value, Place] = {}
        needed = self._needed()
        old: set[Value] = set()
        for chain in chosen:
            place = FRONT
            for link in reversed(chain.links):
                states[link.after] = place
                if link.writes or is_loop(link.op):
                    place = max(place, self._given_back(link))
                if link.old is not None:
                    old.add(link.old)
                    before = (place[0], place[1] - 1)
                    for v in (link.old, *link.op.operands[2:]):
                        needed[v] = min(needed.get(v, before), before)
            states[chain.carried.param] = place
        return self._fixed(chosen, states, needed, old)

    def _fixed(
        self, chosen: list[Chain], states: dict[Value, Place], needed: dict[Value, Place], kept: set[Value]
    ) -> Plan | None:
        own = {*self.body.params, *(r for op in self.body.ops for r in op.results)}
        needed = {v: p for v, p in needed.items() if v in own}
        given = {*self.region.known, *states}
        while True:
            found = Residuals(self.body, needed, given, lambda op: cheap(op) and op.result not in kept)
            at = dict(states)
            for op in found.again:
                place = max((at.get(x, FRONT) for x in op.operands), default=FRONT)
                if place > FRONT:
                    at[op.result] = place
            late = [v for v, p in needed.items() if at.get(v, FRONT) > p]
            if not late:
                return Plan(chosen, found.saved, found.again, at)
            if any(v in states for v in late):
                return None
            kept.update(late)

    def _needed(self) -> dict[Value, Place]:
        """The values that the reverse block reads from outside, and where it first does."""
        ends = {t.end for t in self.region.cotangents.threads}
        found: dict[Value, Place] = {}
        for at, op in self.late:
            found.update({v: min(at, found.get(v, at)) for v in inputs(op) if v not in ends})
        for i, op in enumerate(self.block.ops):
            for v in inputs(op):
                if v not in ends:
                    found[v] = min(found.get(v, (i, _LAST)), (i, _LAST))
        return found

    # ------------------------------------------------------------ writing
    def write(self, plan: Plan, starts: Sequence[Value], mapping: dict[Value, Value]) -> list[Value]:
        """Puts what undoes the chains, and what reads them again, into the reverse block.

        Args:
          starts: what the block has of each chain: the array as the trip left it. mapping: what stands for the body's
            values; extended.

        Returns:
          Each chain's array as the trip found it.
        """
        placed: list[tuple[Place, int, list[Op]]] = [(at, 0, [op]) for at, op in self.late]
        undos = self._undos(plan, starts, mapping)
        items = [(plan.at.get(op.result, FRONT), 1, op) for op in plan.again] + undos
        for place, turn, op in sorted(items, key=lambda x: x[:2]):
            placed.append((place, turn, [clone_op(op, mapping) if turn else op]))
        self._merge(sorted(placed, key=lambda x: x[:2]))
        return [mapping[c.carried.param] for c in plan.chains]

    def _undos(self, plan: Plan, starts: Sequence[Value], mapping: dict[Value, Value]) -> list[tuple[Place, int, Op]]:
        """The ops that put slots back, reading the body's values; `mapping` learns every state."""
        made: list[tuple[Place, int, Op]] = []
        for chain, start in zip(plan.chains, starts, strict=True):
            mapping[chain.carried.given] = start
            for link in reversed(chain.links):
                if link.old is not None:
                    where = {"starts": link.op.attrs["starts"], "strides": link.op.attrs["strides"]}
                    operands = [mapping[link.after], link.old, *link.op.operands[2:]]
                    undo = Op(get("update"), operands, where, (), [link.before.type], link.op.loc)
                    mapping[link.before] = undo.result
                    made.append((plan.at[link.before], 0, undo))
                else:
                    thread = self._thread(link) if is_loop(link.op) else None
                    back = link.after if thread is None else thread.back
                    mapping[link.before] = mapping.get(back, back)
        return made

    def _merge(self, placed: list[tuple[Place, int, list[Op]]]) -> None:
        out: list[Op] = []
        k = 0
        for i, op in enumerate(self.block.ops):
            while k < len(placed) and placed[k][0][0] <= i:
                out += placed[k][2]
                k += 1
            out.append(op)
        self.block.ops = out
