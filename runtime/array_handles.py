"""What makes an array a handle: views, writes in place, copies.

Indexing with integers and slices gives a view, with index arrays or a mask a new array, with an integer for every
dimension a scalar, which is a value. `a += b` writes to the array; a scalar gets a new value, as in NumPy. An ndarray
of no dimensions that the caller passed is an array, and so is a view (`a[0, ...]`); what ops give is a scalar.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.opdef import get
from ..ir.types import TensorType
from .context import context
from .convert import as_tensor, is_tensor
from .dispatch import apply
from .handles import rebind, set_item
from .indexing import _is_mask, find_slot, getitem, take_slot
from .picking import is_advanced, pick
from .tensor import Tensor
from .views import changed, part_of

_IDENTITY, _RESHAPE, _TRANSPOSE = get("identity"), get("reshape"), get("transpose")


class ArrayHandles:
    """Mixed in before NumpyMethods and Tensor.

    Attributes:
      _cell: whether one of no dimensions is an array of NumPy's, which is written to, and not a scalar.
    """

    __slots__ = ()
    _cell = False

    def _note_numpy(self) -> None:
        """Something happens that means another thing for other kinds of arrays; a trace must know."""

    def __getitem__(self, key: Any) -> Any:
        me: Any = self
        if not isinstance(key, tuple) and isinstance(key, list):
            key = np.asarray(key) if not any(map(is_tensor, key)) else as_tensor(key)
        if _is_mask(key):
            return me._as_array(getitem(me._resolved(), key))
        if is_advanced(key):
            return me._as_array(pick(me._resolved(), key))
        slot = find_slot(me, key)
        if not slot.shape and not any(k is Ellipsis for k in (key if isinstance(key, tuple) else (key,))):
            return me._as_array(take_slot(me._resolved(), slot))
        part = part_of(me, slot)
        if context.recorders:
            part.value()  # tapes know the view from here on, as the target of a gradient
        return me._view_class(part)

    def __iadd__(self, other: Any) -> Any:
        return _changed(self, self + other)

    def __isub__(self, other: Any) -> Any:
        return _changed(self, self - other)

    def __imul__(self, other: Any) -> Any:
        return _changed(self, self * other)

    def __itruediv__(self, other: Any) -> Any:
        return _changed(self, self / other)

    def __ifloordiv__(self, other: Any) -> Any:
        return _changed(self, self // other)

    def __imod__(self, other: Any) -> Any:
        return _changed(self, self % other)

    def __ipow__(self, other: Any) -> Any:
        return _changed(self, self**other)

    def __imatmul__(self, other: Any) -> Any:
        return _changed(self, self @ other)

    def __iand__(self, other: Any) -> Any:
        return _changed(self, self & other)

    def __ior__(self, other: Any) -> Any:
        return _changed(self, self | other)

    def __ixor__(self, other: Any) -> Any:
        return _changed(self, self ^ other)

    @property
    def T(self) -> Any:
        """The transpose, as a view."""
        return self.transpose()

    def transpose(self, *axes: Any) -> Any:
        """The dimensions in another order (reversed by default), as a view."""
        me: Any = self
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            axes = tuple(axes[0] or ())
        shape = me.type.shape
        rank = len(shape)
        perm = tuple(int(a) % rank for a in axes) if axes else tuple(range(rank))[::-1]
        if sorted(perm) != list(range(rank)):
            raise ValueError(f"transpose: {axes} is no order of the {rank} dimensions")
        if rank < 2:
            return me._view_class(part_of(me, find_slot(me, Ellipsis))) if rank else me._as_array(_same(me))
        back = tuple(np.argsort(perm).tolist())
        return me._view_class(
            changed(
                me,
                TensorType(me.dtype, tuple(shape[p] for p in perm)),
                lambda v: apply(_TRANSPOSE, (v,), {"perm": perm}),
                lambda v: apply(_TRANSPOSE, (v,), {"perm": back}),
            )
        )

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Two dimensions exchanged, as a view."""
        me: Any = self
        perm = list(range(len(me.type.shape)))
        perm[axis1], perm[axis2] = perm[axis2], perm[axis1]
        return self.transpose(perm)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """The same elements in another shape, as a view; in another order, as a new array."""
        from .numpy_shape import reshape as in_fortran_order
        from .ops_shape import reshape

        me: Any = self
        if order == "F":  # in C order, that is a new array
            return me._as_array(in_fortran_order(me._resolved(), shape[0] if len(shape) == 1 else shape, "F"))
        if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
            shape = shape[0] if np.ndim(shape[0]) or isinstance(shape[0], tuple) else (shape[0],)
        new = reshape(me._resolved(), shape)
        if copy or not new.type.shape:
            return me._as_array(new)
        old = me.type.shape
        return me._view_class(
            changed(
                me,
                new.type,
                lambda v: apply(_RESHAPE, (v,), {"shape": new.type.shape}),
                lambda v: apply(_RESHAPE, (v,), {"shape": old}),
            )
        )

    def ravel(self, order: str = "C") -> Any:
        """All elements in one dimension, as a view."""
        return self.reshape(-1, order=order)

    def flatten(self, order: str = "C") -> Any:
        """All elements in one dimension, as a new array."""
        return self.reshape(-1, order=order).copy()

    def copy(self, order: str = "C") -> Any:
        """A new array of the same value."""
        me: Any = self
        return me._as_array(_same(me))

    def fill(self, value: Any) -> None:
        """Writes one value to all elements."""
        set_item(self, Ellipsis, value)


def _same(x: Any) -> Tensor:
    return apply(_IDENTITY, (x._resolved(),), {})  # type: ignore[no-any-return]


def _changed(handle: Any, value: Any) -> Any:
    """`handle op= ...`: an array is written to, a scalar stands for a new value."""
    if not handle.type.shape and not handle._cell:
        handle._note_numpy()
        return value
    set_item(handle, Ellipsis, value)
    return handle


__all__ = ["ArrayHandles", "rebind"]
