"""`pb.array`: an array that follows NumPy's rules and that tapes can watch."""

from __future__ import annotations

from typing import Any


def array(data: Any, dtype: Any = None) -> Any:
    """A new array of the data, as `np.array` makes it, but known to tapes: `pb.array([1.0, 2.0])` is float64.

    It has NumPy's dtypes, methods, views and writes in place; NumPy's functions give such arrays again. To `pb`
    functions it is a Tensor. An ndarray that is passed to a `pb.function` is one inside.

    Raises:
      TypeError: for data that are no numbers.
    """
    from .numpy_create import array as create

    return create(data, dtype)
