"""Arithmetic, comparison and logic: the public ops behind the operators, with TensorFlow's dtype rules."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ..ir.dtypes import DType, as_dtype, bool_, float32, float64
from ..ir.errors import ShapeMismatch
from ..ir.opdef import get
from .convert import as_tensor, constant
from .dispatch import apply
from .elementwise import NONE, binary, binary_function, operands, tracing, unary, unary_function
from .errors import InvalidArgumentError, TypeMismatch, fail
from .tensor import Tensor

_ADD, _SUB, _MUL, _DIV, _POW, _NEG = (get(n) for n in ("add", "sub", "mul", "div", "pow", "neg"))
_FLOORDIV, _MOD, _ABS, _IDENTITY, _CAST = (get(n) for n in ("floordiv", "mod", "abs", "identity", "cast"))
_LT, _LE, _GT, _GE, _EQ, _NE = (get(n) for n in ("lt", "le", "gt", "ge", "eq", "ne"))
run_add, run_sub, run_mul, run_pow, _run_div = map(binary_function, (_ADD, _SUB, _MUL, _POW, _DIV))
run_lt, run_le, run_gt, run_ge, _run_eq, _run_ne = map(binary_function, (_LT, _LE, _GT, _GE, _EQ, _NE))
run_neg, _run_abs, _run_square = map(unary_function, (_NEG, _ABS, get("square")))
_LOGIC = {k: (get("logical_" + k), get("bitwise_" + k)) for k in ("and", "or", "xor")}
_NOT = get("logical_not")
F = TypeVar("F", bound=Callable[..., Any])


def add(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x + y, broadcast. Both of one numeric dtype."""
    return run_add(x, y)


def subtract(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x - y, broadcast."""
    return run_sub(x, y)


def multiply(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * y elementwise, broadcast."""
    return run_mul(x, y)


def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y. Integers are divided as floats: float32 for 8 and 16 bits, else float64."""
    if type(x) is not Tensor or type(y) is not Tensor or x._data.dtype.kind != "f":
        x, y = operands("truediv", x, y)
        dtype: DType = x.dtype
        if dtype.is_integer:
            wide = float32 if dtype.size <= 2 else float64
            x, y = cast(x, wide), cast(y, wide)
        elif not dtype.is_numeric:
            fail(TypeMismatch, f"truediv: dtype {dtype.name} is not numeric: write pb.cast(x, pb.float32)")
    return _run_div(x, y)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, as `truediv`."""
    return truediv(x, y)


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y rounded down. Raises InvalidArgumentError for an integer divided by zero (eagerly)."""
    x, y = operands("floordiv", x, y)
    _no_zero("floordiv", y)
    if not x.dtype.is_floating:
        return binary(_FLOORDIV, x, y)
    return unary(get("floor"), _run_div(x, y))


def mod(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The remainder of `floordiv`: it has the sign of y."""
    x, y = operands("mod", x, y)
    _no_zero("mod", y)
    return binary(_MOD, x, y)


def _no_zero(what: str, y: Tensor) -> None:
    if not tracing() and y._data.dtype.kind in "iu" and not y._data.all():
        fail(InvalidArgumentError, f"{what}: Integer division by zero; guard it with pb.where, or divide floats")


def pow(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x to the power y. Integers need a power >= 0."""
    return run_pow(x, y)


def negative(x: Any, name: str | None = None) -> Tensor:
    """-x."""
    return run_neg(x)


def identity(input: Any, name: str | None = None) -> Tensor:
    """A new Tensor of the same value."""
    return apply(_IDENTITY, (as_tensor(input),), NONE)  # type: ignore[no-any-return]


def as_new(op: F) -> F:
    """An op whose result is never its argument, also where there is nothing to do: each can be written to alone."""

    @wraps(op)
    def call(*args: Any, **kwargs: Any) -> Any:
        y = op(*args, **kwargs)
        return identity(y) if builtins.any(y is x for x in (*args, *kwargs.values())) else y

    return call  # type: ignore[return-value]


def abs(x: Any, name: str | None = None) -> Tensor:
    """The absolute value; for complex numbers the real modulus."""
    if type(x) is not Tensor:
        x = as_tensor(x)
    if x.dtype.is_complex:
        from .ops_complex import modulus

        return modulus(x)
    return _run_abs(x)


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """The same numbers in another dtype; floats become integers by cutting towards zero, bool by `!= 0`.

    A Python float is a float32 first, as in TensorFlow: for all digits write `pb.constant(0.1, pb.float64)`.
    """
    want = as_dtype(dtype)
    t = as_tensor(x)
    if t.dtype is want:
        return t
    if t.dtype.is_complex and not want.is_complex:
        from .ops_complex import real

        t = real(t)
        if t.dtype is want:
            return t
    if want.is_complex and not t.dtype.is_complex:
        from .ops_complex import to_complex

        return to_complex(t, want)
    return apply(_CAST, (t,), {"dtype": want})  # type: ignore[no-any-return]


def conj_square(x: Tensor) -> Tensor:
    """|x|**2, in x's dtype: x * conj(x)."""
    if x.dtype.is_complex:
        from .ops_complex import conj

        return run_mul(x, conj(x))
    return _run_square(x)


def invert(x: Any, name: str | None = None) -> Tensor:
    """Not x: of bools, or of each bit of an integer."""
    x = as_tensor(x)
    if x.dtype.is_integer:
        return binary(_LOGIC["xor"][1], x, -1 if not x.dtype.is_unsigned else x.dtype.max)
    return unary(_NOT, x)


def logic(kind: str, x: Any, y: Any) -> Tensor:
    """and, or, xor: of bools, or of each bit of integers."""
    x, y = operands(kind, x, y)
    return binary(_LOGIC[kind][x.dtype.is_integer], x, y)


def logical_and(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x and y, of bools."""
    return binary(_LOGIC["and"][0], *_bools(x, y))


def logical_or(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x or y, of bools."""
    return binary(_LOGIC["or"][0], *_bools(x, y))


def logical_xor(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x or y but not both, of bools."""
    return binary(_LOGIC["xor"][0], *_bools(x, y))


def logical_not(x: Any, name: str | None = None) -> Tensor:
    """Not x, of bools."""
    return unary(_NOT, x)


def _bools(*xs: Any) -> list[Tensor]:
    return operands("logical", *[as_tensor(x, bool_) if isinstance(x, builtins.bool) else x for x in xs])


def less(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x < y."""
    return run_lt(x, y)


def less_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x <= y."""
    return run_le(x, y)


def greater(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x > y."""
    return run_gt(x, y)


def greater_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x >= y."""
    return run_ge(x, y)


def equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x == y elementwise."""
    return _run_eq(x, y)


def not_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x != y elementwise."""
    return _run_ne(x, y)


def equals(x: Any, y: Any) -> Any:
    """The operator ==: False for None, one False for shapes that do not broadcast."""
    if y is None:
        return False
    try:
        return _run_eq(x, y)
    except ShapeMismatch:
        return constant(False)


def differs(x: Any, y: Any) -> Any:
    """The operator !=: the opposite of `equals`."""
    if y is None:
        return True
    try:
        return _run_ne(x, y)
    except ShapeMismatch:
        return constant(True)


def matmul_operator(x: Any, y: Any) -> Tensor:
    """The operator @."""
    from .ops_linalg import matmul

    x, y = operands("matmul", x, y)
    return matmul(x, y)
