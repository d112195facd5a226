"""The Python signature of a traced function: every call is brought to one canonical tuple of argument values.

`f(1, b=2)`, `f(1, 2)` and a call that leaves a default out give the same tuple, hence the same trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..runtime.location import at

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_EMPTY = inspect.Parameter.empty
Values = tuple[Any, ...]


class Signature:
    """The parameters of a function.

    Attributes:
      names: parameter names in order. `skip` parameters at the front are left out (a method's `self`).
    """

    def __init__(self, fn: Callable[..., Any], name: str, skip: int = 0) -> None:
        self.function_name = name
        self.signature = _signature_of(fn, skip)
        parameters = list(self.signature.parameters.values())
        self.parameters = parameters
        self.names = [p.name for p in parameters]
        self.positional = [p for p in parameters if p.kind in _POSITIONAL]
        self.keyword_only = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        self.varargs = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL), None)
        self.varkw = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD), None)
        self.simple = len(self.positional) == len(parameters)
        defaults = [p.default for p in self.positional]
        self._count = len(self.positional)
        self._required = sum(d is _EMPTY for d in defaults)
        self._defaults = tuple(defaults)

    def bind(self, args: Values, kwargs: Mapping[str, Any]) -> Values:
        """The values of all parameters in order: `*args` as a tuple, `**kwargs` as a dict, defaults filled in.

        Raises:
          TypeError: for arguments that are missing, unknown, given twice or too many.
        """
        if self.simple and not kwargs:
            n = len(args)
            if n == self._count:
                return args
            if self._required <= n < self._count:
                return args + self._defaults[n:]
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as e:
            raise TypeError(f"{self.function_name}{self.signature}: {e}{at()}") from None
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def defaults_after(self, n: int) -> Values | None:
        """The defaults that a call with `n` positional arguments uses; None where parameters are not that simple.

        `*args` behind positional parameters that are all given is simple: a call is told by how many there are.
        """
        only_more = self.varargs is not None and not self.keyword_only and self.varkw is None
        return self._defaults[n:] if self.simple or (only_more and n >= self._count) else None

    def call_arguments(self, values: Values) -> tuple[Values, dict[str, Any]]:
        """The arguments to call the Python function with, from canonical values."""
        n = len(self.positional)
        args = tuple(values[:n])
        at = n
        if self.varargs is not None:
            args += tuple(values[at])
            at += 1
        kwargs = {}
        for p in self.keyword_only:
            kwargs[p.name] = values[at]
            at += 1
        if self.varkw is not None:
            kwargs.update(values[at])
        return args, kwargs


def _signature_of(fn: Callable[..., Any], skip: int) -> inspect.Signature:
    try:
        signature = inspect.signature(fn)
    except (ValueError, TypeError):  # builtins without a text signature: anything goes
        return inspect.Signature(
            [
                inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
                inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
            ]
        )
    # annotations are left out: they may be long, and nothing here reads them
    plain = [p.replace(annotation=_EMPTY) for p in signature.parameters.values()]
    for _ in range(skip):
        if plain and plain[0].kind in _POSITIONAL:
            plain.pop(0)
    return inspect.Signature(plain)


def name_of(fn: Any) -> str:
    """The name of a callable; `lambda` for lambdas, the class name for callable objects."""
    while hasattr(fn, "func") and not hasattr(fn, "__name__"):  # functools.partial
        fn = fn.func
    name = getattr(fn, "__name__", None) or type(fn).__name__
    return "lambda" if name == "<lambda>" else str(name)


def copy_identity(source: Any, target: Any) -> None:
    """`__name__`, `__doc__`, `__module__`, `__qualname__`, `__wrapped__` of the Python function."""
    for attribute in ("__name__", "__doc__", "__module__", "__qualname__"):
        value = getattr(source, attribute, None)
        if value is not None or attribute == "__doc__":
            setattr(target, attribute, value)
    target.__wrapped__ = source
