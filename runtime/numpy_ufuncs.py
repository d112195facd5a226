"""NumPy's ufuncs as our ops: one table from the ufunc to what computes it.

An entry takes tensors of the dtypes of NumPy's own loop for the operands (`numpy_promote.for_loop`), so it never
promotes; what NumPy computes for bools (`+` is `or`) or integers it does too. It gives a tensor, or a tuple of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.dtypes import as_dtype, bool_, int8, int64
from ..ir.opdef import get
from .arithmetic import cast
from .dispatch import apply
from .elementwise import NONE
from .errors import fail
from .numpy_protocol import entering
from .tensor import Tensor

Implementation = Callable[..., Any]
UFUNCS: dict[Any, Implementation] = {}


def op(name: str, *xs: Tensor) -> Any:
    """An op without attributes."""
    return apply(get(name), xs, NONE)


def number(value: Any, like: Tensor) -> Tensor:
    """A constant of the tensor's dtype."""
    from .convert import make

    return make(np.array(value, like.dtype.np))


def ufunc(*functions: Any) -> Callable[[Implementation], Implementation]:
    """Enters an implementation into the table."""
    return entering(UFUNCS, functions)


def _is(name: str) -> Implementation:
    return lambda *xs: op(name, *xs)


def _or_bool(name: str, of_bools: str) -> Implementation:
    """An op on numbers; for bools another one."""
    return lambda *xs: op(of_bools if xs[0].dtype.is_bool else name, *xs)


def _of_truth(name: str) -> Implementation:
    """An op on bools; numbers are true unless they are 0."""
    return lambda *xs: op(name, *[cast(x, bool_) for x in xs])


def _divided(name: str) -> Implementation:
    """A division of integers that gives 0 where the divisor is 0, as NumPy's; our ops refuse that."""

    def divide(x: Tensor, y: Tensor) -> Any:
        known = y._constant_value()
        if not y.dtype.is_integer or (known is not None and known.dtype != object and known.all()):
            return op(name, x, y)
        none = op("eq", y, number(0, y))
        return op("where", none, number(0, x), op(name, x, op("where", none, number(1, y), y)))

    return divide


def _on_floats(name: str) -> Implementation:
    """An op on floats that changes no integer."""
    return lambda x: op(name, x) if x.dtype.is_differentiable else op("identity", x)


# ---------------------------------------------------------------- plain ops
for _name in (
    "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log2", "log10", "exp2",
    "cbrt", "hypot", "logaddexp", "logaddexp2", "sign", "square",
):  # fmt: skip
    UFUNCS[getattr(np, _name)] = _is(_name)
for _name in ("sin", "cos", "tan", "sinh", "cosh", "tanh"):
    UFUNCS[getattr(np, "arc" + _name)] = _is("a" + _name)
for _name in ("floor", "ceil", "trunc"):
    UFUNCS[getattr(np, _name)] = _on_floats(_name)
UFUNCS |= {
    np.add: _or_bool("add", "logical_or"), np.subtract: _is("sub"), np.multiply: _or_bool("mul", "logical_and"),
    np.true_divide: _is("div"), np.floor_divide: _divided("floordiv"), np.remainder: _divided("mod"),
    np.float_power: _is("pow"), np.negative: _is("neg"), np.positive: _is("identity"), np.fabs: _is("abs"),
    np.rint: _is("round"), np.arctan2: _is("atan2"), np.maximum: _or_bool("maximum", "logical_or"),
    np.minimum: _or_bool("minimum", "logical_and"), np.equal: _is("eq"), np.not_equal: _is("ne"),
    np.divmod: lambda x, y: (_divided("floordiv")(x, y), _divided("mod")(x, y)),
}  # fmt: skip
for _name in ("and", "or", "xor", "not"):
    UFUNCS[getattr(np, "logical_" + _name)] = _of_truth("logical_" + _name)
for _name in ("and", "or", "xor"):
    UFUNCS[getattr(np, "bitwise_" + _name)] = _or_bool("bitwise_" + _name, "logical_" + _name)


def _ordered(name: str) -> Implementation:
    def compare(x: Tensor, y: Tensor) -> Any:
        if x.dtype.is_bool:
            x, y = cast(x, int8), cast(y, int8)
        return op(name, x, y)

    return compare


for _long, _name in (("less", "lt"), ("less_equal", "le"), ("greater", "gt"), ("greater_equal", "ge")):
    UFUNCS[getattr(np, _long)] = _ordered(_name)


# ---------------------------------------------------------------- arithmetic
@ufunc(np.absolute)
def _absolute(x: Tensor) -> Any:
    if x.dtype.is_complex:
        from .ops_complex import modulus

        return modulus(x)
    return op("abs" if x.dtype.is_numeric and not x.dtype.is_unsigned else "identity", x)


@ufunc(np.power)
def _power(x: Tensor, y: Tensor) -> Any:
    if y.dtype.is_integer and not y.dtype.is_unsigned:
        value = y._constant_value()
        if value is not None and value.dtype != object and (value < 0).any():
            fail(ValueError, "Integers to negative integer powers are not allowed.")
    return op("pow", x, y)


@ufunc(np.reciprocal)
def _reciprocal(x: Tensor) -> Any:
    one = number(1, x)
    return op("div", one, x) if x.dtype.is_differentiable else _cut_division(one, x)


def _cut_division(x: Tensor, y: Tensor) -> Any:
    """Integers divided and cut towards zero; 0 for a division by 0."""
    down, rest = _divided("floordiv")(x, y), _divided("mod")(x, y)
    up = op("logical_and", op("lt", down, number(0, x)), op("ne", rest, number(0, x)))
    return op("add", down, cast(up, x.dtype))


