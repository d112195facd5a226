"""Real programs and their gradients beside JAX, numba and C in one run: `python benchmarks/run_programs.py`.

The programs (programs/) are plain NumPy. Every framework lives in a process of its own, pinned to one core; for each
program the processes take turns, and what is reported is a median. Before anything is timed, every value is compared
with plain NumPy's, every gradient with the other frameworks' and, along one direction, with central differences.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from peers import Peer, environment, find_peers, names_of
from programs import PROGRAMS, Program
from programs_report import render, write
from timing import Samples, summary

PEERS = ("pullback", "jax", "numba", "c", "numpy")
VALUE, GRADIENT, DIFFERENCE = 1e-9, 1e-6, 2e-2       # relative errors allowed
Arrays = dict[str, Any]


@dataclass
class Row:
    """One program at one size. Times are seconds: `times[peer]["forward"]`, with the flag of a quiet processor."""

    program: Program
    size: int
    times: dict[str, dict[str, tuple[float, bool]]] = field(default_factory=dict)
    first: dict[str, dict[str, float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def fail(self, peer: str, text: str) -> None:
        self.failures.append(f"{peer}: {self.program.name} [{self.size}]: {text}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="programs whose name contains this")
    parser.add_argument("--peers", default="", help=f"of {','.join(PEERS)} (default: all that are found)")
    parser.add_argument("--rounds", type=int, default=5, help="turns each framework gets per program")
    parser.add_argument("--budget", type=float, default=0.2, help="seconds per turn")
    parser.add_argument("--sizes", default="", help="numbers between commas in place of each program's own")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, one short turn: does it run?")
    parser.add_argument("--write", action="store_true", help="write the section of programs in RESULTS.md")
    options = parser.parse_args()
    if options.tiny:
        options.rounds, options.budget = 1, 0.001
    return options


def differs(got: Any, want: Any, tolerance: float) -> bool:
    """Whether two arrays differ by more than the tolerance, relative to the largest entry."""
    if np.shape(got) != np.shape(want):
        return True
    return not np.all(np.abs(got - want) <= tolerance * max(1e-300, float(np.max(np.abs(want), initial=0.0))))


def slope(program: Program, inputs: dict[str, Any], along: list[Any]) -> float:
    """The derivative of the plain NumPy program along a direction by central differences."""

    def at(t: float) -> float:
        moved = inputs | {name: inputs[name] + t * d for name, d in zip(program.wrt, along, strict=True)}
        return float(program.objective(*moved.values()))

    return (at(program.step) - at(-program.step)) / (2.0 * program.step)


def check(row: Row, answers: dict[str, Arrays]) -> None:
    """Compares all answers; a wrong one is a failure, and its framework is not timed."""
    program, inputs = row.program, row.program.inputs(row.size)
    value = float(program.objective(*inputs.values()))
    rng = np.random.default_rng(0)
    along = [rng.standard_normal(np.shape(inputs[name])) for name in program.wrt]
    expected, first = slope(program, inputs, along), None
    for peer, answer in list(answers.items()):
        wrong = [f"{w} is {answer[w]}, not {value}" for w in ("forward", "gradient")
                 if w in answer and differs(answer[w], value, VALUE)]  # fmt: skip
        gradients = [answer[f"d{k}"] for k in range(len(along)) if f"d{k}" in answer]
        if gradients:
            found = sum(float(np.sum(g * d)) for g, d in zip(gradients, along, strict=True))
            scale = sum(float(np.sum(np.abs(g * d))) for g, d in zip(gradients, along, strict=True))
            if not abs(found - expected) <= DIFFERENCE * scale:
                wrong.append(f"the gradient gives {found} along a direction, differences {expected}")
            first = first or gradients
            wrong += [f"gradient {k} differs" for k, (g, f) in enumerate(zip(gradients, first, strict=True))
                      if differs(g, f, GRADIENT)]  # fmt: skip
        for text in wrong:
            row.fail(peer, f"wrong answer: {text}")
        if wrong:
            del answers[peer]


def measure(program: Program, size: int, peers: list[Peer], folder: Path, options: argparse.Namespace) -> Row:
    """Builds the program in every process, checks the answers, then lets the processes take turns."""
    row, answers = Row(program, size), {}
    for peer in peers:
        path = folder / f"{peer.framework}.npz"
        reply = peer.ask(do="build", program=program.name, size=size, save=str(path))
        if "error" in reply:
            row.fail(peer.framework, reply["error"])
            continue
        for what, error in reply["errors"].items():
            row.fail(peer.framework, f"{what}: {error}")
        row.first[peer.framework] = reply["first"]
        with np.load(path) as data:
            answers[peer.framework] = dict(data)
    check(row, answers)
    samples = {(p, w): Samples() for p in answers for w in ("forward", "gradient") if w in answers[p]}
    for _ in range(options.rounds):
        for peer in peers:
            for what in (w for p, w in samples if p == peer.framework):
                reply = peer.ask(do="sample", what=what, budget=options.budget)
                if "error" in reply:
                    row.fail(peer.framework, f"{what}: {reply['error']}")
                    continue
                samples[peer.framework, what].seconds += reply["seconds"]
                samples[peer.framework, what].clean += reply["clean"]
    for (framework, what), s in samples.items():
        if s.seconds:
            row.times.setdefault(framework, {})[what] = summary(s)
    return row


def main() -> int:
    options = parse_arguments()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pullback-bench-") as name:
        folder = Path(name)
        peers = find_peers(folder, names_of(options.peers, PEERS), "programs_worker.py")
        about = environment(peers)
        try:
            for program in (p for p in PROGRAMS.values() if options.only in p.name):
                sizes = [program.tiny] if options.tiny else [int(s) for s in options.sizes.split(",") if s]
                for size in sizes or program.sizes:
                    print(f"  {program.name} [{size}] ...", file=sys.stderr, flush=True)
                    rows.append(measure(program, size, peers, folder, options))
        finally:
            for peer in peers:
                peer.stop()
    print(render(rows))
    if options.write:
        write(rows, about, " ".join(["python", "benchmarks/run_programs.py", *sys.argv[1:]]), Path(__file__).parent)
    failures = [f for row in rows for f in row.failures]
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
