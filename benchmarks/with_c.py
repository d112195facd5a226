"""C with derivatives by hand (`c/*.c`; `loops_c.py` for the loops): what gcc -O3 makes of a careful program.

Called through ctypes with its pointers made beforehand; outputs are allocated once.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import loops_c
import numpy as np
from timing import Bench, Builder
from workloads import Inputs
from workloads.training import DIGITS_RATE, RATES, changes, parameters

if shutil.which("gcc") is None:
    raise ImportError("no gcc")

SOURCES = Path(__file__).with_name("c")
THREADS = int(os.environ.get("BENCHMARK_THREADS", "1"))
LIBRARIES = ["-lmvec", "-lm"] if sys.platform == "linux" else ["-lm"]
# gcc makes one call of sin and cos of the same number, which has no vector version
FLAGS = [*loops_c.FLAGS, "-fno-builtin-sinf", "-fno-builtin-cosf", *(["-fopenmp"] if THREADS > 1 else [])]


def version() -> str:
    first = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"C: {first}"


@cache
def library(name: str) -> ctypes.CDLL:
    folder = tempfile.mkdtemp(prefix="pullback-c-")
    try:
        out = f"{folder}/{name}.so"
        subprocess.run(["gcc", *FLAGS, str(SOURCES / f"{name}.c"), "-o", out, *LIBRARIES], check=True)
        return ctypes.CDLL(out)
    finally:
        shutil.rmtree(folder)                        # what is loaded stays loaded


def argument(value: Any) -> Any:
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_long(value) if isinstance(value, int) else value


class Bound:
    """A C function with fixed arguments: arrays (kept alive), ints as long, ctypes values as they are."""

    def __init__(self, source: str, name: str, result: Any, *args: Any) -> None:
        self._keep, self._args = args, [argument(a) for a in args]
        self._f = getattr(library(source), name)
        self._f.restype = result

    def __call__(self) -> Any:
        return self._f(*self._args)


def blas(name: str) -> ctypes.c_void_p:
    """A function of the OpenBLAS in numpy's wheel."""
    folders = [Path(np.__file__).parents[1] / "numpy.libs", Path(np.__file__).parent / ".dylibs"]
    for path in (p for folder in folders for p in folder.glob("libscipy_openblas64*")):
        return ctypes.cast(getattr(ctypes.CDLL(str(path)), f"scipy_cblas_{name}64_"), ctypes.c_void_p)
    raise RuntimeError("this numpy brings no OpenBLAS")


def like(*arrays: Any) -> list[Any]:
    return [np.zeros_like(a) for a in arrays]


def scalar(name: str) -> Builder:
    def build(i: Inputs) -> Bench:
        f = getattr(library("elementwise"), name)
        f.restype, f.argtypes = ctypes.c_double, [ctypes.c_double]
        return Bench(f, (float(i["x"]),))

    return build


def with_outputs(source: str, name: str, result: Any, inputs: list[Any], outputs: list[Any], *sizes: int) -> Bench:
    """The function fills `outputs`, which come after `inputs`; it may return a number, too."""
    f = Bound(source, name, result, *inputs, *outputs, *sizes)

    def answers() -> list[Any]:
        value = f()
        return outputs if result is None else [value, *outputs]

    return Bench(f, result=answers)


def elementwise(i: Inputs) -> Bench:
    return with_outputs("elementwise", "elementwise", ctypes.c_double, [i["x"]], like(i["x"]), i["x"].size)


def fifty_lengths(i: Inputs) -> Bench:
    xs = list(i.values())
    gs = like(*xs)
    calls = [Bound("elementwise", "elementwise", ctypes.c_double, x, g, x.size) for x, g in zip(xs, gs, strict=True)]

    def every() -> list[Any]:
        for call in calls:
            call()
        return gs

    return Bench(every)


def black_scholes(i: Inputs) -> Bench:
    columns = list(i.values())
    return with_outputs(
        "elementwise", "black_scholes", ctypes.c_double, columns, like(*columns), columns[0].size
    )


def rosenbrock(what: str) -> Builder:
    def build(i: Inputs) -> Bench:
        x, n = i["x"], i["x"].size
        inputs = [x, i["v"]] if what == "hvp" else [x]
        outputs = {"value": [], "hessian": [np.zeros((n, n), np.float32)]}.get(what, like(x))
        result = ctypes.c_float if what in ("value", "gradient") else None
        return with_outputs("derivatives", f"rosenbrock_{what}", result, inputs, outputs, n)

    return build


def mixture(i: Inputs) -> Bench:
    p = [i[k] for k in ("alphas", "means", "logs", "lower")]
    columns = np.ascontiguousarray(i["x"].T)
    return with_outputs("derivatives", "mixture", ctypes.c_double, [*p, columns], like(*p), len(i["x"]))


def bundle(i: Inputs) -> Bench:
    n = len(i["p"])
    outputs = [np.zeros((n, 2)), np.zeros((n, 2, 15))]
    return with_outputs("derivatives", "bundle", None, [i["p"], i["feature"]], outputs, n)


def logistic(i: Inputs) -> Bench:
    n, d = i["x"].shape
    g = np.zeros(d + 1, np.float32)
    inputs = [blas("sgemv"), i["x"], i["y"], i["w"], ctypes.c_float(float(i["b"]))]
    bench = with_outputs("training", "logistic", ctypes.c_double, inputs, [g], n, d)
    return Bench(bench.call, result=lambda: [bench.call(), g[:d], g[d]])


