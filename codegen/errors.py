"""Errors of code generation: what cannot be compiled, and what compiled code found wrong at run time."""

from __future__ import annotations

from ..ir.elementwise import IntegerArithmetic
from ..ir.errors import IndexMismatch, InvalidArgumentError, ShapeMismatch, SingularMatrix
from ..ir.graph import Op
from ..ir.solves import SINGULAR

# What `main` returns: 0, or 1 + the number of the op that failed, or one of these.
NO_MEMORY = -1
RAISED = -2  # a Python exception is set in this thread: by an effect, or by the handler of a signal


class Unsupported(Exception):
    """The function uses an op or a dtype without machine form; run it with the interpreter instead."""

    def __init__(self, op: Op | None, what: str) -> None:
        where = f" at {op.loc}" if op is not None and op.loc else ""
        name = f"op '{op.kind.name}'{where}: " if op is not None else ""
        super().__init__(name + what)
        self.op = op


_OTHER = {"for": "the step is zero", "pop": "the stack is empty"}


def runtime_error(op: Op) -> InvalidArgumentError:
    """The error for a status of compiled code, which failed in `op`: most often an index out of range."""
    where = f" at {op.loc}" if op.loc else ""
    head, error = f"{op.kind.name}{where}: ", InvalidArgumentError
    if op.kind.name in _OTHER:
        text = _OTHER[op.kind.name]
    elif op.kind.name == "same_size":
        head, error = "", ShapeMismatch
        text = f"sizes that are computed at run time do not fit{where}: they must be equal, or 1"
    elif op.kind.name == "lu_solve":
        head, error, text = f"solve{where}: ", SingularMatrix, SINGULAR
    elif isinstance(op.kind, IntegerArithmetic):
        text = op.kind.advice
    else:
        shapes = ", ".join(str(v.type) for v in op.operands)
        text = (
            f"an index is out of range (operands {shapes}); "
            "indices must lie in 0..size-1 of the dimension that they select from"
        )
        error = IndexMismatch
    made = error(head + text)
    made.op = op
    return made
