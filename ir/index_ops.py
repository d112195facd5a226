"""Reading and writing at fixed or computed places: slices and their adjoints, gather and its adjoint, one_hot.

Arrays are values: `update` and `add_at` give new arrays, which compiled code writes in place where the old one is dead.
Reading gives its cotangent as `Into`, so that many reads of one array add into one running cotangent. An index out of
range is an error (IndexMismatch), never clamped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Composite, LinearOp, zero
from .dims import DimLike
from .dtypes import as_dtype
from .errors import IndexMismatch
from .graph import Attrs, Block
from .infer import bad_shape, bad_type, check_attr_shape, count, equal_shapes, same_dtype, scalar_index
from .opdef import Into, Needs, OpDef, register
from .types import Shape, TensorType

Starts = Sequence[DimLike | None]


class Slice(LinearOp):
    """Along dimension k the elements starts[k], starts[k] + strides[k], ...: sizes[k] of them.

    A start of None stands for the next operand after the first, an i32 or i64 scalar. Strides may be negative. The
    rank stays.
    """

    name = lowering = "slice"
    summary = "a regular part of the operand; a start of None is the next operand"
    attrs = ("starts", "sizes", "strides")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The sizes. Bounds are checked where they are known."""
        sizes = check_attr_shape(self.name, attrs["sizes"])
        _check_slot(self.name, attrs, types, 1, sizes)
        return (TensorType(types[0].dtype, sizes),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Basic indexing: a view."""
        x = np.asarray(xs[0])
        return x[_window(self.name, attrs, x.shape, attrs["sizes"], xs[1:])]

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent added into its slot."""
        rest = (None,) * (len(xs) - 1)
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, *rest)

        def add(running: Any) -> Any:
            return b.add_at(running, cts[0], *xs[1:], starts=attrs["starts"], strides=attrs["strides"])

        return (Into(lambda: add(b.zeros_like(xs[0])), add), *rest)


class _Write(OpDef):
    """Base of the ops on (base, v, *starts) that give a new base: the slot of `v`'s sizes is changed."""

    attrs = ("starts", "strides")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The type of the base."""
        count(self.name, types, 2, max(2, len(types)))
        same_dtype(self.name, types[:2])
        _check_slot(self.name, attrs, types, 2, types[1].shape)
        return (types[0],)

    def _read(self, b: Any, attrs: Attrs, g: Any, xs: Sequence[Any]) -> Any:
        return b.slice(g, *xs[2:], starts=attrs["starts"], sizes=tuple(b.shape(xs[1])), strides=attrs["strides"])

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangent of v written into that of the base."""
        if ts[0] is None and ts[1] is None:
            return (None,)
        base, v = (b.zeros_like(x) if t is None else t for x, t in zip(xs[:2], ts[:2], strict=True))
        return (b.apply(self, [base, v, *xs[2:]], attrs),)


class Update(_Write):
    """The base with a slot replaced by `v`."""

    name = lowering = "update"
    summary = "the first operand with a regular part replaced by the second"

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """A copy, written to."""
        out = np.array(xs[0])
        out[_window(self.name, attrs, out.shape, np.shape(xs[1]), xs[2:])] = xs[1]
        return out

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """To v the slot of the cotangent; to the base the cotangent with the slot zeroed."""
        rest = (None,) * (len(xs) - 2)
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None, *rest)
        gv = self._read(b, attrs, cts[0], xs) if needs[1] else None
        g = b.update(cts[0], b.zeros_like(xs[1]), *xs[2:], **attrs) if needs[0] else None
        return (g, gv, *rest)


