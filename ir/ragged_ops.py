"""Ops that give or take sizes that only the run knows.

The op `bind` (in `control.py`) gives a symbol the value of an integer scalar; a slice with computed bounds is then an
ordinary `slice` of type f64[s0]. The interpreter runs all this as it stands; for machine code and loops' derivatives
the pass `pad` (see `pad.py`) gives every such value a fixed size first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Constant, LinearOp, zero
from .dims import DimLike
from .dtypes import int64
from .errors import ShapeMismatch
from .graph import Attrs, Block
from .infer import bad_shape, bad_type, check_attr_shape, check_axis, count, scalar_index
from .opdef import Needs, register
from .shape_ops import Rearrange
from .types import Shape, TensorType


class Fit(Rearrange):
    """The operand, whose sizes are said to be those of `shape`: an error at run time when they are not."""

    name = "fit"
    summary = "the operand itself; an error unless its sizes are those of the attribute"
    attrs = ("shape",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The shape of the attribute. Sizes that are known to differ are an error at once."""
        count(self.name, types, 1)
        shape = check_attr_shape(self.name, attrs["shape"])
        have = types[0].shape
        known = len(have) == len(shape) and all(
            not isinstance(a - b, int) or a == b for a, b in zip(have, shape, strict=True)
        )
        if not known:
            bad_shape(self.name, types, f"its sizes are not [{', '.join(map(str, shape))}]")
        return (TensorType(types[0].dtype, shape),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The operand."""
        if np.shape(xs[0]) != tuple(attrs["shape"]):
            found, want = list(np.shape(xs[0])), list(attrs["shape"])
            raise ShapeMismatch(f"the sizes {found} and {want} of operands differ: they must be equal, or 1")
        return np.asarray(xs[0])

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The operand: sizes that are numbers have been compared."""
        return b.identity(xs[0])

    def adjoint(self, b: Any, attrs: Attrs, g: Any, shape: Shape) -> Any:
        """The cotangent with the operand's sizes."""
        return b.fit(g, shape=shape)


class Compress(LinearOp):
    """The elements along `axis` where a bool vector is true: `size` of them."""

    name = "compress"
    summary = "the elements along an axis where a bool vector is true"
    attrs = ("axis", "size")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The axis has `size` elements."""
        axis = _masked(self.name, attrs, types)
        (size,) = check_attr_shape(self.name, (attrs["size"],))
        shape = types[0].shape
        if shape[axis] != types[1].shape[0]:
            bad_shape(self.name, types, f"the mask must be as long as axis {axis}")
        return (TensorType(types[0].dtype, (*shape[:axis], size, *shape[axis + 1 :])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.compress."""
        y = np.compress(xs[1], xs[0], attrs["axis"])
        if y.shape[attrs["axis"]] != attrs["size"]:
            raise ShapeMismatch(f"compress: {y.shape[attrs['axis']]} elements are selected, not {attrs['size']}")
        return y

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The elements added to zeros at their new places."""
        return to_front(b, xs[0], xs[1], attrs["axis"], attrs["size"])

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent where the elements came from, zeros elsewhere."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None)
        return (b.uncompress(cts[0], xs[1], axis=attrs["axis"]), None)


class Uncompress(LinearOp):
    """The adjoint of compress: the elements, in order, where the bool vector is true, zeros elsewhere."""

    name = "uncompress"
    summary = "elements spread out to where a bool vector is true, zeros elsewhere"
    attrs = ("axis",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The axis becomes as long as the vector."""
        axis = _masked(self.name, attrs, types)
        shape = types[0].shape
        return (TensorType(types[0].dtype, (*shape[:axis], types[1].shape[0], *shape[axis + 1 :])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Zeros, written to."""
        x, mask, axis = np.asarray(xs[0]), np.asarray(xs[1]), attrs["axis"]
        out = np.zeros((*x.shape[:axis], mask.shape[0], *x.shape[axis + 1 :]), x.dtype)
        if x.shape[axis] != np.count_nonzero(mask):
            raise ShapeMismatch(f"uncompress: {x.shape[axis]} elements for {np.count_nonzero(mask)} places")
        out[(slice(None),) * axis + (mask,)] = x
        return out

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The elements read from where they were, where the vector is true."""
        x, mask, axis = xs[0], xs[1], attrs["axis"]
        shape = tuple(b.shape(x))
        n = b.shape(mask)[0]
        wide = (*shape[:axis], n, *shape[axis + 1 :])
        if shape[axis] == 0:
            return b.full(wide, 0, b.dtype(x))
        low, high = b.const(0, int64), b.const(shape[axis] - 1, int64)
        places = b.minimum(b.maximum(_before(b, mask), low), high)
        line = b.reshape(mask, shape=tuple(n if k == axis else 1 for k in range(len(shape))))
        return b.where(line, b.gather(x, places, axis=axis, batch_dims=0), zero(b, x))

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The selected elements of the cotangent."""
        if cts[0] is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None)
        axis = attrs["axis"]
        return (b.compress(cts[0], xs[1], axis=axis, size=tuple(b.shape(xs[0]))[axis]), None)


class SameSize(Constant):
    """Element `index` of the first operand, [0, 1], when the index is 0; else two sizes differ that must be equal.

    What `pad` makes of `fit`: the check of an index is one that machine code can report.
    """

    name = lowering = "same_size"
    summary = "0 as a vector of one element; an error unless the second operand, an index, is 0"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """An i64 vector of one element."""
        count(self.name, types, 2)
        if types[0].dtype is not int64 or types[0].rank != 1:
            bad_type(self.name, types, "the first operand must be a vector of i64")
        scalar_index(self.name, types, (1,))
        return (TensorType(int64, (1,)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The element."""
        if int(xs[1]) != 0:
            raise ShapeMismatch("two sizes that are computed at run time differ: they must be equal, or 1")
        return np.asarray(xs[0])[:1]


def to_front(b: Any, x: Any, mask: Any, axis: int, size: DimLike) -> Any:
    """The elements along an axis where a bool vector is true, moved to the first of `size` places; zeros after them."""
    shape, dtype = tuple(b.shape(x)), b.dtype(x)
    line = b.reshape(mask, shape=tuple(d if k == axis else 1 for k, d in enumerate(shape)))
    if dtype.is_bool:
        x = b.cast(x, dtype=int64)
    x = b.where(line, x, zero(b, x))
    # A size that is a symbol is that of the mask itself.
    beyond = b.const(size, int64) if isinstance(size, int) else b.dim(mask, axis=0, dtype=int64)
    to = b.where(mask, _before(b, mask), beyond)
    base = b.full((*shape[:axis], size + 1, *shape[axis + 1 :]), 0, b.dtype(x))
    y = b.scatter_add(base, to, x, axis=axis, batch_dims=0)
    kept = (*shape[:axis], size, *shape[axis + 1 :])
    y = b.slice(y, starts=(0,) * len(shape), sizes=kept, strides=(1,) * len(shape))
    return b.cast(y, dtype=dtype) if dtype.is_bool else y


def _before(b: Any, mask: Any) -> Any:
    """How many elements before each one are true."""
    ones = b.cast(mask, dtype=int64)
    return b.cumsum(ones, axis=0, exclusive=True, reverse=False)


def _masked(op: str, attrs: Attrs, types: Sequence[TensorType]) -> int:
    count(op, types, 2)
    if not types[1].dtype.is_bool or types[1].rank != 1:
        bad_type(op, types, "the second operand must be a bool vector")
    return check_axis(op, types, attrs["axis"], types[0].rank)


for _op in (Fit(), Compress(), Uncompress(), SameSize()):
    register(_op)
