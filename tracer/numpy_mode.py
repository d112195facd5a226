"""Whether a function's ndarray arguments are Tensors, as in TensorFlow, or arrays, as in NumPy.

They are Tensors until the function does something for which NumPy has other rules: calls NumPy, uses an array's method,
writes to one. A function whose code names numpy is traced with arrays from the start; any other is traced with Tensors,
and again with arrays as soon as it turns out to need them. So TensorFlow's programs trace as they do there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.array import wrap_array
from ..runtime.context import inside_eager_function
from .arguments import is_leaf
from .state import ArraysNeeded
from .write_back import write_back

if TYPE_CHECKING:
    from .concrete import ConcreteFunction


def mentions_numpy(python: Any) -> bool:
    """Whether the function's code names the module numpy, or a function of it."""
    code, known = getattr(python, "__code__", None), getattr(python, "__globals__", {})
    return any(
        known.get(n) is np or (getattr(known.get(n), "__module__", None) or "").partition(".")[0] == "numpy"
        for n in getattr(code, "co_names", ())
    )


def trace_arrays(trace: Callable[[bool], ConcreteFunction], uses_numpy: bool) -> tuple[ConcreteFunction, bool]:
    """Traces a call with ndarrays; gives also whether they have to be arrays.

    Args:
      trace: traces with arrays or with Tensors. uses_numpy: what was found out before.
    """
    first: Exception | None = None
    if not uses_numpy:
        try:
            return trace(False), False
        except ArraysNeeded:
            pass
        except (TypeError, ValueError) as e:
            first = e
    try:
        return trace(True), True
    except Exception:
        if first is not None:
            raise first from None
        raise


def run_python(python: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs the (rewritten) Python as it stands, with arrays of ours for ndarrays, so that tapes follow what NumPy does.

    What it writes to them, the caller's ndarrays get when it is over.
    """
    ours: dict[int, tuple[Any, Any]] = {}

    def as_ours(x: Any) -> Any:
        if type(x) is np.ndarray and is_leaf(x):
            if id(x) not in ours:
                ours[id(x)] = (x, wrap_array(x))
            return ours[id(x)][1]
        if type(x) in (list, tuple):
            return type(x)(as_ours(v) for v in x) if any(map(_holds_array, x)) else x
        if type(x) is dict:
            return {k: as_ours(v) for k, v in x.items()} if any(map(_holds_array, x.values())) else x
        return x

    with inside_eager_function():
        new = [as_ours(a) for a in args], {k: as_ours(v) for k, v in kwargs.items()}
        starts = {k: a._data.copy() for k, (_, a) in ours.items()}
        try:
            return python(*new[0], **new[1])
        finally:
            for k, (x, a) in ours.items():
                if a._data.tobytes() != starts[k].tobytes():
                    write_back(name, "", x, a)


def _holds_array(x: Any) -> bool:
    if type(x) in (list, tuple):
        return any(map(_holds_array, x))
    return any(map(_holds_array, x.values())) if type(x) is dict else type(x) is np.ndarray
