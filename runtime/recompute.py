"""`recompute_grad`: a function whose intermediate results are not kept for its gradient but computed again.

Eagerly the function runs without the tapes seeing it, and once more under a tape of its own when its gradient is
asked for. In a compiled function the second run is part of the gradient's ops. There the compiler would find that it
computes what the first run has computed, and keep that; so its arguments go through the op `after`, which passes them
on once the cotangents are there: they are other values then, and nothing of the second run can be had earlier.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.opdef import get
from . import nest
from .array import array_of, is_array
from .context import context, paused, pop, push
from .convert import as_tensor
from .custom_gradient import Watcher, custom_gradient
from .dispatch import apply
from .elementwise import NONE
from .tape import GradientTape
from .tensor import Tensor
from .variable import Variable

_AFTER, _CAST, _RESHAPE, _SLICE = get("after"), get("cast"), get("reshape"), get("slice")


def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose intermediate results are computed again for the gradient instead of kept.

    Gradients flow to all tensors among the arguments (positional, keyword, in structures) and to the variables that
    the function reads. It runs twice, so it should not change variables. Derivatives of any order work.
    """

    @functools.wraps(f)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return _Call(f, args, kwargs).run()

    return inner


class _Call:
    """One call: the function, its arguments, and which leaves among them are differentiable."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.f = f
        self.given = (args, kwargs)
        self.leaves = nest.flatten(self.given)
        self.places = [i for i, x in enumerate(self.leaves) if isinstance(x, (Tensor, Variable, np.ndarray))]

    def run(self) -> Any:
        """The results, which the tapes see as made in one go."""
        shape: list[Any] = []

        @custom_gradient
        def call(*xs: Any) -> Any:
            watcher = Watcher()
            with paused():
                push(watcher)
                try:
                    result = self._again(xs)
                finally:
                    pop(watcher)
            for v in watcher.found.values():
                v._as_tensor()  # the tapes outside see that it is read
            leaves = nest.flatten(result)
            shape[:] = [result, leaves]
            outs = [as_tensor(y) for y in leaves if y is not None]
            done = _signs(outs) if context.trace is not None else []
            return outs, functools.partial(self._gradient, xs, done)

        call.__name__ = getattr(self.f, "__name__", "recompute_grad")
        outs = iter(call(*(self.leaves[i] for i in self.places)))
        result, leaves = shape
        return nest.pack_sequence_as(result, [None if y is None else next(outs) for y in leaves])

    def _again(self, xs: Sequence[Any]) -> Any:
        leaves = list(self.leaves)
        for i, x in zip(self.places, xs, strict=True):
            leaves[i] = x
        args, kwargs = nest.pack_sequence_as(self.given, leaves)
        return self.f(*args, **kwargs)

    def _gradient(self, xs: Sequence[Any], done: Sequence[Tensor], *cts: Any, variables: Any = ()) -> Any:
        """The cotangents of the arguments and the variables. `done` says that the first run is over."""
        if context.trace is not None:
            signs = [*done, *_signs(cts)]
            xs = [_after(x, signs) for x in xs]
        with GradientTape() as tape:
            tape.watch([x for x in xs if x.dtype.is_differentiable])
            again = [y for y in nest.flatten(self._again(xs)) if y is not None]
        found = tape.gradient(again, [*xs, *variables], output_gradients=list(cts))
        grads = found[: len(xs)]
        return (grads, found[len(xs) :]) if variables else grads


def _signs(ts: Sequence[Any]) -> list[Any]:
    """Scalars that are there when the tensors are: an element of each."""
    return [_first(t) for t in ts if t.dtype.is_floating and 0 not in t.type.shape]


def _first(t: Any) -> Any:
    rank = len(t.type.shape)
    if not rank:
        return t
    row = apply(_SLICE, (t,), {"starts": (0,) * rank, "sizes": (1,) * rank, "strides": (1,) * rank})
    return apply(_RESHAPE, (row,), {"shape": ()})


def _after(x: Any, signs: Sequence[Any]) -> Any:
    """The tensor, to be had only when the signs are there. Integers need no such thing."""
    if isinstance(x, Variable) or not x.dtype.is_floating:
        return x
    y = x
    for t in signs:
        y = apply(_AFTER, (y, t if t.dtype is x.dtype else apply(_CAST, (t,), {"dtype": x.dtype})), NONE)
    return array_of(y) if is_array(x) and y is not x else y
