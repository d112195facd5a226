"""Where loops ask whether Ctrl-C was pressed, at next to no cost.

A loop that may run long calls `pb_poll` (`python_calls`) about every tenth of a millisecond, as estimated from its
text; that one looks at the clock first. A loop of a few milliseconds at most never asks.

- An innermost counted loop runs to the next stop in place of its end: the test at the end of a trip is no longer.
- An innermost `while` counts down in a register.
- A loop round others that ask shares a budget in memory with them, from which an inner loop takes what it used.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ..ir.graph import Block, Op, Value
from ..ir.sizes import estimate
from ..ir.types import StackType
from . import access, special
from .emitter import Emitter, Reg
from .errors import RAISED
from .plan import is_literal

if TYPE_CHECKING:
    from ..ir.ranges import Ranges
    from .module import ModuleWriter

BUDGET = 100_000.0  # ns between two polls
SHORT = 5_000_000.0  # a loop of at most so many ns never asks
_PER_NS = 12.0  # additions
DECLARATION = "declare i32 @pb_poll() cold nounwind"


class Costs:
    """Rough run times in ns, from the program's text."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self._asks: dict[Op, bool] = {}

    def asks(self, op: Op) -> bool:
        """Whether a loop may run long, or has one inside that may."""
        found = self._asks.get(op)
        if found is None:
            inner = self.inner(op)
            trips = self.trips(op)
            long = op.kind.name != "if" and (trips is None or trips * self.trip(op) > SHORT)
            found = self._asks[op] = inner or long
        return found

    def inner(self, op: Op) -> bool:
        """Whether a loop inside of this one asks."""
        return any(self.asks(o) for r in op.regions for o in r.ops if o.regions)

    def trips(self, op: Op) -> int | None:
        """At most how many trips a loop makes, where the text says so."""
        if op.kind.name != "for" or not is_literal(op.operands[2]):
            return None
        (least, most), (first, last) = (self.ranges.of(v) for v in op.operands[:2])
        step = self.ranges.of(op.operands[2])[0]
        span = last - least if step > 0 else most - first
        return max(0, -(-span // abs(step))) if step else None

    def trip(self, op: Op) -> float:
        """One trip of a loop, or a branch; loops inside that ask count for themselves."""
        costs = [1.0 + sum(map(self._cost, r.ops)) for r in op.regions]
        return max(costs) if op.kind.name == "if" else sum(costs)

    def _cost(self, op: Op) -> float:
        if op.kind.name == "if":
            return self.trip(op)
        if op.regions:
            return 0.0 if self.asks(op) else (self.trips(op) or 0) * self.trip(op)
        if op.kind.effect:
            return BUDGET / 100
        known = special.work(op)
        if known is not None:
            return known
        n = _touched(op)
        if access.form(op) == access.OPAQUE:
            n *= _PER_NS
        return 0.3 + n * (1 + access.cost(op)) / _PER_NS


def _touched(op: Op) -> float:
    """The elements that an op goes over: of an array that it reads or writes a slot of, only those."""
    form = access.form(op)
    if form == access.RETURN:
        return 0
    if form == access.WRITE:
        return _size(op.operands[1])
    if form in (access.MAP, access.GATHER):
        return _size(op.results[0])
    if op.kind.name in special.SCATTERS:
        return _size(op.operands[2])
    return max((_size(v) for v in (*op.operands, *op.results)), default=1)


def _size(v: Value) -> float:
    if isinstance(v.type, StackType) or is_literal(v):
        return 1
    return float(estimate(prod(access.shape_of(v))))


class PollWriter:
    """The polls of one module."""

    def __init__(self, module: ModuleWriter) -> None:
        self.m = module
        assert module.checks.ranges is not None
        self.costs = Costs(module.checks.ranges)
        self.used = self.budget = False
        self.depth = 0  # loops that are being written and share the budget

    def start(self) -> list[str]:
        """The budget, for the entry block."""
        return ["  %budget = alloca i64", f"  store i64 {int(BUDGET)}, ptr %budget"] if self.budget else []

    def text(self) -> str:
        """The declaration."""
        return DECLARATION if self.used else ""

    def of(self, op: Op) -> Poll | None:
        """How this loop asks; None where it need not."""
        if not self.costs.asks(op):
            return None
        return Poll(self, op)

    def ask(self, again: str, body: Emitter) -> None:
        """A block that polls and leaves the function if Python raised; what follows stands in `again`."""
        self.used = True
        body.label(again)
        raised = body.op("call i32 @pb_poll()", "i32")
        self.m.fail(body.compare("ne", raised, 0), str(RAISED))

    def spend(self, em: Emitter, ns: Reg | float) -> Reg:
        """Takes from the budget; gives what is left."""
        self.budget = True
        left = em.op("load i64, ptr %budget", "i64")
        left = em.sub(left, ns if isinstance(ns, Reg) else int(max(ns, 1)))
        em.raw(f"store i64 {left.text}, ptr %budget")
        return left


class Poll:
    """The polls of one loop that is being written.

    Attributes:
      block: where the loop is entered again after a poll. stop: the trip at which a counted loop stops next: where it
      begins, inside, after a poll.
    """

    def __init__(self, writer: PollWriter, op: Op) -> None:
        self.writer = writer
        self.ns = writer.costs.trip(op)
        self.shared = writer.costs.inner(op)
        self.nested = writer.depth > 0
        self.chunk = max(1, min(int(BUDGET / self.ns), 1 << 28))
        self.block = ""
        self.lead: Reg | None = None
        writer.depth += 1

    def first(self, em: Emitter, at: Reg, last: Reg, up: bool) -> Reg:
        """The first stop of a counted loop: at most a chunk of trips on."""
        self.lead = self._lead(em, at, last, up)
        return em.add(at, self.lead) if up else em.sub(at, self.lead)

    def _lead(self, em: Emitter, at: Reg, last: Reg, up: bool) -> Reg:
        rest = em.sub(last, at) if up else em.sub(at, last)
        return em.select(em.compare("ult", rest, self.chunk), rest, self.chunk)

    def stopped(self, body: Emitter, stop: Reg, last: Reg, up: bool, labels: tuple[str, str]) -> Reg:
        """At a stop: the end of the loop, or a poll and the next stop, which it gives."""
        label, out = labels
        ask = body.new_label("ask")
        body.raw(f"br i1 {body.compare('eq', stop, last).text}, label %{out}, label %{ask}")
        self.writer.ask(ask, body)
        lead = self._lead(body, stop, last, up)
        after = body.add(stop, lead) if up else body.sub(stop, lead)
        self.block = body.block
        body.raw(f"br label %{label}")
        return after

    def wait(self, body: Emitter, left: Reg, label: str) -> None:
        """The end of a trip of an innermost `while`: polls when no trips are left."""
        ask = body.new_label("ask")
        body.raw(f"br i1 {body.compare('eq', left, 0).text}, label %{ask}, label %{label}")
        self.writer.ask(ask, body)
        self.block = body.block
        body.raw(f"br label %{label}")

    def trip(self, body: Emitter, label: str) -> None:
        """The end of a trip of a loop that shares the budget, in a block of its own."""
        left = self.writer.spend(body, self.ns)
        ask = body.new_label("ask")
        body.raw(f"br i1 {body.compare('slt', left, 0).text}, label %{ask}, label %{label}")
        self.writer.ask(ask, body)
        body.raw(f"store i64 {int(BUDGET)}, ptr %budget")
        self.block = body.block
        body.raw(f"br label %{label}")

    def end(self, em: Emitter, left: Reg | None = None) -> None:
        """Behind the loop: takes what it used from the budget. `left`: the trips that a `while` had left."""
        self.writer.depth -= 1
        if not self.nested or self.shared:
            return
        trips = self.lead if left is None else em.sub(em.const(self.chunk, "i64"), left)
        assert trips is not None
        trips = em.convert("zext", trips, "i64") if trips.ty == "i32" else trips
        self.writer.spend(em, em.mul(trips, max(1, int(self.ns))))


def defined(op: Op) -> list[Value]:
    """All values that the regions of an op define."""
    todo: list[Block] = list(op.regions)
    out: list[Value] = []
    while todo:
        block = todo.pop()
        out += block.params
        for inner in block.ops:
            out += inner.results
            todo += inner.regions
    return out
