"""Reverse mode through a loop that keeps some of its states and runs again from them.

    for stage in ..: keep the state; run the segments up to the next one to keep       in the program, for a `for`
    for q in Q-1 .. 0:                                                                 in the reverse
      take the last state that was kept; while it lies before segment q: keep it, run on
      run segment q, storing residuals; run its reverse

A state is what a trip takes from the one before and the residuals depend on. The segment in the middle is an ordinary
loop whose reverse `reverse_loop` writes: what is stored, and how inner loops and branches go, is as ever. Which states
are kept: `schedule.py`. A `while` counts its trips and keeps nothing while it runs (their number is not known then),
nor does a loop inside another one: their reverse starts from the first state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .accumulate import Cotangents, zeros
from .activity import carried, vary
from .builder import Expr, IRBuilder
from .control import CALL, FOR, WHILE, YIELD, has_effect
from .dce import live_carried, sliced
from .dims import DimLike
from .dtypes import int64
from .errors import InvalidArgumentError
from .graph import Block, Op, Value, clone_op
from .ledger import Note, collecting, ledger
from .reverse_control import running_or_zeros, sub_builder
from .reverse_loop import Loop, counted, parts
from .rewrite import inputs
from .schedule import Schedule, Sizes, choose, split_point
from .trips import insert_before, normalise, trip_size
from .types import StackType, TensorType

INDEX = TensorType(int64)


def reverse_checkpointed(outer: Cotangents, op: Op, cts: Sequence[Expr | None]) -> bool:
    """Writes the reverse of a loop that has the attributes for it; False where storing everything is better.

    Raises:
      InvalidArgumentError: when not even one state fits the budget.
    """
    attrs, op.attrs = op.attrs, {}
    trips = normalise(outer.home, op) if op.kind is FOR else None
    needs = measure(outer, op, cts)
    if needs is None:
        return False
    size = None if trips is None else trip_size(trips)
    if "bytes" in attrs and _is_inner(needs, attrs["bytes"], op):
        return False
    try:
        schedule = choose(attrs, Sizes(size, needs.state_bytes, needs.step_bytes))
    except InvalidArgumentError as e:
        raise InvalidArgumentError(f"{e} (at {op.loc})" if op.loc else str(e)) from None
    if schedule is None:
        if "bytes" in attrs:  # with what inner loops store
            unmark(op)
        return False
    _Checkpointed(outer, op, cts, needs, schedule, size).write(trips)
    return True


def _is_inner(needs: Needs, budget: int, op: Op) -> bool:
    """Whether one trip is too much for the budget, and a loop in the body may be checkpointed in place of this one."""
    step = needs.step_bytes
    inner = any(o.attrs for r in op.regions for o in r.walk() if o.kind in (FOR, WHILE))
    return inner and isinstance(step, int) and isinstance(needs.state_bytes, int) and step + needs.state_bytes > budget


@dataclass(slots=True)
class Needs:
    """What the reverse of a loop needs.

    Attributes:
      pure: a copy of the loop's body without effects; its first parameter is the index.
      state: numbers of the carried values that a state consists of.
      state_bytes, step_bytes: their size, and that of one trip's residuals; None when some of those lie on stacks.
    """

    pure: Block
    state: list[int]
    state_bytes: DimLike
    step_bytes: DimLike | None


def measure(outer: Cotangents, op: Op, cts: Sequence[Expr | None]) -> Needs | None:
    """Writes the reverse of a copy, and looks at what it stores; None when that is nothing or cannot be had again."""
    if any(o.kind is CALL and has_effect(o) for r in op.regions for o in r.walk()):
        return None
    home, b = Block(), sub_builder(outer.b, Block(), op)
    bounds = [b.const(n, op.operands[0].type.dtype if op.kind is FOR else int64).value for n in (0, 1, 1)]
    every = carried(op)
    copy = Op(FOR, [*bounds, *(c.start for c in every)], {}, [_pure(op)], [c.param.type for c in every], op.loc)
    home.ops.append(copy)
    varied = {v for v in inputs(op) if v in outer.varied}
    vary([copy], varied)
    loop = Loop(Cotangents(b, varied, home), copy, cts, 1)
    with collecting(None):
        loop.run()
    stacks = [t.end for t in loop.region.threads()]
    if not (loop.saved or stacks):
        return None
    state = live_carried(copy.regions[0], 1, len(every), [*loop.saved, *stacks])
    if any(isinstance(every[i].param.type, StackType) for i in state):
        return None
    step = None if stacks else total_bytes(v.type for v in loop.saved)
    return Needs(_pure(op), state, total_bytes(every[i].param.type for i in state), step)


def total_bytes(types: Any) -> DimLike:
    """The bytes that values of these types take."""
    total: DimLike = 0
    for t in types:
        total = total + t.size * (1 if t.dtype.is_bool else t.dtype.size)
    return total


def unmark(op: Op) -> None:
    """Takes the marks of checkpointing from a loop and all in it, in place."""
    for o in (op, *(x for r in op.regions for x in r.walk())):
        if o.kind in (FOR, WHILE):
            o.attrs = {}


def _pure(op: Op) -> Block:
    """A copy of a loop's body, to be run again: its first parameter is an index, and it has no effects."""
    copy = clone_op(op, {})
    unmark(copy)
    body = copy.regions[-1]
    if op.kind is not FOR:
        body.params.insert(0, Value(INDEX, "", body))
    _without_effects(body)
    return body


