"""The gradient of a loop of many steps in the memory of few: `checkpoint=` keeps some states, to go on from again.

Each way runs in a process of its own, so that its peak memory can be told. The gradients are the same to the last bit.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

import pullback as pb

STEPS, SIZE = 20_000, 1000
WAYS = {"stored": None, "8 slots": 8, "4 MB": "4MB"}


def simulate(x: pb.Tensor, w: pb.Tensor) -> pb.Tensor:
    for _ in range(STEPS):
        x = x + 0.001 * pb.sin(x * w)
    return pb.reduce_sum(x)


def gradient(checkpoint: int | str | None, size: int) -> np.ndarray:
    f = pb.function(simulate, checkpoint=checkpoint)
    x, w = pb.constant(np.linspace(0.1, 2.0, size)), pb.constant(np.linspace(1.0, 2.0, size))
    with pb.GradientTape() as tape:
        tape.watch(w)
        y = f(x, w)
    found: np.ndarray = tape.gradient(y, w).numpy()
    return found


def peak() -> float:
    """The most memory that this process has used so far, in MB; nan where nobody tells."""
    try:
        import resource
    except ImportError:
        return float("nan")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)


def one(way: str) -> None:
    gradient(WAYS[way], 8)  # compiles, so that what follows is the memory of the loop
    before, start = peak(), time.perf_counter()
    found = gradient(WAYS[way], SIZE)
    seconds = time.perf_counter() - start
    print(f"{way}: {peak() - before:.0f} MB more, {seconds:.2f} s with compiling, sum of the gradient {found.sum()!r}")


def main() -> None:
    stored = STEPS * SIZE * 8 / 1e6
    print(f"{STEPS} steps of {SIZE} numbers; storing a state for each takes {stored:.0f} MB", flush=True)
    for way in WAYS:
        subprocess.run([sys.executable, __file__, way], check=True)
    print()
    x = pb.TensorSpec([SIZE], pb.float64)
    print(pb.function(simulate, checkpoint="4MB").inspect(x, x, stage="residuals", grad="w"), end="")


if __name__ == "__main__":
    one(sys.argv[1]) if len(sys.argv) > 1 else main()
