"""Regions under construction: a block of the IR that takes the ops of some user code in place of the function's body.

Open regions lie on a stack. A region remembers the state of every variable when it was opened, and puts it back when it
is closed, so that branches start equal and what they assigned is known. Tapes outside do not see the ops of a region:
they record the whole construct as one. Where user code catches an exception, `unwind` closes what it left open.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..ir.graph import Block, Op, Value
from ..ir.opdef import get
from ..runtime.context import context
from ..runtime.dispatch import record
from ..runtime.live import live_tapes
from ..runtime.tensor import Tensor
from .state import HandleState
from .symbolic import SymbolicTensor
from .trace import Trace


class Frames(threading.local):
    """What is open in this thread, innermost last. `notes`: why a variable is unset, by name."""

    def __init__(self) -> None:
        self.open: list[Frame] = []
        self.notes: dict[str, str] = {}


class Frame:
    """Something open: a region, or an expression of which a part is being evaluated."""

    def abandon(self) -> None:
        """Called when an exception left it open."""


frames = Frames()


def depth() -> int:
    """How much is open."""
    return len(frames.open)


def unwind(to: int) -> None:
    """Abandons what was opened since."""
    while len(frames.open) > to:
        frames.open.pop().abandon()


def push(frame: Frame) -> None:
    """Opens."""
    frames.open.append(frame)


def pop(frame: Frame) -> None:
    """Closes; what lies above it was left by an exception that library code caught."""
    while frames.open:
        top = frames.open.pop()
        if top is frame:
            return
        top.abandon()


def current_trace() -> Trace | None:
    """The trace that runs in this thread."""
    trace = context.trace
    return trace if isinstance(trace, Trace) else None


class Region(Frame):
    """A block that takes the ops recorded between `open` and `close`.

    Attributes:
      block: the block. assigned: after `close`, variables by id whose value changed, with the value at the end.
      at_start: what each known variable's value was.
    """

    def __init__(self, trace: Trace, scratch: bool = False) -> None:
        self.trace = trace
        self.block = Block()
        self.scratch = scratch  # its ops may be kept as if there had been no region: tapes go on listening
        self.at_start: dict[int, Value] = {}
        self.assigned: dict[int, Value] = {}

    def open(self) -> Region:
        """From now on ops go here."""
        self._outer = self.trace.builder.block
        self._recorders = context.recorders
        self._before = {k: (s.current, s.assigned) for k, s in self.trace.states.items()}
        self.at_start = {k: v for k, (v, _) in self._before.items()}
        self.trace.builder.block = self.block
        self.trace.open_blocks.append(self.block)
        if self.scratch:
            self.trace.moved_into[self.block] = self._outer
        else:
            context.recorders = []
        push(self)
        return self

    def close(self) -> None:
        """Ops go where they went before; variables have the values that they had then."""
        pop(self)
        self._leave()
        self.trace.moved_into.pop(self.block, None)
        self._mark()
        for key, state in self.trace.states.items():
            start = self.at_start.get(key, state.param)
            if self._is_local(state):
                continue
            if state.current is not start:
                self.assigned[key] = state.current
            state.current, state.assigned = self._before.get(key, (state.param, False))
        self.trace.forget_handles(self.block)
        if self.scratch:
            self._remind()

    def _remind(self) -> None:
        """After a scratch region that is dropped: tapes saw its writes, and learn that the handles are as before.

        What they know of a handle belongs to its dropped value; what they knew before goes by the name of a copy.
        """
        for key, value in self.assigned.items():
            state = self.trace.states[key]
            if isinstance(state, HandleState) and context.recorders:
                dropped = state.handle._clone()
                dropped.value = value
                for tape in live_tapes():
                    tape.moved(state.handle, dropped)
                (known,) = tensors_of(self.trace, [state.current])
                record(get("identity"), {}, (known,), (state.handle,))

    def _is_local(self, state: Any) -> bool:
        """Whether the state is a handle that was made in this region."""
        return isinstance(state, HandleState) and self.trace.home_of(state.handle) is self.block

    def _mark(self) -> None:
        """What the region defines is of no use outside of it."""
        self.trace.closed.update(dict.fromkeys(self.block.params, self.block))
        self.trace.closed.update((r, self.block) for op in self.block.ops for r in op.results)

    def keep(self) -> None:
        """Closes a scratch region as if there had been none."""
        pop(self)
        self._leave()
        self._outer.ops.extend(self.block.ops)

    def _leave(self) -> None:
        self.trace.builder.block = self._outer
        context.recorders = self._recorders
        if self.block in self.trace.open_blocks:
            self.trace.open_blocks.remove(self.block)

    def abandon(self) -> None:
        """Puts everything back: the region never was."""
        self._leave()
        self._mark()
        for key, state in self.trace.states.items():
            if not self._is_local(state):
                state.current, state.assigned = self._before.get(key, (state.param, False))
        self.trace.forget_handles(self.block)

    def speculate(self) -> dict[int, Value]:
        """Gives every variable a parameter of the block as its value here; for regions that run many times."""
        found = {}
        for key, state in self.trace.states.items():
            found[key] = guess = self.block.add_param(state.current.type, state.param.name)
            state.current = guess
        self.at_start = dict(found)
        return found

    @contextmanager
    def again(self) -> Iterator[None]:
        """More ops at the end of a closed region."""
        saved, self.trace.builder.block = self.trace.builder.block, self.block
        recorders, context.recorders = context.recorders, []
        self.trace.open_blocks.append(self.block)
        try:
            yield
        finally:
            self.trace.closed.update((r, self.block) for op in self.block.ops for r in op.results)
            self.trace.open_blocks.remove(self.block)
            self.trace.builder.block, context.recorders = saved, recorders

    @contextmanager
    def at_end(self) -> Iterator[None]:
        """`again`, with variables and handles as they were at the end: what is read there is what they held then."""
        states = {k: self.trace.states[k] for k in self.assigned}
        now = {k: s.current for k, s in states.items()}
        for k, state in states.items():
            state.current = self.assigned[k]
        try:
            with self.again():
                yield
        finally:
            for k, state in states.items():
                state.current = now[k]

    def end(self, values: Sequence[Value]) -> None:
        """The terminator."""
        self.block.ops.append(Op(get("yield"), values, {}))


def replace(blocks: Sequence[Block], mapping: dict[Value, Value]) -> None:
    """Replaces values wherever the blocks use them."""
    if not mapping:
        return
    for block in blocks:
        for op in block.walk():
            op.operands = [mapping.get(v, v) for v in op.operands]


def free_values(op: Op) -> list[Value]:
    """What an op with regions uses from outside, operands first, each once."""
    found: dict[Value, None] = dict.fromkeys(op.operands)
    inner: set[Value] = set()

    def visit(block: Block) -> None:
        inner.update(block.params)
        for o in block.ops:
            for v in o.operands:
                if v not in inner:
                    found.setdefault(v)
            for r in o.regions:
                visit(r)
            inner.update(o.results)

    for r in op.regions:
        visit(r)
    return list(found)


def tensors_of(trace: Trace, values: Sequence[Value]) -> list[Tensor]:
    """Tensors for values that a construct uses: where tapes listen, the ones that they know."""
    known: dict[Value, Tensor] = {}
    for recorder in context.recorders:
        for x in recorder.followed() if hasattr(recorder, "followed") else ():
            if isinstance(x, SymbolicTensor) and x.trace is trace:
                known[x.value] = x
    for tensor, param in trace.captures.values():
        known.setdefault(param, tensor)
    for state in trace.variable_states():
        if context.recorders and state.current in values and state.current not in known:
            known[state.current] = state.variable.read_value()
    return [known[v] if v in known else SymbolicTensor(v, trace) for v in values]
