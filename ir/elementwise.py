"""Elementwise ops: one row each, everything any stage needs to know about the op.

A row holds the NumPy meaning, the name of the scalar machine form, the dtype rule, and per operand the derivative
*applied to* `g`: `lambda b, g, y, x: g * (1.0 - y * y)`. Because an elementwise derivative is diagonal, that one
function is both modes: with a tangent it gives the operand's share of the result's tangent, with the cotangent of the
result the operand's cotangent. Un-broadcasting is done once, here. None marks an operand without derivative, ZERO one
whose derivative is zero everywhere it exists (TensorFlow returns zeros, not None, for those). The rows of the math
functions are in `elementwise_math.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .derive import broadcast_like, fit, total, zero
from .dtypes import DType, as_dtype, bool_
from .errors import InvalidArgumentError
from .graph import Attrs, Block
from .infer import bad_type, broadcast, count, kind, same_dtype
from .opdef import Needs, OpDef, register
from .quiet import enter, leave
from .types import TensorType

Partial = Callable[..., Any]


def ZERO(b: Any, g: Any, y: Any, *xs: Any) -> Any:
    """The derivative that is zero wherever it exists."""
    return b.zeros_like(g)


class Elementwise(OpDef):
    """An op that makes each element of its result from the elements at the same place, after broadcasting.

    Attributes:
      fn: the NumPy function. arity: the number of operands. types: which dtypes it takes (a key of `infer.KINDS`).
      result: "same" for the operands' dtype or "bool". partials: a derivative per operand; see the module's text.
      picks: for an op that gives each element of one operand or another, where it takes it from each; see `chosen`.
      simple: operands and result have one dtype, and the partials are all there is to say of the derivative.
    """

    simple = False

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        partials: Sequence[Partial | None],
        types: str,
        result: str,
        summary: str,
    ) -> None:
        self.name = self.lowering = name
        self.fn = fn
        self.arity = len(partials)
        self.partials = tuple(partials)
        self.types = types
        self.result = result
        self.summary = summary
        self.differentiable = any(p is not None for p in partials)
        own_rule = type(self).vjp is not Elementwise.vjp
        self.simple = self.differentiable and not own_rule and result == "same" and types in ("float", "number")
        self.warns = result == "same" and types in ("float", "number")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The broadcast shape; dtypes must be equal."""
        count(self.name, types, self.arity)
        kind(self.name, types, self.types)
        dtype = same_dtype(self.name, types)
        return (TensorType(bool_ if self.result == "bool" else dtype, broadcast(self.name, types)),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The NumPy function, without warnings."""
        if self.warns:
            token = enter()
            try:
                y = self.fn(*xs)
            finally:
                leave(token)
        else:
            y = self.fn(*xs)
        return y if type(y) is np.ndarray else np.asarray(y)

    def plain(self, dtype: np.dtype[Any]) -> bool:
        """Whether `eager` on that dtype is the NumPy function alone."""
        return dtype.kind in "fiubcV"

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The sum over the operands of partial * tangent."""
        t = None
        for partial, x, tx in zip(self.partials, xs, ts, strict=True):
            if partial is not None and tx is not None and b.dtype(x).is_differentiable:
                t = total(t, partial(b, tx, outs[0], *xs))
        return (None if t is None else broadcast_like(b, t, outs[0]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """Partial * cotangent per operand, summed down to the operand's shape."""
        g = cts[0]
        out: list[Any] = []
        for partial, x, need in zip(self.partials, xs, needs, strict=True):
            if g is None or partial is None or not need or not b.dtype(x).is_differentiable:
                out.append(None)
            else:
                out.append(b.zeros_like(x) if partial is ZERO else fit(b, partial(b, g, outs[0], *xs), x))
        return out


class Expanded(Elementwise):
    """An elementwise op without a machine form: `formula(b, *xs)` makes it of simpler ones."""

    lowering: str | None = None
    formula: Callable[..., Any]

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The formula."""
        return self.formula(b, *xs)


class Where(Elementwise):
    """`where(condition, x, y)`: the condition is bool, the branches have one dtype."""

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The branches' dtype, the shape that all three broadcast to."""
        count(self.name, types, 3)
        if not types[0].dtype.is_bool:
            bad_type(self.name, types, "the condition must be bool: compare first, or write pb.cast(c, bool)")
        return (TensorType(same_dtype(self.name, types[1:]), broadcast(self.name, types)),)


class Cast(Elementwise):
    """`cast(x) {dtype}`: the same numbers in another dtype; floats to integers are cut towards zero."""

    attrs = ("dtype",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The dtype of the attribute."""
        count(self.name, types, 1)
        dtype = as_dtype(attrs["dtype"])
        if "string" in (dtype.name, types[0].dtype.name):
            bad_type(self.name, types, f"there is no conversion to {dtype.name}")
        return (TensorType(dtype, types[0].shape),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """`ndarray.astype`."""
        token = enter()
        try:
            return np.asarray(xs[0]).astype(attrs["dtype"].np)
        finally:
            leave(token)

    def plain(self, dtype: np.dtype[Any]) -> bool:
        """No: there is the attribute."""
        return False

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangent in the new dtype, where both can carry one."""
        if ts[0] is None or not b.dtype(xs[0]).is_differentiable or not attrs["dtype"].is_differentiable:
            return (None,)
        return (b.cast(ts[0], dtype=attrs["dtype"]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent in the old dtype, where both can carry one."""
        dtype: DType = b.dtype(xs[0])
        if cts[0] is None or not dtype.is_differentiable or not attrs["dtype"].is_differentiable:
            return (None,)
        return (b.cast(cts[0], dtype=dtype),)


class IntegerArithmetic(Elementwise):
    """An op that refuses some integers as its second operand: `refused` says which, `advice` what to write."""

    refused = staticmethod(lambda y: y == 0)
    advice = "Integer division by zero; guard the divisor with pb.where, or divide floats"

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The NumPy function. Raises InvalidArgumentError for an integer that is refused."""
        y = np.asarray(xs[1])
        if y.dtype.kind in "iu" and np.size(xs[0]) and bool(np.any(self.refused(y))):
            raise InvalidArgumentError(f"{self.name}: {self.advice}")
        return super().eager(attrs, *xs)

    def plain(self, dtype: np.dtype[Any]) -> bool:
        """Not for integers."""
        return dtype.kind in "fcV"


class IntegerPower(IntegerArithmetic):
    """`pow`: there is no integer power to a negative integer."""

    refused = staticmethod(lambda y: y < 0)
    advice = "Integers to negative integer powers are not allowed: cast the base to a float dtype first"


def elementwise(
    name: str,
    fn: Callable[..., Any],
    partials: Sequence[Partial | None] = (None,),
    types: str = "float",
    result: str = "same",
    summary: str = "",
    cls: type[Elementwise] = Elementwise,
    formula: Callable[..., Any] | None = None,
    picks: tuple[Callable[..., Any], ...] = (),
) -> Elementwise:
    """Declares an elementwise op and puts it into the table; for the parameters see `Elementwise` and `Expanded`."""
    if formula is None:
        op = cls(name, fn, partials, types, result, summary)
    else:
        op = Expanded(name, fn, partials, types, result, summary)
        op.lowering, op.formula = None, formula
    if picks:
        op.picks, op.simple = picks, False
    register(op)
    return op


# ---------------------------------------------------------------- partials that are too long for a row
def _pow_base(b: Any, g: Any, y: Any, x: Any, p: Any) -> Any:
    # x**0 is 1 everywhere, so its derivative is 0, not 0 * x**-1, where that is NaN. Elsewhere x**-1 has to stay: it is
    # the derivative by x and p.
    pole = b.logical_and(b.eq(p, zero(b, p)), b.eq(x, zero(b, x)))
    power = b.where(pole, b.const(1, b.dtype(p)), p - 1.0)
    return g * (p * b.pow(x, power))


def _pow_exponent(b: Any, g: Any, y: Any, x: Any, p: Any) -> Any:
    # Both selects are needed: the inner one keeps the NaN of log(x <= 0) out of the derivative of this expression.
    positive = x > 0.0
    log = b.log(b.where(positive, x, b.const(1, b.dtype(x))))
    return g * (y * b.where(positive, log, zero(b, x)))


def _picked(mask: Callable[..., Any], first: bool) -> Partial:
    """The partial of an op that passes one operand on, the first where `mask(b, *xs)`: all of `g`, or exact zero."""

    def partial(b: Any, g: Any, y: Any, *xs: Any) -> Any:
        taken = mask(b, *xs)
        return b.where(taken, g, zero(b, g)) if first else b.where(taken, zero(b, g), g)

    return partial


def _picking(mask: Callable[..., Any]) -> tuple[Partial, Partial]:
    """`mask` and what is left, for the operands that an op chooses from."""
    return mask, lambda b, *xs: b.logical_not(mask(b, *xs))


def _ge(b: Any, x: Any, z: Any) -> Any:
    return b.ge(x, z)


def _le(b: Any, x: Any, z: Any) -> Any:
    return b.le(x, z)


def _condition(b: Any, c: Any, x: Any, z: Any) -> Any:
    return c


def same(b: Any, g: Any, y: Any, *xs: Any) -> Any:
    """The derivative of an operand that is passed on as it is."""
    return g


# ---------------------------------------------------------------- arithmetic
elementwise("add", np.add, (same, same), "number", summary="x + y")
elementwise("sub", np.subtract, (same, lambda b, g, y, x, z: -g), "number", summary="x - y")
elementwise("mul", np.multiply, (lambda b, g, y, x, z: g * z, lambda b, g, y, x, z: g * x), "number", summary="x * y")
elementwise("div", np.divide, (lambda b, g, y, x, z: g / z, lambda b, g, y, x, z: g * ((-x / z) / z)), summary="x / y")
elementwise("floordiv", np.floor_divide, (None, None), "number", summary="x / y rounded down", cls=IntegerArithmetic)
elementwise(
    "mod", np.mod, (same, lambda b, g, y, x, z: -(g * b.floor(x / z))), "number",
    summary="remainder of floordiv, with the sign of y", cls=IntegerArithmetic,
)  # fmt: skip
elementwise("pow", np.power, (_pow_base, _pow_exponent), "number", summary="x to the power y", cls=IntegerPower)
elementwise("neg", np.negative, (lambda b, g, y, x: -g,), "number", summary="-x")
elementwise("abs", np.abs, (lambda b, g, y, x: g * b.sign(x),), "number", summary="absolute value")
elementwise("sign", np.sign, (ZERO,), "number", summary="-1, 0 or 1; NaN stays NaN")
elementwise("square", np.square, (lambda b, g, y, x: g * (2.0 * x),), "number", summary="x * x")
elementwise(
    "maximum", np.maximum, (_picked(_ge, True), _picked(_ge, False)), "number", summary="the larger; NaN wins",
    picks=_picking(_ge),
)  # fmt: skip
elementwise(
    "minimum", np.minimum, (_picked(_le, True), _picked(_le, False)), "number", summary="the smaller; NaN wins",
    picks=_picking(_le),
)  # fmt: skip
elementwise("floor", np.floor, (None,), summary="rounded down")
elementwise("ceil", np.ceil, (None,), summary="rounded up")
elementwise("trunc", np.trunc, (None,), summary="rounded towards zero")
elementwise("round", np.rint, (None,), summary="rounded to the nearest integer, halves to the even one")

# ---------------------------------------------------------------- comparison and logic
elementwise("eq", np.equal, (None, None), "any", "bool", "x == y")
elementwise("ne", np.not_equal, (None, None), "any", "bool", "x != y")
elementwise("lt", np.less, (None, None), "number", "bool", "x < y")
elementwise("le", np.less_equal, (None, None), "number", "bool", "x <= y")
elementwise("gt", np.greater, (None, None), "number", "bool", "x > y")
elementwise("ge", np.greater_equal, (None, None), "number", "bool", "x >= y")
elementwise("logical_and", np.logical_and, (None, None), "bool", summary="x and y")
elementwise("logical_or", np.logical_or, (None, None), "bool", summary="x or y")
elementwise("logical_xor", np.logical_xor, (None, None), "bool", summary="x or y, not both")
elementwise("logical_not", np.logical_not, (None,), "bool", summary="not x")
elementwise("bitwise_and", np.bitwise_and, (None, None), "bits", summary="x & y")
elementwise("bitwise_or", np.bitwise_or, (None, None), "bits", summary="x | y")
elementwise("bitwise_xor", np.bitwise_xor, (None, None), "bits", summary="x ^ y")
elementwise("is_nan", np.isnan, (None,), "float", "bool", "whether x is NaN")
elementwise("is_inf", np.isinf, (None,), "float", "bool", "whether x is inf or -inf")
elementwise("is_finite", np.isfinite, (None,), "float", "bool", "whether x is neither inf nor NaN")
elementwise(
    "where",
    np.where,
    (None, _picked(_condition, True), _picked(_condition, False)),
    "any",
    summary="x where the condition holds, else y",
    cls=Where,
    picks=(_condition, *_picking(_condition)),
)
elementwise(
    "after",
    lambda x, y: np.broadcast_to(x, np.broadcast_shapes(np.shape(x), np.shape(y))),
    (same, None),
    "any",
    summary="x, which cannot be had before y is there",
)
elementwise("cast", np.asarray, (same,), "any", summary="the same numbers in another dtype", cls=Cast)
