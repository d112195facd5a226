"""Reverse mode through control flow: what loops and branches share.

The reverse of a region op is a region op at the builder's place, whose regions are the reverse of the primal's regions.
First such a region is written as if it could see the primal region's values; then what it really reads is found, and
chosen to be saved or computed again (`residuals.py`); then the primal op is augmented IN PLACE by what is saved
(further carried values, further results; the values that it had stay the same objects), and the reverse reads that.

Where sizes are known on entry, a loop saves into an array with a slot per trip; elsewhere it pushes onto a stack. A
stack that an inner region op needs runs through the outer op as one more carried value (a `Thread`): one stack serves
all trips of all loops around, and what is pushed last is popped first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .accumulate import Cotangents, zeros
from .activity import contribute, is_loop, vary
from .builder import Expr, IRBuilder
from .control import IF, has_effect, no_rule
from .graph import Block, Op, Value, clone_op
from .ledger import Note, ledger
from .opdef import NoGradient, get
from .residuals import Residuals
from .reverse import ReverseBuilder
from .rewrite import free_values, inputs
from .shield import choice_ops, computed, readings, shielded
from .types import StackType, TensorType
from .undo import Plan

if TYPE_CHECKING:
    from .undo import Plan


@dataclass(slots=True)
class Thread:
    """A stack that goes from `start` (made empty in the primal) through `end` (full) to `back` (empty again)."""

    start: Value
    end: Value
    back: Value


def reverse_region(
    cotangents: Cotangents, op: Op, cts: Sequence[Expr | None], masks: Sequence[Expr | None] | None = None
) -> None:
    """Writes the reverse of a region op and adds to the cotangents of what it read; see the module's text.

    Args:
      cts: one cotangent or None per result. masks: where each holds, if not everywhere; see `chosen`.

    Raises:
      NoGradient: for a region op that is no `for`, `while` or `if`, or an op inside without a rule.
    """
    from .reverse_if import reverse_if
    from .reverse_loop import reverse_loop

    masks = [None] * len(cts) if masks is None else masks
    if is_loop(op):
        reverse_loop(cotangents, op, cts, masks)
    elif op.kind is IF:
        reverse_if(cotangents, op, cts, masks)
    else:
        raise no_rule(op, NoGradient(f"op '{op.kind.name}' has no reverse-mode derivative rule"))


def vjp_region_op(
    builder: IRBuilder, op: Op, cts: Sequence[Value | None], wanted: Sequence[Value], home: Block | None = None
) -> list[Value | None]:
    """The cotangents of values that a `for`, `while` or `if` reads, for an op that stands in a block being built.

    For tapes inside traces. The op is augmented in place: it may get further operands and results behind those it has
    (arrays or stacks of residuals), ops may be put right before it, and ops of its regions are added; all values that
    existed stay the same objects, so that whoever holds them need not be told. The reverse op is written at the
    builder's place, where the op's results and all that it reads must be visible.

    How a tape calls it: `wanted` are the inputs that the tape watches or has reached (`rewrite.inputs(op)` lists
    operands and captured outer values), `cts` the running cotangents of `op.results` as the op is now. An earlier call
    may have added results, and where an outer tape differentiates that earlier reverse, those have cotangents too: key
    running cotangents by `Value`, and ask for `op.results` when the op's turn comes. Trailing cotangents may be left
    out. A tape that differentiates a whole range of ops of one block does better with `accumulate.Cotangents`, whose
    `back(ops)` comes here for region ops and adds in place into the cotangents of values read more than once.

    Args:
      cts: a cotangent of its type, or None, per result. wanted: values of differentiable dtypes that the op reads.
      home: the block that the op stands in; the builder's by default.

    Returns:
      Per entry of `wanted` a cotangent of its type, or None where it does not contribute.
    """
    varied = {v for v in wanted if v.type.dtype.is_differentiable}
    vary([op], varied)
    b = sub_builder(builder, builder.block, op)
    cotangents = Cotangents(b, varied, home or builder.block)
    given = [*cts, *[None] * (len(op.results) - len(cts))]
    if any(ct is not None for ct in given):
        reverse_region(cotangents, op, [None if ct is None else b.expr(ct) for ct in given])
    found = [cotangents.running.get(v) for v in wanted]
    return [None if ct is None else ct.value for ct in found]


def sub_builder(outer: IRBuilder, block: Block, op: Op) -> ReverseBuilder:
    """A builder into another block that shares the derivatives of callees made so far."""
    b = ReverseBuilder(block, op.loc)
    b.derived = outer.derived if isinstance(outer, ReverseBuilder) else {}
    return b


def contributing(op: Op, cts: Sequence[Expr | None], varied: set[Value]) -> set[Value]:
    """The varied values in and around the op that the results with a cotangent are computed from, and those results."""
    live = {r for r, ct in zip(op.results, cts, strict=True) if ct is not None}
    contribute([op], live, varied)
    return live


def captured(op: Op, cotangents: Cotangents, live: set[Value]) -> list[Value]:
    """The outer values that the op's regions use and that get a cotangent from it."""
    found = dict.fromkeys(v for r in op.regions for v in free_values(r))
    return [v for v in found if v in cotangents.varied and v in live]


