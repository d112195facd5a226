"""Loads the whole op table: importing this module declares every op.

`ops.table()` lists them; adding an op means adding it to one of the modules below, and a sample of its operands to
`tests/ir/op_samples.py`.
"""

from __future__ import annotations

from . import (
    control,
    create_ops,
    elementwise,
    elementwise_math,
    elementwise_numpy,
    index_ops,
    linalg,
    nn_ops,
    ragged_ops,
    reduce,
    scan,
    scatter,
    shape_ops,
    stack_ops,
)
from .opdef import find, get, table

__all__ = [
    "control",
    "create_ops",
    "elementwise",
    "elementwise_math",
    "elementwise_numpy",
    "find",
    "get",
    "index_ops",
    "linalg",
    "nn_ops",
    "ragged_ops",
    "reduce",
    "scan",
    "scatter",
    "shape_ops",
    "stack_ops",
    "table",
]
