"""What each op means to the loop nests: how an element of its result is made from elements of its operands.

`form(op)` sorts ops into elementwise ones, index maps, choices (pad, concat), sources (iota, constant, random
bits), gathers, reductions, writes into a slot, and opaque steps. `parts(op, at)` says which operand elements the
element `at` needs. Fusion walks these to find what a kernel reads, and the kernel emitter walks them again to write
the code; neither knows single ops.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from ..ir.elementwise import Elementwise
from ..ir.graph import Op, Value
from ..ir.opdef import OpDef
from . import scalar
from .index_map import ZERO, At, Dyn, Index, atom, broadcast, flatten, reshaped


class Bound(NamedTuple):
    """A condition on an index: low <= place < high."""

    place: Index
    low: int
    high: int


Guard = tuple[Bound, ...]


class Part(NamedTuple):
    """An element that is needed: `value[at]`, only where all bounds of `guard` hold."""

    value: Value
    at: At
    guard: Guard = ()


ELEMENTWISE, MAP, CHOICE, SOURCE, GATHER, REDUCE, WRITE, OPAQUE, RETURN, REGION = (
    "elementwise", "map", "choice", "source", "gather", "reduce", "write", "opaque", "return", "region",
)  # fmt: skip

_REDUCTIONS = {
    "reduce_sum": "sum", "reduce_prod": "prod", "reduce_max": "max", "reduce_min": "min",
    "reduce_any": "any", "reduce_all": "all",
}  # fmt: skip
_MAPS: dict[str, Callable[[Op, At], At]] = {}
_FIXED = {
    "constant": SOURCE, "iota": SOURCE, "size_value": SOURCE, "random_bits": SOURCE, "random_uniform": SOURCE,
    "pad": CHOICE, "concat": CHOICE, "return": RETURN, "yield": RETURN, "for": REGION, "while": REGION, "if": REGION,
    "gather": GATHER, "update": WRITE, "add_at": WRITE,
}  # fmt: skip


@cache
def _elementwise_names() -> frozenset[str]:
    return frozenset(name for name, _ in scalar.OPS) | {"cast"}


def form(op: Op) -> str:
    """Which of the forms of this module the op has; whatever is not known here is opaque."""
    f = _form(op.kind)
    if f == REDUCE and all(shape_of(op.operands[0])[a] == 1 for a in op.attrs["axes"]):
        return MAP  # nothing is taken together: a change of shape
    return f


@cache
def _form(kind: OpDef) -> str:
    name = kind.name
    if name in _FIXED:
        return _FIXED[name]
    if name in _MAPS:
        return MAP
    if name in _REDUCTIONS:
        return REDUCE
    if isinstance(kind, Elementwise) or (kind.lowering in _elementwise_names()):
        return ELEMENTWISE
    return OPAQUE


def reduction(op: Op) -> str:
    """The kind of a reduction: sum, prod, max, min, any or all."""
    return _REDUCTIONS[op.kind.name]


def shape_of(v: Value) -> tuple[int, ...]:
    """The static shape of a value."""
    return v.type.shape  # type: ignore[return-value]


def parts(op: Op, at: At) -> tuple[Part, ...]:
    """The operand elements that element `at` of the op's result is made from."""
    f = form(op)
    if f == ELEMENTWISE:
        shape = shape_of(op.results[0])
        return tuple(Part(v, broadcast(at, shape, shape_of(v))) for v in op.operands)
    if f == MAP:
        return (Part(op.operands[0], _MAPS.get(op.kind.name, _reshape)(op, at)),)
    if f == CHOICE:
        return _pad(op, at) if op.kind.name == "pad" else _concat(op, at)
    if f == GATHER:
        return gathered(op, at)
    if f == SOURCE:
        return tuple(Part(v, ()) for v in op.operands)
    return ()


def is_view(op: Op) -> bool:
    """Whether the result has the operand's elements in the operand's order, so that one buffer holds both."""
    if form(op) != MAP or not op.operands[0].type.shape or not op.results[0].type.shape:
        return False
    name = op.kind.name
    return (name not in ("transpose", "slice", "reverse", "broadcast_to", "same_size")
            or (name == "broadcast_to" and op.operands[0].type.size == op.results[0].type.size))


def _map(*names: str) -> Callable[[Callable[[Op, At], At]], Callable[[Op, At], At]]:
    def add(fn: Callable[[Op, At], At]) -> Callable[[Op, At], At]:
        _MAPS.update(dict.fromkeys(names, fn))
        return fn

    return add


@_map("stop_gradient", "identity")
def _identity(op: Op, at: At) -> At:
    return at


