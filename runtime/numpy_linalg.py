"""NumPy's products of arrays and its diagonals: `np.dot`, `np.einsum`, `np.outer`, `np.kron`, `np.diag`, `np.triu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dtypes import int64
from .arithmetic import cast
from .convert import static_value
from .dispatch import call
from .errors import fail
from .location import at
from .numpy_promote import strong, tensor
from .numpy_protocol import NumpyNotSupported, call_ufunc, implements
from .numpy_reduce import sum_
from .numpy_shape import moveaxis
from .numpy_ufuncs import UFUNCS, number, op
from .ops_shape import axis_argument, broadcast_to, concat, part, reshape, transpose
from .tensor import Tensor


def _public() -> Any:
    from . import public

    return public


# ---------------------------------------------------------------- products
def _of_bools(x: Tensor, y: Tensor, multiply: Any) -> Tensor:
    """A product of bools: whether any pair is true."""
    count = multiply(cast(x, int64), cast(y, int64))
    return op("gt", count, number(0, count))  # type: ignore[no-any-return]


def matrix_product(x: Tensor, y: Tensor) -> Tensor:
    """x @ y: vectors are a row on the left and a column on the right."""
    if x.dtype.is_bool:
        return _of_bools(x, y, matrix_product)
    if not x.ndim or not y.ndim:
        fail(ValueError, "matmul: Input operand does not have enough dimensions: use * for scalars")
    a = reshape(x, (1, -1)) if x.ndim == 1 else x
    b = reshape(y, (-1, 1)) if y.ndim == 1 else y
    z: Tensor = call("matmul", a, b, transpose_a=False, transpose_b=False)
    dims = z.type.shape
    if x.ndim == 1:
        dims = (*dims[:-2], dims[-1])
    if y.ndim == 1:
        dims = dims[:-1]
    return reshape(z, dims) if dims != z.type.shape else z


@implements(np.dot)
def dot(a: Any, b: Any) -> Tensor:
    """The sum of products over the last axis of a and the second to last of b; of a scalar, the product."""
    x, y = strong("np.dot", a, b)
    if not x.ndim or not y.ndim:
        return call_ufunc(np.multiply, x, y)  # type: ignore[no-any-return]
    if y.ndim <= 2:
        return matrix_product(x, y)
    return tensordot(x, y, ([x.ndim - 1], [y.ndim - 2]))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Tensor:
    """The sum of the products of all elements, the first conjugated."""
    x, y = strong("np.vdot", a, b)
    x = UFUNCS[np.conjugate](x) if x.dtype.is_complex else x
    return dot(reshape(x, (-1,)), reshape(y, (-1,)))


@implements(np.inner)
def inner(a: Any, b: Any) -> Tensor:
    """The sum of products over both last axes."""
    x, y = strong("np.inner", a, b)
    if not x.ndim or not y.ndim:
        return call_ufunc(np.multiply, x, y)  # type: ignore[no-any-return]
    return tensordot(x, y, ([x.ndim - 1], [y.ndim - 1]))


@implements(np.outer, np.linalg.outer)
def outer(a: Any, b: Any) -> Tensor:
    """The products of all pairs."""
    x, y = strong("np.outer", a, b)
    return call_ufunc(np.multiply, reshape(x, (-1, 1)), reshape(y, (1, -1)))  # type: ignore[no-any-return]


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes."""
    x, y = strong("np.tensordot", a, b)
    if x.dtype.is_bool:
        return _of_bools(x, y, lambda p, q: tensordot(p, q, axes))
    return _public().tensordot(x, y, axes)  # type: ignore[no-any-return]


