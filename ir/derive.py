"""What derivative rules share: un-broadcasting, undoing a reduction, shifting along an axis, zeros.

Everything here is written against a builder, like the rules themselves, so that it runs over IR values, eager
tensors and plain arrays, and can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .builder import RAW
from .graph import Attrs
from .infer import same_size
from .opdef import Needs, OpDef
from .quiet import Quiet
from .types import Shape


def unbroadcast(b: Any, g: Any, shape: Shape) -> Any:
    """The cotangent of an operand of `shape` that was broadcast: `g` summed over the dimensions that were repeated."""
    have = tuple(b.shape(g))
    shape = tuple(shape)
    if have == shape:
        return g
    lead = len(have) - len(shape)
    axes = list(range(lead))
    for i, want in enumerate(shape):
        found = have[lead + i]
        if same_size(found, want):
            continue
        if want != 1:  # a symbol that may be 1 at run time
            return b.sum_to(g, shape=shape)
        axes.append(lead + i)
    if not lead:
        return b.reduce_sum(g, axes=tuple(axes), keepdims=True)
    g = b.reduce_sum(g, axes=tuple(axes), keepdims=False)
    return g if len(axes) == lead else b.reshape(g, shape=shape)


def fit(b: Any, ct: Any, x: Any) -> Any:
    """A cotangent brought to the operand's shape and dtype (bf16 arrays drift to f32 beside Python numbers)."""
    ct = unbroadcast(b, ct, b.shape(x))
    dtype = b.dtype(x)
    return ct if b.dtype(ct) is dtype else b.cast(ct, dtype=dtype)


def broadcast_like(b: Any, t: Any, y: Any) -> Any:
    """A tangent brought to the result's shape and dtype."""
    shape, dtype = tuple(b.shape(y)), b.dtype(y)
    if tuple(b.shape(t)) != shape:
        t = b.broadcast_to(t, shape=shape)
    return t if b.dtype(t) is dtype else b.cast(t, dtype=dtype)


def zero(b: Any, like: Any) -> Any:
    """The number 0 in the dtype of `like`, as an operand."""
    return b.const(0, b.dtype(like))


def total(a: Any, c: Any) -> Any:
    """The sum of two tangents, either of which may be None."""
    return c if a is None else a if c is None else a + c


def kept_shape(shape: Shape, axes: Sequence[int]) -> Shape:
    """The shape after a reduction that keeps its dimensions."""
    return tuple(1 if i in axes else d for i, d in enumerate(shape))


def expand_reduced(b: Any, g: Any, shape: Shape, attrs: Attrs) -> Any:
    """What a reduction over `shape` took together, spread out again to the dimensions it keeps (size 1)."""
    if attrs["keepdims"] or not attrs["axes"]:
        return g
    return b.reshape(g, shape=kept_shape(shape, attrs["axes"]))


def shifted(b: Any, x: Any, axis: int, back: bool, fill: float = 0.0) -> Any:
    """`y[t] = x[t - 1]`, or `x[t + 1]` with `back`, along `axis`; `fill` enters at the end."""
    shape = tuple(b.shape(x))
    low = tuple(int(i == axis and not back) for i in range(len(shape)))
    high = tuple(int(i == axis and back) for i in range(len(shape)))
    wide = b.pad(x, b.const(fill, b.dtype(x)), low=low, high=high)
    starts = tuple(int(i == axis and back) for i in range(len(shape)))
    return b.slice(wide, starts=starts, sizes=shape, strides=(1,) * len(shape))


class LinearOp(OpDef):
    """An op that is linear in its first operand, the others being indices: the tangent goes through the op itself."""

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The same op on the tangent."""
        return (None if ts[0] is None else b.apply(self, [ts[0], *xs[1:]], attrs),)


class Constant(OpDef):
    """An op without derivative: the result does not change with the operands, or only in jumps."""

    differentiable = False

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """None for every result."""
        return (None,) * len(outs)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """None for every operand."""
        return (None,) * len(xs)


class Composite(OpDef):
    """An op with one result that is made of simpler ones: `expand` is its meaning, and `eager` runs it on arrays."""

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The expansion on arrays."""
        with Quiet():
            return np.asarray(self.expand(RAW, attrs, xs))
