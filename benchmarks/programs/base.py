"""What a program of this folder is: a plain NumPy function, inputs for it, and a scalar to differentiate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A program as a scientist writes it.

    Attributes:
      objective: takes the inputs by position, gives a scalar, and leaves its arguments as they were.
      inputs: the arguments for a size: float64 arrays and scalars, and Python ints. wrt: those differentiated.
      sizes: the sizes to measure. tiny: the one to test with. steps: a step of central differences that suits it.
      numba: whether numba compiles the very same text.
    """

    name: str
    title: str
    objective: Callable[..., Any]
    inputs: Callable[[int], Inputs]
    wrt: tuple[str, ...]
    sizes: tuple[int, ...]
    tiny: int
    step: float = 1e-6
    numba: bool = True

    def argnums(self) -> tuple[int, ...]:
        """The positions of the differentiated arguments."""
        names = list(self.inputs(self.tiny))
        return tuple(names.index(name) for name in self.wrt)


def seeded(name: str) -> np.random.Generator:
    """Random numbers of a program's own, the same in every process."""
    return np.random.default_rng([ord(c) for c in name])
