"""Loads the whole op table: importing this module declares every op.

`ops.table()` lists them; adding an op means adding it to one of the modules below, and a sample of its operands to
`tests/ir/op_samples.py`.
"""

from __future__ import annotations

from . import (
    control,
    create_ops,
    decompositions,
    elementwise,
    elementwise_gamma,
    elementwise_math,
    elementwise_numpy,
    index_ops,
    linalg,
    nn_ops,
    order,
    ragged_ops,
    reduce,
    scan,
    scatter,
    shape_ops,
    solves,
    stack_ops,
)
from .opdef import find, get, table

__all__ = [
    "control",
    "create_ops",
    "decompositions",
    "elementwise",
    "elementwise_gamma",
    "elementwise_math",
    "elementwise_numpy",
    "find",
    "get",
    "index_ops",
    "linalg",
    "nn_ops",
    "order",
    "ragged_ops",
    "reduce",
    "scan",
    "scatter",
    "shape_ops",
    "solves",
    "stack_ops",
    "table",
]
