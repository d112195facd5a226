"""What is going on in this thread: active tapes, a running trace, name scopes.

Every public op asks here whether anybody listens. `slow_mode` is the process-wide answer to that question: as long as
its count is zero, no thread records, traces or runs functions eagerly, and both the eager ops and the native call path
skip all of it. A trace replaces the thread's tapes for as long as it runs (`tracing`), because what it sees are symbols
that mean nothing to the tapes outside.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    import numpy as np

    from ..ir.dims import Dim
    from ..ir.opdef import OpDef
    from .tensor import Tensor
    from .variable import Variable


class TraceProtocol(Protocol):
    """What a running trace does in place of eager execution."""

    def apply(self, op: OpDef, xs: Sequence[Tensor], attrs: dict[str, Any]) -> Any:
        """Records the op; gives a symbolic tensor, or a tuple of them when there are several results."""

    def constant(self, array: np.ndarray[Any, Any]) -> Tensor:
        """A symbolic tensor with that known value."""

    def span(self, t: Tensor, axis: int, start: Any, stop: Any, step: int) -> tuple[Tensor, Dim]:
        """First element (an i64 scalar) and number of elements of a slice along an axis whose bounds are computed."""

    def is_computed(self, d: Dim) -> bool:
        """Whether a size is known only when the function runs."""

    def length(self, n: Tensor) -> Dim | None:
        """An integer scalar as the length of an array; None where it may be of any size."""

    def selected(self, mask: Tensor) -> Dim:
        """How many elements of a bool vector are true, as a size."""

    def read_variable(self, variable: Variable) -> Tensor:
        """The variable's value at this point of the program."""

    def assign_variable(self, variable: Variable, value: Tensor) -> None:
        """The variable has this value from here on."""

    def custom_gradient(self, name: str, gradient: Any, xs: Sequence[Any], outs: Sequence[Tensor]) -> Any:
        """The outputs, whose cotangents `gradient` takes to those of `xs` (tensors and variables)."""

    def run_eagerly(self, why: str) -> NoReturn:
        """Ends the trace: the program cannot be compiled, and runs eagerly."""

    def new_variable(self, variable: Variable, initial: Tensor) -> Tensor:
        """Called while a variable is made: gives the eager start value, or raises ValueError when it is not allowed."""


class Recorder(Protocol):
    """A tape or a forward accumulator: whoever wants to see each op after it ran."""

    def record(self, op: Any, attrs: Any, xs: Sequence[Any], outs: Sequence[Tensor]) -> None:
        """Called with the op, its attributes, operands (tensors, or a variable for a read) and results."""


class SlowMode:
    """Counts the reasons, in all threads, for which compiled calls must take the Python path.

    `native` is a mirror for machine code: an object with a writable `value`, such as a ctypes integer.

    Attributes:
      count: of the reasons. traces: how many are traces; while there is none, no thread has to look for its own.
    """

    def __init__(self) -> None:
        self.count = self.traces = 0
        self._lock = threading.Lock()
        self._native: Any = None

    def attach(self, native: Any) -> None:
        """Keeps `native.value` equal to the count from now on."""
        with self._lock:
            self._native = native
            native.value = self.count

    def enter(self, traces: int = 0) -> None:
        """One more reason."""
        with self._lock:
            self.traces += traces
            self.count = n = self.count + 1
            if self._native is not None:
                self._native.value = n

    def leave(self, traces: int = 0) -> None:
        """One reason less."""
        with self._lock:
            self.traces -= traces
            self.count = n = self.count - 1
            if self._native is not None:
                self._native.value = n


class Context(threading.local):
    """The state of one thread.

    Attributes:
      recorders: the tapes and accumulators that listen, innermost last.
      functions: how many functions of `pb.function` are being run eagerly, one inside of the other.
    """

    trace: TraceProtocol | None = None
    functions = 0

    def __init__(self) -> None:
        self.recorders: list[Recorder] = []
        self.names: list[str] = []


slow_mode = SlowMode()
context = Context()


@contextmanager
def tracing(trace: TraceProtocol | None) -> Iterator[None]:
    """Runs the body under the trace, away from the recorders outside; None runs it eagerly (as `init_scope`)."""
    saved = context.trace, context.recorders, context.names
    slow_mode.enter(traces=1)
    context.trace, context.recorders, context.names = trace, [], []
    try:
        yield
    finally:
        context.trace, context.recorders, context.names = saved
        slow_mode.leave(traces=1)


@contextmanager
def inside_eager_function() -> Iterator[None]:
    """Runs the body of a function that would be compiled, were functions not run eagerly."""
    context.functions += 1
    try:
        yield
    finally:
        context.functions -= 1


def in_function() -> bool:
    """Whether the Python that runs belongs to a `pb.function`, traced or run eagerly."""
    return slow_mode.count > 0 and (context.trace is not None or context.functions > 0)


@contextmanager
def paused() -> Iterator[None]:
    """Runs the body without recording, in the same trace."""
    saved = context.recorders
    context.recorders = []
    try:
        yield
    finally:
        context.recorders = saved


def push(recorder: Recorder) -> None:
    """The recorder sees every op of this thread from now on."""
    slow_mode.enter()
    context.recorders.append(recorder)


def pop(recorder: Recorder) -> None:
    """The recorder, which was pushed, sees no more. An exception that left a branch or loop of a trace may have
    left the list of another place behind: its count is given back all the same."""
    slow_mode.leave()
    recorders = context.recorders
    if recorders and recorders[-1] is recorder:
        recorders.pop()
        return
    for i in range(len(recorders) - 1, -1, -1):
        if recorders[i] is recorder:
            del recorders[i]
            return


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Prefixes the names of variables made inside with `name/`; gives the whole prefix."""
    context.names.append(name)
    try:
        yield "".join(n + "/" for n in context.names)
    finally:
        context.names.pop()
