"""Loops over Python ranges: loops of the IR where the body allows it, unrolled where not; always what Python gives."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.verifier import verify
from pullback.tracer.control_region import depth
from pullback.tracer.trials import trials

weights = [pb.constant(float(k), pb.float64) for k in range(10)]
COUNT = 0


class Box:
    """An object with state."""

    def __init__(self) -> None:
        self.count = 0

    def tick(self) -> int:
        self.count += 1
        return self.count


class Lazy:
    """A module that makes its weight when it is first called."""

    def __init__(self) -> None:
        self.w: Any = None

    def __call__(self, x: Any) -> Any:
        if self.w is None:
            self.w = pb.Variable(2.0, dtype=pb.float64)
        return x * self.w


def bump() -> int:
    global COUNT
    COUNT = COUNT + 1
    return COUNT


# ---------------------------------------------------------------- loops of the IR
def total(x: Any) -> Any:
    s = 0.0
    for i in range(10):
        s = s + x[i]
    return s, i


def down_by_two(x: Any) -> Any:
    s = 0.0
    for i in range(9, -1, -2):
        s = s * 0.5 + x[i]
    return s, i


def by_three_with_a_counter(x: Any) -> Any:
    s, k = 0.0, 5
    for i in range(0, 20, 3):
        s = s + x[i // 2] * k
        k += 2
    return s, i, x[: k - 10]


def break_on_the_index(x: Any) -> Any:
    s = 0.0
    for i in range(10):
        if i * i > 30:
            break
        s = s + x[i]
    return s, i, x[:i]


def break_on_a_tensor(x: Any) -> Any:
    s = 0.0
    for i in range(10):
        s = s + x[i]
        if s > 20.0:
            break
    else:
        s = s * 100.0
    return s, i


def with_else(x: Any) -> Any:
    s = 0.0
    for i in range(10):
        if i % 3 == 0:
            continue
        s = s + x[i]
    else:
        s = s * 2.0
    return s


def early_return(x: Any) -> Any:
    for i in range(10):
        if x[i] > 4.0:
            return x[i] * i
    return x[0]


def triangle(x: Any) -> Any:
    s = 0.0
    for i in range(10):
        for j in range(i):
            s = s + x[i] * x[j]
    return s


def windows(x: Any) -> Any:
    s, t = pb.zeros([3], pb.float64), pb.zeros([2], pb.float64)
    for i in range(8):
        s = s + x[i : i + 3] * x[i]
    for i in range(5):
        t = t + x[2 * i : 2 * (i + 1)]
    return s, t


def floats_are_doubles(x: Any) -> Any:
    h, t = 0.1, 0.0
    for _ in range(20):
        x = x + h * x * math.sin(t)
        t = t + h
        h = h * 0.9
    return x


def random_numbers_by_hand(x: Any) -> Any:
    seed = 12345
    for _ in range(50):
        seed = (seed * 1103515245 + 12345) % 2**31
        x = x + (seed % 10) * 0.1
    return x, x[: seed % 7]


def counted_on_some_trips(x: Any) -> Any:
    n = 0
    for i in range(10):
        if i % 3 == 0:
            n += 1
        x = x * 1.5
    return x[:n], n


def attribute(x: Any) -> Any:
    b = Box()
    for i in range(10):
        b.count += i
        x = x + b.count
    return x, b.count


def a_global(x: Any) -> Any:
    global COUNT
    COUNT = 0
    for i in range(10):
        COUNT = COUNT + i
        x = x + COUNT
    return x, COUNT


def a_nonlocal(x: Any) -> Any:
    k = 0

    def increase() -> int:
        nonlocal k
        k += 2
        return k

    for _ in range(10):
        x = x + increase()
    return x, k


def enumerated_and_zipped(x: Any) -> Any:
    s = 0.0
    for i, (a, b) in enumerate(zip(x, range(5, 15), strict=False)):
        s = s + a * b * i
    for k, i in enumerate(range(3, 10)):
        s = s + x[i] * k
    for i in reversed(range(10)):
        s = s * 0.5 + x[i]
    return s, k, i


def conditional_expressions(x: Any) -> Any:
    flag = True
    z = 0
    for i in range(10):
        x = x * (2.0 if i < 5 else 0.5) if i != 7 else x + 1.0
        flag = not flag
        if (flag and i > 2) or i == 1 or 3 < i <= 5:
            x = x + i
        z = 3 if i > 4 else 4
    return x, flag, z


def one_behind(x: Any) -> Any:
    before = 0
    for i in range(10):
        x = x + before
        before = i
    return x, before


def python_arithmetic(x: Any) -> Any:
    for i in range(1, 10):
        x = x + i / 3 + 1 / i + (i // 2) * (i % 4) - 2**i + i**2 - (i & 3) + (i << 2) - (i >> 1) + abs(i - 5)
        x = x * np.sin(i) + np.sqrt(0.5 * i) + math.exp(-i) + int(i) + float(i) + bool(i)
        x = x + x[min(i + 1, 9)] - x[max(i - 3, 0)] + divmod(i, 4)[0] + round(2.0) - (-i)
        if isinstance(i, int) and type(i) is int:
            x = x + 1
    return x


def contents_of_a_dict(x: Any) -> Any:
    d = {"a": x, "n": 0}
    for i in range(10):
        d["a"] = d["a"] + i
        d["n"] += 3
    return d


def optimizer(x: Any) -> Any:
    v.assign(0.0)
    for _ in range(1000):
        with pb.GradientTape() as t:
            loss = v * v - 2.0 * v + 1.0
        v.assign_sub(0.01 * t.gradient(loss, v))
    return v.read_value() * x


v = pb.Variable(0.0, dtype=pb.float64)


# ---------------------------------------------------------------- the first trip is different
def none_at_first(x: Any) -> Any:
    before = None
    for i in range(10):
        now = x * i
        if before is not None:
            now = now + before
        before = now
    return before


def made_in_the_first_trip(x: Any) -> Any:
    m = lazy
    for _ in range(20):
        x = m(x) * 0.6
    return x


lazy = Lazy()


# ---------------------------------------------------------------- unrolled, with the reason
def list_index(x: Any) -> Any:
    s = 0.0
    for i in range(10):
        s = s + weights[i] * x[i]
    return s


def text(x: Any) -> Any:
    d = {f"k{i}": i for i in range(10)}
    s = 0.0
    for i in range(10):
        s = s + x[i] * d[f"k{i}"]
    return s


def dict_key(x: Any) -> Any:
    d = dict(enumerate(weights))
    for i in range(10):
        x = x * d[i]
    return x


def random_calls(x: Any) -> Any:
    r = random.Random(3)
    for _ in range(10):
        x = x * r.random()
    return x


def numpy_random(x: Any) -> Any:
    np.random.seed(3)
    for _ in range(10):
        x = x * np.random.uniform()
    return x


def an_iterator(x: Any) -> Any:
    it = iter(range(100))
    for _ in range(10):
        x = x + next(it) + next(it)
    return x


def a_generator(x: Any) -> Any:
    it = (k * k for k in range(100))
    for _ in range(10):
        for k in it:
            x = x + k
            if k > 20:
                break
    return x


def too_large(x: Any) -> Any:
    k = 1
    for _ in range(60):
        k = k * 3
        x = x * 0.5
    return x + k % 1000


def fibonacci(x: Any) -> Any:
    a, b = 0, 1
    for _ in range(120):
        a, b = b, a + b
        x = x * 1.01
    return x * (a % 7)


def grows(x: Any) -> Any:
    for _ in range(6):
        x = pb.concat([x, x[:1]], 0)
    return x


def method_with_state(x: Any) -> Any:
    b = Box()
    for _ in range(10):
        x = x + b.tick()
    return x, b.count


def global_in_a_helper(x: Any) -> Any:
    global COUNT
    COUNT = 0
    for _ in range(10):
        x = x + bump()
    return x, COUNT


def caught(x: Any) -> Any:
    s = 0.0
    for i in range(10):
        try:
            s = s + x[i] * weights[i + 3]
        except IndexError:
            s = s - 1.0
        finally:
            s = s + 0.5
    return s


def raised(x: Any) -> Any:
    try:
        for i in range(10):
            if i == 5:
                raise ValueError("no")
            x = x + i
    except ValueError:
        x = x * 2
    return x


def no_tensor(x: Any) -> Any:
    k = 0
    for i in range(100):
        k = k + i * i
    return x * k


def break_in_the_first_trip(x: Any) -> Any:
    m = 3
    for i in range(7):
        m += 1
        if 0 <= i <= 4:
            break
    return x * m, i


def inner_only(x: Any) -> Any:
    s = 0.0
    for i in range(6):
        for j in range(5):
            s = s + x[i] * x[j] + weights[j]
    return s


def outer_only(x: Any) -> Any:
    s = 0.0
    for i in range(6):
        for j in range(5):
            s = s + x[i] * x[j] + weights[i]
    return s


def asked_for(x: Any) -> Any:
    for i in pb.unroll(range(10)):
        x = x + i
    return x


def short(x: Any) -> Any:
    for i in range(3):
        x = x + i
    for i in range(0):
        x = x * i
    return x, i


def unset_without_trips(x: Any) -> Any:
    for i in range(5, 0):
        x = x + i
    try:
        return x * i
    except UnboundLocalError:
        return x


ROLLED: list[Callable[[Any], Any]] = [
    total, down_by_two, by_three_with_a_counter, break_on_the_index, break_on_a_tensor, with_else, early_return,
    triangle, windows, floats_are_doubles, random_numbers_by_hand, counted_on_some_trips, attribute, a_global,
    a_nonlocal, enumerated_and_zipped, conditional_expressions, one_behind, python_arithmetic, contents_of_a_dict,
    optimizer,
]  # fmt: skip
UNROLLED: list[tuple[Callable[[Any], Any], str]] = [
    (list_index, "used as a list index"), (text, "text is made of the number"), (dict_key, "a dict key"),
    (random_calls, "Random.random is called"), (numpy_random, "uniform is called"), (an_iterator, "next is called"),
    (a_generator, "uses up a generator object"), (too_large, "'k' may outgrow 64 bits"), (fibonacci, ""),
    (grows, "'x' is a tensor f64[10] before the loop and a tensor f64[11]"), (method_with_state, "a Box is changed"),
    (global_in_a_helper, "the variable 'COUNT' of an outer scope"), (caught, "used as a list index"),
    (raised, "ValueError: no"), (no_tensor, "nothing in it depends on a tensor"), (asked_for, "pb.unroll"),
    (break_in_the_first_trip, "nothing in it depends on a tensor"),
    (short, "it is short"), (unset_without_trips, "it is short"),
]  # fmt: skip


def check(f: Callable[[Any], Any], x: Any) -> Any:
    """Compares the compiled function with Python's run; gives the notes on its loops."""
    expected = pb.nest.flatten(f(x))
    g = pb.function(f)
    before = depth()
    found = pb.nest.flatten(g(x))
    assert depth() == before
    assert not trials.open
    concrete = g.get_concrete_function(x)
    verify(concrete.ir)
    assert g.experimental_get_tracing_count() == 1
    for e, y in zip(expected, found, strict=True):
        assert not isinstance(e, pb.Tensor) or e.dtype == y.dtype
        np.testing.assert_allclose(np.asarray(y), np.asarray(e), rtol=1e-12)
    return concrete.loops