def running_or_zeros(cotangents: Cotangents, v: Value) -> Value:
    """The value's cotangent so far."""
    have = cotangents.running.get(v)
    return zeros(cotangents.b, v) if have is None else have.value


class RegionReverse:
    """The reverse of one region while it is made.

    Attributes:
      body: the primal's region. block: its reverse. cotangents: those of the values in `body`, written into `block`.
      known: primal values that the reverse has under another name (the loop's index). given: choices that came from
        outside, which the primal does not have.
    """

    def __init__(self, outer: Cotangents, op: Op, body: Block, block: Block, in_loop: bool, stacks: bool) -> None:
        self.op, self.body, self.block = op, body, block
        self.cotangents = Cotangents(sub_builder(outer.b, block, op), outer.varied, body)
        self.cotangents.in_loop, self.cotangents.stacks = in_loop, stacks
        self.known: dict[Value, Value] = {}
        self.given: set[Value] = set()
        self._written: list[Op] = []
        self._behind: dict[int, list[Op]] = {}  # id of the op that makes a value -> what saves it; 0 for parameters
        self._kept: dict[Value, tuple[Value, Value]] = {}  # where shielded values can be had, and those

    def back(self, masked: Collection[Value] = ()) -> None:
        """Runs the rules over the region's ops; see `Cotangents.back`."""
        self.cotangents.back(self.body.ops[:-1], masked)

    def finish(self, results: Sequence[Value]) -> None:
        """Ends the reverse region, and drops what nobody in it needs."""
        self._written = list(self.block.ops)
        self.block.ops.append(Op(get("yield"), results))
        _prune(self.block)

    def begins(self, op: Op) -> int:
        """How many ops of the reverse stand before those that the rule of this op wrote."""
        kept = {id(x) for x in self.block.ops}
        return sum(id(x) in kept for x in self._written[: self.cotangents.begun[id(op)]])

    def beside(self) -> Cotangents:
        """For more of this region's reverse, without cotangents and in a block of its own."""
        of = self.cotangents
        made = Cotangents(sub_builder(of.b, Block(), self.op), set(), self.body)
        made.in_loop, made.stacks, made.undoable = of.in_loop, of.stacks, of.undoable
        return made

    def threads(self, more: Iterable[Value] = ()) -> list[Thread]:
        """The stacks of inner region ops that the reverse pops; `more` are values that it reads beside the block's."""
        used = {*free_values(self.block), *more}
        return [t for t in self.cotangents.threads if t.end in used]

    def residuals(self, may: Callable[[Op], bool]) -> Residuals:
        """The choice of what to save, the stacks of inner ops aside."""
        ends = {t.end for t in self.cotangents.threads}
        own = {*self.body.params, *(r for op in self.body.ops for r in op.results)}
        needed = [v for v in free_values(self.block) if v in own and v not in ends]
        return Residuals(self.body, needed, self.known, may)

    def shield(self, chosen: Residuals) -> None:
        """Has residuals that the reverse reads in chosen places only kept as such; see the module `shield`."""
        under = self.cotangents.under
        reads = readings(self.block, chosen.again, under) if under else {}
        order = {v: i for i, op in enumerate(self.body.ops) for v in op.results}
        for v in chosen.saved:
            masks = reads.get(v)
            ops = choice_ops(masks, self.block, self.given) if masks and computed(v) else None
            if masks and ops is not None:
                read = [x for x in (v, *masks, *(x for op in ops for x in op.operands)) if x in order]
                last = max(read, key=order.__getitem__)
                self._kept[v] = last, shielded(self.behind(last), v, masks, ops)

    def kept(self, v: Value) -> tuple[IRBuilder, Value]:
        """What to save for a residual, and a builder of ops that are to stand right behind its definition."""
        at, kept = self._kept.get(v, (v, v))
        return self.behind(at), kept

    def behind(self, v: Value) -> IRBuilder:
        """A builder of ops that are to stand right behind the definition of a value of the primal's region."""
        ops = self._behind.setdefault(id(v.owner) if isinstance(v.owner, Op) else 0, [])
        block = Block()
        block.ops = ops
        return IRBuilder(block, self.op.loc)

    def settle(self, again: Sequence[Op], front: Sequence[Op], replaced: Mapping[Value, Value]) -> None:
        """Puts the reverse together: what reads the residuals, what is computed again, the rest.

        Args:
          front: ops that make the values `replaced` (and `known`) stand for the primal's. again: the primal's ops.
        """
        mapping = {**self.known, **replaced}
        copies = [clone_op(op, mapping) for op in again]
        rewire(self.block, mapping)
        self.block.ops[:0] = [*front, *copies]
        ops = list(self._behind.get(0, ()))
        for op in self.body.ops:
            ops += [op, *self._behind.get(id(op), ())]
        self.body.ops = ops


