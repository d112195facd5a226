"""Sums into overlapping slots of an array become one array, piece by piece.

The reverse of a stencil adds shifted copies of a cotangent into slots of another: `g[:-2] += a; g[1:-1] += b; g[2:]
+= c` goes over the array once per line, each time reading what the line before has just written. Where the slots lie
is known, so between two borders it is known, too, which lines take part: each piece of the result is an expression of
its own, in the order of the lines, and `concat` of the pieces is written in one pass. The same for `u[1:-1] =
f(u[:-2], u[2:])`, which would otherwise take a copy of u.
"""

from __future__ import annotations

from itertools import pairwise

from .builder import IRBuilder
from .elementwise import Elementwise
from .graph import Block, Function, Op, Value, clone_function, uses
from .opdef import get
from .simplify import canon

MOST = 32  # pieces
WRITES = frozenset({"update", "add_at"})
_DEEP = 60  # how far back an expression is followed


def segments(fn: Function) -> Function:
    """A copy of the function with such chains as concatenations, or the function itself where there are none."""
    if not any(_slot(op) for op in fn.body.walk()):
        return fn
    new = clone_function(fn)
    return canon(new) if _block(new.body, dict(uses(new.body))) else fn


def _slot(op: Op) -> tuple[int, int, int] | None:
    """(axis, first, end) of a write that covers all of its array along every other axis; None for any other op."""
    if op.kind.name not in WRITES or None in op.attrs["starts"] or any(s != 1 for s in op.attrs["strides"]):
        return None
    base, v = (x.type.shape for x in op.operands[:2])
    partial = [k for k, (n, m) in enumerate(zip(base, v, strict=True)) if n != m]
    if len(partial) != 1 or not all(isinstance(n, int) for n in base):
        return None
    (axis,) = partial
    first = op.attrs["starts"][axis]
    return axis, first, first + v[axis]


Uses = dict[Value, list[tuple[Op, int]]]


def _block(block: Block, used: Uses) -> bool:
    """Rewrites a block in place; whether anything was found."""
    found = False
    for op in block.ops:
        for r in op.regions:
            found |= _block(r, used)
    trees = _Trees(block, used)
    ops: list[Op] = []
    mapping: dict[Value, Value] = {}
    for op in block.ops:
        ops.append(op)
        tree = trees.found.get(id(op))
        if tree is not None and tree.pays():
            b = IRBuilder(Block(), op.loc)
            mapping[op.result] = tree.write(b)
            ops += b.block.ops
    block.ops = ops
    if mapping:
        fresh = {id(v.owner) for v in mapping.values()}
        for op in block.walk():
            if id(op) not in fresh:
                op.operands[:] = [mapping.get(v, v) for v in op.operands]
    return found or bool(mapping)


class _Trees:
    """The expressions of writes in a block: each ends in an op (its root) that somebody else than they needs.

    Attributes:
      found: by the id of the root.
    """

    def __init__(self, block: Block, used: Uses) -> None:
        self.found: dict[int, _Tree] = {}
        for op in block.ops:
            inner = [id(v.owner) for v in op.operands if isinstance(v.owner, Op) and id(v.owner) in self.found]
            tree = self._tree(op, [self.found[k] for k in inner])
            if tree is None:
                continue
            for v in op.operands:
                below = self.found.get(id(v.owner)) if isinstance(v.owner, Op) else None
                if below is not None and below.axis == tree.axis and len(used[v]) == 1 and self._joins(op, v):
                    tree.take(self.found.pop(id(v.owner)))
            if tree.writes():
                self.found[id(op)] = tree

    def _tree(self, op: Op, inner: list[_Tree]) -> _Tree | None:
        slot = _slot(op)
        if slot is not None:
            return _Tree(op, slot[0], {0, op.result.type.shape[slot[0]], *slot[1:]})  # type: ignore[arg-type]
        if not inner or not isinstance(op.kind, Elementwise) or not op.result.type.rank:
            return None
        (axis, *other) = {t.axis for t in inner}
        whole = all(v.type.shape in ((), op.result.type.shape) for v in op.operands)
        return None if other or not whole else _Tree(op, axis, {0, op.result.type.shape[axis]})  # type: ignore[arg-type]

    def _joins(self, op: Op, v: Value) -> bool:
        """Whether the expression of the operand may become part of the op's."""
        return op.kind.name not in WRITES or v is op.operands[0]


