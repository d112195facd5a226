"""Functions with a derivative of their own: `custom_gradient`, `stop_gradient`.

The function's results are put on the tapes as one record, whose rule calls the user's gradient function on tensors.
The ops inside still run under the tapes, so that a second derivative can go through what the gradient function uses.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..ir.builder import RawBuilder
from ..ir.opdef import get
from . import nest
from .context import context, pop, push, slow_mode
from .convert import as_tensor
from .dispatch import apply, apply_unrecorded, record
from .elementwise import NONE
from .errors import fail
from .tensor import Tensor
from .variable import Variable

_IDENTITY, _STOP = get("identity"), get("stop_gradient")


class Watcher:
    """Sees which trainable variables are read."""

    def __init__(self) -> None:
        self.found: dict[int, Variable] = {}

    def record(self, op: Any, attrs: Any, xs: Any, outs: Any) -> None:
        """Called after each op."""
        for x in xs:
            if isinstance(x, Variable) and x.trainable:
                self.found[x._number] = x


class CustomRule:
    """What a tape holds of a call: operands are the arguments, then the variables that were read."""

    differentiable = True
    wirtinger = True

    def __init__(self, name: str, grad_fn: Callable[..., Any], arguments: int, variables: list[Variable]) -> None:
        self.name = name
        self.grad_fn = grad_fn
        self.arguments = arguments
        self.variables = variables

    def vjp(self, b: Any, attrs: Any, outs: Any, xs: Any, cts: Any, needs: Any) -> Sequence[Any]:
        """The user's gradients, as arrays or tensors."""
        raw = isinstance(b, RawBuilder)
        given = [b.zeros_like(o) if g is None else g for g, o in zip(cts, outs, strict=True)]
        grads = self._call([as_tensor(g) for g in given] if raw else given)
        return [None if g is None else g._data if raw else g for g in grads]

    def _call(self, cts: list[Any]) -> list[Tensor | None]:
        if self.variables:
            answer = self.grad_fn(*cts, variables=self.variables)
            if not isinstance(answer, (tuple, list)) or len(answer) != 2:
                fail(ValueError, f"the gradient function of '{self.name}' must return (gradients, variable gradients)")
            inputs, more = nest.flatten(answer[0]), list(answer[1] or [])
        else:
            inputs, more = nest.flatten(self.grad_fn(*cts)), []
        if len(inputs) != self.arguments:
            fail(
                ValueError,
                f"custom_gradient function '{self.name}' expected to return {self.arguments} gradients, but "
                f"returned {len(inputs)} instead",
            )
        if len(more) != len(self.variables):
            fail(
                ValueError,
                f"custom_gradient function '{self.name}' must return a gradient for each of "
                f"{len(self.variables)} variables, but returned {len(more)}",
            )
        return [None if g is None else as_tensor(g) for g in [*inputs, *more]]


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that returns (result, gradient function).

    The gradient function takes a cotangent per result and gives one per argument (None for none); where `f` reads
    variables it takes `variables=` as well and returns (gradients, variable gradients).

    Raises (when called):
      TypeError: variables were read, and the gradient function takes none. ValueError: another number of gradients.
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        return _run(f, args, kwargs)

    return decorated


def _run(f: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    args = nest.map_structure(_tensor_argument, args) if args else args
    watcher = Watcher()
    push(watcher)
    try:
        answer = f(*args, **kwargs)
    finally:
        pop(watcher)
    name = getattr(f, "__name__", "custom gradient")
    if not isinstance(answer, tuple) or len(answer) != 2 or not callable(answer[1]):
        fail(TypeError, f"'{name}' under pb.custom_gradient must return (result, gradient function), got {answer!r}")
    result, grad_fn = answer
    xs = [x for x in nest.flatten(args) if isinstance(x, (Tensor, Variable))]
    mine = {id(x._origin) for x in xs if isinstance(x, Variable)}
    variables = [v for k, v in sorted(watcher.found.items()) if id(v) not in mine]
    if variables and not _takes_variables(grad_fn):
        fail(
            TypeError,
            f"If using @custom_gradient with a function that uses variables, then grad_fn must accept a "
            f"'variables' keyword argument: '{name}' reads {variables[0].name}",
        )
    outs = [apply_unrecorded(_IDENTITY, (as_tensor(y),), NONE) for y in nest.flatten(result)]
    if slow_mode.count and (context.recorders or context.trace is not None):
        rule = CustomRule(name, grad_fn, len(xs), variables)
        operands = [x._origin if isinstance(x, Variable) else x for x in xs] + variables
        if context.trace is not None:
            outs = context.trace.custom_gradient(name, rule._call, operands, outs)
        if context.recorders:
            record(rule, NONE, operands, outs)
    return nest.pack_sequence_as(result, outs)


def _tensor_argument(x: Any) -> Any:
    return x if isinstance(x, (Tensor, Variable)) else as_tensor(x)


def _takes_variables(grad_fn: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(grad_fn).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.name == "variables" or p.kind is p.VAR_KEYWORD for p in parameters)


def stop_gradient(input: Any, name: str | None = None) -> Tensor:
    """The tensor itself, through which no gradient flows."""
    return apply(_STOP, (as_tensor(input),), NONE)  # type: ignore[no-any-return]


def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, whose gradient is that of the identity."""

    @custom_gradient
    def inner(*args: Any, **kwargs: Any) -> Any:
        def grad(*cts: Any, variables: Any = None) -> Any:
            return (cts, [None] * len(variables)) if variables else cts

        return f(*args, **kwargs), grad

    return functools.wraps(f)(inner)


def prevent_gradient(input: Any, message: str = "", name: str | None = None) -> Tensor:
    """The tensor itself; asking for a gradient through it raises LookupError."""

    def grad(ct: Any) -> Any:
        raise LookupError(f"Gradient explicitly disabled. Reason: {message}")

    return custom_gradient(lambda x: (x, grad))(input)  # type: ignore[no-any-return]
