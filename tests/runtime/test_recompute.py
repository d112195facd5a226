"""recompute_grad, eager and compiled: the second run happens, gradients are those of the plain function."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.control import CALL
from pullback.ir.graph import Function

from .checks import close

RNG = np.random.default_rng(5)
X, M = RNG.normal(size=(6, 4)), RNG.normal(size=(4, 4)) / 2
V = pb.Variable(0.8, dtype=pb.float64)


def test_recompute_grad_keeps_nothing_and_runs_again() -> None:
    v = pb.Variable(2.0)
    kept: list[Any] = []

    def f(x: Any) -> Any:
        middle = pb.sin(x * v)
        kept.append(weakref.ref(middle))
        return middle * x

    x = pb.constant(0.7)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.recompute_grad(f)(x)
    assert len(kept) == 1
    assert kept[0]() is None
    gx, gv = tape.gradient(y, [x, v])
    assert len(kept) == 2
    s, c = np.sin(np.float32(1.4)), np.cos(np.float32(1.4))
    close(gx, s + 0.7 * 2 * c, rtol=1e-6)
    close(gv, 0.49 * c, rtol=1e-6)


def block(x: Any, parts: Any, *, scale: Any, times: int = 2) -> Any:
    """Structures in and out, a Python number, a keyword, a variable, None."""
    h = x
    for _ in range(times):
        h = pb.tanh(pb.matmul(h, parts["m"]) * V)
    return {"h": h * scale, "more": (pb.reduce_sum(h * h), None, pb.argmax(h, axis=0))}


def stacked(f: Callable[..., Any]) -> Callable[..., Any]:
    def total(x: Any, m: Any, s: Any) -> Any:
        y = 0.0
        for _ in range(3):
            out = f(x, {"m": m}, scale=s)
            assert out["more"][1] is None
            x, y = out["h"], y + out["more"][0]
        return y + pb.reduce_sum(x**3)

    return total


def derivatives(f: Callable[..., Any]) -> list[Any]:
    """Value, gradients, gradients of their squares."""
    xs = [pb.constant(X), pb.constant(M), pb.constant(0.7, pb.float64)]
    with pb.GradientTape() as outer:
        outer.watch(xs)
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = f(*xs)
        grads = tape.gradient(y, [*xs, V])
        total = pb.add_n([pb.reduce_sum(g * g) for g in grads])
    return [np.asarray(a) for a in (y, *grads, *outer.gradient(total, [*xs, V]))]


WAYS = {
    "eager": lambda f: stacked(pb.recompute_grad(f)),
    "compiled": lambda f: pb.function(stacked(pb.recompute_grad(f))),
    "of a compiled one": lambda f: stacked(pb.recompute_grad(pb.function(f))),
    "all compiled": lambda f: pb.function(stacked(pb.recompute_grad(pb.function(f)))),
}


@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_any_order_are_those_of_the_function(way: str) -> None:
    for found, wanted in zip(derivatives(WAYS[way](block)), derivatives(stacked(block)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def in_loop(f: Callable[..., Any]) -> Callable[..., Any]:
    def total(x: Any, m: Any, s: Any) -> Any:
        for i in pb.range(7):
            if i % 2 == 0:
                x = f(x, [m])
            else:
                x = x * s
        return pb.reduce_sum(x * x)

    return total


@pytest.mark.parametrize("checkpoint", [None, 2])
def test_inside_a_loop_and_a_branch(checkpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pullback.ir.schedule.CACHED", 0)

    def f(x: Any, ms: Any) -> Any:
        return pb.sin(pb.matmul(pb.tanh(pb.matmul(x, ms[0]) * V), ms[0]))

    wanted = derivatives(pb.function(in_loop(f)))
    found = derivatives(pb.function(in_loop(pb.recompute_grad(f)), checkpoint=checkpoint))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def products(fn: Function) -> int:
    """How many matrix products a function computes."""
    assert not any(op.kind is CALL for op in fn.body.walk())
    return sum(op.kind.name == "matmul" for op in fn.body.walk())


def deep(f: Callable[..., Any]) -> Any:
    @pb.function
    def gradient(x: Any, m: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch([x, m])
            h = x
            for _ in (0,) * 8:  # not a range: to be unrolled
                h = f(h, m)
            y = pb.reduce_sum(h * h)
        return tape.gradient(y, [x, m])

    return gradient


def six(x: Any, m: Any) -> Any:
    for _ in (0,) * 6:
        x = pb.tanh(pb.matmul(x, m))
    return x


def test_the_compiler_neither_merges_the_runs_nor_moves_the_second_one_up() -> None:
    x, m = pb.constant(RNG.normal(size=(256, 32))), pb.constant(RNG.normal(size=(32, 32)) / 6)
    code, results = [], []
    for f in (six, pb.recompute_grad(six)):
        gradient = deep(f)
        results.append(gradient(x, m))
        compiled: Any = gradient.get_concrete_function(x, m).plain.op.executable([x.numpy(), m.numpy()])
        code.append(compiled.code)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    plain, again = (products(c.fn) for c in code)
    assert again - plain == 48
    array = 256 * 32 * 8
    assert code[0].scratch_bytes > 48 * array  # all that tanh made
    assert code[1].scratch_bytes < 24 * array  # one block's, and what is between blocks


def test_a_compiled_call_keeps_only_what_lies_between() -> None:
    f = pb.function(pb.recompute_grad(six))
    pair = f.get_concrete_function(pb.constant(X), pb.constant(M)).full.pair((True, True))
    kept = [pair.forward.fn.result_types[i] for kind, i in pair.residuals if kind == "value"]
    assert sum(int(str(t.size)) for t in kept) <= 1  # the arguments come by themselves; a sign that the run is over
