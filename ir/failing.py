"""Which ops may stop a program: what must not run where the program does not ask for it, nor before an earlier `print`.

An index may be out of range, an integer divisor zero, a matrix singular, an assertion false. Where the operands show
that nothing of the kind can happen, the op counts as safe.
"""

from __future__ import annotations

from .control import has_effect
from .elementwise import IntegerArithmetic
from .graph import Function, Op, Value

_INDEXED = {"slice": 1, "update": 2, "add_at": 2}  # how many operands there are when all starts are known
_ALWAYS = frozenset({
    "gather", "scatter_add", "scatter_update", "pop", "solve", "inv", "lu_solve", "same_size", "eigh",
})  # fmt: skip


def may_fail(op: Op) -> bool:
    """Whether the op, or one in its regions or in a function it calls, can end in an error at run time."""
    name = op.kind.name
    if op.kind.effect or name in _ALWAYS:
        return True
    if name in _INDEXED and len(op.operands) > _INDEXED[name]:
        return True
    if isinstance(op.kind, IntegerArithmetic) and op.operands[1].type.dtype.is_integer:
        number = constant_of(op.operands[1])
        return number is None or bool(op.kind.refused(number))
    if name == "for" and constant_of(op.operands[2]) in (None, 0):
        return True
    callee = op.attrs.get("callee")
    if isinstance(callee, Function):
        return has_effect(op) or any(may_fail(o) for o in callee.body.ops)
    return any(may_fail(o) for r in op.regions for o in r.ops)


def constant_of(v: Value) -> int | None:
    """The one number that a constant holds."""
    op = v.owner
    if not isinstance(op, Op) or op.kind.name != "constant" or not op.attrs["value"].size:
        return None
    first = op.attrs["value"].flat[0]
    return int(first) if bool((op.attrs["value"] == first).all()) else None
