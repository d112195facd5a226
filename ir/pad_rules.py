"""The padded forms of ops that compute: elementwise ops, reductions, products, running sums, changes of shape.

A rule takes the `Padder`, the op as it was and its operands as they are now, and gives the results with their layouts.
Rules for slices, writes and gathers are in `pad_index.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .dims import DimLike, product
from .dtypes import DType
from .elementwise import IntegerArithmetic
from .errors import ShapeMismatch
from .graph import Op
from .pad_layout import Layout, Layouts, Padded, Unpaddable, plain

if TYPE_CHECKING:
    from .pad import Padder

Rule = Callable[["Padder", Op, list[Padded]], list[Padded]]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers a rule for ops of the names."""

    def add(fn: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, fn))
        return fn

    return add


# ---------------------------------------------------------------- elementwise
def elementwise(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    """The op on operands whose elements lie at the same places."""
    ready, layouts = aligned(p, op.results[0].type.shape, xs)
    operands = [x.value for x in ready]
    mask = p.over(layouts) if isinstance(op.kind, IntegerArithmetic) else None
    if mask is not None and operands[1].type.dtype.is_integer:  # no error where nothing is
        operands[1] = p.b.where(mask, operands[1], p.b.const(1, operands[1].type.dtype)).value
    value = p.b.emit(op.kind, operands, dict(op.attrs))[0]
    return [Padded(value, layouts)]


def aligned(p: Padder, shape: Sequence[DimLike], xs: list[Padded]) -> tuple[list[Padded], Layouts]:
    """Operands that broadcast to a shape, brought to common places, and those."""
    rank = len(shape)
    layouts: list[Layout | None] = [None] * rank
    for axis in range(rank):
        if not p.is_ragged(shape[axis]):
            continue
        found = [(i, k) for i, x in enumerate(xs) if (k := axis - rank + len(x.layouts)) >= 0 and x.layouts[k]]
        target = _target(p, [lay for i, k in found if (lay := xs[i].layouts[k]) is not None])
        for i, k in found:
            lay = xs[i].layouts[k]
            if lay is not None and not lay.uniform:
                xs = [*xs[:i], p.moved(xs[i], k, target), *xs[i + 1 :]]
        layouts[axis] = target
    return [_gated(p, x, tuple(layouts)) for x in xs], tuple(layouts)


def _target(p: Padder, lays: list[Layout]) -> Layout:
    """The layout for values of these."""
    solid = [lay for lay in lays if not lay.uniform]
    if not solid:
        return lays[0]
    if all(lay.same(solid[0]) for lay in solid):
        return _checked(p, solid[0], solid)
    caps = [lay.cap for lay in solid]
    least = min(caps) if all(isinstance(c, int) for c in caps) else caps[0]  # type: ignore[type-var]
    ranges = [lay for lay in solid if lay.mask is None and lay.cap == least]
    chosen = ranges[0] if ranges else replace(solid[0], low=None, mask=None, masks={}, cap=least, checked=False)
    return _checked(p, chosen, solid)


def _checked(p: Padder, lay: Layout, others: list[Layout]) -> Layout:
    """The layout with a count that all run-time checks of the sizes go into."""
    checks = [c.count for c in dict.fromkeys(others) if c.checked and c.count is not lay.count]
    if not checks:
        return lay
    count = p.b.expr(lay.count if lay.checked else checks.pop())
    for c in checks:
        count = count + (p.b.expr(c) - p.size(lay.dim))
    return replace(lay, count=count.value, masks={}, checked=True)


def _gated(p: Padder, x: Padded, layouts: Layouts) -> Padded:
    """An operand that is repeated along dimensions of run-time size: its cotangent counts active places only."""
    own = (*(None,) * (len(layouts) - len(x.layouts)), *x.layouts)
    repeated = tuple(lay if mine is None or mine.uniform else None for lay, mine in zip(layouts, own, strict=True))
    value = p.gate(x.value, p.over(repeated))
    return x if value is x.value else Padded(value, layouts)


@rule("stop_gradient", "identity")
def _same(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    return [Padded(p.b.emit(op.kind, [xs[0].value])[0], xs[0].layouts)]


# ---------------------------------------------------------------- reductions
def _neutral(name: str, dtype: DType) -> Any:
    if name in ("reduce_max", "argmax", "reduce_min", "argmin"):
        largest = name.endswith("max")
        if dtype.is_bool:
            return not largest
        if dtype.is_floating:
            return -np.inf if largest else np.inf
        return dtype.min if largest else dtype.max
    return {"reduce_sum": 0, "cumsum": 0, "reduce_any": False}.get(name, 1)


@rule("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_any", "reduce_all")
def _reduce(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    axes = tuple(op.attrs["axes"])
    x = p.solid(xs[0], ranges=False)
    full = p.filled(x, axes, _neutral(op.kind.name, x.value.type.dtype))
    value = p.b.emit(op.kind, [full.value], dict(op.attrs))[0]
    if op.attrs["keepdims"]:
        return [Padded(value, tuple(None if k in axes else lay for k, lay in enumerate(x.layouts)))]
    return [Padded(value, tuple(lay for k, lay in enumerate(x.layouts) if k not in axes))]


@rule("argmax", "argmin")
def _arg(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    axis = op.attrs["axis"]
    x = p.solid(xs[0])
    lay = x.layouts[axis]
    full = p.filled(x, (axis,), _neutral(op.kind.name, x.value.type.dtype))
    value = p.b.apply(op.kind, [full], dict(op.attrs))
    if lay is not None:
        low = p.const(0) if lay.low is None else p.b.expr(lay.low)
        low = low + p.checked(p.b.expr(lay.count) > p.const(0))  # nothing has no largest element
        low = p.b.cast(low, dtype=op.attrs["dtype"])
        # Where all active elements equal the neutral one, an inactive place may have come first.
        value = p.b.maximum(value - low, p.b.const(0, op.attrs["dtype"]))
    return [Padded(value.value, (*x.layouts[:axis], *x.layouts[axis + 1 :]))]


@rule("cumsum", "cumprod")
def _running(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    axis = op.attrs["axis"]
    x = p.solid(xs[0], ranges=False)
    full = p.filled(x, (axis,), _neutral(op.kind.name, x.value.type.dtype))
    value = p.b.emit(op.kind, [full.value], dict(op.attrs))[0]
    return [Padded(p.gate(value, p.over(x.layouts)), x.layouts)]


@rule("sum_to")
def _sum_to(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    have, want = op.operands[0].type.shape, tuple(op.attrs["shape"])
    lead = len(have) - len(want)
    axes = tuple(k for k, d in enumerate(have) if k < lead or (want[k - lead] == 1 and d != 1))
    x = p.solid(xs[0], ranges=False)
    y = p.b.reduce_sum(p.filled(x, axes, 0), axes=axes, keepdims=True)
    kept = tuple(None if k in axes else lay for k, lay in enumerate(x.layouts))
    flat = Padded(p.b.reshape(y, shape=tuple(y.type.shape[lead:])).value, kept[lead:])
    # Sizes that differ and are not 1: a `fit` in the program says that they are equal.
    return [_refitted(p, flat, tuple(1 if k in axes else have[k] for k in range(lead, len(have))), want)]


# ---------------------------------------------------------------- products
@rule("matmul")
def _matmul(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    a, b = (p.solid(x) for x in xs)
    flip_a, flip_b = op.attrs["transpose_a"], op.attrs["transpose_b"]
    if any(lay is not None for x in (a, b) for lay in x.layouts[:-2]):
        raise Unpaddable("a batch of matrix products whose number is known only at run time", op.loc)
    k_a, k_b = -2 if flip_a else -1, -1 if flip_b else -2
    left, right = a.layouts[k_a], b.layouts[k_b]
    if left is not None and right is not None:
        target = _target(p, [left, right])
        a = p.moved(a, len(a.layouts) + k_a, target)
        b = p.moved(b, len(b.layouts) + k_b, target)
    rows, columns = a.value.type.shape[-3 - k_a], b.value.type.shape[-3 - k_b]
    flat = len(a.layouts) == len(b.layouts) == 2
    if flat and (rows == 1 or columns == 1):
        return [_by_rows(p, a, b, flip_a, flip_b)]
    every = range(-2, 0)
    fa = p.filled(a, [len(a.layouts) + k for k in every], 0)
    fb = p.filled(b, [len(b.layouts) + k for k in every], 0)
    value = p.b.matmul(fa, fb, **op.attrs).value
    batch = (None,) * (len(op.results[0].type.shape) - 2)
    layouts = (*batch, a.layouts[-3 - k_a], b.layouts[-3 - k_b])
    return [Padded(p.gate(value, p.over(layouts)), layouts)]


def _by_rows(p: Padder, a: Padded, b: Padded, flip_a: bool, flip_b: bool) -> Padded:
    """A product with a row or column: sums of elementwise products, which need no masked copies of the matrix."""
    if flip_a:
        a = _transposed(p, a, (1, 0))
    if not flip_b:
        b = _transposed(p, b, (1, 0))
    inner = a.layouts[1]
    one_row = a.value.type.shape[0] == 1
    other = b.layouts[0] if one_row else a.layouts[0]
    x, y = _gated(p, a, (other, inner)), _gated(p, b, (other, inner))
    prod = Padded((p.b.expr(x.value) * p.b.expr(y.value)).value, (other, inner))
    sums = p.b.reduce_sum(p.filled(prod, (1,), 0), axes=(1,), keepdims=True)
    if one_row:
        sums = p.b.reshape(sums, shape=(1, sums.type.shape[0]))
        return Padded(sums.value, (None, other))
    return Padded(sums.value, (other, None))


# ---------------------------------------------------------------- shapes
def _transposed(p: Padder, x: Padded, perm: Sequence[int]) -> Padded:
    value = p.b.transpose(x.value, perm=tuple(perm)).value
    return Padded(value, tuple(x.layouts[i] for i in perm))


@rule("transpose")
def _transpose(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    return [_transposed(p, xs[0], op.attrs["perm"])]


@rule("reverse")
def _reverse(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    x = p.solid(xs[0])
    for axis in op.attrs["axes"]:
        x = reversed_axis(p, x, axis)
    return [x]


def reversed_axis(p: Padder, x: Padded, axis: int) -> Padded:
    """The opposite order along one dimension."""
    lay = x.layouts[axis]
    value = p.b.reverse(x.value, axes=(axis,)).value
    if lay is None:
        return Padded(value, x.layouts)
    low = p.size(lay.cap) - p.b.expr(lay.count)
    low = low if lay.low is None else low - p.b.expr(lay.low)
    return Padded(value, x.having(axis, replace(lay, low=low.value, masks={})))


@rule("reshape")
def _reshape(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    x, want = xs[0], tuple(op.attrs["shape"])
    layouts = _reshaped(p, op.operands[0].type.shape, want, x.layouts)
    if layouts is None:
        have = op.operands[0].type
        raise Unpaddable(f"{have} cannot take the shape [{', '.join(map(str, want))}]: dimensions whose size is known "
                         "only at run time must stay as they are", op.loc)  # fmt: skip
    shape = tuple(
        d if lay is None else 1 if lay.uniform else lay.cap for d, lay in zip(want, layouts, strict=True)
    )
    return [Padded(p.b.reshape(x.value, shape=shape).value, layouts)]


def _reshaped(p: Padder, have: Sequence[DimLike], want: Sequence[DimLike], lays: Layouts) -> Layouts | None:
    """The layouts after a change of shape; None where a dimension of run-time size is cut or joined."""
    old = [k for k, d in enumerate(have) if p.is_ragged(d)]
    new = [k for k, d in enumerate(want) if p.is_ragged(d)]
    if [have[k] for k in old] != [want[k] for k in new]:
        return None
    out: list[Layout | None] = [None] * len(want)
    i = j = 0
    for a, b in zip([*old, len(have)], [*new, len(want)], strict=True):
        if product(tuple(have[i:a])) != product(tuple(want[j:b])):
            return None
        if b < len(want):
            out[b] = lays[a]
        i, j = a + 1, b + 1
    return tuple(out)


@rule("broadcast_to")
def _broadcast_to(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    x, want = xs[0], tuple(op.attrs["shape"])
    have = op.operands[0].type.shape
    lead = len(want) - len(have)
    layouts: list[Layout | None] = []
    shape: list[DimLike] = []
    for k, d in enumerate(want):
        lay = x.layouts[k - lead] if k >= lead else None
        if lay is None and p.is_ragged(d):
            lay = replace(p.fresh(d), uniform=True)
        layouts.append(lay)
        shape.append(d if lay is None else 1 if lay.uniform else lay.cap)
    value = p.b.broadcast_to(x.value, shape=tuple(shape)).value
    return [Padded(value, tuple(layouts))]


@rule("fit")
def _fit(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    return [_refitted(p, p.solid(xs[0], ranges=False), op.operands[0].type.shape, op.attrs["shape"])]


def _refitted(p: Padder, x: Padded, have: Sequence[DimLike], want: Sequence[DimLike]) -> Padded:
    """The value with other sizes, which are checked to be equal to its own."""
    for axis, (old, new) in enumerate(zip(have, want, strict=True)):
        if old == new:
            continue
        lay = x.layouts[axis]
        n = p.size(new)
        zero = p.checked(p.b.eq(p.size(old) if lay is None else p.b.expr(lay.count), n))
        if not p.is_ragged(new):
            x = _cut(p, x, axis, new, zero)
        elif lay is None:
            x = Padded(x.value, x.having(axis, Layout(new, (n + zero).value, old, checked=True)))
        else:
            x = Padded(x.value, x.having(axis, replace(lay, dim=new, count=(n + zero).value, masks={}, checked=True)))
    return x


def _cut(p: Padder, x: Padded, axis: int, d: DimLike, zero: Any) -> Padded:
    """A dimension that has a fixed size after all."""
    lay = x.layouts[axis]
    if lay is not None and lay.mask is not None:
        x = p.packed(x, axis)
        lay = x.layouts[axis]
    assert lay is not None
    if isinstance(d, int) and isinstance(lay.cap, int) and d > lay.cap:
        raise ShapeMismatch(f"a size that is at most {lay.cap} would have to be {d}")
    start = zero if lay.low is None else p.b.expr(lay.low) + zero
    shape = x.value.type.shape
    starts = tuple(None if k == axis else 0 for k in range(len(shape)))
    sizes = (*shape[:axis], d, *shape[axis + 1 :])
    y = p.b.slice(x.value, start, starts=starts, sizes=sizes, strides=(1,) * len(shape))
    return Padded(y.value, x.having(axis, None))


# ---------------------------------------------------------------- sizes
@rule("dim")
def _dim(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    n = p.size(op.operands[0].type.shape[op.attrs["axis"]])
    return [plain(p.b.cast(n, dtype=op.attrs["dtype"]).value)]


@rule("size_value")
def _size_value(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    return [plain(p.b.cast(p.size(op.attrs["size"]), dtype=op.attrs["dtype"]).value)]


@rule("shape_of")
def _shape_of(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    sizes = [p.b.reshape(p.size(d), shape=(1,)) for d in op.operands[0].type.shape]
    return [plain(p.b.cast(p.b.concat(*sizes, axis=0), dtype=op.attrs["dtype"]).value)]


@rule("iota")
def _iota(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    shape, axis = tuple(op.attrs["shape"]), op.attrs["axis"]
    layouts = tuple(p.fresh(d) if p.is_ragged(d) else None for d in shape)
    sizes = tuple(d if lay is None else lay.cap for d, lay in zip(shape, layouts, strict=True))
    return [Padded(p.b.iota(shape=sizes, axis=axis, dtype=op.attrs["dtype"]).value, layouts)]


@rule("compress")
def _compress(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    x, m = p.solid(xs[0]), p.solid(xs[1])
    axis, size = op.attrs["axis"], op.attrs["size"]
    old = x.layouts[axis]
    mask = p.b.expr(m.value)
    if old is not None:
        target = m.layouts[0]
        assert target is not None
        x = p.moved(x, axis, target)
        mask = p.b.logical_and(mask, p.mask(target))
    lay = Layout(size, p.size(size).value, x.value.type.shape[axis], None, mask.value)
    layouts = x.having(axis, lay)
    only = tuple(lay if k == axis else None for k in range(len(layouts)))
    return [Padded(p.gate(x.value, p.over(only)), layouts)]


@rule("uncompress")
def _uncompress(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    x, m = xs[0], xs[1]
    axis = op.attrs["axis"]
    lay = x.layouts[axis]
    if lay is None or lay.mask is not m.value or m.ragged:
        raise Unpaddable("elements that a mask did not select are spread out by it", op.loc)
    return [Padded(p.filled(x, (axis,), 0).value, x.having(axis, None))]


__all__ = ["RULES", "Rule", "aligned", "elementwise", "reversed_axis", "rule"]
