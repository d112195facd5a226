"""Ops that compiled code leaves to NumPy: a C callback that runs the op's own meaning on arrays in compiled memory.

For what has no code here and takes long beside the call (about 10 us): the eigenvalues of matrices. So functions and
loops with such an op stay native around it. The callback takes the GIL itself. It gives a status, as routines do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.graph import Op
from .access import shape_of
from .buffers import bytes_of

if TYPE_CHECKING:
    from .module import ModuleWriter

OPS = ("eigh",)
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))
_Layout = Sequence[tuple[tuple[int, ...], "np.dtype[Any]"]]


class NumpyCalls:
    """The callbacks of one module."""

    def __init__(self, module: ModuleWriter) -> None:
        self.module = module
        self.callbacks: dict[str, Any] = {}

    def symbols(self) -> dict[str, int]:
        """Addresses by name."""
        return {name: ctypes.cast(call, ctypes.c_void_p).value or 0 for name, call in self.callbacks.items()}

    def write(self, op: Op) -> None:
        """The call: pointers to operands and results in a table on the stack."""
        m, values = self.module, [*op.operands, *op.results]
        if not any(map(bytes_of, op.results)):
            return
        name = f"pb_numpy{len(self.callbacks)}"
        self.callbacks[name] = _CALLBACK(_callback(op))
        em = m.scope.scalar
        em.decls[name] = f"declare i32 @{name}(ptr)"
        table = m.top.scalar.op(f"alloca ptr, i64 {len(values)}", "ptr").text
        for k, v in enumerate(values):
            slot = em.op(f"getelementptr ptr, ptr {table}, i64 {k}", "ptr").text
            em.raw(f"store ptr {m.pointer(m.plan.owner[v])}, ptr {slot}")
        status = em.op(f"call i32 @{name}(ptr {table})", "i32")
        m.fail(em.compare("ne", status, 0), str(m.plan.order[op] + 1))


def _callback(op: Op) -> Callable[[Any], int]:
    """What runs the op; it knows nothing of the program but shapes and attributes."""
    kind, attrs, count = op.kind, dict(op.attrs), len(op.operands)
    layout = [(shape_of(v), v.type.dtype.np) for v in (*op.operands, *op.results)]

    def run(table: Any) -> int:
        try:
            arrays = _arrays(table, layout)
            made = kind.eager(attrs, *arrays[:count])
            for out, y in zip(arrays[count:], made if isinstance(made, tuple) else (made,), strict=True):
                out[...] = y
        except Exception:
            return 1
        return 0

    return run


def _arrays(table: Any, layout: _Layout) -> list[np.ndarray[Any, Any]]:
    out = []
    for k, (shape, dtype) in enumerate(layout):
        size = int(np.prod(shape)) * dtype.itemsize
        memory: Any = (ctypes.c_char * size).from_address(table[k]) if size else b""
        out.append(np.ndarray(shape, dtype, memory))
    return out
