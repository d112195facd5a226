"""How one number is taken.

A sample runs the call often enough to last at least 2 ms and is divided by the count. On a machine shared with other
work a sample during which our threads queued for a processor is no measurement of ours: Linux tells the queueing time,
and samples above 2 % of it are left out, unless nothing else ran (then a framework's threads waited for each other,
which is its own cost). When too few clean ones remain, the lower decile of all is given and marked.
"""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

MIN_SAMPLE = 0.002
MAX_QUEUED = 0.02
MIN_CLEAN = 3
QUIET = 0.05                    # of one processor, used by other processes

Loop = Callable[[Callable[..., Any], tuple[Any, ...], "Iterable[None]"], None]


@dataclass
class Bench:
    """One measurable thing: `call(*args)` does `work` operations and returns only when their results exist.

    `result()` gives the arrays to compare with the reference, from a fresh state, where `call` does not give them
    itself; `reset()` restores that state before a sample.
    """

    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    work: float = 1.0
    result: Callable[[], Any] | None = None
    reset: Callable[[], None] | None = None


Builder = Callable[[Any], Bench]         # from the inputs of a workload


def only(builder: Builder, *sizes: int | str) -> Builder:
    """For these sizes of the workload; the others would take minutes."""

    def build(inputs: Any) -> Bench:
        return builder(inputs)

    build.sizes = sizes  # type: ignore[attr-defined]
    return build


def slow(builder: Builder) -> Builder:
    """Takes so long, mostly to compile, that it is run only when asked for (`--slow`)."""

    def build(inputs: Any) -> Bench:
        return builder(inputs)

    build.slow = True  # type: ignore[attr-defined]
    return build


@dataclass
class Samples:
    """Seconds per operation of each sample, with the flag whether the sample was clean."""

    seconds: list[float] = field(default_factory=list)
    clean: list[bool] = field(default_factory=list)


def loop0(call: Callable[..., Any], args: tuple[Any, ...], times: Iterable[None]) -> None:
    for _ in times:
        call()


def loop1(call: Callable[..., Any], args: tuple[Any, ...], times: Iterable[None]) -> None:
    (a,) = args
    for _ in times:
        call(a)


def loop_n(call: Callable[..., Any], args: tuple[Any, ...], times: Iterable[None]) -> None:
    for _ in times:
        call(*args)


def queued() -> float:
    """Seconds that this process's threads have waited, runnable, for a processor; 0 where the system does not tell."""
    total = 0
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/schedstat") as file:
                total += int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return total * 1e-9


def processor_seconds() -> tuple[float, float] | None:
    """Processor time used by the whole machine and by this process; None where the system does not tell."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    except (OSError, ValueError):
        return None
    own = os.times()
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK"), own.user + own.system


def quiet(before: tuple[float, float] | None, after: tuple[float, float] | None, elapsed: float) -> bool:
    """Whether other processes used next to nothing in between."""
    if before is None or after is None:
        return False
    return (after[0] - before[0]) - (after[1] - before[1]) < QUIET * elapsed


def run_once(bench: Bench, loop: Loop, inner: int) -> tuple[float, bool]:
    if bench.reset:
        bench.reset()
    before = queued()
    start = time.perf_counter()
    loop(bench.call, bench.args, itertools.repeat(None, inner))
    elapsed = time.perf_counter() - start
    return elapsed / inner, queued() - before <= MAX_QUEUED * elapsed


def sample(bench: Bench, budget: float) -> Samples:
    """Samples for about `budget` seconds, at least three, after a warm-up of a third of that."""
    loop = (loop0, loop1)[len(bench.args)] if len(bench.args) < 2 else loop_n
    estimate, warm_until = float("inf"), time.perf_counter() + budget / 3
    while True:
        estimate = min(estimate, run_once(bench, loop, 1)[0])
        if time.perf_counter() > warm_until:
            break
    inner = max(1, int(MIN_SAMPLE / max(estimate, 1e-9)))
    out = Samples()
    gc.collect()
    gc.disable()
    try:
        start, used = time.perf_counter(), processor_seconds()
        while time.perf_counter() < start + budget or len(out.seconds) < MIN_CLEAN:
            seconds, clean = run_once(bench, loop, inner)
            out.seconds.append(seconds / bench.work)
            out.clean.append(clean)
        if quiet(used, processor_seconds(), time.perf_counter() - start):
            out.clean = [True] * len(out.clean)
    finally:
        gc.enable()
    return out


def summary(samples: Samples) -> tuple[float, bool]:
    """(median of the clean samples, True), or (lower decile of all, False) when fewer than three are clean."""
    clean = sorted(s for s, c in zip(samples.seconds, samples.clean, strict=True) if c)
    if len(clean) >= MIN_CLEAN:
        return clean[len(clean) // 2], True
    every = sorted(samples.seconds)
    return every[len(every) // 10], False
