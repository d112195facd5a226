"""Order: the indices that sort along an axis, and where values belong in sorted rows.

What is sorted is gathered by these indices, so that gradients flow through the values. NaN counts as larger than every
number, as in NumPy; equal elements keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Constant
from .dtypes import as_dtype
from .graph import Attrs, Block
from .infer import bad_shape, bad_type, check_axis, count, equal_shapes, kind, same_dtype
from .opdef import register
from .types import TensorType


def _index_type(op: str, types: Sequence[TensorType], attrs: Attrs) -> Any:
    dtype = as_dtype(attrs["dtype"])
    if dtype.short not in ("i32", "i64"):
        bad_type(op, types, f"the attribute dtype must be int32 or int64, not {dtype.name}")
    return dtype


class ArgSort(Constant):
    """The indices that put the elements along an axis into ascending or descending order; equal ones in their order."""

    name = lowering = "argsort"
    summary = "the indices that sort along an axis, equal elements in their order"
    attrs = ("axis", "descending", "dtype")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's shape, of the index dtype."""
        count(self.name, types, 1)
        kind(self.name, types, "number")
        check_axis(self.name, types, attrs["axis"], types[0].rank)
        return (TensorType(_index_type(self.name, types, attrs), types[0].shape),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.argsort, stable."""
        x, axis = xs[0], attrs["axis"]
        if attrs["descending"]:
            # The stable descending order of x is the ascending one of its reversal, read backwards.
            flipped = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
            order = np.flip(x.shape[axis] - 1 - flipped, axis)
        else:
            order = np.argsort(x, axis=axis, kind="stable")
        return np.ascontiguousarray(order, as_dtype(attrs["dtype"]).np)


class SearchSorted(Constant):
    """How many elements of a sorted row are smaller than a value (`right`: are not greater): where it belongs."""

    name = lowering = "searchsorted"
    summary = "where values belong in sorted rows: before the elements equal to them, or after them with `right`"
    attrs = ("right", "dtype")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n] and [..., m] to [..., m]."""
        count(self.name, types, 2)
        kind(self.name, types, "number")
        same_dtype(self.name, types)
        if not types[0].rank or types[0].rank != types[1].rank:
            bad_shape(self.name, types, "rows and values must have one rank, at least 1")
        why = "there must be as many rows of values as sorted rows"
        equal_shapes(self.name, types, types[0].shape[:-1], types[1].shape[:-1], why)
        return (TensorType(_index_type(self.name, types, attrs), types[1].shape),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.searchsorted, row by row."""
        rows, values = xs
        out = np.empty(values.shape, as_dtype(attrs["dtype"]).np)
        for k in np.ndindex(rows.shape[:-1]):
            out[k] = np.searchsorted(rows[k], values[k], "right" if attrs["right"] else "left")
        return out


for _op in (ArgSort, SearchSorted):
    register(_op())