class _Tree:
    """An expression of writes along one axis.

    Attributes:
      inside: its ops by their results. borders: where pieces begin and end.
    """

    def __init__(self, root: Op, axis: int, borders: set[int]) -> None:
        self.root, self.axis, self.borders = root, axis, borders
        self.inside: dict[Value, Op] = {root.result: root}
        self._parts: dict[tuple[Value, int, int], Value] = {}

    def take(self, other: _Tree) -> None:
        """The ops of another expression, which is an operand, become part of this one."""
        small, large = sorted((self.inside, other.inside), key=len)
        large.update(small)  # the smaller into the larger: chains of thousands of writes stay cheap
        self.inside = large
        self.borders |= other.borders

    def writes(self) -> list[tuple[Op, tuple[int, int, int]]]:
        """The writes with their slots."""
        return [(op, s) for op in self.inside.values() if (s := _slot(op)) is not None]

    def pays(self) -> bool:
        """Whether pieces cost less: most of the array is written, several times or from other places of itself."""
        size: int = self.root.result.type.shape[self.axis]  # type: ignore[assignment]
        slots = self.writes()
        if len(self.borders) > MOST + 1:
            return False
        pieces = pairwise(sorted(self.borders))
        written = sum(high - low for low, high in pieces if any(first <= low < end for _, (_, first, end) in slots))
        if 2 * written < size:
            return False
        return len(slots) > 1 or any(self._crosses(op, s[1]) for op, s in slots)

    def _crosses(self, op: Op, first: int) -> bool:
        """Whether what is written is made from other places of the array that is written into."""
        todo, base = [op.operands[1]], op.operands[0]
        seen: set[Value] = set()
        while todo and len(seen) < _DEEP:
            v = todo.pop()
            made = v.owner
            if v in seen or not isinstance(made, Op):
                continue
            seen.add(v)
            if made.kind.name == "slice":
                if made.operands[0] is base and made.attrs["starts"][self.axis] != first:
                    return True
            elif isinstance(made.kind, Elementwise) or made.kind.name == "reshape":
                todo += made.operands
        return False

    def write(self, b: IRBuilder) -> Value:
        """The result as a concatenation of its pieces."""
        borders = sorted(self.borders)
        pieces = [self._part(b, self.root.result, *x) for x in pairwise(borders)]
        return b.concat(*pieces, axis=self.axis).value  # type: ignore[no-any-return]

    def _part(self, b: IRBuilder, v: Value, low: int, high: int) -> Value:
        """The elements of a value from `low` to `high`."""
        key = (v, low, high)
        if key not in self._parts:
            op = self.inside.get(v)
            self._parts[key] = self._cut(b, v, low, high) if op is None else self._made(b, op, low, high)
        return self._parts[key]

    def _made(self, b: IRBuilder, op: Op, low: int, high: int) -> Value:
        b.loc = op.loc
        slot = _slot(op)
        if slot is None:
            return b.apply(op.kind, [self._part(b, v, low, high) for v in op.operands], dict(op.attrs)).value  # type: ignore[no-any-return]
        _, first, end = slot
        if not first <= low < end:
            return self._part(b, op.operands[0], low, high)
        new = self._part(b, op.operands[1], low - first, high - first)
        if op.kind.name == "update":
            return new
        return b.apply(_ADD, [self._part(b, op.operands[0], low, high), new], {}).value  # type: ignore[no-any-return]

    def _cut(self, b: IRBuilder, v: Value, low: int, high: int) -> Value:
        """A slice, or the whole of it."""
        shape = v.type.shape
        if not shape or (low, high) == (0, shape[self.axis]):
            return v
        starts = tuple(low if k == self.axis else 0 for k in range(len(shape)))
        sizes = tuple(high - low if k == self.axis else n for k, n in enumerate(shape))
        return b.slice(b.expr(v), starts=starts, sizes=sizes, strides=(1,) * len(shape)).value  # type: ignore[no-any-return]


_ADD = get("add")
