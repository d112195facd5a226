"""Python floats as arguments: values of the program from the third on, compiled in where they shape it, same bits."""

from __future__ import annotations

import math
import numbers
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.tracer import float_arguments
from pullback.tracer.function import Function

INF, NAN = float("inf"), float("nan")
FLOATS = [0.1, -2.5, 3.7, 0.0, -0.0, INF, -INF, NAN, 1e-310, 1e300, 1 / 3, 2.0, 1.0, -1.0, 0.5, 1 + 2**-24]
OUTSIDE = np.array([1.0, 2.0, 3.0])
NUMBERS = [1.5, -0.0, 0.0, INF, NAN, 3e38, 1e-40, -7.25]


def x32() -> Any:
    return pb.constant(np.array(NUMBERS, np.float32))


def same_bits(a: Any, b: Any) -> None:
    """Structures of tensors or numbers, equal to the bit; a NaN is a NaN."""
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for v, w in zip(a, b, strict=True):
            same_bits(v, w)
        return
    a, b = (np.asarray(v.numpy() if hasattr(v, "numpy") else v) for v in (a, b))
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_array_equal(a, b)
    if a.dtype.kind == "f":
        there = ~np.isnan(a)
        np.testing.assert_array_equal(np.signbit(a[there]), np.signbit(b[there]))


def outcome(f: Callable[..., Any], *args: Any) -> Any:
    try:
        return f(*args)
    except Exception as e:
        return type(e)


def tensor(x: Any) -> Any:
    """A Python number that eager code gave back, as the compiled function returns it."""
    if isinstance(x, (list, tuple)):
        return [tensor(v) for v in x]
    return pb.constant(x) if isinstance(x, (int, float)) else x


# ---------------------------------------------------------------- values of the program
def helper(x: Any, a: float) -> Any:
    return x * a


def chosen(x: Any, a: float) -> Any:
    return pb.where(x > a, x, a), a < x, a == x, pb.maximum(x, a)


def looped(x: Any, a: float) -> Any:
    for i in range(50):
        x = x - a * x * 0.5 + a * i
    return x


def branch(x: Any, a: float) -> Any:
    if pb.reduce_sum(x[:1]) > 0:
        return x * a
    return x - a


def stepped(x: Any, a: float) -> Any:
    with pb.GradientTape() as t:
        t.watch(x)
        y = pb.reduce_sum(x * x * a)
    return x - a * t.gradient(y, x)


def inner(x: Any, a: float) -> Any:
    scale = lambda z: z * a  # noqa: E731
    return [scale(v) for v in (x, x + 1.0, 2.0)]


def rebound(x: Any, a: float) -> Any:
    a *= 0.9
    b = 2.0 * a + 0.1
    return x * b, x - (-a), x * (a / 3.0 - 1), x * (a * a), x * abs(a), x + (a + True)


def asked(x: Any, a: float) -> Any:
    if a is not None and isinstance(a, float) and isinstance(a, numbers.Real) and type(a) is float:
        return x * float(a)
    return x


VALUES: list[Callable[[Any, float], Any]] = [
    lambda x, a: x + a, lambda x, a: a - x, lambda x, a: x * a, lambda x, a: x / a, lambda x, a: a / x,
    lambda x, a: x * -a, lambda x, a: pb.cast(x, pb.float64) * a, lambda x, a: pb.cast(x, pb.float16) * a,
    lambda x, a: pb.cast(x, pb.float64) * pb.constant(a, pb.float64), lambda x, a: x + pb.constant(a),
    lambda x, a: pb.fill([3], a), lambda x, a: pb.stack([a, x[0]]), lambda x, a: (x, a, [2.0 * a, -a]),
    lambda x, a: pb.clip_by_value(x, -abs(a), abs(a)), lambda x, a: helper(x, a) + helper(x, a * 0.5),
    lambda x, a: x[:3] * (np.array([1.0, 2, 3]) * a), lambda x, a: pb.ones([3]) * a, lambda x, a: x,
    chosen, looped, branch, stepped, inner, rebound, asked,
]  # fmt: skip


