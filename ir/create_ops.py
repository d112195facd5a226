"""Ops that make a tensor from nothing, or pass one on unchanged: constant, iota, random bits, identity.

Random numbers are counter-based: element k of a draw is a pure function of (key, counter + k), so results do not
depend on the number of threads and can be recomputed instead of stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Constant, LinearOp
from .dtypes import as_dtype, int64
from .graph import Attrs, Block
from .infer import bad_type, check_attr_shape, check_axis, count
from .opdef import Needs, register
from .reduce import index_dtype
from .threefry import threefry2x32
from .types import TensorType, type_of_array


class ConstantOp(Constant):
    """A fixed array, in the attribute `value` (read-only)."""

    name = lowering = "constant"
    summary = "a fixed array"
    attrs = ("value",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The type of the array."""
        count(self.name, types, 0)
        return (type_of_array(attrs["value"]),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The array."""
        return np.asarray(attrs["value"])


class Iota(Constant):
    """0, 1, 2, ... along one axis, repeated along the others."""

    name = lowering = "iota"
    summary = "0, 1, 2, ... along one axis"
    attrs = ("shape", "axis", "dtype")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The shape and dtype of the attributes."""
        count(self.name, types, 0)
        shape = check_attr_shape(self.name, attrs["shape"])
        dtype = as_dtype(attrs["dtype"])
        if dtype.kind not in "fiu":
            bad_type(self.name, types, f"the attribute dtype must be numeric, not {dtype.name}")
        check_axis(self.name, types, attrs["axis"], len(shape))
        return (TensorType(dtype, shape),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.arange, broadcast."""
        shape, axis = tuple(attrs["shape"]), attrs["axis"]
        line = np.arange(shape[axis]).astype(as_dtype(attrs["dtype"]).np)
        return np.broadcast_to(line.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)


class SizeValue(Constant):
    """A size as an integer scalar."""

    name = lowering = "size_value"
    summary = "a size as an integer scalar"
    attrs = ("size", "dtype")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """A scalar."""
        count(self.name, types, 0)
        check_attr_shape(self.name, (attrs["size"],))
        return (TensorType(index_dtype(self.name, attrs["dtype"])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The number."""
        return np.array(attrs["size"], as_dtype(attrs["dtype"]).np)


class RandomBits(Constant):
    """64 random bits per element, as i64: element k is threefry2x32(key, counter + k), k in row-major order."""

    name = lowering = "random_bits"
    summary = "64 random bits per element, from a key and a counter"
    attrs = ("shape",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """i64 of the attribute's shape."""
        _key_and_counter(self.name, types)
        return (TensorType(int64, check_attr_shape(self.name, attrs["shape"])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The reference in `threefry.py`."""
        return _bits(xs[0], xs[1], tuple(attrs["shape"])).view(np.int64)


class RandomUniform(Constant):
    """Uniform numbers in [0, 1): the top 24 (f32) or 53 (f64) of the 64 random bits, divided by 2**24 or 2**53."""

    name = lowering = "random_uniform"
    summary = "uniform numbers in [0, 1), from a key and a counter"
    attrs = ("shape", "dtype")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """f32 or f64 of the attribute's shape."""
        _key_and_counter(self.name, types)
        dtype = as_dtype(attrs["dtype"])
        if dtype.short not in ("f32", "f64"):
            bad_type(self.name, types, f"the attribute dtype must be float32 or float64, not {dtype.name}: cast after")
        return (TensorType(dtype, check_attr_shape(self.name, attrs["shape"])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """From the bits; exact in the dtype, so no rounding can give 1."""
        bits, dtype = _bits(xs[0], xs[1], tuple(attrs["shape"])), as_dtype(attrs["dtype"]).np
        kept = 24 if dtype == np.float32 else 53
        return (bits >> np.uint64(64 - kept)).astype(dtype) * dtype.type(2.0**-kept)


class Identity(LinearOp):
    """The operand."""

    name = lowering = "identity"
    summary = "the operand itself"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's type."""
        count(self.name, types, 1)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The operand."""
        return np.asarray(xs[0])

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent."""
        return (cts[0] if b.dtype(xs[0]).is_differentiable else None,)


class StopGradient(Constant):
    """The operand, with no derivative."""

    name = lowering = "stop_gradient"
    summary = "the operand itself, with no gradient"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's type."""
        count(self.name, types, 1)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The operand."""
        return np.asarray(xs[0])


def _key_and_counter(op: str, types: Sequence[TensorType]) -> None:
    count(op, types, 2)
    if any(t != TensorType(int64) for t in types):
        bad_type(op, types, "the key and the counter must be i64 scalars")


def _bits(key: Any, counter: Any, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape, dtype=np.int64))
    first = np.asarray(counter, np.int64).view(np.uint64)
    places = first + np.arange(size, dtype=np.uint64)  # an array, so it wraps round in silence
    return threefry2x32(key, places).reshape(shape)


for _op in (ConstantOp, Iota, SizeValue, RandomBits, RandomUniform, Identity, StopGradient):
    register(_op())
