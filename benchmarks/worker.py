"""One framework in one process: `python worker.py FRAMEWORK`, conducted by run.py through JSON lines.

    {"do": "build", "workload": "...", "variant": "...", "inputs": "file.npz"}  -> {"values": [[...], ...]}
    {"do": "sample", "budget": 0.2}                                             -> {"seconds": [...], "clean": [...]}

The process pins itself to one core before it imports anything large, so every framework runs single-threaded.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
from serve import serve
from timing import Bench, sample


def digest(array: Any) -> list[float]:
    """A few numbers that two arrays share only when they agree: size, sum, sum of squares, twelve values across."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    picks = flat[np.linspace(0, flat.size - 1, min(12, flat.size)).astype(int)]
    return [float(flat.size), float(flat.sum()), float(np.sqrt((flat * flat).sum())), *map(float, picks)]


class Worker:
    """The state between requests: the framework's module and the benchmark built last."""

    def __init__(self, framework: str) -> None:
        self.module = importlib.import_module(f"with_{framework}")
        self.bench: Bench | None = None

    def hello(self) -> dict[str, Any]:
        variants = {name: sorted(builders) for name, builders in self.module.VARIANTS.items()}
        return {"version": self.module.version(), "variants": variants}

    def build(self, workload: str, variant: str, inputs: str) -> dict[str, Any]:
        self.bench = None
        with np.load(inputs) as data:
            arrays = dict(data)
        bench: Bench = self.module.VARIANTS[variant][workload](arrays)
        outputs = bench.result() if bench.result else [bench.call(*bench.args)]
        self.bench = bench
        return {"values": [digest(o) for o in outputs]}

    def sample(self, budget: float) -> dict[str, Any]:
        assert self.bench is not None
        samples = sample(self.bench, budget)
        return {"seconds": samples.seconds, "clean": samples.clean}


if __name__ == "__main__":
    serve(Worker)
