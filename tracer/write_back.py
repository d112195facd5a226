"""The way out of a call: results as Tensors or arrays, and what the function wrote to its arguments.

A compiled function gets its arguments by value. What it writes to them (`x[i] = v`) comes back as further outputs, and
is given to the caller's objects here: an ndarray is written in place, a Tensor's or array's handle gets the new value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..runtime.array import array_of
from ..runtime.handles import rebind
from ..runtime.location import at
from ..runtime.tensor import Tensor
from .structure import Structure
from .symbolic import SymbolicTensor


def packer(structure: Structure, arrays: Sequence[int]) -> Callable[[Sequence[Any]], Any]:
    """What builds the nested result of a list of fresh tensors, of which some are arrays."""
    if not arrays:
        return lambda leaves: structure.pack(list(leaves))

    def pack(leaves: Sequence[Any]) -> Any:
        for i in arrays:
            array_of(leaves[i])
        return structure.pack(list(leaves))

    return pack


def check_apart(name: str, written: Sequence[int], arguments: Sequence[Any]) -> None:
    """Raises ValueError where an argument that is written shares memory with another: here each has its own value."""
    for i in written:
        for k, other in enumerate(arguments):
            if k != i and shares(arguments[i], other):
                raise ValueError(
                    f"'{name}' writes to an argument that shares its memory with another argument of the same call; "
                    f"pass a copy of one of them (x.copy()){at()}"
                )


def shares(x: Any, y: Any) -> bool:
    """Whether a write to one is seen in the other."""
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return bool(np.may_share_memory(x, y) and np.shares_memory(x, y))
    root = [t._part.base if isinstance(t, Tensor) and t._part is not None else t for t in (x, y)]
    return root[0] is root[1]


def write_back(name: str, argument: str, target: Any, new: Tensor) -> None:
    """Gives the caller's object its new value."""
    if not isinstance(target, np.ndarray):
        rebind(target, new)
    elif isinstance(new, SymbolicTensor):
        raise ValueError(
            f"'{name}' writes to its argument '{argument}', an ndarray from outside of the function that is being "
            f"traced: pass it to that function as an argument, or make it inside{at()}"
        )
    elif not target.flags.writeable:
        raise ValueError(f"'{name}' writes to its argument '{argument}', which is a read-only array: pass a copy{at()}")
    else:
        np.copyto(target, new._data)
