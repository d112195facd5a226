"""Measures pullback beside its peers in one run: `python benchmarks/run.py` (see README.md in this folder).

Every framework lives in a process of its own, in its own virtual environment where one is found, pinned to one core.
For each workload the processes take turns, so a machine that slows down slows all of them; what is reported is a median
and its ratio to pullback's. Every answer is compared with a float64 reference before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from peers import Peer, environment, find_peers, fresh_process
from report import Results, render, write_results
from timing import Samples, summary
from worker import digest
from workloads import WORKLOADS, Workload


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--peers", default="", help="of pullback,numpy,jax,tf,misc (default: all that are found)")
    parser.add_argument("--rounds", type=int, default=5, help="turns each framework gets per workload")
    parser.add_argument("--budget", type=float, default=0.3, help="seconds per turn")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, one short turn: does it run?")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and results.json in this folder")
    return parser.parse_args()


def close_enough(got: list[list[float]], want: list[list[float]], tolerance: float) -> bool:
    """Whether two digests agree: counts exactly, the rest relative to the largest entry of that output."""
    if len(got) != len(want):
        return False
    for g, w in zip(got, want, strict=True):
        if len(g) != len(w) or g[0] != w[0]:
            return False
        norm = max(w[2], 1e-12)                              # of the whole array
        bounds = np.array([0.0, norm * np.sqrt(max(w[0], 1.0)), norm, *[norm] * (len(w) - 3)])
        if not np.all(np.abs(np.subtract(g, w)) <= tolerance * bounds):
            return False
    return True


class Conductor:
    """Builds a workload in every process, checks the answers, then lets the processes take turns."""

    def __init__(self, peers: list[Peer], folder: Path, options: argparse.Namespace) -> None:
        self.peers, self.folder, self.options = peers, folder, options
        self.failures: list[str] = []

    def run(self, workload: Workload, size: int, results: Results) -> None:
        try:
            inputs = workload.inputs(size)
        except ImportError as error:
            print(f"  {workload.name}: {error}, left out", file=sys.stderr)
            return
        path = self.folder / f"{workload.name}-{size}.npz"
        np.savez(path, **inputs)  # type: ignore[arg-type]
        want = [digest(a) for a in workload.reference(inputs)]
        ready = []
        for peer in self.peers:
            for variant in (v for v, names in peer.variants.items() if workload.name in names):
                reply = peer.ask(do="build", workload=workload.name, variant=variant, inputs=str(path))
                if "error" in reply:
                    self.failures.append(f"{variant}: {workload.name} [{size}]: {reply['error']}")
                elif not close_enough(reply["values"], want, workload.tolerance):
                    wrong = f"wrong answer {reply['values']}, not {want}"
                    self.failures.append(f"{variant}: {workload.name} [{size}]: {wrong}")
                else:
                    ready.append((peer, variant))
        self.take_turns(workload, size, str(path), ready, results)
        path.unlink()

    def take_turns(
        self, workload: Workload, size: int, path: str, ready: list[tuple[Peer, str]], results: Results
    ) -> None:
        samples = {variant: Samples() for _, variant in ready}
        for _ in range(self.options.rounds):
            for peer, variant in ready:
                if len([v for p, v in ready if p is peer]) > 1:        # a process holds one benchmark at a time
                    peer.ask(do="build", workload=workload.name, variant=variant, inputs=path)
                reply = peer.ask(do="sample", budget=self.options.budget)
                if "error" in reply:
                    self.failures.append(f"{variant}: {workload.name} [{size}]: {reply['error']}")
                    continue
                samples[variant].seconds += reply["seconds"]
                samples[variant].clean += reply["clean"]
        row = {variant: summary(s) for variant, s in samples.items() if s.seconds}
        results.add(workload.name, workload.title, workload.unit, size, row)


def run_processes(peers: list[Peer], options: argparse.Namespace, results: Results, failures: list[str]) -> None:
    """Import time and first calls, from fresh processes that take turns."""
    times: dict[str, dict[str, list[float]]] = {"import": {}, "cold": {}, "warm": {}}
    for _ in range(1 if options.tiny else max(5, options.rounds)):
        for peer in peers:
            answer = fresh_process(peer)
            if "error" in answer or not answer.get("right", True):
                failures.append(f"{peer.title}: fresh process: {answer.get('error', 'wrong answer')}")
                continue
            times["import"].setdefault(peer.title, []).append(answer["numpy"] + answer["import"])
            for key in ("cold", "warm"):
                if key in answer:
                    times[key].setdefault(peer.title, []).append(answer[key])
    titles = {
        "import": "import in a fresh process (numpy's own import included)",
        "cold": "first gradient in a fresh process: trace, differentiate, compile, run",
        "warm": "first call of a second function: trace, differentiate, compile, run",
    }
    for key, row in times.items():
        medians = {title: (float(np.median(seconds)), True) for title, seconds in row.items()}
        results.add(key, titles[key], "process" if key == "import" else "call", 1, medians)


def main() -> int:
    options = parse_arguments()
    if options.tiny:
        options.rounds, options.budget = 1, 0.02
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pullback-bench-") as name:
        folder = Path(name)
        peers = find_peers(folder, [p for p in options.peers.split(",") if p])
        results = Results(environment(peers), " ".join(["python", "benchmarks/run.py", *sys.argv[1:]]))
        conductor = Conductor(peers, folder, options)
        try:
            for workload in (w for w in WORKLOADS if options.only in w.name):
                for size in workload.sizes[:1] if options.tiny else workload.sizes:
                    print(f"  {workload.name} [{size}] ...", file=sys.stderr, flush=True)
                    conductor.run(workload, size, results)
            if options.only in "first_call import":
                run_processes(peers, options, results, failures)
        finally:
            for peer in peers:
                peer.stop()
        failures += conductor.failures
    print(render(results))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1) + os.linesep)
    if options.write:
        write_results(results, Path(__file__).parent)
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
