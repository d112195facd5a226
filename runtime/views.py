"""Views: handles on a part of an array, as NumPy's basic slices, transposes and reshapes are.

A view keeps its base and how to get from one to the other. Its value is read from the base's present value whenever it
is asked for; a write gives the base a new value. Views of views lead to the same base, slices of slices are one slice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.dims import Dim, DimLike
from ..ir.opdef import get
from ..ir.types import TensorType
from .context import context
from .convert import as_tensor
from .dispatch import apply
from .indexing import Slot, find_slot, take_slot, write_slot
from .tensor import Tensor

Change = Callable[[Any], Any]


class Part:
    """A part of a base array.

    Attributes:
      base: the handle, itself no view. read: base's value -> the part. put: (base's value, part) -> base's value.
      type: the part's type. slot: where the part lies, if it is a regular slice of the base.
    """

    __slots__ = ("_seen", "base", "put", "read", "slot", "type")

    def __init__(
        self, base: Any, read: Change, put: Callable[[Any, Any], Any], type: TensorType, slot: Slot | None = None
    ) -> None:
        self.base, self.read, self.put, self.type, self.slot = base, read, put, type, slot
        self._seen: tuple[Any, Any] | None = None

    def value(self) -> Any:
        """The part as a tensor of its own, read from the base's present value."""
        token = self.base._token()
        seen = self._seen
        if seen is not None and seen[0] is token and seen[1]._usable() and not self._missed(seen[1]):
            return seen[1]
        found = self.read(self.base)
        self._seen = (token, found)
        return found

    def _missed(self, seen: Any) -> bool:
        """Whether a tape follows the base only since the part was read."""
        if not context.recorders or not self.type.dtype.is_differentiable:
            return False
        followers = (r for r in context.recorders if hasattr(r, "follows"))
        return any(r.follows(self.base) and not r.follows(seen) for r in followers)

    def set_item(self, key: Any, value: Any) -> None:
        """`view[key] = value`."""
        from .handles import rebind, set_item, write_slot_now
        from .writing import converted, written

        if self.slot is not None and (inner := composed(self.base, self.slot, key)) is not None:
            if not write_slot_now(self.base, inner, value):
                rebind(self.base, write_slot(self.base, inner, converted(value, self.base)))
            return
        if self.base.type == self.type and self.slot is not None and _whole(self.slot, self.base.type.shape):
            set_item(self.base, key, value)
            return
        rebind(self.base, self.put(self.base, written(self.value(), key, value)))


def _whole(slot: Slot, dims: tuple[DimLike, ...]) -> bool:
    return not slot.dynamic and tuple(slot.sizes) == dims and all(s == 1 for s in slot.strides)


def part_of(x: Any, slot: Slot) -> Part:
    """The part of an array (which may be a view) in a slot."""
    outer: Part | None = getattr(x, "_part", None)
    type = TensorType(x.dtype, tuple(slot.shape))
    if outer is None:
        return Part(x, lambda b: take_slot(b, slot), lambda b, v: write_slot(b, slot, v), type, slot)
    if outer.slot is not None:
        both = nested(outer.base, outer.slot, slot)
        if both is not None:
            return Part(outer.base, lambda b: take_slot(b, both), lambda b, v: write_slot(b, both, v), type, both)
    o = outer
    return Part(
        o.base, lambda b: take_slot(o.read(b), slot), lambda b, v: o.put(b, write_slot(o.read(b), slot, v)), type
    )


def changed(x: Any, type: TensorType, there: Change, back: Change) -> Part:
    """A view that is a one-to-one rearrangement of an array: a transpose or a reshape."""
    outer: Part | None = getattr(x, "_part", None)
    if outer is None:
        return Part(x, there, lambda b, v: back(v), type)
    o = outer
    return Part(o.base, lambda b: there(o.read(b)), lambda b, v: o.put(b, back(v)), type)


class _Shaped:
    """Looks like a tensor of a type, for `find_slot`."""

    def __init__(self, base: Any, shape: tuple[DimLike, ...]) -> None:
        self.type = TensorType(base.dtype, shape)
        self._base = base

    @property
    def shape(self) -> Any:
        """As TensorShape."""
        from .tensor_shape import known_shape

        return known_shape(self.type.shape)


def composed(base: Any, outer: Slot, key: Any) -> Slot | None:
    """The slot of the base that `key` names in the part `outer` of it; None for keys that are no slots."""
    from .indexing import _is_mask
    from .picking import is_advanced

    if _is_mask(key) or is_advanced(key) or any(isinstance(d, Dim) for d in (*outer.sizes, *outer.shape)):
        return None
    if any(_computed(k) for k in (key if isinstance(key, tuple) else (key,))):
        return None
    return nested(base, outer, find_slot(_Shaped(base, tuple(outer.shape)), key))  # type: ignore[arg-type]


def _computed(k: Any) -> bool:
    """Whether an index is a tensor whose value is not known: `find_slot` would ask the base for its size."""
    return isinstance(k, Tensor) and k._constant_value() is None


def nested(base: Any, outer: Slot, inner: Slot) -> Slot | None:
    """The slot `inner` of the part `outer` of a base, as one slot of the base; None where that is not simple."""
    if inner.dynamic or any(isinstance(d, Dim) for d in (*outer.sizes, *inner.sizes)):
        return None
    axes = [None if a is None else outer.axes[a] for a in inner.axes]
    new = Slot(list(outer.starts), list(outer.sizes), list(outer.strides), list(outer.dynamic), list(inner.shape), axes)
    numbers = dynamic_numbers(outer)
    for axis, start, size, stride in zip(outer.axes, inner.starts, inner.sizes, inner.strides, strict=True):
        if axis is None:
            if start != 0 or size != 1:
                return None
            continue
        first = outer.starts[axis]
        if first is None:
            i = numbers[axis]
            if start:
                step = as_tensor(int(start) * outer.strides[axis], outer.dynamic[i].dtype)  # type: ignore[arg-type]
                new.dynamic[i] = apply(get("add"), (outer.dynamic[i], step), {})
        else:
            new.starts[axis] = first + start * outer.strides[axis]  # type: ignore[operator]
        new.sizes[axis], new.strides[axis] = size, outer.strides[axis] * stride
    return new


def dynamic_numbers(slot: Slot) -> dict[int, int]:
    """Which computed start belongs to which dimension."""
    found = [i for i, s in enumerate(slot.starts) if s is None]
    return {axis: n for n, axis in enumerate(found)}
