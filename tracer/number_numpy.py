"""NumPy's functions and Python's builtins applied to a `Number`."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.dtypes import float64, int64
from ..runtime import numpy_protocol, public
from ..runtime.array import array_of
from ..runtime.convert import as_tensor, is_tensor
from ..runtime.numpy_create import CREATION
from ..runtime.stacked import StackedList
from ..runtime.tensor import Tensor
from .number import Number, kind_of, owners_of, range_of, stored
from .number_range import plain

_AS_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "true_divide": operator.truediv, "floor_divide": operator.floordiv, "remainder": operator.mod,
    "negative": operator.neg, "absolute": operator.abs, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge, "equal": operator.eq, "not_equal": operator.ne,
}  # fmt: skip


def ufunc_of_numbers(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A ufunc with a `Number` among its operands: a `Number` for numbers, a tensor where an array or tensor is."""
    plain = method == "__call__" and not kwargs
    if plain and all(kind_of(x) is not None for x in inputs):
        if ufunc.__name__ in _AS_OPERATORS:
            return _AS_OPERATORS[ufunc.__name__](*inputs)
        xs = tuple(stored(x, float64) for x in inputs)
        return _number(numpy_protocol.array_ufunc(ufunc, method, xs, {}), *inputs)
    if any(is_tensor(x) for x in inputs):
        return numpy_protocol.array_ufunc(ufunc, method, inputs, kwargs)
    arrays = [array_of(as_tensor(x)) if isinstance(x, np.ndarray) else x for x in inputs]
    return numpy_protocol.array_ufunc(ufunc, method, tuple(arrays), kwargs)


def _number(t: Tensor, *inputs: Any) -> Number:
    number = next(x for x in inputs if isinstance(x, Number))
    if not isinstance(t, Tensor) or not (t.dtype is float64 or t.dtype.is_bool):
        number.needed("NumPy is called with the number")
    return Number(t, float if t.dtype is float64 else bool, None, owners_of(*inputs))


# ---------------------------------------------------------------- builtins
def is_instance(x: Any, types: Any) -> bool:
    """`isinstance`: a number that is not known, and a list that a loop filled, are what Python's would be."""
    if isinstance(x, StackedList):
        return issubclass(list, types)
    return issubclass(x.kind, types) if isinstance(x, Number) else isinstance(x, types)


def type_of(*args: Any, **kwargs: Any) -> Any:
    """`type`."""
    if len(args) == 1 and isinstance(args[0], Number):
        return args[0].kind
    return type(*args, **kwargs)


def sum_of(*args: Any, **kwargs: Any) -> Any:
    """`sum`."""
    if args and isinstance(args[0], StackedList):
        total = public.reduce_sum(args[0]._as_tensor(), 0)
        start = args[1] if len(args) > 1 else kwargs.get("start", 0)
        return total if type(start) is int and start == 0 else start + total
    return sum(*args, **kwargs)


def _of_stacked(python: Callable[..., Any]) -> Callable[..., Any]:
    def function(x: Any, *args: Any, **kwargs: Any) -> Any:
        """The function of NumPy, also of a list that a loop filled."""
        if isinstance(x, StackedList):
            if python in (np.array, np.asarray):
                return CREATION.get(python, python)(x._as_tensor(), *args, **kwargs)
            if python is np.concatenate:
                return x.joined(args[0] if args else kwargs.get("axis", 0))
            return x.stacked(args[0] if args else kwargs.get("axis", 0))
        return CREATION.get(python, python)(x, *args, **kwargs)

    return function


OF_LISTS = {f: _of_stacked(f) for f in (np.stack, np.array, np.asarray, np.concatenate)}


def _extreme(name: str, python: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*args: Any, **kwargs: Any) -> Any:
        """The builtin, of numbers that are not known too."""
        if kwargs or len(args) != 2 or not any(isinstance(x, Number) for x in args):
            return python(*args, **kwargs)
        x, y = args
        kinds = kind_of(x), kind_of(y)
        if None in kinds:
            return python(*args)
        first = x < y if name == "minimum" else x > y
        if isinstance(first, bool):
            return x if first else y
        if float in kinds:
            f = getattr(public, name)
            return Number(f(stored(x, float64), stored(y, float64)), float, None, owners_of(x, y))
        return _extreme_int(name, x, y)

    return extreme


def _extreme_int(name: str, x: Any, y: Any) -> Number:
    a, b = range_of(x), range_of(y)
    assert a is not None
    assert b is not None
    pick = builtins.min if name == "minimum" else builtins.max
    f = getattr(public, name)
    tensor = f(stored(x, int64), stored(y, int64))
    return Number(tensor, int, plain(pick(a.low, b.low), pick(a.high, b.high)), owners_of(x, y))


def _of_float(python: Callable[..., Any], name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        """The function of `math`, of a number that is not known too."""
        if len(args) == 1 and isinstance(args[0], Number):
            f = getattr(public, name)
            return Number(f(stored(args[0], float64)), float, None, args[0].owners)
        return python(*args, **kwargs)

    return function


_MATH = ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "expm1", "log1p")
BUILTINS: dict[Any, Callable[..., Any]] = {
    isinstance: is_instance, type: type_of,
    min: _extreme("minimum", min), max: _extreme("maximum", max),
    math.fabs: _of_float(math.fabs, "abs"),
}  # fmt: skip
BUILTINS |= {getattr(math, n): _of_float(getattr(math, n), n) for n in _MATH}


def to_int(x: Number) -> Any:
    """`int(x)`."""
    return int(x) if x.kind is float else +x


def to_float(x: Number) -> Any:
    """`float(x)`."""
    return x if x.lifted else Number(stored(x, float64), float, None, x.owners)


def to_bool(x: Number) -> Any:
    """`bool(x)`."""
    return x != 0 if x.kind is not bool else x