@pytest.mark.parametrize("python", VALUES)
def test_three_traces_serve_all_values(python: Callable[..., Any]) -> None:
    f = pb.function(python)
    for a in FLOATS:
        same_bits(f(x32(), a), tensor(python(x32(), a)))
    for a in FLOATS[::3]:
        same_bits(f(x32(), a), pb.function(python)(x32(), a))
    assert f.trace_count == 3
    assert "a value of the program from here on: 'a'" in f.explain()


def test_the_values_against_numpy() -> None:
    f = pb.function(lambda x, a: (2.0 * a + 0.1) * x - a / x)
    x = np.array([1.5, -3.25, 1e-20], np.float32)
    for a in FLOATS:
        with np.errstate(all="ignore"):
            expected = np.float32(2.0 * a + 0.1) * x - np.float32(a) / x
        np.testing.assert_array_equal(f(pb.constant(x), a).numpy(), expected)
    assert f.trace_count == 3


def test_the_first_two_values_are_compiled_in() -> None:
    f = pb.function(lambda x, a: x * a)
    for a in (0.5, 0.25, 0.5, 0.25):
        f(x32(), a)
    assert f.trace_count == 2
    assert len(f._concretes[0].ir.params) == 1


def test_nan_is_one_value_and_zeros_are_two() -> None:
    f = pb.function(lambda x, a: x * a)
    for a in (NAN, float("nan"), -NAN, 0.0):
        f(x32(), a)
    assert f.trace_count == 2
    f(x32(), -0.0)
    assert f.trace_count == 3
    assert "=float)" in f.explain()


def test_each_float_counts_for_itself() -> None:
    f = pb.function(lambda x, lr, momentum: x * momentum - lr)
    for k in range(20):
        same_bits(f(x32(), 0.1 * k, 0.9), x32() * 0.9 - 0.1 * k)
        with pb.GradientTape() as tape:
            t = x32()
            tape.watch(t)
            y = f(t, 0.1 * k, 0.9)
        same_bits(tape.gradient(y, t), pb.fill([8], 0.9))
    assert f.trace_count == 3
    for k in range(20):
        same_bits(f(x32(), 0.1 * k, 0.01 * k), x32() * (0.01 * k) - 0.1 * k)
    assert f.trace_count == 5


def test_sizes_and_floats_vary_together() -> None:
    f = pb.function(lambda x, a: pb.reduce_sum(x * a) + x[0])
    for n in range(2, 40):
        x = np.arange(1, n + 1, dtype=np.float32)
        same_bits(f(pb.constant(x), n / 8), np.float32((x * np.float32(n / 8)).sum() + x[0]))
    assert f.trace_count == 4


# ---------------------------------------------------------------- values that shape the program
def if_(x: Any, a: float) -> Any:
    return x * a if a > 0 else x - a


def hidden_if(x: Any, a: float) -> Any:
    if a * 1.0:
        return x
    return x * 2.0


def compares(x: Any, a: float) -> Any:
    return x * 2.0 if a == 0.1 or a > 3 else x


def in_helper(x: Any, a: float) -> Any:
    return compares(x, a)


def int_of(x: Any, a: float) -> Any:
    return x * int(a) if math.isfinite(a) else x


def swallowing(x: Any, a: float) -> Any:
    try:
        return x * int(a + 0.0)
    except BaseException:
        return x


def divides(x: Any, a: float) -> Any:
    try:
        return x * (1.0 / a)
    except ZeroDivisionError:
        return x


def trips(x: Any, a: float) -> Any:
    for _ in range(int(min(abs(a), 3.0)) if a == a else 1):
        x = x + a
    return x


def adds_up(x: Any, a: float) -> Any:
    s = 0.0
    for i in range(50):
        s = s + a
        x = x + s * i
    return x


def changed_by_tensor(x: Any, a: float) -> Any:
    if pb.reduce_sum(x[:1]) > 0:
        y = a
    else:
        y = 1.0
    return x * y


def formatted(x: Any, a: float) -> Any:
    return x * len(f"{a * 1:.3f}")


def key(x: Any, a: float) -> Any:
    return x * {0.1: 5.0, 2.0: 3.0}.get(a, 1.0)


