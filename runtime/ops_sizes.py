"""Public ops that ask for sizes: shape, size, rank, and the shapes that broadcasting gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.dtypes import as_dtype, int32
from ..ir.opdef import get
from .arithmetic import as_new
from .convert import as_tensor
from .dispatch import apply
from .errors import ShapeMismatch, fail
from .ops_shape import shape_argument
from .tensor import Tensor
from .tensor_shape import TensorShape


def shape(input: Any, out_type: Any = int32, name: str | None = None) -> Tensor:
    """The sizes, as an integer vector."""
    return apply(get("shape_of"), (as_tensor(input),), {"dtype": as_dtype(out_type)})  # type: ignore[no-any-return]


def shape_n(input: Sequence[Any], out_type: Any = int32, name: str | None = None) -> list[Tensor]:
    """The sizes of each tensor."""
    return [shape(x, out_type) for x in input]


def size(input: Any, out_type: Any = int32, name: str | None = None) -> Tensor:
    """The number of elements, as an integer."""
    t, dtype = as_tensor(input), as_dtype(out_type)
    if t.type.is_static:
        return as_tensor(t.type.size, dtype)
    return apply(get("reduce_prod"), (shape(t, dtype),), {"axes": (0,), "keepdims": False})  # type: ignore[no-any-return]


def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of dimensions, as an int32."""
    return as_tensor(as_tensor(input).ndim, int32)


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """The shape that two shapes broadcast to. Raises ValueError when they do not."""
    x, y = TensorShape(shape_x).as_list(), TensorShape(shape_y).as_list()
    n = max(len(x), len(y))
    x, y = [*[1] * (n - len(x)), *x], [*[1] * (n - len(y)), *y]
    out: list[int | None] = []
    for a, c in zip(x, y, strict=True):
        if a is not None and c is not None and a != c and 1 not in (a, c):
            found = f"{TensorShape(shape_x)} and {TensorShape(shape_y)}"
            fail(ShapeMismatch, f"Incompatible shapes for broadcasting: {found}")
        out.append(c if a == 1 else a if c == 1 or c is None or a == c else c if a is None else a)
    return TensorShape(out)


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """The shape that two shapes broadcast to, as an int32 vector."""
    return as_tensor(broadcast_static_shape(shape_argument(shape_x), shape_argument(shape_y)).as_list(), int32)


@as_new
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same tensor, checked. Raises InvalidArgumentError (also a ValueError) for an incompatible shape."""
    t = as_tensor(x)
    if not t.get_shape().is_compatible_with(shape):
        fail(ShapeMismatch, f"Shape of tensor x {t.shape} is not compatible with expected shape {TensorShape(shape)}")
    return t
