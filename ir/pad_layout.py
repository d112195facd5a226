"""Where the elements of a value with run-time sizes lie in the fixed-size value that `pad` puts in its place.

A dimension of run-time size is one of a fixed capacity, of which only some places are *active*. Its `Layout` says
which: a range that begins at a computed place (a slice keeps the places of the array it was cut from, so reading it
moves nothing), those where a bool vector is true (what a mask selects), or, for what is the same all along the
dimension, any: then the padded value has size 1 there. Active places hold the elements in order. What stands in the
others has no meaning: nothing that leaves the padded world may depend on it, in a result or in a derivative.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .builder import Expr, IRBuilder
from .dims import Dim, DimLike, maximum, minimum, substitute, symbols_of
from .dtypes import int64
from .graph import Block, Function, Loc, Op, Value
from .ragged_ops import to_front


class Unpaddable(Exception):
    """A function cannot be given fixed sizes. `loc`: the user's line."""

    def __init__(self, what: str, loc: Loc | None) -> None:
        super().__init__(f"{what} (at {loc})" if loc else what)
        self.loc = loc


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The active places of one dimension.

    Attributes:
      dim: the size in the unpadded program. count: its value. cap: the fixed size.
      low: the first active place of a range (None: 0). mask: the active places, where they are no range.
      uniform: whether all elements are equal, and the padded value has size 1 in this dimension.
      masks: the bool vector of active places, by the block in which it was written. checked: whether `count` has been
        through a run-time check, so that what uses the value must use this count.
    """

    dim: DimLike
    count: Value
    cap: DimLike
    low: Value | None = None
    mask: Value | None = None
    uniform: bool = False
    masks: dict[int, tuple[Block, Value]] = field(default_factory=dict)
    checked: bool = False

    def same(self, other: Layout) -> bool:
        """Whether elements of equal number lie at equal places."""
        if self is other:
            return True
        if self.uniform or other.uniform or self.cap != other.cap or self.mask is not other.mask:
            return False
        return self.mask is not None or self.low is other.low


Layouts = tuple[Layout | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Padded:
    """A fixed-size value and the layout of each of its dimensions, None for those of a size known before the run."""

    value: Value
    layouts: Layouts

    @property
    def ragged(self) -> bool:
        """Whether some dimension has a layout."""
        return any(lay is not None for lay in self.layouts)

    def having(self, axis: int, layout: Layout | None) -> Layouts:
        """The layouts with one replaced."""
        return (*self.layouts[:axis], layout, *self.layouts[axis + 1 :])


def plain(value: Value) -> Padded:
    """A value without run-time sizes."""
    return Padded(value, (None,) * value.type.rank)


class Places:
    """Writes the ops that have to do with layouts into the builder's block.

    `sizes`: the bound symbols, each with its value and the most it can be.
    """

    def __init__(self, fn: Function) -> None:
        self.b = IRBuilder(fn.body)
        self.sizes: dict[str, tuple[Value, DimLike]] = {}
        self.params: list[Value] = []

    # ------------------------------------------------------------ sizes
    def is_ragged(self, d: DimLike) -> bool:
        """Whether a size depends on a symbol that an op binds."""
        return not self.sizes.keys().isdisjoint(symbols_of(d))

    def const(self, n: int) -> Expr:
        """An i64 scalar."""
        c: Expr = self.b.const(n, int64)
        return c

    def whole(self, v: Value) -> Expr:
        """Integers as i64."""
        e = self.b.expr(v)
        return e if v.type.dtype is int64 else self.b.cast(e, dtype=int64)

    def size(self, d: DimLike) -> Expr:
        """The value of a size, as an i64 scalar."""
        if isinstance(d, int):
            return self.const(d)
        total: Expr | None = None
        for atoms, c in d.terms:
            term: Expr | None = None
            for a in atoms:
                x = self._atom(d, a)
                term = x if term is None else term * x
            term = self.const(c) if term is None else term if c == 1 else term * c
            total = term if total is None else total + term
        assert total is not None
        return total

    def _atom(self, d: Dim, name: str) -> Expr:
        f = d._atoms.get(name)
        if f is not None:
            op = {"max": "maximum", "min": "minimum"}.get(f[0], f[0])
            made: Expr = getattr(self.b, op)(self.size(f[1]), self.size(f[2]))
            return made
        if name in self.sizes:
            return self.b.expr(self.sizes[name][0])
        for p in self.params:
            for axis, e in enumerate(p.type.shape):
                if isinstance(e, Dim) and str(e) == name:
                    found: Expr = self.b.dim(p, axis=axis, dtype=int64)
                    return found
        raise Unpaddable(f"the size '{name}' is not known inside of the function", self.b.loc)

    def most(self, d: DimLike) -> DimLike:
        """A size, known before the run, that `d` never exceeds."""
        if not isinstance(d, Dim):
            return d
        total: DimLike = 0
        for atoms, c in d.terms:
            inside = any(self.is_ragged(_atom_dim(d, a)) for a in atoms)
            if inside and c < 0:
                continue
            term: DimLike = c
            for a in atoms:
                term = term * self._most_atom(d, a)
            total = total + term
        return max(total, 0) if isinstance(total, int) else total

    def _most_atom(self, d: Dim, name: str) -> DimLike:
        f = d._atoms.get(name)
        if f is None:
            return self.sizes[name][1] if name in self.sizes else substitute(_atom_dim(d, name), {})
        if not self.is_ragged(_atom_dim(d, name)):
            return _atom_dim(d, name)
        a, b = self.most(f[1]), self.most(f[2])
        if f[0] == "floordiv":
            return a // b if isinstance(f[2], int) and f[2] > 0 else a
        return maximum(a, b) if f[0] == "max" else minimum(a, b)

    def fresh(self, d: DimLike, low: Value | None = None, cap: DimLike | None = None) -> Layout:
        """A range of `d` places."""
        return Layout(d, self.size(d).value, self.most(d) if cap is None else cap, low)

    # ------------------------------------------------------------ masks
    def mask(self, lay: Layout) -> Expr:
        """The active places, bool[cap]."""
        if lay.mask is not None:
            return self.b.expr(lay.mask)
        known = lay.masks.get(id(self.b.block))
        if known is not None:
            return self.b.expr(known[1])
        p = self.b.iota(shape=(lay.cap,), axis=0, dtype=int64)
        count = self.b.expr(lay.count)
        if lay.low is None:
            m = p < count
        else:
            low = self.b.expr(lay.low)
            m = self.b.logical_and(p >= low, p < low + count)
        lay.masks[id(self.b.block)] = (self.b.block, m.value)
        return m  # type: ignore[no-any-return]

    def over(self, layouts: Layouts) -> Expr | None:
        """The active places of all dimensions that have one, shaped to broadcast to the value; None without any."""
        out: Expr | None = None
        for axis, lay in enumerate(layouts):
            if lay is None or lay.uniform:
                continue
            m = self.mask(lay)
            if len(layouts) > 1:
                m = self.b.reshape(m, shape=tuple(lay.cap if i == axis else 1 for i in range(len(layouts))))
            out = m if out is None else self.b.logical_and(out, m)
        return out

    def gate(self, value: Value, mask: Expr | None) -> Value:
        """The value; its cotangent is zero outside of the mask, whatever comes back there.

        Every value that comes among padded ones passes a gate. That, and that nothing leaves without a mask, keeps
        what stands in inactive places out of results and of derivatives.
        """
        if mask is None or not value.type.dtype.is_differentiable:
            return value
        if isinstance(value.owner, Op) and value.owner.kind.name == "constant":
            return value
        out: Value = self.b.where(mask, value, self.b.stop_gradient(value)).value
        return out

    def filled(self, p: Padded, axes: Any, number: float) -> Expr:
        """The padded value with a number in the inactive places of the axes."""
        m = self.over(tuple(lay if i in axes else None for i, lay in enumerate(p.layouts)))
        x = self.b.expr(p.value)
        return x if m is None else self.b.where(m, x, self.b.const(number, p.value.type.dtype))

    # ------------------------------------------------------------ moving
    def solid(self, p: Padded, ranges: bool = True) -> Padded:
        """Without uniform dimensions and, if `ranges`, without masks."""
        for axis, lay in enumerate(p.layouts):
            if lay is not None and lay.uniform:
                p = self.spread(p, axis, replace(lay, uniform=False, low=None, mask=None, masks={}))
            elif lay is not None and lay.mask is not None and ranges:
                p = self.packed(p, axis)
        return p

    def spread(self, p: Padded, axis: int, lay: Layout) -> Padded:
        """A uniform dimension repeated to a layout's places."""
        shape = p.value.type.shape
        alone: list[Layout | None] = [None] * len(shape)
        alone[axis] = lay
        gated = p.value.type.dtype.is_differentiable
        value = self.gate(p.value, self.over(tuple(alone))) if gated else p.value
        value = self.b.broadcast_to(value, shape=(*shape[:axis], lay.cap, *shape[axis + 1 :])).value
        return Padded(value, p.having(axis, lay))

    def packed(self, p: Padded, axis: int) -> Padded:
        """Masked places moved together to the front."""
        lay = p.layouts[axis]
        assert lay is not None
        assert lay.mask is not None
        y = to_front(self.b, self.b.expr(p.value), self.b.expr(lay.mask), axis, lay.cap)
        return Padded(y.value, p.having(axis, replace(lay, mask=None, low=None, masks={})))

    def moved(self, p: Padded, axis: int, to: Layout) -> Padded:
        """The elements of one dimension brought to the places of another layout (of as many elements)."""
        lay = p.layouts[axis]
        assert lay is not None
        if lay.same(to):
            return Padded(p.value, p.having(axis, to))
        if lay.uniform:
            return self.spread(p, axis, to)
        if lay.mask is not None:
            return self.moved(self.packed(p, axis), axis, to)
        assert to.mask is None
        shape = p.value.type.shape
        zero = tuple(0 for _ in shape)
        sizes = (*shape[:axis], to.cap, *shape[axis + 1 :])
        strides = (1,) * len(shape)
        if lay.low is to.low and isinstance(lay.cap, int) and isinstance(to.cap, int):
            if to.cap < lay.cap:
                y = self.b.slice(p.value, starts=zero, sizes=sizes, strides=strides)
            else:
                high = (*zero[:axis], to.cap - lay.cap, *zero[axis + 1 :])
                y = self.b.pad(p.value, low=zero, high=high)
            return Padded(y.value, p.having(axis, to))
        room = (*zero[:axis], to.cap, *zero[axis + 1 :])
        wide = self.b.pad(p.value, low=room, high=room)
        start = self.size(to.cap)
        if lay.low is not None:
            start = start + self.b.expr(lay.low)
        if to.low is not None:
            start = start - self.b.expr(to.low)
        starts = (*zero[:axis], None, *zero[axis + 1 :])
        y = self.b.slice(wide, start, starts=starts, sizes=sizes, strides=strides)
        return Padded(y.value, p.having(axis, to))

    def checked(self, good: Expr) -> Expr:
        """0 as an i64 scalar: an error at run time, with the line, when the bool scalar is false."""
        table = self.b.const(np.arange(2), int64)
        bad = self.b.where(good, self.const(0), self.const(1))
        zero: Expr = self.b.reshape(self.b.same_size(table, bad), shape=())
        return zero


def _atom_dim(d: Dim, name: str) -> Dim:
    return Dim({(name,): 1}, d._atoms)


__all__ = ["Layout", "Layouts", "Padded", "Places", "Unpaddable", "plain"]