def _without_effects(block: Block) -> None:
    """Drops what prints or asserts, in place: it was done when the program ran."""
    block.ops = [op for op in block.ops if not op.kind.effect]
    for op in block.ops:
        for r in op.regions:
            _without_effects(r)


@dataclass(slots=True)
class _Kept:
    """The states kept so far: the slot of the last one, by slot the segments that they stand before, their parts."""

    top: Value
    places: Value
    parts: list[Value]

    @property
    def arrays(self) -> list[Value]:
        """Places and parts."""
        return [self.places, *self.parts]

    def put(self, b: IRBuilder, top: Value, place: Value, state: Sequence[Value]) -> _Kept:
        """With a state in slot `top`."""
        places, *rest = (_put(b, a, v, top) for a, v in zip(self.arrays, (place, *state), strict=True))
        return _Kept(top, places, rest)

    def last(self, b: IRBuilder) -> list[Value]:
        """The segment that the last state stands before, and the state."""
        return [_take(b, a, self.top) for a in self.arrays]


def _put(b: IRBuilder, array: Value, v: Value, at: Value) -> Value:
    row = b.reshape(v, shape=(1, *v.type.shape))
    starts = (None, *(0,) * v.type.rank)
    value: Value = b.update(array, row, at, starts=starts, strides=(1,) * len(starts)).value
    return value


def _take(b: IRBuilder, array: Value, at: Value) -> Value:
    shape = array.type.shape[1:]
    starts = (None, *(0,) * len(shape))
    row = b.slice(array, at, starts=starts, sizes=(1, *shape), strides=(1,) * len(starts))
    value: Value = b.reshape(row, shape=shape).value
    return value


