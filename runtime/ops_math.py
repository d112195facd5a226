"""Public elementwise math: one line of TensorFlow's name per op of the table, and what is built from a few of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.dtypes import as_dtype
from ..ir.opdef import get
from . import arithmetic as _a
from .arithmetic import as_new, cast
from .convert import as_tensor
from .elementwise import binary, binary_function, operands, unary_function
from .errors import InvalidArgumentError, ShapeMismatch, fail
from .ops_index import where
from .tensor import Tensor

Unary = Callable[..., Tensor]


def _unary(name: str, op_name: str = "") -> Unary:
    op = get(op_name or name)
    function = unary_function(op)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Elementwise: {op.summary}."
    return function


def _binary(name: str, op_name: str = "") -> Unary:
    op = get(op_name or name)
    run = binary_function(op)

    def function(x: Any, y: Any, name: str | None = None) -> Tensor:
        return run(x, y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Elementwise, broadcast: {op.summary}."
    return function


square, sqrt, rsqrt, exp, log, expm1, log1p = map(_unary, ("square", "sqrt", "rsqrt", "exp", "log", "expm1", "log1p"))
sin, cos, tan, sinh, cosh, tanh = map(_unary, ("sin", "cos", "tan", "sinh", "cosh", "tanh"))
asin, acos, atan, asinh, acosh, atanh = map(_unary, ("asin", "acos", "atan", "asinh", "acosh", "atanh"))
erf, erfc, sigmoid, softplus = map(_unary, ("erf", "erfc", "sigmoid", "softplus"))
is_nan, is_inf, is_finite = map(_unary, ("is_nan", "is_inf", "is_finite"))
maximum, minimum, atan2 = map(_binary, ("maximum", "minimum", "atan2"))
sign = _unary("sign")
_floor, _ceil, _trunc, _round, _relu, _elu = map(_unary, ("floor", "ceil", "trunc", "round", "relu", "elu"))


def _keeps_integers(name: str, on_floats: Unary) -> Unary:
    @as_new
    def function(x: Any, name: str | None = None) -> Tensor:
        t = as_tensor(x)
        return t if t.dtype.is_integer else on_floats(t)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = on_floats.__doc__
    return function


round = _keeps_integers("round", _round)
floor = _keeps_integers("floor", _floor)
ceil = _keeps_integers("ceil", _ceil)
trunc = _keeps_integers("trunc", _trunc)
rint = _unary("rint", "round")


def reciprocal(x: Any, name: str | None = None) -> Tensor:
    """1 / x of floats."""
    t = as_tensor(x)
    return binary(get("div"), as_tensor(1, t.dtype), t)


def reciprocal_no_nan(x: Any, name: str | None = None) -> Tensor:
    """1 / x, and 0 where x is 0."""
    t = as_tensor(x)
    return divide_no_nan(as_tensor(1, t.dtype), t)


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Tensor:
    """A scalar times a tensor. Raises InvalidArgumentError (also a ValueError) when it is no scalar."""
    t = as_tensor(x)
    s = as_tensor(scalar, t.dtype)
    if s.ndim:
        fail(ShapeMismatch, f"scalar_mul: Only scalar multiply works, got shape {s.shape}")
    return _a.multiply(s, t)


def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """log(sigmoid(x)), exact for large -x."""
    return -softplus(-as_tensor(x))


def squared_difference(x: Any, y: Any, name: str | None = None) -> Tensor:
    """(x - y)**2."""
    return square(_a.subtract(x, y))


def add_n(inputs: Sequence[Any], name: str | None = None) -> Tensor:
    """The sum of tensors of one shape. Raises ValueError for none, InvalidArgumentError for differing shapes."""
    if hasattr(inputs, "stacked"):
        from .ops_reduce import reduce_sum

        return reduce_sum(inputs, 0)
    if not isinstance(inputs, (list, tuple)):
        inputs = [inputs]
    if not inputs:
        fail(
            ValueError, "Inputs must be an iterable of at least one Tensor/IndexedSlices with the same dtype and shape."
        )
    ts = operands("add_n", *inputs)
    total = ts[0]
    for t in ts[1:]:
        if t.type.shape != total.type.shape:
            fail(
                ShapeMismatch,
                f"add_n: all inputs must have one shape, got {total.shape} and {t.shape}: nothing is broadcast",
            )
        total = total + t
    return _a.identity(total) if len(ts) == 1 else total


def accumulate_n(inputs: Sequence[Any], shape: Any = None, tensor_dtype: Any = None, name: str | None = None) -> Tensor:
    """The sum of tensors of one shape."""
    return add_n(inputs)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Tensor:
    """Values outside [min, max] moved to its ends. Where clipped the gradient is 0.

    Raises:
      InvalidArgumentError: bounds that would change the shape.
    """
    x = as_tensor(t)
    low, high = as_tensor(clip_value_min, x.dtype), as_tensor(clip_value_max, x.dtype)
    y = maximum(minimum(x, high), low)
    if y.type.shape != x.type.shape:
        fail(ShapeMismatch, f"clip_by_value: bounds of shapes {low.shape} and {high.shape} would broadcast {x.shape}")
    return y


def truncatediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y rounded towards zero; integers stay integers."""
    a, c = operands("truncatediv", x, y)
    if a.dtype.is_floating:
        return _trunc(a / c)
    return cast(sign(a) * sign(c), a.dtype) * _a.floordiv(_a.abs(a), _a.abs(c)) if not a.dtype.is_unsigned else a // c


