"""`TensorSpec`: the dtype and shape that a function declares for an argument; None stands for a size not known yet."""

from __future__ import annotations

from typing import Any

from ..ir.dims import Dim
from ..ir.dtypes import DType, as_dtype, float32
from ..ir.types import TensorType
from ..runtime.tensor_shape import TensorShape


class TensorSpec:
    """`TensorSpec([None, 3], pb.float32)`: any number of rows of three floats.

    Attributes:
      shape: a TensorShape. dtype: a DType. name: the name of the argument in dumps, or None.
    """

    __slots__ = ("_dims", "dtype", "name", "shape")

    def __init__(self, shape: Any = (), dtype: Any = float32, name: str | None = None) -> None:
        named = [d for d in shape if isinstance(d, Dim)] if isinstance(shape, (list, tuple)) else []
        self.shape = shape if isinstance(shape, TensorShape) else TensorShape(shape)
        self.dtype: DType = as_dtype(dtype)
        self.name = name
        self._dims: tuple[Any, ...] | None = None
        if self.shape.rank is not None:
            self._dims = tuple(shape) if named else tuple(self.shape.as_list())

    @property
    def dims(self) -> tuple[Any, ...] | None:
        """The shape as a plain tuple of ints, None, and symbolic sizes, which tell equal unknown sizes from others.

        None when not even the number of dimensions is known.
        """
        return self._dims

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor."""
        return cls(tensor.shape, tensor.dtype, name)

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        """A copy of a spec, under another name."""
        return cls(spec.shape, spec.dtype, name or spec.name)

    @classmethod
    def from_type(cls, type: TensorType, name: str | None = None) -> TensorSpec:
        """The spec of an IR type: symbolic sizes become None."""
        return cls([None if isinstance(d, Dim) else d for d in type.shape], type.dtype, name)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor or spec fits: same dtype, known sizes equal."""
        return bool(as_dtype(other.dtype) == self.dtype and self.shape.is_compatible_with(other.shape))

    def most_specific_compatible_shape(self, other: TensorSpec) -> TensorShape:
        """The shape in which the sizes that differ are None."""
        return self.shape.most_specific_compatible_shape(other.shape)

    def _key(self) -> tuple[Any, ...]:
        return (self._dims, self.dtype, self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self._dims, self.dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape!r}, dtype={self.dtype!r}, name={self.name!r})"

    def __reduce__(self) -> Any:
        return TensorSpec, (None if self._dims is None else list(self._dims), self.dtype, self.name)
