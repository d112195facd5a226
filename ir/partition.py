"""Cuts a function with its reverse into two: a forward part that keeps residuals, a backward part that takes them.

What the backward part needs of the primal is either a parameter (no copy), recomputed (what is cheap to compute from
values that are kept anyway), or kept as a further result of the forward part. The choice is greedy: values that only
an expensive op can make are kept; for the others, one common source is kept in their place where that is no larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .attrs import attr_symbols
from .control import RETURN, has_effect
from .cse import cse
from .dce import dce
from .dims import Dim, substitute
from .elementwise import Elementwise
from .graph import Block, Function, Op, Value, clone_op
from .inline import inline
from .reverse import reverse_info
from .rewrite import inputs
from .simplify import canon
from .types import StackType, TensorType
from .verifier import bound_symbols

Residual = tuple[str, int]

# Recomputing one of these costs no more than reading its stored result again.
CHEAP = {
    "add", "sub", "mul", "neg", "abs", "sign", "square", "maximum", "minimum", "where", "cast", "relu", "floor", "ceil",
    "round", "trunc", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "logical_not",
    "is_nan", "is_finite", "constant", "iota", "broadcast_to", "reshape", "transpose", "identity", "stop_gradient",
    "dim", "shape_of",
}  # fmt: skip
MOST_SOURCES = 8  # a value that needs more than so many kept values to be recomputed is kept itself
GUESS = 64  # how large a size is taken to be that is not known


@dataclass(frozen=True, slots=True)
class Split:
    """The two functions and how to connect them.

    Attributes:
      forward: parameters -> the primal's results, then values that are kept only for the backward part.
      backward: one parameter per entry of `residuals`, then one cotangent per entry of `outputs` -> one cotangent per
        entry of `wrt`.
      residuals: ("param", i) is the primal's parameter i, ("value", k) result k of `forward` (k counts from its first
        result: a residual may be one of the primal's own results).
      results: how many of `forward`'s results are the primal's. wrt, outputs, connected: as in `reverse.Reversed`.
    """

    forward: Function
    backward: Function
    residuals: tuple[Residual, ...]
    results: int
    wrt: tuple[int, ...]
    outputs: tuple[int, ...]
    connected: tuple[bool, ...]


def split(
    fn: Function, wrt: Sequence[int] | None = None, outputs: Sequence[int] | None = None, stacks: bool = True
) -> Split:
    """Differentiates a function and cuts it; calls are inlined first.

    Args:
      wrt, outputs: see `reverse_info`; so are the errors. stacks: whether stacks may be residuals; if not, the backward
        part runs the loops that fill them again (unless they have effects).
    """
    info = reverse_info(inline(fn), wrt, outputs, keep_primal=True)
    joint = dce(cse(canon(info.function)))
    cut = _Cut(joint, len(fn.params), len(fn.results))
    forward, backward, residuals = cut.functions(fn.name, stacks)
    return Split(forward, backward, residuals, len(fn.results), info.wrt, info.outputs, info.connected)


class _Cut:
    """The joint function, and which of its ops belong to the backward part."""

    def __init__(self, joint: Function, params: int, results: int) -> None:
        self.joint = joint
        self.params, self.seeds = joint.params[:params], joint.params[params:]
        self.results, self.cotangents = joint.results[:results], joint.results[results:]
        self.ops = joint.body.ops[:-1]
        depends = set(self.seeds)
        self.backward: list[Op] = []
        for op in self.ops:
            if any(v in depends for v in inputs(op)):
                self.backward.append(op)
                depends.update(op.results)
        self.depends = depends
        self.late = {id(op) for op in self.backward}

    def functions(self, name: str, stacks: bool) -> tuple[Function, Function, tuple[Residual, ...]]:
        """The forward part, the backward part and the residuals between them."""
        choice = Choice(self.params, self.results)
        needed = self._needed()
        choice.choose(needed if stacks else _without_stacks(needed))
        residuals, recomputed = self._plan(needed, choice)
        residuals = self._read(residuals, [*recomputed, *self.backward])
        residuals += self._binding(residuals, [*recomputed, *self.backward])
        extra = [v for v in residuals if v not in self.params and v not in self.results]
        given = [*self.results, *extra]
        primal = [op for op in self.ops if id(op) not in self.late]
        forward = _build(name, self.params, primal, given)
        backward = _build(
            f"{name}_bwd", [*residuals, *self.seeds], [*recomputed, *self.backward], self.cotangents, effects=False
        )
        places = [("param", self.params.index(v)) if v in self.params else ("value", given.index(v)) for v in residuals]
        return forward, backward, tuple(places)

    def _needed(self) -> list[Value]:
        """Values that the backward part reads and that do not depend on cotangents, in the order of first use."""
        found = dict.fromkeys(v for op in self.backward for v in inputs(op) if v not in self.depends)
        found.update((v, None) for v in self.cotangents if v not in self.depends)
        return list(found)

    def _plan(self, needed: Sequence[Value], choice: Choice) -> tuple[list[Value], list[Op]]:
        """What the backward part takes, and the primal's ops that it runs again, both in the order of the program."""
        taken: set[Value] = set()
        again: set[int] = set()
        todo = list(needed)
        while todo:
            v = todo.pop()
            if choice.available(v):
                taken.add(v)
            elif isinstance(v.owner, Op) and id(v.owner) not in again:
                again.add(id(v.owner))
                todo += inputs(v.owner)
        order = [*self.params, *(r for op in self.ops for r in op.results)]
        return [v for v in order if v in taken], [op for op in self.ops if id(op) in again]

    def _read(self, residuals: Sequence[Value], ops: Sequence[Op]) -> list[Value]:
        """Those of the residuals that the backward part reads: what a loop gives beside its stacks it gives again."""
        made = {r for op in ops for r in op.results}
        read = {v for op in ops for v in inputs(op)} | set(self.cotangents)
        return [v for v in residuals if v in read and v not in made]

    def _binding(self, residuals: list[Value], ops: list[Op]) -> list[Value]:
        """Parameters that the backward part needs only because their shapes bind sizes."""
        body = Block([Value(v.type) for v in (*residuals, *self.seeds)])
        bound = set(bound_symbols(Function("", body)))
        used = {s for op in ops for s in _symbols(op)} | {
            s for v in (*residuals, *self.seeds, *self.cotangents) for s in _type_symbols(v.type)
        }
        extra = []
        for p in self.params:
            new = bound_symbols(Function("", Block([Value(p.type)]))) & (used - bound)
            if new:
                extra.append(p)
                bound |= new
        return extra


