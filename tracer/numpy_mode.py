"""Whether a function's ndarray arguments are Tensors, as in TensorFlow, or arrays, as in NumPy.

They are Tensors until the function does something for which NumPy has other rules: calls NumPy, uses an array's method,
writes to one. A function whose code names numpy is traced with arrays from the start; any other is traced with Tensors,
and again with arrays as soon as it turns out to need them. So TensorFlow's programs trace as they do there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .state import ArraysNeeded

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
    if uses_numpy:
        return trace(True), True
    try:
        return trace(False), False
    except ArraysNeeded:
        return trace(True), True
    except (TypeError, ValueError) as first:
        try:
            return trace(True), True
        except Exception:
            raise first from None
