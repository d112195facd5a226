"""`Array`: a tensor that behaves as a NumPy array, for plain NumPy programs that are compiled, taped or debugged.

Inside a compiled function, arrays that the caller passed and arrays that NumPy's functions make are of this kind: their
dtypes promote as NumPy's do, they have NumPy's methods, basic slices are views and writes go to the handle. To pb's own
functions an Array is a Tensor like any other, and beside a Tensor in an operator it takes the Tensor's side: the
result is a Tensor of the Tensor's dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.types import TensorType
from .array_handles import ArrayHandles
from .numpy_methods import NumpyMethods, method_of
from .tensor import Tensor, as_storage
from .views import Part


class Array(ArrayHandles, NumpyMethods, Tensor):
    """An eager array."""

    __slots__ = ()
    trace = method_of(np.trace)  # a symbolic tensor has an attribute of that name: write np.trace(A)

    def __repr__(self) -> str:
        return repr(self._numpy())

    def __str__(self) -> str:
        return str(self._numpy())


class Cell(Array):
    """An eager array for an ndarray of no dimensions."""

    __slots__ = ()
    _cell = True


class ArrayView(Array):
    """A view of an eager array."""

    __slots__ = ("_part",)
    _cell = True
    _part: Part
    _eager_storage = False

    def __init__(self, part: Part) -> None:
        self._part = part

    @property
    def _data(self) -> Any:  # type: ignore[override]  # hides the slot: the data is the base's
        return as_storage(self._part.value()._data)

    @property
    def type(self) -> TensorType:
        """The dtype and shape."""
        return self._part.type

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._part.type.shape)

    def _resolved(self) -> Tensor:
        return self._part.value()  # type: ignore[no-any-return]

    def _clone(self) -> Any:
        return ArrayView(self._part)

    def _become(self, new: Any) -> None:
        self._part.set_item(Ellipsis, new)


Tensor._array_class = Array
Tensor._view_class = ArrayView


def array_of(t: Tensor) -> Any:
    """The tensor, which must be fresh (an op's result that nobody else has), as an array. Tapes know it as before."""
    t.__class__ = t._array_class
    return t


def is_array(x: Any) -> bool:
    """Whether `x` is an array of ours, eager or symbolic."""
    return isinstance(x, NumpyMethods)


def wrap_array(a: np.ndarray[Any, Any]) -> Array:
    """An eager array with a copy of the data."""
    return (Array if a.ndim else Cell)(as_storage(np.array(a, order="C")))
