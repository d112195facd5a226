"""What compiling costs per operation, and whether that grows: `python -m benchmarks.compile_time [--tiny]`.

Three programs of n operations with their gradients, unrolled: a chain of elementwise operations, the same of scalars,
and layers with a matrix product, reductions and broadcasts. The first call of each is measured in a process of its own:
the processor's time (which other work on the machine does not lengthen as it does the clock's), LLVM's share of it, and
how many functions LLVM compiled: loop nests, products and `main`, which calls them; equal ones are compiled once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pullback as pb
from pullback.codegen import jit

SIZES = (100, 1000, 10_000)
Program = tuple[Callable[..., Any], tuple[Any, ...]]


def chain(n: int) -> Program:
    def f(x: Any) -> Any:
        for _ in pb.unroll(range(n // 4)):
            x = pb.sin(x) * 1.01 + x * 0.5
        return pb.reduce_sum(x)

    return f, (pb.ones(100),)


def scalars(n: int) -> Program:
    def f(x: Any) -> Any:
        for _ in pb.unroll(range(n // 4)):
            x = pb.sin(x) * 1.01 + x * 0.5
        return x

    return f, (pb.constant(0.5),)


def layers(n: int) -> Program:
    rng = np.random.default_rng(0)

    def f(x: Any, w: Any) -> Any:
        for _ in pb.unroll(range(n // 12)):
            h = pb.nn.relu(x @ w + 0.1)
            s = h - pb.reduce_mean(h, axis=1, keepdims=True)
            x = s / pb.sqrt(pb.reduce_mean(s * s, axis=1, keepdims=True) + 1e-3) + x
        return pb.reduce_sum(x)

    x, w = rng.standard_normal((16, 32)), 0.1 * rng.standard_normal((32, 32))
    return f, (pb.constant(x.astype(np.float32)), pb.constant(w.astype(np.float32)))


PROGRAMS = {"chain": chain, "scalars": scalars, "layers": layers}


def gradient(f: Callable[..., Any]) -> Any:
    @pb.function
    def both(*xs: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = f(*xs)
        return y, tape.gradient(y, xs)

    return both


def first_call(name: str, n: int) -> dict[str, Any]:
    """Seconds of the first call, of LLVM in it, and how many functions LLVM compiled."""
    f, xs = PROGRAMS[name](24)
    gradient(f)(*xs)  # loads what is loaded once
    module: Any = jit
    llvm, functions, original = [0.0], [0], module._with_module

    def timed(text: str, *rest: Any) -> Any:
        start = time.process_time()
        try:
            return original(text, *rest)
        finally:
            llvm[0] += time.process_time() - start
            functions[0] += f"\n{text}".count("\ndefine ")

    module._with_module = timed
    try:
        f, xs = PROGRAMS[name](n)
        both, start = gradient(f), time.process_time()
        both(*xs)
        seconds = time.process_time() - start
    finally:
        module._with_module = original
    return {"seconds": seconds, "llvm": llvm[0], "functions": functions[0]}


def in_process(name: str, n: int) -> dict[str, Any]:
    env = {**os.environ, "PULLBACK_CACHE": "0"}
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", name, str(n)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="few operations: does it run?")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(first_call(options.worker[0], int(options.worker[1]))))
        return
    print("| program | operations | first call, s | ms per op | LLVM, ms per op | functions | LLVM, ms per function |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in PROGRAMS:
        for n in (24, 48) if options.tiny else SIZES:
            r = in_process(name, n)
            ms, llvm = 1e3 * r["seconds"], 1e3 * r["llvm"]
            each = f"{llvm / r['functions']:.1f}"
            row = [name, str(n), f"{ms / 1e3:.2f}", f"{ms / n:.2f}", f"{llvm / n:.2f}", str(r["functions"]), each]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
