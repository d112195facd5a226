"""Matrix products. `tensordot` and the rest of linear algebra are written with these by the public API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import total, unbroadcast
from .dims import product
from .graph import Attrs, Block
from .infer import bad_shape, broadcast, count, kind, same_dtype, same_size, unknown
from .opdef import Needs, OpDef, register
from .quiet import Quiet
from .types import TensorType


class MatMul(OpDef):
    """The product of matrices in the last two dimensions; the others broadcast.

    `transpose_a` and `transpose_b` say that an operand is stored transposed.
    """

    name = lowering = "matmul"
    summary = "matrix product over the last two dimensions, batched over the others"
    attrs = ("transpose_a", "transpose_b")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """[..., m, k] by [..., k, n] gives [..., m, n]."""
        count(self.name, types, 2)
        kind(self.name, types, "number")
        dtype = same_dtype(self.name, types)
        if types[0].rank < 2 or types[1].rank < 2:
            bad_shape(self.name, types, "both operands must have rank 2 or more: use pb.tensordot, or add a dimension")
        m, k = _matrix(types[0], attrs["transpose_a"])
        k2, n = _matrix(types[1], attrs["transpose_b"])
        same = same_size(k, k2)
        if same is False:
            flags = ", ".join(f"{f}=True" for f in self.attrs if attrs[f])
            bad_shape(self.name, types, f"the inner sizes {k} and {k2} differ" + (f" (with {flags})" if flags else ""))
        if same is None:
            unknown(self.name, types, [k, k2])
        batch = broadcast(self.name, types, [t.shape[:-2] for t in types])
        return (TensorType(dtype, (*batch, m, n)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """np.matmul."""
        a = np.swapaxes(xs[0], -1, -2) if attrs["transpose_a"] else xs[0]
        b = np.swapaxes(xs[1], -1, -2) if attrs["transpose_b"] else xs[1]
        with Quiet():
            return np.asarray(np.matmul(a, b)).astype(xs[0].dtype, copy=False)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """dA B + A dB."""
        if not b.dtype(xs[0]).is_differentiable:
            return (None,)
        left = None if ts[0] is None else b.matmul(ts[0], xs[1], **attrs)
        right = None if ts[1] is None else b.matmul(xs[0], ts[1], **attrs)
        return (total(left, right),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """gA = g B^T and gB = A^T g, with the transposes that the operands are stored in."""
        (x, y), g = xs, cts[0]
        if g is None or not b.dtype(x).is_differentiable:
            return (None, None)
        ta, tb = attrs["transpose_a"], attrs["transpose_b"]
        gx = gy = None
        if needs[0]:
            gx = _product(b, y, g, tb, True) if ta else _product(b, g, y, False, not tb)
            gx = unbroadcast(b, gx, b.shape(x))
        if needs[1]:
            if not ta and len(b.shape(y)) == 2 and len(b.shape(x)) > 2:
                x, g = _flat(b, x), _flat(b, g)  # one large product instead of a batch of them that is then summed
            gy = _product(b, g, x, True, ta) if tb else _product(b, x, g, not ta, False)
            gy = unbroadcast(b, gy, b.shape(y))
        return (gx, gy)


def _product(b: Any, x: Any, y: Any, transpose_x: bool, transpose_y: bool) -> Any:
    return b.matmul(x, y, transpose_a=transpose_x, transpose_b=transpose_y)


def _flat(b: Any, x: Any) -> Any:
    """The batch dimensions merged into the rows."""
    shape = tuple(b.shape(x))
    return b.reshape(x, shape=(product(shape[:-1]), shape[-1]))


def _matrix(t: TensorType, transposed: bool) -> Any:
    rows, columns = t.shape[-2:]
    return (columns, rows) if transposed else (rows, columns)


register(MatMul())