X = pb.constant(np.arange(1.0, 11.0))


@pytest.mark.parametrize("f", ROLLED, ids=lambda f: f.__name__)
def test_rolled(f: Callable[[Any], Any]) -> None:
    assert [n.reason for n in check(f, X)] == [None] * len(check(f, X))
    assert all(n.first is None for n in check(f, X))


@pytest.mark.parametrize("f", [none_at_first, made_in_the_first_trip], ids=lambda f: f.__name__)
def test_rolled_after_the_first_trip(f: Callable[[Any], Any]) -> None:
    lazy.w = None
    (note,) = check(f, X)
    assert note.reason is None
    assert f is made_in_the_first_trip or "is None before the loop" in note.first


@pytest.mark.parametrize(("f", "reason"), UNROLLED, ids=lambda x: getattr(x, "__name__", ""))
def test_unrolled(f: Callable[[Any], Any], reason: str) -> None:
    notes = check(f, X)
    assert all(n.reason is not None and reason in n.reason for n in notes)


def test_one_of_two_loops_is_rolled() -> None:
    assert [n.reason is None for n in check(inner_only, X)] == [False, True]
    assert {n.reason is None for n in check(outer_only, X)} == {False, True}


@pytest.mark.parametrize("f", [f for f in ROLLED if f is not optimizer], ids=lambda f: f.__name__)
def test_gradients_are_those_of_the_eager_tape(f: Callable[[Any], Any]) -> None:
    def loss(x: Any) -> Any:
        outs = [y for y in pb.nest.flatten(f(x)) if isinstance(y, pb.Tensor) and y.dtype.is_floating]
        return sum(pb.reduce_sum(pb.sin(y)) for y in outs)

    grads = []
    for g in (loss, pb.function(loss)):
        with pb.GradientTape() as tape:
            tape.watch(X)
            y = g(X)
        grads.append(tape.gradient(y, X))
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-10, atol=1e-12)


