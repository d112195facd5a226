"""The engine of the canonicaliser: a builder that simplifies each op as it is written.

Ops are written in program order, so whatever defines an operand is simplified already, and a rule that writes new ops
has them simplified in turn: one walk over the function reaches the fixed point of all rules that look upwards. Rules
are small functions in a table by op name. A rule gives the values that stand for the op's results, or None when it does
not apply; it must be exact to the bit (the sign of NaN aside), for every input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .builder import IRBuilder
from .control import CALL
from .elementwise import Elementwise
from .errors import OpError
from .graph import Attrs, Block, Op, Value
from .opdef import OpDef, get
from .quiet import Quiet
from .sizes import has_named
from .types import TensorType

FOLD_LIMIT = 4096  # elements: larger constants are not computed at compile time
FOLD_GROWTH = 64  # elements: a fold may make a constant larger than its operands up to here

Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Match:
    """The op that is about to be written: what a rule looks at."""

    kind: OpDef
    xs: list[Value]
    attrs: Attrs
    regions: list[Block]
    types: tuple[TensorType, ...]

    @property
    def type(self) -> TensorType:
        """The type of the only result."""
        (t,) = self.types
        return t


Result = Value | Sequence[Value] | None
Rule = Callable[["Simplifier", Match], Result]
RULES: dict[str, list[Rule]] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers a rule for ops of the names."""

    def add(fn: Rule) -> Rule:
        for name in names:
            RULES.setdefault(name, []).append(fn)
        return fn

    return add


def uniform(array: Array) -> bool:
    """Whether all elements are the same to the bit (there is at least one)."""
    if array.size == 1:
        return True
    rows = np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(array.size, array.dtype.itemsize)
    return bool((rows[:16] == rows[0]).all() and (rows == rows[0]).all())


def producer(v: Value, name: str) -> Op | None:
    """The op of that name that made the value, or None."""
    owner = v.owner
    return owner if isinstance(owner, Op) and owner.kind.name == name else None


def constant(v: Value) -> Array | None:
    """The array that the value is known to be, or None."""
    op = producer(v, "constant")
    return None if op is None else op.attrs["value"]


class Simplifier(IRBuilder):
    """Appends ops to a block in their simplest form."""

    def __init__(self, block: Block) -> None:
        super().__init__(block)
        self._splats: dict[Any, Array | None] = {}  # by op, which so stays alive: ids would be used again

    def emit(
        self, op: OpDef, operands: Sequence[Value], attrs: Attrs | None = None, regions: Sequence[Block] = ()
    ) -> list[Value]:
        """The op's results, simplified."""
        attrs = attrs if attrs is not None else {}
        types = op.infer(attrs, [v.type for v in operands], regions)
        m = Match(op, list(operands), attrs, list(regions), types)
        found = None if op.terminator else self._simplified(m)
        if found is not None:
            return found
        new = Op(op, m.xs, attrs, m.regions, types, self.loc)
        self.block.ops.append(new)
        return new.results

    def _simplified(self, m: Match) -> list[Value] | None:
        folded = self._fold(m)
        if folded is not None:
            return folded
        rules: Sequence[Rule] = RULES.get(m.kind.name, ())
        if isinstance(m.kind, Elementwise):
            rules = [*RULES["elementwise"], *rules]
        for r in rules:
            found = r(self, m)
            if found is None:
                continue
            values = [found] if isinstance(found, Value) else found
            # A rule may find a value of the right content and another type (a size written otherwise): not usable.
            if tuple(v.type for v in values) == m.types:
                return list(values)
        return None

    def _fold(self, m: Match) -> list[Value] | None:
        """Constants for an op on constants."""
        if not m.xs or m.regions or m.kind.effect or m.kind is CALL:
            return None
        arrays = [constant(v) for v in m.xs]
        known = [a for a in arrays if a is not None]
        if len(known) < len(arrays) or not all(t.is_static for t in m.types) or has_named(m.types):
            return None
        size = max(a.size for a in known)
        made = max((int(t.size) for t in m.types if isinstance(t.size, int)), default=0)
        if size > FOLD_LIMIT or made > max(size, FOLD_GROWTH):
            return None
        if m.kind.name == "broadcast_to" and made > 1:
            return None  # a repeated constant is no smaller and hides that it is one
        results = self._eager(m, known)
        return None if results is None else [self.literal(r) for r in results]

    def _eager(self, m: Match, arrays: Sequence[Array]) -> list[Array] | None:
        try:
            with Quiet():
                made = m.kind.eager(m.attrs, *arrays)
        except (OpError, ValueError, TypeError, ArithmeticError, NotImplementedError):
            return None  # the program shall raise it when it runs, with the user's line
        results = [np.asarray(r) for r in (made if isinstance(made, tuple) else (made,))]
        fits = all(r.shape == t.shape and r.dtype == t.dtype.np for r, t in zip(results, m.types, strict=True))
        return results if fits else None

    def value(self, name: str, *xs: Value) -> Value:
        """The result of an op without attributes."""
        return self.emit(get(name), xs)[0]

    def literal(self, array: Array) -> Value:
        """A constant of exactly this array."""
        array = np.array(array)
        array.setflags(write=False)
        return self.emit(get("constant"), (), {"value": array})[0]

    def splat(self, v: Value) -> Array | None:
        """The one element (as a 0-d array) that all elements of the value are known to be, or None."""
        op = producer(v, "broadcast_to")
        if op is not None:
            return self.splat(op.operands[0])
        array = constant(v)
        if array is None or array.size == 0 or array.dtype == object:
            return None
        key = v.owner
        if key not in self._splats:
            self._splats[key] = array.reshape(-1)[:1].reshape(()) if uniform(array) else None
        return self._splats[key]

    def is_splat(self, v: Value, number: float) -> bool:
        """Whether all elements are this number; 0.0 and -0.0 differ for floats."""
        s = self.splat(v)
        if s is None or s.dtype.kind == "b" or s != number:
            return False
        return s.dtype.kind not in "fc" or bool(np.signbit(s.real)) == bool(np.signbit(number))

    def fill_value(self, scalar: Any, type: TensorType) -> Value:
        """A value of the type with all elements equal to the scalar."""
        c = self.literal(np.asarray(scalar).astype(type.dtype.np).reshape(()))
        return self.to_shape(c, type)

    def to_shape(self, v: Value, type: TensorType) -> Value:
        """The value broadcast to the type's shape."""
        if v.type.shape == type.shape:
            return v
        return self.emit(get("broadcast_to"), [v], {"shape": type.shape})[0]
