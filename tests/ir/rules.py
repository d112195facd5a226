"""Small interpreters that run the ops' derivative rules over IR functions, for tests only.

They share nothing with the passes of pullback.ir: values are dictionaries, cotangents are added up as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import RAW, new_function
from pullback.ir.graph import Function
from pullback.ir.opdef import Into, OpDef, get
from pullback.ir.parser import parse_type
from pullback.ir.quiet import Quiet
from pullback.ir.types import TensorType, type_of_array


def as_tuple(x: Any) -> tuple[Any, ...]:
    """Results of an op as a tuple."""
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def whole(ct: Any) -> Any:
    """A cotangent as an array."""
    return ct.start() if isinstance(ct, Into) else ct


def is_real(x: Any) -> bool:
    """Whether finite differences mean anything for the array."""
    return np.asarray(x).dtype == np.float64


def run(fn: Function, args: Sequence[Any]) -> list[Any]:
    """Results of a straight-line function."""
    return tangents(fn, args, [None] * len(args))[0]


def tangents(fn: Function, args: Sequence[Any], ts: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Results and their tangents, by the ops' jvp rules."""
    value: dict[Any, Any] = dict(zip(fn.params, args, strict=True))
    tangent: dict[Any, Any] = dict(zip(fn.params, ts, strict=True))
    with Quiet():
        for op in fn.body.ops[:-1]:
            xs, dxs = [value[v] for v in op.operands], [tangent[v] for v in op.operands]
            ys = as_tuple(op.kind.eager(op.attrs, *xs))
            moves = any(t is not None for t in dxs)
            dys = as_tuple(op.kind.jvp(RAW, op.attrs, ys, xs, dxs)) if moves else (None,) * len(ys)
            value.update(zip(op.results, ys, strict=True))
            tangent.update(zip(op.results, dys, strict=True))
    return [value[r] for r in fn.results], [tangent[r] for r in fn.results]


def cotangents(fn: Function, args: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
    """Cotangents of the parameters, by the ops' vjp rules."""
    value: dict[Any, Any] = dict(zip(fn.params, args, strict=True))
    for op in fn.body.ops[:-1]:
        ys = as_tuple(op.kind.eager(op.attrs, *[value[v] for v in op.operands]))
        value.update(zip(op.results, ys, strict=True))
    ct: dict[Any, Any] = {}

    def accumulate(v: Any, c: Any) -> None:
        if c is not None:
            ct[v] = whole(c) if v not in ct else c.add(ct[v]) if isinstance(c, Into) else ct[v] + c

    with Quiet():
        for r, c in zip(fn.results, cts, strict=True):
            accumulate(r, c)
        for op in reversed(fn.body.ops[:-1]):
            xs, ys = [value[v] for v in op.operands], [value[v] for v in op.results]
            back = op.kind.vjp(RAW, op.attrs, ys, xs, [ct.get(v) for v in op.results], [True] * len(xs))
            for v, c in zip(op.operands, back, strict=True):
                accumulate(v, c)
    return [ct.get(p) for p in fn.params]


def function(op: OpDef, attrs: dict[str, Any], operands: Sequence[Any]) -> Function:
    """The op alone as an IR function of its operands."""
    fn, b = new_function("f", [type_of_array(np.asarray(x)) for x in operands])
    b.ret(as_tuple(b.apply(op, [b.expr(p) for p in fn.params], attrs)))
    return fn


def vjp_function(op: OpDef, attrs: dict[str, Any], operands: Sequence[Any]) -> Function:
    """(operands, cotangents) -> the cotangents that the op's rule gives, as IR, without those that are None."""
    types = [type_of_array(np.asarray(x)) for x in operands]
    out_types = op.infer(attrs, types)
    fn, b = new_function("g", [*types, *out_types])
    xs = [b.expr(p) for p in fn.params[: len(types)]]
    ys = as_tuple(b.apply(op, xs, attrs))
    cts = op.vjp(b, attrs, ys, xs, [b.expr(p) for p in fn.params[len(types) :]], [True] * len(xs))
    b.ret([whole(c) for c in cts if c is not None])
    return fn


def difference(f: Callable[[Sequence[Any]], Sequence[Any]], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    """The directional derivative of f by central differences with one Richardson step; None tangents stand still."""

    def at(h: float) -> Sequence[Any]:
        return f([x if t is None else x + h * t for x, t in zip(xs, ts, strict=True)])

    def central(h: float) -> list[Any]:
        return [(hi - lo) / (2 * h) for hi, lo in zip(at(h), at(-h), strict=True)]

    h = 2e-4
    return [(4 * fine - coarse) / 3 for fine, coarse in zip(central(h / 2), central(h), strict=True)]


def vjp(name: str, attrs: dict[str, Any], *operands: Any, ct: Any = None) -> list[Any]:
    """Cotangents of the operands of one op on arrays, all ones (or `ct`) at the result."""
    op = get(name)
    y = op.eager(attrs, *operands)
    ct = np.ones_like(y) if ct is None else np.asarray(ct, y.dtype)
    with Quiet():
        return [whole(c) for c in op.vjp(RAW, attrs, [y], operands, [ct], [True] * len(operands))]


def types_of(*operands: Any) -> list[TensorType]:
    """The types of arrays; a text such as 'f32[2, n]' stands for itself."""
    return [parse_type(x) if isinstance(x, str) else type_of_array(np.asarray(x)) for x in operands]


def infer(name: str, *operands: Any, **attrs: Any) -> str:
    """The result type of an op, as text."""
    return ", ".join(map(str, get(name).infer(attrs, types_of(*operands))))
