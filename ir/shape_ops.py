"""Ops that rearrange elements without computing: reshape, transpose, broadcast, concat, pad, reverse, tile.

In eager mode most give views: arrays are values and are never written. Sizes in attributes may be symbolic. `squeeze`,
`expand_dims`, `stack`, `split` and `unstack` are written with these by the public API.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Composite, Constant, LinearOp, unbroadcast
from .dims import DimLike, product
from .dtypes import as_dtype
from .graph import Attrs, Block
from .infer import (
    bad_shape,
    check_attr_shape,
    check_axes,
    check_axis,
    count,
    same_dtype,
    same_size,
    unknown,
)  # fmt: skip
from .opdef import Needs, OpDef, register
from .reduce import index_dtype
from .types import Shape, TensorType


class Rearrange(LinearOp):
    """A linear op of one operand whose adjoint is one expression (`adjoint`)."""

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """The operand's cotangent from the result's; `shape` is the operand's."""
        raise NotImplementedError(self.name)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The adjoint, or None where nothing can flow."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,)
        return (self.adjoint(b, attrs, cts[0], tuple(b.shape(xs[0]))),)


class Reshape(Rearrange):
    """The same elements, in the same row-major order, in another shape."""

    name = lowering = "reshape"
    summary = "the same elements in another shape"
    attrs = ("shape",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The shape of the attribute; the number of elements must stay."""
        count(self.name, types, 1)
        shape = check_attr_shape(self.name, attrs["shape"])
        have, want = types[0].size, product(shape)
        same = same_size(have, want)
        if same is False:
            bad_shape(self.name, types, f"its {have} elements do not fill the shape {_text(shape)} of {want} elements")
        if same is None:
            unknown(self.name, types, [have, want])
        return (TensorType(types[0].dtype, shape),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.reshape."""
        return np.reshape(xs[0], attrs["shape"])

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """Back to the old shape."""
        return b.reshape(g, shape=shape)


class Transpose(Rearrange):
    """Dimension k of the result is dimension perm[k] of the operand."""

    name = lowering = "transpose"
    summary = "the dimensions in another order"
    attrs = ("perm",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The permuted shape."""
        count(self.name, types, 1)
        perm = tuple(attrs["perm"])
        if sorted(perm) != list(range(types[0].rank)):
            bad_shape(self.name, types, f"perm {list(perm)} must hold each of 0 to {types[0].rank - 1} once")
        return (TensorType(types[0].dtype, tuple(types[0].shape[i] for i in perm)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.transpose."""
        return np.transpose(xs[0], attrs["perm"])

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """The inverse permutation."""
        perm = list(attrs["perm"])
        return b.transpose(g, perm=tuple(perm.index(i) for i in range(len(perm))))


class BroadcastTo(Rearrange):
    """The operand repeated to a shape, by NumPy's rule."""

    name = lowering = "broadcast_to"
    summary = "the operand repeated to a larger shape"
    attrs = ("shape",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The shape of the attribute, to which the operand must broadcast."""
        count(self.name, types, 1)
        shape = check_attr_shape(self.name, attrs["shape"])
        lead = len(shape) - types[0].rank
        rule = "its sizes must be 1 or equal, counted from the right"
        if lead < 0:
            bad_shape(self.name, types, f"it does not broadcast to {_text(shape)}: {rule}")
        for have, want in zip(types[0].shape, shape[lead:], strict=True):
            if have == 1 or have == want:
                continue
            if isinstance(have, int) and isinstance(want, int):
                bad_shape(self.name, types, f"it does not broadcast to {_text(shape)}: {rule}")
            unknown(self.name, types, [have, want])
        return (TensorType(types[0].dtype, shape),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.broadcast_to (a read-only view)."""
        return np.broadcast_to(xs[0], attrs["shape"])

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """Summed down."""
        return unbroadcast(b, g, shape)


class SumTo(Rearrange, Composite):
    """The adjoint of a broadcast: the operand summed down to a shape that broadcasts to its own."""

    name = "sum_to"
    summary = "summed down to a shape that broadcasts to the operand's"
    attrs = ("shape",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The shape of the attribute. Symbolic sizes may be 1 or equal: that is decided when they are known."""
        count(self.name, types, 1)
        shape = check_attr_shape(self.name, attrs["shape"])
        lead = types[0].rank - len(shape)
        fits = lead >= 0 and all(
            want == 1 or have == want or not isinstance(want, int) or not isinstance(have, int)
            for have, want in zip(types[0].shape[max(lead, 0) :], shape, strict=False)
        )
        if not fits:
            bad_shape(self.name, types, f"{_text(shape)} does not broadcast to that shape")
        return (TensorType(types[0].dtype, shape),)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """reduce_sum over what was repeated. Raises SymbolicShapes while that is not known."""
        have, want = tuple(b.shape(xs[0])), tuple(attrs["shape"])
        for h, w in zip(have[len(have) - len(want) :], want, strict=True):
            if w != 1 and not same_size(h, w):
                unknown(self.name, [TensorType(b.dtype(xs[0]), have)], [h, w])
        return unbroadcast(b, xs[0], want)

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """Broadcast back."""
        return b.broadcast_to(g, shape=shape)


class Concat(OpDef):
    """The operands one after another along an axis."""

    name = lowering = "concat"
    summary = "the operands one after another along an axis"
    attrs = ("axis",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The sizes along the axis added up; the others must be equal."""
        count(self.name, types, 1, max(1, len(types)))
        dtype = same_dtype(self.name, types)
        axis = check_axis(self.name, types, attrs["axis"], types[0].rank)
        along: DimLike = 0
        for t in types:
            if t.rank != types[0].rank:
                bad_shape(self.name, types, "all operands must have the same rank: use pb.reshape or pb.expand_dims")
            for i, (d, first) in enumerate(zip(t.shape, types[0].shape, strict=True)):
                if i == axis or d == first:
                    continue
                if same_size(d, first) is False:
                    bad_shape(self.name, types, f"the sizes {first} and {d} of dimension {i} must be equal")
                unknown(self.name, types, [d, first])
            along = along + t.shape[axis]
        return (TensorType(dtype, (*types[0].shape[:axis], along, *types[0].shape[axis + 1 :])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.concatenate."""
        return np.concatenate(xs, axis=attrs["axis"])

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangents one after another, zeros where there is none."""
        if all(t is None for t in ts):
            return (None,)
        full = [b.zeros_like(x) if t is None else t for x, t in zip(xs, ts, strict=True)]
        return (b.apply(self, full, attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """To each operand its slice of the cotangent."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None,) * len(xs)
        out: list[Any] = []
        at: DimLike = 0
        for x, need in zip(xs, needs, strict=True):
            shape = tuple(b.shape(x))
            starts = tuple(at if i == attrs["axis"] else 0 for i in range(len(shape)))
            out.append(b.slice(cts[0], starts=starts, sizes=shape, strides=(1,) * len(shape)) if need else None)
            at = at + shape[attrs["axis"]]
        return out


class Pad(OpDef):
    """The operand with `low[k]` elements before and `high[k]` after it; their value is the second operand, or 0."""

    name = lowering = "pad"
    summary = "the operand with a constant around it"
    attrs = ("low", "high")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """Each size grows by low + high."""
        count(self.name, types, 1, 2)
        dtype = same_dtype(self.name, types)
        low, high = check_attr_shape(self.name, attrs["low"]), check_attr_shape(self.name, attrs["high"])
        t = types[0]
        if len(types) == 2 and types[1].shape:
            bad_shape(self.name, types, "the value to pad with must be a scalar")
        if len(low) != t.rank or len(high) != t.rank:
            bad_shape(self.name, types, f"low {_text(low)} and high {_text(high)} need one number per dimension")
        return (TensorType(dtype, tuple(a + d + c for a, d, c in zip(low, t.shape, high, strict=True))),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The operand copied into an array full of the value."""
        x = np.asarray(xs[0])
        low, high = attrs["low"], attrs["high"]
        shape = tuple(a + d + c for a, d, c in zip(low, x.shape, high, strict=True))
        out = np.full(shape, xs[1] if len(xs) == 2 else 0, x.dtype)
        out[tuple(slice(a, a + d) for a, d in zip(low, x.shape, strict=True))] = x
        return out

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangent with the value's tangent around it."""
        if all(t is None for t in ts):
            return (None,)
        full = [b.zeros_like(x) if t is None else t for x, t in zip(xs, ts, strict=True)]
        return (b.apply(self, full, attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The middle of the cotangent; to the value the sum of what is around."""
        g = cts[0]
        if g is None or not b.dtype(xs[0]).is_differentiable:
            return (None,) * len(xs)
        shape = tuple(b.shape(xs[0]))
        inner = b.slice(g, starts=tuple(attrs["low"]), sizes=shape, strides=(1,) * len(shape))
        if len(xs) == 1:
            return (inner,)
        outer = None
        if needs[1]:
            axes = tuple(range(len(shape)))
            # The sum over the border alone: the difference of two sums would cancel.
            zeros = b.zeros_like(xs[0])
            border = b.update(g, zeros, starts=tuple(attrs["low"]), strides=(1,) * len(shape))
            outer = b.reduce_sum(border, axes=axes, keepdims=False)
        return (inner, outer)


class Reverse(Rearrange):
    """The elements in the opposite order along the axes."""

    name = lowering = "reverse"
    summary = "the opposite order along axes"
    attrs = ("axes",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's type."""
        count(self.name, types, 1)
        check_axes(self.name, types, attrs["axes"], types[0].rank)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.flip."""
        return np.flip(xs[0], tuple(attrs["axes"]))

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """Reversed again."""
        return b.reverse(g, axes=attrs["axes"])


class Tile(Rearrange, Composite):
    """The operand repeated as a whole, multiples[k] times along dimension k."""

    name = "tile"
    summary = "the operand repeated as a whole along each dimension"
    attrs = ("multiples",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """Each size times its multiple."""
        count(self.name, types, 1)
        multiples = check_attr_shape(self.name, attrs["multiples"])
        if len(multiples) != types[0].rank:
            bad_shape(self.name, types, f"multiples {_text(multiples)} need one number per dimension")
        return (TensorType(types[0].dtype, tuple(d * m for d, m in zip(types[0].shape, multiples, strict=True))),)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """A dimension of the multiple before each dimension, broadcast, merged."""
        shape, multiples = tuple(b.shape(xs[0])), tuple(attrs["multiples"])
        ones = tuple(d for s in shape for d in (1, s))
        spread = tuple(d for m, s in zip(multiples, shape, strict=True) for d in (m, s))
        y = b.broadcast_to(b.reshape(xs[0], shape=ones), shape=spread)
        return b.reshape(y, shape=tuple(m * s for m, s in zip(multiples, shape, strict=True)))

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """The copies of the cotangent added up."""
        spread = tuple(d for m, s in zip(attrs["multiples"], shape, strict=True) for d in (m, s))
        copies = tuple(range(0, 2 * len(shape), 2))
        return b.reduce_sum(b.reshape(g, shape=spread), axes=copies, keepdims=False)


class ShapeOf(Constant):
    """The sizes of the operand, as an integer vector."""

    name = lowering = "shape_of"
    summary = "the sizes of the operand as an integer vector"
    attrs = ("dtype",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """A vector as long as the rank."""
        count(self.name, types, 1)
        return (TensorType(index_dtype(self.name, attrs["dtype"]), (types[0].rank,)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """ndarray.shape."""
        return np.array(np.shape(xs[0]), as_dtype(attrs["dtype"]).np)


class DimSize(Constant):
    """One size of the operand, as an integer scalar."""

    name = lowering = "dim"
    summary = "one size of the operand as an integer scalar"
    attrs = ("axis", "dtype")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """A scalar."""
        count(self.name, types, 1)
        check_axis(self.name, types, attrs["axis"], types[0].rank)
        return (TensorType(index_dtype(self.name, attrs["dtype"])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """ndarray.shape[axis]."""
        return np.array(np.shape(xs[0])[attrs["axis"]], as_dtype(attrs["dtype"]).np)


def _text(shape: Sequence[DimLike]) -> str:
    return f"[{', '.join(map(str, shape))}]"


for _op in (Reshape, Transpose, BroadcastTo, SumTo, Concat, Pad, Reverse, Tile, ShapeOf, DimSize):
    register(_op())
