"""Values that are known while tracing: constants and sizes, folded as ops are recorded.

They let a tensor serve as an axis, a shape or a size: `pb.reshape(x, [pb.shape(x)[0], -1])` works although nothing has
run yet. An entry may be a symbolic size; then the array has dtype object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.dims import Dim, maximum, minimum
from ..ir.graph import Value
from ..ir.opdef import OpDef
from ..ir.sizes import is_named

Array = np.ndarray[Any, Any]
FOLD_LIMIT = 64

_SIZES_AS_IS = frozenset(
    (
        "add",
        "sub",
        "mul",
        "neg",
        "slice",
        "reshape",
        "concat",
        "broadcast_to",
        "transpose",
        "reverse",
        "gather",
        "identity",
    )
)


def fold(
    op: OpDef, attrs: dict[str, Any], statics: Sequence[Any], values: Sequence[Value], results: Sequence[Value]
) -> list[Any]:
    """The known values of an op's results, None where they are not known. Never raises."""
    unknown = [None] * len(results)
    if op.effect or not results or not all(_small(r) for r in results):
        return unknown
    if op.name in ("shape_of", "dim"):
        return [_shape(op.name, attrs, values[0].type.shape, results[0])]
    if op.name == "size_value":
        return [_shape("dim", {"axis": 0}, (attrs["size"],), results[0])]
    if any(s is None for s in statics) or op.name == "call":
        return unknown
    symbolic = any(s.dtype == object for s in statics)
    try:
        with np.errstate(all="ignore"):
            out = _fold_sizes(op, attrs, statics) if symbolic else op.eager(attrs, *statics)
    except Exception:
        return unknown  # the op itself will say what is wrong when it runs
    outs = list(out) if isinstance(out, tuple) else [out]
    return [None if o is None else _checked(o, r) for o, r in zip(outs, results, strict=True)]


def _small(r: Value) -> bool:
    size = r.type.size
    return type(size) is int and size <= FOLD_LIMIT


def _checked(out: Any, result: Value) -> Any:
    array = np.asarray(out)
    return array if array.shape == result.type.shape else None


def _shape(name: str, attrs: dict[str, Any], shape: Sequence[Any], result: Value) -> Array:
    entries = shape if name == "shape_of" else (shape[attrs["axis"]],)
    if any(isinstance(d, Dim) or is_named(d) for d in entries):
        out = np.empty(len(entries), object)
        out[:] = entries
    else:
        out = np.array(entries, result.type.dtype.np)
    return out if name == "shape_of" else out.reshape(())


def _fold_sizes(op: OpDef, attrs: dict[str, Any], xs: Sequence[Array]) -> Any:
    """Arithmetic on symbolic sizes, for the few ops that shapes are made with."""
    special = _SPECIAL.get(op.name)
    if special is not None:
        out = special(attrs, *xs)
    elif op.name in _SIZES_AS_IS:
        out = op.eager(attrs, *[_as_objects(x) for x in xs])
    else:
        return None
    return np.asarray(out, object) if not isinstance(out, np.ndarray) else out


def _as_objects(x: Array) -> Array:
    if x.dtype == object:
        return x
    out = np.empty(x.shape, object)
    for i, v in enumerate(x.reshape(-1).tolist()):
        out.flat[i] = v
    return out


def _binary(fn: Callable[[Any, Any], Any]) -> Callable[..., Array]:
    return lambda attrs, x, y: np.frompyfunc(fn, 2, 1)(_as_objects(x), _as_objects(y))


def _cast(attrs: dict[str, Any], x: Array) -> Array | None:
    return x if attrs["dtype"].is_integer else None


def _reduce(fn: np.ufunc) -> Callable[..., Array]:
    return lambda attrs, x: fn.reduce(x, axis=tuple(attrs["axes"]), keepdims=attrs.get("keepdims", False))


_SPECIAL: dict[str, Callable[..., Any]] = {
    "cast": _cast,
    "floordiv": _binary(lambda a, b: a // b),
    "floor_div": _binary(lambda a, b: a // b),
    "maximum": _binary(maximum),
    "minimum": _binary(minimum),
    "reduce_sum": _reduce(np.add),
    "reduce_prod": _reduce(np.multiply),
}
