"""Who does what when: every workload in every process, in turns; and fresh processes, in turns."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from peers import Peer, fresh_process
from report import Results
from timing import Samples, summary
from workloads import WORKLOADS, Size, Workload

FIRST_CALLS = {
    "gradient_tensor": "gradient of x*x", "black_scholes": "Black-Scholes with greeks", "mlp_sgd": "MLP step",
    "lstm": "LSTM with gradient", "fifty_lengths": "one gradient for each of fifty lengths",
}  # fmt: skip
FRESH_VARIANTS = ("pullback", "jax", "tf.function", "tf xla", "tf relaxed", "torch eager", "torch nn", "torch func",
                  "numba", "autograd")  # fmt: skip
MAIN_VARIANTS = {"tf": "tf.function", "torch": "torch func"}     # whose small gradient counts as the framework's
PROCESS_ROUNDS = 3
MIB = 2**20


@dataclass
class Case:
    """A workload at a size, its inputs and reference in files."""

    workload: Workload
    size: Size
    inputs: str
    reference: str

    def __str__(self) -> str:
        return f"{self.workload.name} [{self.size}]"


@dataclass
class Conductor:
    peers: list[Peer]
    folder: Path
    options: argparse.Namespace
    results: Results
    failures: list[str] = field(default_factory=list)

    def fail(self, who: str, case: object, text: str) -> None:
        self.failures.append(f"{who}: {case}: {text}")
        print(f"  FAILED {self.failures[-1]}", file=sys.stderr, flush=True)

    def wanted(self, name: str) -> bool:
        return any(part in name for part in self.options.only.split(","))

    def run(self) -> None:
        for workload in WORKLOADS:
            if self.wanted(workload.name):
                for size in [workload.tiny] if self.options.tiny else workload.sizes:
                    self.measure(workload, size)
        self.import_times()
        for name, what in FIRST_CALLS.items():
            if self.wanted(f"first_{name}"):
                self.first_calls(next(w for w in WORKLOADS if w.name == name), what)
        if self.wanted("installed_size"):
            self.installed_sizes()

    def prepare(self, workload: Workload, size: Size) -> Case | None:
        print(f"  {workload.name} [{size}] ...", file=sys.stderr, flush=True)
        try:
            inputs = workload.inputs(size)
        except ImportError as error:
            print(f"  {workload.name}: {error}, left out", file=sys.stderr)
            return None
        files = [str(self.folder / f"{workload.name}-{size}-{what}.npz") for what in ("inputs", "reference")]
        np.savez(files[0], **inputs)  # type: ignore[arg-type]
        np.savez(files[1], *(np.asarray(a, np.float64) for a in workload.reference(inputs)))
        return Case(workload, size, *files)

    def variants(self, peer: Peer, case: Case) -> list[str]:
        """Those that have the workload at this size. In miniature everything but what is slow to compile."""
        found = []
        for variant, builders in peer.variants.items():
            sizes, slow = builders.get(case.workload.name, ([], False))
            right_size = sizes is None or case.size in sizes or (self.options.tiny and bool(sizes))
            if right_size and (self.options.slow or not slow):
                found.append(variant)
        return found

    def measure(self, workload: Workload, size: Size) -> None:
        """Builds the workload in every process, checks the answers, then lets the processes take turns."""
        case = self.prepare(workload, size)
        if case is None:
            return
        files = {"inputs": case.inputs, "reference": case.reference}
        ready = []
        for peer in self.peers:
            for variant in self.variants(peer, case):
                reply = peer.ask(do="build", workload=workload.name, variant=variant, **files)
                if "error" in reply:
                    self.fail(variant, case, reply["error"])
                elif not max(reply["errors"]) <= workload.tolerance:
                    self.fail(variant, case, f"wrong answer, relative errors {reply['errors']}")
                else:
                    ready.append((peer, variant))
        self.take_turns(case, ready)
        for file in files.values():
            Path(file).unlink()

    def take_turns(self, case: Case, ready: list[tuple[Peer, str]]) -> None:
        samples = {variant: Samples() for _, variant in ready}
        for _ in range(self.options.rounds):
            for peer, variant in ready:
                reply = peer.ask(do="sample", variant=variant, budget=self.options.budget)
                if "error" in reply:
                    self.fail(variant, case, reply["error"])
                    continue
                samples[variant].seconds += reply["seconds"]
                samples[variant].clean += reply["clean"]
        row = {variant: summary(s) for variant, s in samples.items() if s.seconds}
        w = case.workload
        self.results.add(w.name, w.title, w.group, w.unit, case.size, row)

    def process_rounds(self) -> int:
        return 1 if self.options.tiny else PROCESS_ROUNDS

    def add_process_row(self, name: str, title: str, times: dict[str, list[float]], unit: str = "process") -> None:
        medians = {who: (float(np.median(t)), True) for who, t in times.items()}
        self.results.add(name, title, "processes", unit, 1, medians)

    def import_times(self) -> None:
        if not self.wanted("import"):
            return
        times: dict[str, list[float]] = {}
        for _ in range(max(5, self.options.rounds) if not self.options.tiny else 1):
            for peer in self.peers:
                answer = fresh_process(peer, "fresh.py") if peer.framework != "c" else {}
                if "error" in answer:
                    self.fail(peer.framework, "import", answer["error"])
                elif answer:
                    times.setdefault(peer.framework, []).append(answer["import"])
        self.add_process_row("import", "import in a fresh process (numpy's own import included)", times)

    def first_calls(self, workload: Workload, what: str) -> None:
        """The first call in fresh processes; before it, with the first workload, a small gradient is timed as well."""
        case = self.prepare(workload, workload.tiny if self.options.tiny else workload.sizes[0])
        if case is None:
            return
        first: dict[str, list[float]] = {}
        cold: dict[str, list[float]] = {}
        for _ in range(self.process_rounds()):
            for peer in (p for p in self.peers if p.framework not in ("numpy", "c")):
                for variant in (v for v in self.variants(peer, case) if v in FRESH_VARIANTS):
                    answer = fresh_process(peer, "fresh.py", variant, workload.name, case.inputs, case.reference)
                    if "error" in answer or not answer["error_of_answer"] <= workload.tolerance:
                        self.fail(variant, f"first call of {case}", answer.get("error", "wrong answer"))
                        continue
                    first.setdefault(variant, []).append(answer["first"])
                    if variant == MAIN_VARIANTS.get(peer.framework, peer.framework):
                        cold.setdefault(variant, []).append(answer["cold"])
        if workload.name == next(iter(FIRST_CALLS)):
            title = "the very first gradient in a fresh process, with what the framework loads for it"
            self.add_process_row("cold", title, cold)
        self.add_process_row(f"first_{workload.name}", f"first call: {what}", first)

    def installed_sizes(self) -> None:
        sizes: dict[str, list[float]] = {}
        for peer in (p for p in self.peers if p.framework != "c"):
            answer: dict[str, Any] = fresh_process(peer, "installed_size.py")
            if "error" in answer:
                self.fail(peer.framework, "installed size", answer["error"])
            else:
                sizes[peer.framework] = [answer["bytes"] / MIB]
        self.add_process_row("installed_size", "installed size with all dependencies", sizes, "MiB")
