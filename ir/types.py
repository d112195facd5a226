"""The type of an SSA value: an element type and a shape whose dimensions are ints or symbols; or a stack of such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .dims import Dim, DimLike, product, substitute
from .dtypes import DType, as_dtype
from .sizes import text_of

Shape = tuple[DimLike, ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """`f32[n, 3]`: dtype float32, shape (n, 3). A scalar is `f32`."""

    dtype: DType
    shape: Shape = ()

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> DimLike:
        """The number of elements."""
        return product(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every dimension is a known int."""
        return not any(isinstance(d, Dim) for d in self.shape)

    def substitute(self, sizes: Mapping[str, DimLike]) -> TensorType:
        """This type with the named sizes replaced."""
        return type(self)(self.dtype, tuple(substitute(d, sizes) for d in self.shape))

    def __str__(self) -> str:
        return self.dtype.short + (f"[{', '.join(map(text_of, self.shape))}]" if self.shape else "")


@dataclass(frozen=True, slots=True)
class StackType(TensorType):
    """`stack<f32[n, 3]>`: a stack of tensors, all of this dtype and shape. Only control flow and stack ops take it."""

    @property
    def element(self) -> TensorType:
        """The type of what lies on the stack."""
        return TensorType(self.dtype, self.shape)

    def __str__(self) -> str:
        return f"stack<{self.element}>"


def tensor_type(dtype: Any, shape: Any = ()) -> TensorType:
    """A type from anything that names a dtype and a sequence of dimensions."""
    return TensorType(as_dtype(dtype), tuple(d if isinstance(d, Dim) else int(d) for d in shape))


def type_of_array(x: Any) -> TensorType:
    """The type of a NumPy array or scalar."""
    return TensorType(as_dtype(x.dtype), tuple(x.shape))
