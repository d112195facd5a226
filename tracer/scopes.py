"""Which mode Python code runs in: eagerly, inside a trace, or lifted out of one."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from ..runtime.context import context, slow_mode, tracing

_lock = threading.Lock()


class _Eager:
    """Whether functions run their Python as written."""

    on = False


def run_functions_eagerly(run_eagerly: bool) -> None:
    """With True, functions made by `pb.function` run their Python as written, op by op, in all threads."""
    with _lock:
        if bool(run_eagerly) != _Eager.on:
            _Eager.on = bool(run_eagerly)
            (slow_mode.enter if _Eager.on else slow_mode.leave)()


class _Bounds:
    """Whether compiled code tests indices, where a function does not say."""

    checked = True


def check_bounds(check: bool) -> None:
    """With False, functions traced from now on do not test their indices at run time (but for those made with
    `pb.function(check_bounds=True)`): an index out of range then reads or destroys other memory."""
    _Bounds.checked = bool(check)


def checks_bounds() -> bool:
    """What `check_bounds` last said; True at first."""
    return _Bounds.checked


def functions_run_eagerly() -> bool:
    """Whether `run_functions_eagerly(True)` is in force."""
    return _Eager.on


def executing_eagerly() -> bool:
    """Whether ops run at once: false while a function is traced, true again inside `init_scope`."""
    return context.trace is None


def inside_function() -> bool:
    """Whether a function is being traced around this call."""
    return context.trace is not None


def init_scope() -> AbstractContextManager[None]:
    """Runs its body eagerly and unrecorded, also while a function is traced: for making variables and other state."""
    return tracing(None)
