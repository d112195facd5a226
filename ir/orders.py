"""The order of dimensions in which the elementwise work of a block is done best.

Where results of matrix products, arguments and results lie is fixed; the order of everything elementwise between them
is not. Elementwise ops of one shape that use each other form a *group*, which has one order. An *edge* is between a
group and what it reads or is read by: if the two have the dimensions that they share in different orders, memory is
crossed there, element by element. A group also pays for an innermost dimension that fills no vector. The largest groups
choose first, then all look again at what their neighbours chose. Nothing changes unless the whole block pays less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from .axes import Dims, Order, aligned, by_dimension, compose, kept, long, orderly, own, slotted, view
from .elementwise import Elementwise
from .graph import Block, Op, Value
from .rewrite import inputs
from .sizes import estimate

LEAST = 4096  # elements: for fewer it is not worth changing a program
_ROW = 8  # elements in a row that are moved together at nearly no cost
_ROWS = 8  # how much dearer it is to move single elements
_NARROW = 4  # how much dearer an element is in a loop over few
_CANDIDATES = 8
_SWEEPS = 2
# What has no order of its own: each element is made where it is needed.
_FREE = frozenset({"iota"})


def concerned(op: Op) -> bool:
    """Whether the order of dimensions may matter here: of a transpose, or of much work in a loop over few."""
    if op.kind.name == "transpose":
        return True
    if not isinstance(op.kind, Elementwise) or not orderly(op.result) or op.result.type.rank < 2:
        return False
    return _group_of(op.result).narrow >= LEAST * _NARROW


def _group_of(v: Value) -> Group:
    shape = tuple(map(estimate, v.type.shape))
    return Group(shape, tuple(range(len(shape))))


@dataclass(slots=True, eq=False)
class Group:
    """Elementwise ops of one shape. `order`: of its dimensions, as chosen."""

    shape: tuple[int, ...]
    order: Order
    edges: dict[Edge, int] = field(default_factory=dict)

    @property
    def elements(self) -> int:
        """How many there are."""
        return prod(self.shape)

    @property
    def narrow(self) -> int:
        """What is paid for an innermost dimension that fills no vector, where another one would."""
        sizes = [self.shape[d] for d in self.order if self.shape[d] != 1]
        return self.elements * _NARROW if sizes and sizes[-1] < _ROW and max(sizes) >= 2 * _ROW else 0

    @property
    def wide(self) -> Order:
        """The order at hand with the dimensions that fill no vector in front."""
        return tuple(sorted(self.order, key=lambda d: self.shape[d] >= _ROW))


@dataclass(frozen=True, slots=True)
class Edge:
    """`pairs` are the dimensions that a group shares with another, or with something that lies fixed (None).

    `value` is what one reads from the other: however often that is done, it is paid once.
    `turned`: the other takes a matrix in the last two dimensions just as well if these are exchanged.
    """

    group: Group
    other: Group | None
    pairs: tuple[tuple[int, int], ...]
    value: Value
    turned: bool = False

    def cost(self, weight: int) -> int:
        """What is paid for the orders at hand."""
        place = {d: k for k, d in enumerate(self.group.order)}
        first = sorted(self.pairs, key=lambda p: place[p[0]])
        if self.other is not None:
            there = {d: k for k, d in enumerate(self.other.order)}
            second = sorted(self.pairs, key=lambda p: there[p[1]])
        else:
            second = sorted(self.pairs, key=lambda p: p[1])
        if first == second:
            return 0
        row = first[-1] == second[-1] and self.group.shape[first[-1][0]] >= _ROW
        turned = self.turned and [*first[:-2], first[-1], first[-2]] == second
        return weight if row or turned else weight * _ROWS

    def wish(self, group: Group) -> Order:
        """The order in which one of the two crosses nothing here."""
        mine = 0 if group is self.group else 1
        other = self.other if mine == 0 else self.group
        place = {d: k for k, d in enumerate(other.order)} if other is not None else None
        pairs = sorted(self.pairs, key=lambda p: p[1 - mine] if place is None else place[p[1 - mine]])
        return slotted([p[mine] for p in pairs], len(group.shape))


# What lies under a value (None: something fixed), the value's dimensions as its, and what the value is a view of.
Anchor = tuple[Group | None, Dims, Value]


class Orders:
    """The groups of a block."""

    def __init__(self, block: Block) -> None:
        self.groups: dict[Value, Group] = {}
        self.anchors: dict[Value, Anchor] = {}
        self.free: set[Value] = set()
        self.edges: dict[Edge, int] = {}
        self._group(block)
        for op in block.ops:
            self._visit(op)

    def choose(self) -> bool:
        """Gives each group its order; whether any has another than before."""
        groups = sorted(dict.fromkeys(self.groups.values()), key=lambda g: -g.elements)
        before = self._total()
        decided: set[Group | None] = {None}
        for g in groups:
            self._decide(g, {e: w for e, w in g.edges.items() if e.other in decided and e.group in decided | {g}})
            decided.add(g)
        for _ in range(_SWEEPS):
            for g in groups:
                self._decide(g, g.edges)
        if self._total() + LEAST * _ROWS > before:
            for g in groups:
                g.order = tuple(range(len(g.shape)))
            return False
        return True

    def _total(self) -> int:
        groups = dict.fromkeys(self.groups.values())
        return sum(e.cost(w) for e, w in self.edges.items()) + sum(g.narrow for g in groups)

    def _decide(self, g: Group, edges: dict[Edge, int]) -> None:
        """The cheapest order; the one that it has, or else the first, where several are."""
        candidates = dict.fromkeys([g.order])
        if g.narrow:
            candidates[g.wide] = None
        for e in edges:
            if len(candidates) < _CANDIDATES:
                candidates[e.wish(g)] = None
        if len(candidates) == 1:
            return
        best, least = g.order, None
        for order in candidates:
            g.order = order
            cost = g.narrow + sum(e.cost(w) for e, w in edges.items())
            if least is None or cost < least:
                best, least = order, cost
        g.order = best

    # -- groups and edges --------------------------------------------------------------------------------------------

    def _group(self, block: Block) -> None:
        """Elementwise ops of two dimensions or more, each with those operands of its shape that are such, too."""
        parent: dict[Value, Value] = {}

        def root(v: Value) -> Value:
            while parent[v] is not v:
                parent[v] = v = parent[parent[v]]
            return v

        for op in block.ops:
            if isinstance(op.kind, Elementwise) and orderly(op.result) and len(long(op.result.type.shape)) > 1:
                parent[op.result] = op.result
                for v in op.operands:
                    if v in parent and v.type.shape == op.result.type.shape:
                        parent[root(v)] = root(op.result)
        made: dict[Value, Group] = {}
        for v in parent:
            self.groups[v] = made.setdefault(root(v), _group_of(v))

    def _visit(self, op: Op) -> None:
        dims = view(op)
        if dims is not None:
            under, inner, base = self._anchor(op.operands[0])
            self.anchors[op.result] = under, compose(dims, inner), base
            if op.operands[0] in self.free:
                self.free.add(op.result)
        elif isinstance(op.kind, Elementwise):
            self._elementwise(op)
        elif by_dimension(op):
            x = op.operands[0]
            under, inner, _ = self._anchor(x)
            if set(long(x.type.shape)) - {d for d, b in enumerate(inner) if b is not None}:
                under, inner = None, own(x)  # of a repeated dimension nothing says where it is
            dims = tuple(None if n == 1 else d for d, n in zip(kept(op), op.result.type.shape, strict=True))
            self.anchors[op.result] = under, compose(dims, inner), op.result
        else:
            for v in inputs(op):
                self._edge(v, None, own(v) if orderly(v) else (), op.kind.name == "matmul")
            if op.kind.name in _FREE:
                self.free.update(op.results)

    def _elementwise(self, op: Op) -> None:
        r = op.result
        group = self.groups.get(r)
        if group is None:
            return
        self.anchors[r] = group, own(r), r
        for v in op.operands:
            if orderly(v) and v not in self.free:
                here = {b: k for k, b in enumerate(aligned(v, r.type.shape)) if b is not None}
                self._edge(v, group, tuple(here.get(d) for d in range(v.type.rank)))

    def _anchor(self, v: Value) -> Anchor:
        return self.anchors.get(v) or (None, own(v) if orderly(v) else (), v)

    def _edge(self, v: Value, reader: Group | None, dims: Dims, matrix: bool = False) -> None:
        """A group, or something fixed, reads a value, whose dimensions are `dims` there."""
        under, inner, base = self._anchor(v)
        sides = [(reader, dims), (under, inner)] if reader is not None else [(under, inner), (reader, dims)]
        (a, mine), (b, theirs) = sides
        if a is None or (a is b and mine == theirs):
            return
        shared = [d for d, (x, y) in enumerate(zip(mine, theirs, strict=True)) if x is not None and y is not None]
        if len(shared) < 2:
            return
        turned = matrix and shared[-2:] == [v.type.rank - 2, v.type.rank - 1]
        edge = Edge(a, b, tuple((mine[d], theirs[d]) for d in shared), base, turned)  # type: ignore[misc]
        self.edges[edge] = prod(estimate(v.type.shape[d]) for d in shared)
        for g in {a, b} - {None}:
            g.edges[edge] = self.edges[edge]  # type: ignore[union-attr]
