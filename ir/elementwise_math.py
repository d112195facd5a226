"""The elementwise math functions: rows as in `elementwise.py`, with derivatives in TensorFlow's form.

Where the result is the cheaper way to write a derivative (tanh, exp, sqrt), it is used: the forward pass has it anyway.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import expansions
from .builder import RAW
from .derive import zero
from .elementwise import elementwise

_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)


# NumPy meanings that have no ufunc. Constants take the dtype of x, bfloat16 included.
def _one(x: Any) -> Any:
    return x.dtype.type(1)


def _rsqrt(x: Any) -> Any:
    return np.divide(_one(x), np.sqrt(x))


def _sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, _one(x)) / (_one(x) + e)


def _softplus(x: Any) -> Any:
    return np.logaddexp(x, x.dtype.type(0))


def _relu(x: Any) -> Any:
    return np.maximum(x, x.dtype.type(0))


def _elu(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, x.dtype.type(0))))


def _unless_unused(b: Any, g: Any, x: Any, y: Any) -> Any:
    """`y`, but 1 where the cotangent is 0 and x is no positive number: TensorFlow's gradient there is 0, not 0 * inf or
    NaN. So a root that `where` does not choose leaves nothing behind."""
    return b.where(b.logical_or(b.gt(x, zero(b, x)), b.ne(g, zero(b, g))), y, b.const(1, b.dtype(y)))


def _in_float64(formula: Any) -> Any:
    """A formula over ops as a NumPy function, worked out in f64."""
    return lambda x: np.asarray(formula(RAW, np.asarray(x, np.float64))).astype(x.dtype)


# ---------------------------------------------------------------- powers, exponentials, logarithms
elementwise("sqrt", np.sqrt, (lambda b, g, y, x: g * 0.5 / _unless_unused(b, g, x, y),), summary="square root")
elementwise(
    "rsqrt", _rsqrt, (lambda b, g, y, x: (lambda r: g * (-0.5 * (r * r * r)))(_unless_unused(b, g, x, y)),),
    summary="1 / sqrt(x)",
)  # fmt: skip
elementwise("exp", np.exp, (lambda b, g, y, x: g * y,), summary="e to the power x")
elementwise("log", np.log, (lambda b, g, y, x: g / x,), summary="natural logarithm")
elementwise("expm1", np.expm1, (lambda b, g, y, x: g * b.exp(x),), summary="exp(x) - 1, exact near 0")
elementwise("log1p", np.log1p, (lambda b, g, y, x: g / (1.0 + x),), summary="log(1 + x), exact near 0")

# ---------------------------------------------------------------- trigonometric and hyperbolic functions
elementwise("sin", np.sin, (lambda b, g, y, x: g * b.cos(x),), summary="sine")
elementwise("cos", np.cos, (lambda b, g, y, x: -(g * b.sin(x)),), summary="cosine")
elementwise("tan", np.tan, (lambda b, g, y, x: g * (1.0 + y * y),), summary="tangent")
elementwise("sinh", np.sinh, (lambda b, g, y, x: g * b.cosh(x),), summary="hyperbolic sine")
elementwise("cosh", np.cosh, (lambda b, g, y, x: g * b.sinh(x),), summary="hyperbolic cosine")
elementwise("tanh", np.tanh, (lambda b, g, y, x: g * (1.0 - y * y),), summary="hyperbolic tangent")
elementwise(
    "asin", np.arcsin, (lambda b, g, y, x: g / b.sqrt(1.0 - x * x),),
    summary="inverse of sin", formula=expansions.asin,
)  # fmt: skip
elementwise(
    "acos", np.arccos, (lambda b, g, y, x: -(g / b.sqrt(1.0 - x * x)),),
    summary="inverse of cos", formula=expansions.acos,
)  # fmt: skip
elementwise(
    "atan", np.arctan, (lambda b, g, y, x: g / (1.0 + x * x),),
    summary="inverse of tan", formula=expansions.atan,
)  # fmt: skip
elementwise(
    "asinh", np.arcsinh, (lambda b, g, y, x: g / b.cosh(y),),
    summary="inverse of sinh", formula=expansions.asinh,
)  # fmt: skip
elementwise(
    "acosh", np.arccosh, (lambda b, g, y, x: g / b.sinh(y),),
    summary="inverse of cosh", formula=expansions.acosh,
)  # fmt: skip
elementwise(
    "atanh", np.arctanh, (lambda b, g, y, x: g / (1.0 - x * x),),
    summary="inverse of tanh", formula=expansions.atanh,
)  # fmt: skip
elementwise(
    "atan2",
    np.arctan2,
    (lambda b, g, r, y, x: g * (x / (x * x + y * y)), lambda b, g, r, y, x: -(g * (y / (x * x + y * y)))),
    summary="the angle of the point (second operand, first operand)",
    formula=expansions.atan2,
)
elementwise(
    "erf",
    _in_float64(expansions.erf),
    (lambda b, g, y, x: g * (_TWO_OVER_ROOT_PI * b.exp(-(x * x))),),
    summary="error function",
)
elementwise(
    "erfc",
    _in_float64(expansions.erfc),
    (lambda b, g, y, x: g * (-_TWO_OVER_ROOT_PI * b.exp(-(x * x))),),
    summary="1 - erf(x), exact for large x",
    formula=expansions.erfc,
)

# ---------------------------------------------------------------- activations
elementwise("sigmoid", _sigmoid, (lambda b, g, y, x: g * (y * (1.0 - y)),), summary="1 / (1 + exp(-x))")
elementwise("softplus", _softplus, (lambda b, g, y, x: g * b.sigmoid(x),), summary="log(1 + exp(x))")
elementwise("relu", _relu, (lambda b, g, y, x: b.where(y > 0.0, g, zero(b, g)),), "number", summary="max(x, 0)")
elementwise(
    "elu",
    _elu,
    (lambda b, g, y, x: b.where(y < 0.0, g * (y + 1.0), g),),
    summary="x where positive, else exp(x) - 1",
)
