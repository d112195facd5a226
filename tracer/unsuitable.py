"""Python that is not rewritten: functions that cannot be compiled at all, and what to say where control flow stays
Python's although a tensor decides it."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable
from types import FunctionType
from typing import Any

from ..runtime.location import user_frame
from .rewrite_source import find

_COMPREHENSIONS = ("<listcomp>", "<genexpr>", "<setcomp>", "<dictcomp>")


def refuse(f: Callable[..., Any]) -> None:
    """Raises TypeError for what cannot be called, and for a generator or coroutine, with the line of its `yield` or its
    `async def`."""
    if not callable(f):
        raise TypeError(f"pb.function takes a callable, found {f!r}")
    function = inspect.unwrap(getattr(f, "__func__", f))
    if not isinstance(function, FunctionType):
        return
    name, code = function.__qualname__, function.__code__
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"pb.function cannot compile '{name}', which is `async`, at {code.co_filename}:{code.co_firstlineno}: "
            "write it with `def`, and await outside of it"
        )
    if inspect.isgeneratorfunction(function):
        raise TypeError(
            f"pb.function cannot compile the generator '{name}', which has a `yield` at {code.co_filename}:"
            f"{_first_yield(function)}: return a list of tensors, or fill a pb.TensorArray and return its stack()"
        )


def _first_yield(function: FunctionType) -> int:
    found = find(function)
    nodes = ast.walk(found.node) if found is not None else ()
    lines = [n.lineno for n in nodes if isinstance(n, (ast.Yield, ast.YieldFrom))]
    return min(lines, default=function.__code__.co_firstlineno)


def left_alone(instead: str) -> str:
    """What kind of Python the user's line is that it was not rewritten, and what to write instead."""
    frame = user_frame()
    if frame is not None:
        code = frame.f_code
        text = linecache.getline(code.co_filename, frame.f_lineno).strip()
        if code.co_name in _COMPREHENSIONS:
            return f"a comprehension, which is not rewritten: write a `for` loop; or {instead}"
        if code.co_flags & inspect.CO_GENERATOR:
            return (
                f"the generator '{code.co_name}', which is not rewritten, as `yield` cannot stand in control flow on "
                f"tensors: write its loop where its values are used, or collect them in a pb.TensorArray; or {instead}"
            )
        if text.startswith(("match ", "case ")):
            return f"a `match` statement, which is not rewritten: write `if` and `elif`; or {instead}"
    return f"Python that is not rewritten (a library, a comprehension, autograph=False, code without source): {instead}"
