"""Loads every module that enters implementations into `numpy_protocol.FUNCTIONS`."""

from __future__ import annotations

from . import (
    numpy_calculus,
    numpy_create,
    numpy_join,
    numpy_linalg,
    numpy_more,
    numpy_reduce,
    numpy_rest,
    numpy_shape,
    numpy_solve,
    numpy_sort,
    numpy_ufuncs,
    numpy_views,
)

__all__ = [
    "numpy_calculus", "numpy_create", "numpy_join", "numpy_linalg", "numpy_more", "numpy_reduce", "numpy_rest",
    "numpy_shape", "numpy_solve", "numpy_sort", "numpy_ufuncs", "numpy_views",
]  # fmt: skip
