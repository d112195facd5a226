"""One framework in one process for run_programs.py: `python programs_worker.py FRAMEWORK`, asked through JSON lines.

    {"do": "build", "program": "...", "size": 40, "save": "file.npz"} -> {"first": {"forward": s, "gradient": s}}
    {"do": "sample", "what": "gradient", "budget": 0.2}               -> {"seconds": [...], "clean": [...]}

`build` saves the value and the gradients that the framework computed; what it cannot do is an error, or left out.
"""

from __future__ import annotations

import os
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
from programs import PROGRAMS, Inputs, Program, dynamics, factor, sequences, stencils
from serve import serve
from timing import Bench, sample

Call = Callable[[], Any]                                        # ends when the result exists
Calls = dict[str, Call]                                         # "forward": the value; "gradient": (value, gradients)


class Pullback:
    """The plain NumPy program under `pb.function`; its gradient by a tape inside."""

    def __init__(self) -> None:
        import pullback as pb

        self.pb = pb
        self.version = f"pullback {pb.__version__}"

    def calls(self, program: Program, inputs: Inputs) -> Calls:
        pb, objective, argnums = self.pb, program.objective, program.argnums()
        args = list(inputs.values())

        def gradient(*args: Any) -> Any:
            sources = [args[k] for k in argnums]
            with pb.GradientTape() as tape:
                tape.watch(sources)
                y = objective(*args)
            return y, tape.gradient(y, sources)

        forward, both = pb.function(objective), pb.function(gradient)
        return {"forward": lambda: forward(*args), "gradient": lambda: both(*args)}


class Jax:
    """The JAX form of the program, compiled, in float64."""

    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax = jax
        self.version = f"jax {jax.__version__}"

    def calls(self, program: Program, inputs: Inputs) -> Calls:
        from programs import jax_grids, jax_motion

        jax = self.jax
        static = tuple(k for k, v in enumerate(inputs.values()) if isinstance(v, int))
        args = [v if k in static else jax.numpy.asarray(v) for k, v in enumerate(inputs.values())]
        form = {**jax_grids.FORWARD, **jax_motion.FORWARD}[program.name]
        smooth = jax_motion.gradient_forms(inputs).get(program.name, form)
        forward = jax.jit(form, static_argnums=static)
        gradient = jax.jit(jax.value_and_grad(smooth, argnums=program.argnums()), static_argnums=static)
        ready = jax.block_until_ready
        return {"forward": lambda: ready(forward(*args)), "gradient": lambda: ready(gradient(*args))}


class Numba:
    """The plain NumPy program through `njit`, helpers included."""

    def __init__(self) -> None:
        import numba

        self.version = f"numba {numba.__version__}"
        self.jitted: dict[str, Any] = {}
        for module in (stencils, factor, dynamics, sequences):
            for name, f in list(vars(module).items()):
                if isinstance(f, types.FunctionType) and f.__module__ == module.__name__ and "_inputs" not in name:
                    self.jitted[f.__qualname__] = compiled = numba.njit(f)
                    setattr(module, name, compiled)             # the others call it by this name

    def calls(self, program: Program, inputs: Inputs) -> Calls:
        if not program.numba:
            return {}
        objective, args = self.jitted[program.objective.__qualname__], list(inputs.values())
        return {"forward": lambda: objective(*args)}


class Numpy:
    """The program as it stands."""

    def __init__(self) -> None:
        self.version = f"numpy {np.__version__}"

    def calls(self, program: Program, inputs: Inputs) -> Calls:
        return {"forward": lambda: program.objective(*inputs.values())}


class C:
    """Forward only, where there is a source."""

    def __init__(self) -> None:
        from programs import c_source

        self.source = c_source
        self.folder = tempfile.TemporaryDirectory(prefix="pullback-bench-")
        try:
            self.library = c_source.compile_source(Path(self.folder.name))
        except FileNotFoundError as error:
            raise ImportError("no gcc") from error
        self.version = f"gcc {c_source.gcc_version()}"

    def calls(self, program: Program, inputs: Inputs) -> Calls:
        if program.name not in self.source.names():
            return {}
        return {"forward": self.source.bind(self.library, program.name, inputs)}


FRAMEWORKS: dict[str, Callable[[], Any]] = {"pullback": Pullback, "jax": Jax, "numba": Numba, "c": C, "numpy": Numpy}


class Worker:
    """The state between requests: the framework, and the calls built last."""

    def __init__(self, framework: str) -> None:
        self.framework = FRAMEWORKS[framework]()
        self.calls: Calls = {}

    def hello(self) -> dict[str, Any]:
        return {"version": self.framework.version}

    def build(self, program: str, size: int, save: str) -> dict[str, Any]:
        which = PROGRAMS[program]
        self.calls = {}
        calls: Calls = self.framework.calls(which, which.inputs(size))
        first, found, errors = {}, {}, {}
        for what, call in calls.items():
            start = time.perf_counter()
            try:
                result = call()
            except Exception as error:
                errors[what] = f"{type(error).__name__}: {error}".splitlines()[0]
                continue
            first[what] = time.perf_counter() - start
            value, gradients = (result[0], result[1]) if what == "gradient" else (result, ())
            found[what] = np.asarray(value, np.float64)
            found |= {f"d{k}": np.asarray(g, np.float64) for k, g in enumerate(gradients)}
            self.calls[what] = call
        np.savez(save, **found)  # type: ignore[arg-type]
        return {"first": first, "errors": errors}

    def sample(self, what: str, budget: float) -> dict[str, Any]:
        samples = sample(Bench(self.calls[what]), budget)
        return {"seconds": samples.seconds, "clean": samples.clean}


if __name__ == "__main__":
    serve(Worker)
