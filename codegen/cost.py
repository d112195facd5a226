"""What each step of a function costs: operations, bytes, and the least time in which this machine can do both.

Operations are additions, multiplications and their like; a math function counts as the additions that take as long.
Bytes are what a step must read and write, each element once: what a cache saves between two steps is not seen. The
bound is the roofline's (Williams, Waterman and Patterson 2009): the larger of operations over the machine's rate of
them and bytes over its bandwidth, both measured on one core at the first question. Products of matrices are taken to
be done in fused operations, at twice the rate.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ..ir.graph import Function, Loc, Op, Value
from ..ir.types import StackType
from . import access
from .describe import trips_of
from .fusion import plan
from .fusion_rules import trips
from .jit import compile_module
from .lowering import lower
from .nest import attributes, vector_bytes
from .plan import Call, Kernel, Plan, Region


@dataclass(frozen=True, slots=True)
class StepCost:
    """One step.

    Attributes:
      name: "kernel" or the op's name. loc: the user's line. domain: sizes of the loop nest.
      times: how often it runs, as far as the program says. flops, bytes: in all of that.
    """

    name: str
    loc: Loc | None
    domain: tuple[int, ...]
    times: float
    flops: float
    bytes: float

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.flops / self.bytes if self.bytes else float("inf")

    @property
    def seconds(self) -> float:
        """The roofline's bound."""
        return max(self._times())

    @property
    def limit(self) -> str:
        """What bounds it: "memory" or "arithmetic"."""
        arithmetic, memory = self._times()
        return "memory" if memory > arithmetic else "arithmetic"

    def _times(self) -> tuple[float, float]:
        rate, bandwidth = machine()
        return self.flops / (rate * (2 if self.name == "matmul" else 1)), self.bytes / bandwidth


class Cost:
    """The steps of a function with their costs; prints as a table."""

    def __init__(self, name: str, steps: list[StepCost]) -> None:
        self.name, self.steps = name, steps

    @property
    def flops(self) -> float:
        """Of all steps."""
        return sum(s.flops for s in self.steps)

    @property
    def bytes(self) -> float:
        """Of all steps."""
        return sum(s.bytes for s in self.steps)

    @property
    def seconds(self) -> float:
        """The sum of the steps' bounds."""
        return sum(s.seconds for s in self.steps)

    def __str__(self) -> str:
        rate, bandwidth = machine()
        head = f"@{self.name}: {_short(self.flops)} flops, {_short(self.bytes)} bytes, at least {_time(self.seconds)}"
        lines = [f"{head} (one core: {rate / 1e9:.3g} Gflops/s, {bandwidth / 1e9:.3g} GB/s)"]
        row = "{:<12} {:<16} {:>7} {:>8} {:>8} {:>10} {:>9}  {:<10} {}"
        lines.append(row.format("step", "over", "times", "flops", "bytes", "flops/byte", "at least", "limit", "line"))
        for s in self.steps:
            over = " x ".join(map(str, s.domain)) or "-"
            each = (_short(s.times), _short(s.flops), _short(s.bytes), f"{s.intensity:.3g}", _time(s.seconds), s.limit)
            lines.append(row.format(s.name, over, *each, s.loc or "").rstrip())
        return "\n".join(lines)

    __repr__ = __str__


