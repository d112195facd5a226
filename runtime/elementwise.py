"""What all elementwise public ops share: bringing operands to one dtype, checking it once, running the op.

TensorFlow never promotes between tensors: the first tensor among the operands decides, Python numbers, lists and NumPy
arrays are converted to its dtype, another tensor of another dtype is an error. Without a tensor the first operand's own
dtype decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..ir.dtypes import DType, as_dtype
from ..ir.elementwise import Elementwise
from ..ir.opdef import OpDef
from .context import context, slow_mode
from .convert import as_tensor
from .direct import NONE, binary_of, remember, unary_of
from .dispatch import apply, check
from .errors import DtypeMismatch, TypeMismatch, fail
from .numpy_methods import NumpyMethods
from .tensor import Tensor

_checked: set[tuple[OpDef, np.dtype[Any]]] = set()
_BINARY: dict[OpDef, Callable[[Any, Any], Tensor]] = {}
# Ops whose NumPy meaning and derivative rule hold for complex numbers as they stand (they are holomorphic).
_HOLOMORPHIC = frozenset((
    "add", "sub", "mul", "div", "neg", "square", "sqrt", "rsqrt", "exp", "log", "expm1", "log1p", "sin", "cos", "tan",
    "sinh", "cosh", "tanh", "pow", "sigmoid", "reduce_sum", "reduce_prod", "cumsum",
))  # fmt: skip


def binary(op: OpDef, x: Any, y: Any) -> Tensor:
    """An op of two operands that broadcast."""
    run = _BINARY.get(op) or binary_function(op)
    return run(x, y)


def binary_function(op: OpDef) -> Callable[[Any, Any], Tensor]:
    """`binary` of one op."""
    found = _BINARY.get(op)
    if found is not None:
        return found

    def general(x: Any, y: Any) -> Tensor:
        x, y = operands(op.name, x, y)
        if type(x) is not Tensor or (op, x._data.dtype) not in _checked:
            ready(op, x)
        return apply(op, (x, y), NONE)  # type: ignore[no-any-return]

    made = binary_of(op, general) if isinstance(op, Elementwise) else general
    return _BINARY.setdefault(op, made)


def unary(op: OpDef, x: Any, **attrs: Any) -> Tensor:
    """An op of one operand."""
    if type(x) is not Tensor:
        x = as_tensor(x)
        ready(op, x, attrs)
    elif (op, x._data.dtype) not in _checked:
        ready(op, x, attrs)
    return apply(op, (x,), attrs)  # type: ignore[no-any-return]


def unary_function(op: OpDef) -> Callable[[Any], Tensor]:
    """`unary` of an op that has no attributes."""

    def general(x: Any) -> Tensor:
        return unary(op, x)

    return unary_of(op, general) if isinstance(op, Elementwise) else general


def ready(op: OpDef, x: Tensor, attrs: dict[str, Any] = NONE) -> None:
    """Raises TypeMismatch when the op is not defined for the dtype; remembers the answer for eager tensors."""
    d = x.dtype
    if not (d.is_complex and op.name in _HOLOMORPHIC) and not (d.kind in "sc" and op.name in ("eq", "ne")):
        count = len(getattr(op, "partials", (None,)))
        check(op, (x,) * count, attrs or ({"dtype": d} if "dtype" in op.attrs else NONE))
    if type(x) is Tensor:
        _checked.add((op, x._data.dtype))
        remember(op, x._data.dtype)


def tensor_or_none(x: Any) -> Tensor | None:
    """A tensor or variable as a Tensor, None for anything else."""
    if isinstance(x, Tensor):
        return x
    if hasattr(type(x), "_as_tensor"):
        return x._as_tensor()  # type: ignore[no-any-return]
    return None


def operands(what: str, *xs: Any) -> list[Tensor]:
    """The operands of an op as tensors of one dtype.

    Raises:
      DtypeMismatch: naming both dtypes and the cast to write.
    """
    out: list[Any] = [None if isinstance(x, NumpyMethods) else tensor_or_none(x) for x in xs]
    dtype = None
    for t in out:
        if t is None:
            continue
        d = t._data.dtype if type(t) is Tensor else t.dtype
        if dtype is None:
            dtype = d
        elif d is not dtype and t.dtype != dtype:
            mixed(what, as_dtype(dtype), f"a tensor of dtype {t.dtype.name}")
    if any(t is None for t in out):
        want = None if dtype is None else as_dtype(dtype)
        for i, x in enumerate(xs):
            if out[i] is None:
                out[i] = _converted(what, x, want)
                want = want or out[i].dtype
    return out


def _converted(what: str, x: Any, dtype: DType | None) -> Tensor:
    if dtype is None:
        return as_tensor(x)
    try:
        return as_tensor(x, dtype)
    except DtypeMismatch:
        text = repr(x)
        mixed(what, dtype, f"{text if len(text) < 40 else text[:37] + '...'} of type {type(x).__name__}")


def mixed(what: str, dtype: DType, other: str) -> NoReturn:
    """Raises the error for operands of different dtypes."""
    fail(
        DtypeMismatch,
        f"{what}: the operands differ in dtype: a tensor of dtype {dtype.name} and {other}; nothing is "
        f"promoted silently, write pb.cast(y, pb.{dtype.name}), or cast both to the dtype that you mean",
    )


def tracing() -> bool:
    """Whether a trace is running in this thread."""
    return slow_mode.count > 0 and context.trace is not None


__all__ = ["NONE", "TypeMismatch", "binary", "mixed", "operands", "ready", "tensor_or_none", "tracing", "unary"]
