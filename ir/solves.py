"""Linear equations, inverses and determinants of matrices.

`solve`, `inv`, `det` and `slogdet` have rules of their own and are compiled through one `lu`, which equal matrices
share: the gradient of a solution uses the factors that the solution was found with. A singular matrix raises
`SingularMatrix` where its inverse would be needed; its determinant is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from .derive import total
from .dtypes import int32
from .errors import SingularMatrix
from .graph import Attrs, Block
from .infer import bad_type, count, equal_shapes
from .linalg_rules import flipped, grid, matrix_sum, per_matrix, real_dtype, square, system, times, triangle
from .opdef import Needs, OpDef, register
from .quiet import Quiet
from .types import TensorType

SINGULAR = "the matrix is singular, it has no inverse: use pb.linalg.lstsq, or add a small multiple of pb.eye(n) to it"


def _singular(op: str) -> NoReturn:
    raise SingularMatrix(f"{op}: {SINGULAR}")


class TriangularSolve(OpDef):
    """X with A X = B (or A^T X = B) for a triangular A; the other triangle is not read. A zero on the diagonal divides.

    Rules (Giles 2008, section 2.3.1): dX = A^-1 (dB - dA X); gB = A^-T gX, gA = -gB X^T in the triangle.
    """

    name = lowering = "triangular_solve"
    summary = "X with A X = B (adjoint: A^T X = B) for a lower or upper triangular A"
    attrs = ("lower", "adjoint")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] and [..., n, k] to [..., n, k]."""
        count(self.name, types, 2)
        real_dtype(self.name, types)
        return (system(self.name, types),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Substitution, in halves."""
        a, x = xs[0], np.array(xs[1], order="C")
        lower = bool(attrs["lower"])
        if attrs["adjoint"]:
            a, lower = np.swapaxes(a, -1, -2), not lower
        with Quiet():
            substitute(a, x, lower)
        return x

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """A^-1 (dB - dA X)."""
        if ts[0] is None and ts[1] is None:
            return (None,)
        right = ts[1]
        if ts[0] is not None:
            moved = -times(b, triangle(b, ts[0], attrs["lower"]), outs[0], flip_x=attrs["adjoint"])
            right = total(moved, right)
        return (b.triangular_solve(xs[0], right, **attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """gB = A^-T gX; gA = -gB X^T in the triangle (adjoint: -X gB^T)."""
        if cts[0] is None:
            return (None, None)
        gb = b.triangular_solve(xs[0], cts[0], lower=attrs["lower"], adjoint=not attrs["adjoint"])
        ga = triangle(b, _outer(b, gb, outs[0], attrs["adjoint"]), attrs["lower"]) if needs[0] else None
        return (ga, gb if needs[1] else None)


def _outer(b: Any, gb: Any, x: Any, adjoint: bool) -> Any:
    """-gB X^T, or its transpose."""
    return -times(b, x, gb, flip_y=True) if adjoint else -times(b, gb, x, flip_y=True)


def substitute(a: Any, x: Any, lower: bool, unit: bool = False) -> None:
    """Solves a triangular system in place of its right side `x`; `unit`: the diagonal counts as ones."""
    n = a.shape[-1]
    if n > 16:
        h = n // 2
        first, last = (slice(0, h), slice(h, n)) if lower else (slice(h, n), slice(0, h))
        substitute(a[..., first, first], x[..., first, :], lower, unit)
        x[..., last, :] -= np.matmul(a[..., last, first], x[..., first, :])
        substitute(a[..., last, last], x[..., last, :], lower, unit)
        return
    for i in range(n) if lower else range(n - 1, -1, -1):
        done = slice(0, i) if lower else slice(i + 1, n)
        x[..., i, :] -= np.matmul(a[..., i : i + 1, done], x[..., done, :])[..., 0, :]
        if not unit:
            x[..., i, :] /= a[..., i, i, None]


class Solve(OpDef):
    """X with A X = B, or A^T X = B.

    Rules (Giles 2008, section 2.3.1): dX = A^-1 (dB - dA X); gB = A^-T gX, gA = -gB X^T.
    """

    name = "solve"
    summary = "X with A X = B (adjoint: A^T X = B)"
    attrs = ("adjoint",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] and [..., n, k] to [..., n, k]."""
        count(self.name, types, 2)
        real_dtype(self.name, types)
        return (system(self.name, types),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.linalg.solve."""
        a = np.swapaxes(xs[0], -1, -2) if attrs["adjoint"] else xs[0]
        try:
            return np.linalg.solve(a, xs[1])
        except np.linalg.LinAlgError:
            _singular(self.name)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """A^-1 (dB - dA X)."""
        if ts[0] is None and ts[1] is None:
            return (None,)
        right = ts[1]
        if ts[0] is not None:
            right = total(-times(b, ts[0], outs[0], flip_x=attrs["adjoint"]), right)
        return (b.solve(xs[0], right, adjoint=attrs["adjoint"]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """gB = A^-T gX; gA = -gB X^T (adjoint: -X gB^T)."""
        if cts[0] is None:
            return (None, None)
        gb = b.solve(xs[0], cts[0], adjoint=not attrs["adjoint"])
        ga = _outer(b, gb, outs[0], attrs["adjoint"]) if needs[0] else None
        return (ga, gb if needs[1] else None)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """By the factors."""
        factors, exchanges, _ = b.lu(xs[0])
        return b.lu_solve(factors, exchanges, xs[1], adjoint=attrs["adjoint"])


class LUSolve(OpDef):
    """X with A X = B (or A^T X = B) from what `lu` made of A."""

    name = lowering = "lu_solve"
    summary = "X with A X = B (adjoint: A^T X = B), from the factors and the exchanges of rows that `lu` gives"
    attrs = ("adjoint",)
    differentiable = False

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n], i32[..., n] and [..., n, k] to [..., n, k]."""
        count(self.name, types, 3)
        if types[1].dtype is not int32:
            bad_type(self.name, types, "the exchanges of rows must be int32")
        real_dtype(self.name, [types[0], types[2]])
        why = "factors and exchanges do not belong together"
        equal_shapes(self.name, types, types[0].shape[:-1], types[1].shape, why)
        return (system(self.name, [types[0], types[2]]),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Rows exchanged, and two substitutions."""
        factors, exchanges, right = xs
        if not np.diagonal(factors, axis1=-2, axis2=-1).all():
            _singular("solve")
        x = np.array(right, order="C")
        with Quiet():
            if attrs["adjoint"]:
                upper = np.swapaxes(factors, -1, -2)
                substitute(upper, x, True)
                substitute(upper, x, False, unit=True)
                _exchange(x, exchanges, back=True)
            else:
                _exchange(x, exchanges, back=False)
                substitute(factors, x, True, unit=True)
                substitute(factors, x, False)
        return x


def _exchange(x: Any, exchanges: Any, back: bool) -> None:
    """Carries out the exchanges of rows in place, or takes them back."""
    n = exchanges.shape[-1]
    for batch in np.ndindex(exchanges.shape[:-1]):
        for k in range(n - 1, -1, -1) if back else range(n):
            p = exchanges[batch][k]
            if p != k:
                x[batch][[k, p]] = x[batch][[p, k]]


class Inv(OpDef):
    """The inverse of each matrix. Rules (Giles 2008, section 2.2.3): -Y dA Y, and gA = -Y^T gY Y^T."""

    name = "inv"
    summary = "the inverse of each matrix"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] to the same."""
        count(self.name, types, 1)
        real_dtype(self.name, types)
        square(self.name, types)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.linalg.inv."""
        try:
            return np.linalg.inv(xs[0])
        except np.linalg.LinAlgError:
            _singular(self.name)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """-Y dA Y."""
        return (None if ts[0] is None else -times(b, times(b, outs[0], ts[0]), outs[0]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """-Y^T gY Y^T."""
        if cts[0] is None:
            return (None,)
        return (-times(b, times(b, outs[0], cts[0], flip_x=True), outs[0], flip_y=True),)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The solution for the columns of the identity."""
        factors, exchanges, _ = b.lu(xs[0])
        i, j = grid(b, xs[0])
        one, zero = b.const(1, b.dtype(xs[0])), b.const(0, b.dtype(xs[0]))
        identity = b.broadcast_to(b.where(b.eq(i, j), one, zero), shape=tuple(b.shape(xs[0])))
        return b.lu_solve(factors, exchanges, identity, adjoint=False)


class _Determinant(OpDef):
    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] to [...], one for each result."""
        count(self.name, types, 1)
        dtype = real_dtype(self.name, types)
        return (TensorType(dtype, square(self.name, types)[:-2]),)


class Det(_Determinant):
    """The determinant. Rules (Giles 2008, section 2.2.4): y trace(A^-1 dA), and gA = g y A^-T."""

    name = "det"
    summary = "the determinant of each matrix"

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.linalg.det."""
        with Quiet():
            return np.asarray(np.linalg.det(xs[0]), xs[0].dtype)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """y trace(A^-1 dA)."""
        return (None if ts[0] is None else outs[0] * _trace_of_quotient(b, xs[0], ts[0]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """g y A^-T."""
        return (None if cts[0] is None else per_matrix(b, cts[0] * outs[0]) * flipped(b, b.inv(xs[0])),)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The product of U's diagonal, and the sign of the permutation."""
        pivots, sign = _pivots(b, xs[0])
        return sign * b.reduce_prod(pivots, axes=(len(b.shape(pivots)) - 1,), keepdims=False)


class SlogDet(_Determinant):
    """The sign of the determinant and the logarithm of its size. Rules: trace(A^-1 dA), and gA = g A^-T; no sign."""

    name = "slogdet"
    summary = "the sign of each matrix's determinant and the logarithm of its size"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., n, n] to [...] twice."""
        return super().infer(attrs, types, regions) * 2

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.linalg.slogdet."""
        with Quiet():
            sign, size = np.linalg.slogdet(xs[0])
        return np.asarray(sign, xs[0].dtype), np.asarray(size, xs[0].dtype)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """trace(A^-1 dA)."""
        return (None, None if ts[0] is None else _trace_of_quotient(b, xs[0], ts[0]))

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """g A^-T."""
        return (None if cts[1] is None else per_matrix(b, cts[1]) * flipped(b, b.inv(xs[0])),)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """From U's diagonal."""
        pivots, sign = _pivots(b, xs[0])
        axes = (len(b.shape(pivots)) - 1,)
        signs = b.reduce_prod(b.sign(pivots), axes=axes, keepdims=False)
        return sign * signs, b.reduce_sum(b.log(b.abs(pivots)), axes=axes, keepdims=False)


def _trace_of_quotient(b: Any, a: Any, t: Any) -> Any:
    """trace(A^-1 T)."""
    return matrix_sum(b, flipped(b, b.inv(a)) * t)


def _pivots(b: Any, a: Any) -> tuple[Any, Any]:
    """The diagonal of U and the sign of the permutation."""
    factors, _, sign = b.lu(a)
    i, j = grid(b, factors)
    one = b.const(1, b.dtype(factors))
    rank = len(b.shape(factors))
    return b.reduce_prod(b.where(b.eq(i, j), factors, one), axes=(rank - 1,), keepdims=False), sign


for _op in (TriangularSolve, Solve, LUSolve, Inv, Det, SlogDet):
    register(_op())
