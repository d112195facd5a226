"""`print` and `assert` in compiled code: machine code decides, Python acts.

Code that prints, or whose assertion failed, lists where the op's operands lie in a small table on the stack and calls
`pb_tell` (`python_calls`), which calls the function's `Teller`. That one runs the op's own `eager` on copies of the
operands: the text is what eager mode and the interpreter give, to the letter. An assertion that holds costs a test.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.graph import Op, Value
from ..ir.interpret import noted
from . import memory, scalar
from .access import shape_of
from .buffers import bytes_of
from .emitter import Reg
from .errors import RAISED

if TYPE_CHECKING:
    from .module import ModuleWriter

_WORD = 8
DECLARATION = "declare i32 @pb_tell(ptr, ptr) cold"
TELLER = "@pb_teller = external global i8"


class Teller:
    """Runs the effects of one compiled function. Called with the address of a table: the op's number among `ops`, then
    an address per operand."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def __call__(self, table: int) -> None:
        op = self.ops[ctypes.c_int64.from_address(table).value]
        at = [ctypes.c_int64.from_address(table + _WORD * (k + 1)).value for k in range(len(op.operands))]
        xs = [_array(v, where) for v, where in zip(op.operands, at, strict=True)]
        with noted(op):
            op.kind.eager(op.attrs, *xs)


def _array(v: Value, where: int) -> Any:
    """A copy of an operand."""
    shape, dtype = shape_of(v), np.dtype(v.type.dtype.np)
    size = bytes_of(v)
    data = ctypes.string_at(where, size) if size else b""
    return np.frombuffer(data, dtype).reshape(shape).copy()


class EffectWriter:
    """The effects of one module."""

    def __init__(self, module: ModuleWriter) -> None:
        self.m = module
        self.teller = Teller()
        self.most = 0  # operands of an op

    @property
    def used(self) -> bool:
        """Whether there is an effect."""
        return bool(self.teller.ops)

    def start(self) -> list[str]:
        """The table, and room for scalars behind it, for the entry block."""
        return [f"  %table = alloca [{1 + 2 * self.most} x i64], align 8"] if self.used else []

    def text(self) -> str:
        """The declarations."""
        return f"{DECLARATION}\n{TELLER}" if self.used else ""

    def write(self, op: Op) -> None:
        """One effect, at this point of the program."""
        n = len(self.teller.ops)
        self.teller.ops.append(op)
        self.most = max(self.most, len(op.operands))
        values = {v: self.m.register(v) for v in op.operands if not v.type.shape}
        em = self.m.scope.scalar
        if op.kind.name != "assert":
            status = self._tell(op, n, values)
            self.m.fail(em.compare("ne", status, 0), str(RAISED))
            return
        wrong, good = em.new_label("false"), em.new_label("holds")
        em.raw(f"br i1 {values[op.operands[0]].text}, label %{good}, label %{wrong}")
        em.label(wrong)
        self._tell(op, n, values)
        self.m.leave(str(RAISED))
        em.label(good)

    def _tell(self, op: Op, n: int, values: dict[Value, Reg]) -> Reg:
        em = self.m.scope.scalar
        em.raw(f"store i64 {n}, ptr %table")
        for k, v in enumerate(op.operands):
            entry = em.op(f"getelementptr i64, ptr %table, i64 {1 + k}", "ptr")
            if v.type.shape:
                where = self.m.pointer(self.m.plan.owner[v])
            else:
                word = em.op(f"getelementptr i64, ptr %table, i64 {1 + len(op.operands) + k}", "ptr")
                memory.write(em, word, scalar.store_as(em, values[v]), None)
                where = word.text
            em.raw(f"store ptr {where}, ptr {entry.text}")
        return em.op("call i32 @pb_tell(ptr @pb_teller, ptr %table)", "i32")
