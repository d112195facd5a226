"""`Module`: a class whose variables and sub-modules are found by looking at its attributes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .context import name_scope
from .nest import flatten
from .variable import Variable

F = TypeVar("F", bound=Callable[..., Any])


class Module:
    """Base of things that own variables. Attributes may hold variables, modules and structures of them."""

    def __init__(self, name: str | None = None) -> None:
        found = name if name is not None else _snake(type(self).__name__)
        if not re.fullmatch(r"[A-Za-z_]\w*", found):
            raise ValueError(
                f"{found!r} is not a valid module name. Module names must be valid Python identifiers "
                "(e.g. a valid class name)."
            )
        self._name = found

    @property
    def name(self) -> str:
        """The name given, or one made from the class's."""
        return getattr(self, "_name", None) or _snake(type(self).__name__)

    @property
    def name_scope(self) -> Any:
        """A context that prefixes variable names with the module's name."""
        return name_scope(self.name)

    @classmethod
    def with_name_scope(cls, method: F) -> F:
        """Decorates a method to run inside the module's name scope."""
        import functools

        @functools.wraps(method)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return wrapped  # type: ignore[return-value]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables of this module and those below, in the order of attribute names."""
        return tuple(_unique(_variables(self, set())))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """Those of `variables` that tapes watch."""
        return tuple(v for v in self.variables if v.trainable)

    @property
    def non_trainable_variables(self) -> tuple[Variable, ...]:
        """The others."""
        return tuple(v for v in self.variables if not v.trainable)

    @property
    def submodules(self) -> tuple[Module, ...]:
        """All modules below this one."""
        seen: set[int] = {id(self)}
        return tuple(_submodules(self, seen))


def _leaves(module: Any) -> Iterator[Any]:
    attributes = vars(module)
    for key in sorted(attributes):
        try:
            yield from flatten(attributes[key])
        except TypeError:  # a dict whose keys do not sort holds no variables of ours
            continue


def _is_module(x: Any) -> bool:
    return isinstance(x, Module) or (hasattr(type(x), "trainable_variables") and hasattr(x, "__dict__"))


def _variables(module: Any, seen: set[int]) -> Iterator[Variable]:
    seen.add(id(module))
    below = []
    for leaf in _leaves(module):
        if isinstance(leaf, Variable):
            yield leaf._origin
        elif _is_module(leaf) and id(leaf) not in seen:
            below.append(leaf)
    for m in below:
        if id(m) not in seen:
            yield from _variables(m, seen) if isinstance(m, Module) else m.variables


def _unique(variables: Iterator[Variable]) -> Iterator[Variable]:
    seen: set[int] = set()
    for v in variables:
        if id(v) not in seen:
            seen.add(id(v))
            yield v


def _submodules(module: Any, seen: set[int]) -> Iterator[Module]:
    below = [m for m in _leaves(module) if isinstance(m, Module)]
    fresh = []
    for m in below:
        if id(m) not in seen:
            seen.add(id(m))
            fresh.append(m)
            yield m
    for m in fresh:
        yield from _submodules(m, seen)


def _snake(name: str) -> str:
    return re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name).lower()
