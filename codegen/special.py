"""Steps that are no fused loop nests: matrix products, factorisations, sorting, scatter, argmax, scans, effects.

`inputs(op)` says which buffers (and scalars) such a step takes, `check(op)` refuses dtypes it has no code for. The
code itself is in `matmul.py`, `opaque.py`, `stacks.py` and `effects.py`.
"""

from __future__ import annotations

from math import prod

from ..ir.graph import Op, Value
from ..ir.sizes import estimate
from . import factor, order
from .access import shape_of
from .errors import Unsupported

_FLOATS, _NUMBERS, _ALL = ("f32", "f64"), ("f32", "f64", "i32", "i64"), ("f32", "f64", "i32", "i64", "bool")
_TAKES = {
    "matmul": _NUMBERS, "scatter_add": _NUMBERS, "scatter_update": _ALL,
    "argmax": _ALL, "argmin": _ALL, "cumsum": _NUMBERS, "print": _ALL, "assert": _ALL,
    "linear_scan": _NUMBERS, "stack_new": _ALL, "stack_zeros": _ALL, "push": _ALL, "pop": _ALL,
    "cholesky": _FLOATS, "lu": _FLOATS, "lu_solve": _FLOATS, "triangular_solve": _FLOATS, "eigh": _FLOATS,
    "argsort": ("i32", "i64"), "searchsorted": ("i32", "i64"),
}  # fmt: skip

SCATTERS = ("scatter_add", "scatter_update")  # write into what held their first operand
NUMPY = ("eigh",)  # run by NumPy: `effects`

MULTIPLY_ADDS_PER_NS = 40.0
_SORT_NS = 20.0
_NUMPY_NS = 10_000.0


def check(op: Op) -> None:
    """Raises Unsupported for an op without code, or without code for these dtypes."""
    dtypes = _TAKES.get(op.kind.name)
    if dtypes is None or op.regions:
        raise Unsupported(op, "there is no compiled form of this op")
    for v in (*op.operands, *op.results):
        if v.type.dtype.short not in _ALL:
            raise Unsupported(op, f"dtype {v.type.dtype.name} has no compiled form")
    if op.results and op.results[0].type.dtype.short not in dtypes:
        raise Unsupported(op, f"there is no compiled form for {op.results[0].type.dtype.name}")


def inputs(op: Op) -> tuple[Value, ...]:
    """The values that the step reads; those that are not scalars must lie in buffers."""
    if op.kind.name == "matmul":
        return tuple(untransposed(v)[0] for v in op.operands)
    return tuple(op.operands)


def work(op: Op) -> float | None:
    """A rough run time in ns, where it grows faster than the arrays; else None."""
    name = op.kind.name
    if name == "matmul":
        k = estimate(shape_of(op.operands[0])[-2 if op.attrs["transpose_a"] else -1])
        return 30 + _elements(op.results[0]) * k / MULTIPLY_ADDS_PER_NS
    if name in factor.OPS:
        return 30 + _elements(op.results[0]) * estimate(shape_of(op.operands[0])[-1]) / factor.STEPS_PER_NS
    if name in order.OPS:
        return 5 + _elements(op.results[0]) * _SORT_NS
    if name in NUMPY:
        return _NUMPY_NS + _elements(op.operands[0]) * estimate(shape_of(op.operands[0])[-1])
    return None


def _elements(v: Value) -> int:
    return estimate(prod(shape_of(v)))


def workspace(op: Op) -> Value | None:
    """An array that the step writes and reads, and nobody else."""
    return order.workspace(op) if op.kind.name in order.OPS else None


def untransposed(v: Value) -> tuple[Value, bool]:
    """A matrix (or stack of them) and whether it is read transposed: a `transpose` of the last two axes is free."""
    flip = False
    while isinstance(v.owner, Op) and v.owner.kind.name == "transpose":
        perm = tuple(v.owner.attrs["perm"])
        rank = len(perm)
        if rank < 2 or perm != (*range(rank - 2), rank - 1, rank - 2):
            break
        v, flip = v.owner.operands[0], not flip
    return v, flip