def _short(x: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if x >= size:
            return f"{x / size:.3g}{unit}"
    return f"{x:.3g}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def cost_of(fn: Function) -> Cost:
    """The costs of a static function that went through `pipeline.optimise`."""
    steps = plan(lower(fn))
    return Cost(fn.name, list(_steps(steps, 1.0)))


def _steps(of: Plan, times: float) -> Iterator[StepCost]:
    for step in of.steps:
        if isinstance(step, Region):
            for inner in step.plans:
                yield from _steps(inner, times * trips_of(step))
        elif isinstance(step, Kernel):
            yield _kernel(step, times)
        elif isinstance(step, Call) and step.op is not None:
            yield _call(step.op, times)


def _kernel(step: Kernel, times: float) -> StepCost:
    flops = 0.0
    for v, at in step.reads.visits:
        if isinstance(v.owner, Op) and access.form(v.owner) == access.ELEMENTWISE and v.type.dtype.is_floating:
            flops += access.cost(v.owner) * trips(step.domain, at)
    flops += prod(step.domain) * sum(bool(r.reduce) or r.add for r in step.roots)
    reads: dict[Value, int] = {}
    for leaf in step.reads.leaves:
        here = trips(step.domain, (leaf.position,))
        reads[leaf.owner] = min(reads.get(leaf.owner, 0) + here, _elements(leaf.owner))
    size = sum(n * _item(v) for v, n in reads.items())
    for r in step.roots:
        if r.kept:
            size += trips(step.domain, (r.position,)) * _item(r.target) * (2 if r.add else 1)
    loc = next((r.op.loc for r in step.roots if r.op.loc is not None), None)
    return StepCost("kernel", loc, step.domain, times, flops * times, size * times)


def _call(op: Op, times: float) -> StepCost:
    values = [v for v in (*op.operands, *op.results) if not isinstance(v.type, StackType)]
    out = prod(access.shape_of(op.results[0])) if op.results and op.results[0] in values else 0
    flops = float(out)
    if op.kind.name == "matmul":
        flops = 2.0 * out * access.shape_of(op.operands[0])[-2 if op.attrs["transpose_a"] else -1]
    size = sum(_elements(v) * _item(v) for v in values)
    domain = access.shape_of(op.results[0]) if out else ()
    return StepCost(op.kind.name, op.loc, domain, times, flops * times, size * times)


def _elements(v: Value) -> int:
    return prod(access.shape_of(v))


def _item(v: Value) -> int:
    return 1 if v.type.dtype.is_bool else v.type.dtype.size


@lru_cache(maxsize=1)
def machine() -> tuple[float, float]:
    """Operations and bytes per second of one core: products and sums of f32 vectors in registers, each rounded by
    itself, as compiled code does them; and a copy too large for the caches."""
    lanes, trips_ = vector_bytes() // 4, 20_000
    library = compile_module(_peak(lanes, trips_), {})
    run = ctypes.CFUNCTYPE(None)(library.address("peak"))
    rate = 2.0 * _CHAINS * lanes * trips_ / _best(run)
    source = np.ones(8 << 20, np.float32)
    target = np.empty_like(source)
    return rate, 2.0 * source.nbytes / _best(lambda: np.copyto(target, source))


_CHAINS = 12  # of dependent operations, so that their latency is hidden


def _peak(lanes: int, count: int) -> str:
    """A loop of products and sums on as many vectors as there are chains; its result goes where nobody reads it."""
    ty = f"<{lanes} x float>"
    lines = [f"define void @peak() {attributes()} {{", "entry:", f"  %out = alloca {ty}", "  br label %loop", "loop:"]
    lines.append("  %i = phi i64 [0, %entry], [%next, %loop]")
    lines += [f"  %a{k} = phi {ty} [splat (float {k + 1}.0), %entry], [%c{k}, %loop]" for k in range(_CHAINS)]
    for k in range(_CHAINS):
        lines.append(f"  %b{k} = fmul {ty} %a{k}, splat (float 0.5)")
        lines.append(f"  %c{k} = fadd {ty} %b{k}, splat (float 1.0)")
    lines += ["  %next = add i64 %i, 1", f"  %more = icmp slt i64 %next, {count}"]
    lines += ["  br i1 %more, label %loop, label %done", "done:"]
    lines += [f"  store volatile {ty} %c{k}, ptr %out" for k in range(_CHAINS)]
    return "\n".join([*lines, "  ret void", "}"]) + "\n"


def _best(run: Callable[[], Any], tries: int = 5) -> float:
    run()
    found = []
    for _ in range(tries):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)
