"""Reductions: ops that take one or more axes together.

`axes` is a sorted tuple of non-negative ints; `keepdims` leaves a 1 where an axis was. Gradients are TensorFlow's: max
and min share among ties, and that of a product never divides by an operand (see `scan.py`), so zeros are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .derive import Composite, Constant, expand_reduced, kept_shape
from .dtypes import DType, as_dtype
from .errors import InvalidArgumentError
from .graph import Attrs, Block
from .infer import bad_type, check_axes, check_axis, count, kind
from .opdef import Needs, OpDef, register
from .quiet import enter, leave
from .scan import product_of_others
from .types import TensorType


class Reduce(OpDef):
    """Base of the reductions: type inference, and the meaning as a NumPy function with axis and keepdims.

    Attributes:
      fn: the NumPy function. types: which dtypes it takes (a key of `infer.KINDS`).
    """

    attrs = ("axes", "keepdims")

    def __init__(self, name: str, fn: Callable[..., Any], types: str, summary: str) -> None:
        self.name = self.lowering = name
        self.fn = fn
        self.types = types
        self.summary = summary

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's dtype; the axes dropped, or 1."""
        count(self.name, types, 1)
        kind(self.name, types, self.types)
        (t,) = types
        axes = check_axes(self.name, types, attrs["axes"], t.rank)
        if attrs["keepdims"]:
            return (TensorType(t.dtype, kept_shape(t.shape, axes)),)
        return (TensorType(t.dtype, tuple(d for i, d in enumerate(t.shape) if i not in axes)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The NumPy function, in the operand's own dtype."""
        token = enter()
        try:
            return np.asarray(self.fn(np.asarray(xs[0]), axis=tuple(attrs["axes"]), keepdims=attrs["keepdims"]))
        finally:
            leave(token)


class ReduceConstant(Constant, Reduce):
    """A reduction of bools."""


class ReduceSum(Reduce):
    """The sum. Its adjoint repeats the cotangent."""

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The sum of the tangent."""
        return (None if ts[0] is None else b.apply(self, [ts[0]], attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent broadcast to the operand's shape."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        shape = b.shape(xs[0])
        return (b.broadcast_to(expand_reduced(b, cts[0], shape, attrs), shape=shape),)


class ReduceProd(Reduce):
    """The product. d y / d x_i is the product of the other elements, which is exact where some are zero."""

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The sum of tangent * product of the others."""
        if ts[0] is None:
            return (None,)
        return (b.reduce_sum(ts[0] * product_of_others(b, xs[0], attrs["axes"]), **attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent times the product of the others."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        g = expand_reduced(b, cts[0], b.shape(xs[0]), attrs)
        return (g * product_of_others(b, xs[0], attrs["axes"]),)


class ReduceExtreme(Reduce):
    """Maximum or minimum. Elements that tie for it share the cotangent equally."""

    def _share(self, b: Any, attrs: Attrs, y: Any, x: Any) -> tuple[Any, Any]:
        """1 where an element is the extreme one, else 0; and the number of those, with dimensions kept."""
        y = expand_reduced(b, y, b.shape(x), attrs)
        chosen = b.cast(b.eq(x, y), dtype=b.dtype(x))
        return chosen, b.reduce_sum(chosen, axes=attrs["axes"], keepdims=True)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The mean of the tangents of the elements that tie."""
        if ts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        chosen, number = self._share(b, attrs, outs[0], xs[0])
        return (b.reduce_sum(chosen / number * ts[0], axes=attrs["axes"], keepdims=attrs["keepdims"]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent divided among the elements that tie."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        chosen, number = self._share(b, attrs, outs[0], xs[0])
        return (chosen / number * expand_reduced(b, cts[0], b.shape(xs[0]), attrs),)


class ArgExtreme(Constant):
    """The index of the largest or smallest element along an axis: the first one on ties, a NaN if there is one."""

    attrs = ("axis", "dtype")

    def __init__(self, name: str, fn: Callable[..., Any], summary: str) -> None:
        self.name = self.lowering = name
        self.fn = fn
        self.summary = summary

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """i32 or i64, without the axis."""
        count(self.name, types, 1)
        if types[0].dtype.kind not in "fiub":
            bad_type(self.name, types, "give numbers or bool")
        dtype = index_dtype(self.name, attrs["dtype"])
        axis = check_axis(self.name, types, attrs["axis"], types[0].rank)
        if types[0].shape[axis] == 0:
            self._empty(axis)
        return (TensorType(dtype, types[0].shape[:axis] + types[0].shape[axis + 1 :]),)

    def _empty(self, axis: int) -> None:
        raise InvalidArgumentError(f"{self.name}: Reduction axis {axis} is empty; there is no element to point at")

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.argmax or np.argmin."""
        x = np.asarray(xs[0])
        if x.shape[attrs["axis"]] == 0:
            self._empty(attrs["axis"])
        return np.asarray(self.fn(x, axis=attrs["axis"]), attrs["dtype"].np)


class LogSumExp(Composite):
    """log(sum(exp(x))) without overflow. A row of -inf gives -inf, a row with inf gives inf; neither gives NaN."""

    name = "logsumexp"
    summary = "log of the sum of exponentials over axes, without overflow"
    attrs = ("axes", "keepdims")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """As the other reductions, floats only."""
        kind(self.name, types, "float")
        return _SUM.infer(attrs, types, regions)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """m + log(sum(exp(x - m))) with m the maximum, or 0 where that is infinite."""
        (x,) = xs
        m = b.reduce_max(x, axes=attrs["axes"], keepdims=True)
        m = b.where(b.is_finite(m), m, b.const(0, b.dtype(x)))
        y = b.log(b.reduce_sum(b.exp(x - m), axes=attrs["axes"], keepdims=True)) + m
        if attrs["keepdims"] or not attrs["axes"]:
            return y
        return b.reshape(y, shape=tuple(d for i, d in enumerate(b.shape(x)) if i not in attrs["axes"]))

    def _weights(self, b: Any, attrs: Attrs, y: Any, x: Any) -> Any:
        """exp(x - y): the derivative; 0 all along a row of -inf."""
        y = expand_reduced(b, y, b.shape(x), attrs)
        infinite = b.const(-np.inf, b.dtype(y))
        return b.exp(x - b.where(b.eq(y, infinite), b.const(0, b.dtype(y)), y))

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The mean of the tangent, weighted by the softmax."""
        if ts[0] is None:
            return (None,)
        return (b.reduce_sum(self._weights(b, attrs, outs[0], xs[0]) * ts[0], **attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent times the softmax."""
        if cts[0] is None:
            return (None,)
        return (expand_reduced(b, cts[0], b.shape(xs[0]), attrs) * self._weights(b, attrs, outs[0], xs[0]),)


def index_dtype(op: str, dtype: Any) -> DType:
    """The dtype of an attribute that must be i32 or i64. Raises TypeMismatch."""
    found = as_dtype(dtype)
    if found.short not in ("i32", "i64"):
        bad_type(op, (), f"the attribute dtype must be int32 or int64, not {found.name}")
    return found


def _own_dtype(fn: Callable[..., Any]) -> Callable[..., Any]:
    # np.sum of int32 would give int64.
    return lambda x, axis, keepdims: fn(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _extreme(fn: Callable[..., Any], largest: bool) -> Callable[..., Any]:
    def apply(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        if x.size:
            return fn(x, axis=axis, keepdims=keepdims)
        dtype = as_dtype(x.dtype)
        if dtype.is_floating:
            worst: Any = -np.inf if largest else np.inf
        else:
            worst = dtype.min if largest else dtype.max
        shape = [1 if i in axis else d for i, d in enumerate(x.shape) if keepdims or i not in axis]
        return np.full(shape, worst, x.dtype)

    return apply


_SUM = register(ReduceSum("reduce_sum", _own_dtype(np.sum), "number", "sum over axes"))
register(ReduceProd("reduce_prod", _own_dtype(np.prod), "number", "product over axes"))
register(ReduceExtreme("reduce_max", _extreme(np.max, True), "number", "largest over axes; of nothing: -inf"))
register(ReduceExtreme("reduce_min", _extreme(np.min, False), "number", "smallest over axes; of nothing: inf"))
register(ReduceConstant("reduce_any", np.any, "bool", "whether any is true over axes"))
register(ReduceConstant("reduce_all", np.all, "bool", "whether all are true over axes"))
register(ArgExtreme("argmax", np.argmax, "index of the largest along an axis, the first on ties"))
register(ArgExtreme("argmin", np.argmin, "index of the smallest along an axis, the first on ties"))
register(LogSumExp())
