"""Which values of a region its reverse keeps and which it computes again: a minimum cut.

The reverse of a region reads some of the region's values. Each can be saved where it is made, or be recomputed by cheap
ops from values that are saved or can be had anyway (outer values, the loop's index). Saving costs bytes; the choice of
least cost is a minimum vertex cut between the values that cannot be recomputed and those that are needed, found by
augmenting paths (Ford and Fulkerson 1956). Of equal cuts it takes the one next to the reverse: least to recompute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from .control import CALL
from .dims import DimLike, substitute, symbols_of
from .elementwise import Elementwise
from .graph import Block, Op, Value
from .partition import CHEAP, GUESS
from .types import StackType

Node = tuple[Value | None, bool]  # a value's entry (False) or exit (True); None is the source and the sink
_SOURCE: Node = (None, False)
_SINK: Node = (None, True)
_MUCH = 1 << 60
# Reading a part again costs what reading its saved copy would.
READS = {"slice", "gather", "reverse"}
_COPIES = {"update", "add_at", "scatter_add", "scatter_update"}


def cheap(op: Op) -> bool:
    """Whether computing the op again costs no more than saving its result: what the reverse of a loop may repeat."""
    if op.regions or op.kind.effect or len(op.results) != 1:
        return False
    name = op.kind.name
    if isinstance(op.kind, Elementwise):
        return name in CHEAP or not op.result.type.dtype.is_differentiable
    return name in READS or (name in CHEAP and len(op.operands) <= 1)


def repeatable(op: Op) -> bool:
    """Whether an op may be computed again at all: what the reverse of a branch may repeat, as only one branch runs."""
    if op.kind.name in _COPIES:
        return False  # where the first run wrote in place, a second one would copy
    stacks = any(isinstance(v.type, StackType) for v in (*op.operands, *op.results))
    return not op.regions and not op.kind.effect and op.kind is not CALL and not stacks


def bytes_of(v: Value) -> int:
    """The size of a value; dimensions that are not known are guessed."""
    size: DimLike = 1
    for d in v.type.shape:
        n = substitute(d, dict.fromkeys(symbols_of(d), GUESS))
        size = size * (max(n, 1) if isinstance(n, int) else GUESS)
    return (size if isinstance(size, int) else GUESS) * v.type.dtype.size


class Residuals:
    """The choice for one region.

    Attributes:
      saved: values to keep, in the order of their definition. again: ops to repeat, in program order.
    """

    def __init__(self, body: Block, needed: Iterable[Value], given: Iterable[Value], may: Callable[[Op], bool]) -> None:
        """Takes the region's values that its reverse reads, those that it has, and whether it may repeat an op."""
        self._order = {v: i for i, v in enumerate([*body.params, *(r for op in body.ops for r in op.results)])}
        self._given = set(given)
        self._may = may
        needed = [v for v in needed if v not in self._given]
        kept = {v for v in needed if not self._repeats(v)}
        self._given |= kept
        rest = self._not_free([v for v in needed if v not in kept])
        kept |= _Cut(rest, self._operands).values()
        self._given |= kept
        self.saved = sorted(kept, key=self._order.__getitem__)
        self.again = self._closure([v for v in needed if v not in kept], body)

    def _repeats(self, v: Value) -> bool:
        return isinstance(v.owner, Op) and self._may(v.owner)

    def _operands(self, v: Value) -> list[Value] | None:
        """The region's values that a value is recomputed from; None where it cannot be."""
        if not self._repeats(v):
            return None
        assert isinstance(v.owner, Op)
        return [x for x in v.owner.operands if x in self._order and x not in self._given]

    def _not_free(self, values: list[Value]) -> list[Value]:
        """Those of the values that need anything saved to be recomputed."""
        free: dict[Value, bool] = {}
        todo = list(values)
        while todo:
            v = todo[-1]
            operands = self._operands(v)
            missing = [x for x in operands or () if x not in free]
            if v in free or operands is None or not missing:
                free.setdefault(v, operands is not None and all(free[x] for x in operands))
                todo.pop()
            todo += [] if v in free else missing
        return [v for v in values if not free[v]]

    def _closure(self, values: list[Value], body: Block) -> list[Op]:
        """The ops that make the values from what is given."""
        found: set[int] = set()
        todo = list(values)
        while todo:
            v = todo.pop()
            if v in self._order and v not in self._given and isinstance(v.owner, Op) and id(v.owner) not in found:
                found.add(id(v.owner))
                todo += v.owner.operands
        return [op for op in body.ops if id(op) in found]


class _Cut:
    """A minimum vertex cut between what cannot be recomputed and what is needed."""

    def __init__(self, needed: list[Value], operands: Callable[[Value], list[Value] | None]) -> None:
        self.room: dict[Node, dict[Node, int]] = {}
        todo, seen = list(needed), set(needed)
        for v in needed:
            self._edge((v, True), _SINK, _MUCH)
        while todo:
            v = todo.pop()
            self._edge((v, False), (v, True), bytes_of(v))
            below = operands(v)
            if below is None:
                self._edge(_SOURCE, (v, False), _MUCH)
            for x in below or ():
                self._edge((x, True), (v, False), _MUCH)
                if x not in seen:
                    seen.add(x)
                    todo.append(x)

    def _edge(self, a: Node, b: Node, room: int) -> None:
        self.room.setdefault(a, {})[b] = room
        self.room.setdefault(b, {}).setdefault(a, 0)

    def values(self) -> set[Value]:
        """The values of the cut."""
        if _SOURCE not in self.room or _SINK not in self.room:
            return set()
        while path := self._path():
            flow = min(self.room[a][b] for a, b in path)
            for a, b in path:
                self.room[a][b] -= flow
                self.room[b][a] += flow
        late = self._reaches_sink()
        return {v for v, out in self.room if v is not None and not out and (v, True) in late and (v, False) not in late}

    def _path(self) -> list[tuple[Node, Node]]:
        """A shortest path with room from source to sink, as edges; empty when there is none."""
        back: dict[Node, Node] = {_SOURCE: _SOURCE}
        todo = deque([_SOURCE])
        while todo and _SINK not in back:
            a = todo.popleft()
            for b, room in self.room[a].items():
                if room and b not in back:
                    back[b] = a
                    todo.append(b)
        if _SINK not in back:
            return []
        path, at = [], _SINK
        while at != _SOURCE:
            path.append((back[at], at))
            at = back[at]
        return path

    def _reaches_sink(self) -> set[Node]:
        seen = {_SINK}
        todo = [_SINK]
        while todo:
            b = todo.pop()
            for a in self.room[b]:
                if a not in seen and self.room[a][b]:
                    seen.add(a)
                    todo.append(a)
        return seen
