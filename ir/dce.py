"""Dead code elimination: ops that have no effect and whose results nobody uses go, in regions as well.

Liveness goes from what must be kept (the function's results, effects) backwards along definitions, each value once.
What loops carry and branches give is live value by value: a carried value that only feeds itself goes, with its
operand, parameters and result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .activity import is_loop
from .control import FOR, IF, has_effect
from .graph import Block, Function, Op, Value
from .rewrite import free_values


def dce(fn: Function) -> Function:
    """A copy of the function without dead ops. A loop that nobody uses is dead even if it would never end."""
    return Function(fn.name, Copy(Live(fn.body)).block(fn.body, range(len(fn.results))))


def live_carried(body: Block, first: int, n: int, wanted: Sequence[Value]) -> list[int]:
    """Of the first n values that a loop carries, the numbers of those that `wanted`, values of its body, depend on.

    `first` is how many parameters come before the carried values.
    """
    given = body.terminator.operands
    found: list[int] = []
    while True:
        live = Live(_giving(body, [*wanted, *(given[i] for i in found)]))
        now = [i for i in range(n) if body.params[first + i] in live]
        if now == found:
            return found
        found = now


def sliced(body: Block, first: int, numbers: Sequence[int]) -> Block:
    """A copy of a loop's body with the carried values of these numbers only, which depend on no others."""
    view = _giving(body, [body.terminator.operands[i] for i in numbers])
    copy = Copy(Live(view))
    copy.mapping = {v: v for v in free_values(body)}
    params = [*body.params[:first], *(body.params[first + i] for i in numbers)]
    return copy.block(view, range(len(numbers)), params)


def _giving(body: Block, values: Sequence[Value]) -> Block:
    """A block's ops, to be read, that end in other values."""
    return Block((), [*body.ops[:-1], Op(body.terminator.kind, values)])


class Live:
    """What is live. `carries(op)` says which carried values or results of a region op stay, by number."""

    def __init__(self, body: Block) -> None:
        self.ops: set[int] = set()
        self._values: set[Value] = set()
        self._todo: list[Value] = list(body.terminator.operands)
        self._carried: dict[int, set[int]] = {}
        self._place: dict[Value, tuple[Op, int]] = {}  # parameter or result of a loop or branch -> which one it is
        effects: dict[int, bool] = {}
        for op in body.walk():
            for i, v in _places(op):
                self._place[v] = (op, i)
            if has_effect(op, effects):
                self._keep(op)
        while self._todo:
            self._value(self._todo.pop())

    def carries(self, op: Op) -> Sequence[int]:
        """Numbers of the carried values (of a loop) or results (of any other op) that stay."""
        return sorted(self._carried.get(id(op), ())) if _is_split(op) else range(len(op.results))

    def __contains__(self, v: Value) -> bool:
        return v in self._values

    def _keep(self, op: Op) -> None:
        if id(op) in self.ops or op.kind.terminator:
            return
        self.ops.add(id(op))
        if not _is_split(op):
            self._todo += op.operands
            for r in op.regions:
                self._todo += r.terminator.operands
        elif op.kind is FOR:
            self._todo += op.operands[:3]
        else:  # the condition: an operand of `if`, what the first region of `while` yields
            self._todo.append(op.operands[0] if op.kind is IF else op.regions[0].terminator.operands[0])

    def _value(self, v: Value) -> None:
        if v in self._values:
            return
        self._values.add(v)
        if v in self._place:
            op, i = self._place[v]
            self._keep(op)
            self._carry(op, i)
        elif isinstance(v.owner, Op):
            self._keep(v.owner)

    def _carry(self, op: Op, i: int) -> None:
        """Carried value or result i of a region op is live: where it comes from is, too."""
        found = self._carried.setdefault(id(op), set())
        if i in found:
            return
        found.add(i)
        if op.kind is IF:
            self._todo += [r.terminator.operands[i] for r in op.regions]
        else:
            self._todo += [op.regions[-1].terminator.operands[i], op.operands[i + _first(op)]]


def _is_split(op: Op) -> bool:
    """Whether liveness of the op's results is told apart."""
    return is_loop(op) or op.kind is IF


def _first(op: Op) -> int:
    """The number of the operand that starts the first carried value."""
    return 3 if op.kind is FOR else 0


def _places(op: Op) -> Iterator[tuple[int, Value]]:
    """Parameters (the index aside) and results of a loop or branch with the number of what they stand for."""
    if _is_split(op):
        yield from enumerate(op.results)
        for r in op.regions:
            yield from enumerate(r.params[1:] if op.kind is FOR else r.params)


class Copy:
    """Copies what is live."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.mapping: dict[Value, Value] = {}

    def block(self, block: Block, given: Sequence[int], params: Sequence[Value] | None = None) -> Block:
        """A copy with the parameters that stay, and a terminator that gives the values of these numbers."""
        old = block.params if params is None else params
        new = Block(Value(p.type, p.name) for p in old)
        self.mapping.update(zip(old, new.params, strict=True))
        for op in block.ops[:-1]:
            if id(op) in self.live.ops:
                self._op(op, new)
        end = block.ops[-1]
        operands = [self.mapping[end.operands[i]] for i in given]
        new.ops.append(Op(end.kind, operands, dict(end.attrs), (), (), end.loc))
        return new

    def _op(self, op: Op, into: Block) -> None:
        stay = self.live.carries(op)
        operands = op.operands
        if is_loop(op):
            n = _first(op)
            operands = [*op.operands[:n], *(op.operands[n + i] for i in stay)]
        regions = [self._region(op, r, stay) for r in op.regions]
        results = [op.results[i] for i in stay]
        new = Op(
            op.kind, [self.mapping[v] for v in operands], dict(op.attrs), regions, [r.type for r in results], op.loc
        )
        for old, fresh in zip(results, new.results, strict=True):
            fresh.name = old.name
            self.mapping[old] = fresh
        into.ops.append(new)

    def _region(self, op: Op, region: Block, stay: Sequence[int]) -> Block:
        every = range(len(region.terminator.operands))
        if not is_loop(op):
            return self.block(region, stay if op.kind is IF else every)
        n = 1 if op.kind is FOR else 0
        params = [*region.params[:n], *(region.params[n + i] for i in stay)]
        return self.block(region, stay if region is op.regions[-1] else every, params)
