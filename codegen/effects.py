"""What compiled code leaves to Python: `print`, `assert`, and ops that are NumPy's.

Code that prints, or whose assertion failed, lists where the op's operands lie in a small table on the stack and calls
`pb_tell` (`python_calls`), which calls the function's `Teller`. That one runs the op's own `eager` on copies of the
operands: the text is what eager mode and the interpreter give, to the letter. An assertion that holds costs a test.
Ops that have no code here and take long beside such a call (about 10 us) go the same way, and their results come back:
so functions and loops stay native around them.
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
    """Runs the ops that one compiled function leaves to Python. Called with the address of a table: the op's number
    among `ops`, then an address per operand and result."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def __call__(self, table: int) -> None:
        op = self.ops[ctypes.c_int64.from_address(table).value]
        values = (*op.operands, *op.results)
        at = [ctypes.c_int64.from_address(table + _WORD * (k + 1)).value for k in range(len(values))]
        xs = [_array(v, where) for v, where in zip(op.operands, at, strict=False)]
        with noted(op):
            made = op.kind.eager(op.attrs, *xs)
        if op.results:
            outs = made if isinstance(made, tuple) else (made,)
            for v, where, out in zip(op.results, at[len(xs) :], outs, strict=True):
                _store(v, where, out)


def _array(v: Value, where: int) -> Any:
    """A copy of an operand."""
    shape, dtype = shape_of(v), np.dtype(v.type.dtype.np)
    size = bytes_of(v)
    data = ctypes.string_at(where, size) if size else b""
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _store(v: Value, where: int, x: Any) -> None:
    """Writes a result."""
    data = np.ascontiguousarray(x, v.type.dtype.np)
    assert data.shape == shape_of(v)
    if data.nbytes:
        ctypes.memmove(where, data.ctypes.data, data.nbytes)


class EffectWriter:
    """The ops of one module that Python runs."""

    def __init__(self, module: ModuleWriter) -> None:
        self.m = module
        self.teller = Teller()
        self.most = 0  # operands and results of an op

    @property
    def used(self) -> bool:
        """Whether there is such an op."""
        return bool(self.teller.ops)

    def start(self) -> list[str]:
        """The table, and room for scalars behind it, for the entry block."""
        return [f"  %table = alloca [{1 + 2 * self.most} x i64], align 8"] if self.used else []

    def text(self) -> str:
        """The declarations."""
        return f"{DECLARATION}\n{TELLER}" if self.used else ""

    def write(self, op: Op) -> None:
        """One op, at this point of the program."""
        if op.results and not any(map(bytes_of, op.results)):
            return
        n = len(self.teller.ops)
        self.teller.ops.append(op)
        self.most = max(self.most, len(op.operands) + len(op.results))
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
        every = (*op.operands, *op.results)  # results are no scalars
        for k, v in enumerate(every):
            entry = em.op(f"getelementptr i64, ptr %table, i64 {1 + k}", "ptr")
            if v.type.shape:
                where = self.m.pointer(self.m.plan.owner[v])
            else:
                word = em.op(f"getelementptr i64, ptr %table, i64 {1 + len(every) + k}", "ptr")
                memory.write(em, word, scalar.store_as(em, values[v]), None)
                where = word.text
            em.raw(f"store ptr {where}, ptr {entry.text}")
        return em.op("call i32 @pb_tell(ptr @pb_teller, ptr %table)", "i32")
