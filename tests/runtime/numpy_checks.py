"""What the tests of NumPy's functions share: a program text, run by NumPy on ndarrays, and by us on Arrays.

We run it eagerly and compiled. The three results must agree in structure, dtype, shape and value; where NumPy raises,
so must we.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import pullback as pb
from pullback.runtime.array import array_of
from pullback.runtime.convert import make

from .checks import numeric_gradient

_numbers = itertools.count()
RNG = np.random.default_rng(3)

_A = np.array([[0.5, -1.25, 2.0], [1.5, 0.25, -3.0]])
_P = np.array([[0.5, 1.25, 2.0], [1.5, 0.25, 3.0]])
_M = np.array([[2.0, 0.5, -1.0], [0.25, 3.0, 1.5], [1.0, -0.5, 2.5]])
VALUES: dict[str, Any] = {
    "a": _A, "b": np.array([1.5, -0.75, 0.5]), "p": _P, "q": np.array([0.75, 2.5, 1.0]), "m": _M,
    "s": np.array(1.5), "e": np.zeros((0, 3)), "o": np.array([0.75]), "v": np.array([3.0, -1.0, 2.0, 0.5, 2.5, -2.0]),
    "u": np.array([0.25, -0.5, 1.0, 0.125, -0.75, 0.375]),
    "c": np.cos(np.arange(24.0)).reshape(2, 3, 4),
}  # fmt: skip


def arrays(dtype: str) -> dict[str, Any]:
    """The operands in a dtype: integers are the floats, stretched and cut; bools their signs."""
    if dtype == "?":
        return {k: v > 0 for k, v in VALUES.items()}
    factor = 4.0 if dtype.startswith("i") else 1.0
    return {k: np.asarray(np.trunc(v * factor) if factor > 1 else v).astype(dtype) for k, v in VALUES.items()}


def programs(text: str) -> list[str]:
    """Expressions, divided by semicolons."""
    return [" ".join(p.split()) for p in text.split(";")]


def program(text: str, names: tuple[str, ...]) -> Callable[..., Any]:
    """A function of the names that returns the expression, with source to be found."""
    source = f"def program({', '.join(names)}):\n    return {text}\n"
    file = f"/tests/numpy_program_{next(_numbers)}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    scope = {"np": np, "pb": pb}
    exec(compile(source, file, "exec"), scope)
    return scope["program"]  # type: ignore[return-value]


def names_in(text: str) -> tuple[str, ...]:
    """The operands that a text names."""
    return tuple(sorted(set(compile(text, "x", "eval").co_names) & VALUES.keys()))


def array(x: Any) -> Any:
    """An Array of the data."""
    return array_of(make(np.array(x)))


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function, traced and compiled, on Arrays."""

    def on_arrays(*xs: Any) -> Any:
        return fn(*[array_of(pb.identity(x)) for x in xs])

    return pb.function(on_arrays)


def flat(x: Any) -> Iterator[Any]:
    """The arrays of a result."""
    if isinstance(x, (list, tuple)):
        for v in x:
            yield from flat(v)
    else:
        yield x


def outcome(fn: Callable[..., Any], xs: list[Any]) -> Any:
    """The results as ndarrays, or the error."""
    try:
        with np.errstate(all="ignore"):
            result = fn(*xs)
    except (TypeError, ValueError, IndexError, OverflowError) as e:
        return e
    return [v.numpy() if isinstance(v, pb.Tensor) else v for v in flat(result)]


def agree(got: Any, want: Any, rtol: float, what: str) -> None:
    """Equal in dtype, shape and value."""
    if isinstance(want, Exception):
        assert isinstance(got, Exception), f"{what}: NumPy raises {want!r}, we give {got}"
        return
    if isinstance(got, Exception):
        raise AssertionError(f"{what}: NumPy gives {want}") from got
    assert len(got) == len(want), what
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g), np.asarray(w)
        assert g.dtype == w.dtype, f"{what}: {g.dtype}, NumPy gives {w.dtype}"
        assert g.shape == w.shape, f"{what}: {g.shape}, NumPy gives {w.shape}"
        if rtol and w.dtype.kind in "fc":
            scale = rtol * (1 + (np.abs(w[np.isfinite(w)]).max(initial=0) if w.size else 0))
            np.testing.assert_allclose(g, w, rtol=rtol, atol=scale, err_msg=what)
        else:
            np.testing.assert_array_equal(g, w, err_msg=what)


def check(text: str, dtype: str, exact: bool = False, scale: float = 1.0, compile: bool = True) -> None:
    """Runs the program three ways; `exact` asks for equal bits, else a few units of the last place (`scale` times)."""
    names, values = names_in(text), arrays(dtype)
    fn = program(text, names)
    xs = [values[n] for n in names]
    want = outcome(fn, [x.copy() for x in xs])
    rtol = 0.0 if exact else scale * {"f4": 2e-6, "f8": 4e-15}.get(dtype, 1e-14)
    agree(outcome(fn, [array(x) for x in xs]), want, 0.0 if exact else rtol, f"{text} on {dtype}, eagerly")
    if compile:
        agree(outcome(compiled(fn), xs), want, rtol, f"{text} on {dtype}, compiled")


def check_derivative(text: str, by: tuple[str, ...] = (), rtol: float = 1e-6, compile: bool = True) -> None:
    """Gradients of the program in float64 against central differences, eagerly and compiled."""
    names = names_in(text)
    fn = program(text, names)
    by = by or names
    values = arrays("f8")

    def run(*moved: Any) -> Any:
        at = {**values, **dict(zip(by, moved, strict=True))}
        return np.concatenate([np.ravel(v) for v in flat(fn(*[at[n] for n in names]))])

    start = [values[n] for n in by]
    weights = np.cos(1.0 + np.arange(run(*start).size))
    want = numeric_gradient(run, [x.astype(np.float64) for x in start], weights)
    for call in (fn, compiled(fn)) if compile else (fn,):
        ts = {n: array(values[n]) for n in names}
        watched = [ts[n] for n in by]
        with pb.GradientTape() as tape:
            tape.watch(watched)
            ys = list(flat(call(*[ts[n] for n in names])))
            total = pb.add_n([
                pb.reduce_sum(pb.reshape(y, [-1]) * w)
                for y, w in zip(ys, np.split(weights, np.cumsum([int(pb.size(y)) for y in ys])[:-1]), strict=True)
            ])
        for n, g, w in zip(by, tape.gradient(total, watched), want, strict=True):
            got = np.zeros_like(w) if g is None else g.numpy()
            np.testing.assert_allclose(got, w, rtol=rtol, atol=1e-7, err_msg=f"{text} by {n}")