class AddAt(_Write):
    """The base with `v` added to a slot."""

    name = lowering = "add_at"
    summary = "the first operand with the second added to a regular part"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The type of the base; numbers only."""
        out = super().infer(attrs, types, regions)
        if not types[0].dtype.is_numeric:
            bad_type(self.name, types, "add_at needs a numeric dtype")
        return out

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """A copy, added to."""
        out = np.array(xs[0])
        out[_window(self.name, attrs, out.shape, np.shape(xs[1]), xs[2:])] += xs[1]
        return out

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """To the base the cotangent, to v its slot."""
        rest = (None,) * (len(xs) - 2)
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None, *rest)
        return (cts[0], self._read(b, attrs, cts[0], xs) if needs[1] else None, *rest)


class Gather(LinearOp):
    """params[..., indices, ...] along `axis`; the first `batch_dims` dimensions of both run together."""

    name = lowering = "gather"
    summary = "the elements at given indices along an axis"
    attrs = ("axis", "batch_dims")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """params.shape with the axis replaced by the indices' shape after the batch dimensions."""
        count(self.name, types, 2)
        return (TensorType(types[0].dtype, gathered_shape(self.name, attrs, types)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.take, or indexing with the batch's own indices."""
        params, indices = np.asarray(xs[0]), np.asarray(xs[1])
        axis, batch = attrs["axis"], attrs["batch_dims"]
        check_indices(self.name, indices, params.shape[axis])
        if not batch:
            return np.asarray(np.take(params, indices, axis))
        # [batch, axis, between, after] -> [batch, new, between, after] -> [batch, between, new, after]
        y = np.moveaxis(params, axis, batch)[with_batch(indices, batch)]
        return np.moveaxis(y, range(indices.ndim, indices.ndim + axis - batch), range(batch, axis))

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent added at the indices; what was read twice gets both."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None)

        def add(running: Any) -> Any:
            return b.scatter_add(running, xs[1], cts[0], **attrs)

        return (Into(lambda: add(b.zeros_like(xs[0])), add), None)


class Scatter(OpDef):
    """`base`, `indices` and `v`: values that meet what gather would read at the indices along an axis."""

    attrs = ("axis", "batch_dims")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The type of the base; `v` has the shape that gather would give."""
        count(self.name, types, 3)
        same_dtype(self.name, [types[0], types[2]])
        want = gathered_shape(self.name, attrs, types[:2])
        why = f"the values must have the shape that gather gives: [{', '.join(map(str, want))}]"
        equal_shapes(self.name, types, types[2].shape, want, why)
        return (types[0],)

    def places(self, attrs: Attrs, *xs: Any) -> tuple[Any, Any, Any, Any]:
        """A copy of the base; the same with the axis behind the batch's; the index into that; the values for it."""
        out, indices, v = np.array(xs[0]), np.asarray(xs[1]), np.asarray(xs[2])
        axis, batch = attrs["axis"], attrs["batch_dims"]
        check_indices(self.name, indices, out.shape[axis])
        v = np.moveaxis(v, range(batch, axis), range(indices.ndim, indices.ndim + axis - batch))
        return out, np.moveaxis(out, axis, batch), with_batch(indices, batch), v


class ScatterAdd(Scatter):
    """`base` with `v` added at `indices`: the adjoint of gather. Repeated indices add up."""

    name = lowering = "scatter_add"
    summary = "the first operand with values added at given indices along an axis"

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.add.at on a copy."""
        out, target, where, v = self.places(attrs, *xs)
        np.add.at(target, where, v)
        return out

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangent of the values added into that of the base."""
        if ts[2] is None:
            return (ts[0],)
        base = b.zeros_like(xs[0]) if ts[0] is None else ts[0]
        return (b.scatter_add(base, xs[1], ts[2], **attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """To the base the cotangent, to the values what stands at their indices."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None, None)
        return (cts[0], None, b.gather(cts[0], xs[1], **attrs) if needs[2] else None)


class OneHot(Composite):
    """`on` where the place along a new axis equals the index, else `off`: all of them for an index out of range."""

    name = "one_hot"
    summary = "indices to rows with one element `on` and the others `off`"
    attrs = ("depth", "axis", "dtype")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The indices' shape with `depth` inserted at `axis`."""
        count(self.name, types, 3)
        dtype = as_dtype(attrs["dtype"])
        if not types[0].dtype.is_integer:
            bad_type(self.name, types, "the indices must be integers")
        if any(t != TensorType(dtype) for t in types[1:]):
            bad_type(self.name, types, f"on and off must be scalars of {dtype.name}")
        shape, axis = types[0].shape, attrs["axis"]
        if not 0 <= axis <= len(shape):
            bad_shape(self.name, types, f"axis {axis} must lie in 0 to {len(shape)}")
        (depth,) = check_attr_shape(self.name, (attrs["depth"],))
        return (TensorType(dtype, (*shape[:axis], depth, *shape[axis:])),)

    def _mask(self, b: Any, attrs: Attrs, indices: Any) -> Any:
        shape, axis = tuple(b.shape(indices)), attrs["axis"]
        line = tuple(attrs["depth"] if i == axis else 1 for i in range(len(shape) + 1))
        places = b.iota(shape=line, axis=axis, dtype=b.dtype(indices))
        return b.eq(b.reshape(indices, shape=(*shape[:axis], 1, *shape[axis:])), places)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """where(indices == iota, on, off)."""
        return b.where(self._mask(b, attrs, xs[0]), xs[1], xs[2])

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangents of on and off in their places."""
        if (ts[1] is None and ts[2] is None) or not b.dtype(xs[1]).is_differentiable:
            return (None,)
        on, off = (zero(b, xs[1]) if t is None else t for t in ts[1:])
        return (b.where(self._mask(b, attrs, xs[0]), on, off),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The sums of the cotangent over the places of on and of off."""
        g = cts[0]
        if g is None or not b.dtype(xs[1]).is_differentiable:
            return (None, None, None)
        mask, axes = self._mask(b, attrs, xs[0]), tuple(range(len(b.shape(g))))
        on = b.reduce_sum(b.where(mask, g, zero(b, g)), axes=axes, keepdims=False) if needs[1] else None
        off = b.reduce_sum(b.where(mask, zero(b, g), g), axes=axes, keepdims=False) if needs[2] else None
        return (None, on, off)


# ---------------------------------------------------------------- checks and windows
def _check_slot(op: str, attrs: Attrs, types: Sequence[TensorType], fixed: int, sizes: Shape) -> None:
    """Raises unless the attributes describe a slot inside the first operand, as far as sizes are known."""
    base, starts, strides = types[0], attrs["starts"], attrs["strides"]
    if not len(starts) == len(strides) == len(sizes) == base.rank:
        bad_shape(op, types, f"starts {list(starts)}, sizes {list(sizes)} and strides {list(strides)} need one number "
                  "per dimension of the first operand")  # fmt: skip
    count(op, types, fixed + sum(s is None for s in starts))
    scalar_index(op, types, range(fixed, len(types)))
    for i, (start, size, stride, dim) in enumerate(zip(starts, sizes, strides, base.shape, strict=True)):
        if stride == 0:
            bad_shape(op, types, f"the stride of dimension {i} is 0: use a positive or negative step")
        if isinstance(size, int) and size == 0:
            continue
        span = (size - 1) * stride
        if start is None:
            low: DimLike = 0
            room = dim - 1 - (span if stride > 0 else -1 * span)
        else:
            low, high = (start, start + span) if stride > 0 else (start + span, start)
            room = dim - 1 - high
        # A bound that depends on symbols is checked when the function runs.
        if (isinstance(low, int) and low < 0) or (isinstance(room, int) and room < 0):
            bad_shape(op, types, f"{size} elements from {start} in steps of {stride} leave dimension {i} of size {dim}")


def _window(op: str, attrs: Attrs, shape: Sequence[int], sizes: Sequence[int], dynamic: Sequence[Any]) -> Any:
    """The slot as an index for NumPy. Raises IndexMismatch when it leaves the array."""
    given = iter(dynamic)
    out = []
    for i, (start, size, stride, dim) in enumerate(zip(attrs["starts"], sizes, attrs["strides"], shape, strict=True)):
        first = int(next(given)) if start is None else int(start)
        last = first + (size - 1) * stride
        if size and not (0 <= first < dim and 0 <= last < dim):
            raise IndexMismatch(
                f"{op}: slice index {last if 0 <= first < dim else first} of dimension {i} out of bounds: {size} "
                f"elements from {first} in steps of {stride}, but the dimension has {dim}"
            )
        if not size:
            out.append(slice(0, 0))
        else:
            end = last + (1 if stride > 0 else -1)
            out.append(slice(first, None if end < 0 else end, stride))
    return tuple(out)


def gathered_shape(op: str, attrs: Attrs, types: Sequence[TensorType]) -> Shape:
    params, indices = types
    axis, batch = attrs["axis"], attrs["batch_dims"]
    if indices.dtype.short not in ("i32", "i64"):
        bad_type(op, types, "the indices must be int32 or int64: use pb.cast")
    if not 0 <= batch <= min(axis, indices.rank) or not axis < params.rank:
        need = f"0 <= batch_dims <= axis < {params.rank} (the rank) and batch_dims <= {indices.rank} (of the indices)"
        bad_shape(op, types, f"axis {axis} and batch_dims {batch} do not fit: {need}")
    why = f"the first {batch} sizes (batch_dims) must be equal"
    equal_shapes(op, types, params.shape[:batch], indices.shape[:batch], why)
    return (*params.shape[:axis], *indices.shape[batch:], *params.shape[axis + 1 :])


def with_batch(indices: Any, batch: int) -> tuple[Any, ...]:
    """Index arrays for the batch dimensions and the indexed one."""
    grid = np.ogrid[tuple(slice(0, d) for d in indices.shape[:batch])] if batch else ()
    extra = (1,) * (indices.ndim - batch)
    return (*(np.reshape(g, (*g.shape, *extra)) for g in grid), indices)


def check_indices(op: str, indices: Any, bound: int) -> None:
    """Raises IndexMismatch for the first index outside [0, bound), in TensorFlow's words."""
    if not indices.size or (indices.min() >= 0 and indices.max() < bound):
        return
    place = np.argwhere((indices < 0) | (indices >= bound))[0]
    where = ",".join(map(str, place))
    raise IndexMismatch(
        f"{op}: indices{f'[{where}]' if where else ''} = {indices[tuple(place)]} is not in [0, {bound})"
    )


for _op in (Slice, Update, AddAt, Gather, ScatterAdd, OneHot):
    register(_op())
