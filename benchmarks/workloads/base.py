"""What a workload is: inputs, a reference answer in float64, and where it belongs.

The inputs are made once, by the process that conducts the run, and every framework reads the same arrays. The reference
answers, gradients included, are computed with NumPy in float64, by formulas written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = dict[str, Array]
Size = int | str                         # "1000x1000" where one number does not say it


@dataclass(frozen=True)
class Workload:
    """One thing to measure.

    Attributes:
      group: the chart it is in. unit: what a time is for. sizes: those measured. tiny: the one of --tiny.
      tolerance: largest difference allowed to the reference, relative to the largest entry of that output.
    """

    name: str
    title: str
    group: str
    sizes: tuple[Size, ...]
    tiny: Size
    inputs: Callable[[Size], Inputs]
    reference: Callable[[Inputs], list[Array]]
    tolerance: float = 1e-5
    unit: str = "call"


def whole(size: Size) -> int:
    """A size that is one number."""
    assert isinstance(size, int)
    return size


def pair(size: Size) -> tuple[int, int]:
    """The two numbers of "100x20"."""
    a, b = str(size).split("x")
    return int(a), int(b)


def doubles(inputs: Inputs) -> Inputs:
    """The same with float64 in place of float32."""
    return {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in inputs.items()}


def generator(name: str) -> np.random.Generator:
    """Random numbers of a workload's own, the same in every run."""
    return np.random.default_rng([ord(c) for c in name])
