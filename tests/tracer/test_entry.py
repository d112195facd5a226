"""Native entries in front of functions: they serve plain calls, and give way whenever something must be seen."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb

from .native_calls import native, slow_calls

X = np.array([1.0, 2.0, 3.0], np.float32)
CASES: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("single", lambda x: x * 2.0, (X,)),
    ("many", lambda x, y, z: (x + y, [z, x]), (X, X, X)),
    ("list", lambda x: [x, x + 1.0], (X,)),
    ("none", lambda x: None, (X,)),
    ("dict", lambda x: {"b": x, "a": (x * x, None)}, (X,)),
    ("constants", lambda x, k, flag, name: x * k if flag and name == "n" else x, (X, 3.0, True, "n")),
    ("default", lambda x, k=4.0: x * k, (X,)),
    ("any number", lambda *xs: (xs[0] * 2.0, [xs[-1], xs[1]]), (X, X + 1, X + 2)),
    ("one and any number", lambda x, *more: x + sum(more), (X, X, 3.0)),
    ("no arguments", lambda: pb.ones([2]), ()),
    ("scalars", lambda x, n: pb.cast(n, pb.float32) * x, (np.float32(2), np.int32(3))),
    ("big", lambda x: pb.reduce_sum(pb.sin(x)), (np.linspace(0, 1, 100_000, dtype=np.float32),)),
]


def same(a: Any, b: Any) -> None:
    if isinstance(a, (list, tuple)):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        same(list(a.values()), list(b.values()))
    elif a is None:
        assert b is None
    else:
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-6)


@native
@pytest.mark.parametrize(("name", "f", "arrays"), CASES, ids=[c[0] for c in CASES])
def test_second_call_does_not_reach_python(
    name: str, f: Callable[..., Any], arrays: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = pb.function(f)
    args = [pb.constant(a) if isinstance(a, (np.ndarray, np.generic)) else a for a in arrays]
    expected = f(*args)
    same(compiled(*args), expected)
    seen = slow_calls(compiled, monkeypatch)
    for _ in range(3):
        same(compiled(*args), expected)
    assert seen == []


@native
def test_methods_are_native_and_do_not_hold_their_object(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scale:
        k = 3.0

        @pb.function
        def call(self, x: Any, flag: bool = True) -> Any:
            return x * self.k if flag else x

    one, x = Scale(), pb.constant(2.0)
    for flag in (True, False):
        one.call(x, flag)
    seen = slow_calls(one.call.__func__, monkeypatch)
    assert [float(one.call(x, flag)) for flag in (True, False, True)] == [6.0, 2.0, 6.0]
    assert seen == []
    dead = weakref.ref(one)
    del one
    assert dead() is None


@native
def test_several_shapes_are_all_native(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x: pb.reduce_sum(x))
    sizes = range(1, 7)
    for n in sizes:
        f(pb.ones([n]))
    seen = slow_calls(f, monkeypatch)
    for n in (*sizes, *reversed(sizes)):
        assert float(f(pb.ones([n]))) == n
    assert seen == []
    many = pb.function(lambda x: pb.reduce_sum(x))
    for n in (*range(1, 30), *range(1, 30)):
        assert float(many(pb.ones([n]))) == n


@native
def test_calls_with_more_arguments_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x, *more: x * (1.0 + len(more)))
    slow = slow_calls(f, monkeypatch)
    x = pb.constant(X)
    for _ in range(3):
        for n in range(4):
            np.testing.assert_array_equal(f(*[x] * (n + 1)), X * (1 + n))
    assert len(slow) == 4


@native
def test_what_does_not_fit_goes_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x, k=2.0: x * k)
    x = pb.constant([1.0, 2.0])
    f(x)
    seen = slow_calls(f, monkeypatch)
    assert f(np.array([1.0, 2.0], np.float32)).numpy().tolist() == [2.0, 4.0]
    assert f(x, k=3.0).numpy().tolist() == [3.0, 6.0]
    assert f(x, 3.0).numpy().tolist() == [3.0, 6.0]
    assert f(pb.Variable([1.0, 2.0])).numpy().tolist() == [2.0, 4.0]
    with pytest.raises(TypeError):
        f()
    assert len(seen) == 5
    seen.clear()
    f(x)
    assert seen == []


@native
def test_tapes_and_traces_are_seen_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x: x * x)
    x = pb.constant(3.0)
    f(x)
    seen = slow_calls(f, monkeypatch)
    with pb.GradientTape() as t:
        t.watch(x)
        y = f(x)
    assert float(t.gradient(y, x)) == 6.0
    outer = pb.function(lambda x: f(x) + 1.0)
    outer(x)
    assert len(seen) == 2
    f(x)
    assert len(seen) == 2


@native
def test_variables_are_updated_in_place_but_never_under_a_reader() -> None:
    v = pb.Variable(np.zeros(1000, np.float32))

    @pb.function
    def step(x: Any) -> None:
        v.assign_add(x)

    x = pb.ones([1000])
    step(x)
    where = v._data.__array_interface__["data"][0]
    step(x)
    step(x)
    assert v._data.__array_interface__["data"][0] == where
    held = v.value()
    step(x)
    assert float(held[0]) == 3.0
    assert float(v[0]) == 4.0


def test_index_errors_come_back_as_exceptions() -> None:
    f = pb.function(lambda x, i: pb.gather(x, i))
    x = pb.constant([1.0, 2.0, 3.0])
    assert float(f(x, pb.constant(2))) == 3.0
    for _ in range(3):
        with pytest.raises(pb.errors.InvalidArgumentError, match=r"test_entry\.py:\d+"):
            f(x, pb.constant(7))
        assert float(f(x, pb.constant(0))) == 1.0


def test_replaced_eager_function_attributes_do_not_matter_to_entries() -> None:
    f = pb.function(lambda x: x + 1.0)
    x = pb.constant(1.0)
    for _ in range(2):
        assert float(f(x)) == 2.0
    f._clear()
    assert float(f(x)) == 2.0
    assert f.trace_count == 2


@pytest.mark.parametrize("modules", ["test_function.py test_methods.py", "test_compiled_call.py test_entry.py"])
def test_everything_without_native_entries(modules: str) -> None:
    if os.environ.get("PULLBACK_NATIVE_ENTRY") == "0":
        pytest.skip("this is that run")
    here = Path(__file__).parent
    env = os.environ | {"PULLBACK_NATIVE_ENTRY": "0"}
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *(str(here / m) for m in modules.split()),
    ]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300, cwd=here.parent.parent)
    assert done.returncode == 0, done.stdout[-3000:]