def decimal(x: Any, a: float) -> Any:
    return x * len(repr(a)) + x * len(a.hex())


SHAPING = [
    if_, hidden_if, compares, in_helper, int_of, swallowing, divides, trips, adds_up, changed_by_tensor, formatted, key,
    decimal, lambda x, a: x * math.atan(a), lambda x, a: x * np.tanh(a), lambda x, a: x * round(a * 0.0 + 1.26, 1),
    lambda x, a: x * max(a, 0.3), lambda x, a: x**a, lambda x, a: pb.abs(x) ** a, lambda x, a: x * a**2,
    lambda x, a: pb.pow(x, a * 1.0), lambda x, a: x * pb.exp(a), lambda x, a: x * (a % 0.3), lambda x, a: x * (a // 1),
    lambda x, a: x * sum([a, a, 1e16, -1e16]), lambda x, a: x * sum(a for _ in range(3)),
    lambda x, a: x * sorted([a, 1.0])[0], lambda x, a: pb.reduce_sum([a, a]),
    lambda x, a: x * (np.float64(2.0) * a), lambda x, a: x[:3] * (OUTSIDE * a), lambda x, a: x[:3] * (a * OUTSIDE),
    lambda x, a: x * pb.reduce_sum(pb.ones([3]) * a), lambda x, a: x * (1 if a in (0.1, 2.0) else 2),
]  # fmt: skip


@pytest.mark.parametrize("python", SHAPING)
def test_what_python_needs_is_compiled_for_each_value(python: Callable[..., Any]) -> None:
    f = pb.function(python)
    given = [0.1, -2.5, 0.0, -0.0, 2.0, 0.5, 1 / 3]
    for a in given:
        same_bits(f(x32(), a), pb.function(python)(x32(), a))
    assert f.trace_count == len(given)
    assert "the value of 'a' shapes the program: " in f.explain()


@pytest.mark.parametrize("python", SHAPING)
def test_an_attempt_finds_out_what_the_source_does_not_show(python: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(float_arguments, "shaping_uses", lambda python: {})
    test_what_python_needs_is_compiled_for_each_value(python)


def test_explain_names_the_line() -> None:
    f = pb.function(if_)
    for a in (0.1, 0.2, 0.3):
        f(x32(), a)
    line = if_.__code__.co_firstlineno + 1
    assert f"the value of 'a' shapes the program: it is compared [test_float_arguments.py:{line}]" in f.explain()
    g = pb.function(in_helper)
    for a in (0.1, 0.2, 0.3):
        g(x32(), a)
    line = compares.__code__.co_firstlineno + 1
    assert f"Python compares the number [test_float_arguments.py:{line}]" in g.explain()


def error_of(f: Callable[..., Any], a: float) -> Any:
    try:
        return f(x32(), a)
    except Exception as e:
        return e


@pytest.mark.parametrize(
    "python",
    [
        lambda x, a: pb.cast(x, pb.int32) * a,
        lambda x, a: x[a],
        lambda x, a: pb.reshape(x, [a]),
        lambda x, a: x * a.shape,
        lambda x, a: x + a + {},
        lambda x, a: pb.reduce_sum(x, axis=a),
    ],
)
def test_errors_stay_what_they_are(python: Callable[..., Any]) -> None:
    f = pb.function(python)
    for a in (0.1, 0.2, 0.3, 0.4):
        found, fresh = error_of(f, a), error_of(pb.function(python), a)
        assert isinstance(fresh, Exception)
        assert (type(found), str(found)) == (type(fresh), str(fresh))
    assert f.trace_count == 0


# ---------------------------------------------------------------- what Python sees of it
def test_python_runs_once_a_trace() -> None:
    seen: list[int] = []

    def counted(x: Any, a: float) -> Any:
        seen.append(1)
        return x * a

    f = pb.function(counted)
    for a in FLOATS:
        f(x32(), a)
    assert len(seen) == f.trace_count == 3


def test_a_use_in_sight_costs_no_attempt() -> None:
    seen: list[int] = []

    def counted(x: Any, a: float) -> Any:
        seen.append(1)
        b = a + 1.0
        return x if b > 2 else x * 2.0

    f = pb.function(counted)
    for k in range(8):
        f(x32(), k / 2)
    assert len(seen) == f.trace_count == 8


def test_an_attempt_in_vain_draws_no_random_numbers() -> None:
    def noisy(x: Any, a: float) -> Any:
        return x + pb.random.uniform(x.shape) * float(len(str([a])))

    def values() -> list[Any]:
        pb.random.set_seed(3)
        f = pb.function(noisy)
        return [f(pb.ones([4]), a).numpy() for a in (0.1, 0.2, 0.3, 0.4)]

    pb.random.set_seed(3)
    expected = [noisy(pb.ones([4]), a).numpy() for a in (0.1, 0.2, 0.3, 0.4)]
    np.testing.assert_array_equal(values(), expected)


class Keeper:
    kept: Any = None


def test_an_object_that_keeps_the_number_gets_the_float() -> None:
    keeper, log = Keeper(), []

    def remember(a: float) -> None:
        keeper.kept = a

    def kept(x: Any, a: float) -> Any:
        remember(a * 2.0)
        log.append(a)
        return x * a

    f = pb.function(kept)
    for a in (0.1, 0.2, 0.3, 0.4):
        f(x32(), a)
        assert type(keeper.kept) is float
        assert keeper.kept == a * 2.0
    assert log == [0.1, 0.2, 0.3, 0.4]
    assert all(type(v) is float for v in log)

    def hidden(x: Any, a: float) -> Any:
        remember(a * 2.0)
        return x * a

    g = pb.function(hidden)
    for a in (0.1, 0.2, 0.3, 0.4):
        g(x32(), a)
        assert type(keeper.kept) is float
    assert "an object keeps the number" in g.explain()


def test_foreign_code_gets_a_float() -> None:
    seen: list[Any] = []

    @pb.autograph.experimental.do_not_convert
    def foreign(a: Any) -> Any:
        seen.append(type(a))
        return a

    f = pb.function(lambda x, a: x * foreign(a))
    for a in (0.1, 0.2, 0.3, 0.4):
        same_bits(f(x32(), a), x32() * a)
    assert seen == [float] * 4


# ---------------------------------------------------------------- tapes and gradients
def test_tapes_around_the_call() -> None:
    f = pb.function(lambda x, a: pb.reduce_sum(x * x * a) / a)
    x = np.array([1.0, -2.0, 0.25], np.float32)
    for k in range(1, 9):
        t = pb.constant(x)
        with pb.GradientTape() as outer:
            outer.watch(t)
            with pb.GradientTape() as tape:
                tape.watch(t)
                y = f(t, k * 0.25)
            g = tape.gradient(y, t)
        np.testing.assert_allclose(g.numpy(), 2 * x, rtol=1e-6)
        np.testing.assert_allclose(outer.gradient(g, t).numpy(), np.full(3, 2.0), rtol=1e-6)
    assert f.trace_count == 3


def test_variables_and_schedules() -> None:
    v, w = pb.Variable([1.0, -2.0]), pb.Variable([1.0, -2.0])

    @pb.function
    def step(lr: float) -> Any:
        with pb.GradientTape() as t:
            loss = pb.reduce_sum(v * v * v)
        v.assign_sub(lr * t.gradient(loss, v))
        return loss

    for k in range(12):
        lr = 0.01 / (1 + k)
        loss = step(lr)
        same_bits(loss, pb.reduce_sum(w * w * w))
        w.assign_sub(lr * (3.0 * (w * w)))
        np.testing.assert_allclose(v.numpy(), w.numpy(), rtol=1e-6)
    assert step.trace_count == 3


# ---------------------------------------------------------------- ways to call
def test_functions_that_call_functions() -> None:
    @pb.function
    def low(x: Any, a: float) -> Any:
        return x * a + 2.0 * a

    @pb.function
    def high(x: Any, a: float) -> Any:
        return low(x, a) - low(x, 3.0 * a) + low(x, 0.5)

    for a in FLOATS:
        same_bits(high(x32(), a), pb.function(high.python_function)(x32(), a))
    assert high.trace_count == 3
    before = low.trace_count
    for a in (0.7, 0.8, 0.9, 0.75):
        same_bits(low(x32(), a), x32() * a + 2.0 * a)
    assert low.trace_count <= before + 3


def test_a_declared_function_inside_gets_its_dtype() -> None:
    low = pb.function(lambda x, a: x * a, input_signature=[pb.TensorSpec([8]), pb.TensorSpec([])])
    high = pb.function(lambda x, a: low(x, 2.0 * a))
    for a in FLOATS:
        same_bits(high(x32(), a), x32() * (2.0 * a))
    assert (high.trace_count, low.trace_count) == (3, 1)


def test_a_function_inside_that_needs_the_value() -> None:
    low = pb.function(if_)

    @pb.function
    def high(x: Any, a: float) -> Any:
        return low(x, a) * 2.0

    @pb.function
    def in_a_list(x: Any, a: float) -> Any:
        return pb.function(lambda x, many: x * many[0])(x, [a])

    for a in (0.1, -0.2, 0.3, -0.4):
        same_bits(high(x32(), a), if_(x32(), a) * 2.0)
        same_bits(in_a_list(x32(), a), x32() * a)
    assert high.trace_count == in_a_list.trace_count == 4
    assert "the value of 'a' shapes the program" in high.explain()


def test_methods_keywords_and_defaults() -> None:
    class Model:
        def __init__(self) -> None:
            self.w = pb.Variable([2.0, 3.0])

        @pb.function
        def scale(self, x: Any, *, by: float = 0.5, shift: float = 0.25) -> Any:
            return self.w * x * by + shift

    m, x = Model(), pb.constant([1.0, -1.0])
    for k in range(10):
        same_bits(m.scale(x, by=0.1 * k), m.w * x * (0.1 * k) + 0.25)
        same_bits(m.scale(x, shift=-1.0 * k), m.w * x * 0.5 + -1.0 * k)
        same_bits(m.scale(x), m.w * x * 0.5 + 0.25)
    assert m.scale.trace_count <= 7

    f = pb.function(lambda x, a=0.5: x * a)
    for a in (0.1, 0.2, 0.3, 0.4):
        same_bits(f(x, a), x * a)
        same_bits(f(x, a=a), x * a)
        same_bits(f(x), x * 0.5)
    assert f.trace_count <= 5


def test_other_numbers_keep_their_traces() -> None:
    class Special(float):
        pass

    f = pb.function(lambda x, a: x * a)
    for a in (0.1, 0.2, 0.3, 0.4):
        f(x32(), a)
    assert f.trace_count == 3
    for other in (1, True, np.float32(0.5), np.float64(0.5), np.array(0.5, np.float32), pb.constant(0.5), Special(0.5)):
        same_bits(outcome(f, x32(), other), outcome(pb.function(lambda x, a: x * a), x32(), other))
    i = pb.constant([1, 2])
    g = pb.function(lambda x, a: x * a)
    for k in range(5):
        same_bits(g(i, k), i * k)
    assert g.trace_count == 5
    assert "each int 'a' has a program of its own" in g.explain()


def test_containers_keep_their_traces() -> None:
    f = pb.function(lambda x, many: x * many["a"] + many["b"][0])
    for k in range(4):
        same_bits(f(x32(), {"a": k / 4, "b": (0.5,)}), x32() * (k / 4) + 0.5)
    assert f.trace_count == 4


def test_ndarrays_with_floats() -> None:
    @pb.function
    def f(x: Any, a: float) -> Any:
        return np.maximum(x, a) - x * a

    x = np.array([1.0, 2.5, -3.0])
    for a in FLOATS:
        with np.errstate(all="ignore"):
            same_bits(f(x, a), np.maximum(x, a) - x * a)
    assert f.trace_count == 3


def test_calls_with_new_values_are_native(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x, a, b=None: x * a)
    for a in (0.1, 0.2, 0.3):
        f(x32(), a)
        f(x32(), a=a)
    monkeypatch.setattr(Function, "_slow_call", lambda *args, **kwargs: pytest.fail("Python was called"))
    for k in range(10):
        same_bits(f(x32(), k / 7), x32() * (k / 7))
        same_bits(f(x32(), a=k / 7), x32() * (k / 7))


def test_concrete_functions_have_their_float_compiled_in() -> None:
    f = pb.function(lambda x, a: x * a)
    for a in (0.1, 0.2, 0.3, 0.4):
        f(x32(), a)
    concrete = f.get_concrete_function(x32(), 0.7)
    same_bits(concrete(x32()), x32() * 0.7)
    assert len(concrete.inputs) == 1


def test_declared_types_and_plain_python_are_left_alone() -> None:
    f = pb.function(lambda x, a: x * a, input_signature=[pb.TensorSpec([8]), pb.TensorSpec([])])
    for a in FLOATS:
        same_bits(f(x32(), a), x32() * a)
    assert f.trace_count == 1
    g = pb.function(lambda x, a: x * a, autograph=False)
    for a in (0.1, 0.2, 0.3, 0.4):
        same_bits(g(x32(), a), x32() * a)
    assert g.trace_count == 4
    assert "not rewritten" in g.explain()


def test_eagerly_there_are_no_traces() -> None:
    f = pb.function(lambda x, a: x * a)
    pb.config.run_functions_eagerly(True)
    try:
        for a in FLOATS:
            same_bits(f(x32(), a), x32() * a)
    finally:
        pb.config.run_functions_eagerly(False)
    assert f.trace_count == 0


def test_a_function_that_cannot_be_compiled_gets_its_float() -> None:
    seen: list[type] = []

    @pb.function
    def grown(x: Any, n: Any, a: float) -> Any:
        if n is None:
            return x * a
        for _ in pb.range(n):
            pb.autograph.experimental.set_loop_options(shape_invariants=[(x, pb.TensorShape([None]))])
            x = pb.concat([x, x * a], 0)
        seen.append(type(a))
        return x

    for a in (0.5, 0.25, 0.125, 2.0):
        same_bits(grown(pb.constant([1.0]), None, a), pb.constant([a]))
        same_bits(grown(pb.constant([1.0]), pb.constant(1), a), pb.constant([1.0, a]))
    assert seen == [float] * len(seen)
    assert len(seen) >= 4
    assert grown.trace_count == 7


def test_loops_of_an_outer_function_do_not_count() -> None:
    low = pb.function(lambda x, a: x * a)

    @pb.function
    def high(x: Any) -> Any:
        for a in (0.1, 0.2, 0.3, 0.4, 0.5):
            x = low(x, a)
        return x

    expected = x32()
    for a in (0.1, 0.2, 0.3, 0.4, 0.5):
        expected = expected * a
    same_bits(high(x32()), expected)


def test_several_threads() -> None:
    f = pb.function(lambda x, a: pb.reduce_sum(x * a) + a)
    x = np.arange(100, dtype=np.float32)
    wrong: list[Any] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        start.wait()
        for k in range(200):
            a = (seed * 1000 + k) / 64
            if float(f(pb.constant(x), a)) != float(np.float32(np.float32(a) * np.float32(4950)) + np.float32(a)):
                wrong.append(a)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert f.trace_count == 3
    assert not [a for a in wrong if abs(a * 4950) < 2**17]


def test_the_disk_cache_serves_another_process(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import sys
        import numpy as np
        import pullback as pb

        if sys.argv[1] == "second":
            from pullback.codegen import jit
            def refused(*args): raise SystemExit("compiled again")
            jit._with_module = refused

        @pb.function
        def f(x, a):
            return x - a * x

        x = np.arange(8, dtype=np.float32)
        for a in (0.5, 0.25, 0.125, 0.75, 3.0):
            assert np.array_equal(f(pb.constant(x), a).numpy(), x - np.float32(a) * x)
        print(f.trace_count)
        """)
    )
    root = Path(pb.__file__).parent.parent
    env = {**os.environ, "PULLBACK_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(root)}
    for word in ("first", "second"):
        out = subprocess.run([sys.executable, str(program), word], capture_output=True, text=True, env=env, check=False)
        assert out.stdout.strip() == "3", out.stderr
