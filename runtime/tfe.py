"""The function transformers of TensorFlow 1's eager mode (`tf.contrib.eager`), under their names there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from . import nest
from .arithmetic import identity
from .convert import as_tensor
from .errors import fail
from .tape import GradientTape
from .variable import Variable


def _positions(f: Callable[..., Any], params: Any, count: int) -> list[int]:
    if params is None:
        return list(range(count))
    if all(isinstance(p, int) for p in params):
        wrong = [p for p in params if not 0 <= p < count]
        if wrong:
            fail(ValueError, f"params {wrong} are no positions among {count} arguments")
        return list(params)
    if not all(isinstance(p, str) for p in params):
        fail(ValueError, f"params must be all strings or all integers; got {params!r}")
    names = list(inspect.signature(f).parameters)
    missing = [p for p in params if p not in names]
    if missing:
        fail(ValueError, f"params {missing} are no arguments of the function: it has {names}")
    return [names.index(p) for p in params]


def value_and_gradients_function(f: Callable[..., Any], params: Any = None) -> Callable[..., Any]:
    """A function that gives (f(*args), [gradient per parameter]).

    Args:
      params: positions or names of arguments; all of them by default.

    Raises (when called):
      ValueError: keyword arguments, a function that returns None, unknown parameters.
    """

    @functools.wraps(f)
    def decorated(*args: Any, dy: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            fail(ValueError, "Functions to be differentiated cannot receive keyword arguments.")
        where = _positions(f, params, len(args))
        # Fresh handles: an argument given twice is differentiated in each place.
        xs = [_argument(a) if i in where else a for i, a in enumerate(args)]
        sources = [xs[i] for i in where]
        with GradientTape(persistent=True) as tape:
            for s in sources:
                if s.dtype.is_differentiable:
                    tape.watch(s)
            result = f(*xs)
            if result is None:
                fail(
                    ValueError,
                    "Cannot differentiate a function that returns None; did you forget to return a value "
                    f"from {getattr(f, '__name__', f)!r}?",
                )
        outs = nest.map_structure(_argument_value, result)
        cts = None if dy is None else nest.flatten(nest.map_structure(as_tensor, dy))
        grads = tape.gradient(result, sources, output_gradients=cts)
        return outs, grads

    return decorated


def _argument(a: Any) -> Any:
    return a if isinstance(a, Variable) else identity(as_tensor(a))


def _argument_value(a: Any) -> Any:
    return a if isinstance(a, Variable) else as_tensor(a)


def gradients_function(f: Callable[..., Any], params: Any = None) -> Callable[..., Any]:
    """A function that gives the list of gradients of `f` by its arguments; see `value_and_gradients_function`."""
    both = value_and_gradients_function(f, params)

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return decorated


def implicit_value_and_gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives (f(*args), [(gradient, variable), ...]) for every trainable variable that was read.

    Raises (when called):
      ValueError: no variable was read, or the function returns None.
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with GradientTape() as tape:
            result = f(*args, **kwargs)
        if result is None:
            fail(
                ValueError,
                "Cannot differentiate a function that returns None; did you forget to return a value from "
                f"{getattr(f, '__name__', f)!r}?",
            )
        variables = list(tape.watched_variables())
        if not variables:
            fail(ValueError, "No trainable variables were accessed while the function was being computed.")
        return result, list(zip(tape.gradient(result, variables), variables, strict=True))

    return decorated


def implicit_gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives [(gradient, variable), ...]; see `implicit_value_and_gradients`."""
    both = implicit_value_and_gradients(f)

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return decorated


implicit_grad = implicit_gradients
val_and_grad_function = value_and_gradients_function
implicit_val_and_grad = implicit_value_and_gradients
