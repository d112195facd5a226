"""Code for many sizes, and what it is for the sizes of one call.

`Shared` holds the machine code of a function whose sizes have names (`ir.sizes`). `bind` gives it the numbers of one
call: the results' shapes, the arena's size, and the table that the code reads its sizes from (`size_table`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.dims import DimLike, substitute
from ..ir.graph import Function
from ..ir.sizes import Session, dim_of
from ..ir.types import TensorType
from .compile import Executable


class Shared:
    """Machine code and the session of its sizes."""

    def __init__(self, code: Executable, session: Session) -> None:
        self.code, self.session = code, session

    def serves(self, sizes: Mapping[str, int]) -> bool:
        """Whether the code is right for these sizes."""
        return self.session.holds(sizes)

    def bind(self, sizes: Mapping[str, int]) -> Bound:
        """The code for sizes that it serves."""
        return Bound(self, sizes)


class BoundTypes:
    """What is asked of a bound function: its name and its types with numbers for sizes."""

    def __init__(self, fn: Function, sizes: Mapping[str, int]) -> None:
        self.name, self.body = fn.name, fn.body
        self.param_types = [_known(t, sizes) for t in fn.param_types]
        self.result_types = [_known(t, sizes) for t in fn.result_types]


class Bound:
    """Shared code for the sizes of one call; used like an `Executable`.

    Attributes:
      table: what the code reads its sizes from, one more array behind those of the parameters.
    """

    def __init__(self, shared: Shared, sizes: Mapping[str, int]) -> None:
        code = shared.code
        self.shared = shared
        self.fn: Any = BoundTypes(code.fn, sizes)
        self.library, self.donate, self.kernels, self.work = code.library, code.donate, code.kernels, code.work
        self.scratch_bytes = _number(dim_of(code.scratch_bytes), sizes)
        slots: Sequence[DimLike] = list(shared.session.slots)
        self.table = np.array([_number(d, sizes) for d in slots], np.int64)
        self.table.setflags(write=False)

    @property
    def llvm(self) -> str:
        """The LLVM text."""
        return self.shared.code.llvm

    def asm(self) -> str:
        """The assembly."""
        return self.shared.code.asm()

    def error(self, status: int) -> Exception:
        """The error for a status that `main` returned."""
        return self.shared.code.error(status)


def _number(d: DimLike, sizes: Mapping[str, int]) -> int:
    value = substitute(d, sizes)
    assert isinstance(value, int)
    return value


def _known(t: TensorType, sizes: Mapping[str, int]) -> TensorType:
    return type(t)(t.dtype, tuple(_number(dim_of(d), sizes) for d in t.shape))
