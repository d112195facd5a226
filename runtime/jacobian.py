"""Jacobians: one reverse sweep per element of the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import nest
from .arithmetic import cast
from .context import context
from .convert import make
from .errors import ShapeMismatch, fail
from .ops_create import zeros
from .ops_shape import known_sizes, reshape, stack
from .tape import UnconnectedGradients, _tensor_like
from .tensor import Tensor
from .variable import Variable

if TYPE_CHECKING:
    from .tape import GradientTape


def _value(t: Any) -> Tensor:
    return t._read_unrecorded() if isinstance(t, Variable) else t


def _rows(
    tape: GradientTape, target: Any, sources: list[Any], count: int, seed_of: Callable[[int], np.ndarray[Any, Any]]
) -> list[list[Tensor | None]]:
    """The gradients of `count` weighted sums of the target's elements, each with respect to all sources."""
    raw = not context.recorders and context.trace is None
    shape = _value(target).type.shape
    out = []
    for i in range(count):
        weights = seed_of(i).reshape(shape).astype(target.dtype.np)  # type: ignore[arg-type]
        out.append(tape.pull([(id(target), weights if raw else make(weights))], sources, raw))
    return out


def _size(t: Tensor, what: str) -> int:
    n = t.type.size
    if not isinstance(n, int):
        fail(ValueError, f"{what}: the shape of the target {t.shape} must be known while a function is traced")
    return n


def jacobian(tape: GradientTape, target: Any, sources: Any, unconnected: UnconnectedGradients) -> Any:
    """d target / d source, of shape target.shape + source.shape, in the structure of the sources."""
    tape._ready("jacobian")
    y = _tensor_like(target, "target")
    flat = [_tensor_like(s, "source") for s in nest.flatten(sources)]
    t = _value(y)
    n = _size(t, "jacobian")
    rows = _rows(tape, y, flat, n, lambda i: np.eye(1, n, i)) if y.dtype.is_differentiable else []
    tape._done()
    out = [_assembled([r[k] for r in rows], s, t.type.shape, unconnected) for k, s in enumerate(flat)]
    return nest.pack_sequence_as(sources, out)


def _assembled(rows: list[Tensor | None], source: Any, lead: Any, unconnected: UnconnectedGradients) -> Tensor | None:
    shape = _value(source).type.shape
    if all(r is None for r in rows):
        return None if unconnected is UnconnectedGradients.NONE else zeros((*lead, *shape), source.dtype)
    full = [zeros(shape, source.dtype) if r is None else cast(r, source.dtype) for r in rows]
    return reshape(stack(full), (*lead, *shape))


def batch_jacobian(tape: GradientTape, target: Any, source: Any, unconnected: UnconnectedGradients) -> Tensor:
    """The jacobian of each example, of shape [batch, *target.shape[1:], *source.shape[1:]]."""
    y, s = _tensor_like(target, "target"), _tensor_like(source, "source")
    t, x = _value(y), _value(s)
    a, c = known_sizes(t, "batch_jacobian"), known_sizes(x, "batch_jacobian")
    if not a or not c or a[0] != c[0]:
        fail(ShapeMismatch, f"Need first dimension of target shape ({t.shape}) and source shape ({x.shape}) to match.")
    if len(a) < 2 or len(c) < 2:
        fail(
            ShapeMismatch, f"batch_jacobian: target and source need at least 2 dimensions, got {t.shape} and {x.shape}"
        )
    tape._ready("batch_jacobian")
    batch, n = a[0], _size(t, "batch_jacobian")
    columns = n // batch if batch else 0
    rows = _rows(tape, y, [s], columns, lambda i: np.tile(np.eye(1, columns, i), (batch, 1)))
    tape._done()
    if not rows or all(r[0] is None for r in rows):
        return zeros((*a, *c[1:]), s.dtype)
    full = [zeros(c, s.dtype) if r[0] is None else r[0] for r in rows]
    return reshape(stack(full, axis=1), (*a, *c[1:]))
