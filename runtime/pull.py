"""The reverse rules of simple elementwise ops in a sweep over arrays of real floats: partial times cotangent.

`RULES[op](g, y, xs, reach, values, owned)` adds the shares of the operands `xs` to the running cotangents `values`,
which know tensors by their identity: `g` is the cotangent of the result, whose array is `y`, operands that are not in
`reach` get nothing, and `owned` are the arrays that the sweep made itself. The rules are those of the table, so that
eager, interpreted and compiled derivatives are the same bits. NumPy is quiet in a sweep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.builder import BaseBuilder
from ..ir.derive import fit
from ..ir.dtypes import _BY_NP as BY_NUMPY
from ..ir.dtypes import DType, as_dtype
from ..ir.elementwise import Elementwise, same
from ..ir.opdef import OpDef, table

Owned = dict[int, Any]
_SMALL = 256  # elements up to which it does not pay to remember whose an array is


class ArrayBuilder(BaseBuilder):
    """A builder over arrays and NumPy scalars, without the detours of one that finds ops when they are asked for."""

    def const(self, value: Any, dtype: DType) -> Any:
        """An array of the dtype."""
        return np.asarray(value, dtype.np)

    def apply(self, op: OpDef, operands: Any, attrs: dict[str, Any]) -> Any:
        """The op's NumPy meaning."""
        return op.eager(attrs, *operands)

    def shape(self, x: Any) -> Any:
        """The array's shape."""
        return x.shape

    def dtype(self, x: Any) -> DType:
        """The array's dtype."""
        return BY_NUMPY.get(x.dtype) or as_dtype(x.dtype)


def _method(op: OpDef) -> Callable[..., Any]:
    if isinstance(op, Elementwise) and type(op).eager is Elementwise.eager:
        return op.fn  # scalars are as good as arrays here
    return lambda *xs, **attrs: op.eager(attrs, *xs)


_b: Any = ArrayBuilder()
for _op in table():
    setattr(_b, _op.name, _method(_op))


def summed(running: Any, share: Any, owned: Owned) -> Any:
    """A running cotangent and one more share of it."""
    if owned and id(running) in owned:
        return np.add(running, share, out=running)
    total = running + share
    if total.size > _SMALL:
        owned[id(total)] = total
    return total


# The rules below write the addition of a share out each time: a sweep over small arrays is little but such calls.


def _unary(partial: Callable[..., Any]) -> Callable[..., None]:
    def rule(g: Any, y: Any, xs: Any, reach: Any, values: dict[int, Any], owned: Owned) -> None:
        x = xs[0]
        v = x._data
        share = partial(_b, g, y, v) if y.ndim else partial(_b, g[()], y[()], v[()])
        if share.shape != v.shape or share.dtype is not v.dtype:
            share = fit(_b, share, v)
        key = id(x)
        running = values.get(key)
        if running is None:
            values[key] = share
        elif owned or share.size > _SMALL:
            values[key] = summed(running, share, owned)
        else:
            values[key] = running + share

    return rule


def _binary(first: Callable[..., Any] | None, second: Callable[..., Any] | None) -> Callable[..., None]:
    def rule(g: Any, y: Any, xs: Any, reach: Any, values: dict[int, Any], owned: Owned) -> None:
        x, z = xs
        v, w = x._data, z._data
        if not y.ndim:  # NumPy is quicker with scalars than with arrays of no dimensions
            g, y, v, w = g[()], y[()], v[()], w[()]
        key = id(x)
        if key in reach and first is not None:
            share = g if first is same else first(_b, g, y, v, w)
            if share.shape != v.shape or share.dtype is not v.dtype:
                share = fit(_b, share, v)
            running = values.get(key)
            if running is None:
                values[key] = share
            elif owned or share.size > _SMALL:
                values[key] = summed(running, share, owned)
            else:
                values[key] = running + share
        key = id(z)
        if key in reach and second is not None:
            share = g if second is same else second(_b, g, y, v, w)
            if share.shape != w.shape or share.dtype is not w.dtype:
                share = fit(_b, share, w)
            running = values.get(key)
            if running is None:
                values[key] = share
            elif owned or share.size > _SMALL:
                values[key] = summed(running, share, owned)
            else:
                values[key] = running + share

    return rule


def _rule(op: Elementwise) -> Callable[..., None]:
    if op.arity == 2:
        return _binary(*op.partials)
    assert op.partials[0] is not None
    return _unary(op.partials[0])


RULES: dict[Any, Callable[..., None]] = {
    op: _rule(op) for op in table() if isinstance(op, Elementwise) and op.simple and op.arity <= 2
}
