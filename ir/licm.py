"""Loop-invariant code motion: what a loop would compute anew on every trip, from values outside, moves before it.

Only ops without effects that cannot fail move: an index that would be out of range must not be looked at when the
loop makes no trip. What a loop carries without ever changing it is not carried: its uses become the initial value.
A value larger than anything it is made of (an outer product, say) stays: storing it would cost more than it saves.
Inner loops come first, so that code leaves as many loops as it can.
"""

from __future__ import annotations

from .elementwise import Elementwise
from .failing import may_fail
from .graph import Block, Function, Op, Value
from .rewrite import inputs, keep_name
from .types import StackType

_SAFE = frozenset({
    "constant", "iota", "reshape", "squeeze", "expand_dims", "transpose", "broadcast_to", "reverse", "identity",
    "stop_gradient", "reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_any", "reduce_all", "matmul",
    "concat", "pad", "argmax", "argmin", "cumsum", "linear_scan", "slice", "update", "add_at", "cast", "where", "dim",
    "shape_of", "random_bits", "random_uniform", "cholesky", "lu", "triangular_solve", "argsort", "searchsorted",
})  # fmt: skip
_LOOKS = frozenset({"constant", "iota", "reshape", "squeeze", "expand_dims", "transpose", "broadcast_to", "reverse",
                    "identity", "stop_gradient", "slice"})  # fmt: skip


def licm(fn: Function) -> Function:
    """A copy of the function with loop invariants outside of the loops."""
    return Function(fn.name, _Motion().block(fn.body))


class _Motion:
    def __init__(self) -> None:
        self.mapping: dict[Value, Value] = {}

    def block(self, block: Block) -> Block:
        """The block, with what its loops do not change before them."""
        new = Block(Value(p.type, p.name) for p in block.params)
        self.mapping.update(zip(block.params, new.params, strict=True))
        for op in block.ops:
            if op.kind.name in ("for", "while"):
                self._loop(op, new)
            else:
                self._copy(op, [self.block(r) for r in op.regions], new)
        return new

    def _copy(self, op: Op, regions: list[Block], into: Block) -> None:
        operands = [self.mapping[v] for v in op.operands]
        new = Op(op.kind, operands, dict(op.attrs), regions, [r.type for r in op.results], op.loc)
        for old, r in zip(op.results, new.results, strict=True):
            r.name = old.name
            self.mapping[old] = r
        into.ops.append(new)

    def _loop(self, op: Op, into: Block) -> None:
        first = 3 if op.kind.name == "for" else 0
        extra = 1 if op.kind.name == "for" else 0
        kept = [j for j in range(len(op.results)) if not _unchanged(op, j, extra)]
        for j in set(range(len(op.results))) - set(kept):
            init = self.mapping[op.operands[first + j]]
            for v in (op.results[j], *(r.params[extra + j] for r in op.regions)):
                self.mapping[v] = init
                if isinstance(init.owner, Op):
                    keep_name(init, v)
        regions = [self._region(r, extra, kept, r is op.regions[-1]) for r in op.regions]
        for region in regions:
            _lift(region, into)
        operands = [self.mapping[v] for v in [*op.operands[:first], *(op.operands[first + j] for j in kept)]]
        results = [op.results[j] for j in kept]
        new = Op(op.kind, operands, dict(op.attrs), regions, [r.type for r in results], op.loc)
        for old, r in zip(results, new.results, strict=True):
            r.name = old.name
            self.mapping[old] = r
        into.ops.append(new)

    def _region(self, region: Block, extra: int, kept: list[int], last: bool) -> Block:
        params = [*region.params[:extra], *(region.params[extra + j] for j in kept)]
        *ops, end = region.ops
        new = self.block(_borrowed(region, params, ops))
        given = [end.operands[j] for j in kept] if last else end.operands
        new.ops.append(Op(end.kind, [self.mapping[v] for v in given], dict(end.attrs), (), (), end.loc))
        return new


def _borrowed(region: Block, params: list[Value], ops: list[Op]) -> Block:
    """Some of a region's parameters and ops, as a block to be read; they still belong to the region."""
    block = Block((), ops)
    block.params = params
    return block


def _unchanged(op: Op, j: int, extra: int) -> bool:
    """Whether a loop hands on what it carries as number j as it is."""
    body = op.regions[-1]
    return body.terminator.operands[j] is body.params[extra + j]


def _lift(region: Block, into: Block) -> None:
    """Moves the invariant ops of a region to the block before it."""
    inside: set[Value] = set(region.params)
    stay: list[Op] = []
    for op in region.ops:
        if _movable(op) and not any(v in inside for v in inputs(op)):
            into.ops.append(op)
        else:
            inside.update(op.results)
            stay.append(op)
    region.ops = stay


def _movable(op: Op) -> bool:
    """Whether an op has no effect, cannot fail, and is worth being stored."""
    name = op.kind.name
    if op.regions or op.kind.effect or op.kind.terminator or any(isinstance(r.type, StackType) for r in op.results):
        return False
    if not isinstance(op.kind, Elementwise) and name not in _SAFE:
        return False
    if may_fail(op):
        return False
    return name in _LOOKS or all(_size(r) <= max(map(_size, op.operands), default=1) for r in op.results)


def _size(v: Value) -> int:
    size = v.type.size
    return size if isinstance(size, int) else 1