@ufunc(np.fmod)
def _fmod(x: Tensor, y: Tensor) -> Any:
    if x.dtype.is_unsigned:
        return _divided("mod")(x, y)
    rest = _divided("mod")(op("abs", x), op("abs", y))
    return op("where", sign_bit(x), op("neg", rest), rest)


@ufunc(np.heaviside)
def _heaviside(x: Tensor, middle: Tensor) -> Any:
    zero = number(0, x)
    at_zero = op("where", op("eq", x, zero), middle, op("where", op("gt", x, zero), number(1, x), zero))
    return op("where", op("is_nan", x), x, at_zero)


def sign_bit(x: Tensor) -> Any:
    """Whether a number is negative, -0.0 included; False for NaN, whose sign no op of ours sees."""
    if x.dtype.is_unsigned or x.dtype.is_bool:
        return op("ne", x, x)
    negative = op("lt", x, number(0, x))
    if not x.dtype.is_floating:
        return negative
    below = op("lt", op("div", number(1, x), x), number(0, x))
    return op("logical_or", negative, op("logical_and", op("eq", x, number(0, x)), below))


UFUNCS[np.signbit] = sign_bit


@ufunc(np.copysign)
def _copysign(x: Tensor, y: Tensor) -> Any:
    size = op("abs", x)
    return op("where", sign_bit(y), op("neg", size), size)


def _ignoring_nan(name: str, of_bools: str) -> Implementation:
    def pick(x: Tensor, y: Tensor) -> Any:
        if not x.dtype.is_floating:
            return op(of_bools if x.dtype.is_bool else name, x, y)
        left = op("where", op("is_nan", x), y, x)
        right = op("where", op("is_nan", y), x, y)
        return op(name, left, right)

    return pick


UFUNCS[np.fmax] = _ignoring_nan("maximum", "logical_or")
UFUNCS[np.fmin] = _ignoring_nan("minimum", "logical_and")


def _turned(to: float, of: float) -> Implementation:
    def turn(x: Tensor) -> Any:
        kind = np.float32 if x.dtype.size < 4 else x.dtype.np.type  # NumPy divides the two numbers in the dtype itself
        return op("mul", cast(x, kind), number(kind(to) / kind(of), cast(x, kind)))

    return turn


UFUNCS[np.deg2rad] = UFUNCS[np.radians] = _turned(math.pi, 180.0)
UFUNCS[np.rad2deg] = UFUNCS[np.degrees] = _turned(180.0, math.pi)


@ufunc(np.ldexp)
def _ldexp(x: Tensor, power: Tensor) -> Any:
    return op("mul", x, op("exp2", cast(power, x.dtype)))


@ufunc(np.modf)
def _modf(x: Tensor) -> Any:
    whole = op("trunc", x)
    rest = op("where", sign_bit(x), op("neg", op("sub", whole, x)), op("sub", x, whole))
    nothing = op("where", sign_bit(x), number(-0.0, x), number(0, x))
    return op("where", op("is_inf", x), nothing, rest), whole


# ---------------------------------------------------------------- what a number is
def _test(name: str, of_integers: bool) -> Implementation:
    def test(x: Tensor) -> Any:
        if x.dtype.is_floating:
            return op(name, x)
        if x.dtype.is_complex:
            from .ops_complex import imag, real

            return op("logical_and" if of_integers else "logical_or", op(name, real(x)), op(name, imag(x)))
        return op("eq" if of_integers else "ne", x, x)

    return test


UFUNCS[np.isnan], UFUNCS[np.isinf], UFUNCS[np.isfinite] = (
    _test("is_nan", False), _test("is_inf", False), _test("is_finite", True),
)  # fmt: skip


# ---------------------------------------------------------------- bits
@ufunc(np.invert)
def _invert(x: Tensor) -> Any:
    if x.dtype.is_bool:
        return op("logical_not", x)
    return op("bitwise_xor", x, number(x.dtype.max if x.dtype.is_unsigned else -1, x))


@ufunc(np.left_shift)
def _left_shift(x: Tensor, by: Tensor) -> Any:
    return op("mul", x, op("pow", number(2, x), by))


@ufunc(np.right_shift)
def _right_shift(x: Tensor, by: Tensor) -> Any:
    bits = x.dtype.size * 8 - (not x.dtype.is_unsigned)
    far = op("ge", by, number(bits, x))
    power = op("pow", number(2, x), op("where", far, number(0, x), by))
    end = number(0, x)
    if not x.dtype.is_unsigned:
        end = op("where", op("lt", x, end), number(-1, x), end)
    return op("where", far, end, op("floordiv", x, power))


@ufunc(np.conjugate)
def _conjugate(x: Tensor) -> Any:
    if x.dtype.is_complex:
        from .ops_complex import conj

        return conj(x)
    return op("identity", x)


@ufunc(np.nextafter)
def _nextafter(x: Tensor, y: Tensor) -> Any:
    from .ops_math import nextafter

    return nextafter(x, y)


@ufunc(np.matmul)
def _matmul(x: Tensor, y: Tensor) -> Any:
    from .numpy_linalg import matrix_product

    return matrix_product(x, y)


@ufunc(np.vecdot)
def _vecdot(x: Tensor, y: Tensor) -> Any:
    from .ops_reduce import reduce_sum

    if x.dtype.is_bool:
        return cast(_vecdot(cast(x, int64), cast(y, int64)), bool_)
    return reduce_sum(op("mul", UFUNCS[np.conjugate](x), y), -1)


def in_dtype(result: Any, want: np.dtype[Any]) -> Any:
    """The result in the dtype that NumPy's loop gives."""
    return cast(result, as_dtype(want))
