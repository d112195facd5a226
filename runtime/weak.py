"""A Python number whose value is not known while a function is traced, such as the index of a loop.

It is no Tensor: like any Python number it takes the dtype of the tensor that it meets. The tracer has the class
itself (`tracer.number.Number`); here is what the ops need to know of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from ..ir.dtypes import DType
    from .tensor import Tensor


class Weak:
    """Base of numbers that are values of a trace."""

    __slots__ = ()
    kind: type  # bool, int or float
    lifted = False  # whether it stands for an argument (`tracer.lifted`), and gives up where Python needs the value

    def needed(self, what: str) -> NoReturn:
        """Ends what the number was made for: Python needs its value."""
        raise NotImplementedError

    def as_tensor(self, dtype: DType | None) -> Tensor:
        """The number as a scalar tensor of a dtype, or of the one that a Python number gets by itself."""
        raise NotImplementedError

    def as_index(self, size: Any) -> tuple[Tensor, bool]:
        """The number as an index along a dimension of the size, and whether it may be negative."""
        raise NotImplementedError

    def largest(self) -> int | None:
        """The largest value that it may have, None when that is not known."""
        raise NotImplementedError

    def known(self) -> Any:
        """The Python number where it can be computed while tracing, else None."""
        raise NotImplementedError

    def span(self, start: Any, stop: Any, size: Any) -> tuple[Any, int] | None:
        """Start and length of the slice start:stop, of which this number is one bound; None for lengths that vary."""
        raise NotImplementedError
