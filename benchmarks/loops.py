"""Loops and their gradients beside C: `python benchmarks/loops.py [--only NAME] [--dtype f32,f64] [--tiny] [--write]`.

Every row is a program of `loops_programs.py` and the same by hand in C (`loops_c.py`, gcc -O3 -march=native), in one
process on one core. All take turns in samples of at least 2 ms; the ratio is that of the medians, beside the ratio of
the minima and the ratio to C that rounds every operation, as pullback does. For loops of indexed writes there is
gradient / forward, too, for growing n: it must not grow. Last, what compiling costs for few and for many trips.
Arrays of a page or so are at the mercy of which physical pages they got (a factor of 2 and more between two
processes): run it several times.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import loops_programs as programs
import numpy as np
from loops_c import Bound
from sections import write_section
from timing import MAX_QUEUED, queued

import pullback as pb

NP = {"f32": np.float32, "f64": np.float64}
Call = Callable[[], Any]


@dataclass
class Row:
    """Two calls to compare, and their answers as arrays."""

    name: str
    ours: Call
    other: Bound
    answer: Callable[[Any], list[Any]]
    expected: Callable[[], list[Any]]


def measure(calls: list[Call], seconds: float, sample: float = 0.002) -> list[tuple[float, float]]:
    """(median, minimum) seconds per call; the calls take turns. Samples that queued for the core are left out."""
    counts = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        counts.append(max(1, int(sample / max(time.perf_counter() - start, 1e-9))))
    found: list[list[float]] = [[] for _ in calls]
    clean: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or (min(map(len, clean)) < 5 and time.perf_counter() < end + 5 * seconds):
        for call, count, all_times, good in zip(calls, counts, found, clean, strict=True):
            waited, start = queued(), time.perf_counter()
            for _ in itertools.repeat(None, count):
                call()
            took = time.perf_counter() - start
            all_times.append(took / count)
            if queued() - waited < MAX_QUEUED * took:
                good.append(took / count)
    chosen = [good if len(good) >= 5 else times for good, times in zip(clean, found, strict=True)]
    return [(statistics.median(t), min(t)) for t in chosen]


def arrays(result: Any) -> list[Any]:
    """The tensors of a nested result as float64 arrays."""
    if isinstance(result, (list, tuple)):
        return [a for r in result for a in arrays(r)]
    return [np.asarray(result.numpy(), np.float64)]


def scalar_rows(dtype: str, tiny: bool) -> Iterator[Row]:
    """Loops that carry scalars."""
    n, N = (10, 100) if tiny else (1000, 100_000)
    x, a, b, start, c = (pb.constant(v, NP[dtype]) for v in (5.0, 1.5, -2.0, 0.5, 0.1))
    train = programs.sgd(n)
    sgd = Bound("sgd", dtype, 5.0, 1.5, -2.0, n)
    yield Row("sgd", lambda: train(x, a, b), sgd, arrays, lambda: [sgd()])
    fused = programs.sgd(n, fp_contract=True)
    yield Row("sgd fp_contract", lambda: fused(x, a, b), sgd, arrays, lambda: [sgd()])
    run = programs.recurrence(N)
    t, out = np.zeros(N, NP[dtype]), np.zeros(3, NP[dtype])
    call = Bound("recurrence", dtype, 0.5, 0.1, N, t, out, result=False)
    yield Row("recurrence", lambda: run(start, c), call, arrays, lambda: [call(), *out][1:])


def answer(call: Call, g: Any, shape: Any = None) -> list[Any]:
    """What a C function gives: its value, and the gradient that it left in `g`."""
    return [call(), g if shape is None else g.reshape(shape)]


def start_of(n: int, dtype: str) -> Any:
    noise = np.random.default_rng(0).standard_normal(n)
    return (np.sin(np.linspace(0, 9, n)) + 0.3 * noise).astype(NP[dtype])


def stencil_rows(dtype: str, tiny: bool) -> Iterator[Row]:
    """Explicit time steps in one dimension, with slices and with element loops."""
    n, steps = (20, 5) if tiny else (1000, 1000)
    u = start_of(n, dtype)
    g, a, b = (np.zeros(n, NP[dtype]) for _ in range(3))
    states = np.zeros((steps + 1, n), NP[dtype])
    x = pb.constant(u)
    calls = {
        "heat": Bound("heat", dtype, u, g, a, b, n, steps),
        "allen_cahn": Bound("allen_cahn", dtype, u, g, states, a, b, n, steps),
    }
    for name in ("heat", "heat_concat", "allen_cahn", "allen_cahn_concat", "allen_cahn_elements"):
        f = programs.with_gradient(getattr(programs, name)(n, steps))
        call = calls["heat" if name.startswith("heat") else "allen_cahn"]
        yield Row(name, partial(f, x), call, arrays, partial(answer, call, g))


def write_rows(dtype: str, tiny: bool) -> Iterator[tuple[Row, Call]]:
    """Loops of indexed writes for growing n: the gradient, and the forward program."""
    for n in (10, 20) if tiny else (1000, 10_000, 100_000, 1_000_000):
        for name, columns in (("writes", 1), ("rows", 10)):
            if n * columns > 1_000_000:
                continue
            x = start_of(n * columns, dtype)
            g, a = np.zeros_like(x), np.zeros_like(x)
            given = pb.constant(x if columns == 1 else x.reshape(n, columns))
            f = getattr(programs, name)(n)
            forward, gradient = pb.function(f), programs.with_gradient(f)
            args = (x, g, a, 0.9, n) if name == "writes" else (x, g, a, n)
            call = Bound(name + "_grad", dtype, *args)
            row = Row(f"{name} n={n}", partial(gradient, given), call, arrays, partial(answer, call, g, given.shape))
            yield row, partial(forward, given)


def check(row: Row, dtype: str) -> None:
    """Raises when the answers differ."""
    tolerance = 2e-3 if dtype == "f32" else 1e-9
    for have, want in zip(row.answer(row.ours()), row.expected(), strict=True):
        np.testing.assert_allclose(have, np.asarray(want, np.float64), rtol=tolerance, atol=tolerance, err_msg=row.name)


def show(row: Row, dtype: str, seconds: float, forward: Call | None = None) -> str:
    """Measures, prints and gives one line."""
    check(row, dtype)
    times = measure([row.ours, row.other, row.other.strict, *([forward] if forward else [])], seconds)
    (ours, least), (c, c_least), (strict, _) = times[:3]
    text = f"{row.name:20} {dtype} {ours * 1e6:10.2f} us   C {c * 1e6:10.2f} us   x C {ours / c:5.2f}"
    text += f" (minima {least / c_least:5.2f})"
    text += f"   x strict C {ours / strict:5.2f}"
    if forward:
        text += f"   gradient / forward {ours / times[3][0]:5.2f}"
    print(text, flush=True)
    return text


def compile_times() -> Iterator[str]:
    """What the first call takes, for few and for many trips, a line each."""
    makers: dict[str, Callable[[int], tuple[Any, Any]]] = {
        "sgd": lambda n: (programs.sgd(n), [pb.constant(v) for v in (5.0, 1.5, -2.0)]),
        "recurrence": lambda n: (programs.recurrence(n), [pb.constant(v) for v in (0.5, 0.1)]),
        "allen_cahn": lambda n: (programs.with_gradient(programs.allen_cahn(100, n)), [pb.zeros([100])]),
        "allen_cahn_elements": lambda n: (
            programs.with_gradient(programs.allen_cahn_elements(100, n)),
            [pb.zeros([100])],
        ),
    }
    for name, make in makers.items():
        found = []
        for n in (100, 100_000):
            best = float("inf")
            for _ in range(3):
                f, args = make(n)
                start = time.perf_counter()
                f(*args)
                best = min(best, time.perf_counter() - start)
            f(*args)
            start = time.perf_counter()
            f(*args)
            found.append(best - (time.perf_counter() - start))
        few, many = (f"{t * 1e3:6.1f} ms" for t in found)
        text = f"{name:22} first call without its run: 100 trips {few}, 100000 trips {many}"
        print(text)
        yield text


def write(lines: list[str]) -> None:
    """The section of RESULTS.md."""
    head = [
        "## Loops and their gradients beside C",
        "",
        f"Written by `python benchmarks/loops.py --write` on {date.today()}: one process on one core,",
        "gcc -O3 -march=native; strict C rounds every operation (`-ffp-contract=off`).",
    ]
    body = "\n".join([*head, "", "```text", *lines, "```"])
    write_section(Path(__file__).with_name("RESULTS.md"), "loops", body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--dtype", default="f32,f64")
    parser.add_argument("--seconds", type=float, default=0.6, help="per row")
    parser.add_argument("--tiny", action="store_true", help="only checks that everything runs and answers right")
    parser.add_argument("--write", action="store_true", help="also writes its section of RESULTS.md")
    options = parser.parse_args()
    lines = []
    seconds = 0.01 if options.tiny else options.seconds
    for dtype in options.dtype.split(","):
        for row in itertools.chain(scalar_rows(dtype, options.tiny), stencil_rows(dtype, options.tiny)):
            if options.only in row.name:
                lines.append(show(row, dtype, seconds))
        for row, forward in write_rows(dtype, options.tiny):
            if options.only in row.name:
                lines.append(show(row, dtype, seconds, forward))
    if not options.only and not options.tiny:
        lines += compile_times()
    if options.write:
        write(lines)


if __name__ == "__main__":
    main()
