"""A Python float argument that is a value of the program: a `Number` that stands in for it while a function is traced.

It does what Python's float would where that can be recorded and gives the same bits: + - * / and signs, in doubles, and
meeting tensors. Whatever else Python does with it (a condition, an index, text, a call of code that is not rewritten)
needs the value: then the attempt is over, and the function is traced for that value alone (`float_arguments`).
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any, NoReturn

import numpy as np

from ..codegen.callable import NativeCallable
from ..ir.dtypes import DType, float64
from ..runtime.convert import is_tensor
from ..runtime.location import at, is_ours
from ..runtime.tensor import Tensor
from .number import _OPS as OPS
from .number import Number, Owners, owners_of, stored
from .rewrite import HELPER, converted_function
from .trials import Unroll

_ARITHMETIC = ("add", "sub", "mul", "div")
_NEED_NO_VALUE = (isinstance, type, float, abs)


class Lift:
    """One attempt with one argument as a value.

    Attributes:
      name: the argument's. reason: why the attempt is over, None while it is not.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.reason: str | None = None
        self._made: list[weakref.ref[Any]] = []

    def over(self, reason: str) -> NoReturn:
        """Ends the attempt."""
        self.reason = self.reason or reason
        raise Unroll(self.reason, self)

    def add(self, number: Lifted) -> None:
        """Takes down a number of the attempt."""
        self._made.append(weakref.ref(number))

    def escaped(self) -> bool:
        """Whether a number of the attempt is alive, now that the trace is over: somebody kept it."""
        alive = any(r() is not None for r in self._made)
        if alive:
            gc.collect()
            alive = any(r() is not None for r in self._made)
        return alive


class _Open(threading.local):
    """How many traces with such numbers run in this thread."""

    count = 0

    @contextmanager
    def inside(self, one: bool) -> Iterator[None]:
        """Around the Python of a trace: of one with such numbers?"""
        self.count += one
        try:
            yield
        finally:
            self.count -= one


lifting = _Open()


class Lifted(Number):
    """See the module's text. `owners` has the attempts."""

    __slots__ = ("__weakref__",)
    lifted = True

    def __init__(self, tensor: Tensor, owners: Owners) -> None:
        super().__init__(tensor, float, None, owners)
        for owner in owners:
            if isinstance(owner, Lift):
                owner.add(self)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` asks in code that is not rewritten."""
        return float

    def needed(self, what: str) -> NoReturn:
        """Ends the attempt."""
        lift = next(o for o in self.owners if isinstance(o, Lift))
        lift.over(what + at())

    def _value(self, what: str) -> Any:
        self.needed(what)

    def known(self) -> Any:
        """As `Weak`."""
        self.needed("the number is used as a bound or a size")

    def span(self, start: Any, stop: Any, size: Any) -> Any:
        """As `Weak`."""
        self.needed("the number is used as a bound of a slice")

    def as_tensor(self, dtype: DType | None) -> Tensor:
        """As `Weak`."""
        if dtype is not None and not (dtype.is_floating or dtype.is_complex):
            self.needed(f"a tensor of dtype {dtype.name} meets the number")
        return super().as_tensor(dtype)

    # ------------------------------------------------------------ operators
    @staticmethod
    def binary(name: str, x: Any, y: Any) -> Any:
        """As `Operators`."""
        me, other = (x, y) if type(x) is Lifted else (y, x)
        if not isinstance(other, Number) and type(other) not in (bool, int, float):
            if is_tensor(other):
                return NotImplemented
            me.needed(f"a {type(other).__name__} meets the number")
        if name not in _ARITHMETIC:
            me.needed(f"Python computes {name} of the number")
        if name == "div" and (isinstance(y, Number) or y == 0):
            me.needed("Python divides by the number, which may be zero")
        return Lifted(OPS[name](stored(x, float64), stored(y, float64)), owners_of(x, y))

    def compare(self, name: str, other: Any) -> Any:
        """As `Operators`."""
        if is_tensor(other):
            return NotImplemented
        return self.needed("Python compares the number")

    def __neg__(self) -> Any:
        return Lifted(-self.tensor, self.owners)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return Lifted(abs(self.tensor), self.owners)

    def __invert__(self) -> Any:
        self.needed("Python's ~ is applied to the number")

    def __lshift__(self, other: Any) -> Any:
        self.needed("Python shifts the number")

    __rshift__ = __rlshift__ = __rrshift__ = __lshift__

    def __hash__(self) -> int:
        return hash(self._value("the number is a dict key or an element of a set"))

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.needed("the number is copied")

    def logical_not(self) -> Number:
        """As `Number`."""
        self.needed("a condition depends on the number")

    def truth(self) -> Tensor:
        """As `Number`."""
        self.needed("a condition depends on the number")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not any(map(is_tensor, inputs)) or any(isinstance(x, (np.ndarray, np.generic)) for x in inputs):
            self.needed("NumPy is called with the number")
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)


# ---------------------------------------------------------------- calls
def takes_numbers(f: Any) -> bool:
    """Whether a callable may be given such numbers: it is ours, is rewritten, or asks them for what it needs."""
    if isinstance(f, MethodType):
        return takes_numbers(f.__func__)
    if isinstance(f, FunctionType):
        ours = is_ours(f.__code__.co_filename) or HELPER in f.__code__.co_freevars
        return ours or converted_function(f) is not f
    if isinstance(f, (NativeCallable, np.ufunc)) or any(f is g for g in _NEED_NO_VALUE):
        return True
    call = getattr(type(f), "__call__", None)  # noqa: B004  # the function itself is wanted
    return isinstance(call, FunctionType) and not isinstance(f, type) and takes_numbers(call)


def guarded(f: Any, new: Callable[..., Any]) -> Callable[..., Any]:
    """What is called in place of `f`; where numbers of this kind are among the arguments, the attempt is over."""
    if takes_numbers(f):
        return new

    def call(*args: Any, **kwargs: Any) -> Any:
        if f is sum and args:  # which adds floats in a way of its own, from Python 3.12 on
            args = (list(args[0]) if isinstance(args[0], Iterator) else args[0], *args[1:])
        found = among((args, kwargs))
        if found is not None:
            found.needed(f"{getattr(f, '__qualname__', None) or type(f).__name__}() is called with the number")
        return new(*args, **kwargs)

    return call


def among(x: Any) -> Lifted | None:
    """The first number of this kind in nested lists, tuples and dicts."""
    if type(x) is Lifted:
        return x
    if type(x) in (list, tuple, dict):
        items: Sequence[Any] = list(x.values()) if type(x) is dict else x
        return next((n for n in map(among, items) if n is not None), None)
    return None
