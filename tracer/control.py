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

from ..runtime.location import at, warn
from ..runtime.numpy_create import CREATION
from ..runtime.ops_sizes import shape as shape_of
from .control_branch import If, returned
from .control_comprehension import comprehension
from .control_expr import and_, assert_, chain, give, join, keep, kept, not_, or_, other, then
from .control_iter import lazy
from .control_loop import While
from .control_region import current_trace, depth, frames, unwind
from .control_roll import For
from .control_state import NOT_RETURNED, UNDEFINED
from .harmless import check_call, check_change, check_rebound
from .number import Number
from .number_numpy import BUILTINS, to_bool, to_float, to_int
from .rewrite import convert, converted_function
from .symbolic import SymbolicTensor
from .trials import Unroll, trials

locals = builtins.locals
globals = builtins.globals


class UnsetVariable(ValueError, UnboundLocalError):
    """A variable is used that only one branch of an `if` on a tensor sets: set it in the other branch too.

    TensorFlow raises a ValueError, Python an UnboundLocalError; this is both.
    """


def here(local: Mapping[str, Any], module: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The variables of a function, with some of its module's."""
    return {n: module[n] for n in names if n in module} | dict(local)


def call(f: Any) -> Any:
    """What to call in place of `f`: the user's own functions rewritten, some builtins in a form that takes tensors."""
    if trials.open:
        check_call(f)
    kind = type(f)
    if kind is _Function:
        return _of_numpy(f) if f.__module__ == "numpy" else converted_function(f)
    if kind is _Builtin or kind is type:
        return f if current_trace() is None else _BUILTINS.get(f) or _of_numpy(f)
    if kind is _NumpyFunction:
        return f if current_trace() is None else _BUILTINS.get(f) or _of_numpy(f)
    return convert(f) if not isinstance(getattr(f, "__self__", None), _RANDOM) else _drawn(f)


def _of_numpy(f: Any) -> Any:
    """A NumPy function that makes an array, in the form that makes one of ours while a trace runs."""
    return f if current_trace() is None else CREATION.get(f, f)


def _drawn(f: Any) -> Any:
    """A function of np.random: called once, while tracing."""
    if current_trace() is None:
        return f

    def draw(*args: Any, **kwargs: Any) -> Any:
        warn(
            f"{f.__name__} of np.random is called once, while the function is traced: every call of the compiled "
            "function sees the same numbers; write pb.random.normal, pb.random.uniform, ... for new ones on each call"
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
        finally:
            unwind(start)
            del trials.open[tried:]

    return run


def explained(error: NameError) -> NameError:
    """The error, or a better one for a variable that a branch left unset."""
    found = re.search(r"variable '(\w+)'", str(error))
    note = frames.notes.get(found[1]) if found else None
    if note is None:
        return error
    assert found is not None
    line, tb = "", error.__traceback__
    while tb is not None:
        line = f"{tb.tb_frame.f_code.co_filename}:{tb.tb_lineno}"
        tb = tb.tb_next
    new = UnsetVariable(f"the variable '{found[1]}' may be unset where it is used at {line}: {note}; set it there too")
    return new.with_traceback(error.__traceback__)


def tensor_len(x: Any) -> Any:
    """`len`, also of a tensor: its first size."""
    if not isinstance(x, SymbolicTensor):
        return len(x)
    shape = x.type.shape
    if not shape:
        raise TypeError(f"len() of a scalar tensor{at()}")
    if isinstance(shape[0], int):
        return shape[0]
    return shape_of(x)[0]


def _number(name: str, python: Callable[..., Any], dtype: str, number: Callable[[Number], Any]) -> Callable[..., Any]:
    def convert_number(*args: Any, **kwargs: Any) -> Any:
        """The builtin; a tensor whose value is not known becomes a scalar tensor."""
        if len(args) == 1 and not kwargs and isinstance(args[0], Number):
            return number(args[0])
        if len(args) == 1 and not kwargs and isinstance(args[0], SymbolicTensor) and args[0]._known() is None:
            from ..runtime.arithmetic import cast

            if args[0].type.shape:
                raise TypeError(f"{name}() of a tensor of shape {args[0].shape}{at()}")
            return cast(args[0], dtype)
        return python(*args, **kwargs)

    return convert_number


_Function = type(entry)
_Builtin = type(len)
_NumpyFunction = type(np.linspace)
_RANDOM = (np.random.RandomState, np.random.Generator)
_BUILTINS: dict[Any, Callable[..., Any]] = {
    len: tensor_len,
    int: _number("int", int, "int32", to_int),
    float: _number("float", float, "float32", to_float),
    bool: _number("bool", bool, "bool", to_bool),
} | BUILTINS

__all__ = [
    "NOT_RETURNED", "UNDEFINED", "For", "If", "While", "and_", "assert_", "call", "caught", "chain", "changes",
    "comprehension", "depth",
    "entry", "give", "globals", "here", "iterable", "join", "keep", "kept", "locals", "mutates", "not_", "or_", "other",
    "rebinds", "returned", "then", "unwind",
]  # fmt: skip
