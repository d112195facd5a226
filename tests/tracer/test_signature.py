"""Canonical arguments: what binds to the same values, and what is refused."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from pullback.tracer.signature import Signature, name_of


def f(a: Any, b: Any = 2, *rest: Any, c: Any = 3, **more: Any) -> Any:
    return (a, b, rest, c, more)


def g(a: Any, b: Any = 2) -> Any:
    return (a, b)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1,), {}), ((1, 2), {}), ((), {"a": 1}), ((1,), {"b": 2}), ((), {"b": 2, "a": 1})],
)
def test_one_canonical_form(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert Signature(g, "g").bind(args, kwargs) == (1, 2)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1,), {}), ((1, 5, 6, 7), {}), ((1,), {"c": 9}), ((1,), {"z": 4, "y": 5}), ((1, 2, 3), {"c": 0, "w": 1})],
)
def test_arguments_reach_the_function_unchanged(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    signature = Signature(f, "f")
    a, k = signature.call_arguments(signature.bind(args, kwargs))
    assert f(*a, **k) == f(*args, **kwargs)


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"c": 1}), ((1,), {"a": 2})])
def test_bad_arguments_name_function_and_line(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"g\(a, b=2\): .*\[test_signature.py:\d+\]"):
        Signature(g, "g").bind(args, kwargs)


def test_partial_builtin_and_callable_object() -> None:
    assert Signature(functools.partial(f, 1), "p").names == ["b", "rest", "c", "more"]
    assert Signature(dict, "dict").bind((1,), {"a": 2}) == ((1,), {"a": 2})

    class Callable:
        def __call__(self, x: Any) -> Any:
            return x

    assert Signature(Callable(), "c").names == ["x"]
    assert name_of(Callable()) == "Callable"
    assert name_of(functools.partial(f, 1)) == "f"
    assert name_of(lambda: 0) == "lambda"


def test_skipped_self() -> None:
    class C:
        def m(self, x: Any, y: Any = 1) -> Any:
            return x

    assert Signature(C.m, "m", skip=1).names == ["x", "y"]
