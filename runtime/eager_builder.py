"""A builder over Tensors: derivative rules run as ordinary ops, so that outer tapes and traces see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.builder import Builder
from ..ir.dtypes import DType
from ..ir.opdef import OpDef
from ..ir.types import Shape
from .convert import as_tensor, make
from .dispatch import apply
from .elementwise import tensor_or_none
from .tensor import Tensor


class EagerBuilder(Builder):
    """Operands are Tensors (or Variables, for the reads that tapes record)."""

    def apply(self, op: OpDef, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """The op through the dispatcher; Python numbers take the dtype of the first tensor beside them."""
        found = [tensor_or_none(x) for x in operands]
        like = next((t for t in found if t is not None), None)
        dtype = None if like is None else like.dtype
        xs = [as_tensor(x, dtype) if t is None else t for x, t in zip(operands, found, strict=True)]
        return apply(op, xs, attrs)

    def const(self, value: Any, dtype: DType) -> Tensor:
        """A constant tensor."""
        return make(np.array(value, dtype.np))

    def shape(self, x: Any) -> Shape:
        """The shape, whose dimensions may be symbolic sizes."""
        return x.type.shape  # type: ignore[no-any-return]

    def dtype(self, x: Any) -> DType:
        """The dtype."""
        return x.dtype  # type: ignore[no-any-return]


EAGER = EagerBuilder()
