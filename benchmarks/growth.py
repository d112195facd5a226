"""One fresh process: what many calls of one kind leave behind. `python growth.py KIND NUMBER`."""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb

Call = Callable[[int], Any]


def cube(x: Any) -> Any:
    return x * x * x


def gradient(f: Callable[[Any], Any], compiled: bool) -> Any:
    def of(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)

    return pb.function(of) if compiled else of


def scalar_gradients() -> Call:
    f, x = gradient(cube, True), pb.constant(3.0)
    return lambda k: f(x)


def kept_arrays() -> Call:
    """The last result is kept until the next one is there."""
    f, x, last = pb.function(cube), np.ones(1000, np.float32), [np.empty(0)]

    def call(k: int) -> None:
        last[0] = f(x).numpy()

    return call


def large_arrays() -> Call:
    f, x, last = pb.function(cube), np.ones(1 << 19, np.float32), [np.empty(0)]

    def call(k: int) -> None:
        last[0] = f(x).numpy()

    return call


def eager_gradients() -> Call:
    f, x = gradient(cube, False), pb.constant(np.ones(100, np.float32))
    return lambda k: f(x)


def taped_functions() -> Call:
    f, x = gradient(pb.function(cube), False), pb.constant(np.ones(100, np.float32))
    return lambda k: f(x)


def train_steps() -> Call:
    w, x = pb.Variable(np.ones((8, 4), np.float32)), pb.constant(np.ones((16, 8), np.float32))

    @pb.function
    def step(x: Any) -> Any:
        with pb.GradientTape() as tape:
            loss = pb.reduce_mean(pb.square(x @ w))
        w.assign_sub(1e-3 * tape.gradient(loss, w))
        return loss

    return lambda k: step(x)


def errors() -> Call:
    """An index that is found to be wrong while the code runs, and shapes that do not fit."""
    f, x = pb.function(lambda x, i: x[i]), pb.constant(np.ones(10, np.float32))
    number = pb.constant(100)

    def call(k: int) -> None:
        with contextlib.suppress(pb.errors.InvalidArgumentError, IndexError):
            f(x, number)
            raise AssertionError("no error")
        with contextlib.suppress(ValueError, pb.errors.InvalidArgumentError):
            x + pb.constant(np.ones(3, np.float32))
            raise AssertionError("no error")

    return call


def lengths() -> Call:
    """One of a hundred sizes after the other."""
    f = gradient(lambda x: pb.reduce_sum(pb.tanh(x) * x), True)
    xs = [pb.constant(np.ones(n, np.float32)) for n in range(1, 101)]
    return lambda k: f(xs[k % 100])


def new_functions() -> Call:
    """Each call makes a function, compiles it and drops it."""
    x = pb.constant(np.ones(10, np.float32))
    return lambda k: pb.function(lambda x: x * float(k) + 1.0)(x)


KINDS: dict[str, tuple[int, Callable[[], Call]]] = {
    "scalar gradient": (1_000_000, scalar_gradients),
    "ndarray, result kept": (1_000_000, kept_arrays),
    "2 MiB results": (10_000, large_arrays),
    "train step": (1_000_000, train_steps),
    "eager gradient": (100_000, eager_gradients),
    "compiled under a tape": (100_000, taped_functions),
    "errors": (100_000, errors),
    "a hundred sizes": (100_000, lengths),
    "new functions": (1000, new_functions),
}


def resident() -> int:
    """The resident set in kB; where the system does not tell, its peak."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def state() -> dict[str, int | str]:
    gc.collect()
    info = pb.config.memory.info()
    return {
        "resident": resident(),
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "held": f"{info['arena'] // 1024}, {info['pool'] // 1024}",
    }


def grown(kind: str, number: int) -> list[dict[str, int | str]]:
    """The state after a tenth of the calls, and after all."""
    call = KINDS[kind][1]()
    found: list[dict[str, int | str]] = []
    for end in (number // 10, number):
        for k in range(number // 10 if found else 0, end):
            call(k)
        found.append(state())
    return found


if __name__ == "__main__":
    print(json.dumps(grown(sys.argv[1], int(sys.argv[2]))))
