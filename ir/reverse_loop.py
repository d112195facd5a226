"""Reverse mode through `for` and `while`.

The reverse of a loop is a `for` that counts the trips down. It carries the cotangents of the carried values and one
running cotangent for each outer value that the body reads: a slice read adds to its slot there, in place. A `while`
counts its trips; a `for` whose number of trips is a size saves into arrays with a leading dimension of that size, all
others push onto stacks. A body whose reverse reads nothing of it (a linear one) saves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from .accumulate import Cotangents, zeros
from .activity import Carried, carried
from .builder import Expr, IRBuilder
from .chosen import spread, whole
from .control import FOR
from .dims import DimLike
from .dtypes import bool_, int64
from .graph import Block, Op, Value
from .ledger import Note
from .opdef import get
from .residuals import Residuals, cheap
from .reverse_control import (
    RegionReverse,
    Thread,
    add_result,
    captured,
    contributing,
    drop,
    element_of,
    new_stack,
    rewire,
    running_or_zeros,
    tags,
)
from .rewrite import inputs
from .trips import insert_before, normalise, trip_size
from .types import StackType, TensorType
from .undo import Chain, Plan, Undo, chains


def reverse_loop(
    cotangents: Cotangents, op: Op, cts: Sequence[Expr | None], masks: Sequence[Expr | None]
) -> None:
    """Writes the reverse of a `for` or `while`; see `reverse_control.reverse_region`."""
    if op.attrs:
        from .reverse_checkpoint import reverse_checkpointed

        cts = [whole(cotangents.b, g, m) for g, m in zip(cts, masks, strict=True)]
        if reverse_checkpointed(cotangents, op, cts):
            return
        masks = ()
    Loop(cotangents, op, cts, masks=masks).run()


def parts(
    outer: Cotangents, op: Op, cts: Sequence[Expr | None]
) -> tuple[list[tuple[Carried, Expr | None]], list[Value]]:
    """What a loop's reverse carries: carried values that get a cotangent (with the result's), and outer values."""
    live = contributing(op, cts, outer.varied)
    active = [
        (c, ct)
        for c, ct in zip(carried(op), cts, strict=True)
        if c.param in outer.varied and (c.param in live or ct is not None)
    ]
    return active, captured(op, outer, live)


class Loop:
    """The reverse of one loop while it is made.

    Attributes:
      size: what the leading dimension of stored values is, when it is an array; at least the number of trips.
      saved: the values of the body that are stored. names: of what stores them. note: in the open ledger, if any.
      masks: by result of the loop, where its cotangent holds, if not everywhere; the reverse carries those.
      undoes: whether it may undo writes. forced: what it must undo, at any price, as a loop around does.
    """

    def __init__(
        self,
        outer: Cotangents,
        op: Op,
        cts: Sequence[Expr | None],
        size: DimLike | None = None,
        masks: Sequence[Expr | None] = (),
    ) -> None:
        self.outer, self.op = outer, op
        self.active, self.captured = parts(outer, op, cts)
        reached = {c.result for c, _ in self.active}
        self.masks = {r: m for r, m in zip(op.results, masks, strict=False) if m is not None and r in reached}
        self.trips = normalise(outer.home, op) if op.kind is FOR else counted(outer.home, op)
        self.size = size
        if size is None and op.kind is FOR and not outer.stacks:
            self.size = trip_size(self.trips)
        self.saved: list[Value] = []
        self.note: Note | None = None
        self.names: dict[Value, str] = {}
        self.block = Block()
        self.index = self.block.add_param(TensorType(self.trips.type.dtype))
        self.starts: list[Value] = []
        self.region = RegionReverse(outer, op, op.regions[-1], self.block, True, outer.stacks)
        self.undoes = size is None
        self.forced: list[Chain] = []

    def run(self) -> None:
        """Writes the reverse loop."""
        if self.size == 0:
            return self._skip()
        self._body()
        threads = self._residuals()
        b = self.outer.b
        bounds = [b.expr(self.trips) - 1, b.const(-1, self.trips.type.dtype), b.const(-1, self.trips.type.dtype)]
        results = iter(b.emit(FOR, [*(x.value for x in bounds), *self.starts], {}, [self.block]))
        active = [next(results) for _ in self.active]
        self.outer.running.update((v, b.expr(next(results))) for v in self.captured)
        masks = {r: next(results) for r in self.masks}
        for (c, _), ct in zip(self.active, active, strict=True):
            self.outer.seed(c.start, ct, masks.get(c.result))
        for thread, back in zip(threads, results, strict=True):
            of = self.outer.threads if isinstance(back.type, StackType) else self.outer.undone
            of.append(Thread(thread.start, thread.end, back))
        return None

    def _skip(self) -> None:
        """No trip: the results are the starts."""
        for c, ct in self.active:
            if ct is not None:
                self.outer.seed(c.start, ct.value, self.masks.get(c.result))
        for chain in self.forced:
            self.outer.undone.append(Thread(chain.carried.start, chain.carried.result, chain.carried.result))

    def _body(self) -> None:
        inner, block = self.region.cotangents, self.block
        outer = self.outer
        for c, ct in self.active:
            self.starts.append(zeros(outer.b, c.result) if ct is None else ct.value)
            block.add_param(c.param.type)
        for v in self.captured:
            self.starts.append(running_or_zeros(outer, v))
            inner.running[v] = inner.b.expr(block.add_param(v.type))
        masks = {r: block.add_param(TensorType(bool_, r.type.shape)) for r in self.masks}
        self.starts += [spread(outer.b, m, r).value for r, m in self.masks.items()]
        for (c, _), p in zip(self.active, block.params[1:], strict=False):
            inner.seed(c.given, p, masks.get(c.result))
        if self.undoes:
            inner.undoable.update(v for c in chains(self.op) for v in c.versions())
        ends = {c.result: c.param for c, _ in self.active}
        self.region.back([ends[r] for r in self.masks])
        inner.b.loc = self.op.loc
        given = [running_or_zeros(inner, v) for v in (*ends.values(), *self.captured)]
        left = [inner.masks.pop(ends[r], True) for r in self.masks]
        self.region.finish([*given, *(spread(inner.b, m, r).value for m, r in zip(left, self.masks, strict=True))])

    # ------------------------------------------------------------ residuals
    def _residuals(self) -> list[Thread]:
        """Saves what the reverse reads; gives the stacks and arrays that the reverse loop carries, in order."""
        region = self.region
        if self.op.kind is FOR:
            region.known[region.body.params[0]] = self.index
        undo, plan = self._undo()
        inner = region.threads(v for _, op in undo.late for v in inputs(op))
        chosen = region.residuals(cheap) if plan is None else plan
        self.saved = chosen.saved
        if isinstance(chosen, Residuals):
            region.shield(chosen)
        self.note, self.names = tags(region, chosen)
        if self.note is not None and self.op.kind is FOR:
            self.note.trips = trip_size(self.trips)
        if self.note is not None and plan is not None:
            plan.explain(self.note)
        front = IRBuilder(Block(), self.op.loc)
        replaced: dict[Value, Value] = {}
        made: list[Thread] = []
        for v in chosen.saved:
            if self.size is None:
                made.append(self._push(v, front, replaced))
            else:
                replaced[v] = self._load(self._store(v, self.size), v, front)
        starts: dict[Value, Value] = {}
        for t in inner:
            made.append(self._carry(t, starts, replaced))
        rewire(region.body, starts)
        if plan is None:
            region.settle(chosen.again, front.block.ops, replaced)
        else:
            ends = [self._reverse_carries(c.carried.result) for c in plan.chains]
            begins = undo.write(plan, ends, replaced)
            region.settle((), front.block.ops, replaced)
            self.block.terminator.operands += begins
            made += [Thread(c.carried.start, c.carried.result, v) for c, v in zip(plan.chains, begins, strict=True)]
        return made

    def _undo(self) -> tuple[Undo, Plan | None]:
        """Which writes to undo, if any."""
        undo = Undo(self.region, self.forced or (chains(self.op) if self.undoes else []))
        if self.forced:
            return undo, undo.settle(self.forced)
        outer = self.outer
        keeps = outer.undoable if outer.in_loop else None
        return undo, undo.choose(self.region.residuals(cheap), self.size, keeps)

    def _add_carried(self, start: Value, name: str = "") -> Value:
        """One more carried value of the primal loop; gives the body's parameter."""
        self.op.operands.append(start)
        return [r.add_param(start.type, name) for r in self.op.regions][-1]

    def _store(self, v: Value, size: DimLike) -> Value:
        """Writes the value into the slot of its trip of an array; gives the array after the loop."""
        shape = (size, *v.type.shape)
        stored = self._stored(v, TensorType(v.type.dtype, shape))
        if stored is not None:
            return stored

        def empty(b: IRBuilder) -> Value:
            value: Value = b.full(shape, 0, v.type.dtype).value
            return value

        param = self._add_carried(insert_before(self.outer.home, self.op, empty), self.names[v])
        b, kept = self.region.kept(v)
        row = b.reshape(b.expr(kept), shape=(1, *v.type.shape))
        starts = (None, *(0,) * v.type.rank)
        k = self.region.body.params[0]
        stored = b.update(b.expr(param), row, b.expr(k), starts=starts, strides=(1,) * len(shape))
        return add_result(self.op, param.type, [stored.value], self.names[v])

    def _stored(self, v: Value, type: TensorType) -> Value | None:
        """The array after the loop into which an earlier derivative stores the value already, if one does."""
        for c in carried(self.op):
            op = c.given.owner
            if not isinstance(op, Op) or op.kind.name != "update" or c.param.type != type:
                continue
            base, row, *at = op.operands
            where = {"starts": (None, *(0,) * v.type.rank), "strides": (1,) * type.rank}
            if base is c.param and at == [self.region.body.params[0]] and op.attrs == where:
                source = row.owner
                if isinstance(source, Op) and source.kind.name == "reshape" and source.operands[0] is v:
                    return c.result
        return None

    def _load(self, saved: Value, v: Value, front: IRBuilder) -> Value:
        starts, sizes = (None, *(0,) * v.type.rank), (1, *v.type.shape)
        row = front.slice(saved, self.index, starts=starts, sizes=sizes, strides=(1,) * len(sizes))
        value: Value = front.reshape(row, shape=v.type.shape).value
        return value

    def _push(self, v: Value, front: IRBuilder, replaced: dict[Value, Value]) -> Thread:
        """Pushes the value in each trip; the reverse pops it."""
        start = insert_before(self.outer.home, self.op, lambda b: new_stack(b, v.type))
        param = self._add_carried(start, self.names[v])
        b, kept = self.region.kept(v)
        pushed = b.emit(get("push"), [param, kept])[0]
        end = add_result(self.op, start.type, [pushed], self.names[v])
        below, replaced[v] = front.emit(get("pop"), [self._reverse_carries(end)])
        self.block.terminator.operands.append(below)
        return Thread(start, end, below)

    def _carry(self, t: Thread, starts: dict[Value, Value], replaced: dict[Value, Value]) -> Thread:
        """Runs an inner op's stack through the loop and its reverse."""
        drop(self.region.body, t.start)
        start = insert_before(self.outer.home, self.op, lambda b: new_stack(b, element_of(t.start)))
        starts[t.start] = self._add_carried(start, t.end.name)
        end = add_result(self.op, start.type, [t.end], t.end.name)
        replaced[t.end] = self._reverse_carries(end)
        self.block.terminator.operands.append(t.back)
        return Thread(start, end, t.back)

    def _reverse_carries(self, stack: Value) -> Value:
        """One more carried value of the reverse loop; gives its parameter."""
        self.starts.append(stack)
        return self.block.add_param(stack.type)


def counted(home: Block, op: Op) -> Value:
    """Adds a counter of trips to a `while`; gives the count."""

    def zero(b: IRBuilder) -> Value:
        value: Value = b.const(0, int64).value
        return value

    op.operands.append(insert_before(home, op, zero))
    count = [r.add_param(TensorType(int64)) for r in op.regions][-1]
    body = op.regions[-1]
    b = IRBuilder(Block(), op.loc)
    more = (b.expr(count) + 1).value
    body.ops[-1:-1] = b.block.ops
    return add_result(op, TensorType(int64), [more])
