"""`Array`: a tensor that behaves as a NumPy array, for plain NumPy programs that are compiled, taped or debugged.

Inside a compiled function, arrays that the caller passed and arrays that NumPy's functions make are of this kind: their
dtypes promote as NumPy's do, they have NumPy's methods, basic slices are views and writes go to the handle. To pb's own
functions an Array is a Tensor like any other, and beside a Tensor in an operator it takes the Tensor's side: the
result is a Tensor of the Tensor's dtype.
"""

from __future__ import annotations

from typing import Any

from .numpy_methods import NumpyMethods
from .tensor import Tensor


class Array(NumpyMethods, Tensor):
    """An eager array."""

    __slots__ = ()


Tensor._array_class = Array


def array_of(t: Tensor) -> Any:
    """The tensor, which must be fresh (an op's result that nobody else has), as an array. Tapes know it as before."""
    t.__class__ = t._array_class
    return t


def is_array(x: Any) -> bool:
    """Whether `x` is an array of ours, eager or symbolic."""
    return isinstance(x, NumpyMethods)
