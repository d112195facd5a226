"""From what a framework returns to arrays, and how far they are from the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def leaves(result: Any) -> list[Any]:
    """The arrays of a nested result, in order, as float64."""
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in leaves(part)]
    if hasattr(result, "detach"):                    # a torch tensor that may be part of a graph
        result = result.detach()
    return [np.asarray(result, dtype=np.float64)]


def error_of(got: Any, want: Any) -> float:
    """Largest difference, relative to the largest entry; infinite where shapes differ or a NaN is."""
    if got.shape != want.shape:
        return float("inf")
    if not want.size:
        return 0.0
    error = float(np.max(np.abs(got - want)) / max(float(np.max(np.abs(want))), 1e-30))
    return error if np.isfinite(error) else float("inf")


def errors_of(got: Sequence[Any], want: Sequence[Any]) -> list[float]:
    """One error per output; a single infinite one when there are more or fewer than there should be."""
    if len(got) != len(want):
        return [float("inf")]
    return [error_of(g, w) for g, w in zip(got, want, strict=True)]