def truncatemod(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The remainder of `truncatediv`: it has the sign of x."""
    a, c = operands("truncatemod", x, y)
    return a - truncatediv(a, c) * c


def divide_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where y is 0; the gradient is 0 there as well."""
    a, c = operands("divide_no_nan", x, y)
    none = _a.equal(c, as_tensor(0, c.dtype))
    return where(none, as_tensor(0, a.dtype), a / where(none, as_tensor(1, c.dtype), c))


div_no_nan = divide_no_nan


def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * y, and 0 where y is 0 even if x is NaN or inf."""
    a, c = operands("multiply_no_nan", x, y)
    bad = _a.logical_and(_a.equal(c, as_tensor(0, c.dtype)), _a.logical_not(is_finite(a)))
    return where(bad, as_tensor(0, a.dtype), a) * c


def _zero_or(x: Any, y: Any, what: str, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    a, c = operands(what, x, y)
    none = _a.equal(a, as_tensor(0, a.dtype))
    return where(none, as_tensor(0, a.dtype), combine(a, where(none, as_tensor(1, c.dtype), c)))


def xlogy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * log(y), and 0 where x is 0."""
    return _zero_or(x, y, "xlogy", lambda a, c: a * log(c))


def xlog1py(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * log(1 + y), and 0 where x is 0."""
    return _zero_or(x, y, "xlog1py", lambda a, c: a * log1p(c))


def xdivy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where x is 0."""
    return _zero_or(x, y, "xdivy", lambda a, c: a / c)


@as_new
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`cast`, with values outside the new dtype's range moved to its ends."""
    t, want = as_tensor(value), as_dtype(dtype)
    if want.is_integer or (want.is_floating and t.dtype.is_floating):
        low, high = float(want.min), float(want.max)
        if t.dtype.is_floating:
            with np.errstate(all="ignore"):
                low, high = max(low, float(t.dtype.min)), min(high, float(t.dtype.max))
                if want.is_integer and want.size * 8 > np.finfo(t.dtype.np).nmant:
                    high = float(np.nextafter(t.dtype.np.type(high), t.dtype.np.type(0)))
            t = clip_by_value(t, low, high)
        elif t.dtype.is_integer:
            t = clip_by_value(t, max(int(want.min), int(t.dtype.min)), min(int(want.max), int(t.dtype.max)))
    return cast(t, want)


def approximate_equal(x: Any, y: Any, tolerance: float = 1e-5, name: str | None = None) -> Tensor:
    """|x - y| < tolerance."""
    return _a.less(_a.abs(_a.subtract(x, y)), tolerance)


def nextafter(x1: Any, x2: Any, name: str | None = None) -> Tensor:
    """The next float after x1 in the direction of x2; eagerly only."""
    a, c = operands("nextafter", x1, x2)
    if a._constant_value() is None or c._constant_value() is None:
        fail(InvalidArgumentError, "nextafter is not available inside a traced function")
    return as_tensor(np.nextafter(a.numpy(), c.numpy()))


def bitwise_and(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x & y of integers."""
    return binary(get("bitwise_and"), x, y)


def bitwise_or(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x | y of integers."""
    return binary(get("bitwise_or"), x, y)


def bitwise_xor(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x ^ y of integers."""
    return binary(get("bitwise_xor"), x, y)


# ---------------------------------------------------------------- activations that are plain elementwise math
def relu(features: Any, name: str | None = None) -> Tensor:
    """max(x, 0)."""
    return _relu(features)


def elu(features: Any, name: str | None = None) -> Tensor:
    """x where positive, else exp(x) - 1."""
    return _elu(features)
