"""Chains of sums into shifted boxes of an array go over their common interior once.

The reverse of a stencil in two or three dimensions adds a cotangent at each of the places that a point was computed
from: `g[1:-1, 1:-1] += v; g[2:, 1:-1] += v; g[:-2, 1:-1] += v; ...`, one sweep over the array per neighbour. Nearly
all points lie in all of these boxes. There one kernel reads g, adds all shares in the order of the lines, and writes
it; what a box has outside of the common one is at most two slabs per dimension, which are added as before. The slabs
and the interior are disjoint, and in each the order of the sums is that of the lines: the bits stay. (Where the boxes
are shifted along one dimension only, `segments` leaves nothing over at all.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from .activity import is_loop
from .graph import Block, Function, Op, Value, clone_function, uses
from .opdef import get

LEAST = 3  # boxes
# Elements of an interior for which it is worth compiling the slabs, which takes some 40 ms: in a loop, and elsewhere.
IN_LOOP, ONCE = 2048, 65536
Box = tuple[tuple[int, int], ...]  # (first, end) per dimension
Uses = dict[Value, list[tuple[Op, int]]]


def interiors(fn: Function) -> Function:
    """A copy of the function with such chains rewritten, or the function itself where there are none."""
    if sum(_box(op) is not None for op in fn.body.walk()) < LEAST:
        return fn
    new = clone_function(fn)
    return new if _block(new.body, dict(uses(new.body)), ONCE) else fn


def _box(op: Op) -> Box | None:
    """Where an `add_at` of two dimensions or more adds, if that is known."""
    if op.kind.name != "add_at" or len(op.operands) > 2 or any(s != 1 for s in op.attrs["strides"]):
        return None
    starts, sizes = op.attrs["starts"], op.operands[1].type.shape
    if len(sizes) < 2 or not all(isinstance(n, int) for n in (*starts, *sizes)):
        return None
    return tuple((k, k + n) for k, n in zip(starts, sizes, strict=True))


def _block(block: Block, used: Uses, least: int) -> bool:
    found = False
    for op in block.ops:
        for r in op.regions:
            found = _block(r, used, IN_LOOP if is_loop(op) else least) or found
    chains = _chains(block, used, least)
    ops: list[Op] = []
    mapping: dict[Value, Value] = {}
    for op in block.ops:
        chain = chains.get(id(op))
        if chain is None:
            ops.append(op)
        elif op is chain[-1]:
            made = _Chain(chain).write()
            ops += made
            mapping[op.result] = made[-1].result
    if not mapping:
        return found
    block.ops = ops
    fresh = {id(v.owner) for v in mapping.values()}
    for op in block.walk():
        if id(op) not in fresh:
            op.operands[:] = [mapping.get(v, v) for v in op.operands]
    return True


def _chains(block: Block, used: Uses, least: int) -> dict[int, list[Op]]:
    """By the id of each op that belongs to one: the chains worth rewriting."""
    chain_of: dict[int, list[Op]] = {}
    for op in block.ops:
        if _box(op) is None:
            continue
        below = op.operands[0].owner
        chain = chain_of.get(id(below)) if isinstance(below, Op) and len(used[op.operands[0]]) == 1 else None
        chain = [] if chain is None else chain
        chain.append(op)
        chain_of[id(op)] = chain
    return {k: chain for k, chain in chain_of.items() if _pays(chain, least)}


def _common(boxes: Sequence[Box]) -> Box:
    return tuple((max(b[d][0] for b in boxes), min(b[d][1] for b in boxes)) for d in range(len(boxes[0])))


def _volume(box: Box) -> int:
    return prod(max(end - first, 0) for first, end in box)


def _boxes(chain: Sequence[Op]) -> list[Box]:
    return [box for op in chain if (box := _box(op)) is not None]


def _pays(chain: Sequence[Op], least: int) -> bool:
    """Whether most of what is added is added inside."""
    if len(chain) < LEAST:
        return False
    boxes = _boxes(chain)
    inner = _volume(_common(boxes))
    return inner >= least and 2 * inner >= max(map(_volume, boxes)) and any(b != boxes[0] for b in boxes)


class _Chain:
    """Writes one chain anew."""

    def __init__(self, chain: Sequence[Op]) -> None:
        self.chain, self.boxes = chain, _boxes(chain)
        self.ops: list[Op] = []

    def write(self) -> list[Op]:
        """The slabs in the order of the lines, then the interior."""
        common, array = _common(self.boxes), self.chain[0].operands[0]
        for op, box in zip(self.chain, self.boxes, strict=True):
            for slab in _outside(box, common):
                array = self._emit("add_at", op, [array, self._part(op, op.operands[1], slab, box)], slab)
        total = self._part(self.chain[0], array, common)
        for op, box in zip(self.chain, self.boxes, strict=True):
            share = self._part(op, op.operands[1], common, box)
            total = self._emit("add", op, [total, share])
        self._emit("update", self.chain[-1], [array, total], common)
        return self.ops

    def _part(self, op: Op, v: Value, box: Box, of: Box | None = None) -> Value:
        """The elements of a box; of what belongs in the box `of`, if that is given."""
        starts = [first - (0 if of is None else of[d][0]) for d, (first, _) in enumerate(box)]
        sizes = [end - first for first, end in box]
        if sizes == list(v.type.shape):
            return v
        attrs = {"starts": tuple(starts), "sizes": tuple(sizes), "strides": (1,) * len(box)}
        return self._add(Op(get("slice"), [v], attrs, (), get("slice").infer(attrs, [v.type]), op.loc))

    def _emit(self, name: str, op: Op, operands: list[Value], box: Box | None = None) -> Value:
        attrs = {} if box is None else {"starts": tuple(k for k, _ in box), "strides": (1,) * len(box)}
        return self._add(Op(get(name), operands, attrs, (), [operands[0].type], op.loc))

    def _add(self, op: Op) -> Value:
        self.ops.append(op)
        return op.result


def _outside(box: Box, common: Box) -> Iterator[Box]:
    """What a box has beside the common one, in disjoint boxes; those of the first dimensions are the widest."""
    for d, ((first, end), (low, high)) in enumerate(zip(box, common, strict=True)):
        for begin, stop in ((first, low), (high, end)):
            if begin < stop:
                yield (*common[:d], (begin, stop), *box[d + 1 :])
