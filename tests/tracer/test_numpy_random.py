"""Random plain NumPy programs: plain == eager == interpreted == compiled, to the bit where each operation rounds once;
reverse mode == central differences == forward mode, first and second order; every pass leaves valid IR.

`PULLBACK_PROGRAMS=6 pytest tests/tracer/test_numpy_random.py`, as CI does, tries six times as many, of the dear ones
with derivatives three times: 2040 programs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.codegen import pipeline
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.verifier import verify

from .numpy_programs import ROWS, SIZE, Maker
from .test_rewrite_random import load

Array = np.ndarray[Any, Any]
SCALE = int(os.environ.get("PULLBACK_PROGRAMS", "1"))
LARGE = 1e4                  # values beyond this say little about derivatives

HEADER = "import numpy as np\nimport pullback as pb\n\n"
DERIVATIVES = '''
def g(A, B, M, s, n):
    A, B, M, s = f(A.copy(), B.copy(), M.copy(), s, n)
    return np.sum(A * A) + 0.5 * np.sum(B) + np.sum(M * M * M) + s * s

def gradient(A, B, M, s, n):
    with pb.GradientTape() as tape:
        tape.watch([A, B, M, s])
        y = g(A, B, M, s, n)
    return y, tape.gradient(y, [A, B, M, s], unconnected_gradients="zero")

def forward(A, B, M, s, n, along):
    with pb.autodiff.ForwardAccumulator([A, B, M, s], along) as accumulator:
        y = g(A, B, M, s, n)
    return accumulator.jvp(y, unconnected_gradients="zero")

def forward_of_gradient(A, B, M, s, n, along):
    with pb.autodiff.ForwardAccumulator([A, B, M, s], along) as accumulator:
        _, grads = gradient(A, B, M, s, n)
    return accumulator.jvp(grads, unconnected_gradients="zero")

def gradient_of_forward(A, B, M, s, n, along):
    with pb.GradientTape() as tape:
        tape.watch([A, B, M, s])
        slope = forward(A, B, M, s, n, along)
    return tape.gradient(slope, [A, B, M, s], unconnected_gradients="zero")
'''


@pytest.fixture(autouse=True, scope="module")
def verified_passes() -> Iterator[None]:
    """Every pass between a trace (or its derivative) and code generation gets valid IR and gives valid IR."""

    def checked(p: Callable[[Function], Function]) -> Callable[[Function], Function]:
        def run(fn: Function) -> Function:
            verify(fn)
            new = p(fn)
            verify(new)
            return new

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "PASSES", tuple(map(checked, pipeline.PASSES)))
        yield


@st.composite
def programs(draw: st.DrawFn, exact: bool, ints: bool = True) -> str:
    """The text of a function f(A, B, M, s, n)."""
    return Maker(lambda n: draw(st.integers(0, n - 1)), exact, ints).program("f", draw(st.integers(1, 4)))


def many(count: int, scale: int = SCALE) -> Callable[[Any], Any]:
    """Hypothesis tries that many programs, the same in every run of CI."""
    quiet = settings(max_examples=count * scale, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    return lambda test: seed(7)(quiet(test))


def module_of(text: str, folder: Path, rest: str = "") -> ModuleType:
    module_of.made += 1  # type: ignore[attr-defined]
    return load(HEADER + text + rest, folder / f"numpy_program_{module_of.made}.py")  # type: ignore[attr-defined]


module_of.made = 0  # type: ignore[attr-defined]


def inputs(dtype: Any, n: int) -> list[Any]:
    r = np.random.default_rng(n)
    arrays = [r.uniform(-1.0, 1.0, shape).astype(dtype) for shape in ((SIZE,), (SIZE,), (ROWS, SIZE))]
    return [*arrays, dtype(0.3 + 0.2 * n), np.int64(n)]


def check_all_ways(text: str, n: int, dtype: Any, same: Callable[[Any, Any], None], folder: Path) -> None:
    """The program does the same in every way: what it gives, and what it leaves in its arguments."""
    f = module_of(text, folder).f
    changed = inputs(dtype, n)
    with np.errstate(all="ignore"):
        expected = f(*changed)
    for eager in (True, False):
        args = inputs(dtype, n)
        pb.config.run_functions_eagerly(eager)
        try:
            compiled = pb.function(f)
            found = compiled(*args)
        finally:
            pb.config.run_functions_eagerly(False)
        for have, want in zip([*found, *args], [*expected, *changed], strict=True):
            same(have, want)
    args = inputs(dtype, n)
    concrete = compiled.get_concrete_function(*args)
    captured = [t.numpy() for t in concrete.captured]
    with np.errstate(all="ignore"):
        outs = interpret(concrete.ir, [*map(np.asarray, args), *captured])
    for have, want in zip(outs, expected, strict=False):
        same(have, want)


def equal(have: Any, want: Any) -> None:
    np.testing.assert_array_equal(np.asarray(have), want)


def close(have: Any, want: Any) -> None:
    np.testing.assert_allclose(np.asarray(have), want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_programs_of_exact_operations(dtype: Any, tmp_path: Path) -> None:
    @many(100)
    @given(programs(exact=True, ints=dtype is np.float64), st.integers(0, 3))
    def check(text: str, n: int) -> None:
        check_all_ways(text, n, dtype, equal, tmp_path)

    check()


def test_programs_with_functions_and_sums(tmp_path: Path) -> None:
    @many(100)
    @given(programs(exact=False), st.integers(0, 3))
    def check(text: str, n: int) -> None:
        check_all_ways(text, n, np.float64, close, tmp_path)

    check()


class Derivatives:
    """A program and the ways to its derivatives at a point, along a direction."""

    def __init__(self, text: str, n: int, folder: Path) -> None:
        self.m = module_of(text, folder, DERIVATIVES)
        *self.x, self.n = inputs(np.float64, n)
        r = np.random.default_rng(n + 10)
        self.along = [r.standard_normal(np.shape(v)) for v in self.x]
        self.along[3] = np.float64(self.along[3])
        self.gradient = pb.function(self.m.gradient)
        self.value = float(self.m.g(*self.x, self.n))
        self.tame = abs(self.value) < LARGE

    def at(self, h: float) -> list[Any]:
        return [v + h * d for v, d in zip(self.x, self.along, strict=True)]

    def differences(self, f: Callable[..., Any]) -> Array | None:
        """The derivative of an array along the direction; None where two steps do not agree, so at a kink or jump."""

        def slope(h: float) -> Any:
            return (f(*self.at(h), self.n) - f(*self.at(-h), self.n)) / (2.0 * h)

        one, other = slope(1e-6), slope(2.5e-7)
        return one if np.all(np.abs(one - other) <= 1e-5 * (1.0 + np.max(np.abs(one)))) else None

    def flat_gradient(self, *args: Any) -> Array:
        return np.concatenate([np.ravel(g) for g in self.gradient(*args)[1]])


def check_first_order(d: Derivatives) -> bool:
    """Reverse == forward; both == differences. False when differences say nothing."""
    value, grads = d.gradient(*d.x, d.n)
    close(value, d.value)
    terms = [np.asarray(g) * v for g, v in zip(grads, d.along, strict=True)]
    found, scale = sum(np.sum(t) for t in terms), 1.0 + sum(np.sum(np.abs(t)) for t in terms)
    by_forward = pb.function(d.m.forward)(*d.x, d.n, d.along)
    assert abs(float(by_forward) - found) <= 1e-9 * scale
    expected = d.differences(d.m.g)
    if expected is None:
        return False
    assert abs(found - expected) <= 1e-4 * scale
    return True


def check_second_order(d: Derivatives) -> None:
    """The Hessian times a direction: forward over reverse == reverse over forward == differences of gradients."""
    ways = [np.concatenate([np.ravel(g) for g in pb.function(f)(*d.x, d.n, d.along)])
            for f in (d.m.forward_of_gradient, d.m.gradient_of_forward)]  # fmt: skip
    scale = 1.0 + np.max(np.abs(ways[0]))
    assert np.max(np.abs(ways[0] - ways[1])) <= 1e-9 * scale
    expected = d.differences(d.flat_gradient)
    if expected is not None:
        assert np.max(np.abs(ways[0] - expected)) <= 1e-3 * scale


def test_first_derivatives(tmp_path: Path) -> None:
    tried: list[bool] = []

    @many(60, (SCALE + 1) // 2)
    @given(programs(exact=False), st.integers(0, 3))
    def check(text: str, n: int) -> None:
        d = Derivatives(text, n, tmp_path)
        tried.append(d.tame and check_first_order(d))

    check()
    assert sum(tried) > 0.6 * len(tried)


def test_second_derivatives(tmp_path: Path) -> None:
    @many(20, (SCALE + 1) // 2)
    @given(programs(exact=False), st.integers(0, 3))
    def check(text: str, n: int) -> None:
        d = Derivatives(text, n, tmp_path)
        if d.tame and check_first_order(d):
            check_second_order(d)

    check()
