"""Writes that change nothing: how `A[s] += x` ends, which Python runs as `t = A[s]; t += x; A[s] = t`.

Where `t` is a view, `t += x` has written to A already, and what is stored then is what the slot holds. Such an `update`
is its first operand, and so is its derivative. What is stored may be masked, as in `where(m, where(m, t, u), t)`: a
branch whose condition was decided further out is looked at alone. Reshapes keep the order of elements, so that they
do not matter as long as all that a `where` takes has as many.
"""

from __future__ import annotations

from .graph import Op, Value

_DEEP = 16


def slot(op: Op) -> dict[str, object]:
    """The attributes of a `slice` that reads what a write overwrites."""
    return {"starts": op.attrs["starts"], "sizes": op.operands[1].type.shape, "strides": op.attrs["strides"]}


def idle(op: Op) -> bool:
    """Whether an op is an `update` that writes what is there, such that its derivative is that of its first operand."""
    return op.kind.name == "update" and _holds(op.operands[1], op, {})


def _holds(v: Value, write: Op, known: dict[Value, bool]) -> bool:
    """Whether a value is what the slot of a write holds before it, where the conditions are as known."""
    v = _bare(v)
    base, op = write.operands[0], v.owner
    if v is base:
        return slot(write) == {"starts": (0,) * v.type.rank, "sizes": v.type.shape, "strides": (1,) * v.type.rank}
    if not isinstance(op, Op) or op.regions:
        return False
    if op.kind.name == "where":
        return op.operands[0].type.shape == v.type.shape and _branches(op, write, known)
    if op.kind.name != "slice" or op.operands[0] is not base or op.attrs != slot(write):
        return False
    return all(same(x, y) for x, y in zip(op.operands[1:], write.operands[2:], strict=True))


def _branches(where: Op, write: Op, known: dict[Value, bool]) -> bool:
    condition, on, off = where.operands
    if not on.type == off.type == where.result.type:
        return False
    condition = _bare(condition)
    for c, value in known.items():
        if same(c, condition):
            return _holds(on if value else off, write, known)
    return _holds(on, write, {**known, condition: True}) and _holds(off, write, {**known, condition: False})


def _bare(v: Value) -> Value:
    """What a value is a reshape of."""
    while isinstance(v.owner, Op) and v.owner.kind.name in ("reshape", "identity"):
        v = v.owner.operands[0]
    return v


def same(a: Value, b: Value, deep: int = _DEEP) -> bool:
    """Whether two values are the same, as far as the ops that made them say so."""
    if a is b:
        return True
    x, y = a.owner, b.owner
    if deep == 0 or not isinstance(x, Op) or not isinstance(y, Op) or a.type != b.type:
        return False
    if x.kind is not y.kind or x.regions or x.kind.effect or x.kind.terminator or len(x.results) > 1:
        return False
    if len(x.operands) != len(y.operands) or repr(x.attrs) != repr(y.attrs) or x.kind.name == "call":
        return False
    return all(same(p, q, deep - 1) for p, q in zip(x.operands, y.operands, strict=True))
