"""From a static IR function to an `Executable`: plan, write the module, compile, load."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from ..ir.graph import Function
from ..ir.sizes import Session
from ..ir.types import StackType
from . import describe
from .errors import NO_MEMORY, Unsupported, runtime_error
from .fusion import plan
from .jit import Library, compile_module
from .lowering import lower
from .module import Module, ModuleWriter
from .python_calls import guarded
from .rows import join_rows

Array = np.ndarray[Any, Any]
OPT_LEVEL = 1


class Executable:
    """Machine code for one function.

    Attributes:
      fn: the IR that was compiled (after last rewrites). library: the code; its symbol `main` is
      `i32 main(ptr ins, ptr outs, ptr scratch)`. scratch_bytes: size of the arena, to be aligned to 64.
      donate: result -> parameter whose memory the result may be given; those fewer that are whole when a call fails.
      work: a rough time in ns.
    """

    def __init__(
        self, fn: Function, module: Module, library: Library, donate: Mapping[int, int], text: str, work: float
    ) -> None:
        self.fn = fn
        self.library = library
        self.scratch_bytes = module.memory.scratch
        self.donate = dict(donate)
        self.kernels = text
        self.work = work

    @property
    def llvm(self) -> str:
        """The LLVM text."""
        return self.library.llvm

    def asm(self) -> str:
        """The assembly."""
        return self.library.asm()

    def error(self, status: int) -> Exception:
        """The error for a status that `main` returned."""
        if status == NO_MEMORY:
            return MemoryError(f"@{self.fn.name}: no memory for a stack of the reverse pass")
        op = next(islice(self.fn.body.walk(), status - 1, None))
        return runtime_error(op)

    @cached_property
    def _main(self) -> Any:
        return guarded(self.library, "main")

    def run(self, ins: Sequence[Array], outs: Sequence[Array] | None = None) -> list[Array]:
        """Calls the function through ctypes.

        Args:
          ins: C-contiguous arrays of the parameters' dtypes and shapes.
          outs: arrays for the results; fresh ones by default. A result that may take a parameter's memory
            (`donate`) may be given that parameter's array.

        Raises:
          InvalidArgumentError: an index was out of range, or an integer divisor zero; and what effects raise.
        """
        for x, p in zip(ins, self.fn.params, strict=True):
            if x.dtype != p.type.dtype.np or x.shape != p.type.shape or not x.flags.c_contiguous:
                raise TypeError(f"found an array {x.dtype}{list(x.shape)}, the parameter is {p.type} (C-contiguous)")
        if outs is None:
            outs = [np.empty(t.shape, t.dtype.np) for t in self.fn.result_types]
        scratch = np.empty(self.scratch_bytes + 64, np.uint8)
        start = scratch.ctypes.data
        status = self._main(_table(ins), _table(outs), start + -start % 64)
        if status:
            raise self.error(status)
        return list(outs)


def _table(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * max(1, len(arrays)))(*[a.ctypes.data for a in arrays])


def compile_function(
    fn: Function,
    *,
    donate: Mapping[int, int] | None = None,
    contract: bool = False,
    opt: int | None = None,
    check_bounds: bool = True,
    session: Session | None = None,
) -> Executable:
    """Compiles a static function that went through `pipeline.optimise`.

    Args:
      donate: result index -> parameter index whose buffer the result may overwrite; the code is right whether or not
        the caller gives both the same memory. `Executable.donate` says for which of them that is so.
      contract: allows the machine to fuse products and sums of the user's arithmetic.
      opt: the code generator's level, 0 to 3. check_bounds: whether indices are tested at run time; if not, one that
        is out of range reads or destroys other memory. session: that of the sizes with names, if the function has any.

    Raises:
      Unsupported: an op or dtype has no machine form, or a size is not known.
    """
    if not fn.is_static:
        raise Unsupported(None, f"function @{fn.name} has symbolic sizes: specialise it first")
    for v in (*fn.params, *fn.results):
        if isinstance(v.type, StackType):
            raise Unsupported(None, f"function @{fn.name} takes or gives a stack")
    for op in fn.body.walk():
        if op.kind.name == "call":
            raise Unsupported(op, "there is no compiled form of this op yet")
    lowered, given = lower(fn), dict(donate or {})
    steps = plan(lowered)
    join_rows(steps)
    while True:
        writer = ModuleWriter(steps, given, contract, check_bounds, session)
        module = writer.write()
        if not writer.torn:
            break
        for result in writer.torn:  # its donor would be half written when the call fails
            del given[result]
    library = compile_module(module.text, module.symbols, opt=OPT_LEVEL if opt is None else opt)
    library.keep += module.keep
    library.asks_python = module.asks_python
    text = describe.describe(steps, module)
    return Executable(lowered, module, library, given, text, describe.work(steps, module))