def _without_stacks(needed: Sequence[Value]) -> list[Value]:
    """The values, those that are stacks replaced by what the ops that fill them read."""
    found: dict[Value, None] = {}
    seen: set[Value] = set()
    todo = list(reversed(needed))
    while todo:
        v = todo.pop()
        if v in seen:
            continue
        seen.add(v)
        if isinstance(v.type, StackType) and isinstance(v.owner, Op) and not has_effect(v.owner):
            todo += reversed(inputs(v.owner))
        else:
            found[v] = None
    return list(found)


def _build(
    name: str, params: Sequence[Value], ops: Sequence[Op], results: Sequence[Value], effects: bool = True
) -> Function:
    """A function of copied ops; `effects` says whether ops with effects are copied too."""
    body = Block(Value(p.type, p.name) for p in params)
    mapping = dict(zip(params, body.params, strict=True))
    body.ops = [clone_op(op, mapping) for op in ops if effects or not has_effect(op)]
    body.ops.append(Op(RETURN, [mapping[v] for v in results]))
    return dce(Function(name, body))


def _symbols(op: Op) -> set[str]:
    found = {s for r in op.results for s in _type_symbols(r.type)} | set(attr_symbols(op.attrs))
    for region in op.regions:
        found |= {s for o in region.ops for s in _symbols(o)}
    return found


def _type_symbols(t: TensorType) -> set[str]:
    return {s for d in t.shape if isinstance(d, Dim) for s in d.symbols}


Sources = dict[Value, frozenset[Value] | None]


class Choice:
    """Decides which values of the primal are kept. Its parameters and results can be had anyway."""

    def __init__(self, params: Sequence[Value], results: Sequence[Value]) -> None:
        self.kept: set[Value] = set()
        self._given = set(params) | {v for v in results if not _is_constant(v)}
        self._sources: Sources = dict.fromkeys(self._given, frozenset())

    def available(self, v: Value) -> bool:
        """Whether the backward part can take the value as it is."""
        return v in self.kept or v in self._given

    def choose(self, needed: Sequence[Value]) -> None:
        """Fills `kept`, so that all needed values are available or can be recomputed."""
        for v in needed:
            if sources_of(v, self._sources) in (None, frozenset({v})):
                self.kept.add(v)
        roots = self._roots([v for v in needed if not self._covered(v)])
        users: dict[Value, list[Value]] = {}
        for v in roots:
            for source in self._sources[v] or ():
                users.setdefault(source, []).append(v)
        for source in sorted(users, key=lambda s: -len(users[s])):
            gain = sum(_bytes(v) for v in users[source] if not self._covered(v) and self._covered(v, source))
            if gain > _bytes(source):
                self.kept.add(source)
        self.kept.update(v for v in roots if not self._covered(v))

    def _roots(self, values: Sequence[Value]) -> list[Value]:
        """Those of the values that the others, and what is kept, do not give."""
        atoms = self.kept.union(values)
        table: Sources = dict.fromkeys(self._given, frozenset()) | {v: frozenset({v}) for v in atoms}
        roots = []
        for v in values:
            op = v.owner
            assert isinstance(op, Op)
            below = [sources_of(x, table) for x in op.operands]
            if any(s is None or not s <= atoms for s in below):
                roots.append(v)
        return roots

    def _covered(self, v: Value, more: Value | None = None) -> bool:
        """Whether the value can be had with what is kept (and `more`)."""
        sources = self._sources[v]
        return v in self.kept or (sources is not None and all(s in self.kept or s is more for s in sources))


def sources_of(v: Value, known: Sources) -> frozenset[Value] | None:
    """The values from which cheap ops alone make this one, given ones aside; None when there are too many.

    `known` holds the answers so far: nothing for given values, themselves for those that count as sources.
    """
    todo = [v]
    while todo:
        top = todo[-1]
        op = top.owner
        if top in known or not isinstance(op, Op):
            todo.pop()
        elif not _is_cheap(op):
            known[top] = frozenset({top})
        elif missing := [x for x in op.operands if x not in known]:
            todo += missing
        else:
            known[top] = _union(op, known)
    return known[v]


def _union(op: Op, known: Sources) -> frozenset[Value] | None:
    found: frozenset[Value] = frozenset()
    for x in op.operands:
        sources = known[x]
        found |= frozenset({x}) if sources is None else sources
    return found if len(found) <= MOST_SOURCES else None


def _is_constant(v: Value) -> bool:
    return isinstance(v.owner, Op) and v.owner.kind.name == "constant"


def _is_cheap(op: Op) -> bool:
    return op.kind.name in CHEAP and not op.regions and (isinstance(op.kind, Elementwise) or len(op.operands) <= 1)


def _bytes(v: Value) -> int:
    size = substitute(v.type.size, dict.fromkeys(_type_symbols(v.type), GUESS))
    return (size if isinstance(size, int) else GUESS) * v.type.dtype.size
