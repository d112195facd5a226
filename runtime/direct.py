"""Elementwise ops on eager tensors without detours: what `dispatch.apply` does, for the operands that are common.

An op of two tensors of one dtype, or of a tensor and a Python number, runs its NumPy function at once when no trace is
running; where one tape listens, the record is made here too. Everything else (symbols, arrays, variables, other
recorders, dtypes that were not asked about, errors) goes the general way, which `elementwise.py` hands in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.elementwise import Elementwise
from ..ir.opdef import OpDef
from ..ir.quiet import Quiet, aside
from .context import context, slow_mode
from .dispatch import explain, record
from .tensor import Tensor, as_storage

NONE: dict[str, Any] = {}
_EXACT = 2**53  # integers up to here are the same number as a double, and so rounded once
_new = object.__new__
_ndarray = np.ndarray
_Tape: Any = None  # `GradientTape`, whose module needs this one
_known: dict[OpDef, dict[np.dtype[Any], bool]] = {}


def known(op: OpDef) -> dict[np.dtype[Any], bool]:
    """The dtypes for which the op was found to be defined; true where tapes keep its result."""
    return _known.setdefault(op, {})


def remember(op: OpDef, dtype: np.dtype[Any]) -> None:
    """The op is defined for eager tensors of the dtype."""
    if isinstance(op, Elementwise) and op.plain(dtype):
        known(op)[dtype] = op.differentiable and op.result == "same" and dtype.kind in "fcV"


def binary_of(op: Elementwise, general: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """The op of two operands that broadcast; `general` is its way for whatever is not expected here."""
    fn, dtypes = op.fn, known(op)

    def run(x: Any, y: Any) -> Tensor:
        if type(x) is not Tensor or type(y) is not Tensor:
            pair = _tensors(x, y)
            return general(x, y) if pair is None else run(*pair)
        a, c = x._data, y._data
        d = a.dtype
        if d is not c.dtype or d not in dtypes:
            return general(x, y)
        recorders: Any = None
        if slow_mode.count:
            if slow_mode.traces and context.trace is not None:
                return general(x, y)
            recorders = context.recorders
        try:
            z = aside(fn, a, c)
        except Exception:
            z = _again(op, (x, y))
        t = _new(Tensor)
        t._data = z if type(z) is _ndarray and z.flags.c_contiguous else _stored(z)
        if recorders:
            tape = recorders[0]
            if type(tape) is _Tape and len(recorders) == 1 and dtypes[d]:
                watched = tape._watched
                if id(x) in watched or id(y) in watched:
                    tape._records.append((op, NONE, (x, y), (t,)))
                    watched[id(t)] = t
            else:
                record(op, NONE, (x, y), (t,))
        return t

    run.__name__ = run.__qualname__ = op.name
    return run


def _tensors(x: Any, y: Any) -> tuple[Tensor, Tensor] | None:
    """A tensor and a Python number, in any order, as two tensors; None for whatever else they are."""
    if type(x) is Tensor:
        t = _number(y, x._data.dtype)
        return None if t is None else (x, t)
    if type(y) is Tensor:
        t = _number(x, y._data.dtype)
        return None if t is None else (t, y)
    return None


def _number(value: Any, dtype: np.dtype[Any]) -> Tensor | None:
    """A Python number as a tensor of floats; None where only the general way knows what it is."""
    if dtype.kind != "f" or (slow_mode.traces and context.trace is not None):
        return None
    if type(value) is float or (type(value) is int and -_EXACT <= value <= _EXACT):
        with Quiet():
            return Tensor(np.array(value, dtype))
    return None


def _again(op: OpDef, xs: tuple[Tensor, ...]) -> Any:
    """What the op gives where the quiet context was in use, or what is wrong with the operands."""
    try:
        return op.eager(NONE, *[x._data for x in xs])
    except Exception as e:
        explain(op, xs, NONE, e)


def _stored(z: Any) -> Any:
    """A result that is a scalar, or laid out in another order, as the array of a tensor."""
    return np.asarray(z) if isinstance(z, np.generic) else as_storage(z)


def unary_of(op: Elementwise, general: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """The op of one operand, as `binary_of`."""
    fn, dtypes = op.fn, known(op)

    def run(x: Any, name: str | None = None) -> Tensor:
        if type(x) is not Tensor:
            return general(x)
        a = x._data
        d = a.dtype
        if d not in dtypes:
            return general(x)
        recorders: Any = None
        if slow_mode.count:
            if slow_mode.traces and context.trace is not None:
                return general(x)
            recorders = context.recorders
        try:
            z = aside(fn, a)
        except Exception:
            z = _again(op, (x,))
        t = _new(Tensor)
        t._data = z if type(z) is _ndarray and z.flags.c_contiguous else _stored(z)
        if recorders:
            tape = recorders[0]
            if type(tape) is _Tape and len(recorders) == 1 and dtypes[d]:
                watched = tape._watched
                if id(x) in watched:
                    tape._records.append((op, NONE, (x,), (t,)))
                    watched[id(t)] = t
            else:
                record(op, NONE, (x,), (t,))
        return t

    run.__name__ = run.__qualname__ = op.name
    return run


def bind(tape: type) -> None:
    """Sets the class whose records are made here."""
    global _Tape
    _Tape = tape
