"""Specialisation: symbolic sizes are replaced by numbers (or by other sizes) and every type is inferred again.

A call's callee is specialised as well when its sizes become numbers, once per combination of sizes.
"""

from __future__ import annotations

from collections.abc import Mapping

from .control import CALL, match_shapes
from .dims import DimLike, is_static
from .graph import Block, Function, Value
from .rewrite import instantiate
from .verifier import bound_symbols

_Made = dict[tuple[int, tuple[tuple[str, DimLike], ...]], Function]


def specialise(fn: Function, sizes: Mapping[str, DimLike]) -> Function:
    """A copy of the function for given sizes.

    Args:
      sizes: name -> size. A name that the function does not have is an error, one that is missing stays symbolic.

    Raises:
      ValueError: for a name that is no size of the function, or a negative size.
      ShapeMismatch: when shapes do not fit together under these sizes.
    """
    known = bound_symbols(fn)
    for name, size in sizes.items():
        if name not in known:
            have = ", ".join(sorted(known)) or "none"
            raise ValueError(f"@{fn.name} has no size '{name}'; its sizes: {have}")
        if isinstance(size, int) and size < 0:
            raise ValueError(f"the size '{name}' cannot be {size}")
    return _specialise(fn, sizes, {}, fn.name)


def _specialise(fn: Function, sizes: Mapping[str, DimLike], made: _Made, name: str) -> Function:
    body = Block(Value(p.type.substitute(sizes), p.name) for p in fn.params)
    instantiate(fn.body, body, dict(zip(fn.params, body.params, strict=True)), sizes)
    new = Function(name, body)
    for op in body.walk():
        if op.kind is CALL:
            op.attrs["callee"] = _callee(op.attrs["callee"], op.operands, made)
    return new


def _callee(callee: Function, operands: list[Value], made: _Made) -> Function:
    sizes = match_shapes(callee.name, callee.param_types, [v.type for v in operands])
    if not sizes or not all(map(is_static, sizes.values())):
        return callee
    key = (id(callee), tuple(sorted(sizes.items())))
    if key not in made:
        made[key] = callee  # a recursive call finds an answer, and gets its own in turn
        made[key] = _specialise(callee, sizes, made, callee.name)
    return made[key]
