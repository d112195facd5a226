"""The real programs of benchmarks/programs under `pb.function`: plain NumPy == eager == interpreted == compiled, and
gradients that agree with central differences and with forward mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen import compile as compiler
from pullback.codegen.errors import Unsupported
from pullback.runtime.array import array_of

from ..modes import eagerly
from ..real_programs import PROGRAMS, Inputs, Program

# Sizes and numbers of steps at the edge, for the programs that NumPy runs there.
EDGES: list[tuple[str, int, dict[str, Any]]] = [
    *((name, n, {}) for name in ("jacobi_1d", "jacobi_2d", "heat_3d", "seidel_2d") for n in (1, 2, 3)),
    *((name, 5, {"steps": k}) for name in ("jacobi_1d", "jacobi_2d", "heat_3d", "seidel_2d") for k in (0, 1)),
    *((name, n, {}) for name in ("lu", "cholesky", "gram_schmidt", "durbin", "triangular_solve") for n in (1, 2)),
    *(("shortest_paths", n, {}) for n in (1, 2)),
    *(("nbody", n, {"steps": k}) for n in (1, 2) for k in (0, 1)),
    *(("shallow_water", n, {"steps": k}) for n in (1, 2) for k in (0, 1)),
    *(("kepler", n, {}) for n in (0, 1)),
    *(("lstm", n, {}) for n in (1, 2)),
    ("kalman", 1, {}),
    *(("escape", n, {"limit": k}) for n in (1, 2) for k in (0, 1)),
]


@contextmanager
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Functions that are first called in this block run in the interpreter of the IR."""

    def refuse(fn: Any, **options: Any) -> Any:
        raise Unsupported(None, "not in this test")

    with monkeypatch.context() as patch:
        patch.setattr(compiler, "compile_function", refuse)
        yield


def arguments(inputs: Inputs) -> list[Any]:
    """Copies, because a program that writes into its arguments is a finding."""
    return [np.copy(v) if isinstance(v, np.ndarray) else v for v in inputs.values()]


def value_and_gradient(program: Program) -> Any:
    """The value and the gradients by `wrt`, from a tape inside of the function."""
    objective, argnums = program.objective, program.argnums()

    def function(*args: Any) -> Any:
        sources = [args[k] for k in argnums]
        with pb.GradientTape() as tape:
            tape.watch(sources)
            y = objective(*args)
        return y, tape.gradient(y, sources, unconnected_gradients="zero")

    return pb.function(function)


def tangent(program: Program) -> Any:
    """The derivative along directions, by forward mode."""
    objective, argnums = program.objective, program.argnums()

    def function(args: Any, along: Any) -> Any:
        with pb.autodiff.ForwardAccumulator([args[k] for k in argnums], along) as accumulator:
            y = objective(*args)
        return accumulator.jvp(y, unconnected_gradients="zero")

    return pb.function(function)


def compare(program: Program, inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ways of running the program give what plain NumPy gives, and leave the arguments alone."""
    expected = program.objective(*arguments(inputs))
    args = arguments(inputs)
    with eagerly():
        np.testing.assert_allclose(pb.function(program.objective)(*args), expected, rtol=1e-11, atol=1e-13)
    with interpreted(monkeypatch):
        np.testing.assert_allclose(pb.function(program.objective)(*args), expected, rtol=1e-11, atol=1e-13)
    compiled = pb.function(program.objective)
    for _ in range(2):
        np.testing.assert_allclose(compiled(*args), expected, rtol=1e-11, atol=1e-13)
    for have, given in zip(args, inputs.values(), strict=True):
        np.testing.assert_array_equal(have, given)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_way_of_running_gives_what_numpy_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = PROGRAMS[name]
    for size in (program.tiny, program.tiny + 3):
        compare(program, program.inputs(size), monkeypatch)


@pytest.mark.parametrize(("name", "size", "changes"), EDGES)
def test_edges(name: str, size: int, changes: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    program = PROGRAMS[name]
    inputs = program.inputs(size) | changes
    compare(program, inputs, monkeypatch)
    value, gradients = value_and_gradient(program)(*arguments(inputs))
    np.testing.assert_allclose(value, program.objective(*arguments(inputs)), rtol=1e-11, atol=1e-13)
    for gradient, wrt in zip(gradients, program.wrt, strict=True):
        assert gradient.shape == np.shape(inputs[wrt])
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients(name: str) -> None:
    """Reverse mode against central differences along random directions and against forward mode."""
    program = PROGRAMS[name]
    inputs = program.inputs(program.tiny)
    value, gradients = value_and_gradient(program)(*arguments(inputs))
    np.testing.assert_allclose(value, program.objective(*arguments(inputs)), rtol=1e-11)
    rng = np.random.default_rng(1)
    derivative = tangent(program)
    for _ in range(3):
        along = [rng.standard_normal(np.shape(inputs[w])) for w in program.wrt]
        terms = [np.asarray(g) * d for g, d in zip(gradients, along, strict=True)]
        found, scale = sum(np.sum(t) for t in terms), sum(np.sum(np.abs(t)) for t in terms)

        def at(t: float, along: Any = along) -> Any:
            moved = inputs | {w: inputs[w] + t * d for w, d in zip(program.wrt, along, strict=True)}
            return program.objective(*arguments(moved))

        difference = (at(program.step) - at(-program.step)) / (2.0 * program.step)
        assert abs(found - difference) <= 1e-6 * scale
        assert abs(float(derivative(arguments(inputs), along)) - found) <= 1e-10 * scale


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_by_a_tape_around_the_compiled_function(name: str) -> None:
    program = PROGRAMS[name]
    inputs = program.inputs(program.tiny)
    _, inside = value_and_gradient(program)(*arguments(inputs))
    args = [array_of(pb.constant(v)) if w in program.wrt else v for w, v in inputs.items()]
    sources = [args[k] for k in program.argnums()]
    with pb.GradientTape() as tape:
        tape.watch(sources)
        y = pb.function(program.objective)(*args)
    for a, b in zip(tape.gradient(y, sources), inside, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * float(np.max(np.abs(b))))
