"""Rewriting keeps what a Python function is: its cells, defaults, names, tracebacks; and knows what to leave alone."""

from __future__ import annotations

import ast
import functools
import inspect
import traceback
from typing import Any

import pytest

from pullback.tracer import rewrite
from pullback.tracer.rewrite import convert

OUTSIDE = 5


def run_lines(f: Any, *args: Any) -> list[int]:
    """The lines of this file in the traceback of what f raises."""
    with pytest.raises(ZeroDivisionError) as e:
        f(*args)
    return [s.lineno or 0 for s in traceback.extract_tb(e.value.__traceback__) if s.filename == __file__][1:]


def raises_in_many_places(k: int) -> float:
    """Docstring."""
    if k == 0:
        return 1 / k
    for i in range(3):
        while i < 2:
            if (
                i == 1
                and 1 / (k - 1)
            ):
                break
            i += 1
    x = 1 if k > 2 else 1 / (
        k - 2
    )

    def inner() -> float:
        return x / (k - 3)

    return inner()


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_tracebacks_have_the_lines_of_the_source_and_no_others(k: int) -> None:
    new = convert(raises_in_many_places)
    assert new is not raises_in_many_places
    assert run_lines(new, k) == run_lines(raises_in_many_places, k)
    assert new(7) == raises_in_many_places(7)


def test_identity() -> None:
    def f(a: int, b: int = 2, *args: int, c: int = 3, **kw: int) -> tuple[Any, ...]:
        """Text."""
        return (a, b, args, c, kw) if a else ()

    f.extra = 1  # type: ignore[attr-defined]
    new = convert(f)
    assert new is not f
    assert new(1, 2, 4, c=5, d=6) == f(1, 2, 4, c=5, d=6)
    assert inspect.signature(new) == inspect.signature(f)
    kept = "__name__ __qualname__ __doc__ __module__ __defaults__ __kwdefaults__ __annotations__"
    for name in kept.split():
        assert getattr(new, name) == getattr(f, name)
    assert new.extra == 1
    assert new.__globals__ is f.__globals__
    assert new.__code__.co_firstlineno == f.__code__.co_firstlineno
    assert convert(new) is new
    assert convert(f).__code__ is new.__code__


def test_cells_are_shared() -> None:
    count = 0

    def f() -> int:
        nonlocal count
        if count < 10:
            count += 1
        return count

    new = convert(f)
    assert (new(), f(), new(), count) == (1, 2, 3, 3)
    count = 8
    assert new() == 9


def test_defaults_are_not_evaluated_again() -> None:
    def f(x: list[int] = []) -> list[int]:  # noqa: B006
        if x is not None:
            x.append(1)
        return x

    assert convert(f)() is f.__defaults__[0]
    assert f.__defaults__ == ([1],)


class Base:
    """Has a method to be called by `super()`."""

    __secret = 1

    def value(self, k: int) -> int:
        return k

    @classmethod
    def make(cls, k: int) -> str:
        return cls.__name__ if k else ""

    @functools.cached_property
    def cached(self) -> int:
        return 1 if self.__secret else 0


class Derived(Base):
    """Uses everything that depends on the class around a method."""

    __secret = 2

    def value(self, k: int) -> int:
        if k > self.__secret:
            return super().value(k) + self.__hidden(k)
        return sum(self.__secret for _ in range(2)) + super(Derived, self).value(0)  # noqa: UP008

    def __hidden(self, k: int, *, __x: int = 4) -> int:
        __local = k
        while __local > 3:
            __local -= 1
        return __local + __x if __class__ is Derived else 0  # type: ignore[name-defined]


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_methods(k: int) -> None:
    d = Derived()
    assert convert(d.value)(k) == d.value(k)
    assert convert(Derived.value)(d, k) == d.value(k)
    assert convert(Derived.make)(k) == "Derived"
    assert convert(functools.partial(d.value, k))() == d.value(k)


def test_lambdas_are_told_apart() -> None:
    pair = [lambda x: x if x > 1 else -x, lambda x: x * 2 if x > 1 else x * 3]; nested = lambda y: (lambda x: x or y)  # noqa: E702, E731
    for f in (*pair, nested(7)):
        new = convert(f)
        assert new is not f
        assert [new(k) for k in (0, 1, 2)] == [f(k) for k in (0, 1, 2)]


def test_globals_and_deleted_names() -> None:
    def f(k: int) -> int:
        global OUTSIDE
        if k > 0:
            OUTSIDE = k
        elif k < 0:
            x = 1
            del x
        else:
            return x  # type: ignore[has-type,no-any-return]
        return OUTSIDE + (x if k < 0 else 0)  # type: ignore[no-any-return]

    new = convert(f)
    assert new(6) == 6
    assert OUTSIDE == 6
    for k in (0, -1):
        with pytest.raises(UnboundLocalError) as e:
            f(k)
        with pytest.raises(UnboundLocalError) as e2:
            new(k)
        assert str(e.value) == str(e2.value)


def generator(n: int) -> Any:
    for i in range(n):
        if i:
            yield i


async def coroutine(n: int) -> int:
    return n if n else 1


@rewrite.do_not_convert
def marked(x: int) -> int:
    return x if x else 1


def jumps_out_of_finally(x: int) -> int:
    try:
        return 1 // x
    finally:
        return 7  # noqa: B012, SIM107


def test_what_is_left_alone() -> None:
    made: dict[str, Any] = {}
    exec("def f(x):\n  return x if x else 1", made)
    for f in (generator, coroutine, marked, made["f"], jumps_out_of_finally, len, ast.parse, functools.wraps, int):
        assert convert(f) is f


def test_only_what_was_written_is_called() -> None:
    log: list[str] = []

    class Truth:
        def __init__(self, name: str, value: bool) -> None:
            self.name, self.value = name, value

        def __bool__(self) -> bool:
            log.append(self.name)
            return self.value

        def __lt__(self, other: Any) -> Any:
            log.append(f"{self.name}<{other.name}")
            return Truth(f"({self.name}<{other.name})", True)

    def f(a: Any, b: Any, c: Any) -> Any:
        x = (a and b) or c
        y = a < b < c
        z = 1 if not b else 2
        while a and not b:
            b = Truth("B", True)
        assert a, "no"
        return x, y.name, z

    def logged(g: Any) -> Any:
        log.clear()
        x, y, z = g(Truth("a", True), Truth("b", False), Truth("c", True))
        return x.name, y, z, list(log)

    assert logged(convert(f)) == logged(f)


def test_decorators_are_not_applied_again() -> None:
    calls = []

    def decorate(f: Any) -> Any:
        calls.append(f)
        return f

    @decorate
    def f(x: int) -> int:
        @decorate
        def g(y: int) -> int:
            return y if y else 1

        return g(x) if x else 2

    new = convert(f)
    assert len(calls) == 1
    assert new(0) == 2
    assert len(calls) == 2
    assert new(5) == 5
    assert len(calls) == 3
    assert calls[1].__qualname__ == "test_decorators_are_not_applied_again.<locals>.f.<locals>.g"
    assert convert(calls[1]) is calls[1]


def test_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "ENABLED", False)
    assert convert(raises_in_many_places) is raises_in_many_places
