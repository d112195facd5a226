"""The IR: SSA values, operations, blocks and functions.

One definition per value, structured regions instead of a control-flow graph, block parameters instead of phis. Objects
are mutable and compared by identity; types, attributes and locations are not mutated. A pass builds a new function (or
says in its name that it changes one in place).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .types import TensorType

if TYPE_CHECKING:
    from .opdef import OpDef

Attrs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loc:
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Value:
    """The result of an op or the parameter of a block. `name` is a hint: the user's variable name, or empty."""

    __slots__ = ("name", "owner", "type")

    def __init__(self, type: TensorType, name: str = "", owner: Op | Block | None = None) -> None:
        self.type = type
        self.name = name
        self.owner = owner

    def __repr__(self) -> str:
        return f"<%{self.name or '?'} : {self.type}>"


class Op:
    """One operation: `kind` says what it does, `operands` are values, `regions` are blocks, `results` new values."""

    __slots__ = ("attrs", "kind", "loc", "operands", "regions", "results")

    def __init__(
        self,
        kind: OpDef,
        operands: Iterable[Value],
        attrs: Attrs | None = None,
        regions: Iterable[Block] = (),
        result_types: Iterable[TensorType] = (),
        loc: Loc | None = None,
    ) -> None:
        self.kind = kind
        self.operands = list(operands)
        self.attrs: Attrs = attrs if attrs is not None else {}
        self.regions = list(regions)
        self.results = [Value(t, "", self) for t in result_types]
        self.loc = loc

    @property
    def result(self) -> Value:
        """The only result. Raises ValueError when there are several or none."""
        (r,) = self.results
        return r

    def __repr__(self) -> str:
        return f"<{self.kind.name} {self.operands} -> {self.results}>"


class Block:
    """Parameters and a straight list of ops; the last one is the terminator (`return` or `yield`)."""

    __slots__ = ("ops", "params")

    def __init__(self, params: Iterable[Value] = (), ops: Iterable[Op] = ()) -> None:
        self.params = list(params)
        self.ops = list(ops)
        for p in self.params:
            p.owner = self

    def add_param(self, type: TensorType, name: str = "") -> Value:
        """A new parameter at the end."""
        self.params.append(Value(type, name, self))
        return self.params[-1]

    @property
    def terminator(self) -> Op:
        """The last op."""
        return self.ops[-1]

    def walk(self) -> Iterator[Op]:
        """Every op, those inside regions after the op that holds them."""
        for op in self.ops:
            yield op
            for r in op.regions:
                yield from r.walk()


class Function:
    """A named function: its parameters are those of `body`, its results the operands of the final `return`."""

    __slots__ = ("body", "name")

    def __init__(self, name: str, body: Block) -> None:
        self.name = name
        self.body = body

    @property
    def params(self) -> list[Value]:
        """The parameters."""
        return self.body.params

    @property
    def results(self) -> list[Value]:
        """The values that `return` gives back."""
        return self.body.terminator.operands

    @property
    def param_types(self) -> tuple[TensorType, ...]:
        """Types of the parameters."""
        return tuple(p.type for p in self.params)

    @property
    def result_types(self) -> tuple[TensorType, ...]:
        """Types of the results."""
        return tuple(r.type for r in self.results)

    @property
    def is_static(self) -> bool:
        """Whether every size in the function is a known int."""
        values = [*self.params, *(r for op in self.body.walk() for r in op.results)]
        return all(v.type.is_static for v in values)

    def callees(self) -> list[Function]:
        """The functions that `call` ops name, directly or through others, in the order of first use."""
        found: dict[int, Function] = {}
        todo = [self]
        while todo:
            for op in todo.pop(0).body.walk():
                f = op.attrs.get("callee")
                if isinstance(f, Function) and id(f) not in found:
                    found[id(f)] = f
                    todo.append(f)
        return list(found.values())

    def __str__(self) -> str:
        from .printer import print_function

        return print_function(self)


def clone_block(block: Block, mapping: dict[Value, Value]) -> Block:
    """A copy of a block; `mapping` takes old values to new ones and is extended with what the copy defines."""
    new = Block(Value(mapping[p].type if p in mapping else p.type, p.name) for p in block.params)
    mapping.update(zip(block.params, new.params, strict=True))
    new.ops = [clone_op(op, mapping) for op in block.ops]
    return new


def clone_op(op: Op, mapping: dict[Value, Value]) -> Op:
    """A copy of an op with operands mapped; its results join the mapping."""
    regions = [clone_block(r, mapping) for r in op.regions]
    operands = [mapping.get(v, v) for v in op.operands]
    new = Op(op.kind, operands, dict(op.attrs), regions, [r.type for r in op.results], op.loc)
    for old, fresh in zip(op.results, new.results, strict=True):
        fresh.name = old.name
        mapping[old] = fresh
    return new


def clone_function(fn: Function, name: str | None = None) -> Function:
    """A deep copy (callees are shared)."""
    return Function(name or fn.name, clone_block(fn.body, {}))


def uses(block: Block) -> Mapping[Value, list[tuple[Op, int]]]:
    """Where each value is used, regions included: value -> [(op, operand number)]."""
    out: dict[Value, list[tuple[Op, int]]] = {}
    for op in block.walk():
        for i, v in enumerate(op.operands):
            out.setdefault(v, []).append((op, i))
    return out
