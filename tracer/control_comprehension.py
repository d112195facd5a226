"""List comprehensions over Python ranges: long ones are loops that fill a list, and so loops of the IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .control_iter import trips
from .control_region import current_trace
from .control_roll import For

LONG_LIST = 16  # up to so many elements Python makes the list: mostly it is one of layers or arrays


def comprehension(iterable: Any, f: Callable[[Any], Any]) -> Any:
    """`[f(i) for i in range(...)]`: a loop of the IR where it is long."""
    items = trips(iterable) if current_trace() is not None else None
    if items is None or items.count is None or items.count <= LONG_LIST:
        return [f(x) for x in iterable]
    out: Any = []
    driver = For(iterable, (), (), None, (), {"out": out}, ("out",))
    for item in driver:
        try:
            if driver.load:
                out = driver.get("out")
            out.append(f(item))
        except driver.failures:
            if driver.failed():  # type: ignore[attr-defined]
                continue
            raise
        if driver.end({"out": out}):
            break
    return driver.get("out") if driver.load else out
