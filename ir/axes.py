"""Which dimensions of one value are those of another, through ops that only move or drop dimensions.

A `transpose`, a `broadcast_to`, a `reshape` that adds or drops dimensions of size 1: a *view* has the elements of its
base in another arrangement. A reduction, a slice, a padding or a reversal treats each dimension by itself: it can be
computed with the dimensions of its operand in any order, and its result then has them in that order. Dimensions of
size 1 have no place of their own in memory and are left out of all of this.
"""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Attrs, Op, Value
from .types import Shape, StackType

Dims = tuple[int | None, ...]  # for each dimension of one value the one of another that it is, if it is one
Order = tuple[int, ...]  # dimensions of a value, in the order in which another has them

_BY_AXES = frozenset({"reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_any", "reduce_all", "reverse"})
_BY_DIMENSION = {"slice": ("starts", "sizes", "strides"), "pad": ("low", "high")}


def orderly(v: Value) -> bool:
    """Whether the value is an array of known rank and sizes (which may have names)."""
    return not isinstance(v.type, StackType) and all(isinstance(n, int) for n in v.type.shape)


def long(shape: Shape) -> list[int]:
    """The dimensions that are not of size 1."""
    return [d for d, n in enumerate(shape) if n != 1]


def own(v: Value) -> Dims:
    """The dimensions of a value as those of itself."""
    return tuple(None if n == 1 else d for d, n in enumerate(v.type.shape))


def compose(outer: Dims, inner: Dims) -> Dims:
    """Dimensions of one value as those of a third, by way of those of a second."""
    return tuple(None if d is None else inner[d] for d in outer)


def aligned(v: Value, shape: Shape) -> Dims:
    """For each dimension of a shape to which the value broadcasts, the value's dimension there."""
    lead = len(shape) - v.type.rank
    own_sizes = v.type.shape
    return tuple(None if d < lead or own_sizes[d - lead] == 1 else d - lead for d in range(len(shape)))


def view(op: Op) -> Dims | None:
    """For each dimension of a view the operand's that it is; None for an op that is no view."""
    if len(op.operands) != 1 or len(op.results) != 1 or not (orderly(op.operands[0]) and orderly(op.results[0])):
        return None
    (x,), shape, name = op.operands, op.results[0].type.shape, op.kind.name
    if name == "transpose":
        return tuple(None if shape[k] == 1 else d for k, d in enumerate(op.attrs["perm"]))
    if name == "broadcast_to":
        return aligned(x, shape)
    if name == "reshape":
        before, after = long(x.type.shape), long(shape)
        if len(before) == len(after) and all(x.type.shape[a] == shape[b] for a, b in zip(before, after, strict=True)):
            at = dict(zip(after, before, strict=True))
            return tuple(at.get(d) for d in range(len(shape)))
    return None


def by_dimension(op: Op) -> bool:
    """Whether the op treats each dimension of its first operand by itself, whatever their order."""
    name = op.kind.name
    if name not in _BY_AXES and name not in _BY_DIMENSION:
        return False
    if name == "slice" and len(op.operands) > 1:
        return False
    return orderly(op.operands[0]) and orderly(op.result)


def kept(op: Op) -> Order:
    """For each dimension of the result of such an op the operand's that it comes from."""
    axes = op.attrs["axes"] if op.kind.name != "reverse" and not op.attrs.get("keepdims", True) else ()
    return tuple(d for d in range(op.operands[0].type.rank) if d not in axes)


def reordered(op: Op, order: Order) -> Attrs:
    """The attributes of such an op for an operand that has its dimensions in this order."""
    attrs = dict(op.attrs)
    if op.kind.name in _BY_AXES:
        attrs["axes"] = tuple(sorted(order.index(a) for a in attrs["axes"]))
    for key in _BY_DIMENSION.get(op.kind.name, ()):
        attrs[key] = tuple(attrs[key][d] for d in order)
    return attrs


def slotted(sequence: Sequence[int], rank: int) -> Order:
    """All dimensions: those of the sequence in its order, where any of them is by rights, the others where they are."""
    given, own_place = iter(sequence), set(sequence)
    return tuple(next(given) if d in own_place else d for d in range(rank))