def rewire(block: Block, mapping: Mapping[Value, Value]) -> None:
    """Replaces the operands of all ops of a block, in place, regions included."""
    if mapping:
        for op in block.walk():
            op.operands[:] = [mapping.get(v, v) for v in op.operands]


def drop(block: Block, v: Value) -> None:
    """Removes the op that makes a value."""
    block.ops = [op for op in block.ops if op is not v.owner]


def new_stack(b: IRBuilder, element: TensorType) -> Value:
    """An empty stack."""
    return b.emit(get("stack_new"), (), {"dtype": element.dtype, "shape": element.shape})[0]


def saved_name(v: Value) -> str:
    """The name of what keeps a value of that name."""
    return f"{v.name}_saved" if v.name and not v.name.endswith("_saved") else v.name


def tags(region: RegionReverse, chosen: Residuals | Plan) -> tuple[Note | None, dict[Value, str]]:
    """The names of what keeps the values that a region's reverse reads, and the note of it where one is asked for."""
    book = ledger()
    if book is None:
        return None, {v: saved_name(v) for v in chosen.saved}
    note = book.note(region.op, chosen.saved, region.body, region.block, chosen.again)
    return note, {v: k.tag for v, k in zip(chosen.saved, note.kept, strict=True)}


def add_result(op: Op, type: TensorType, given: Sequence[Value], name: str = "") -> Value:
    """One more result of an op; `given` is what each region that makes the results yields for it."""
    for region, v in zip(op.regions[-len(given) :], given, strict=True):
        region.terminator.operands.append(v)
    op.results.append(Value(type, name, op))
    return op.results[-1]


def element_of(v: Value) -> TensorType:
    """The type of what lies on a stack."""
    assert isinstance(v.type, StackType)
    return v.type.element


def _prune(block: Block) -> None:
    """Drops ops that nobody uses, in place."""
    live: set[Value] = set()
    kept = []
    for op in reversed(block.ops):
        if op.kind.terminator or any(r in live for r in op.results) or has_effect(op):
            kept.append(op)
            live.update(inputs(op))
    block.ops = kept[::-1]
