"""What an `Array` has beyond a Tensor: NumPy's operators, methods and attributes, with NumPy's promotion of dtypes."""

from __future__ import annotations


class NumpyMethods:
    """Mixed in before Tensor, eager or symbolic."""

    __slots__ = ()
