"""`A[s] = A[s] + v` as what it is, an addition to a part: its derivative leaves the array's cotangent as it stands.

Written out, it is a slice, a sum and an update, and the reverse of the update zeroes a slot into which the reverse of
the slice then adds what was there. `x - v` is `x + (-v)` to the bit.
"""

from __future__ import annotations

from .attrs import attrs_key
from .builder import IRBuilder
from .graph import Block, Function, Op, Value, clone_function
from .opdef import get

_DEEP = 8


def increments(fn: Function) -> Function:
    """A copy of the function in which updates of a slot by a sum with what is in it are `add_at`."""
    new = clone_function(fn)
    _block(new.body)
    return new


def _block(block: Block) -> None:
    ops, block.ops = block.ops, []
    for op in ops:
        for r in op.regions:
            _block(r)
        found = _increment(op) if op.kind.name == "update" else None
        if found is None:
            block.ops.append(op)
        else:
            _write(block, op, *found)


def _write(block: Block, op: Op, total: Op, v: Value) -> None:
    b = IRBuilder(block, op.loc)
    if total.kind.name == "sub":
        v = b.emit(get("neg"), [v])[0]
    if v.type.shape != total.result.type.shape:
        v = b.emit(get("broadcast_to"), [v], {"shape": total.result.type.shape})[0]
    shape = op.operands[1].type.shape
    if v.type.shape != shape:
        v = b.emit(get("reshape"), [v], {"shape": shape})[0]
    made = b.emit(get("add_at"), [op.operands[0], v, *op.operands[2:]], dict(op.attrs))[0]
    assert isinstance(made.owner, Op)
    made.owner.results = op.results
    for r in op.results:
        r.owner = made.owner


def _increment(op: Op) -> tuple[Op, Value] | None:
    """The sum that an update writes and what it adds to the slot; None for any other update."""
    total = _stripped(op.operands[1]).owner
    if not isinstance(total, Op) or total.kind.name not in ("add", "sub") or not op.result.type.dtype.is_numeric:
        return None
    pairs = [tuple(total.operands), tuple(reversed(total.operands))][: 2 if total.kind.name == "add" else 1]
    for old, v in pairs:
        read = _stripped(old).owner
        if old.type.shape == total.result.type.shape and isinstance(read, Op) and _reads_slot(read, op):
            return total, v
    return None


def _stripped(v: Value) -> Value:
    """The value without changes of shape."""
    while isinstance(v.owner, Op) and v.owner.kind.name in ("reshape", "broadcast_to"):
        if v.owner.operands[0].type.size != v.type.size:
            break
        v = v.owner.operands[0]
    return v


def _reads_slot(read: Op, write: Op) -> bool:
    if read.kind.name != "slice" or read.operands[0] is not write.operands[0]:
        return False
    if read.result.type.shape != write.operands[1].type.shape:
        return False
    if any(read.attrs[k] != write.attrs[k] for k in ("starts", "strides")):
        return False
    return all(_equal(a, b, _DEEP) for a, b in zip(read.operands[1:], write.operands[2:], strict=True))


def _equal(a: Value, b: Value, depth: int) -> bool:
    """Whether two scalars are computed alike from the same values."""
    if a is b:
        return True
    x, y = a.owner, b.owner
    if not depth or not isinstance(x, Op) or not isinstance(y, Op) or x.kind is not y.kind or x.kind.effect:
        return False
    if x.regions or len(x.results) != 1 or len(x.operands) != len(y.operands):
        return False
    if attrs_key(x.attrs) != attrs_key(y.attrs):
        return False
    return all(_equal(c, d, depth - 1) for c, d in zip(x.operands, y.operands, strict=True))
