"""Compiled functions as methods: each instance has traces of its own, which do not keep the instance alive.

`obj.f` is an ordinary bound method of the instance's own Function, which knows the instance only weakly, so that both
die when the user drops the instance. CPython passes the instance as first argument, which native entries skip.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .function import Function


class WeakMethod:
    """The Python function with a first argument that is held weakly."""

    def __init__(self, function: Any, instance: Any) -> None:
        self.__func__ = function
        self._instance = weakref.ref(instance)
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = getattr(function, "__doc__", None)
        self.__wrapped__ = function

    def with_function(self, function: Any) -> WeakMethod:
        """The same method with another Python function."""
        new = copy.copy(self)
        new.__func__ = function
        return new

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        instance = self._instance()
        if instance is None:
            raise ReferenceError(f"the object that the method '{self.__name__}' belongs to is gone")
        return self.__func__(instance, *args, **kwargs)


class MethodTable:
    """The Functions of a method's instances, by the instance's identity.

    Attributes:
      entries: by the instance's id, a weak reference to it and its Function.
    """

    def __init__(self) -> None:
        self.entries: dict[int, tuple[weakref.ref[Any], Function]] = {}
        self._strong: dict[int, tuple[Any, Function]] = {}

    def get(self, function: Function, instance: Any, make: Callable[..., Function]) -> Function:
        """The Function of the instance, made at the first need."""
        found = self.entries.get(id(instance))
        if found is not None and found[0]() is instance:
            return found[1]
        return self._new(function, instance, make)

    def _new(self, function: Function, instance: Any, make: Callable[..., Function]) -> Function:
        key = id(instance)
        if key in self._strong:
            return self._strong[key][1]
        owner = weakref.ref(self)

        def drop(_: Any) -> None:
            table = owner()
            if table is not None:
                table.entries.pop(key, None)

        try:
            ref = weakref.ref(instance, drop)
        except (
            TypeError
        ):  # an object that cannot be referred to weakly, such as a named tuple, lives as long as its class
            bound = make(function.python_function.__get__(instance), skip=0, **function._options)
            self._strong[key] = (instance, bound)
            return bound
        method = WeakMethod(function.python_function, instance)
        bound = make(method, skip=1, **function._options)
        self.entries[key] = (ref, bound)
        return bound


def unbound(f: Any) -> Any:
    """The Python function behind something compiled; a method keeps its object. Anything else is given back."""
    if isinstance(f, MethodType) and hasattr(f.__func__, "python_function"):
        python = f.__func__.python_function
        return python.__func__.__get__(f.__self__) if isinstance(python, WeakMethod) else python
    return f
