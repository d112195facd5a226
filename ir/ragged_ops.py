"""Sizes that only the run knows: the ops that bind a symbol inside a function, and those that give or take such sizes.

`bind %n {size = s0, most = 8}` says that from here to the end of the block the symbol s0 is the number %n, never above
`most`. A slice with computed bounds is then an ordinary `slice` of type f64[s0]. The interpreter runs all this as it
stands; for machine code and loops' derivatives the pass `pad` (see `pad.py`) gives every such value a fixed size first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .control import Effect, plain_symbol
from .derive import Constant, LinearOp
from .dtypes import int64
from .errors import InvalidArgumentError, ShapeMismatch
from .graph import Attrs, Block, Op
from .infer import bad_shape, bad_type, check_attr_shape, check_axis, count, scalar_index
from .opdef import Needs, register
from .shape_ops import Rearrange
from .types import Shape, TensorType


class Bind(Effect):
    """Binds the symbol `size` to an integer scalar, up to the end of the block. `most` is the largest it can be."""

    name = "bind"
    summary = "from here to the end of the block a size has the operand's value, at most `most`"
    attrs = ("size", "most")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """No results."""
        count(self.name, types, 1)
        scalar_index(self.name, types, (0,))
        if plain_symbol(attrs["size"]) is None:
            bad_type(self.name, types, f"the attribute size must be one symbol, not {attrs['size']}")
        check_attr_shape(self.name, (attrs["most"],))
        return ()

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Nothing; the interpreter keeps the size. Raises InvalidArgumentError for one outside of 0 to `most`."""
        n, most = int(xs[0]), attrs["most"]
        if not 0 <= n <= most:
            raise InvalidArgumentError(f"bind: the size {attrs['size']} is {n}, but must lie in 0 to {most}")
        return ()


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
        if types[0] != TensorType(int64, (2,)):
            bad_type(self.name, types, "the first operand must be i64[2]")
        scalar_index(self.name, types, (1,))
        return (TensorType(int64, (1,)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The element."""
        if int(xs[1]) != 0:
            raise ShapeMismatch("two sizes that are computed at run time differ: they must be equal, or 1")
        return np.asarray(xs[0])[:1]


def bound_by(op: Op) -> str | None:
    """The symbol that an op binds, or None."""
    return plain_symbol(op.attrs["size"]) if op.kind is BIND else None


def runtime_sizes(block: Block) -> frozenset[str]:
    """The symbols that ops of a block, or of the regions in it, bind."""
    return frozenset(str(op.attrs["size"]) for op in block.walk() if op.kind is BIND)


def _masked(op: str, attrs: Attrs, types: Sequence[TensorType]) -> int:
    count(op, types, 2)
    if not types[1].dtype.is_bool or types[1].rank != 1:
        bad_type(op, types, "the second operand must be a bool vector")
    return check_axis(op, types, attrs["axis"], types[0].rank)


BIND = register(Bind())
for _op in (Fit(), Compress(), Uncompress(), SameSize()):
    register(_op)

__all__ = ["BIND", "bound_by", "runtime_sizes"]
