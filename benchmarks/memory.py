"""Memory: the peak beside peers, and what calls leave behind. `python -m benchmarks.memory [--tiny] [--peers torch]`.

First, how far the peak of a fresh process grows in a workload's first twenty calls (tracing and compiling among them)
in each framework: see `peak.py`. Then, in a fresh process for each kind of call (`growth.py`), what pullback holds
after a tenth of the calls and after all: the resident set, Python's objects and blocks of memory, arena and pool.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKLOADS = ("mlp_sgd", "lstm")
VARIANTS = {
    "pullback": ("pullback",), "jax": ("jax",), "tf": ("tf.function", "tf xla"),
    "torch": ("torch eager", "torch func", "torch nn"), "autograd": ("autograd",),
}  # fmt: skip
CALLS = 20
MIB = 2.0**20


def peak(framework: str, variant: str, workload: str, inputs: str, cache: str) -> dict[str, float] | None:
    """MiB of one process; None where the variant has no such workload."""
    from peers import clean_environment, python_of

    command = [str(python_of(framework)), str(HERE / "peak.py"), framework, variant, workload, inputs, str(CALLS)]
    env = clean_environment(cache, framework)
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if not done.returncode:
        return {k: v / MIB for k, v in json.loads(done.stdout.splitlines()[-1]).items()}
    if done.stderr.splitlines()[-1] == f"KeyError: {workload!r}":
        return None
    sys.exit(f"{variant}, {workload}: {done.stderr}")


def peaks(wanted: str, tiny: bool, rounds: int) -> None:
    """A table of medians over several processes with an empty cache on disk each; pullback with a full one, too."""
    import numpy as np
    from peers import names_of, python_of
    from workloads import WORKLOADS as ALL

    print("| workload | framework | peak, MiB | growth since import | since a first small gradient |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="pullback-bench-") as folder:
        for w in (w for w in ALL if w.name in WORKLOADS):
            size = w.tiny if tiny else w.sizes[0]
            inputs = str(Path(folder, f"{w.name}.npz"))
            np.savez(inputs, **w.inputs(size))  # type: ignore[arg-type]
            found: dict[str, list[dict[str, float]]] = {}
            for framework in names_of(wanted, tuple(VARIANTS)):
                for k, variant in enumerate(VARIANTS[framework] * rounds if python_of(framework) else ()):
                    cache = Path(folder, f"{w.name}-{framework}-{k}")
                    for name in (variant, f"{variant}, code on disk") if framework == "pullback" else (variant,):
                        measured = peak(framework, variant, w.name, inputs, str(cache))
                        found.setdefault(name, []).extend([measured] if measured is not None else [])
            for name, runs in found.items():
                if runs:
                    cells = [f"{np.median([r[key] for r in runs]):.1f}" for key in ("peak", "all", "warm")]
                    print(f"| {w.name} [{size}] | {name} | {' | '.join(cells)} |", flush=True)


def growth(tiny: bool) -> None:
    """A table of what calls leave behind, each kind in a process of its own."""
    from growth import KINDS

    print("| calls | number | resident, kB | Python objects | blocks of its allocator | arena, pool, kB |")
    print("|---|---:|---:|---:|---:|---:|")
    env = {**os.environ, "PULLBACK_CACHE": "0"}
    for kind in KINDS:
        number = 100 if tiny else KINDS[kind][0]
        command = [sys.executable, str(HERE / "growth.py"), kind, str(number)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        if done.returncode:
            sys.exit(f"{kind}: {done.stderr}")
        first, last = json.loads(done.stdout.splitlines()[-1])
        cells = [f"{first[k]} → {last[k]}" for k in ("resident", "objects", "blocks", "held")]
        print(f"| {kind} | {number} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="jax,tensorflow,torch,autograd (default: all that are found)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, few calls: does it run?")
    options = parser.parse_args()
    peaks(options.peers, options.tiny, 1 if options.tiny else 3)
    print()
    growth(options.tiny)


if __name__ == "__main__":
    # As in __main__.py: the checkout must not be on the path, where its `keras/` would hide the real one.
    sys.path[:] = [str(HERE), *(p for p in sys.path if Path(p or ".").resolve() != HERE.parent)]
    main()
