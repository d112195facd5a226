"""What the ops on matrices share: type checks, triangles of a matrix, transposes, products, against a builder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .dtypes import DType, int32
from .infer import bad_shape, bad_type, equal_shapes, same_dtype, same_size, unknown
from .types import Shape, TensorType


def real_dtype(op: str, types: Sequence[TensorType]) -> DType:
    """The one dtype of all operands, float32 or float64. Raises TypeMismatch."""
    dtype = same_dtype(op, types)
    if dtype.short not in ("f32", "f64"):
        bad_type(op, types, f"{op} is for float32 and float64: write pb.cast(x, pb.float64) first")
    return dtype


def square(op: str, types: Sequence[TensorType]) -> Shape:
    """The shape [..., n, n] of the first operand. Raises ShapeMismatch, SymbolicShapes where that is not known."""
    t = types[0]
    if t.rank < 2:
        bad_shape(op, types, f"{op} needs a matrix, or a batch of them: rank 2 or more")
    rows, columns = t.shape[-2:]
    same = same_size(rows, columns)
    if same is False:
        bad_shape(op, types, f"the matrix must be square, not {rows} by {columns}")
    if same is None:
        unknown(op, types, [rows, columns])
    return t.shape


def system(op: str, types: Sequence[TensorType]) -> TensorType:
    """The type of X in A X = B, for A [..., n, n] and B [..., n, k] with the same batch dimensions."""
    a = square(op, types)
    b = types[1].shape
    if len(b) != len(a):
        hint = ": write b[:, None] to give a vector as a matrix of one column" if len(b) == len(a) - 1 else ""
        bad_shape(op, types, f"the right side needs as many dimensions as the matrix{hint}")
    same = same_size(a[-1], b[-2])
    if same is False:
        bad_shape(op, types, f"the matrix has {a[-1]} columns, the right side {b[-2]} rows")
    if same is None:
        unknown(op, types, [a[-1], b[-2]])
    equal_shapes(op, types, a[:-2], b[:-2], "the batch dimensions differ")
    return types[1]


def grid(b: Any, x: Any) -> tuple[Any, Any]:
    """The row numbers [n, 1] and the column numbers [1, m] of a matrix (or a batch of them)."""
    n, m = b.shape(x)[-2:]
    return b.iota(shape=(n, 1), axis=0, dtype=int32), b.iota(shape=(1, m), axis=1, dtype=int32)


def triangle(b: Any, x: Any, lower: bool) -> Any:
    """The lower or upper triangle, with the diagonal; zeros elsewhere."""
    i, j = grid(b, x)
    return b.where(b.ge(i, j) if lower else b.le(i, j), x, b.const(0, b.dtype(x)))


def half_triangle(b: Any, x: Any) -> Any:
    """The lower triangle with half of the diagonal: y + y^T is the symmetric part's double."""
    i, j = grid(b, x)
    zero = b.const(0, b.dtype(x))
    return b.where(b.gt(i, j), x, b.where(b.eq(i, j), x * 0.5, zero))


def flipped(b: Any, x: Any) -> Any:
    """The transpose of each matrix."""
    rank = len(b.shape(x))
    return b.transpose(x, perm=(*range(rank - 2), rank - 1, rank - 2))


def symmetric(b: Any, x: Any) -> Any:
    """The symmetric part of each matrix."""
    return (x + flipped(b, x)) * 0.5


def times(b: Any, x: Any, y: Any, flip_x: bool = False, flip_y: bool = False) -> Any:
    """The product of matrices, either transposed."""
    return b.matmul(x, y, transpose_a=flip_x, transpose_b=flip_y)


def per_matrix(b: Any, x: Any) -> Any:
    """A number per matrix, [...], with two dimensions of size 1 to multiply matrices by."""
    return b.reshape(x, shape=(*b.shape(x), 1, 1))


def matrix_sum(b: Any, x: Any) -> Any:
    """The sum of each matrix's elements."""
    rank = len(b.shape(x))
    return b.reduce_sum(x, axes=(rank - 2, rank - 1), keepdims=False)
