"""The padded forms of slices, writes, gathers and joins.

A slice with computed bounds takes the whole dimension and remembers which places count; a write of one reads the whole
slot, selects, and writes it back. Places move only where lengths are equal and offsets are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .builder import Expr
from .dims import DimLike
from .graph import Op, Value
from .pad_layout import Layout, Padded, Unpaddable
from .pad_rules import reversed_axis, rule
from .types import Shape

if TYPE_CHECKING:
    from .pad import Padder


class Slot:
    """The starts of a slice or write: those known before the run, and the operands that give the others."""

    def __init__(self, p: Padder, op: Op, dynamic: Sequence[Padded]) -> None:
        self.p, given = p, iter(dynamic)
        self.given = [next(given).value if s is None else s for s in op.attrs["starts"]]
        self.starts: list[DimLike | None] = []
        self.values: list[Any] = []

    def at(self, axis: int) -> Expr:
        """The start as an i64 scalar."""
        start = self.given[axis]
        return self.p.whole(start) if isinstance(start, Value) else self.p.size(start)

    def put(self, start: Any) -> None:
        """The start along the next dimension."""
        if not isinstance(start, (Value, Expr)):
            if not self.p.is_ragged(start):
                self.starts.append(start)
                return
            start = self.p.size(start)
        self.starts.append(None)
        self.values.append(start)

    def inside(self, axis: int, lay: Layout, size: DimLike, stride: int) -> None:
        """A start within the active places, of which `size` (known) are taken: checked at run time."""
        start, count = self.at(axis), self.p.b.expr(lay.count)
        last = start if size == 1 else start + self.p.size((size - 1) * stride)
        b, zero = self.p.b, self.p.const(0)
        good = b.logical_and(start >= zero, start < count)
        if size != 1:
            good = b.logical_and(good, b.logical_and(last >= zero, last < count))
        moved = start if lay.low is None else start + b.expr(lay.low)
        self.put(b.where(good, moved, self.p.const(-1)))


@rule("slice")
def _slice(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    x = p.solid(xs[0])
    sizes, strides = list(op.attrs["sizes"]), list(op.attrs["strides"])
    slot = Slot(p, op, xs[1:])
    layouts: list[Layout | None] = []
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        lay = x.layouts[axis]
        if p.is_ragged(size):
            x, lay = _span(p, x, axis, slot.at(axis), size, stride)
            slot.put(0)
            sizes[axis], strides[axis] = lay.cap, 1
        elif lay is not None and size != 0:
            slot.inside(axis, lay, size, stride)
            lay = None
        else:
            slot.put(0 if lay is not None else slot.given[axis])
            lay = None
        layouts.append(lay)
    value = x.value
    if tuple(sizes) != value.type.shape or any(s != 0 for s in slot.starts) or any(s != 1 for s in strides):
        value = p.b.slice(value, *slot.values, starts=tuple(slot.starts), sizes=tuple(sizes),
                          strides=tuple(strides)).value  # fmt: skip
    return [Padded(p.gate(value, p.over(tuple(layouts))), tuple(layouts))]


def _span(p: Padder, x: Padded, axis: int, start: Expr, size: DimLike, stride: int) -> tuple[Padded, Layout]:
    """The places that a slice of run-time size takes of one dimension."""
    lay = x.layouts[axis]
    n = x.value.type.shape[axis]
    low = start if lay is None or lay.low is None else start + p.b.expr(lay.low)
    count = p.size(size).value
    if stride == 1:
        new = Layout(size, count, n, _or_none(low))
        return Padded(x.value, x.having(axis, new)), new
    if stride == -1:
        y = p.b.reverse(x.value, axes=(axis,)).value
        new = Layout(size, count, n, (p.size(n) - 1 - low).value)
        return Padded(y, x.having(axis, new)), new
    new = p.fresh(size)
    places = p.b.iota(shape=(new.cap,), axis=0, dtype=low.type.dtype) * stride + low
    places = p.b.minimum(p.b.maximum(places, p.const(0)), p.size(n) - 1)
    y = p.b.gather(x.value, places, axis=axis, batch_dims=0).value
    return Padded(p.gate(y, p.over(_alone(x, axis, new))), x.having(axis, new)), new


def _or_none(low: Expr) -> Any:
    owner = low.value.owner
    if isinstance(owner, Op) and owner.kind.name == "constant" and owner.attrs["value"] == 0:
        return None
    return low.value


def _alone(x: Padded, axis: int, lay: Layout) -> tuple[Layout | None, ...]:
    return tuple(lay if k == axis else None for k in range(len(x.layouts)))


@rule("update", "add_at")
def _write(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    base, v = p.solid(xs[0]), xs[1]
    slot = Slot(p, op, xs[2:])
    strides = list(op.attrs["strides"])
    layouts: list[Layout | None] = []
    for axis, size in enumerate(op.operands[1].type.shape):
        lay = base.layouts[axis]
        new: Layout | None = None
        if p.is_ragged(size):
            v, new = _placed(p, base, v, axis, slot.at(axis), strides[axis])
            slot.put(0)
            strides[axis] = 1
        elif lay is not None and size != 0:
            slot.inside(axis, lay, size, strides[axis])
        else:
            slot.put(0 if lay is not None else slot.given[axis])
        layouts.append(new)
    attrs = {"starts": tuple(slot.starts), "strides": tuple(strides)}
    value = p.b.expr(v.value)
    mask = p.over(tuple(layouts))
    if mask is not None:
        sizes = tuple(d if lay is None else lay.cap for d, lay in zip(v.value.type.shape, layouts, strict=True))
        if op.kind.name == "add_at":
            real = base.value.type.dtype.is_floating
            value = p.b.where(mask, value, p.b.const(-0.0 if real else 0, base.value.type.dtype))
        else:
            value = p.b.where(mask, value, p.b.slice(base.value, *slot.values, sizes=sizes, **attrs))
    return [Padded(p.b.apply(op.kind, [base.value, value, *slot.values], attrs).value, base.layouts)]


def _placed(p: Padder, base: Padded, v: Padded, axis: int, start: Expr, stride: int) -> tuple[Padded, Layout]:
    """The part of `v` along one dimension at the places of the base where it goes."""
    lay, n = v.layouts[axis], base.value.type.shape[axis]
    assert lay is not None
    under = base.layouts[axis]
    low = start if under is None or under.low is None else start + p.b.expr(under.low)
    count = p.b.expr(lay.count)
    if abs(stride) == 1 or lay.uniform:
        if stride == -1:
            low = low - count + 1
            v = v if lay.uniform else reversed_axis(p, p.solid(v), axis)
        if abs(stride) == 1:
            to = Layout(lay.dim, lay.count, n, _or_none(low))
            return (v if lay.uniform else p.moved(v, axis, to)), to
    far = p.b.iota(shape=(n,), axis=0, dtype=low.type.dtype) - low
    number = p.b.floordiv(far, p.const(stride))
    hit = p.b.eq(number * stride, far)
    hit = p.b.logical_and(hit, p.b.logical_and(number >= p.const(0), number < count))
    to = Layout(lay.dim, lay.count, n, None, hit.value)
    if lay.uniform:
        return v, to
    v = p.solid(v)
    lay = v.layouts[axis]
    assert lay is not None
    first = p.const(0) if lay.low is None else p.b.expr(lay.low)
    places = p.b.where(hit, number + first, p.const(0))
    y = p.b.gather(v.value, places, axis=axis, batch_dims=0).value
    return Padded(p.gate(y, p.over(_alone(v, axis, to))), v.having(axis, to)), to


# ---------------------------------------------------------------- gathers
@rule("gather")
def _gather(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    axis, batch = op.attrs["axis"], op.attrs["batch_dims"]
    x, i = p.solid(xs[0]), p.solid(xs[1])
    _no_batch(op, batch)
    places, layouts = _places(p, x, i, axis)
    value = p.b.gather(x.value, places, axis=axis, batch_dims=0).value
    around = (*x.layouts[:axis], *layouts, *x.layouts[axis + 1 :])
    return [Padded(p.gate(value, p.over(around)), around)]


@rule("scatter_add")
def _scatter_add(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    axis = op.attrs["axis"]
    base, i, v = p.solid(xs[0]), p.solid(xs[1]), p.solid(xs[2])
    _no_batch(op, op.attrs["batch_dims"])
    places, layouts = _places(p, base, i, axis)
    for k, lay in enumerate((*base.layouts[:axis], *layouts, *base.layouts[axis + 1 :])):
        if lay is not None:
            v = p.moved(v, k, lay)
    full = p.filled(v, range(len(v.layouts)), 0)
    value = p.b.scatter_add(base.value, places, full, axis=axis, batch_dims=0).value
    return [Padded(value, base.layouts)]


@rule("scatter_update")
def _scatter_update(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    axis = op.attrs["axis"]
    base, i, v = p.solid(xs[0]), p.solid(xs[1]), p.solid(xs[2])
    _no_batch(op, op.attrs["batch_dims"])
    n, shape = base.value.type.shape[axis], base.value.type.shape
    for k, lay in enumerate((*base.layouts[:axis], *i.layouts, *base.layouts[axis + 1 :])):
        if lay is not None:
            v = p.moved(v, k, lay)
    if not i.ragged:
        places, _ = _places(p, base, i, axis)
        return [Padded(p.b.scatter_update(base.value, places, v.value, axis=axis, batch_dims=0).value, base.layouts)]
    # What does not count goes to one more place behind the others; an index of that place is out of range.
    beyond = p.size(n)
    places, _ = _places(p, base, i, axis, beyond)
    none = (0,) * len(shape)
    wide = p.b.pad(base.value, low=none, high=tuple(int(k == axis) for k in range(len(shape))))
    y = p.b.scatter_update(wide, places, v.value, axis=axis, batch_dims=0)
    y = p.b.slice(y, starts=none, sizes=shape, strides=(1,) * len(shape))
    return [Padded(y.value, base.layouts)]


def _no_batch(op: Op, batch: int) -> None:
    if batch:
        raise Unpaddable(f"{op.kind.name} with batch_dims and a size that is known only at run time", op.loc)


def _places(p: Padder, x: Padded, i: Padded, axis: int, idle: Any = None) -> tuple[Any, tuple[Layout | None, ...]]:
    """Indices into the padded value: those outside of the active places are refused, those that do not count `idle`."""
    lay = x.layouts[axis]
    places = p.whole(i.value) if lay is not None or idle is not None else p.b.expr(i.value)
    if lay is not None:
        good = p.b.logical_and(places >= p.const(0), places < p.b.expr(lay.count))
        moved = places if lay.low is None else places + p.b.expr(lay.low)
        places = p.b.where(good, moved, p.const(-1))
    mask = p.over(i.layouts)
    if mask is None:
        return places, i.layouts
    if idle is not None:
        places = p.b.where(p.b.eq(places, idle), p.const(-1), places)
    return p.b.where(mask, places, p.b.const(0, places.type.dtype) if idle is None else idle), i.layouts


# ---------------------------------------------------------------- joins
@rule("concat")
def _concat(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    axis = op.attrs["axis"]
    solid = [p.solid(x) for x in xs]
    rank = len(solid[0].layouts)
    target: list[Layout | None] = list(solid[0].layouts)
    shape: Shape = op.results[0].type.shape
    target[axis] = p.fresh(shape[axis]) if p.is_ragged(shape[axis]) else None
    sizes = tuple(shape[k] if lay is None else lay.cap for k, lay in enumerate(target))
    out = p.b.full(sizes, 0, solid[0].value.type.dtype)
    at: DimLike = 0
    for v, old in zip(solid, op.operands, strict=True):
        for k in range(rank):
            lay = target[k]
            if k != axis and lay is not None:
                v = p.moved(v, k, lay)
        out = _put(p, out, v, axis, at)
        at = at + old.type.shape[axis]
    return [Padded(out.value, tuple(target))]


def _put(p: Padder, out: Any, v: Padded, axis: int, at: DimLike) -> Any:
    """A part of a join written from `at` on."""
    lay = v.layouts[axis]
    zeros: list[Any] = [0] * len(v.layouts)
    ones = (1,) * len(zeros)
    base = Padded(out.value, (None,) * len(zeros))
    if lay is None:
        where = p.size(at) if p.is_ragged(at) else None
        zeros[axis] = None if where is not None else at
        return p.b.update(out, v.value, *([where] if where is not None else []), starts=tuple(zeros), strides=ones)
    v, to = _placed(p, base, v, axis, p.size(at), 1)
    mask = p.over(_alone(v, axis, replace(to)))
    value = p.b.where(mask, v.value, out)
    return p.b.update(out, value, starts=tuple(zeros), strides=ones)
