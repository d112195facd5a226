"""pullback: eager and `pb.function`, in the code that TensorFlow runs too; and plain NumPy under `pb.function`."""

from __future__ import annotations

from typing import Any

import numpy as np
from tensorflow_style import Style
from timing import Bench
from workloads import Inputs
from workloads.loops import DIFFUSION, REACTION

import pullback as pb


def version() -> str:
    return f"pullback {pb.__version__}"


def identity(f: Any) -> Any:
    return f


def with_gradient(f: Any, u: Any) -> Bench:
    @pb.function
    def value_and_gradient(u: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(u)
            y = f(u)
        return y, tape.gradient(y, u)

    return Bench(value_and_gradient, (u,))


def time_steps(i: Inputs, reaction: float) -> Bench:
    """As NumPy's users write it: slices, written in place."""
    steps = int(i["steps"])

    def energy(u: Any) -> Any:
        u = u.copy()
        for _ in range(steps):
            c = u[1:-1]
            change = DIFFUSION * (u[:-2] - 2.0 * c + u[2:])
            if reaction:
                change += reaction * (c - c * c * c)
            u[1:-1] += change
        return 0.5 * np.sum(u * u)

    return with_gradient(energy, i["u"])


def heat(i: Inputs) -> Bench:
    return time_steps(i, 0.0)


def allen_cahn(i: Inputs) -> Bench:
    return time_steps(i, REACTION)


def elements(i: Inputs) -> Bench:
    """A loop over the steps and one over the elements."""
    steps = int(i["steps"])

    def energy(u: Any) -> Any:
        for _ in range(steps):
            new = u.copy()
            for k in range(1, len(u) - 1):
                v = u[k]
                new[k] = v + DIFFUSION * (u[k - 1] - 2.0 * v + u[k + 1]) + REACTION * (v - v * v * v)
            u = new
        return 0.5 * np.sum(u * u)

    return with_gradient(energy, i["u"])


COMPILED = Style(pb, pb.function)
EAGER = Style(pb, identity, eager=True)
VARIANTS = {
    "pullback": {**COMPILED.builders(), "elements": elements},
    "pullback numpy": {"heat": heat, "allen_cahn": allen_cahn},
    "pullback forward": {"rosenbrock_hvp": COMPILED.rosenbrock_hvp_forward},
    "pullback eager": EAGER.builders(),
}
