"""`pb.function(checkpoint=...)`: what it takes, gradients against stored ones and formulas, memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.tracer.checkpointing import marks

X, W = np.linspace(0.5, 1.5, 5), np.linspace(1.0, 2.0, 5)
CHECKPOINTS = [1, 2, 7, "1KiB", "400B"]


@pytest.fixture(autouse=True)
def _no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small loops count as long ones."""
    monkeypatch.setattr("pullback.ir.schedule.CACHED", 0)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, {}), (20, {"slots": 20}), (np.int64(3), {"slots": 3}), ("9MB", {"bytes": 9_000_000}),
        ("4KiB", {"bytes": 4096}), ("1.5 GiB", {"bytes": 3 << 29}), ("12", {"bytes": 12}), (" 7 kb ", {"bytes": 7000}),
    ],
)  # fmt: skip
def test_slots_and_budgets(given: Any, wanted: dict[str, int]) -> None:
    assert marks(given) == wanted


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ("256 apples", ValueError, "there is no unit 'apples'; units are B, KB"),
        ("much", ValueError, "'much' is no amount of memory: give a number of slots such as 20, or a budget"),
        ("0MB", ValueError, "leaves no memory"),
        ("-3MB", ValueError, "no amount of memory"),
        (0, ValueError, "checkpoint=0 keeps no state"),
        (2.5, TypeError, "checkpoint=2.5 is a float: give a number of slots"),
        (True, TypeError, "is a bool"),
    ],
)
def test_wrong_ones_say_what_to_write(given: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        pb.function(lambda x: x, checkpoint=given)


def test_a_budget_below_one_state_names_the_line() -> None:
    @pb.function(checkpoint="100B")
    def f(x: Any) -> Any:
        for _ in pb.range(100):
            x = pb.sin(x)
        return x

    x = pb.zeros([50])
    with pb.GradientTape() as t:
        t.watch(x)
        with pytest.raises(pb.errors.InvalidArgumentError, match=r"too small: one state .* 200 bytes.*test_checkpo"):
            f(x)


# ---------------------------------------------------------------- programs
def chain(x: Any, w: Any) -> Any:
    for _ in pb.range(100):
        x = x + 0.01 * pb.sin(x * w)
    return pb.reduce_sum(x * x)


def converging(x: Any, w: Any) -> Any:
    while pb.reduce_sum(x) < 50.0:
        x = x + 0.1 * pb.sin(x * w) ** 2 + 0.1
    return pb.reduce_sum(x * x)


def stopping(x: Any, w: Any) -> Any:
    for _ in pb.range(1000):
        x = x + 0.01 * pb.sin(x * w)
        if pb.reduce_sum(x) > 6.0:
            break
    return pb.reduce_sum(x * x)


def branching(x: Any, w: Any) -> Any:
    loss = pb.constant(0.0, pb.float64)
    for i in pb.range(60):
        if i % 3 == 0:
            x = x * pb.cos(0.3 * w)
        else:
            x = pb.tanh(x + w)
        loss += pb.reduce_sum(x * x)
    return loss


def inner(x: Any, w: Any) -> Any:
    for i in pb.range(40):
        for _ in pb.range(i % 4):
            x = x + 0.01 * pb.sin(x * w)
        y = x
        while pb.reduce_sum(y) < 12.0:
            y = y * 1.3 + 0.1 * pb.sin(w) ** 2
        x = x + 0.001 * pb.sin(y * w)
    return pb.reduce_sum(x * x)


def writing(x: Any, w: Any) -> Any:
    a = x * 1.0
    seen = pb.zeros([60, 5], pb.float64)
    for i in pb.range(60):
        a[i % 5] = pb.sin(a[(i + 4) % 5] * w[i % 5]) + 0.1 * a[i % 5]
        seen[i] = a
    return pb.reduce_sum(a * a) + pb.reduce_sum(seen**3)


def chosen(x: Any, w: Any) -> Any:
    if pb.reduce_sum(x) > 0.0:
        for _ in pb.range(40):
            x = x + 0.01 * pb.sin(x * w)
    else:
        x = x * 2.0
    return pb.reduce_sum(x * x)


def several(x: Any, w: Any) -> Any:
    for _ in pb.range(3):
        for _ in pb.range(40):
            x = x + 0.01 * pb.sin(x * w)
        x = x * pb.cos(0.1 * w)
    return pb.reduce_sum(x * x)


def counting(x: Any, w: Any) -> Any:
    """Integers and a flag are part of the state; an early return."""
    k, flag = pb.constant(1), pb.constant(False)
    for _ in pb.range(400):
        k, flag = (k * 7) % 11, pb.logical_not(flag)
        if flag:
            x = x + 0.01 * pb.cast(k, pb.float64) * pb.sin(x * w)
        else:
            x = pb.tanh(x) * 1.5
        if pb.reduce_sum(x) > 7.2:
            return pb.reduce_sum(x * x)
    return pb.reduce_sum(x)


def scanned(x: Any, w: Any) -> Any:
    rows = pb.reshape(pb.range(60, dtype=pb.float64) * 0.01, [12, 5])
    return pb.reduce_sum(pb.scan(lambda a, row: pb.sin(a * w) + row, rows, x) ** 2)


PROGRAMS = [chain, converging, stopping, branching, inner, writing, chosen, several, counting, scanned]


def derivatives(f: Callable[..., Any], checkpoint: Any) -> tuple[list[Any], list[Any]]:
    """Value, gradients by a tape outside and by one inside; and second derivatives."""
    g = pb.function(f, checkpoint=checkpoint)
    xs = [pb.constant(X), pb.constant(W)]
    with pb.GradientTape() as outer:
        outer.watch(xs)
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = g(*xs)
        grads = tape.gradient(y, xs)
        total = pb.add_n([pb.reduce_sum(pb.sin(a)) for a in grads])

    @pb.function(checkpoint=checkpoint)
    def within(*xs: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = f(*xs)
        return tape.gradient(y, xs)

    return [np.asarray(a) for a in (y, *grads, *within(*xs))], [np.asarray(a) for a in outer.gradient(total, xs)]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_equals_the_stored_gradient_to_the_bit(f: Callable[..., Any]) -> None:
    stored, second = derivatives(f, None)
    step = 1e-6
    for i, direction in ((1, np.cos(np.arange(5.0))), (2, np.sin(1.0 + np.arange(5.0)))):
        moved = [[X, W], [X, W]]
        moved[0][i - 1] = moved[0][i - 1] + step * direction
        moved[1][i - 1] = moved[1][i - 1] - step * direction
        high, low = (float(pb.function(f)(*map(pb.constant, m))) for m in moved)
        np.testing.assert_allclose(np.sum(stored[i] * direction), (high - low) / (2 * step), rtol=1e-5, atol=1e-7)
    for checkpoint in (7, "400B"):
        found, again = derivatives(f, checkpoint)
        for a, b in zip(found, stored, strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(again, second, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_a_number_of_trips_from_outside(n: int) -> None:
    def f(x: Any, n: Any) -> Any:
        for i in pb.range(n):
            x = x + 0.01 * pb.sin(x) * pb.cast(i, pb.float64)
        return x

    x, dx = 0.7, 1.0
    for i in range(n):
        dx *= 1 + 0.01 * i * np.cos(x)
        x += 0.01 * i * np.sin(x)
    for checkpoint in CHECKPOINTS:
        with pb.GradientTape() as tape:
            t = pb.constant(0.7, pb.float64)
            tape.watch(t)
            y = pb.function(f, checkpoint=checkpoint)(t, pb.constant(n))
        np.testing.assert_allclose([y, tape.gradient(y, t)], [x, dx], rtol=1e-9)


def test_sizes_that_are_symbols() -> None:
    def f(x: Any) -> Any:
        for _ in pb.range(50):
            x = x + 0.01 * pb.sin(x * x)
        return pb.reduce_sum(x)

    spec = [pb.TensorSpec([None], pb.float64)]
    for checkpoint in (3, "500B"):
        g = pb.function(f, input_signature=spec, checkpoint=checkpoint)
        for n in (1, 3, 8):
            found = []
            for h in (g, pb.function(f)):
                x = pb.constant(np.linspace(0.1, 1.0, n))
                with pb.GradientTape() as tape:
                    tape.watch(x)
                    y = h(x)
                found.append(np.asarray(tape.gradient(y, x)))
            np.testing.assert_array_equal(*found)
        assert g.trace_count == 1


def test_variables_read_and_assigned_in_the_loop() -> None:
    v, total = pb.Variable(0.3, dtype=pb.float64), pb.Variable(0.0, dtype=pb.float64)

    def f(x: Any) -> Any:
        for _ in pb.range(30):
            x = pb.sin(x + v)
            total.assign_add(x)
        return x * x

    found = []
    for checkpoint in (None, *CHECKPOINTS):
        total.assign(0.0)
        x = pb.constant(0.5, pb.float64)
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.function(f, checkpoint=checkpoint)(x)
        found.append([float(total), *(float(g) for g in tape.gradient(y, [x, v]))])
    x, dx, dv, s = 0.5, 1.0, 0.0, 0.0
    for _ in range(30):
        c = np.cos(x + 0.3)
        x, dx, dv = np.sin(x + 0.3), dx * c, (dv + 1) * c
        s += x
    for got in found:
        np.testing.assert_allclose(got, [s, 2 * x * dx, 2 * x * dv], rtol=1e-12)


def test_what_is_printed_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    @pb.function(checkpoint=1)
    def f(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = x
            for i in pb.range(6):
                pb.print("trip", i)
                y = pb.sin(y)
        return tape.gradient(y, x)

    f(pb.constant(0.5))
    out, err = capfd.readouterr()
    assert (out + err).split() == [word for i in range(6) for word in ("trip", str(i))]


def test_random_numbers_are_those_of_the_first_run() -> None:
    found = []
    for checkpoint in (None, 2):
        pb.random.set_seed(3)

        @pb.function(checkpoint=checkpoint)
        def f(x: Any) -> Any:
            for _ in pb.range(30):
                x = x + 0.1 * pb.sin(x) * pb.random.uniform([5], dtype=pb.float64)
            return pb.reduce_sum(x)

        x = pb.constant(X)
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        found.append([np.asarray(y), np.asarray(tape.gradient(y, x))])
    np.testing.assert_equal(found[0], found[1])


def test_the_option_reaches_methods() -> None:
    class Model:
        @pb.function(checkpoint=3)
        def run(self, x: Any) -> Any:
            for _ in pb.range(50):
                x = pb.sin(x)
            return x

    assert "checkpoint {slots = 3}" in Model().run.__func__.inspect("f64[]")
    assert "checkpoint {" not in pb.function(chain).inspect("f64[5], f64[5]")


MEMORY = """
import resource, sys
import numpy as np
import pullback as pb

@pb.function(checkpoint="20MB")
def f(x, w):
    for _ in pb.range(100_000):
        x = x + 0.001 * pb.sin(x * w)
    return pb.reduce_sum(x)

def gradient(n):
    x = w = pb.constant(np.linspace(0.1, 1.0, n))
    with pb.GradientTape() as tape:
        tape.watch(w)
        y = f(x, w)
    return tape.gradient(y, w)

gradient(8)  # what compiling takes is not what the loop keeps
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
gradient(1000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux only")
def test_memory_stays_within_the_budget(tmp_path: Path) -> None:
    file = tmp_path / "loop.py"
    file.write_text(MEMORY)
    root = str(Path(pb.__file__).parent.parent)
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
    env = {**os.environ, "PYTHONPATH": path}
    made = subprocess.run([sys.executable, str(file)], stdout=subprocess.PIPE, text=True, check=True, env=env)
    grown = int(made.stdout) * 1024
    assert grown < 40_000_000  # the budget and what compiling a second size takes; all residuals would be 800 MB


def test_a_million_steps_within_200_mb() -> None:
    @pb.function(checkpoint="200MB")
    def f(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = x
            for _ in pb.range(1_000_000):
                y = y + 1e-6 * pb.sin(y)
        return tape.gradient(y, x)

    x = np.zeros(1000)
    code: Any = f.get_concrete_function(pb.constant(x)).plain.op.executable([x])
    assert code.code.scratch_bytes < 200_000_000