class Trainer:
    """Parameters, gradients and moments in one array each; `step(x, y)` is one call."""

    def __init__(self, i: Inputs, kind: str, rule: str, rate: float) -> None:
        self.i, self.start = i, np.concatenate([q.ravel() for q in parameters(i)])
        self.p, self.g, self.m, self.v = (self.start.copy() for _ in range(4))
        moments = [self.m, self.v] if rule == "adam" else [None, None]
        self.arrays = [argument(a) for a in (self.p, self.g, *moments)]
        self.rate, self.f = ctypes.c_float(rate), getattr(library("training"), kind)
        self.f.restype = ctypes.c_float
        self.front: list[Any] = []
        self.back: list[Any] = []
        if kind == "network":
            widths = [i["x"].shape[-1], *(i[name].size for name in i if name[0] == "b")]
            batch = i["y"].shape[-1]
            self.widths, self.work = np.array(widths), np.zeros(2 * batch * sum(widths), np.float32)
            self.front = [blas("sgemm"), argument(self.widths), ctypes.c_long(len(widths) - 1)]
            self.back = [argument(self.work), ctypes.c_long(batch)]
        self.reset()

    def reset(self) -> None:
        self.p[:], self.m[:], self.v[:], self.count = self.start, 0, 0, 0

    def step(self, x: Any, y: Any) -> Any:
        self.count += 1
        return self.f(*self.front, *self.arrays, x, y, *self.back, self.rate, ctypes.c_long(self.count))

    def parts(self) -> list[Any]:
        found = parameters(self.i)
        ends = np.cumsum([q.size for q in found])[:-1]
        return [a.reshape(q.shape) for a, q in zip(np.split(self.p, ends), found, strict=True)]


def one_step(kind: str, rule: str) -> Builder:
    def build(i: Inputs) -> Bench:
        trainer = Trainer(i, "network" if kind == "mlp" else "tiny", rule, RATES[rule])
        x, y = argument(i["x"]), argument(i["y"])

        def result() -> list[Any]:
            trainer.reset()
            return [trainer.step(x, y), *changes(i, trainer.parts(), RATES[rule])]

        return Bench(trainer.step, (x, y), 1, result, trainer.reset)

    return build


def digits_step(i: Inputs) -> Bench:
    trainer = Trainer(i, "network", "adam", DIGITS_RATE)
    batches = [(argument(x), argument(y)) for x, y in zip(i["x"], i["y"], strict=True)]

    def epoch() -> Any:
        for x, y in batches:
            loss = trainer.step(x, y)
        return loss

    def result() -> list[Any]:
        trainer.reset()
        return [epoch(), *trainer.parts()]

    return Bench(epoch, (), len(batches), result, trainer.reset)


def recurrent(name: str) -> Builder:
    def build(i: Inputs) -> Bench:
        steps, batch, _ = i["x"].shape
        work = np.zeros((steps + 1) * batch * len(i["u"]) * 8, np.float32)
        outputs = like(i["w"], i["u"], i["b"])
        f = Bound("recurrent", name, ctypes.c_float, blas("sgemm"), *i.values(), *outputs, work, steps)
        return Bench(f, result=lambda: [f(), *outputs])

    return build


def descent(i: Inputs) -> Bench:
    return Bench(loops_c.Bound("sgd", "f32", *(float(i[k]) for k in "xab"), int(i["steps"])))


def recurrence(i: Inputs) -> Bench:
    n = int(i["steps"])
    states, out = np.zeros(n, np.float32), np.zeros(3, np.float32)
    f = loops_c.Bound("recurrence", "f32", float(i["x"]), float(i["c"]), n, states, out, result=False)
    return Bench(f, result=lambda: f() or list(out))  # f gives None


def time_steps(name: str) -> Builder:
    def build(i: Inputs) -> Bench:
        u, steps = i["u"], int(i["steps"])
        g, a, b = like(u, u, u)
        states = [] if name == "heat" else [np.zeros((steps + 1, u.size), np.float32)]
        f = loops_c.Bound(name, "f32", u, g, *states, a, b, u.size, steps)
        return Bench(f, result=lambda: [f(), g])

    return build


def builders() -> dict[str, Callable[[Any], Bench]]:
    return {
        "call_float": scalar("square"), "gradient_float": scalar("square_gradient"),
        "elementwise": elementwise, "fifty_lengths": fifty_lengths, "black_scholes": black_scholes,
        **{f"rosenbrock_{what}": rosenbrock(what) for what in ("value", "gradient", "hvp", "hessian")},
        "mixture": mixture, "bundle": bundle, "logistic": logistic, "digits_step": digits_step,
        **{f"{kind}_{rule}": one_step(kind, rule) for kind in ("mlp", "tiny") for rule in RATES},
        "rnn": recurrent("rnn"), "lstm": recurrent("lstm"),
        "descent": descent, "recurrence": recurrence,
        "heat": time_steps("heat"), "allen_cahn": time_steps("allen_cahn"), "elements": time_steps("allen_cahn"),
    }  # fmt: skip


VARIANTS = {"c": builders()}
