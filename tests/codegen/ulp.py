"""Test helper: points to try a math function at, and how far results are from mpmath in units of the last place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np

Array = np.ndarray[Any, Any]

# Exact meaning of each function, evaluated by mpmath at PRECISION bits.
PRECISION = 160
EXACT: dict[str, Callable[..., Any]] = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": mp.log1p,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "pow": lambda x, y: x**y,
}


def _log_uniform(rng: np.random.Generator, low: float, high: float, n: int) -> Array:
    return np.exp2(rng.uniform(np.log2(low), np.log2(high), n))


def _signed(rng: np.random.Generator, x: Array) -> Array:
    return x * rng.choice([-1.0, 1.0], x.size)


def sweep(name: str, dtype: Any, n: int) -> tuple[Array, ...]:
    """Arguments spread over the domain: usual, near singular points, tiny, subnormal, huge."""
    rng = np.random.default_rng(len(name))
    double = np.dtype(dtype) == np.float64
    top, subnormal = (700.0, 1e-310) if double else (86.0, 1e-41)
    if name == "pow":
        return _pow_sweep(rng, dtype, n, top)
    if name in ("log", "log1p"):
        shift = 0.0 if name == "log" else -1.0
        near_pole = shift + _log_uniform(rng, 1e-30 if name == "log" else 1e-7, 0.5, n)
        near_root = 1.0 + shift + _signed(rng, _log_uniform(rng, 1e-9, 0.5, n))
        parts = [near_pole, near_root, rng.uniform(0.1, 10, n), _log_uniform(rng, 1, 1e37, n)]
        parts.append(_log_uniform(rng, subnormal, subnormal * 1e3, n // 4))
    elif name in ("sin", "cos", "tan"):
        roots = rng.integers(-20000, 20000, n) * (np.pi / 2)
        near_roots = roots + _signed(rng, _log_uniform(rng, 1e-12, 0.1, n))
        huge = _signed(rng, _log_uniform(rng, 1e4, 1e308 if double else 3e38, n))
        parts = [rng.uniform(-6, 6, n), roots, near_roots, huge]
    else:
        parts = [_signed(rng, _log_uniform(rng, 1e-8, top, n)), rng.uniform(-6, 6, n), rng.uniform(-1, 1, n)]
        parts += [rng.uniform(-top * 1.07 - 4, top + 11, n)]  # across the limits of overflow and underflow
    if name != "log":
        parts.append(_signed(rng, _log_uniform(rng, subnormal, 1e-5, n // 4)))
    return (np.concatenate(parts).astype(dtype),)


def _pow_sweep(rng: np.random.Generator, dtype: Any, n: int, top: float) -> tuple[Array, Array]:
    decades = 300 if top > 100 else 37
    x = np.concatenate([10 ** rng.uniform(-decades, decades, n), rng.uniform(0.5, 2, n), rng.uniform(0.99, 1.01, n)])
    x = np.where(x == 1.0, 2.0, x).astype(dtype)
    y = (rng.uniform(-top * 1.05, top, x.size) / np.log(x.astype(np.float64))).astype(dtype)
    y[::3] = rng.uniform(-3, 3, y[::3].size)
    whole = rng.integers(-20, 20, n // 2).astype(dtype)
    base = -rng.uniform(0.1, 10, whole.size).astype(dtype)
    return np.concatenate([x, base]), np.concatenate([y, whole])


def errors(name: str, arguments: Sequence[Array], results: Array) -> Array:
    """|result - exact| in units of the exact value's last place; inf where one is NaN or infinite and should not be."""
    digits, lowest = (24, -149) if results.dtype == np.float32 else (53, -1074)
    limit = mp.mpf(2) ** (128 if digits == 24 else 1024) * (1 - mp.mpf(2) ** (-digits - 1))
    with mp.workprec(PRECISION):
        columns = zip(*(x.tolist() for x in arguments), results.tolist(), strict=True)
        return np.array([_error(EXACT[name](*map(mp.mpf, c[:-1])), c[-1], digits, lowest, limit) for c in columns])


def _error(exact: Any, result: float, digits: int, lowest: int, limit: Any) -> float:
    if mp.isnan(exact) or result != result:
        return 0.0 if mp.isnan(exact) and result != result else float("inf")
    if abs(result) == float("inf"):
        large_enough = abs(exact) >= limit * (1 - mp.mpf(2) ** (1 - digits))  # but for a unit or two
        return 0.0 if large_enough and (exact > 0) == (result > 0) else float("inf")
    if abs(exact) >= limit * (1 + mp.mpf(2) ** (1 - digits)):
        return float("inf")
    if exact == 0:
        return 0.0 if result == 0 else float("inf")
    exponent = mp.frexp(exact)[1]
    return abs(float(mp.ldexp(mp.mpf(result) - exact, -max(int(exponent) - digits, lowest))))