@implements(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Tensor:
    """x1 @ x2."""
    return call_ufunc(np.matmul, x1, x2)  # type: ignore[no-any-return]


@implements(np.kron)
def kron(a: Any, b: Any) -> Tensor:
    """Each element of a times the whole of b."""
    x, y = strong("np.kron", a, b)
    rank = max(x.ndim, y.ndim)
    s, t = ((*(1,) * (rank - v.ndim), *v.type.shape) for v in (x, y))
    left = reshape(x, [d for n in s for d in (n, 1)])
    right = reshape(y, [d for n in t for d in (1, n)])
    return reshape(call_ufunc(np.multiply, left, right), [m * n for m, n in zip(s, t, strict=True)])


@implements(np.cross, np.linalg.cross)
def cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Tensor:
    """The vector product in three dimensions."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = strong("np.cross", a, b)
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    if x.type.shape[-1] != 3 or y.type.shape[-1] != 3:
        fail(ValueError, "np.cross: 3 elements are needed; for two dimensions write x[0] * y[1] - x[1] * y[0]")
    (x0, x1, x2), (y0, y1, y2) = ([part(v, v.ndim - 1, k, 1) for k in range(3)] for v in (x, y))

    def minor(p: Tensor, q: Tensor, r: Tensor, s: Tensor) -> Tensor:
        return op("sub", op("mul", p, q), op("mul", r, s))  # type: ignore[no-any-return]

    z = concat([minor(x1, y2, x2, y1), minor(x2, y0, x0, y2), minor(x0, y1, x1, y0)], -1)
    return moveaxis(z, -1, axisc)


@implements(np.einsum)
def einsum(*operands: Any, optimize: Any = False, dtype: Any = None, **rest: Any) -> Tensor:
    """Sums of products over named dimensions; of more than two operands in the order that np.einsum_path finds."""
    if not isinstance(operands[0], str):
        raise NumpyNotSupported(f"np.einsum: write the subscripts as a text, such as 'ij,jk->ik'{at()}")
    extra = [k for k in rest if k not in ("order", "casting")]
    if extra:
        raise NumpyNotSupported(f"np.einsum: the argument {extra[0]!r} is not available on tensors{at()}")
    ts = strong("np.einsum", *operands[1:])
    if dtype is not None:
        ts = [tensor(t, dtype) for t in ts]
    text = operands[0].replace(" ", "")
    if ts[0].dtype.is_bool:
        count = einsum(text, *[cast(t, int64) for t in ts])
        return op("gt", count, number(0, count))  # type: ignore[no-any-return]
    if len(ts) > 2 and "..." not in text and all(t.type.is_static for t in ts):
        return _in_best_order(text, ts)
    return _public().einsum(text, *ts)  # type: ignore[no-any-return]


def _in_best_order(text: str, ts: list[Tensor]) -> Tensor:
    shapes = [np.broadcast_to(np.float64(0), t.type.shape) for t in ts]  # type: ignore[arg-type]
    path: Any = np.einsum_path
    for step in path(text, *shapes, optimize="greedy", einsum_call=True)[1]:
        places, equation = step[0], next(s for s in step[1:] if isinstance(s, str))
        chosen = [ts.pop(i) for i in places]
        ts.append(_public().einsum(equation, *chosen))
    return ts[0]


# ---------------------------------------------------------------- diagonals and triangles
@implements(np.diagonal)
def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Tensor:
    """The diagonal of each matrix in two dimensions, as the last dimension."""
    t, k = tensor(a), static_value(offset, "The argument `offset`")
    i, j = axis_argument(axis1, t.ndim, "axis1"), axis_argument(axis2, t.ndim, "axis2")
    t = transpose(t, [*(d for d in range(t.ndim) if d not in (i, j)), i, j])
    m, n = t.type.shape[-2:]
    if isinstance(m, int) and isinstance(n, int) and not -m < k < n:
        return reshape(part(part(t, t.ndim - 1, 0, 0), t.ndim - 2, 0, 0), (*t.type.shape[:-2], 0))
    return _public().diag_part(t, k=k)  # type: ignore[no-any-return]


@implements(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: Any = 0) -> Tensor:
    """The diagonal of each matrix in the last two dimensions."""
    return diagonal(x, offset, -2, -1)


@implements(np.trace)
def trace(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None) -> Tensor:
    """The sum of the diagonal."""
    return sum_(diagonal(a, offset, axis1, axis2), -1, dtype)  # type: ignore[no-any-return]


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Tensor:
    """The sum of the diagonal of each matrix in the last two dimensions."""
    return trace(x, offset, -2, -1, dtype)


def line(n: Any, axis: int, rank: int) -> Tensor:
    """0, 1, ... along one of `rank` dimensions."""
    return call("iota", shape=tuple(n if d == axis else 1 for d in range(rank)), axis=axis, dtype=int64)  # type: ignore[no-any-return]


@implements(np.diag)
def diag(v: Any, k: Any = 0) -> Tensor:
    """A matrix with a diagonal, or the diagonal of a matrix."""
    t, k = tensor(v), static_value(k, "The argument `k`")
    if t.ndim == 2:
        return diagonal(t, k)
    if t.ndim != 1:
        fail(ValueError, "Input must be 1- or 2-d.")
    n = t.type.shape[0]
    low, high = max(-k, 0), max(k, 0)
    wide: Tensor = call("pad", t, number(0, t), low=(high,), high=(low,))  # the value of each column
    hit = op("eq", op("add", line(n + abs(k), 0, 2), tensor(k)), line(n + abs(k), 1, 2))
    return op("where", hit, reshape(wide, (1, -1)), number(0, t))  # type: ignore[no-any-return]


@implements(np.diagflat)
def diagflat(v: Any, k: Any = 0) -> Tensor:
    """A matrix with all elements on a diagonal."""
    return diag(reshape(tensor(v), (-1,)), k)


def _triangle(m: Any, k: Any, lower: bool) -> Tensor:
    t = tensor(m)
    if t.ndim == 1:
        t = broadcast_to(t, (t.type.shape[0], t.type.shape[0]))
    rows, columns = t.type.shape[-2:]
    i = op("add", line(rows, 0, 2), tensor(k if lower else k - 1, np.int64))
    below = op("ge", i, line(columns, 1, 2))
    zero = number(0, t)
    return op("where", below, t, zero) if lower else op("where", below, zero, t)  # type: ignore[no-any-return]


@implements(np.tril)
def tril(m: Any, k: Any = 0) -> Tensor:
    """Zeros above the k-th diagonal."""
    return _triangle(m, k, True)


@implements(np.triu)
def triu(m: Any, k: Any = 0) -> Tensor:
    """Zeros below the k-th diagonal."""
    return _triangle(m, k, False)
