"""The formulas for arc and error functions: ulp errors against mpmath, NumPy's values at the edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from pullback.ir import expansions, ops  # noqa: F401  fills the op table
from pullback.ir.builder import RAW
from pullback.ir.quiet import Quiet

RNG = np.random.default_rng(11)
WIDE = np.concatenate([RNG.uniform(-5, 5, 150), 10.0 ** RNG.uniform(-12, 12, 60) * RNG.choice([-1, 1], 60)])
_NEAR_ONE = 1 - 10.0 ** RNG.uniform(-6, 0, 30)
UNIT = np.concatenate([RNG.uniform(-1, 1, 150), _NEAR_ONE, -_NEAR_ONE])
DOMAIN: dict[str, Any] = {
    "atan": WIDE, "asinh": WIDE, "asin": UNIT, "acos": UNIT, "atanh": UNIT * 0.999999,
    "acosh": 1 + 10.0 ** RNG.uniform(-6, 12, 200), "erf": np.concatenate([WIDE, RNG.uniform(-1, 1, 80)]),
    "erfc": np.concatenate([RNG.uniform(-6, 9, 250), RNG.uniform(-1, 1, 80)]),
}  # fmt: skip


def ulps(got: Any, want: list[Any], dtype: Any) -> float:
    """The largest error in units of the last place of the exact value."""
    worst = 0.0
    for g, w in zip(got, want, strict=True):
        size = float(np.spacing(dtype(abs(float(w)))))
        worst = max(worst, abs(float((mpmath.mpf(float(g)) - w) / size)))
    return worst


@pytest.mark.parametrize("name", DOMAIN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_accuracy(name: str, dtype: Any) -> None:
    x = DOMAIN[name].astype(dtype)
    exact: Callable[[Any], Any] = getattr(mpmath, name)
    with mpmath.workdps(50), Quiet():
        assert ulps(getattr(expansions, name)(RAW, x), [exact(mpmath.mpf(float(v))) for v in x], dtype) < 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_atan2_accuracy(dtype: Any) -> None:
    y, x = WIDE.astype(dtype), WIDE[::-1].astype(dtype)
    with mpmath.workdps(50), Quiet():
        want = [mpmath.atan2(mpmath.mpf(float(a)), mpmath.mpf(float(c))) for a, c in zip(y, x, strict=True)]
        assert ulps(expansions.atan2(RAW, y, x), want, dtype) < 6


EDGES = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 2.0, -2.0, 1e-300, 1e300])


@pytest.mark.parametrize("name", [n for n in DOMAIN if n not in ("erf", "erfc")])
def test_edges_are_numpys(name: str) -> None:
    with Quiet():
        got, want = getattr(expansions, name)(RAW, EDGES), getattr(np, name.replace("a", "arc", 1))(EDGES)
    np.testing.assert_allclose(got, want, rtol=1e-15)
    np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


def test_atan2_edges_are_numpys() -> None:
    y, x = np.meshgrid(EDGES, EDGES)
    with Quiet():
        got, want = expansions.atan2(RAW, y, x), np.arctan2(y, x)
    np.testing.assert_allclose(got, want, rtol=1e-15)
    np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


def test_error_function_edges() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.0, 30.0])
    with Quiet():
        np.testing.assert_array_equal(expansions.erf(RAW, x), [1, -1, np.nan, 0, 1])
        np.testing.assert_array_equal(expansions.erfc(RAW, x), [0, 2, np.nan, 1, 0])
        assert np.signbit(expansions.erf(RAW, np.array(-0.0)))
