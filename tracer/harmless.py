"""Which calls and changes a trial of a loop may see: those that running the body once, in place of many times, allows.

The user's own functions are rewritten, so that their calls and changes come here as well. Of the rest, what is known
to have no effects is harmless: pullback, NumPy without its random numbers and files, most builtins, methods of values
that never change. Anything else (`next`, `print`, `random.random`, a library's function) ends the trial, as does a
change of an object that the loop does not carry.
"""

from __future__ import annotations

import itertools
import operator
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..runtime.location import at, is_ours
from ..runtime.tensor import Tensor
from .trials import give_up, trials

_EFFECTS = frozenset((
    "print", "input", "open", "next", "exec", "eval", "setattr", "delattr", "__import__", "breakpoint", "vars",
    "locals", "globals", "id", "exit", "quit", "save", "savez", "savez_compressed", "savetxt", "load", "loadtxt",
    "fromfile", "tofile", "put", "copyto", "place", "putmask", "fill_diagonal",
))  # fmt: skip
_MODULES = frozenset(("builtins", "math", "cmath", "_operator", "operator", "itertools", "_functools", "functools"))
_LIBRARIES = ("numpy", "functools", "dataclasses", "typing", "operator", "copy", "contextlib", "abc", "enum", "numbers")
_VALUES = (str, bytes, int, float, complex, tuple, frozenset, range, type, slice, np.generic, type(None))
_CONTAINERS = (list, dict, set)
_MUTATORS = frozenset((
    "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update", "setdefault", "popitem", "add",
    "discard", "__setitem__", "__delitem__", "__iadd__", "difference_update", "intersection_update",
    "symmetric_difference_update",
))  # fmt: skip


def check_call(f: Any) -> None:
    """Ends the innermost trial when a call of `f` may have effects."""
    if not harmless(f):
        give_up(f"{name_of(f)} is called, which may have effects outside of the program that is compiled{at()}")


def name_of(f: Any) -> str:
    """A callable as texts show it."""
    name = getattr(f, "__qualname__", None) or getattr(f, "__name__", None) or type(f).__name__
    module = getattr(f, "__module__", None)
    return f"{module}.{name}" if module not in (None, "builtins", "__main__") else str(name)


def harmless(f: Any) -> bool:
    """Whether calling `f`, in a form that is not rewritten, has no effect that Python would see."""
    if isinstance(f, MethodType):
        return harmless(f.__func__)
    if isinstance(f, FunctionType):
        return _harmless_function(f)
    if isinstance(f, BuiltinFunctionType):
        return _harmless_builtin(f)
    if isinstance(f, (type, np.ufunc, operator.attrgetter, operator.itemgetter, operator.methodcaller)):
        return True
    kind = type(f)
    if kind.__module__.startswith("numpy") and hasattr(f, "__wrapped__"):  # NumPy's dispatched functions
        return _of_numpy(f)
    call = getattr(kind, "__call__", None)  # noqa: B004  # the function itself is wanted
    if kind.__module__.split(".")[0] in ("functools", "pullback"):
        return True
    return isinstance(call, FunctionType) and _harmless_function(call)


def _of_numpy(f: Any) -> bool:
    module = getattr(f, "__module__", None) or ""
    return module.startswith("numpy") and "random" not in module and f.__name__ not in _EFFECTS


def _harmless_function(f: FunctionType) -> bool:
    from .rewrite import converted_function

    if is_ours(f.__code__.co_filename):
        return True
    module = f.__module__ or ""
    if module.split(".")[0] in _LIBRARIES:
        return _of_numpy(f) if module.startswith("numpy") else True
    return converted_function(f) is not f or "ag__" in f.__code__.co_freevars


def _harmless_builtin(f: Any) -> bool:
    owner = f.__self__
    if owner is None or isinstance(owner, ModuleType):
        module = owner.__name__ if owner is not None else (f.__module__ or "")
        if module.startswith("numpy"):
            return _of_numpy(f)
        return module in _MODULES and f.__name__ not in _EFFECTS
    if isinstance(owner, (_VALUES, Tensor)):
        return True
    if isinstance(owner, np.ndarray):
        return f.__name__ not in ("sort", "fill", "put", "partition", "resize", "setflags", "itemset", "tofile")
    if isinstance(owner, _CONTAINERS):
        return f.__name__ not in _MUTATORS
    return type(owner).__module__ == "itertools" and not hasattr(owner, "__next__")


def check_iterable(x: Any) -> None:
    """Ends the innermost trial when iterating uses up something that Python would see used up."""
    if isinstance(x, GeneratorType) or (hasattr(x, "read") and hasattr(x, "__next__")) or _counts(x):
        give_up(f"a loop in it uses up a {type(x).__name__} object{at()}")


def _counts(x: Any) -> bool:
    return isinstance(x, (itertools.count, itertools.cycle))


def check_change(x: Any, private: bool) -> None:
    """Ends the innermost trial when an object is changed that it does not carry.

    Args:
      private: whether the object is known to be made by the function that changes it.
    """
    if not private and not isinstance(x, Tensor) and not hasattr(type(x), "_as_tensor"):
        for trial in trials.open:
            if id(x) not in trial.carried:
                give_up(f"a {type(x).__name__} is changed that the loop cannot carry{at()}", (trial,), True)


def check_rebound(name: str, frame: Any) -> None:
    """Ends the innermost trial when a variable of a scope outside is rebound that it does not carry."""
    for trial in trials.open:
        if trial.frame is not frame and name not in trial.head:
            give_up(f"the variable {name!r} of an outer scope is changed{at()}", (trial,))
