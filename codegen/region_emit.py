"""Loops and branches as LLVM blocks in `main`: scalars that are carried are phis, so they stay in registers.

The code of a block is collected apart and pasted when it is complete: until then the code before can still take what
every trip needs (addresses, scalars from outside). Arrays that are carried stay where they are, or the pointers to
the areas of a ring turn; then the pointers are phis, too. Loops test at the end of a trip, after one test before the
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..ir.graph import Op, Value
from ..ir.types import StackType
from . import regions
from .buffers import Place, bytes_of
from .emitter import Emitter, Reg
from .plan import Kernel, Plan, Region, is_array, is_literal, store
from .polls import defined
from .scope import Scope, Val

if TYPE_CHECKING:
    from .module import ModuleWriter


@dataclass(slots=True)
class _Phi:
    """A register that changes from trip to trip (`at` where it begins, `now` inside, `next` for the next trip)."""

    at: Reg
    now: Reg
    next: Reg | None = None
    resumed: Reg | None = None  # the next trip's after a poll, where that differs

    def line(self, before: str, latch: str, poll: str) -> str:
        assert self.next is not None
        ways = [(self.at, before), (self.next, latch)]
        if poll:
            ways.append((self.resumed or self.next, poll))
        return f"{self.now.text} = phi {self.now.ty} " + ", ".join(f"[{r.text}, %{b}]" for r, b in ways)


@dataclass(slots=True)
class _Latch:
    """The end of a counted loop's trip: the blocks from which it goes back and from which it is left. `stop`: where it
    stops next, to poll or at its end."""

    back: str
    leave: str
    stop: _Phi | None = None


class RegionWriter:
    """Writes one region into the body of `main`."""

    def __init__(self, module: ModuleWriter, step: Region) -> None:
        assert step.op is not None
        self.m = module
        self.step = step
        self.op: Op = step.op
        self.outer: Scope = module.scope
        self.arrays = regions.carries(step)
        self.poll = module.polls.of(self.op) if regions.is_loop(step) else None

    def write(self) -> None:
        """The code; results go to the scope and the buffers round it."""
        kind, ways_out = self.op.kind.name, self.m.ways_out
        if kind == "if":
            self._if()
        elif kind == "for":
            self._for()
        else:
            self._while()
        if kind != "if" and self.m.ways_out > ways_out:
            self.m.torn |= self.m.written  # what a trip writes, the next one may leave behind

    # -- pieces of loops ---------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        """Initial values in place, and everything computed that the loop only reads."""
        for c in self.arrays:
            assert c.init is not None
            assert c.param is not None
            if not regions.overwritten(self.op, c.number):
                self._hand(c.init, c.param)
        inside = set(defined(self.op))
        for plan in self.step.plans:
            for v in dict.fromkeys(regions.scalars(plan)):
                if v not in inside and not is_literal(v) and not isinstance(v.type, StackType):
                    self.m.number(v)

    def _hand(self, source: Value, target: Value, pointer: str | None = None) -> None:
        """Makes `target` hold what `source` holds; `pointer` is where that is, if not where it always is."""
        owner = self.m.plan.owner.get(source)
        if owner is None:
            domain, root = store(self.op, target)
            root.source = source
            kernel = Kernel(-1, domain=domain, roots=[root], reads=self.m.plan.walk(root))
            self.m.kernel(kernel)
        elif pointer is not None:
            self.m.move(pointer, self.m.pointer(target), bytes_of(target))
            self.m.wrote(target)
        else:
            self.m.copy(owner, target)

    def _carried(self, inits: Iterable[Value]) -> list[_Phi | None]:
        """A phi for every scalar that is carried; None for arrays."""
        out: list[_Phi | None] = []
        for v in inits:
            at = None if is_array(v) else self.m.register(v)
            out.append(None if at is None else self._phi(at))
        return out

    def _phi(self, at: Reg) -> _Phi:
        return _Phi(at, Reg(self.outer.scalar.fresh(), at.ty))

    def _areas(self) -> dict[Place, _Phi]:
        """A phi for the pointer to every area that changes its role in this loop or one inside it."""
        rings = {self.m.memory.rings[p][0] for p in _turning(self.m.memory.places, self.m.memory.turns, self.step)}
        places = sorted(p for p, (n, _) in self.m.memory.rings.items() if n in rings)
        return {p: self._phi(Reg(self.m.area(p), "ptr")) for p in places}

    def _resumed(self) -> str:
        return self.poll.block if self.poll else ""

    def _inner(self, parent: Scope, label: str) -> Scope:
        return Scope(parent, -1, parent.scalar.fork(0, block=label), 0)

    def _run(self, plan: Plan, scope: Scope, params: Iterable[Value], phis: Iterable[_Phi | None]) -> None:
        """The steps of a block with its scalar parameters bound."""
        for p, phi in zip(params, phis, strict=True):
            if phi is not None:
                scope.memo[p] = Val(phi.now, -1)
        self.m.scope = scope
        self.m.steps(plan)

    def _yield(self, plan: Plan, phis: list[_Phi | None], areas: Mapping[Place, _Phi]) -> None:
        """The values of the next trip."""
        for v, phi in zip(plan.fn.results, phis, strict=True):
            if phi is not None:
                phi.next = self.m.register(v)
        self._hand_on()
        for place, phi in areas.items():
            phi.next = Reg(self.m.area(place), "ptr")

    def _hand_on(self) -> None:
        """Arrays of the next trip: rings turn, the rest is copied to areas that nobody takes."""
        m = self.m
        turns = m.memory.turns[self.step]
        places, copies = m.memory.places, []
        for c in self.arrays:
            assert c.param is not None
            owner = m.plan.owner.get(c.given[0])
            if c.param not in turns and (owner is None or places.get(owner) != places[c.param]):
                copies.append((c.given[0], c.param, None if owner is None else m.pointer(owner)))
        to = {places[p]: places[v] for p, v in turns.items()}
        touched = sorted({*to, *to.values(), *(places[p] for _, p, _ in copies if places[p] in m.memory.rings)})
        areas = {p: m.area(p) for p in touched}
        free = [p for p in touched if p not in to.values()]
        for p in touched:
            source = to.get(p)
            if source is None:
                source = next(q for q in free if m.memory.rings[q][0] == m.memory.rings[p][0])
                free.remove(source)
            m.areas[p] = areas[source]
        for value, param, pointer in copies:
            self._hand(value, param, pointer)

    def _paste(self, em: Emitter, inner: Emitter, lines: Iterable[str]) -> None:
        for line in lines:
            em.raw(line)
        em.lines.extend(inner.lines)
        em.body.block = inner.block

    def _results(self, regs: Iterable[Reg | None]) -> None:
        for v, reg in zip(self.op.results, regs, strict=True):
            if reg is not None:
                self.outer.memo[v] = Val(reg, -1)

    # -- for ---------------------------------------------------------------------------------------------------------

    def _for(self) -> None:
        m, outer = self.m, self.outer
        low, high, by = (m.register(v) for v in self.op.operands[:3])
        (plan,) = self.step.plans
        self._enter()
        phis, areas = self._carried(self.op.operands[3:]), self._areas()
        before_areas = dict(m.areas)
        index = self._phi(low)
        label, out = outer.scalar.new_label("for"), outer.scalar.new_label("end")
        count = self._trips(low, high, by)
        m.areas.update((p, phi.now.text) for p, phi in areas.items())
        inner = self._inner(outer, label)
        self._run(plan, inner, plan.fn.params, [index, *phis])
        self._yield(plan, phis, areas)
        em, body = outer.scalar, inner.scalar
        index.next = body.add(index.now, by)
        m.scope = inner
        latch = self._latch(body, (index, count), (high, by), (label, out))
        m.scope = outer
        start = self._start(low, high, by)
        em.raw(f"br label %{label}" if start is None else f"br i1 {start.text}, label %{label}, label %{out}")
        before = em.block
        em.label(label)
        live = [p for p in (index, count, latch.stop, *phis, *areas.values()) if p is not None]
        self._paste(em, body, (p.line(before, latch.back, self._resumed()) for p in live))
        em.label(out)

        def end(phi: _Phi) -> Reg:
            assert phi.next is not None
            return phi.next if start is None else em.phi(phi.at.ty, (phi.at, before), (phi.next, latch.leave))

        self._results([None if p is None else end(p) for p in phis])
        m.areas = before_areas | {p: end(phi).text for p, phi in areas.items()}
        if self.poll:
            self.poll.end(em)

    def _latch(
        self, body: Emitter, counters: tuple[_Phi, _Phi | None], bounds: tuple[Reg, Reg], labels: tuple[str, str]
    ) -> _Latch:
        """The end of a trip: back to the first label, or on to the second."""
        (index, count), (high, by), (label, out), poll = counters, bounds, labels, self.poll
        assert index.next is not None
        at, last, up = index.next, high, _known(by) == 1
        if count is not None:
            count.next = body.sub(count.now, 1)
            at, last, up = count.now, Reg("0", count.now.ty), False
        if poll is None or poll.shared:
            again, latch = body.compare("ne", at, last), body.block
            if poll is None:
                body.raw(f"br i1 {again.text}, label %{label}, label %{out}")
                return _Latch(latch, latch)
            more = body.new_label("more")
            body.raw(f"br i1 {again.text}, label %{more}, label %{out}")
            body.label(more)
            poll.trip(body, label)
            return _Latch(more, latch)
        stop = self._phi(poll.first(self.outer.scalar, (index if count is None else count).at, last, up))
        stop.next, pause = stop.now, body.new_label("pause")
        again, latch = body.compare("ne", at, stop.now), body.block
        body.raw(f"br i1 {again.text}, label %{label}, label %{pause}")
        body.label(pause)
        stop.resumed = poll.stopped(body, stop.now, last, up, (label, out))
        return _Latch(latch, pause, stop)

    def _start(self, low: Reg, high: Reg, by: Reg) -> Reg | None:
        """Whether there is a first trip; None if that is certain."""
        em = self.outer.scalar
        step = _known(by)
        first, last = _known(low), _known(high)
        if step and first is not None and last is not None and len(range(first, last, step)):
            return None
        if step is not None:
            return em.compare("slt" if step > 0 else "sgt", low, high)
        up = em.compare("sgt", by, 0)
        return em.select(up, em.compare("slt", low, high), em.compare("sgt", low, high))

    def _trips(self, low: Reg, high: Reg, by: Reg) -> _Phi | None:
        """A counter of the trips left after this one, where `index != high` does not say when to end."""
        em, step = self.outer.scalar, _known(by)
        if step in (1, -1):
            return None
        if step is None or step == 0:
            self.m.fail(em.compare("eq", by, 0), str(self.m.plan.order[self.op] + 1))
        up = em.compare("sgt", by, 0)
        span = em.select(up, em.sub(high, low), em.sub(low, high))
        size = em.select(up, by, em.binary("sub", em.const(0, by.ty), by))
        return self._phi(em.binary("udiv", em.sub(span, 1), size))

    # -- while -------------------------------------------------------------------------------------------------------

    def _while(self) -> None:
        m, outer = self.m, self.outer
        condition, plan = self.step.plans
        self._enter()
        phis, areas = self._carried(self.op.operands), self._areas()
        before_areas = dict(m.areas)
        em = outer.scalar
        left: _Phi | None = None
        if self.poll and not self.poll.shared:
            left = self._phi(em.const(self.poll.chunk, "i64"))
        test, body, out = em.new_label("while"), em.new_label("do"), em.new_label("end")
        m.areas.update((p, phi.now.text) for p, phi in areas.items())
        first = self._inner(outer, test)
        self._run(condition, first, condition.fn.params, phis)
        holds = m.register(condition.fn.results[0])
        first.scalar.raw(f"br i1 {holds.text}, label %{body}, label %{out}")
        inner = self._inner(first, body)
        self._run(plan, inner, plan.fn.params, phis)
        self._yield(plan, phis, areas)
        latch = self._back(inner.scalar, left, test)
        m.scope = outer
        em.raw(f"br label %{test}")
        before = em.block
        em.label(test)
        live = [p for p in (left, *phis, *areas.values()) if p is not None]
        self._paste(em, first.scalar, (p.line(before, latch, self._resumed()) for p in live))
        em.label(body)
        self._paste(em, inner.scalar, ())
        em.label(out)
        self._results([None if p is None else p.now for p in phis])
        m.areas = before_areas | {p: phi.now.text for p, phi in areas.items()}
        if self.poll:
            self.poll.end(em, None if left is None else left.now)

    def _back(self, body: Emitter, left: _Phi | None, test: str) -> str:
        """The end of a trip of a `while`; gives the block that goes back. `left`: trips until it polls."""
        latch = body.block
        if self.poll is None:
            body.raw(f"br label %{test}")
        elif left is None:
            self.poll.trip(body, test)
        else:
            left.next, left.resumed = body.sub(left.now, 1), left.at
            self.poll.wait(body, left.next, test)
        return latch

    # -- if ----------------------------------------------------------------------------------------------------------

    def _if(self) -> None:
        m, outer = self.m, self.outer
        holds = m.register(self.op.operands[0])
        em = outer.scalar
        labels = [em.new_label("then"), em.new_label("else")]
        out = em.new_label("fi")
        before_areas = dict(m.areas)
        ends: list[list[Reg | None]] = []
        bodies, areas = [], []
        for i, (plan, label) in enumerate(zip(self.step.plans, labels, strict=True)):
            m.areas = dict(before_areas)
            inner = self._inner(outer, label)
            self._run(plan, inner, (), ())
            for c in self.arrays:
                self._hand(c.given[i], c.result)
            ends.append([None if is_array(v) else m.register(v) for v in plan.fn.results])
            inner.scalar.raw(f"br label %{out}")
            bodies.append(inner.scalar)
            areas.append(m.areas)
        m.scope = outer
        em.raw(f"br i1 {holds.text}, label %{labels[0]}, label %{labels[1]}")
        for label, body in zip(labels, bodies, strict=True):
            em.label(label)
            self._paste(em, body, ())
        em.label(out)
        blocks = [b.block for b in bodies]
        pairs = zip(*ends, strict=True)
        self._results([None if a is None or b is None else _merged(em, (a, b), blocks) for a, b in pairs])
        m.areas = before_areas
        for p in sorted(set(areas[0]) | set(areas[1])):
            a, b = (Reg(x.get(p) or m.area(p), "ptr") for x in areas)
            m.areas[p] = _merged(em, (a, b), blocks).text


def _merged(em: Emitter, regs: tuple[Reg, Reg], blocks: list[str]) -> Reg:
    a, b = regs
    return a if a.text == b.text else em.phi(a.ty, (a, blocks[0]), (b, blocks[1]))


def _known(reg: Reg) -> int | None:
    """The number that a register holds where it is a constant."""
    return int(reg.text) if reg.text.lstrip("-").isdigit() else None


def _turning(
    places: Mapping[Value, Place], turns: Mapping[Region, Mapping[Value, Value]], step: Region
) -> Iterable[Place]:
    """The places whose areas turn in a region or in those inside it."""
    for p, v in turns.get(step, {}).items():
        yield from (places[p], places[v])
    for plan in step.plans:
        for s in plan.steps:
            if isinstance(s, Region):
                yield from _turning(places, turns, s)
