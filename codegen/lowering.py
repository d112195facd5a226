"""Last rewrites before planning: ops whose best machine form is another op.

Sizes that are known become constants; products of integer matrices, and products with a single row or column, become
sums of products, which the fusion then keeps from ever being arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.builder import Expr, IRBuilder
from ..ir.graph import Block, Function, Op, Value
from ..ir.sizes import is_named
from .access import shape_of

_SMALL = 64 * 64  # elements of the matrix up to which an own loop beats BLAS's matrix-vector product


def lower(fn: Function) -> Function:
    """A copy of the function with these rewrites, or the function itself where none applies."""
    if not any(_rule(op) for op in fn.body.walk()):
        return fn
    return Function(fn.name, _block(fn.body, {}))


def _block(block: Block, mapping: dict[Value, Value]) -> Block:
    body = Block(Value(p.type, p.name) for p in block.params)
    mapping.update(zip(block.params, body.params, strict=True))
    for op in block.ops:
        b = IRBuilder(body, op.loc)
        rule = _rule(op)
        if rule is not None:
            made = rule(b, op, [Expr(b, mapping[v]) for v in op.operands])
            mapping[op.results[0]] = made.value
            continue
        regions = [_block(r, mapping) for r in op.regions]
        new = Op(op.kind, [mapping[v] for v in op.operands], op.attrs, regions, [r.type for r in op.results], op.loc)
        for old, r in zip(op.results, new.results, strict=True):
            r.name = old.name
            mapping[old] = r
        body.ops.append(new)
    return body


Rule = Callable[[IRBuilder, Op, list[Any]], Any]


def _rule(op: Op) -> Rule | None:
    name = op.kind.name
    if name in ("dim", "shape_of"):
        return _size
    if name == "matmul" and (not op.results[0].type.dtype.is_floating or _thin(op)):
        return _sum_of_products
    return None


def _size(b: IRBuilder, op: Op, xs: list[Any]) -> Any:
    shape, dtype = op.operands[0].type.shape, op.attrs["dtype"]
    if op.kind.name == "dim":
        return _number(b, shape[op.attrs["axis"]], dtype)
    if any(map(is_named, shape)):
        return b.concat(*(b.reshape(_number(b, d, dtype), shape=(1,)) for d in shape), axis=0)
    return b.const(np.asarray(shape), dtype)


def _number(b: IRBuilder, size: Any, dtype: Any) -> Any:
    return b.size_value(size=size, dtype=dtype) if is_named(size) else b.const(np.asarray(size), dtype)


def _thin(op: Op) -> bool:
    """A matrix times a vector, small enough for a loop of our own."""
    m, n = shape_of(op.results[0])[-2:]
    k = shape_of(op.operands[0])[-2 if op.attrs["transpose_a"] else -1]
    return (m == 1 or n == 1) and m * n * k <= _SMALL


def _sum_of_products(b: IRBuilder, op: Op, xs: list[Any]) -> Any:
    """sum over k of a[..., m, k, 1] * b[..., 1, k, n]."""
    x, y = xs
    if op.attrs["transpose_a"]:
        x = _flipped(b, x)
    if op.attrs["transpose_b"]:
        y = _flipped(b, y)
    *outer, m, k = b.shape(x)
    x = b.reshape(x, shape=(*outer, m, k, 1))
    *outer, k, n = b.shape(y)
    y = b.reshape(y, shape=(*outer, 1, k, n))
    product = x * y
    return b.reduce_sum(product, axes=(len(b.shape(product)) - 2,), keepdims=False)


def _flipped(b: IRBuilder, x: Any) -> Any:
    rank = len(b.shape(x))
    return b.transpose(x, perm=(*range(rank - 2), rank - 1, rank - 2))
