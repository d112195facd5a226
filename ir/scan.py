"""Scans along an axis: cumulative sum and product, and the linear recurrence that differentiates them.

`linear_scan(a, v)` gives h with h[t] = a[t] * h[t-1] + v[t]. Its adjoint is a linear scan in the other direction, so
scans are closed under differentiation. The gradient of a product is built on them and so never divides by an operand:
it is exact at zeros, in O(n), to every order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Composite, LinearOp, shifted
from .dims import product
from .dtypes import int64
from .graph import Attrs, Block
from .infer import bad_shape, check_axis, count, kind, same_dtype, same_shape, unknown
from .opdef import Needs, OpDef, register
from .quiet import Quiet
from .types import TensorType


class CumSum(LinearOp):
    """y[t] = sum of x[s] for s <= t (`exclusive`: s < t; `reverse`: from the other end)."""

    name = lowering = "cumsum"
    summary = "running sum along an axis"
    attrs = ("axis", "exclusive", "reverse")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's type."""
        count(self.name, types, 1)
        kind(self.name, types, "number")
        check_axis(self.name, types, attrs["axis"], types[0].rank)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.cumsum, turned round and moved on as the attributes say."""
        return _cumulative(np.cumsum, attrs, xs[0], 0)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The running sum of the cotangent from the other end."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        return (b.cumsum(cts[0], **{**attrs, "reverse": not attrs["reverse"]}),)


class CumProd(Composite):
    """y[t] = product of x[s] for s <= t (`exclusive`: s < t; `reverse`: from the other end)."""

    name = "cumprod"
    summary = "running product along an axis"
    attrs = ("axis", "exclusive", "reverse")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's type."""
        count(self.name, types, 1)
        kind(self.name, types, "number")
        check_axis(self.name, types, attrs["axis"], types[0].rank)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.cumprod, turned round and moved on as the attributes say."""
        return _cumulative(np.cumprod, attrs, xs[0], 1)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """A linear scan whose additive term is x at the first place and 0 after it."""
        (x,) = xs
        axis, reverse, shape = attrs["axis"], attrs["reverse"], b.shape(x)
        place = b.iota(shape=shape, axis=axis, dtype=int64)
        if reverse:
            place = b.reverse(place, axes=(axis,))
        first = b.eq(place, b.const(0, int64))
        start = b.where(first, x, b.const(0, b.dtype(x)))
        y = b.linear_scan(x, start, axis=axis, reverse=reverse)
        return shifted(b, y, axis, reverse, 1.0) if attrs["exclusive"] else y

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """dy[t] = x[t] * dy[t-1] + dx[t] * y[t-1]."""
        if ts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        axis, reverse = attrs["axis"], attrs["reverse"]
        before = b.cumprod(xs[0], axis=axis, exclusive=True, reverse=reverse)
        t = b.linear_scan(xs[0], ts[0] * before, axis=axis, reverse=reverse)
        return (shifted(b, t, axis, reverse) if attrs["exclusive"] else t,)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The adjoint recurrence lambda[t] = ct[t] + x[t+1] * lambda[t+1], times y[t-1]."""
        (x,), g = xs, cts[0]
        if g is None or not b.dtype(x).is_differentiable:
            return (None,)
        axis, reverse = attrs["axis"], attrs["reverse"]
        if attrs["exclusive"]:
            g = shifted(b, g, axis, not reverse)
        adjoint = b.linear_scan(shifted(b, x, axis, not reverse), g, axis=axis, reverse=not reverse)
        return (adjoint * b.cumprod(x, axis=axis, exclusive=True, reverse=reverse),)


class LinearScan(OpDef):
    """h[t] = a[t] * h[t-1] + v[t] along an axis, with h[-1] = 0; `reverse` runs from the end."""

    name = lowering = "linear_scan"
    summary = "the linear recurrence h[t] = a[t] * h[t-1] + v[t] along an axis"
    attrs = ("axis", "reverse")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The type that both operands have."""
        count(self.name, types, 2)
        kind(self.name, types, "number")
        same_dtype(self.name, types)
        same = same_shape(types[0].shape, types[1].shape)
        if same is False:
            bad_shape(self.name, types, "both operands must have one shape: broadcast them first")
        if same is None:
            unknown(self.name, types, [*types[0].shape, *types[1].shape])
        check_axis(self.name, types, attrs["axis"], types[0].rank)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """One step of Python per element of the axis."""
        a, v = (np.moveaxis(np.asarray(x), attrs["axis"], 0) for x in xs)
        h = np.empty_like(v)
        last: Any = np.zeros_like(v[0]) if len(v) else None
        with Quiet():
            for t in range(len(v) - 1, -1, -1) if attrs["reverse"] else range(len(v)):
                last = h[t] = a[t] * last + v[t]
        return np.ascontiguousarray(np.moveaxis(h, 0, attrs["axis"]))

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The same recurrence, driven by dv[t] + da[t] * h[t-1]."""
        if (ts[0] is None and ts[1] is None) or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        drive = ts[1]
        if ts[0] is not None:
            push = ts[0] * shifted(b, outs[0], attrs["axis"], attrs["reverse"])
            drive = push if drive is None else drive + push
        return (b.linear_scan(xs[0], drive, **attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The recurrence lambda[t] = ct[t] + a[t+1] * lambda[t+1]; gv = lambda, ga[t] = lambda[t] * h[t-1]."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None)
        axis, reverse = attrs["axis"], attrs["reverse"]
        adjoint = b.linear_scan(shifted(b, xs[0], axis, not reverse), cts[0], axis=axis, reverse=not reverse)
        ga = adjoint * shifted(b, outs[0], axis, reverse) if needs[0] else None
        return (ga, adjoint if needs[1] else None)


def product_of_others(b: Any, x: Any, axes: Sequence[int]) -> Any:
    """For each element the product of all others along `axes`: what stands before it times what stands after it."""
    shape = tuple(b.shape(x))
    if not axes:
        return b.full(shape, 1, b.dtype(x))
    if len(axes) == 1:
        return _others(b, x, axes[0])
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    perm = (*kept, *axes)
    moved = b.transpose(x, perm=perm)
    flat = (*(shape[i] for i in kept), product(tuple(shape[i] for i in axes)))
    y = _others(b, b.reshape(moved, shape=flat), len(kept))
    back = tuple(perm.index(i) for i in range(len(shape)))
    return b.transpose(b.reshape(y, shape=tuple(shape[i] for i in perm)), perm=back)


def _others(b: Any, x: Any, axis: int) -> Any:
    before = b.cumprod(x, axis=axis, exclusive=True, reverse=False)
    return before * b.cumprod(x, axis=axis, exclusive=True, reverse=True)


def _cumulative(fn: Any, attrs: Attrs, x: Any, start: int) -> Any:
    x, axis = np.asarray(x), attrs["axis"]
    if attrs["reverse"]:
        x = np.flip(x, axis)
    with Quiet():
        y = fn(x, axis=axis, dtype=x.dtype)
    if attrs["exclusive"]:
        y = np.moveaxis(np.roll(y, 1, axis), axis, 0)
        y[:1] = start
        y = np.moveaxis(y, 0, axis)
    return np.flip(y, axis) if attrs["reverse"] else y


register(CumSum())
register(CumProd())
register(LinearScan())
