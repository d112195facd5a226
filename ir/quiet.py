"""Silence for NumPy's floating-point warnings, at the cost of one context variable.

An operation that overflows or divides by zero gives inf or NaN and says nothing, as TensorFlow and compiled code do.
`np.errstate` would cost more than a small op; NumPy keeps its error state in a context variable, which is set here
directly where that works (checked at import), else through `np.errstate`. One NumPy call alone is cheaper `aside`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

import numpy as np


def _slow_enter() -> Any:
    state = np.errstate(all="ignore")
    state.__enter__()
    return state


def _slow_leave(state: Any) -> None:
    state.__exit__(None, None, None)


def _choose() -> tuple[Callable[[], Any], Callable[[Any], None]]:
    try:
        from numpy._core import umath

        state = vars(umath)["_make_extobj"](all="ignore")
        variable = vars(umath)["_extobj_contextvar"]
        before = np.geterr()
        token = variable.set(state)
        silent = set(np.geterr().values()) == {"ignore"}
        variable.reset(token)
    except (ImportError, KeyError, TypeError, AttributeError):
        return _slow_enter, _slow_leave
    if not silent or np.geterr() != before:
        return _slow_enter, _slow_leave
    return partial(variable.set, state), variable.reset


enter, leave = _choose()


def _context() -> Context:
    quiet = Context()
    quiet.run(np.seterr, all="ignore")
    return quiet


# `aside(f, *xs)` is `f(*xs)` in a context in which NumPy says nothing: that costs next to nothing, but one caller at a
# time can be in there. For others, in another thread or in a finalizer that runs within, it raises RuntimeError.
aside = _context().run


class Quiet:
    """`with Quiet(): ...`: no floating-point warning from NumPy inside. For a whole backward pass over raw arrays."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = enter()

    def __exit__(self, *exc: object) -> None:
        leave(self._token)
