"""All public names that live in the tracer, in one place: the root `__init__` takes them from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

from ..runtime.convert import as_tensor, is_tensor
from ..runtime.nest import flatten
from .concrete import ConcreteFunction
from .function import Function, function
from .gradients import gradients
from .scopes import executing_eagerly, init_scope, inside_function
from .spec import TensorSpec

_F = TypeVar("_F", bound=Callable[..., Any])


@contextmanager
def control_dependencies(control_inputs: Sequence[Any] | None) -> Iterator[None]:
    """Runs its body as it stands: effects and assignments keep the order of the program anyway."""
    yield


def group(*inputs: Any, name: str | None = None) -> None:
    """Nothing: what its arguments do is done in the order of the program. Raises ValueError for what is no tensor."""
    for x in flatten(list(inputs)):
        if x is not None and not is_tensor(x):
            as_tensor(x)


def no_op(name: str | None = None) -> None:
    """Nothing."""


def do_not_convert(func: _F | None = None) -> Any:
    """The function itself: no source is rewritten here."""
    return (lambda f: f) if func is None else func


autograph = SimpleNamespace(experimental=SimpleNamespace(do_not_convert=do_not_convert))

__all__ = [
    "ConcreteFunction",
    "Function",
    "TensorSpec",
    "autograph",
    "control_dependencies",
    "executing_eagerly",
    "function",
    "gradients",
    "group",
    "init_scope",
    "inside_function",
    "no_op",
]
