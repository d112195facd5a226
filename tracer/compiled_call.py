"""A compiled function as one operation: run at once, called from another trace, recorded on tapes as one entry.

Under a tape, the function is split into a forward part, which also gives what the backward part needs (residuals), and
a backward part; both are compiled functions themselves and can be recorded again, so that every order of derivative
stays compiled. The derivative of the residuals, which only higher orders ask for, runs the forward part again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..codegen.bound import Shared
from ..ir.builder import RawBuilder
from ..ir.control import CALL, runtime_sizes
from ..ir.graph import Attrs, Block, Function
from ..ir.opdef import Needs, OpDef
from ..ir.types import TensorType
from ..runtime.context import context
from ..runtime.dispatch import record
from ..runtime.tensor import Tensor
from .execute import CodeOptions, Compiled, Executable, Sizes, executable, shared, sizes_of, without_collections

Array = np.ndarray[Any, Any]
Mask = tuple[bool, ...]
MAX_EXECUTABLES = 256
MAX_SHARED = 4  # variants of the code for many sizes


class CompiledOp(OpDef):
    """A pure IR function (arrays in, arrays out) as an op.

    Attributes:
      fn: the function; its sizes may be symbols. donate: result number -> parameter whose buffer may be overwritten.
      n_outputs: how many results can be differentiated (those behind are new values of variables).
      options: how it is compiled, and its derivatives with it.
    """

    summary = "Call of a compiled function."

    def __init__(
        self,
        fn: Function,
        donate: Mapping[int, int] | None = None,
        n_outputs: int | None = None,
        options: CodeOptions = CodeOptions(),  # noqa: B008  (immutable)
    ) -> None:
        self.fn = fn
        self.options = options
        self.name = fn.name
        self.n_outputs = len(fn.results) if n_outputs is None else n_outputs
        self.donate = dict(donate or {})
        self._symbolic = not fn.is_static
        self._executables: dict[Sizes, Executable] = {}
        self._shared: list[Shared] | None = []  # code for many sizes; None where that was tried in vain
        self._misses = 0
        self._pairs: dict[Mask, Pair] = {}
        self._reversed: dict[tuple[Mask, Mask], Backward] = {}
        self._lock = threading.RLock()

    # ------------------------------------------------------------ running
    def executable(self, arrays: Sequence[Array]) -> Executable:
        """The code for arguments of these shapes."""
        sizes = sizes_of(self.fn, arrays) if self._symbolic else ()
        found = self._executables.get(sizes)
        return found if found is not None else self._compile(sizes)

    def _compile(self, sizes: Sizes) -> Executable:
        with self._lock:
            found = self._executables.get(sizes)
            if found is None:
                with without_collections():
                    found = self._for_many(sizes) or executable(self.fn, sizes, self.donate, self.options)
                while len(self._executables) >= MAX_EXECUTABLES:
                    self._executables.pop(next(iter(self._executables)))
                self._executables[sizes] = found
        return found

    def _for_many(self, sizes: Sizes) -> Executable | None:
        """Code that serves these sizes and others: made at the second combination of sizes, tried at each later one."""
        if not sizes or self._shared is None:
            return None
        if not self._executables and not self.options.many_sizes:
            return None
        known = dict(sizes)
        for code in self._shared:
            if code.serves(known):
                return Compiled(code.bind(known))
        new = shared(self.fn, sizes, self.donate, self.options) if len(self._shared) < MAX_SHARED else None
        if new is None:
            self._misses += 1
            if self._misses >= MAX_SHARED:
                self._shared = None
            return None
        self._shared.append(new)
        return Compiled(new.bind(known))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results of the function on arrays of its parameters' types."""
        return self.executable(arrays).run(arrays)

    def execute(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """The results as tensors; a `call` inside a trace. No tape sees it."""
        trace: Any = context.trace
        if trace is not None:
            return list(trace.call(self.fn, xs))
        return [Tensor(a) for a in self.run([x._data for x in xs])]

    def call(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """The results, recorded as one entry on the tapes that are active."""
        if not context.recorders:
            return self.execute(xs)
        needs = tuple(x.dtype.is_differentiable and is_tracked(x) for x in xs)
        if not any(needs):
            return self.execute(xs)
        if runtime_sizes(self.fn.body):  # it could not be padded: the interpreter runs it, and who asks for a
            outs = self.execute(xs)  # derivative is told why there is none
            record(self, {}, list(xs), outs)
            return outs
        pair = self.pair(needs)
        outs = pair.forward.execute(xs)
        record(pair, {}, list(xs), outs)
        return outs[: pair.n_results]

    # ------------------------------------------------------------ derivatives
    def pair(self, needs: Mask) -> Pair:
        """The forward and backward parts for derivatives by the operands that `needs` marks."""
        with self._lock:
            pair = self._pairs.get(needs)
            if pair is None:
                pair = self._pairs[needs] = Pair(self, needs)
        return pair

    def reverse(self, needs: Mask, given: Mask) -> Backward:
        """The function (operands, cotangents of the results that `given` marks) -> cotangents of operands."""
        from ..ir.reverse import reverse_info

        with self._lock:
            found = self._reversed.get((needs, given))
            if found is None:
                info = reverse_info(self.fn, numbers(needs), numbers(given))
                op = CompiledOp(info.function, options=self.options)
                found = self._reversed[needs, given] = Backward(op, needs, info.connected)
        return found

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """Types of the results for operands of these types."""
        return CALL.infer({"callee": self.fn}, types, regions)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The results."""
        outs = self.run(list(xs))
        return outs[0] if len(outs) == 1 else tuple(outs)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """Tangents of the results, by the forward-mode derivative of the function."""
        return CALL.jvp(b, {"callee": self.fn}, outs, xs, ts)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """Cotangents of the operands; the forward part runs again."""
        given = tuple(c is not None for c in cts)
        wanted = tuple(bool(n) and t.dtype.is_differentiable for n, t in zip(needs, self.fn.param_types, strict=True))
        if not any(given) or not any(wanted):
            return [None] * len(xs)
        return self.reverse(wanted, given).run(b, [*xs, *(c for c in cts if c is not None)])


@dataclass(frozen=True, slots=True)
class Backward:
    """A backward part: `op` gives a cotangent per operand that `needs` marks, without meaning where not `connected`."""

    op: CompiledOp
    needs: Mask
    connected: Mask

    def run(self, b: Any, xs: Sequence[Any]) -> list[Any]:
        """Cotangents of all operands, None for those that were not asked for or do not depend. `xs` are arrays when `b`
        works on arrays, else tensors, which outer tapes may record."""
        if not any(self.connected):
            return [None] * len(self.needs)
        outs = self.op.run(list(xs)) if isinstance(b, RawBuilder) else self.op.call(xs)
        found = iter([ct if on else None for ct, on in zip(outs, self.connected, strict=True)])
        return [next(found) if need else None for need in self.needs]


def numbers(mask: Mask) -> tuple[int, ...]:
    """Where the mask is true."""
    return tuple(i for i, on in enumerate(mask) if on)


class Pair(OpDef):
    """The record of a call on a tape: `forward` gave outputs and residuals, `backward` takes residuals and cotangents.

    Attributes:
      n_results: how many of the forward part's results are the function's own.
    """

    def __init__(self, op: CompiledOp, needs: Mask) -> None:
        from ..ir.partition import split

        fn, n_outputs, options = op.fn, op.n_outputs, op.options
        outputs = [i for i, t in enumerate(fn.result_types[:n_outputs]) if t.dtype.is_differentiable]
        # A stack, what a loop of unknown length keeps, lives within one native call: such loops run again instead.
        parts = split(fn, numbers(needs), outputs, stacks=False)
        self.name = fn.name
        self.needs = needs
        self.forward = CompiledOp(parts.forward, options=options)
        self.backward = Backward(CompiledOp(parts.backward, options=options), needs, parts.connected)
        self.n_results = len(fn.results)
        self.outputs = parts.outputs
        self.op = op
        self.chooses = any(o.kind.picks for f in (fn, *fn.callees()) for o in f.body.walk())
        self.residuals = parts.residuals

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """Cotangents of the operands, by the compiled backward part."""
        seeded = [i for i, ct in enumerate(cts) if ct is not None]
        if any(i not in self.outputs for i in seeded):  # a residual, or a new value of a variable
            return self.forward.vjp(b, attrs, outs, xs, cts, self.needs)
        if not seeded:
            return [None] * len(xs)
        if self.chooses and not isinstance(b, RawBuilder):
            # To be differentiated again: a residual's cotangent would not tell what was not chosen; see `ir/chosen.py`.
            return self.op.vjp(b, attrs, outs, xs, cts[: self.n_results], self.needs)
        kept = [xs[i] if kind == "param" else outs[i] for kind, i in self.residuals]
        seeds = [b.zeros_like(outs[i]) if cts[i] is None else cts[i] for i in self.outputs]
        return self.backward.run(b, [*kept, *seeds])

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """Tangents of outputs and residuals."""
        return self.forward.jvp(b, attrs, outs, xs, ts)


def is_tracked(x: Tensor) -> bool:
    """Whether some active tape or accumulator follows the tensor."""
    return any(r.follows(x) if hasattr(r, "follows") else True for r in context.recorders)
