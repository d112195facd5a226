"""`scatter_update`: writing at given indices, the counterpart of `gather` for assignments (`x[indices] = v`).

Of an index that occurs twice the last write counts, and so only the last one gets the cotangent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Attrs
from .index_ops import Scatter
from .opdef import Needs, register


class ScatterUpdate(Scatter):
    """`base` with `v` in place of the elements at `indices` along `axis`, in the order of the indices."""

    name = lowering = "scatter_update"
    summary = "the first operand with values written at given indices along an axis; the last write counts"

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Assignment to a copy; NumPy leaves open which of two writes to one place counts, so the last is found."""
        out, target, where, v = self.places(attrs, *xs)
        indices, batch = np.asarray(xs[1]), attrs["batch_dims"]
        picks = int(np.prod(indices.shape[batch:], dtype=np.int64))
        number = np.broadcast_to(np.arange(picks).reshape(indices.shape[batch:]), indices.shape)
        winner = np.full(target.shape[: batch + 1], -1)
        np.maximum.at(winner, where, number)
        last = winner[where] == number
        target[tuple(np.broadcast_to(w, indices.shape)[last] for w in where)] = v[last]
        return out

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangent of the values written into that of the base."""
        if ts[0] is None and ts[2] is None:
            return (None,)
        base, v = (b.zeros_like(x) if t is None else t for x, t in ((xs[0], ts[0]), (xs[2], ts[2])))
        return (b.scatter_update(base, xs[1], v, **attrs),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """To the base the cotangent with zeros at the indices, to each value that counts what stands at its index."""
        g = cts[0]
        if g is None or not b.dtype(xs[0]).is_differentiable:
            return (None, None, None)
        gv = None
        if needs[2]:
            gv = b.gather(g, xs[1], **attrs)
            if tuple(b.shape(xs[1])[attrs["batch_dims"] :]) not in ((), (1,)):
                gv = b.where(self._counts(b, attrs, xs), gv, b.zeros_like(gv))
        base = b.scatter_update(g, xs[1], b.zeros_like(xs[2]), **attrs) if needs[0] else None
        return (base, None, gv)

    def _counts(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """Which of the writes are the last ones to their places, of the shape of `v` or broadcast to it."""
        axis, batch = attrs["axis"], attrs["batch_dims"]
        shape, index_shape = tuple(b.shape(xs[0])), tuple(b.shape(xs[1]))
        dtype = b.dtype(xs[1])
        flat = {"axis": batch, "batch_dims": batch}
        picks: Any = 1
        for d in index_shape[batch:]:
            picks = picks * d
        number = b.iota(shape=(*(1,) * batch, picks), axis=batch, dtype=dtype)
        number = b.broadcast_to(number, shape=(*index_shape[:batch], picks))
        index = b.reshape(xs[1], shape=(*index_shape[:batch], picks))
        owner = b.full((*shape[:batch], shape[axis]), 0, dtype)
        owner = b.gather(b.scatter_update(owner, index, number, **flat), index, **flat)
        between, behind = axis - batch, len(shape) - axis - 1
        wide = (*index_shape[:batch], *(1,) * between, *index_shape[batch:], *(1,) * behind)
        return b.reshape(b.eq(owner, number), shape=wide)


register(ScatterUpdate())
