"""Running cotangents: what the reverse pass, over IR values, has summed up so far for each value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .activity import vary
from .builder import Expr, IRBuilder
from .control import no_rule
from .derive import fit
from .errors import InternalError
from .graph import Block, Op, Value
from .idle import idle
from .opdef import Into, NoGradient, get
from .rewrite import inputs
from .types import StackType

if TYPE_CHECKING:
    from .reverse_control import Thread


def varied_values(ops: Iterable[Op], roots: Iterable[Value]) -> set[Value]:
    """Values of dtypes that carry derivatives and depend on the roots (through such values only)."""
    varied = {v for v in roots if v.type.dtype.is_differentiable}
    vary(ops, varied)
    return varied


class Cotangents:
    """Goes backwards over ops and keeps one running cotangent per value.

    Attributes:
      home: the block that the ops stand in. threads, in_loop, stacks: see `reverse_control`; whether a loop is around,
        and whether residuals must go onto stacks. undone, undoable: see `undo`; arrays that loops' reverses gave back,
        and arrays that the reverse of the loop around can give. begun: by an op's id, how many ops there were when its
        reverse began.
    """

    def __init__(self, b: IRBuilder, varied: set[Value], home: Block | None = None) -> None:
        self.b = b
        self.varied = varied
        self.running: dict[Value, Expr] = {}
        self.home = b.block if home is None else home
        self.threads: list[Thread] = []
        self.in_loop = self.stacks = False
        self.undone: list[Thread] = []
        self.undoable: set[Value] = set()
        self.begun: dict[int, int] = {}

    def seed(self, v: Value, ct: Value) -> None:
        """Adds the cotangent of a result."""
        if v in self.varied:
            self.add(v, self.b.expr(ct))

    def add(self, v: Value, ct: Any) -> None:
        """Adds a cotangent (or `Into`) to what the value has."""
        have = self.running.get(v)
        if isinstance(ct, Into):
            total = ct.start() if have is None else ct.add(have)
        else:
            total = fit(self.b, ct, self.b.expr(v))
            total = total if have is None else have + total
        if total.type != v.type:
            raise InternalError(f"a cotangent of type {total.type} came for a value of type {v.type}")
        self.running[v] = total

    def back(self, ops: Sequence[Op]) -> None:
        """Runs the reverse rule of every op that lies on a path, last op first; new ops get the op's location."""
        for op in reversed(ops):
            cts = [self.running.pop(r, None) for r in op.results]
            self.begun[id(op)] = len(self.b.block.ops)
            if any(ct is not None for ct in cts) and any(v in self.varied for v in inputs(op)):
                self._op(op, cts)

    def _op(self, op: Op, cts: Sequence[Expr | None]) -> None:
        self.b.loc = op.loc
        if op.regions:
            from .reverse_control import reverse_region

            return reverse_region(self, op, cts)
        if idle(op):
            if cts[0] is not None and op.operands[0] in self.varied:
                self.add(op.operands[0], cts[0])
            return None
        needs = [v in self.varied for v in op.operands]
        xs, outs = ([self.b.expr(v) for v in vs] for vs in (op.operands, op.results))
        try:
            back = op.kind.vjp(self.b, op.attrs, outs, xs, cts, needs)
        except NoGradient as e:
            raise no_rule(op, e) from None
        for v, need, ct in zip(op.operands, needs, back, strict=True):
            if need and ct is not None:
                self.add(v, ct)
        return None


def zeros(b: IRBuilder, v: Value) -> Value:
    """Zeros of the value's type; for a stack an empty one, as only what was popped asks for a cotangent."""
    if isinstance(v.type, StackType):
        return b.emit(get("stack_new"), (), {"dtype": v.type.dtype, "shape": v.type.shape})[0]
    value = b.zeros_like(b.expr(v)).value
    assert isinstance(value, Value)
    return value


def without_terminator(block: Block) -> tuple[list[Op], list[Value]]:
    """A block's ops before its terminator, which is taken off, and the values that it gave."""
    *ops, last = block.ops
    block.ops = ops
    return list(ops), list(last.operands)
