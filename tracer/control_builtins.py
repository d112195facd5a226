"""Python's builtins and its module `math` on tensors: what `control.call` gives in place of `len`, `max`, `math.sqrt`.

On Python values they are Python's own. `int`, `float` and `len` of a tensor whose value is not known while tracing are
tensors; `max` and `min` choose by value; the functions of `math` are the ufuncs of their names, so that no gradient is
lost to a Python float.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.arithmetic import cast
from ..runtime.array import is_array
from ..runtime.convert import is_tensor
from ..runtime.location import at
from ..runtime.numpy_methods import invoke
from ..runtime.ops_math import erf, erfc
from ..runtime.ops_sizes import shape as shape_of
from . import number_numpy
from .number import Number
from .symbolic import SymbolicTensor


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
            if args[0].type.shape:
                raise TypeError(f"{name}() of a tensor of shape {args[0].shape}{at()}")
            if is_array(args[0]):
                return args[0].astype(python)
            return cast(args[0], dtype)
        return python(*args, **kwargs)

    return convert_number


def _is_instance(x: Any, kind: Any) -> bool:
    """`isinstance`, to which an array of ours is an ndarray."""
    if number_numpy.is_instance(x, kind):
        return True
    return is_array(x) and (kind is np.ndarray or (isinstance(kind, tuple) and np.ndarray in kind))


def _of_numbers(python: Callable[..., Any]) -> Callable[..., Any]:
    """The builtin as it is for numbers that are not known."""
    return number_numpy.BUILTINS.get(python, python)


def _extreme(python: Callable[..., Any], of_array: Any, beats: Any) -> Callable[..., Any]:
    def extreme(*args: Any, **kwargs: Any) -> Any:
        """The builtin; among scalars that are tensors it chooses by value, as Python would: the first of equals."""
        if len(args) == 1 and not kwargs and is_array(args[0]) and args[0].ndim == 1:
            return invoke(of_array, args[0])
        items = args if len(args) > 1 else args[0] if args and isinstance(args[0], (list, tuple)) else ()
        unknown = any(isinstance(x, SymbolicTensor) and x._known() is None for x in items)
        if kwargs or not unknown or any(is_tensor(x) and x.ndim for x in items):
            return _of_numbers(python)(*args, **kwargs)
        best = items[0]
        for x in items[1:]:
            best = invoke(np.where, beats(x, best), x, best)
        return best

    return extreme


def _sum(*args: Any, **kwargs: Any) -> Any:
    """`sum`, of an array in one op."""
    if len(args) == 1 and not kwargs and is_array(args[0]) and args[0].ndim:
        return invoke(np.sum, args[0], 0)
    return number_numpy.sum_of(*args, **kwargs)


def _math(python: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        """The function of `math`; on a tensor the op."""
        if not any(map(is_tensor, args)):
            return _of_numbers(python)(*args)
        if any(is_tensor(x) and x.ndim for x in args):
            raise TypeError(
                f"math.{python.__name__} takes numbers, not arrays: write np.{getattr(ours, '__name__', '...')}{at()}"
            )
        return ours(*args)

    return function


def _whole(ufunc: Any) -> Callable[..., Any]:
    def rounded(x: Any) -> Any:
        y = ufunc(x)
        return y.astype(int) if is_array(y) else cast(y, np.int32)

    return rounded


def _log(x: Any, *base: Any) -> Any:
    return np.log(x) / np.log(base[0]) if base else np.log(x)


BUILTINS: dict[Any, Callable[..., Any]] = {
    **number_numpy.OF_LISTS,
    len: tensor_len,
    isinstance: _is_instance,
    type: number_numpy.type_of,
    int: _number("int", int, "int32", number_numpy.to_int),
    float: _number("float", float, "float32", number_numpy.to_float),
    bool: _number("bool", bool, "bool", number_numpy.to_bool),
    max: _extreme(max, np.max, lambda x, best: x > best),
    min: _extreme(min, np.min, lambda x, best: x < best),
    sum: _sum,
    math.floor: _math(math.floor, _whole(np.floor)),
    math.ceil: _math(math.ceil, _whole(np.ceil)),
    math.trunc: _math(math.trunc, _whole(np.trunc)),
    math.log: _math(math.log, _log),
    math.erf: _math(math.erf, erf),
    math.erfc: _math(math.erfc, erfc),
}
_SAME = {
    "sqrt": np.sqrt, "exp": np.exp, "expm1": np.expm1, "log1p": np.log1p, "log2": np.log2, "log10": np.log10,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "fabs": np.fabs, "hypot": np.hypot, "pow": np.power, "fmod": np.fmod, "isnan": np.isnan,
    "isinf": np.isinf, "isfinite": np.isfinite, "copysign": np.copysign, "degrees": np.degrees, "radians": np.radians,
    "cbrt": np.cbrt, "exp2": np.exp2,
}  # fmt: skip
for _name, _ufunc in _SAME.items():
    BUILTINS[getattr(math, _name)] = _math(getattr(math, _name), _ufunc)
