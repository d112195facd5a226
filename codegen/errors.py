"""Errors of code generation: what cannot be compiled, and what compiled code found wrong at run time."""

from __future__ import annotations

from ..ir.errors import InvalidArgumentError, SingularMatrix
from ..ir.graph import Op
from ..ir.solves import SINGULAR


class Unsupported(Exception):
    """The function uses an op or a dtype without machine form; run it with the interpreter instead."""

    def __init__(self, op: Op | None, what: str) -> None:
        where = f" at {op.loc}" if op is not None and op.loc else ""
        name = f"op '{op.kind.name}'{where}: " if op is not None else ""
        super().__init__(name + what)
        self.op = op


_OTHER = {"for": "the step is zero", "pop": "the stack is empty"}


def index_error(op: Op, number: int) -> InvalidArgumentError:
    """The error for status `number` of compiled code, which failed in `op`: most often an index out of range."""
    where = f" at {op.loc}" if op.loc else ""
    if op.kind.name in _OTHER:
        error = InvalidArgumentError(f"{op.kind.name}{where}: {_OTHER[op.kind.name]}")
        error.op = op
        return error
    if op.kind.name == "lu_solve":
        error = SingularMatrix(f"solve{where}: {SINGULAR}")
        error.op = op
        return error
    shapes = ", ".join(str(v.type) for v in op.operands)
    error = InvalidArgumentError(
        f"{op.kind.name}{where}: an index is out of range (operands {shapes}); "
        "indices must lie in 0..size-1 of the dimension that they select from"
    )
    error.op = op
    return error
