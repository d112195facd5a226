"""What rewritten functions call at run time, under the name `ag__`: drivers of control flow, expressions, calls.

Python-valued control flow runs as written. Inside a trace, what depends on a tensor becomes `if`, `for` and `while` of
the IR. See `rewrite_emit` for the shape of the rewritten code.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import BuiltinMethodType
from typing import Any

import numpy as np

from ..runtime.context import in_function
from ..runtime.location import warn
from ..runtime.numpy_create import CREATION
from ..runtime.weak import Weak
from .control_branch import If, returned
from .control_builtins import BUILTINS
from .control_comprehension import comprehension
from .control_expr import and_, assert_, chain, give, join, keep, kept, not_, or_, other, then
from .control_iter import lazy
from .control_loop import While
from .control_region import current_trace, depth, frames, unwind
from .control_roll import For
from .control_state import NOT_RETURNED, UNDEFINED
from .control_text import late, piece, text, traced_print
from .harmless import check_call, check_change, check_rebound
from .lifted import guarded, lifting
from .rewrite import convert, converted_function
from .symbolic import SymbolicTensor
from .trials import Unroll, trials

locals = builtins.locals
globals = builtins.globals
slice = builtins.slice


class UnsetVariable(ValueError, UnboundLocalError):
    """A variable is used that only one branch of an `if` on a tensor sets: set it in the other branch too.

    TensorFlow raises a ValueError, Python an UnboundLocalError; this is both.
    """


def here(local: Mapping[str, Any], module: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The variables of a function, with some of its module's."""
    return {n: module[n] for n in names if n in module} | dict(local)


def call(f: Any) -> Any:
    """What to call in place of `f`: the user's own functions rewritten, some builtins in a form that takes tensors."""
    if trials.open and f is not print:  # that one looks at what it prints
        check_call(f)
    return _in_place_of(f) if not lifting.count else guarded(f, _in_place_of(f))


def _in_place_of(f: Any) -> Any:
    kind = type(f)
    if kind is _Function:
        return _of_numpy(f) if f.__module__ == "numpy" else converted_function(f)
    if kind is _Builtin or kind is type:
        return (_BUILTINS.get(f) or CREATION.get(f) or _of_ndarray(f)) if in_function() else f
    if kind is _NumpyFunction:
        return (_BUILTINS.get(f) if current_trace() is not None else None) or _of_numpy(f)
    return convert(f) if not isinstance(getattr(f, "__self__", None), _RANDOM) else _drawn(f)


def _of_numpy(f: Any) -> Any:
    """A NumPy function that makes an array, inside of a function in the form that makes one of ours."""
    return CREATION.get(f, f) if in_function() else f


def _of_ndarray(f: Any) -> Any:
    """A method that makes a copy of an ndarray from outside: the copy is one of our arrays, and can be written to."""
    owner = getattr(f, "__self__", None)
    if type(owner) is np.ndarray and f.__name__ in ("copy", "astype"):
        return getattr(CREATION[np.array](owner), f.__name__)
    return f


def _drawn(f: Any) -> Any:
    """A function of np.random; while tracing it is called once for all calls."""
    if not in_function():
        return f

    def draw(*args: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:
            warn(
                f"{f.__name__} of np.random is called once, while the function is traced: every call of the compiled "
                "function sees the same numbers; write pb.random.normal, pb.random.uniform, ... for new ones"
            )
        result = f(*args, **kwargs)
        return CREATION[np.array](result) if isinstance(result, np.ndarray) else result

    return draw


def mutates(f: Any, private: bool) -> Any:
    """As `call`, for a method that changes a container."""
    if not trials.open or not isinstance(f, BuiltinMethodType) or not isinstance(f.__self__, (list, dict)):
        return call(f)
    check_change(f.__self__, private)
    return f


def changes(x: Any, private: bool) -> None:
    """Before an attribute or an item of `x` is set."""
    if trials.open:
        check_change(x, private)


def rebinds(name: str) -> None:
    """Before a variable of a scope outside is set."""
    if trials.open:
        check_rebound(name, sys._getframe(1))


def caught(to: int) -> None:
    """At the head of an exception handler: closes what was left open; the end of a trial is not for user code."""
    e = sys.exc_info()[1]
    if isinstance(e, Unroll):
        raise e
    unwind(to)


def read(base: Any, key: Any) -> Any:
    """`base[key]`; an ndarray from outside becomes a constant of the trace where the key is known only when it runs."""
    if type(base) is np.ndarray and base.dtype != object and _symbolic(key):
        trace = current_trace()
        if trace is not None:
            return trace.captured_array(base)[key]
    return base[key]


def _symbolic(key: Any) -> bool:
    if isinstance(key, tuple):
        return any(map(_symbolic, key))
    if isinstance(key, builtins.slice):
        return any(map(_symbolic, (key.start, key.stop, key.step)))
    return isinstance(key, (SymbolicTensor, Weak))


def iterable(f: Any) -> Any:
    """As `call`, for a call in the head of a loop."""
    return lazy(f) or call(f)


def entry(f: Callable[..., Any]) -> Callable[..., Any]:
    """The rewritten form of a function that a trace begins with."""
    new: Callable[..., Any] = convert(f)
    if new is f:
        return new

    def run(*args: Any, **kwargs: Any) -> Any:
        start, frames.notes = depth(), {}
        tried = len(trials.open)
        try:
            return new(*args, **kwargs)
        except NameError as e:
            better = explained(e)
            if better is e:
                raise
            raise better from None
        except ValueError as e:
            if not str(e).startswith("setting an array element") or current_trace() is None:
                raise
            raise _into_ndarray(e) from None
        finally:
            unwind(start)
            del trials.open[tried:]

    return run


def _into_ndarray(error: ValueError) -> ValueError:
    """The error for a tensor that is written into an ndarray of NumPy's own, which a trace does not follow."""
    new = ValueError(
        f"{error} [{_line_of(error)}] A tensor of the compiled function cannot be written into an ndarray that was "
        "made outside of it, or by NumPy from Python numbers alone: make a copy in the function first, "
        "A = np.array(A), or pass the array as an argument"
    )
    return new.with_traceback(error.__traceback__)


def _line_of(error: Exception) -> str:
    """The innermost line of the error's traceback."""
    line, tb = "", error.__traceback__
    while tb is not None:
        line = f"{tb.tb_frame.f_code.co_filename}:{tb.tb_lineno}"
        tb = tb.tb_next
    return line


def explained(error: NameError) -> NameError:
    """The error, or a better one for a variable that a branch left unset."""
    found = re.search(r"variable '(\w+)'", str(error))
    note = frames.notes.get(found[1]) if found else None
    if note is None:
        return error
    assert found is not None
    line = _line_of(error)
    new = UnsetVariable(f"the variable '{found[1]}' may be unset where it is used at {line}: {note}; set it there too")
    return new.with_traceback(error.__traceback__)


_Function = type(entry)
_Builtin = type(len)
_NumpyFunction = type(np.linspace)
_RANDOM = (np.random.RandomState, np.random.Generator)
_BUILTINS: dict[Any, Callable[..., Any]] = BUILTINS | {print: traced_print}

__all__ = [
    "NOT_RETURNED", "UNDEFINED", "For", "If", "While", "and_", "assert_", "call", "caught", "chain", "changes",
    "comprehension", "depth", "entry", "give", "globals", "here", "iterable", "join", "keep", "kept", "late", "locals",
    "mutates", "not_", "or_", "other", "piece", "read", "rebinds", "returned", "slice",
    "text", "then", "unwind",
]  # fmt: skip
