"""Running one op: eagerly through NumPy or into a trace, and telling the tapes.

`apply` is the only door. It takes Tensors that already have the right dtypes; the public ops do that conversion. The
common case, no tape and no trace in any thread, is kept short. Shapes and dtypes are checked by NumPy first and
explained by the op's own type rule only when something went wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..ir import ops as _table  # noqa: F401  (declares the ops)
from ..ir.errors import InvalidArgumentError, OpError, UnimplementedError
from ..ir.opdef import OpDef, get
from .context import context, slow_mode
from .location import at
from .tensor import Tensor, as_storage

Attrs = dict[str, Any]


def apply(op: OpDef, xs: Sequence[Tensor], attrs: Attrs) -> Any:
    """The op on tensors: a Tensor, or a tuple of them when the op has several results.

    Raises:
      OpError: what the op's type rule says about the operands, with the user's line.
    """
    if not slow_mode.count:
        return _eager(op, xs, attrs)
    trace = context.trace
    xs = [x if x._part is None else x._resolved() for x in xs]
    outs = _eager(op, xs, attrs) if trace is None else trace.apply(op, xs, attrs)
    if context.recorders:
        record(op, attrs, xs, outs if type(outs) is tuple else (outs,))
    return outs


def apply_unrecorded(op: OpDef, xs: Sequence[Tensor], attrs: Attrs) -> Any:
    """As `apply`, but no tape sees it: for the changes of state of a Variable."""
    trace = context.trace if slow_mode.count else None
    return _eager(op, xs, attrs) if trace is None else trace.apply(op, xs, attrs)


def call(name: str, *xs: Tensor, **attrs: Any) -> Any:
    """The op of that name."""
    return apply(get(name), xs, attrs)


def record(op: Any, attrs: Any, xs: Sequence[Any], outs: Sequence[Tensor]) -> None:
    """Tells every tape of this thread; `op` needs only derivative rules (`vjp`, and `jvp` for forward mode)."""
    for recorder in tuple(context.recorders):
        recorder.record(op, attrs, xs, outs)


def _eager(op: OpDef, xs: Sequence[Tensor], attrs: Attrs) -> Any:
    try:
        y = op.eager(attrs, *[x._data for x in xs])
    except Exception as e:
        explain(op, xs, attrs, e)
    if type(y) is tuple:
        return tuple([Tensor(as_storage(v)) for v in y])
    if type(y) is np.ndarray and y.flags.c_contiguous:
        return Tensor(y)
    return Tensor(as_storage(y))


def explain(op: OpDef, xs: Sequence[Tensor], attrs: Attrs, error: Exception) -> NoReturn:
    """Raises the clearest error for an op that failed: the type rule's, else NumPy's, as an OpError."""
    if isinstance(error, OpError):
        raise with_line(error) from None
    if isinstance(error, (MemoryError, TypeError, ImportError)) and not isinstance(error, ValueError):
        check(op, xs, attrs)
        if isinstance(error, TypeError):
            dtypes = ", ".join(x.dtype.name for x in xs)
            raise UnimplementedError(f"{op.name}: not available for {dtypes} ({error}){at()}") from error
        raise error
    check(op, xs, attrs)
    raise InvalidArgumentError(f"{op.name}: {error}{at()}") from error


def check(op: OpDef, xs: Sequence[Tensor], attrs: Attrs) -> None:
    """Asks the op's type rule; its error gets the user's line."""
    try:
        op.infer(attrs, [x.type for x in xs])
    except OpError as e:
        raise with_line(e) from None


def with_line(error: OpError) -> OpError:
    """The error with the user's line at the end of its text (once)."""
    where = at()
    if where and not error.message.endswith("]"):
        error.message += where
        error.args = (error.message,)
    return error


__all__ = ["apply", "apply_unrecorded", "call", "check", "explain", "record", "with_line"]
