"""One framework in one process: `python worker.py FRAMEWORK`, conducted by run.py through JSON lines.

    {"do": "build", "workload": "...", "variant": "...", "inputs": "i.npz", "reference": "r.npz"} -> {"errors": [...]}
    {"do": "sample", "variant": "...", "budget": 0.2}                           -> {"seconds": [...], "clean": [...]}

With one thread the process pins itself to one core before it imports anything large.
"""

from __future__ import annotations

import gc
import importlib
import os
from typing import Any

if os.environ.get("BENCHMARK_THREADS", "1") == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
from answers import errors_of, leaves
from serve import serve
from timing import Bench, sample


def load(path: str) -> dict[str, Any]:
    with np.load(path) as data:
        return dict(data)


class Worker:
    """The state between requests: the framework's module and the benchmarks of the present workload."""

    def __init__(self, framework: str) -> None:
        self.module = importlib.import_module(f"with_{framework}")
        self.inputs, self.benches = "", dict[str, Bench]()

    def hello(self) -> dict[str, Any]:
        variants = {
            variant: {name: [getattr(b, "sizes", None), getattr(b, "slow", False)] for name, b in builders.items()}
            for variant, builders in self.module.VARIANTS.items()
        }
        return {"version": self.module.version(), "variants": variants}

    def build(self, workload: str, variant: str, inputs: str, reference: str) -> dict[str, Any]:
        if inputs != self.inputs:
            self.inputs, self.benches = inputs, {}
            getattr(self.module, "forget", lambda: None)()
            gc.collect()
        bench: Bench = self.module.VARIANTS[variant][workload](load(inputs))
        outputs = bench.result() if bench.result else bench.call(*bench.args)
        self.benches[variant] = bench
        return {"errors": errors_of(leaves(outputs), list(load(reference).values()))}

    def sample(self, variant: str, budget: float) -> dict[str, Any]:
        samples = sample(self.benches[variant], budget)
        return {"seconds": samples.seconds, "clean": samples.clean}


if __name__ == "__main__":
    serve(Worker)
