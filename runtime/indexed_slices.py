"""`IndexedSlices`: some rows of a larger tensor. Gradients here are dense; programs may make or take these."""

from __future__ import annotations

from typing import Any

from .convert import as_tensor, static_value
from .errors import fail
from .ops_create import zeros
from .ops_scatter import tensor_scatter
from .tensor import Tensor
from .tensor_shape import TensorShape


class IndexedSlices:
    """Row `values[k]` stands at index `indices[k]`; rows of equal index add up.

    Attributes:
      values: a Tensor of rows. indices: a vector of integers. dense_shape: the shape of the whole, or None.
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self.values: Tensor = as_tensor(values)
        self.indices: Tensor = as_tensor(indices)
        self.dense_shape: Tensor | None = None if dense_shape is None else as_tensor(dense_shape)

    @property
    def dtype(self) -> Any:
        """The dtype of the rows."""
        return self.values.dtype

    @property
    def shape(self) -> TensorShape:
        """The shape of the whole; unknown rows without `dense_shape`."""
        if self.dense_shape is None:
            return TensorShape([None]).concatenate(self.values.shape[1:])
        return TensorShape(static_value(self.dense_shape, "dense_shape"))

    def _as_tensor(self) -> Tensor:
        if self.dense_shape is None:
            fail(ValueError, f"Tensor conversion requested for IndexedSlices without dense_shape: {self!r}")
        base = zeros(static_value(self.dense_shape, "dense_shape"), self.values.dtype)
        return tensor_scatter("add", base, self.indices[..., None], self.values)

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(-self.values, self.indices, self.dense_shape)

    def __repr__(self) -> str:
        dense = "" if self.dense_shape is None else f", dense_shape={self.dense_shape}"
        return f"IndexedSlices(indices={self.indices}, values={self.values}{dense})"
