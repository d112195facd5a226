"""Whether a trace that exists serves a call."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..ir.control import match_shapes
from ..ir.errors import ShapeMismatch, TypeMismatch
from ..runtime.context import context
from .arguments import type_of_leaf
from .concrete import ConcreteFunction
from .spec import TensorSpec


def usable(concrete: ConcreteFunction) -> bool:
    """Whether the trace may be called here: one that holds tensors of an enclosing trace belongs to that trace."""
    scope = concrete.scope
    if scope is None:
        return True
    here: Any = context.trace
    return scope.open and here is not None and (here is scope or any(t is scope for t in here.enclosing()))


def fits(concrete: ConcreteFunction, leaves: Sequence[Any]) -> bool:
    """Whether a trace with symbolic sizes serves tensors of these shapes."""
    if any(isinstance(x, TensorSpec) for x in leaves):
        return False
    wanted = concrete.ir.param_types[: len(leaves)]
    try:
        sizes = match_shapes(concrete.name, wanted, [type_of_leaf(x) for x in leaves])
    except (ShapeMismatch, TypeMismatch):
        return False
    if concrete.session is None:
        return True
    known = {k: n for k, n in sizes.items() if type(n) is int}
    return len(known) == len(sizes) and concrete.session.holds(known)


def weakly(x: Any, drop: Callable[[Any], None]) -> Any:
    """A weak reference that calls `drop`; the object itself where there can be none."""
    try:
        return weakref.ref(x, drop)
    except TypeError:
        return x
