"""Factorisations of matrices: Cholesky, LU with row exchanges, the eigenvalues of symmetric matrices.

A batch of matrices is factored one by one. `cholesky` and `eigh` look only at the lower triangle; their derivatives are
those along symmetric matrices, as TensorFlow's: a tangent counts by its symmetric part, and cotangents are symmetric.
`lu` has no derivative rule: what `solve`, `inv` and `det` are made of when they are compiled, after differentiation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import total
from .dtypes import int32
from .errors import InvalidArgumentError
from .graph import Attrs, Block
from .infer import count
from .linalg_rules import (
    flipped,
    grid,
    half_triangle,
    real_dtype,
    square,
    symmetric,
    times,
    triangle,
)
from .opdef import Needs, OpDef, register
from .quiet import Quiet
from .types import TensorType


class Cholesky(OpDef):
    """The lower triangular L with A = L L^T. A matrix that is not positive definite gives NaN throughout.

    Rules: S. P. Smith, "Differentiation of the Cholesky algorithm" (1995), in the form of I. Murray, "Differentiation
    of the Cholesky decomposition" (arXiv 1602.07527), equations 8 and 10, where phi takes the lower triangle and
    halves the diagonal: dL = L phi(L^-1 dA L^-T), and gA is the symmetric part of L^-T phi(L^T gL) L^-1.
    """

    name = lowering = "cholesky"
    summary = "the lower triangular factor L of A = L L^T; NaN where A is not positive definite"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] to the same."""
        count(self.name, types, 1)
        real_dtype(self.name, types)
        square(self.name, types)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.linalg.cholesky, and NaN for the matrices that it refuses."""
        try:
            return np.linalg.cholesky(xs[0])
        except np.linalg.LinAlgError:
            pass
        out = np.empty_like(xs[0], order="C")
        for k in np.ndindex(out.shape[:-2]):
            try:
                out[k] = np.linalg.cholesky(xs[0][k])
            except np.linalg.LinAlgError:
                out[k] = np.nan
        return out

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """L phi(L^-1 dA L^-T)."""
        if ts[0] is None:
            return (None,)
        left = b.triangular_solve(outs[0], symmetric(b, ts[0]), lower=True, adjoint=False)
        both = b.triangular_solve(outs[0], flipped(b, left), lower=True, adjoint=False)
        return (times(b, outs[0], half_triangle(b, both)),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The symmetric part of L^-T phi(L^T gL) L^-1."""
        if cts[0] is None:
            return (None,)
        inner = half_triangle(b, times(b, outs[0], triangle(b, cts[0], True), flip_x=True))
        left = b.triangular_solve(outs[0], inner, lower=True, adjoint=True)
        both = b.triangular_solve(outs[0], flipped(b, left), lower=True, adjoint=True)
        return (symmetric(b, both),)


class LU(OpDef):
    """P A = L U by elimination with the largest pivot of each column.

    Results: L below the diagonal (its diagonal is 1) and U in one matrix; for each row the one that it was exchanged
    with, as i32; 1 or -1 for an even or odd number of exchanges. A column without a pivot leaves a zero in U.
    """

    name = lowering = "lu"
    summary = "L and U of P A = L U in one matrix, the exchanges of rows, and the sign that they give the determinant"
    differentiable = False

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] to the same, i32[..., n] and [...]."""
        count(self.name, types, 1)
        dtype = real_dtype(self.name, types)
        shape = square(self.name, types)
        return (types[0], TensorType(int32, shape[:-1]), TensorType(dtype, shape[:-2]))

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Column by column."""
        factors = np.array(xs[0], order="C")
        exchanges = np.empty(xs[0].shape[:-1], np.int32)
        sign = np.ones(xs[0].shape[:-2], xs[0].dtype)
        with Quiet():
            for k in np.ndindex(sign.shape):
                sign[k] = _eliminate(factors[k], exchanges[k])
        return factors, exchanges, sign


def _eliminate(a: Any, exchanges: Any) -> float:
    """Factors one matrix in place, writes the exchanges of rows, returns their sign."""
    sign = 1.0
    for k in range(len(a)):
        p = exchanges[k] = k + int(np.argmax(np.abs(a[k:, k])))
        if p != k:
            a[[k, p]] = a[[p, k]]
            sign = -sign
        if a[k, k] != 0:
            a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 :] -= a[k + 1 :, k, None] * a[k, k + 1 :]
    return sign


class Eigh(OpDef):
    """The eigenvalues of symmetric matrices in ascending order, and eigenvectors as columns: A V = V diag(w).

    Rules: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation" (2008), section 3.1, for the symmetric part: with E[i, j] = w[j] - w[i] and P = V^T dA V,
    dw = diag(P), dV = V (P / E); gA = V (diag(gw) + (V^T gV) / E) V^T. The vectors of equal eigenvalues have no
    derivative; what would divide by zero there counts as zero.
    """

    name = lowering = "eigh"
    summary = "the eigenvalues of symmetric matrices, ascending, and eigenvectors as columns"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] to [..., n] and [..., n, n]."""
        count(self.name, types, 1)
        dtype = real_dtype(self.name, types)
        shape = square(self.name, types)
        return (TensorType(dtype, shape[:-1]), types[0])

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.linalg.eigh; NaN for matrices that hold NaN or inf."""
        finite = np.isfinite(xs[0]).all((-2, -1), keepdims=True)
        try:
            w, v = np.linalg.eigh(np.where(finite, xs[0], 0))
        except np.linalg.LinAlgError as e:
            raise InvalidArgumentError(f"{self.name}: the eigenvalues did not converge") from e
        if not finite.all():
            w, v = np.where(finite[..., 0], w, np.nan), np.where(finite, v, np.nan)
        return np.asarray(w, xs[0].dtype), np.ascontiguousarray(v, xs[0].dtype)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """diag(P) and V (P / E)."""
        if ts[0] is None:
            return (None, None)
        w, v = outs
        p = times(b, times(b, v, symmetric(b, ts[0]), flip_x=True), v)
        i, j = grid(b, p)
        on = b.where(b.eq(i, j), p, b.const(0, b.dtype(p)))
        rank = len(b.shape(p))
        return (b.reduce_sum(on, axes=(rank - 1,), keepdims=False), times(b, v, _over_gaps(b, p, w)))

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """V (diag(gw) + (V^T gV) / E) V^T, symmetric."""
        if cts[0] is None and cts[1] is None:
            return (None,)
        w, v = outs
        from_vectors = from_values = None
        if cts[1] is not None:
            inner = _over_gaps(b, times(b, v, cts[1], flip_x=True), w)
            from_vectors = symmetric(b, times(b, times(b, v, inner), v, flip_y=True))
        if cts[0] is not None:
            row = b.reshape(cts[0], shape=(*b.shape(w)[:-1], 1, b.shape(w)[-1]))
            from_values = times(b, v * row, v, flip_y=True)
        return (total(from_values, from_vectors),)


def _over_gaps(b: Any, p: Any, w: Any) -> Any:
    """p[i, j] / (w[j] - w[i]), and 0 where the eigenvalues are equal."""
    *batch, n = b.shape(w)
    gap = b.reshape(w, shape=(*batch, 1, n)) - b.reshape(w, shape=(*batch, n, 1))
    equal = b.eq(gap, b.const(0, b.dtype(w)))
    return b.where(equal, b.const(0, b.dtype(w)), p / b.where(equal, b.const(1, b.dtype(w)), gap))


for _op in (Cholesky, LU, Eigh):
    register(_op())