@_map("reshape", "squeeze", "expand_dims")
def _reshape(op: Op, at: At) -> At:
    return reshaped(at, shape_of(op.results[0]), shape_of(op.operands[0]))


@_map("broadcast_to")
def _broadcast_to(op: Op, at: At) -> At:
    return broadcast(at, shape_of(op.results[0]), shape_of(op.operands[0]))


@_map("transpose")
def _transpose(op: Op, at: At) -> At:
    out = [ZERO] * len(at)
    for k, axis in enumerate(op.attrs["perm"]):
        out[axis] = at[k]
    return tuple(out)


@_map("slice")
def _slice(op: Op, at: At) -> At:
    base, *dynamic = op.operands
    return slot(op, at, shape_of(base), shape_of(op.results[0]), dynamic)


@_map("same_size")
def _same_size(op: Op, at: At) -> At:
    return (atom(Dyn(op.operands[1], (), 1, 0, op)),)


@_map("reverse")
def _reverse(op: Op, at: At) -> At:
    shape = shape_of(op.results[0])
    return tuple(i.times(-1).plus(shape[k] - 1) if k in op.attrs["axes"] else i for k, i in enumerate(at))


def _pad(op: Op, at: At) -> tuple[Part, ...]:
    """`pad(x, fill) {low, high}`: x inside; outside the fill, or 0 without one."""
    x, *fill = op.operands
    inner: list[Index] = []
    guard: list[Bound] = []
    for i, low, high, n in zip(at, op.attrs["low"], op.attrs["high"], shape_of(x), strict=True):
        moved = i.plus(-low)
        inner.append(moved)
        if low > 0 or high > 0:
            guard.append(Bound(moved, 0, n))
    return Part(x, tuple(inner), tuple(guard)), *(Part(v, ()) for v in fill)


def _concat(op: Op, at: At) -> tuple[Part, ...]:
    axis, low = op.attrs["axis"], 0
    out = []
    for v in op.operands:
        n = shape_of(v)[axis]
        moved = at[axis].plus(-low)
        if n:
            out.append(Part(v, (*at[:axis], moved, *at[axis + 1 :]), (Bound(moved, 0, n),)))
        low += n
    return tuple(out)


def gathered(op: Op, at: At) -> tuple[Part, ...]:
    """The element that a gather reads; its position contains a `Dyn` atom."""
    params, indices = op.operands
    axis, rank = op.attrs["axis"], len(indices.type.shape)
    batch = op.attrs["batch_dims"]
    where = (*at[:batch], *at[axis : axis + rank - batch])
    pick = atom(Dyn(indices, where, shape_of(params)[axis], 0, op))
    return (Part(params, (*at[:axis], pick, *at[axis + rank - batch :])),)


def slot(op: Op, at: At, base: tuple[int, ...], sizes: tuple[int, ...], dynamic: list[Value]) -> At:
    """Where element `at` of a slot (attributes `starts`, `strides`) lies in the array of shape `base`."""
    out, given = [], iter(dynamic)
    for i, start, stride, size, n in zip(at, op.attrs["starts"], op.attrs["strides"], sizes, base, strict=True):
        i = i.times(stride)
        if start is None:
            span = max(size - 1, 0) * stride
            low = max(0, -span)
            i = i + atom(Dyn(next(given), (), n - abs(span), low, op)).plus(low)
        else:
            i = i.plus(start)
        out.append(i)
    return tuple(out)


def dynamics(at: At) -> list[Dyn]:
    """The data-dependent atoms of a position (not those inside others)."""
    return [a for i in at for a in i.terms if isinstance(a, Dyn)]


def address(at: At, shape: tuple[int, ...]) -> Index:
    """The flat position of an element in its buffer."""
    return flatten(at, shape)


# Rough cost of an elementwise op per vector, in additions; math functions that are not named cost `_MATH`.
_CHEAP = frozenset([
    "add", "sub", "mul", "neg", "abs", "square", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge", "where",
    "logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "is_nan",
    "is_inf", "is_finite", "cast", "relu", "sign", "floor", "ceil", "trunc", "round", "after",
])  # fmt: skip
_COST = {
    "div": 4, "sqrt": 5, "rsqrt": 8, "exp": 14, "expm1": 18, "log": 16, "log1p": 20, "sigmoid": 22, "erf": 30,
    "pow": 50,
}  # fmt: skip
_MATH = 25


def cost(op: Op) -> int:
    """How dear it is to compute an element again, in additions."""
    f = form(op)
    if f == ELEMENTWISE:
        return 1 if op.kind.name in _CHEAP else _COST.get(op.kind.name, _MATH)
    if op.kind.name in ("random_bits", "random_uniform"):
        return 80
    return {GATHER: 4, CHOICE: 2 * len(op.operands)}.get(f, 0)
