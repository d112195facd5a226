"""`numpy.linalg`: norms, and what pb.linalg solves and factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import cast
from .convert import static_value
from .errors import fail
from .location import at
from .numpy_linalg import dot, line, matrix_product
from .numpy_promote import strong, tensor
from .numpy_protocol import NumpyNotSupported, implements
from .numpy_reduce import floats, keeps, max_, min_, reduced
from .numpy_shape import swapaxes
from .numpy_ufuncs import UFUNCS, number, op
from .ops_shape import axis_argument, broadcast_to, reshape
from .tensor import Tensor


def _magnitude(t: Tensor) -> Tensor:
    return UFUNCS[np.absolute](t)  # type: ignore[no-any-return]


def _square_sum(t: Tensor, axis: Any, keepdims: Any) -> Tensor:
    a = _magnitude(t)
    return reduced("reduce_sum", op("mul", a, a), axis, keepdims)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Tensor:
    """The norm of a vector, or of a matrix where `axis` names two dimensions (or x has two)."""
    t = floats(tensor(x))
    if axis is None and ord is None:
        return op("sqrt", _square_sum(t, None, keepdims))  # type: ignore[no-any-return]
    axes = static_value(axis, "The argument `axis`")
    axes = list(range(t.ndim)) if axes is None else list(axes) if isinstance(axes, (list, tuple)) else [axes]
    if len(axes) == 1:
        return _vector_norm(t, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(t, ord, axes, keepdims)
    return fail(ValueError, "Improper number of dimensions to norm.")


def _vector_norm(t: Tensor, ord: Any, axes: list[int], keepdims: Any) -> Tensor:
    size = _magnitude(t)
    if ord is None or ord == 2:
        return op("sqrt", _square_sum(t, axes, keepdims))  # type: ignore[no-any-return]
    if ord == np.inf:
        return max_(size, axes, keepdims)  # type: ignore[no-any-return]
    if ord == -np.inf:
        return min_(size, axes, keepdims)  # type: ignore[no-any-return]
    if ord == 0:
        return reduced("reduce_sum", cast(op("ne", t, number(0, t)), size.dtype), axes, keepdims)
    if ord == 1:
        return reduced("reduce_sum", size, axes, keepdims)
    if isinstance(ord, str):
        fail(ValueError, f"Invalid norm order '{ord}' for vectors")
    p = tensor(ord, size.dtype)
    total = reduced("reduce_sum", op("pow", size, p), axes, keepdims)
    return op("pow", total, op("div", number(1, size), p))  # type: ignore[no-any-return]


def _matrix_norm(t: Tensor, ord: Any, axes: list[int], keepdims: Any) -> Tensor:
    if ord in (None, "fro", "f"):
        return op("sqrt", _square_sum(t, axes, keepdims))  # type: ignore[no-any-return]
    if ord in (1, -1, np.inf, -np.inf):
        over, rest = (axes[0], axes[1]) if abs(ord) == 1 else (axes[1], axes[0])
        sums = reduced("reduce_sum", _magnitude(t), over, True)
        y = (max_ if ord > 0 else min_)(sums, rest, True)
        if keeps(keepdims):
            return y  # type: ignore[no-any-return]
        drop = {axis_argument(k, t.ndim) for k in axes}
        return reshape(y, [d for k, d in enumerate(t.type.shape) if k not in drop])
    raise NumpyNotSupported(
        f"np.linalg.norm: the norm {ord!r} of matrices needs singular values, which are not available: use 'fro', 1 or "
        f"np.inf{at()}"
    )


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Tensor:
    """The norm of vectors."""
    t = floats(tensor(x))
    if axis is None:
        y = _vector_norm(reshape(t, (-1,)), ord, [0], False)
        return reshape(y, (1,) * t.ndim) if keeps(keepdims) else y
    return _vector_norm(t, ord, [axis] if not isinstance(axis, tuple) else list(axis), keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Tensor:
    """The norm of matrices."""
    return _matrix_norm(floats(tensor(x)), ord, [-2, -1], keepdims)


def _linalg(name: str) -> Any:
    """A function of pb.linalg."""
    from .namespaces import linalg

    found = getattr(linalg, name, None)
    if found is None:
        raise NumpyNotSupported(f"np.linalg.{name} is not available on tensors{at()}")
    return found


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Tensor:
    """x with a @ x = b."""
    x, y = strong("np.linalg.solve", floats(tensor(a)), floats(tensor(b)))
    if y.ndim == 1:
        z = _linalg("solve")(x, reshape(y, (-1, 1)))
        return reshape(z, z.type.shape[:-1])
    return _linalg("solve")(x, y)  # type: ignore[no-any-return]


@implements(np.linalg.inv)
def inv(a: Any) -> Tensor:
    """The inverse of each matrix."""
    return _linalg("inv")(floats(tensor(a)))  # type: ignore[no-any-return]


@implements(np.linalg.det)
def det(a: Any) -> Tensor:
    """The determinant of each matrix."""
    return _linalg("det")(floats(tensor(a)))  # type: ignore[no-any-return]


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """The sign and the logarithm of the size of the determinant."""
    return type(np.linalg.slogdet(np.eye(1)))(*_linalg("slogdet")(floats(tensor(a))))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Tensor:
    """The triangular factor."""
    lower: Tensor = _linalg("cholesky")(floats(tensor(a)))
    return swapaxes(lower, -1, -2) if upper else lower


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices."""
    t = floats(tensor(a))
    return _linalg("eigvalsh")(swapaxes(t, -1, -2) if UPLO == "U" else t)  # type: ignore[no-any-return]


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Tensor:
    """The matrix times itself, by repeated squaring."""
    t, power = tensor(a), static_value(n, "The argument `n`")
    if power < 0:
        t, power = inv(t), -power
    if power == 0:
        eye = op("eq", line(t.type.shape[-1], 0, 2), line(t.type.shape[-1], 1, 2))
        return broadcast_to(cast(eye, t.dtype), t.type.shape)
    y, square = None, t
    while power:
        if power & 1:
            y = square if y is None else matrix_product(y, square)
        power >>= 1
        if power:
            square = matrix_product(square, square)
    assert y is not None
    return y


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any) -> Tensor:
    """The product of several matrices, from the left."""
    y, *rest = strong("np.linalg.multi_dot", *arrays)
    for t in rest:
        y = dot(y, t)
    return y