class _Checkpointed:
    """Attributes: trips, segments, slots, length: i64 scalars; the last is the number of trips in a segment. size: the
    number of trips where it is known before the loop runs."""

    trips: Value
    segments: Value
    slots: Value
    length: Value

    def __init__(
        self,
        outer: Cotangents,
        op: Op,
        cts: Sequence[Expr | None],
        needs: Needs,
        schedule: Schedule,
        size: DimLike | None,
    ) -> None:
        self.outer, self.op, self.schedule, self.size = outer, op, schedule, size
        self.every = carried(op)
        self.index = needs.pure.params[0].type
        self.active, self.captured = parts(outer, op, cts)
        self.state, self.pure = needs.state, needs.pure
        self.in_program: list[Value] = []  # the arrays of states as the program leaves them

    def write(self, trips: Value | None) -> None:
        """Makes the program keep states where it can, and writes the reverse."""
        in_program = trips is not None and not (self.outer.in_loop or self.outer.stacks)
        count = counted(self.outer.home, self.op) if trips is None else trips
        if in_program:
            kept = self._stages(insert_before(self.outer.home, self.op, lambda b: self._prepare(b, count)))
        else:
            b = self.outer.b
            kept = self._prepare(b, count)
            kept.top = self._late(b, kept.top)
            kept = kept.put(b, kept.top, kept.top, [self.every[i].start for i in self.state])
        self._reverse(kept)

    def _late(self, b: IRBuilder, number: Value) -> Value:
        """An i64 that is not to be had before the cotangents: so the backward part of a cut keeps the first state."""
        ct: Any = next((ct for _, ct in self.active if ct is not None), None)
        if ct is None or isinstance(ct.type, StackType) or not ct.type.dtype.is_floating or 0 in ct.type.shape:
            return number
        if ct.type.shape:
            many = len(ct.type.shape)
            ct = b.reshape(b.slice(ct, starts=(0,) * many, sizes=(1,) * many, strides=(1,) * many), shape=())
        value: Value = b.after(number, b.cast(ct, dtype=int64)).value
        return value

    def _prepare(self, b: IRBuilder, trips: Value) -> _Kept:
        """Computes the numbers and makes room for the states."""
        slots, length = self.schedule.slots, self.schedule.segment
        self.trips = b.maximum(trips if trips.type == INDEX else b.cast(trips, dtype=int64), 0).value
        places = b.full((slots,), 0, int64).value
        self.slots, self.length = _number(b, slots), _number(b, length)
        self.segments = b.floordiv(b.add(self.trips, b.sub(self.length, 1)), self.length).value
        types = [self.every[i].param.type for i in self.state]
        rooms = [b.full((slots, *t.shape), 0, t.dtype).value for t in types]
        return _Kept(b.const(0, int64).value, places, rooms)

    def _bounds(self, b: IRBuilder, first: Value, last: Value) -> list[Value]:
        """The operands of a loop over the trips of the segments from `first` up to, not including, `last`."""
        ends = [b.mul(first, self.length), b.minimum(b.mul(last, self.length), self.trips)]
        ends = [x if self.index == INDEX else b.cast(x, dtype=self.index.dtype) for x in ends]
        return [*(x.value for x in ends), b.const(1, self.index.dtype).value]

    # ------------------------------------------------------------ the program
    def _stages(self, room: _Kept) -> _Kept:
        """Turns the loop into one over the states to keep, round one over the trips between them."""
        op, block = self.op, Block()
        k = block.add_param(INDEX)
        state = [block.add_param(c.param.type, c.param.name) for c in self.every]
        place, *arrays = (block.add_param(t) for t in (INDEX, *(v.type for v in room.arrays)))
        b = IRBuilder(block, op.loc)
        kept = _Kept(k, arrays[0], arrays[1:]).put(b, k, place, [state[i] for i in self.state])
        left, free = b.sub(self.segments, place).value, b.sub(self.slots, k).value
        ahead = b.where(b.gt(free, 1), b.maximum(split_point(b, left, free), 1), left)
        following = b.add(place, ahead).value
        end = b.emit(FOR, [*self._bounds(b, place, following), *state], {}, op.regions)
        block.ops.append(Op(YIELD, [*end, following, *kept.arrays]))
        stages = insert_before(self.outer.home, op, lambda b: b.minimum(self.slots, self.segments).value)
        one, none = insert_before(self.outer.home, op, lambda b: [b.const(n, int64).value for n in (1, 0)])
        op.operands[:] = [none, stages, one, *op.operands[3:], none, *room.arrays]
        op.regions = [block]
        op.results += [Value(v.type, "", op) for v in (place, *room.arrays)]
        top = self.outer.b.sub(stages, 1).value
        self.in_program = op.results[len(self.every) + 2 :]
        return _Kept(top, *_split(op.results[len(self.every) + 1 :]))

    # ------------------------------------------------------------ the reverse
    def _reverse(self, kept: _Kept) -> None:
        outer, b, block = self.outer, self.outer.b, Block()
        q = block.add_param(INDEX)
        starts = [zeros(b, c.result) if ct is None else ct.value for c, ct in self.active]
        starts += [running_or_zeros(outer, v) for v in self.captured]
        starts += [kept.top, *kept.arrays]
        params = [block.add_param(v.type) for v in starts]
        n = len(self.active) + len(self.captured)
        inside = _Kept(params[n], *_split(params[n + 1 :]))
        given = self._segment(block, q, params[:n], inside, starts)
        block.ops.append(Op(YIELD, given))
        block = sliced(block, 1, range(len(given)))
        bounds = [b.sub(self.segments, 1).value, *(b.const(-1, int64).value for _ in range(2))]
        results = b.emit(FOR, [*bounds, *starts], {}, [block])
        for v, ct in zip(self.captured, results[len(self.active) :], strict=False):
            outer.running[v] = b.expr(ct)
        for (c, _), ct in zip(self.active, results, strict=False):
            outer.seed(c.start, ct)

    def _segment(self, block: Block, q: Value, cts: list[Value], kept: _Kept, starts: list[Value]) -> list[Value]:
        """Segment q with its residuals stored, and its reverse; what the loop over segments yields.

        Arrays of residuals are carried by that loop, so that they are made once: `starts` and the block get more.
        """
        b = sub_builder(self.outer.b, block, self.op)
        place, *state = kept.last(b)
        kept, state = self._advance(b, q, place, state, kept)
        begin = [state[self.state.index(i)] if i in self.state else zeros(b, c.start) for i, c in enumerate(self.every)]
        bounds = self._bounds(b, q, b.add(q, 1).value)
        taped = Op(FOR, [*bounds, *begin], {}, [self.pure], [v.type for v in begin], self.op.loc)
        block.ops.append(taped)
        numbers = [self.every.index(c) for c, _ in self.active]
        inner = Cotangents(b, {*self.captured, *(begin[i] for i in numbers)}, block)
        vary([taped], inner.varied)
        inner.running.update((v, b.expr(ct)) for v, ct in zip(self.captured, cts[len(numbers) :], strict=True))
        given: list[Expr | None] = [None] * len(begin)
        for i, ct in zip(numbers, cts, strict=False):
            given[i] = b.expr(ct)
        loop = Loop(inner, taped, given, self.schedule.segment)
        loop.run()
        self._note(loop.note, kept)
        back = [running_or_zeros(inner, v) for v in (*(begin[i] for i in numbers), *self.captured)]
        below = b.sub(kept.top, 1).value
        return [*back, below, *kept.arrays, *self._stored(block, taped, starts)]

    def _note(self, note: Note | None, kept: _Kept) -> None:
        """Adds the states to what the open ledger has of the segments."""
        book = ledger()
        if note is None or book is None:
            return
        note.op, note.schedule, note.trips = self.op, self.schedule, self.size
        states = [book.kept(self.every[i].param, self.op, ("further trips", None)) for i in self.state]
        note.kept[:0] = states
        for arrays in (kept.parts, self.in_program):
            for k, v in zip(states, arrays, strict=bool(arrays)):
                v.name = k.tag

    def _stored(self, block: Block, taped: Op, starts: list[Value]) -> list[Value]:
        """Carries the arrays of residuals through the loop over segments."""
        found = []
        for k in range(3 + len(self.every), len(taped.operands)):
            t = taped.operands[k].type
            if not isinstance(t, StackType):
                starts.append(self.outer.b.full(t.shape, 0, t.dtype).value)
                taped.operands[k] = block.add_param(t)
                found.append(taped.results[k - 3])
        return found

    def _advance(
        self, b: IRBuilder, q: Value, place: Value, state: list[Value], kept: _Kept
    ) -> tuple[_Kept, list[Value]]:
        """Runs on to segment q, keeping states on the way; the slot that comes out is the one after the last."""
        start = [place, kept.top, *kept.arrays, *state]
        test, body = Block(), Block()
        for block in (test, body):
            for v in start:
                block.add_param(v.type)
        t, w = IRBuilder(test, b.loc), IRBuilder(body, b.loc)
        test.ops.append(Op(YIELD, [t.lt(test.params[0], q).value]))
        at, top, places, *rest = body.params
        n = len(kept.parts)
        now = rest[n:]
        more = _Kept(top, places, rest[:n]).put(w, top, at, now)
        left = w.add(w.sub(q, at), 1).value
        following = w.add(at, split_point(w, left, w.sub(self.slots, top).value)).value
        region = sliced(self.pure, 1, self.state)
        end = w.emit(FOR, [*self._bounds(w, at, following), *now], {}, [region])
        body.ops.append(Op(YIELD, [following, w.add(top, 1).value, *more.arrays, *end]))
        _, top, places, *rest = b.emit(WHILE, start, {}, [test, body])
        return _Kept(top, places, rest[:n]), rest[n:]


def _split(arrays: Sequence[Value]) -> tuple[Value, list[Value]]:
    return arrays[0], list(arrays[1:])


def _number(b: IRBuilder, size: DimLike) -> Value:
    """A size as an i64 scalar."""
    if isinstance(size, int):
        value: Value = b.const(size, int64).value
    else:
        value = b.dim(b.full((size,), 0, int64), axis=0, dtype=int64).value
    return value
