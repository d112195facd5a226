"""`pb.linalg`: linear equations, inverses, determinants, factorisations.

Matrices are the last two dimensions, float32 or float64; the dimensions before them are a batch. A matrix without an
inverse raises InvalidArgumentError (which is also NumPy's LinAlgError), as in TensorFlow. `cholesky` of a matrix that
is not positive definite is NaN throughout, with no error: so a batch keeps its good matrices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..ir.infer import broadcast
from ..ir.opdef import get
from .convert import as_tensor, static_value
from .dispatch import apply, check, with_line
from .elementwise import operands, tracing
from .errors import ShapeMismatch, UnimplementedError, fail
from .ops_create import eye
from .ops_linalg import diag_part, matmul
from .ops_math import log
from .ops_reduce import reduce_sum
from .ops_shape import broadcast_to, known_sizes, matrix_transpose, reshape, transpose
from .tensor import Tensor


class LogMatrixDeterminant(NamedTuple):
    """The sign of a determinant and the logarithm of its size."""

    sign: Tensor
    log_abs_determinant: Tensor


def _run(name: str, *ts: Tensor, **attrs: Any) -> Any:
    """The op; NumPy would take what it does not (vectors, integers), so the type rule is asked where that may be."""
    if not tracing() and not _usual(*ts):
        check(get(name), ts, attrs)
    return apply(get(name), ts, attrs)


def _usual(a: Tensor, b: Tensor | None = None) -> bool:
    s = a.type.shape
    if len(s) < 2 or s[-1] != s[-2] or a.dtype.short not in ("f32", "f64"):
        return False
    return b is None or (b.dtype is a.dtype and len(b.type.shape) == len(s) and b.type.shape[:-1] == s[:-1])


def cholesky(input: Any, name: str | None = None) -> Tensor:
    """The lower triangular L with A = L L^T, for symmetric positive definite matrices [..., n, n].

    Only the lower triangle is read. The gradient is that along symmetric matrices, and symmetric. A matrix that is not
    positive definite gives NaN in all its elements.

    >>> import pullback as pb
    >>> pb.linalg.cholesky([[4.0, 2.0], [2.0, 5.0]]).numpy().tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    return _run("cholesky", as_tensor(input))  # type: ignore[no-any-return]


def _pair(what: str, matrix: Any, rhs: Any) -> tuple[Tensor, Tensor]:
    """Both sides of a system with the same batch dimensions."""
    a, b = operands(what, matrix, rhs)
    if a.ndim < 2 or b.ndim < 2 or a.type.shape[:-2] == b.type.shape[:-2]:
        return a, b
    if b.ndim == a.ndim - 1 and b.type.shape == a.type.shape[:-1]:
        fail(
            ShapeMismatch,
            f"{what}: the right side has shape {b.shape}, a vector for each matrix {a.shape}: write b[..., None] for "
            "matrices of one column",
        )
    try:
        batch = broadcast(what, [a.type, b.type], [a.type.shape[:-2], b.type.shape[:-2]])
    except ShapeMismatch as e:
        raise with_line(e) from None
    return broadcast_to(a, (*batch, *a.type.shape[-2:])), broadcast_to(b, (*batch, *b.type.shape[-2:]))


def _one_matrix(what: str, matrix: Any, rhs: Any, run: Any) -> Tensor:
    """Solves; several right sides of a single matrix are columns of one, so that it is factored once."""
    a, b = operands(what, matrix, rhs)
    if a.ndim != 2 or b.ndim < 3:
        return run(*_pair(what, a, b))  # type: ignore[no-any-return]
    *batch, n, k = b.type.shape
    last = b.ndim - 2
    columns = reshape(transpose(b, [last, *range(last), last + 1]), (n, -1))
    x = reshape(run(a, columns), (n, *batch, k))
    return transpose(x, [*range(1, last + 1), 0, last + 1])


def triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """X with A X = B, or A^T X = B with `adjoint`, for a triangular A; its other triangle is not read.

    Args:
      matrix: [..., n, n]. rhs: [..., n, k]; the batch dimensions broadcast.
    """

    def run(a: Tensor, b: Tensor) -> Tensor:
        return _run("triangular_solve", a, b, lower=bool(lower), adjoint=bool(adjoint))  # type: ignore[no-any-return]

    return _one_matrix("triangular_solve", matrix, rhs, run)


def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """X with L L^T X = B, from L = cholesky(A)."""
    return triangular_solve(chol, triangular_solve(chol, rhs), adjoint=True)


def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """X with A X = B, or A^T X = B with `adjoint`.

    Args:
      matrix: [..., n, n]. rhs: [..., n, k]; the batch dimensions broadcast.

    Raises:
      InvalidArgumentError (also np.linalg.LinAlgError): a matrix is singular.
    """

    def run(a: Tensor, b: Tensor) -> Tensor:
        return _run("solve", a, b, adjoint=bool(adjoint))  # type: ignore[no-any-return]

    return _one_matrix("solve", matrix, rhs, run)


def inv(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse of each matrix, transposed with `adjoint`.

    Raises:
      InvalidArgumentError (also np.linalg.LinAlgError): a matrix is singular.
    """
    y: Tensor = _run("inv", as_tensor(input))
    return matrix_transpose(y) if adjoint else y


def det(input: Any, name: str | None = None) -> Tensor:
    """The determinant of each matrix. At a singular matrix the gradient raises InvalidArgumentError."""
    return _run("det", as_tensor(input))  # type: ignore[no-any-return]


def slogdet(input: Any, name: str | None = None) -> LogMatrixDeterminant:
    """The sign of each determinant (0 of a singular matrix) and the logarithm of its size."""
    return LogMatrixDeterminant(*_run("slogdet", as_tensor(input)))


def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """The logarithm of the determinant of symmetric positive definite matrices; NaN for others."""
    return 2.0 * reduce_sum(log(diag_part(cholesky(matrix))), -1)


def lstsq(
    matrix: Any, rhs: Any, l2_regularizer: Any = 0.0, fast: bool = True, name: str | None = None
) -> Tensor:
    """X that makes |A X - B|^2 + l2_regularizer |X|^2 least, or the smallest X with A X = B where A is wide.

    By the normal equations and `cholesky`, as TensorFlow does with `fast`: A, [..., m, n], must have full rank, and the
    error grows with the square of its condition number.
    """
    a, b = operands("lstsq", matrix, rhs)
    if not fast:
        fail(UnimplementedError, "lstsq: fast=False is not available: leave it out, or call np.linalg.lstsq on arrays")
    m, n = known_sizes(a, "lstsq")[-2:]
    gram = matmul(a, a, adjoint_a=True) if m >= n else matmul(a, a, adjoint_b=True)
    if static_value(l2_regularizer, "The argument `l2_regularizer`") != 0:
        gram = gram + eye(min(m, n), dtype=a.dtype) * as_tensor(l2_regularizer, a.dtype)
    factor = cholesky(gram)
    if m >= n:
        return cholesky_solve(factor, matmul(a, b, adjoint_a=True))
    return matmul(a, cholesky_solve(factor, b), adjoint_a=True)


def eigh(tensor: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """The eigenvalues of symmetric matrices, ascending, and eigenvectors as columns; the lower triangle is read."""
    return _run("eigh", as_tensor(tensor))  # type: ignore[no-any-return]


def eigvalsh(tensor: Any, name: str | None = None) -> Tensor:
    """The eigenvalues of symmetric matrices, ascending."""
    return eigh(tensor)[0]


__all__ = [
    "LogMatrixDeterminant", "cholesky", "cholesky_solve", "det", "eigh", "eigvalsh", "inv", "logdet", "lstsq",
    "slogdet", "solve", "triangular_solve",
]  # fmt: skip
