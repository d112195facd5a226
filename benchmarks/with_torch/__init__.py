"""PyTorch: eager; `torch.compile` of the function, then its backward; and of function and gradient as one ("func")."""

from __future__ import annotations

import os

import torch

from . import arrays, calls, loops, training

THREADS = int(os.environ.get("BENCHMARK_THREADS", "1"))
torch.set_num_threads(THREADS)


def version() -> str:
    return f"torch {torch.__version__}"


def forget() -> None:
    """One process runs all workloads: what one compiled must not count as recompilations of the next."""
    torch._dynamo.reset()


VARIANTS = {
    "torch eager": {**calls.EAGER, **arrays.EAGER, **training.EAGER, **loops.EAGER},
    "torch fused": training.FUSED,
    "torch nn": loops.MODULES,
    "torch compile": {**calls.COMPILED, **arrays.COMPILED, **training.COMPILED, **loops.COMPILED},
    "torch func": {**calls.FUNCTIONAL, **arrays.FUNCTIONAL, **training.FUNCTIONAL},
}
