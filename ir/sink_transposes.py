"""Elementwise work is done in the order of dimensions in which its large operands and results lie.

`scale * centred + transpose(product)` reads every element of a product across memory, and so does each kernel behind
it. Moved down through elementwise ops, broadcasts and reductions, the transposes end at small operands, at reductions,
or at one another: a transposed value that is transposed back for the next matrix product is read as it lies. Also, a
short innermost dimension (the three coordinates of the distances between particles) gives way to one that fills
vectors, where all that is large is made here. Which order is best is decided in `orders`; here the ops of a block are
written anew in it. Elements are computed as before, to the bit; sums may take theirs in another order.
"""

from __future__ import annotations

from .axes import Dims, Order, by_dimension, compose, kept, long, orderly, own, reordered, slotted, view
from .cse import cse
from .dce import dce
from .elementwise import Elementwise
from .graph import Attrs, Block, Function, Loc, Op, Value, clone_function
from .opdef import get
from .orders import Orders, concerned
from .rewrite import inputs, keep_name
from .types import TensorType


def sink_transposes(fn: Function) -> Function:
    """A copy of the function with transposes moved, or the function itself where that crosses no less memory."""
    if not any(map(concerned, fn.body.walk())):
        return fn
    new = clone_function(fn)
    return cse(dce(new)) if _block(new.body) else fn


def _block(block: Block) -> bool:
    """Rewrites a block, and those in it, in place; whether any changed."""
    found = False
    for op in block.ops:
        for r in op.regions:
            found = _block(r) or found
    if any(map(concerned, block.ops)):
        orders = Orders(block)
        if orders.choose():
            _Writer(orders).write(block)
            return True
    return found


class _Writer:
    """Writes the ops of one block anew."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.ops: list[Op] = []
        self.bases: dict[Value, tuple[Value, Dims]] = {}  # of views
        # What stands for a value, and which of the value's dimensions it has, in order. Others are as they were.
        self.now: dict[Value, tuple[Value, Order]] = {}
        self.same: set[Value] = set()  # views that stay
        self.made: dict[object, Value] = {}
        self.loc: Loc | None = None

    def write(self, block: Block) -> None:
        """The whole block."""
        for op in block.ops:
            self.loc = op.loc
            dims = view(op)
            if dims is not None:
                self._see(op, dims)
            elif isinstance(op.kind, Elementwise) and orderly(op.result):
                self._elementwise(op)
            elif by_dimension(op):
                self._by_dimension(op)
            else:
                self._fixed(op)
        block.ops = self.ops

    def _see(self, op: Op, dims: Dims) -> None:
        """A view: it stays where its base is as it was (and goes with the dead ops if nobody needs it any more)."""
        base, inner = self._base(op.operands[0])
        self.bases[op.result] = base, compose(dims, inner)
        if base not in self.now:
            self.same.add(op.result)
            self.ops.append(op)

    def _base(self, v: Value) -> tuple[Value, Dims]:
        return self.bases.get(v) or (v, own(v))

    def _fixed(self, op: Op) -> None:
        """An op that takes its operands as they were."""
        same = {v: self.arranged(v, tuple(range(v.type.rank))) for v in inputs(op) if orderly(v)}
        op.operands = [same.get(v, v) for v in op.operands]
        for region in op.regions:
            for inner in region.walk():
                inner.operands = [same.get(v, v) for v in inner.operands]
        self.ops.append(op)

    def _elementwise(self, op: Op) -> None:
        r = op.result
        group = self.orders.groups.get(r)
        order = tuple(range(r.type.rank)) if group is None else group.order
        operands = []
        for v in op.operands:
            lead = r.type.rank - v.type.rank
            want = [d - lead if d >= lead else None for d in order]
            while len(want) > v.type.rank and want[0] is None:
                del want[0]
            operands.append(self.arranged(v, tuple(want)))
        self._emit(op, operands, op.attrs, order)

    def _by_dimension(self, op: Op) -> None:
        """A reduction, say: it takes its operand in the order in which that is there."""
        x = op.operands[0]
        base, dims = self._base(x)
        order = tuple(range(x.type.rank))
        here = {b: d for d, b in enumerate(dims) if b is not None}
        if len(here) == len(long(x.type.shape)):
            order = slotted([here[b] for b in self._now(base)[1] if b in here], x.type.rank)
        of_result = {d: k for k, d in enumerate(kept(op))}
        rest = [self.arranged(v, tuple(range(v.type.rank))) for v in op.operands[1:]]
        operands = [self.arranged(x, order), *rest]
        self._emit(op, operands, reordered(op, order), tuple(of_result[d] for d in order if d in of_result))

    def _emit(self, op: Op, operands: list[Value], attrs: Attrs, order: Order) -> None:
        """The op with its result's dimensions in this order."""
        r = op.result
        if order == tuple(range(r.type.rank)):
            op.operands, op.attrs = operands, attrs
            self.ops.append(op)
            return
        shape = tuple(r.type.shape[d] for d in order)
        new = Op(op.kind, operands, attrs, (), [TensorType(r.type.dtype, shape)], op.loc)
        keep_name(new.result, r)
        self.ops.append(new)
        self.now[r] = new.result, order

    def _now(self, v: Value) -> tuple[Value, Order]:
        return self.now.get(v) or (v, tuple(range(v.type.rank)))

    def arranged(self, v: Value, want: Dims) -> Value:
        """The value with its dimensions in another order; None is a new one, of size 1."""
        if v in self.same and want == tuple(range(v.type.rank)):
            return v
        base, dims = self._base(v)
        x, order = self._now(base)
        wanted = compose(want, dims)
        shape = tuple(1 if d is None else v.type.shape[d] for d in want)
        sizes = base.type.shape
        narrow = tuple(1 if b is None else sizes[b] for b in wanted)
        core = [b for b in wanted if b is not None]
        if core != [b for b in order if sizes[b] != 1]:
            x = self._move(x, order, wanted, [b for b in order if sizes[b] == 1])
        if x.type.shape != narrow:
            x = self._view("reshape", x, {"shape": narrow}, narrow)
        return x if narrow == shape else self._view("broadcast_to", x, {"shape": shape}, shape)

    def _move(self, x: Value, order: Order, wanted: Dims, short: list[int]) -> Value:
        """A transpose; dimensions of size 1 come where some are wanted, if their number is right, else in front."""
        if len(wanted) == len(order):
            units = iter(short)
            target = [next(units) if b is None else b for b in wanted]
        else:
            target = [*short, *(b for b in wanted if b is not None)]
        perm = tuple(order.index(b) for b in target)
        return self._view("transpose", x, {"perm": perm}, tuple(x.type.shape[k] for k in perm))

    def _view(self, name: str, x: Value, attrs: Attrs, shape: tuple[object, ...]) -> Value:
        key = (name, x, *attrs.values())
        if key not in self.made:
            op = Op(get(name), [x], attrs, (), [TensorType(x.type.dtype, shape)], self.loc)  # type: ignore[arg-type]
            self.ops.append(op)
            self.made[key] = op.result
        return self.made[key]
