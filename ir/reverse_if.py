"""Reverse mode through `if`.

The reverse is an `if` on the same condition; each branch turns the results' cotangents into those of the outer values
that it reads, or passes their running cotangents through. So the branch not taken contributes nothing, not even a NaN.
A branch computes again what its reverse reads, as only one branch runs; only what loops and calls in it made is saved:
further results of the `if`, with zeros from the other branch, or (inside loops, where that would cost time in every
trip) on stacks that the other branch leaves alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from .accumulate import Cotangents, zeros
from .builder import Expr, IRBuilder
from .control import IF
from .graph import Block, Op, Value
from .opdef import get
from .residuals import repeatable
from .reverse_control import (
    RegionReverse,
    Thread,
    add_result,
    captured,
    contributing,
    drop,
    element_of,
    new_stack,
    rewire,
    running_or_zeros,
    tags,
)
from .trips import insert_before


def reverse_if(
    cotangents: Cotangents, op: Op, cts: Sequence[Expr | None], masks: Sequence[Expr | None]
) -> None:
    """Writes the reverse of an `if`; see `reverse_control.reverse_region`."""
    _Branches(cotangents, op, cts, masks).run()


class _Branches:
    def __init__(
        self, outer: Cotangents, op: Op, cts: Sequence[Expr | None], masks: Sequence[Expr | None]
    ) -> None:
        self.outer, self.op, self.cts, self.masks = outer, op, list(cts), masks
        self.captured = captured(op, outer, contributing(op, cts, outer.varied))
        stacks = outer.stacks or outer.in_loop
        self.branches = [RegionReverse(outer, op, body, Block(), outer.in_loop, stacks) for body in op.regions]

    def run(self) -> None:
        """Writes the reverse."""
        for branch in self.branches:
            self._branch(branch)
        threads = [t for i in (0, 1) for t in self._residuals(i)]
        b = self.outer.b
        results = b.emit(IF, [self.op.operands[0]], {}, [branch.block for branch in self.branches])
        for v, ct in zip(self.captured, results, strict=False):
            self.outer.running[v] = b.expr(ct)
        for t, back in zip(threads, results[len(self.captured) :], strict=True):
            self.outer.threads.append(Thread(t.start, t.end, back))

    def _branch(self, branch: RegionReverse) -> None:
        inner = branch.cotangents
        for v in self.captured:
            if v in self.outer.running:
                inner.running[v] = inner.b.expr(self.outer.running[v].value)
        branch.given.update(m.value for m in self.masks if m is not None)
        for y, ct, mask in zip(branch.body.terminator.operands, self.cts, self.masks, strict=True):
            if ct is not None:
                inner.seed(y, ct.value, None if mask is None else mask.value)
        branch.back()
        inner.b.loc = self.op.loc
        branch.finish([running_or_zeros(inner, v) for v in self.captured])

    # ------------------------------------------------------------ residuals
    def _residuals(self, i: int) -> list[Thread]:
        """Saves what the reverse of branch i reads and cannot compute again; gives the stacks that it pops."""
        branch = self.branches[i]
        inner = branch.threads()
        chosen = branch.residuals(repeatable)
        branch.shield(chosen)
        _, self.names = tags(branch, chosen)
        front = IRBuilder(Block(), self.op.loc)
        replaced: dict[Value, Value] = {}
        starts: dict[Value, Value] = {}
        made: list[Thread] = []
        for v in chosen.saved:
            if v.type.shape and self.outer.in_loop:
                made.append(self._push(i, v, front, replaced))
            else:
                b = IRBuilder(Block(), self.op.loc)
                nothing = zeros(b, v)
                other = self.op.regions[1 - i]
                other.ops[-1:-1] = b.block.ops
                replaced[v] = add_result(self.op, v.type, _ordered(i, branch.kept(v)[1], nothing), self.names[v])
        for t in inner:
            made.append(self._carry(i, t, starts, replaced))
        rewire(branch.body, starts)
        branch.settle(chosen.again, front.block.ops, replaced)
        return made

    def _push(self, i: int, v: Value, front: IRBuilder, replaced: dict[Value, Value]) -> Thread:
        """Pushes the value in its branch; the reverse of the branch pops it."""
        start = insert_before(self.outer.home, self.op, lambda b: new_stack(b, v.type))
        b, kept = self.branches[i].kept(v)
        pushed = b.emit(get("push"), [start, kept])[0]
        end = add_result(self.op, start.type, _ordered(i, pushed, start), self.names[v])
        below, replaced[v] = front.emit(get("pop"), [end])
        return self._yield_back(i, Thread(start, end, below))

    def _carry(self, i: int, t: Thread, starts: dict[Value, Value], replaced: dict[Value, Value]) -> Thread:
        """Runs an inner op's stack through the branch; the other one leaves it alone."""
        drop(self.branches[i].body, t.start)
        start = insert_before(self.outer.home, self.op, lambda b: new_stack(b, element_of(t.start)))
        starts[t.start] = start
        end = add_result(self.op, start.type, _ordered(i, t.end, start), t.end.name)
        replaced[t.end] = end
        return self._yield_back(i, Thread(start, end, t.back))

    def _yield_back(self, i: int, t: Thread) -> Thread:
        self.branches[i].block.terminator.operands.append(t.back)
        self.branches[1 - i].block.terminator.operands.append(t.end)
        return t


def _ordered(i: int, own: Value, other: Value) -> list[Value]:
    """What the two branches yield when branch i yields its own."""
    return [own, other] if i == 0 else [other, own]
