"""Cotangents behind `where`, `maximum` and `minimum`: what was not chosen contributes nothing, not even 0 * inf.

Where `y = where(c, a / b, 0)`, b is 0 in the places that c leaves out, and a cotangent 0 on its way through the
division would become 0 / 0. So the zeros are not written where the choice is made: the cotangent goes on with the
choice beside it, as a pair (g, m) that stands for `where(m, g, 0)`, through the elementwise ops before it, and becomes
an array, and its NaNs zeros, only where it ends: at a sum, a parameter, or an op that mixes elements.
The rules are exact to any order, as `where` is: a cotangent that happens to be 0 is not one that was not chosen.
Both sweeps use this, the one over the IR and the one over a tape's records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .derive import fit, zero
from .dtypes import bool_
from .elementwise import ZERO, Cast, Elementwise
from .infer import same_size
from .opdef import Into, Needs
from .types import Shape

Pair = tuple[Any, Any]  # a cotangent or None, and where it holds: bools that broadcast to it, or None for everywhere

# Ops that move elements, sum them or repeat them: a choice goes through their reverse as a cotangent does.
_MOVES = frozenset({
    "reshape", "squeeze", "expand_dims", "transpose", "reverse", "broadcast_to", "reduce_sum", "reduce_mean", "sum_to",
    "concat", "pad",
})  # fmt: skip


def whole(b: Any, g: Any, m: Any) -> Any:
    """The cotangent as an array, 0 where it was not chosen."""
    return g if m is None or g is None else b.where(m, g, zero(b, g))


def joined(b: Any, g: Any, m: Any, have: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Two cotangents of one value as they can be added, and where their sum holds."""
    if m is mask:
        return g, have, m
    either = None if m is None or mask is None else b.logical_or(m, mask)
    return whole(b, g, m), whole(b, have, mask), either


def chosen(op: Any, masks: Sequence[Any]) -> bool:
    """Whether the rule of the op must be asked through `shares`: it chooses, or a cotangent comes with a choice."""
    return bool(op.picks) or any(m is not None for m in masks)


def shares(
    b: Any, op: Any, attrs: Any, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], masks: Sequence[Any],
    needs: Needs,
) -> list[Pair]:  # fmt: skip
    """The cotangents of an op's operands, each with where it holds."""
    if len(cts) == 1 and isinstance(op, Elementwise) and not isinstance(op, Cast):
        return _diagonal(b, op, outs[0], xs, cts[0], masks[0], needs)
    gs = [whole(b, g, m) for g, m in zip(cts, masks, strict=True)]
    back = op.vjp(b, attrs, outs, xs, gs, needs)
    m = masks[0] if len(cts) == 1 else None
    moved = [None] * len(xs)
    name = getattr(op, "name", "")  # a tape's records are of more than ops
    if m is not None and (not b.shape(m) or name == "identity"):
        moved = [m] * len(xs)
    elif m is not None and (name in _MOVES or isinstance(op, Cast)):
        moved = op.vjp(b, attrs, outs, xs, [b.cast(spread(b, m, gs[0]), dtype=b.dtype(gs[0]))], needs)
    return [_with(b, g, _mask(b, k), x) for g, k, x in zip(back, moved, xs, strict=True)]


def _diagonal(b: Any, op: Elementwise, y: Any, xs: Sequence[Any], g: Any, m: Any, needs: Needs) -> list[Pair]:
    """The rule of an elementwise op, before its operands' shapes are looked at."""
    out: list[Pair] = []
    for i, (partial, x, need) in enumerate(zip(op.partials, xs, needs, strict=True)):
        if partial is None or not need or not b.dtype(x).is_differentiable:
            out.append((None, None))
        elif partial is ZERO:
            out.append((b.zeros_like(x), None))
        elif op.picks:
            pick = op.picks[i](b, *xs)
            out.append(_ended(b, g, pick if m is None else b.logical_and(m, pick), x))
        else:
            out.append(_ended(b, partial(b, g, y, *xs), m, x))
    return out


def _ended(b: Any, g: Any, m: Any, x: Any) -> Pair:
    """A share brought to the operand's shape; where the operand was broadcast, the choice ends before the sum."""
    if within(b.shape(x), b.shape(g)) and within(b.shape(g), b.shape(x)) and _within(b, m, x):
        return fit(b, g, x), m
    return _with(b, fit(b, whole(b, g, m), x), m, x)


def _with(b: Any, g: Any, m: Any, x: Any) -> Pair:
    """The choice stays with a share as long as it broadcasts to it."""
    if g is None or isinstance(g, Into) or m is None or not _within(b, m, x):
        return g, None
    return g, m


def _within(b: Any, m: Any, x: Any) -> bool:
    return m is None or within(b.shape(m), b.shape(x))


def within(part: Shape, shape: Shape) -> bool:
    """Whether one shape surely broadcasts to another."""
    if len(part) > len(shape):
        return False
    ends = zip(reversed(shape), reversed(part), strict=False)
    return all(same_size(d, p) or (isinstance(p, int) and p == 1) for d, p in ends)


def spread(b: Any, m: Any, g: Any) -> Any:
    """A choice as bools of the shape of a cotangent; `m` may be True."""
    shape = tuple(b.shape(g))
    if m is True:
        return b.full(shape, True, bool_)
    return m if tuple(b.shape(m)) == shape else b.broadcast_to(m, shape=shape)


def _mask(b: Any, k: Any) -> Any:
    """A choice that went through a rule as numbers, as bools again."""
    if k is None:
        return None
    k = k.start() if isinstance(k, Into) else k
    return k if b.dtype(k).is_bool else b.ne(k, zero(b, k))
