"""Special functions that are built from the table's ops, so that they are differentiable and compile as they stand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir.opdef import get
from .convert import as_tensor, static_value
from .elementwise import unary
from .errors import ShapeMismatch, fail
from .ops_index import where
from .ops_math import _unary, erf, erfc, exp, log, log1p, sqrt
from .ops_reduce import reduce_sum
from .tensor import Tensor

# Giles, "Approximating the erfinv function" (2010): polynomials in w = -log(1 - x*x) and in sqrt(w).
_CENTRE = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
           -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
_TAIL = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
         1.00167406, 2.83297682)  # fmt: skip


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    total = as_tensor(coefficients[0], x.dtype)
    for c in coefficients[1:]:
        total = total * x + as_tensor(c, x.dtype)
    return total


def erfinv(x: Any, name: str | None = None) -> Tensor:
    """The inverse of erf on (-1, 1); -1 and 1 give -inf and inf. Giles's polynomials, then Newton steps."""
    t = as_tensor(x)
    one, zero = as_tensor(1, t.dtype), as_tensor(0, t.dtype)
    inner = (t > -one) & (t < one)
    u = where(inner, t, zero)
    w = -log1p(-u * u)
    near = w < as_tensor(5, t.dtype)
    centre = _polynomial(_CENTRE, where(near, w, zero) - as_tensor(2.5, t.dtype))
    tail = _polynomial(_TAIL, sqrt(where(near, as_tensor(9, t.dtype), w)) - as_tensor(3, t.dtype))
    y = where(near, centre, tail) * u
    for _ in range(1 if t.dtype.size <= 4 else 2):
        y = _newton(y, u)
    inf = as_tensor(math.inf, t.dtype)
    edge = where(t == one, inf, where(t == -one, -inf, as_tensor(math.nan, t.dtype)))
    return where(inner, y, edge)


def _newton(y: Tensor, u: Tensor) -> Tensor:
    """One step for erf(y) = u. Beyond 1/2 the difference is taken between complements, which keeps its digits."""
    d = y.dtype
    one = as_tensor(1, d)
    size = where(u < as_tensor(0, d), -u, u)
    positive = where(u < as_tensor(0, d), -y, y)
    far = size > as_tensor(0.5, d)
    miss = where(far, (one - size) - erfc(positive), erf(positive) - size)
    step = miss * as_tensor(math.sqrt(math.pi) / 2, d) * exp(positive * positive)
    fixed = positive - step
    return where(u < as_tensor(0, d), -fixed, fixed)


def ndtri(x: Any, name: str | None = None) -> Tensor:
    """The inverse of the normal distribution function."""
    t = as_tensor(x)
    return as_tensor(math.sqrt(2), t.dtype) * erfinv(as_tensor(2, t.dtype) * t - as_tensor(1, t.dtype))


def erfcinv(x: Any, name: str | None = None) -> Tensor:
    """The inverse of erfc."""
    t = as_tensor(x)
    return erfinv(as_tensor(1, t.dtype) - t)


def log_ndtr(x: Any, name: str | None = None) -> Tensor:
    """The logarithm of the normal distribution function."""
    t = as_tensor(x)
    return log(as_tensor(0.5, t.dtype) * erfc(-t / as_tensor(math.sqrt(2), t.dtype)))


lgamma = _unary("lgamma")
digamma = _unary("digamma")
bessel_i0 = _unary("bessel_i0")
bessel_i1 = _unary("bessel_i1")
bessel_i0e = _unary("bessel_i0e")
bessel_i1e = _unary("bessel_i1e")


def polygamma(a: Any, x: Any, name: str | None = None) -> Tensor:
    """The derivative of digamma of order `a`, a whole number that is known (one for all elements)."""
    t = as_tensor(x)
    order = np.asarray(static_value(a, "The argument `a`"))
    first = float(order.flat[0]) if order.size else 0.0
    if not order.size or (order != first).any() or first < 0 or first != int(first):
        fail(ValueError, f"polygamma: the order must be one whole number from 0 on, found {order.tolist()}")
    return digamma(t) if not first else unary(get("polygamma"), t, order=int(first))


def lbeta(x: Any, name: str | None = None) -> Tensor:
    """The logarithm of Euler's beta function of the last dimension: the sum of lgamma less lgamma of the sum."""
    t = as_tensor(x)
    if not t.ndim:
        fail(ShapeMismatch, "lbeta: a vector is needed, or a batch of them")
    return reduce_sum(lgamma(t), -1) - lgamma(reduce_sum(t, -1))


__all__ = [
    "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "digamma", "erfcinv", "erfinv", "lbeta", "lgamma", "log_ndtr",
    "ndtri", "polygamma",
]  # fmt: skip
