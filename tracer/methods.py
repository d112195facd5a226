"""Compiled functions as methods: each instance has traces of its own, which do not keep the instance alive.

`obj.f` is a `BoundFunction`: it holds the instance and the instance's Function; the Function knows the instance only
weakly, so that both die when the user drops the instance.
"""

from __future__ import annotations

import weakref
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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        instance = self._instance()
        if instance is None:
            raise ReferenceError(f"the object that the method '{self.__name__}' belongs to is gone")
        return self.__func__(instance, *args, **kwargs)


class MethodTable:
    """The Functions of a method's instances, by the instance's identity."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], Function]] = {}
        self._strong: dict[int, tuple[Any, Function]] = {}

    def get(self, function: Function, instance: Any, make: type[Function]) -> Function:
        """The Function of the instance, made at the first need."""
        key = id(instance)
        found = self._entries.get(key)
        if found is not None and found[0]() is instance:
            return found[1]
        if key in self._strong:
            return self._strong[key][1]
        owner = weakref.ref(self)

        def drop(_: Any) -> None:
            table = owner()
            if table is not None:
                table._entries.pop(key, None)

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
        self._entries[key] = (ref, bound)
        return bound


class BoundFunction:
    """A compiled method of one object. Attributes are those of its Function."""

    __slots__ = ("__self__", "_function")

    def __init__(self, function: Function, instance: Any) -> None:
        self._function = function
        self.__self__ = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    @property
    def __func__(self) -> Any:
        return self._function

    @property
    def python_function(self) -> Any:
        """The method as written, bound to the object."""
        method = self._function.python_function
        return method.__func__.__get__(self.__self__) if isinstance(method, WeakMethod) else method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundFunction) and other._function is self._function

    def __hash__(self) -> int:
        return id(self._function)

    def __repr__(self) -> str:
        return f"<pullback method {self._function.name} of {type(self.__self__).__name__} object>"