def test_the_program_is_as_long_for_ten_trips_as_for_ten_million() -> None:
    def ops(n: int) -> int:
        @pb.function
        def f(x: Any) -> Any:
            h = 2.0 / n
            with pb.GradientTape() as t:
                t.watch(x)
                y, k = x, 0
                for i in range(n):
                    y = y + h * (1.01 * pb.sin(y) + 0.1 * i / n)
                    k += 1
                    if i % 2 == 0:
                        y = y * 1.0001
            return t.gradient(y, x), k

        concrete = f.get_concrete_function(pb.constant(0.5))
        callees = [op.attrs["callee"] for op in concrete.ir.body.walk() if "callee" in op.attrs]
        return sum(sum(1 for _ in fn.body.walk()) for fn in (concrete.ir, *callees))

    assert ops(10) == ops(1000) == ops(10_000_000)


def test_what_a_dropped_trial_did_is_taken_back() -> None:
    v = pb.Variable(1.0)
    made: list[Any] = []

    @pb.function
    def f(x: Any) -> Any:
        items = [x]
        for i in range(6):
            v.assign_add(1.0)
            items[0] = items[0] * weights[i]
            with pb.GradientTape() as t:
                t.watch(x)
                y = x * x
            x = x + t.gradient(y, x)
        return items[0], x

    concrete = f.get_concrete_function(pb.constant(1.0, pb.float64))
    assert [op.kind.name for op in concrete.ir.body.ops].count("for") == 0
    assert len(concrete.ir.params) == 1 + 6 + 1
    assert not made
    f(pb.constant(1.0, pb.float64))
    assert float(v) == 7.0


def test_explain_tells_what_became_of_loops() -> None:
    g = pb.function(inner_only)
    g(X)
    first = inner_only.__code__.co_firstlineno
    assert f"test_roll.py:{first + 2}: rolled, 6 trips" in g.explain()
    assert f"test_roll.py:{first + 3}: unrolled 5 trips: the number is used as a list index" in g.explain()
