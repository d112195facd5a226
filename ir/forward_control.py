"""Forward mode through control flow: tangents are further carried values and further results.

A loop carries the tangent of each carried value that depends on what is differentiated, whether from the start or only
after some trips; outer values that the body reads have their tangents outside, where the body sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .accumulate import zeros
from .activity import carried, is_loop
from .builder import Expr, IRBuilder
from .control import IF, no_rule
from .graph import Block, Op, Value, clone_op
from .opdef import NoGradient, get
from .reverse import ReverseBuilder
from .types import StackType

Mapping = dict[Value, Value]
Tangents = dict[Value, Expr]
Push = Callable[[ReverseBuilder, Sequence[Op]], None]


class ForwardRegions:
    """Pushes tangents through region ops.

    Args:
      mapping: from the primal's values to the copy's. tangents: of the copy's values. varied: the primal's values that
        depend on what is differentiated. push: copies ops with their tangents.
    """

    def __init__(self, mapping: Mapping, tangents: Tangents, varied: set[Value], push: Push) -> None:
        self.mapping, self.tangents, self.varied, self.push = mapping, tangents, varied, push

    def op(self, b: ReverseBuilder, op: Op) -> None:
        """Copies a region op with tangents. Raises NoGradient for one that is no `for`, `while` or `if`."""
        b.loc = op.loc
        if not any(r in self.varied for r in op.results):
            b.block.ops.append(clone_op(op, self.mapping))
        elif is_loop(op):
            self._loop(b, op)
        elif op.kind is IF:
            self._if(b, op)
        else:
            raise no_rule(op, NoGradient(f"op '{op.kind.name}' has no forward-mode derivative rule"))

    def _loop(self, b: ReverseBuilder, op: Op) -> None:
        active = [c for c in carried(op) if c.param in self.varied]
        operands = [self.mapping[v] for v in op.operands]
        starts = [self._tangent_or_zeros(b, self.mapping[c.start]) for c in active]
        regions = []
        for r in op.regions:
            new = Block(Value(p.type, p.name) for p in r.params)
            self.mapping.update(zip(r.params, new.params, strict=True))
            extra = [new.add_param(c.param.type) for c in active]
            inner = _sub(b, new, op)
            if r is op.regions[-1]:
                pairs = zip(active, extra, strict=True)
                self.tangents.update((self.mapping[c.param], inner.expr(t)) for c, t in pairs)
                self.push(inner, r.ops[:-1])
                given = [self._tangent_or_zeros(inner, self.mapping[c.given]) for c in active]
            else:
                new.ops += [clone_op(o, self.mapping) for o in r.ops[:-1]]
                given = []
            _yield(inner, [*(self.mapping[v] for v in r.terminator.operands), *given])
            regions.append(new)
        self._emit(b, op, [*operands, *starts], regions, [c.result for c in active])

    def _if(self, b: ReverseBuilder, op: Op) -> None:
        active = [i for i, r in enumerate(op.results) if r in self.varied]
        regions = []
        for r in op.regions:
            new = Block()
            inner = _sub(b, new, op)
            self.push(inner, r.ops[:-1])
            given = [self.mapping[v] for v in r.terminator.operands]
            _yield(inner, [*given, *(self._tangent_or_zeros(inner, given[i]) for i in active)])
            regions.append(new)
        self._emit(b, op, [self.mapping[v] for v in op.operands], regions, [op.results[i] for i in active])

    def _emit(
        self, b: ReverseBuilder, op: Op, operands: Sequence[Value], regions: Sequence[Block], active: Sequence[Value]
    ) -> None:
        b.loc = op.loc
        results = b.emit(op.kind, operands, dict(op.attrs), regions)
        for old, new in zip(op.results, results, strict=False):
            new.name = old.name
            self.mapping[old] = new
        for r, t in zip(active, results[len(op.results) :], strict=True):
            self.tangents[self.mapping[r]] = b.expr(t)

    def _tangent_or_zeros(self, b: IRBuilder, v: Value) -> Value:
        found = self.tangents.get(v)
        if found is not None:
            return found.value
        if isinstance(v.type, StackType) and not (isinstance(v.owner, Op) and v.owner.kind.name == "stack_new"):
            return b.emit(get("stack_zeros"), [v])[0]
        return zeros(b, v)


def _sub(outer: ReverseBuilder, block: Block, op: Op) -> ReverseBuilder:
    b = ReverseBuilder(block, op.loc)
    b.derived = outer.derived
    return b


def _yield(b: IRBuilder, values: Sequence[Value]) -> None:
    b.block.ops.append(Op(get("yield"), values))
