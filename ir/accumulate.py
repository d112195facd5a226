"""Running cotangents: what the reverse pass, over IR values, has summed up so far for each value."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .activity import vary
from .builder import Expr, IRBuilder
from .chosen import chosen, joined, shares, whole
from .control import no_rule
from .derive import fit
from .elementwise import Elementwise
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
      masks: where a cotangent holds, for those that `where` chose; see `chosen`. `back` leaves those it is asked for.
      home: the block that the ops stand in. threads, in_loop, stacks: see `reverse_control`; whether a loop is around,
        and whether residuals must go onto stacks. undone, undoable: see `undo`; arrays that loops' reverses gave back,
        and arrays that the reverse of the loop around can give. begun: by an op's id, how many ops there were when its
        reverse began. under: by op that an elementwise rule wrote behind a choice, the choice; see `shield`.
    """

    def __init__(self, b: IRBuilder, varied: set[Value], home: Block | None = None) -> None:
        self.b = b
        self.varied = varied
        self.running: dict[Value, Expr] = {}
        self.masks: dict[Value, Any] = {}
        self.home = b.block if home is None else home
        self.threads: list[Thread] = []
        self.in_loop = self.stacks = False
        self.undone: list[Thread] = []
        self.undoable: set[Value] = set()
        self.begun: dict[int, int] = {}
        self.under: dict[Op, Value] = {}

    def seed(self, v: Value, ct: Value, mask: Any = None) -> None:
        """Adds the cotangent of a result, which may hold only where a mask says so."""
        if v in self.varied:
            mask = self.b.expr(mask) if isinstance(mask, Value) else mask
            self.add(v, self.b.expr(ct), mask)

    def add(self, v: Value, ct: Any, mask: Any = None) -> None:
        """Adds a cotangent (or `Into`), which may hold only where a mask says so, to what the value has."""
        have = self.running.get(v)
        if have is not None and (mask is not None or v in self.masks):
            ct, have, mask = joined(self.b, ct, mask, have, self.masks.pop(v, None))
        if mask is not None:
            self.masks[v] = mask
        if isinstance(ct, Into):
            total = ct.start() if have is None else ct.add(have)
        else:
            total = fit(self.b, ct, self.b.expr(v))
            total = total if have is None else have + total
        if total.type != v.type:
            raise InternalError(f"a cotangent of type {total.type} came for a value of type {v.type}")
        self.running[v] = total

    def back(self, ops: Sequence[Op], masked: Collection[Value] = ()) -> None:
        """Runs the reverse rule of every op that lies on a path, last op first; new ops get the op's location.

        Args:
          masked: values whose cotangents may keep a mask in the end.
        """
        for op in reversed(ops):
            taken = [self.take(r) for r in op.results]
            cts, masks = [ct for ct, _ in taken], [m for _, m in taken]
            self.begun[id(op)] = len(self.b.block.ops)
            if any(ct is not None for ct in cts) and any(v in self.varied for v in inputs(op)):
                self._op(op, cts, masks)
        self._settle(masked)

    def take(self, v: Value) -> tuple[Expr | None, Any]:
        """The cotangent of a result whose op is next, with the mask of where it holds."""
        return self.running.pop(v, None), self.masks.pop(v, None)

    def _settle(self, masked: Collection[Value] = ()) -> None:
        """Makes all running cotangents but those of some values arrays that hold everywhere."""
        for v in [v for v in self.masks if v not in masked]:
            self.running[v] = whole(self.b, self.running[v], self.masks.pop(v))

    def _op(self, op: Op, cts: Sequence[Expr | None], masks: Sequence[Any]) -> None:
        self.b.loc = op.loc
        if op.regions:
            from .reverse_control import reverse_region

            self._settle()
            return reverse_region(self, op, cts, masks)
        if idle(op):
            if cts[0] is not None and op.operands[0] in self.varied:
                self.add(op.operands[0], cts[0], masks[0])
            return None
        needs = [v in self.varied for v in op.operands]
        xs, outs = ([self.b.expr(v) for v in vs] for vs in (op.operands, op.results))
        try:
            if chosen(op.kind, masks):
                first = len(self.b.block.ops)
                pairs = shares(self.b, op.kind, op.attrs, outs, xs, cts, masks, needs)
                if masks[0] is not None and isinstance(op.kind, Elementwise):
                    self.under.update(dict.fromkeys(self.b.block.ops[first:], masks[0].value))
            else:
                pairs = [(g, None) for g in op.kind.vjp(self.b, op.attrs, outs, xs, cts, needs)]
        except NoGradient as e:
            raise no_rule(op, e) from None
        for v, need, (ct, mask) in zip(op.operands, needs, pairs, strict=True):
            if need and ct is not None:
                self.add(v, ct, mask)
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
