"""Loops over elements become work on whole arrays, where the order of the trips does not matter.

A `for` with known bounds whose body computes elements from elements (`p[i] = f(u[i-1], u[i], u[i+1])`) is written op
by op: each op of the body becomes one op on arrays with an element per trip, reads and writes become slices. That is
the same program if for any two accesses to one element the one that came first still comes first; where some order of
the ops keeps all these promises, the loop is gone (Allen and Kennedy, "Automatic translation of Fortran programs to
vector form", 1987). Sums over an element keep their order, too, so the results are the same to the bit.

Where the trips do depend on each other (`x += h * sin(x)`), what is dear and does not is computed for all trips
before the loop: cos of the states that a reverse loop reads, sin of a row of an array.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

from .builder import Expr, IRBuilder
from .control import FOR
from .elementwise import Elementwise
from .failing import may_fail
from .graph import Block, Function, Op, Value, clone_function
from .partition import CHEAP
from .rewrite import inputs
from .trip_access import WRITES, Access, Trips

LEAST = 4  # trips from which arrays pay
LEAST_HOISTED = 16  # trips from which arrays pay that a loop then reads
MOST_HOISTED = 1 << 26  # bytes of them
MOST_MEETINGS = 200  # accesses to one array that are looked at in pairs


def vectorise(fn: Function) -> Function:
    """A copy of the function in which element loops are array ops, or the function itself where there are none."""
    if not any(op.kind is FOR for op in fn.body.walk()):
        return fn
    new = clone_function(fn)
    _block(new.body)
    return new


def _block(block: Block) -> None:
    ops: list[Op] = []
    mapping: dict[Value, Value] = {}
    for op in block.ops:
        for r in op.regions:
            _block(r)
        loop = _Loop(op) if op.kind is FOR else None
        if loop is None or not loop.whole(ops, mapping):
            if loop is not None:
                loop.hoist(ops)
            ops.append(op)
    block.ops = ops
    if mapping:
        for op in block.walk():
            op.operands[:] = [mapping.get(v, v) for v in op.operands]


class _Loop:
    """One loop over elements.

    Attributes:
      access: what each read and write touches. array: for each version of a carried array in the body its number among
      what the loop carries.
    """

    def __init__(self, op: Op) -> None:
        self.op = op
        self.trips = Trips(op)
        self.body = self.trips.body
        self.access: dict[int, Access] = {}
        self.array: dict[Value, int] = {}

    # -- which ops can be written for all trips at once --------------------------------------------------------------

    def _free(self, op: Op) -> bool:
        """Whether the op only computes places, or is a constant."""
        if not op.operands:
            return op.kind.name == "constant"
        return bool(op.results) and all(self.trips.affine(r) is not None for r in op.results)

    def _pointwise(self, op: Op) -> bool:
        """Whether the op makes one element from one element each."""
        if op.regions or len(op.results) != 1 or may_fail(op):
            return False
        known = isinstance(op.kind, Elementwise) or op.kind.name in ("cast", "reshape", "broadcast_to", "identity")
        return known and all(v.type.size == 1 for v in (*op.operands, *op.results))

    def _accesses(self) -> bool:
        """Finds the versions of carried arrays and all accesses; False where an array is used otherwise."""
        for j, p in enumerate(self.body.params[1:]):
            if p.type.size != 1:
                self.array[p] = j
        for op in self.body.ops[:-1]:
            name = op.kind.name
            if name == "slice" or name in WRITES:
                found = self.trips.access(op)
                if found is None or (name in WRITES and op.operands[0] not in self.array):
                    return False
                own = op.operands[0] in self.array or op.operands[0] not in self.trips.inside
                if not own or any(v in self.array for v in op.operands[1:]):
                    return False
                self.access[id(op)] = found
                if name in WRITES:
                    self.array[op.result] = self.array[op.operands[0]]
            elif any(v in self.array for v in op.operands):
                return False
        return True

    def _linear(self) -> bool:
        """Whether each carried thing is an array with one line of versions, the last of which the next trip gets."""
        given = self.body.terminator.operands
        writers: defaultdict[Value, int] = defaultdict(int)
        last = {self.array[p]: p for p in self.body.params[1:] if p in self.array}
        for op in self.body.ops[:-1]:
            if op.kind.name in WRITES:
                writers[op.operands[0]] += 1
                last[self.array[op.result]] = op.result
        return all(n == 1 for n in writers.values()) and all(last.get(j) is v for j, v in enumerate(given))

    # -- the whole loop ----------------------------------------------------------------------------------------------

    def whole(self, into: list[Op], mapping: dict[Value, Value]) -> bool:
        """Writes the loop as array ops, if it can be; `mapping` takes its results to what stands for them."""
        work = [op for op in self.body.ops[:-1] if not self._free(op)]
        if self.trips.count < LEAST or not work or not self._accesses() or not self._linear():
            return False
        if not all(id(op) in self.access or self._pointwise(op) for op in work):
            return False
        if sum(x.a for x in self.access.values()) < 0:  # arrays that are read and written upwards are cheaper
            self.trips.flip()
            self._accesses()
        order = self._order(work)
        if order is None:
            if self.trips.step < 0:
                self.trips.flip()
            return False
        writer = _Writer(self.trips, self.op)
        for p, start in zip(self.body.params[1:], self.op.operands[3:], strict=True):
            writer.now[self.array[p]] = start
        for op in order:
            found = self.access.get(id(op))
            if found is None:
                writer.point(op)
            else:
                base = op.operands[0]
                writer.touch(op, found, self.array.get(base))
        into += writer.b.block.ops
        mapping.update((r, writer.now[j]) for j, r in enumerate(self.op.results))
        return True

    def _order(self, work: list[Op]) -> list[Op] | None:
        """The ops in an order in which each may run for all trips before the next one; None where there is none."""
        place = {id(op): k for k, op in enumerate(work)}
        after: list[set[int]] = [set() for _ in work]
        for op in work:
            for v in op.operands:
                if isinstance(v.owner, Op) and id(v.owner) in place and v not in self.array:
                    after[place[id(v.owner)]].add(place[id(op)])
        by_array: defaultdict[int, list[Op]] = defaultdict(list)
        for op in work:
            if id(op) in self.access and op.operands[0] in self.array:
                by_array[self.array[op.operands[0]]].append(op)
        try:
            for ops in by_array.values():
                self._meet(ops, place, after)
        except ValueError:
            return None
        return _sorted(work, after)

    def _meet(self, ops: list[Op], place: dict[int, int], after: list[set[int]]) -> None:
        """Adds the order that accesses to one array must keep. Raises ValueError where that cannot be said."""
        if len(ops) > MOST_MEETINGS:
            raise ValueError
        for k, x in enumerate(ops):
            for y in ops[k + 1 :]:
                if x.kind.name == y.kind.name == "slice":
                    continue
                which = self.trips.order(self.access[id(x)], self.access[id(y)])
                if which is not None:
                    first, second = (x, y) if which <= 0 else (y, x)
                    after[place[id(first)]].add(place[id(second)])

    # -- parts of a loop ---------------------------------------------------------------------------------------------

    def hoist(self, into: list[Op]) -> None:
        """Computes dear values that do not depend on other trips before the loop, for all of them."""
        if self.trips.count < LEAST_HOISTED or self.trips.step != 1:
            return
        ready: dict[Value, None] = {}
        moved: dict[int, Op] = {}
        for op in self.body.ops[:-1]:
            if self._alone(op, ready):
                ready[op.result] = None
                dear = isinstance(op.kind, Elementwise) and op.kind.name not in CHEAP and op.kind.name not in _QUICK
                follows = any(isinstance(v.owner, Op) and id(v.owner) in moved for v in op.operands)
                if dear or (follows and op.result.type.dtype.is_floating):
                    moved[id(op)] = op
        needed = {v for op in self.body.ops if id(op) not in moved for v in inputs(op)}
        kept = [op.result for op in moved.values() if op.result in needed]
        size = self.trips.count * sum(v.type.dtype.size for v in kept)
        if kept and size <= MOST_HOISTED:
            self._move(kept, ready, into)

    def _alone(self, op: Op, ready: dict[Value, None]) -> bool:
        """Whether an op makes the same element whatever other trips do."""
        if op.kind.name == "slice":
            found = None if op.operands[0] in self.trips.inside else self.trips.access(op)
            if found is None:
                return False
            self.access[id(op)] = found
            return True
        known = all(v in ready or v not in self.trips.inside or self.trips.affine(v) is not None for v in op.operands)
        return bool(op.operands) and known and self._pointwise(op) and not self._free(op) and not may_fail(op)

    def _move(self, kept: list[Value], ready: dict[Value, None], into: list[Op]) -> None:
        wanted, todo = set(), list(kept)
        while todo:
            v = todo.pop()
            if v in ready and v not in wanted and isinstance(v.owner, Op):
                wanted.add(v)
                todo += v.owner.operands
        writer = _Writer(self.trips, self.op)
        for v in ready:
            if v in wanted:
                assert isinstance(v.owner, Op)
                found = self.access.get(id(v.owner))
                if found is None:
                    writer.point(v.owner)
                else:
                    writer.touch(v.owner, found, None)
        into += writer.b.block.ops
        index = self.body.params[0]
        b = IRBuilder(Block(), self.op.loc)
        place = b.expr(index) if not self.trips.first else b.expr(index) - self.trips.first
        read: dict[Value, Value] = {}
        for v in kept:
            element = b.slice(b.expr(writer.wide(v)), place, starts=(None,), sizes=(1,), strides=(1,))
            read[v] = b.reshape(element, shape=v.type.shape).value
        for op in self.body.walk():
            op.operands[:] = [read.get(v, v) for v in op.operands]
        self.body.ops[:0] = b.block.ops


# As dear as reading a stored element, or nearly.
_QUICK = frozenset({"div", "sqrt", "is_inf", "bitwise_and", "bitwise_or", "bitwise_xor", "floordiv", "mod"})


def _sorted(work: list[Op], after: list[set[int]]) -> list[Op] | None:
    """The ops in the order closest to the given one that keeps what comes before what; None where that is circular."""
    before = [0] * len(work)
    for later in after:
        for k in later:
            before[k] += 1
    ready = [k for k, n in enumerate(before) if not n]
    heapq.heapify(ready)
    out: list[Op] = []
    while ready:
        k = heapq.heappop(ready)
        out.append(work[k])
        for n in after[k]:
            before[n] -= 1
            if not before[n]:
                heapq.heappush(ready, n)
    return out if len(out) == len(work) else None


class _Writer:
    """Writes ops of a body for all trips at once: a value of one element becomes an array with one per trip.

    Attributes:
      now: the carried arrays as they are after what was written.
    """

    def __init__(self, trips: Trips, op: Op) -> None:
        self.trips = trips
        self.b = IRBuilder(Block(), op.loc)
        self.now: dict[int, Value] = {}
        self._wide: dict[Value, Value] = {}

    def wide(self, v: Value) -> Value:
        """The value in all trips: an array of one element per trip, or a scalar that is the same in all."""
        if v not in self._wide:
            self._wide[v] = self._made(v)
        return self._wide[v]

    def _made(self, v: Value) -> Value:
        if v not in self.trips.inside or not isinstance(v.owner, Op) or not v.owner.operands:
            found = self.trips.affine(v) if v in self.trips.inside else None
            if found is not None and found[0]:
                return self._line(v, *found)
            return self._scalar(v)
        found = self.trips.affine(v)
        assert found is not None, v
        return self._line(v, *found)

    def _scalar(self, v: Value) -> Value:
        """What is the same in all trips, without dimensions."""
        if v in self.trips.inside:  # a constant of the body
            v = self.b.const(v.owner.attrs["value"], v.type.dtype).value  # type: ignore[union-attr]
        return v if not v.type.shape else self.b.reshape(self.b.expr(v), shape=()).value

    def _line(self, v: Value, a: int, c: int) -> Value:
        """a*t + c for all trips."""
        dtype = v.type.dtype
        if not a:
            return self.b.const(c, dtype).value  # type: ignore[no-any-return]
        t = self.b.iota(shape=(self.trips.count,), axis=0, dtype=dtype)
        t = t if a == 1 else t * a
        return (t if not c else t + c).value  # type: ignore[no-any-return]

    def point(self, op: Op) -> None:
        """An op on elements."""
        self.b.loc = op.loc
        xs = [self.b.expr(self.wide(v)) for v in op.operands]
        moves = op.kind.name in ("reshape", "broadcast_to", "identity")
        self._wide[op.result] = xs[0].value if moves else self.b.apply(op.kind, xs, dict(op.attrs)).value

    def touch(self, op: Op, at: Access, array: int | None) -> None:
        """A read or write of an element; `array` is the number of the carried array it belongs to."""
        self.b.loc = op.loc
        base = op.operands[0] if array is None else self.now[array]
        n = self.trips.count
        sizes = tuple(n if k == at.axis else 1 for k in range(len(at.starts)))
        starts = tuple(at.b if k == at.axis else s if isinstance(s, int) else None for k, s in enumerate(at.starts))
        strides = tuple(at.a if k == at.axis else 1 for k in range(len(at.starts)))
        dynamic = [self.b.expr(s) for s in at.starts if isinstance(s, Value)]
        if op.kind.name == "slice":
            part = self.b.slice(self.b.expr(base), *dynamic, starts=starts, sizes=sizes, strides=strides)
            self._wide[op.result] = self.b.reshape(part, shape=(n,)).value
            return
        x: Expr = self.b.expr(self.wide(op.operands[1]))
        x = self.b.reshape(x if x.type.shape else self._filled(x, n), shape=sizes)
        attrs = {"starts": starts, "strides": strides}
        assert array is not None
        self.now[array] = self.b.apply(op.kind, [self.b.expr(base), x, *dynamic], attrs).value

    def _filled(self, x: Expr, n: int) -> Expr:
        return self.b.broadcast_to(x, shape=(n,))  # type: ignore[no-any-return]
