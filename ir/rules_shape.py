"""Rules of the canonicaliser for ops that move, reduce and index elements, and for control flow and effects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .dims import DimLike
from .graph import Block, Op, Value
from .opdef import get
from .rules import Match, Result, Simplifier, constant, producer, rule, uniform
from .sizes import is_named
from .types import TensorType

_MANTISSA = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}


@rule("constant")
def uniform_constant(s: Simplifier, m: Match) -> Result:
    """An array of one number is that number, broadcast."""
    array = m.attrs["value"]
    if array.size <= 1 or array.dtype == object or not uniform(array):
        return None
    return s.fill_value(array.reshape(-1)[0], m.type)


@rule("reshape", "broadcast_to", "sum_to", "identity", "transpose", "reverse", "tile", "pad", "concat", "slice")
def unchanged(s: Simplifier, m: Match) -> Result:
    """Ops whose attributes say that the result is the operand."""
    x, name, a = m.xs[0], m.kind.name, m.attrs
    if x.type != m.type or (len(m.xs) > 1 and name != "pad"):
        return None
    same = {
        "transpose": lambda: tuple(a["perm"]) == tuple(range(x.type.rank)),
        "reverse": lambda: all(x.type.shape[i] == 1 for i in a["axes"]),
        "tile": lambda: all(k == 1 for k in a["multiples"]),
        "pad": lambda: all(k == 0 for k in (*a["low"], *a["high"])),
        "slice": lambda: all(k == 0 for k in a["starts"]) and all(k == 1 for k in a["strides"]),
    }.get(name)
    return x if same is None or same() else None


@rule("reshape", "transpose", "reverse", "slice", "tile")
def moved_splat(s: Simplifier, m: Match) -> Result:
    """Rearranged copies of one number are copies of that number."""
    c = s.splat(m.xs[0]) if len(m.xs) == 1 else None
    return None if c is None else s.fill_value(c, m.type)


@rule("reshape")
def reshape(s: Simplifier, m: Match) -> Result:
    """A reshape of a reshape."""
    op = producer(m.xs[0], "reshape")
    return None if op is None else s.emit(m.kind, op.operands, m.attrs)[0]


@rule("transpose")
def transpose(s: Simplifier, m: Match) -> Result:
    """A transpose of a transpose."""
    op = producer(m.xs[0], "transpose")
    if op is None:
        return None
    return s.emit(m.kind, op.operands, {"perm": tuple(op.attrs["perm"][i] for i in m.attrs["perm"])})[0]


@rule("reverse")
def reverse(s: Simplifier, m: Match) -> Result:
    """A reversal of a reversal."""
    op = producer(m.xs[0], "reverse")
    if op is None:
        return None
    axes = tuple(sorted(set(op.attrs["axes"]) ^ set(m.attrs["axes"])))
    return s.emit(m.kind, op.operands, {"axes": axes})[0]


@rule("broadcast_to")
def broadcast(s: Simplifier, m: Match) -> Result:
    """A broadcast of a broadcast, or of a reshape that only puts 1s in front."""
    op = producer(m.xs[0], "broadcast_to") or producer(m.xs[0], "reshape")
    if op is None:
        return None
    source = op.operands[0]
    shape = m.xs[0].type.shape
    lead = len(shape) - source.type.rank
    in_front = lead >= 0 and shape == (1,) * lead + source.type.shape
    return s.emit(m.kind, [source], m.attrs)[0] if op.kind.name == "broadcast_to" or in_front else None


@rule("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_any", "reduce_all")
def reduce_nothing(s: Simplifier, m: Match) -> Result:
    """A reduction over no axes, or over axes of size 1."""
    (x,) = m.xs
    if any(x.type.shape[i] != 1 for i in m.attrs["axes"]):
        return None
    y = s.emit(get("reshape"), [x], {"shape": m.type.shape})[0]
    sums = m.kind.name == "reduce_sum" and m.type.dtype.kind in "fc"
    return (
        s.value("add", y, s.literal(np.zeros((), m.type.dtype.np))) if sums else y
    )  # a sum starts from 0.0, so that of -0.0 alone is 0.0


@rule("reduce_sum", "reduce_max", "reduce_min", "reduce_any", "reduce_all")
def reduce_splat(s: Simplifier, m: Match) -> Result:
    """A reduction of one repeated number, where every way to add it up gives the same."""
    (x,) = m.xs
    c = s.splat(x)
    count = TensorType(x.type.dtype, tuple(x.type.shape[i] for i in m.attrs["axes"])).size
    if c is None or not isinstance(count, int) or count == 0:
        return None
    if m.kind.name in ("reduce_max", "reduce_min", "reduce_any", "reduce_all"):
        return s.fill_value(c, m.type)
    dtype = x.type.dtype
    if dtype.is_integer:
        total = int(c) * count
        return s.fill_value(total, m.type) if dtype.min <= total <= dtype.max else None
    if not dtype.is_floating or not float(c).is_integer() or abs(float(c)) * count > 2.0 ** _MANTISSA[dtype.short]:
        return None  # only sums of integers that all fit into the mantissa are exact in any order
    if float(c) == 0.0 and np.signbit(c):
        return None
    return s.fill_value(float(c) * count, m.type)


@rule("slice")
def slice_of_slice(s: Simplifier, m: Match) -> Result:
    """A slice of a slice, where all starts are known."""
    op = producer(m.xs[0], "slice")
    if op is None or len(m.xs) > 1 or len(op.operands) > 1:
        return None
    a, b = op.attrs, m.attrs
    starts = tuple(p + q * k for p, k, q in zip(a["starts"], a["strides"], b["starts"], strict=True))
    strides = tuple(p * q for p, q in zip(a["strides"], b["strides"], strict=True))
    return s.emit(m.kind, op.operands, {"starts": starts, "sizes": b["sizes"], "strides": strides})[0]


@rule("slice", "update", "add_at")
def known_starts(s: Simplifier, m: Match) -> Result:
    """Starts that turn out to be constants, and in range, go into the attributes."""
    first = 1 if m.kind.name == "slice" else 2
    sizes = m.attrs["sizes"] if first == 1 else m.xs[1].type.shape
    starts: list[DimLike | None] = []
    rest: list[Value] = []
    operands = iter(m.xs[first:])
    for d, size, start, stride in zip(m.xs[0].type.shape, sizes, m.attrs["starts"], m.attrs["strides"], strict=True):
        at = start
        if start is None:
            v = next(operands)
            c = constant(v)
            if c is not None and isinstance(d, int) and isinstance(size, int):
                n = int(c) + (d if int(c) < 0 else 0)
                last = n + (size - 1) * stride
                at = n if size > 0 and 0 <= n < d and 0 <= last < d else None
            if at is None:
                rest.append(v)
        starts.append(at)
    if len(rest) == len(m.xs) - first:
        return None
    return s.emit(m.kind, [*m.xs[:first], *rest], {**m.attrs, "starts": tuple(starts)})[0]


@rule("update", "add_at")
def whole_write(s: Simplifier, m: Match) -> Result:
    """A write to all elements: the new ones, or the sum."""
    base, v = m.xs[:2]
    whole = len(m.xs) == 2 and all(k == 0 for k in m.attrs["starts"]) and all(k == 1 for k in m.attrs["strides"])
    if not whole or base.type.shape != v.type.shape or _selects(s, base, v):
        return None
    return v if m.kind.name == "update" else s.value("add", base, v)


def _selects(s: Simplifier, base: Value, v: Value) -> bool:
    """Whether a write leaves some places as they are: then the loop over the others may be the shorter one."""
    op = producer(v, "where")
    if op is None:
        return False
    other = op.operands[2]
    return other is base or s.is_splat(other, 0.0) or s.is_splat(other, -0.0)


def _same_slot(a: Op, b: Match) -> bool:
    """Whether two reads or writes, of an array or of what one made of it, are of the same elements in one order."""
    first, second = (1 if kind.name == "slice" else 2 for kind in (a.kind, b.kind))
    sizes = [
        tuple(attrs["sizes"]) if kind.name == "slice" else tuple(xs[1].type.shape)
        for kind, attrs, xs in ((a.kind, a.attrs, a.operands), (b.kind, b.attrs, b.xs))
    ]
    same = all(tuple(a.attrs[key]) == tuple(b.attrs[key]) for key in ("starts", "strides"))
    return same and sizes[0] == sizes[1] and list(a.operands[first:]) == list(b.xs[second:])


@rule("slice")
def read_back(s: Simplifier, m: Match) -> Result:
    """A slot that was just written: what was written. Where a start is a run-time value its check stays."""
    op = producer(m.xs[0], "update")
    return op.operands[1] if op is not None and len(m.xs) == 1 and _same_slot(op, m) else None


@rule("update")
def written_twice(s: Simplifier, m: Match) -> Result:
    """A slot that gets what it has: nothing changes. `a[i] += x` ends so: it writes into a view, then assigns it."""
    op = producer(m.xs[1], "slice")
    if op is not None and op.operands[0] is m.xs[0] and _same_slot(op, m):
        return m.xs[0]
    op = producer(m.xs[0], "update")
    return m.xs[0] if op is not None and op.operands[1] is m.xs[1] and _same_slot(op, m) else None


@rule("matmul")
def transposed_operand(s: Simplifier, m: Match) -> Result:
    """A matrix product reads a transposed matrix as it lies."""
    for i, flag in enumerate(("transpose_a", "transpose_b")):
        op = producer(m.xs[i], "transpose")
        rank = m.xs[i].type.rank
        if op is not None and tuple(op.attrs["perm"]) == (*range(rank - 2), rank - 1, rank - 2):
            xs = [*m.xs[:i], op.operands[0], *m.xs[i + 1 :]]
            return s.emit(m.kind, xs, {**m.attrs, flag: not m.attrs.get(flag, False)})[0]
    return None


@rule("dim", "shape_of", "size_value")
def known_size(s: Simplifier, m: Match) -> Result:
    """A size that is a number."""
    sizes: Sequence[DimLike]
    if m.kind.name == "size_value":
        sizes = (m.attrs["size"],)
    else:
        shape = m.xs[0].type.shape
        sizes = shape if m.kind.name == "shape_of" else shape[m.attrs["axis"] :][:1]
    if any(is_named(d) or not isinstance(d, int) for d in sizes):
        return None
    return s.literal(np.array(sizes, m.type.dtype.np).reshape(m.type.shape))


@rule("if")
def known_branch(s: Simplifier, m: Match) -> Result:
    """An `if` whose condition is known is the branch taken."""
    c = constant(m.xs[0])
    return None if c is None else _spliced(s, m.regions[0 if bool(c) else 1])


def _spliced(s: Simplifier, region: Block) -> list[Value]:
    s.block.ops.extend(region.ops[:-1])
    return list(region.ops[-1].operands)


@rule("for")
def no_trips(s: Simplifier, m: Match) -> Result:
    """A loop without trips gives its initial values."""
    lower, upper, step = (constant(v) for v in m.xs[:3])
    if lower is None or upper is None or step is None or int(step) == 0:
        return None
    return m.xs[3:] if not range(int(lower), int(upper), int(step)) else None


@rule("assert")
def holds(s: Simplifier, m: Match) -> Result:
    """A condition known to be true needs no check."""
    c = constant(m.xs[0])
    return [] if c is not None and bool(c) else None
