"""Public linear algebra of this level: matrix products, contractions, diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dims import product
from ..ir.dtypes import as_dtype
from ..ir.infer import same_size
from ..ir.opdef import get
from .arithmetic import cast
from .convert import as_tensor, make, static_value
from .dispatch import apply
from .elementwise import operands
from .errors import ShapeMismatch, fail
from .ops_create import eye
from .ops_index import where
from .ops_reduce import reduce_sum
from .ops_shape import (
    axis_argument,
    broadcast_to,
    expand_dims,
    known_sizes,
    matrix_transpose,
    reshape,
    squeeze,
    transpose,
)
from .tensor import Tensor

_MATMUL = get("matmul")


def matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
    adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False, output_type: Any = None,
    grad_a: bool = False, grad_b: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The matrix product over the last two dimensions; the others are batches that broadcast.

    Raises:
      InvalidArgumentError (also a ValueError): sizes that do not fit. ValueError: transpose and adjoint of one operand.
    """
    if (transpose_a and adjoint_a) or (transpose_b and adjoint_b):
        fail(ValueError, "Only one of `transpose_a` and `adjoint_a` (or of `transpose_b` and `adjoint_b`) can be True.")
    x, y = operands("matmul", a, b)
    if x.dtype.is_complex:
        from .ops_complex import conj

        x = conj(x) if adjoint_a else x
        y = conj(y) if adjoint_b else y
    attrs = {"transpose_a": bool(transpose_a or adjoint_a), "transpose_b": bool(transpose_b or adjoint_b)}
    if x.ndim < 2 or y.ndim < 2:
        fail(
            ShapeMismatch,
            f"matmul: In[0] and In[1] must be matrices (or batches of them), got shapes {x.shape} and "
            f"{y.shape}: use pb.linalg.matvec, pb.tensordot, or add a dimension with x[:, None]",
        )
    z = apply(_MATMUL, (x, y), attrs)
    return z if output_type is None else cast(z, as_dtype(output_type))


def matvec(
    a: Any, b: Any, transpose_a: bool = False, adjoint_a: bool = False, a_is_sparse: bool = False,
    b_is_sparse: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The product of a matrix and a vector, batched."""
    x, y = operands("matvec", a, b)
    return squeeze(matmul(x, expand_dims(y, -1), transpose_a=transpose_a, adjoint_a=adjoint_a), [-1])


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The sum of products over pairs of axes: two lists of axes, or n for the last n of a with the first n of b."""
    x, y = operands("tensordot", a, b)
    pairs = static_value(axes, "The argument `axes`")
    if isinstance(pairs, (int, np.integer)):
        n = int(pairs)
        if n < 0 or n > min(x.ndim, y.ndim):
            fail(ShapeMismatch, f"tensordot: `axes` is {n}, but the tensors have {x.ndim} and {y.ndim} dimensions")
        left, right = [*range(x.ndim - n, x.ndim)], [*range(n)]
    else:
        if len(pairs) != 2:
            fail(ValueError, f"tensordot: `axes` must be an integer or have length 2, got {pairs!r}")
        of_a, of_b = ([v] if isinstance(v, (int, np.integer)) else list(v) for v in pairs)
        if len(of_a) != len(of_b):
            fail(ValueError, f"tensordot: as many axes of a as of b, got {of_a} and {of_b}")
        left, right = [axis_argument(k, x.ndim) for k in of_a], [axis_argument(k, y.ndim) for k in of_b]
    keep_x = [k for k in range(x.ndim) if k not in left]
    keep_y = [k for k in range(y.ndim) if k not in right]
    sx, sy = x.type.shape, y.type.shape
    inner = product(tuple(sx[k] for k in left))
    if any(same_size(sx[i], sy[j]) is False for i, j in zip(left, right, strict=True)):
        fail(
            ShapeMismatch,
            f"tensordot: the sizes {[sx[k] for k in left]} and {[sy[k] for k in right]} of the contracted axes differ",
        )
    rows, cols = tuple(sx[k] for k in keep_x), tuple(sy[k] for k in keep_y)
    p = reshape(transpose(x, keep_x + left), (product(rows), inner))
    inner = product(tuple(sy[k] for k in right))
    q = reshape(transpose(y, right + keep_y), (inner, product(cols)))
    return reshape(matmul(p, q), (*rows, *cols))


def diag_part(input: Any, name: str = "diag_part", k: int = 0) -> Tensor:
    """The diagonal of each matrix."""
    t = as_tensor(input)
    if t.ndim < 2:
        fail(ShapeMismatch, f"diag_part: a matrix is needed, got shape {t.shape}")
    m, n = known_sizes(t, "diag_part")[-2:]
    size = min(m + min(k, 0), n - max(k, 0))
    places = np.arange(size) * (n + 1) + (k if k >= 0 else -k * n)
    flat = reshape(t, (*t.type.shape[:-2], m * n))
    return apply(get("gather"), (flat, make(places.astype(np.int64))), {"axis": t.ndim - 2, "batch_dims": 0})  # type: ignore[no-any-return]


def diag(diagonal: Any, name: str = "diag") -> Tensor:
    """Matrices with the last dimension on their diagonal, zeros elsewhere."""
    t = as_tensor(diagonal)
    mask = make(np.eye(known_sizes(t, "diag")[-1], dtype=bool))
    return where(mask, expand_dims(t, -1), as_tensor(0, t.dtype))


def trace(x: Any, name: str | None = None) -> Tensor:
    """The sum of the diagonal of each matrix."""
    return reduce_sum(diag_part(x), -1)


def band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """Zeros outside of `num_lower` diagonals below and `num_upper` above the main one; negative keeps all."""
    t = as_tensor(input)
    if t.ndim < 2:
        fail(ShapeMismatch, f"band_part: the input must have at least 2 dimensions, got shape {t.shape}")
    m, n = known_sizes(t, "band_part")[-2:]
    low, up = static_value(num_lower, "num_lower"), static_value(num_upper, "num_upper")
    i, j = np.ogrid[:m, :n]
    mask = ((low < 0) | (i - j <= low)) & ((up < 0) | (j - i <= up))
    return where(make(np.array(mask)), t, as_tensor(0, t.dtype))


def set_diag(input: Any, diagonal: Any, name: str = "set_diag") -> Tensor:
    """Each matrix with another diagonal."""
    t = as_tensor(input)
    m, n = known_sizes(t, "set_diag")[-2:]
    d = as_tensor(diagonal, t.dtype)
    wide = expand_dims(d, -1) if m <= n else expand_dims(d, -2)
    return where(make(np.eye(m, n, dtype=bool)), broadcast_to(wide, t.type.shape) if m == n else wide, t)


def adjoint(matrix: Any, name: str | None = None) -> Tensor:
    """The conjugate transpose of each matrix."""
    return matrix_transpose(matrix, conjugate=True)


def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """The cross product of vectors in the last dimension, of size 3."""
    x, y = operands("cross", a, b)
    x1, x2, x3 = (x[..., k] for k in range(3))
    y1, y2, y3 = (y[..., k] for k in range(3))
    from .ops_shape import stack

    return stack([x2 * y3 - x3 * y2, x3 * y1 - x1 * y3, x1 * y2 - x2 * y1], -1)


__all__ = [
    "adjoint",
    "band_part",
    "cross",
    "diag",
    "diag_part",
    "eye",
    "matmul",
    "matvec",
    "set_diag",
    "tensordot",
    "trace",
]
