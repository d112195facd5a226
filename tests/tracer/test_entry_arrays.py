"""Calls with ndarrays are native: they agree with NumPy, write in place, and give way to Python where they must."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.runtime.array import Array
from pullback.runtime.context import slow_mode

from .native_calls import native, slow_calls


def vector() -> Any:
    return np.linspace(0.5, 3.0, 6)


def matrix() -> Any:
    return np.arange(24.0).reshape(6, 4) / 7 - 1.03


def smooth(A: Any) -> None:
    A[1:-1] = 0.5 * (A[2:] + A[:-2])


def swap(x: Any, y: Any) -> None:
    z = x.copy()
    x[:] = y
    y[:] = z


def recur(x: Any, A: Any) -> Any:
    for i in range(1, 6):
        x[i] = x[i - 1] * 0.5 + A[i, 1]
        A[i] += x[i]
    return A[2:4], np.sum(x)


def place(x: Any, i: Any, v: Any) -> Any:
    x[i] = v
    return x


def shift(x: Any) -> None:
    x[1:] = x[:-1] * 2.0


def count(n: Any, z: Any) -> Any:
    n += 1.0
    z[...] = z + 1.0
    return n * z


def halve(x: Any) -> Any:
    x /= 2.0
    return {"x": x, "rest": (x + 1.0, None)}


PROGRAMS: list[tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]] = [
    (lambda x: x * 2, lambda: (vector(),)),
    (lambda x: np.sin(x) + 1.0, lambda: (vector(),)),
    (lambda x, A: (np.dot(x, A), [np.exp(x), x]), lambda: (vector(), matrix())),
    (lambda x, k, n: x * k + n, lambda: (vector(), np.float64(0.3), np.int64(3))),
    (lambda x, k: x * k, lambda: (vector().astype(np.float32), np.float32(0.3))),
    (lambda x, m: np.where(m, x, -x), lambda: (vector(), vector() > 1.0)),
    (lambda x, i: x[i], lambda: (vector(), np.array([3, -1, 0]))),
    (lambda z: np.sqrt(z) + z, lambda: (np.array(2.0),)),
    (lambda x: np.sum(x), lambda: (np.zeros((0, 3)),)),
    (smooth, lambda: (vector(),)),
    (smooth, lambda: (np.linspace(0, 1, 100_000) ** 2,)),
    (swap, lambda: (vector(), vector() + 9.0)),
    (recur, lambda: (vector(), matrix())),
    (place, lambda: (vector(), np.int64(-2), np.float64(7.5))),
    (place, lambda: (vector(), np.array([1, 4]), np.array([7.5, 8.5]))),
    (shift, lambda: (vector(),)),
    (halve, lambda: (vector(),)),
    (count, lambda: (np.float64(2.0), np.array(3.0))),
]


def same(a: Any, b: Any) -> None:
    if isinstance(b, (list, tuple)):
        assert type(a) is type(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        same(list(a.values()), list(b.values()))
    elif b is None:
        assert a is None
    else:
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-6 if np.asarray(b).dtype == np.float32 else 1e-13)


@native
@pytest.mark.parametrize(("f", "make"), PROGRAMS)
def test_native_calls_are_plain_numpy(
    f: Callable[..., Any], make: Callable[[], tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = pb.function(f)
    slow = make()
    first = compiled(*slow)
    seen = slow_calls(compiled, monkeypatch)
    for _ in range(3):
        theirs, ours = make(), make()
        same(compiled(*ours), f(*theirs))
        same(list(ours), list(theirs))
        same(list(ours), list(slow))
    assert seen == []
    fresh = compiled(*make())
    assert types(fresh) == types(first)
    for out in leaves(fresh):
        assert not any(np.shares_memory(out._data, x) for x in ours if isinstance(x, np.ndarray))


def leaves(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [y for v in x for y in leaves(v)]
    return leaves(list(x.values())) if isinstance(x, dict) else [] if x is None else [x]


def types(x: Any) -> list[type]:
    return [type(y) for y in leaves(x)]


class Sub(np.ndarray[Any, Any]):
    pass


def odd_vectors() -> dict[str, Any]:
    x = vector()
    wide = np.zeros(12)
    wide[::2] = x
    raw = np.zeros(49, np.uint8)
    misaligned = raw[1:].view(np.float64)
    misaligned[:] = x
    return {
        "float32": x.astype(np.float32), "int": x.astype(np.int32), "longer": np.linspace(0, 1, 9), "matrix": x[None],
        "strided": wide[::2], "reversed": x[::-1].copy()[::-1], "misaligned": misaligned, "byte order": x.astype(">f8"),
        "subclass": x.view(Sub), "tensor": pb.constant(x), "array of ours": pb.array(x),
    }  # fmt: skip


@native
@pytest.mark.parametrize("name", odd_vectors())
@pytest.mark.parametrize("f", [lambda x: x * 2 + 1, smooth], ids=["reads", "writes"])
def test_every_guard_misses(f: Callable[..., Any], name: str) -> None:
    """Called first with what the entry serves; then results and the caller's arrays are still NumPy's."""
    compiled = pb.function(f)
    for _ in range(3):
        compiled(vector())
    x, plain = odd_vectors()[name], odd_vectors()[name]
    if not isinstance(x, np.ndarray):
        plain = np.asarray(plain).copy()
    if name == "matrix" and f is smooth:
        x, plain = np.repeat(x, 3, 0), np.repeat(plain, 3, 0)
    for _ in range(3):
        found, expected = compiled(x), f(plain)
        np.testing.assert_allclose(np.asarray(x), plain, rtol=1e-6)
        if expected is not None:
            np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
    y, z = vector(), vector()
    compiled(y), f(z)
    np.testing.assert_array_equal(y, z)


def test_read_only_arguments() -> None:
    reads, writes = pb.function(lambda x: x + 1.0), pb.function(smooth)
    for _ in range(2):
        reads(vector()), writes(vector())
    x = vector()
    x.flags.writeable = False
    np.testing.assert_array_equal(np.asarray(reads(x)), x + 1.0)
    with pytest.raises(ValueError, match="read-only"):
        writes(x)
    np.testing.assert_array_equal(x, vector())


def test_arguments_that_overlap() -> None:
    f, g = pb.function(swap), pb.function(lambda x, y: x - y)
    for _ in range(2):
        f(vector(), vector()), g(vector(), vector())
    x = np.arange(12.0)
    assert not np.asarray(g(x[:6], x[:6])).any()
    np.testing.assert_array_equal(np.asarray(g(x[1:7], x[:6])), np.ones(6))
    for pair in ((x[:6], x[:6]), (x[:6], x[3:9])):
        with pytest.raises(ValueError, match="shares its memory"):
            f(*pair)
    np.testing.assert_array_equal(x, np.arange(12.0))
    f(x[:6], x[6:])
    np.testing.assert_array_equal(x, [*range(6, 12), *range(6)])


def test_tapes_and_eager_runs_see_calls() -> None:
    f = pb.function(lambda x, A: (place(A, 0, np.sum(x)), np.sum(x * x))[1])
    x, A = vector(), vector()
    for _ in range(2):
        f(x, A)
    t = pb.array(x)
    with pb.GradientTape() as tape:
        tape.watch(t)
        y = f(t, A)
    np.testing.assert_allclose(np.asarray(tape.gradient(y, t)), 2 * x)
    A[0] = 0.0
    pb.config.run_functions_eagerly(True)
    try:
        assert float(f(x, A)) == pytest.approx(np.sum(x * x))
    finally:
        pb.config.run_functions_eagerly(False)
    assert A[0] == pytest.approx(x.sum())


@native
def test_results_fed_back_are_native(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x: np.sqrt(x))
    y = f(f(f(vector())))
    seen = slow_calls(f, monkeypatch)
    y = f(f(f(vector())))
    assert type(y) is Array
    np.testing.assert_allclose(np.asarray(y), vector() ** 0.125)
    assert seen == []


@native
def test_arrays_beside_constants_and_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        @pb.function
        def move(self, x: Any, flag: bool, y: Any, k: float = 2.0) -> Any:
            x[:] = x + k * y if flag else y
            return np.sum(y)

    model = Model()
    for flag in (True, False):
        model.move(vector(), flag, vector())
    seen = slow_calls(model.move.__func__, monkeypatch)
    x = vector()
    assert float(model.move(x, True, vector())) == vector().sum()
    np.testing.assert_array_equal(x, 3 * vector())
    model.move(x, False, np.ones(6))
    np.testing.assert_array_equal(x, np.ones(6))
    assert seen == []


@native
def test_computed_numbers_are_constants_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x, dt, n, name: x * dt + n if name == "step" else x)
    f(vector(), 0.25, 1000, "step")
    seen = slow_calls(f, monkeypatch)
    for k in range(20):
        n, name = int("1000"), "".join(["st", "ep"])
        np.testing.assert_array_equal(np.asarray(f(vector(), float(f"{k * 0 + 0.25}"), n, name)), vector() / 4 + 1000)
    assert seen == []
    assert np.signbit(np.asarray(f(vector() * 0, 0.0, 0.0, "step"))).sum() == 0
    assert np.signbit(np.asarray(f(vector() * 0, -0.0, -0.0, "step"))).sum() == 6


def test_failed_calls_leave_the_callers_arrays_as_they_were() -> None:
    def both(x: Any, i: Any) -> None:
        x[0] = 100.0
        x[i] = 7.0
        x[1:] = x[1:] * 2.0

    f, x = pb.function(both), vector()
    for _ in range(3):
        with pytest.raises(IndexError, match=r"test_entry_arrays\.py:\d+"):
            f(x, np.int64(11))
        np.testing.assert_array_equal(x, vector())
        f(x.copy(), np.int64(1))


@native
def test_no_leaks() -> None:
    f, g = pb.function(recur), pb.function(lambda x, k: {"a": x * k})
    x, A, k = vector(), matrix(), np.float64(1.0)
    for _ in range(3):
        f(x, A), g(x, k)
    watched = [x, A, k, Array, np.ndarray, x.dtype]
    gc.collect()
    tracemalloc.start()
    before, start = [sys.getrefcount(w) for w in watched], tracemalloc.get_traced_memory()[0]
    for _ in range(100_000):
        f(x, A), g(x, k)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    assert all(abs(a - sys.getrefcount(w)) < 20 for a, w in zip(before, watched, strict=True))
    assert size < 10_000


def test_results_outlive_function_and_arguments() -> None:
    f, x = pb.function(lambda x: (x, np.exp(x))), vector()
    for _ in range(3):
        out = f(x)
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None
    x[:] = 0.0
    del x
    np.testing.assert_array_equal(np.asarray(out[0]), vector())
    np.testing.assert_allclose(np.asarray(out[1]), np.exp(vector()))


@pytest.mark.parametrize("n", [10, 50_000])
def test_threads(n: int) -> None:
    def relax(A: Any, b: Any) -> Any:
        A[1:-1] = np.sin(A[2:]) + A[:-2] * b[1:-1]
        return A * 2.0

    f, b, wrong = pb.function(relax), np.full(n, 0.5), []

    def work(seed: int) -> None:
        A = np.linspace(0, seed + 1, n)
        B = A.copy()
        for _ in range(20):
            out, expected = f(A, b), relax(B, b)
            if not (np.allclose(A, B, rtol=1e-12) and np.allclose(np.asarray(out), expected, rtol=1e-12)):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_exceptions_in_traced_branches_leave_native_calls_on() -> None:
    """ndarrays that turn out to be arrays end a trace inside of a tape and a branch, and it starts again."""

    def slope(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = x * 1.0
            if y[0] > 0.2:
                y[0] = y[1] * 3.0
            z = pb.reduce_sum(y)
        return tape.gradient(z, x)

    before = slow_mode.count
    np.testing.assert_array_equal(np.asarray(pb.function(slope)(vector())), [0, 4, 1, 1, 1, 1])
    assert slow_mode.count == before
