"""Gamma's relatives and Bessel's functions against mpmath, in units of the last place; poles, infinities, NaN."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from pullback.ir import elementwise_gamma as gamma
from pullback.ir.opdef import get

from ..codegen.compiled import check

EXACT: dict[str, Any] = {
    "lgamma": lambda x: mp.log(abs(mp.gamma(x))) if x < 0 else mp.loggamma(x),
    "digamma": mp.digamma,
    "bessel_i0": lambda x: mp.besseli(0, x),
    "bessel_i1": lambda x: mp.besseli(1, x),
    "bessel_i0e": lambda x: mp.exp(-abs(x)) * mp.besseli(0, x),
    "bessel_i1e": lambda x: mp.exp(-abs(x)) * mp.besseli(1, x),
}
# Bounds in units of the last place: relative to the value; beside a root among negative numbers relative to 1.
ULP = {"lgamma": 3.0, "digamma": 8.0, "bessel_i0": 6.0, "bessel_i1": 6.0, "bessel_i0e": 6.0, "bessel_i1e": 6.0}

def points(name: str, dtype: Any) -> Any:
    """Arguments over the domain: usual, near roots and poles, tiny, huge, negative."""
    rng = np.random.default_rng([8, len(name)])
    near = np.exp2(rng.uniform(-30, -2, 60)) * rng.choice([-1.0, 1.0], 60)
    parts = [rng.uniform(0.01, 40, 150), 1 + near, 2 + near, gamma.ROOT + near, np.exp2(rng.uniform(-60, 60, 60))]
    parts += [-rng.uniform(0, 12, 60), np.array([0.5, 1.0, 2.0, 3.0, 7.0, 8.0, 20.0])]
    x = np.concatenate(parts)
    if name in ("bessel_i0", "bessel_i1"):
        x = x[np.abs(x) < (700 if dtype is np.float64 else 85)]
    x = x.astype(dtype)
    return x[(x > 0) | (np.abs(x - np.round(x)) > 1e-3)]


def ulp_errors(y: Any, x: Any, exact: Any) -> Any:
    with mp.workprec(200):
        want = [exact(mp.mpf(float(v))) for v in x]
        eps = float(np.finfo(x.dtype).eps)
        scale = [abs(w) if v > 0 else max(abs(w), mp.mpf(1)) for v, w in zip(x, want, strict=True)]
        return np.array([
            float(abs(mp.mpf(float(a)) - w) / (s * eps)) if s else 0.0 for a, w, s in zip(y, want, scale, strict=True)
        ])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", EXACT)
def test_ulp(name: str, dtype: Any) -> None:
    x = points(name, dtype)
    bound = ULP[name] if dtype is np.float64 else 1.0
    errors = ulp_errors(get(name).eager({}, x), x, EXACT[name])
    assert errors.max() <= bound, (x[errors.argmax()], errors.max())
    compiled = check(lambda b, v: getattr(b, name)(v), x, tolerance=1e-12 if dtype is np.float64 else 1e-6).run([x])[0]
    errors = ulp_errors(compiled, x, EXACT[name])
    assert errors.max() <= bound, (x[errors.argmax()], errors.max())


@pytest.mark.parametrize("order", [1, 2, 3, 4, 7])
def test_polygamma(order: int) -> None:
    x = points("digamma", np.float64)
    x = x[(x > 1e-30) & (x < 1e9) | (x < 0) & (np.abs(x - np.round(x)) > 0.05)]
    errors = ulp_errors(get("polygamma").eager({"order": order}, x), x, lambda v: mp.polygamma(order, v))
    positive = x > 0
    assert errors[positive].max() <= 10.0
    assert errors[~positive].max() <= 1e4  # near the roots of polynomials in 1 / tan(pi x) terms cancel


def test_the_polynomials_are_interpolated_at_chebyshev_points() -> None:
    with mp.workdps(60):
        root = mp.findroot(mp.digamma, mp.mpf(gamma.ROOT))
        assert mp.mpf(gamma.ROOT) + mp.mpf(gamma.ROOT_LOW) == pytest.approx(root, rel=1e-31)
        quotients = {
            gamma.LGAMMA: lambda x: mp.loggamma(x) / ((x - 1) * (x - 2)),
            gamma.DIGAMMA: lambda x: mp.digamma(x) / (x - root),
        }
        for coefficients, quotient in quotients.items():
            n = len(coefficients)
            for k in range(n):
                u = mp.cos(mp.pi * (2 * k + 1) / (2 * n)) / 2
                value = mp.fsum(mp.mpf(c) * u**j for j, c in enumerate(coefficients))
                assert abs(value - quotient(u + mp.mpf("1.5"))) < 2e-16


@pytest.mark.filterwarnings("error")
def test_special_values() -> None:
    """As TensorFlow 2.21 answers, which was asked; it gives NaN for I0 and I1 of infinity."""
    x = np.array([0.0, -0.0, -1.0, -2.0, np.inf, -np.inf, np.nan])
    inf, nan = np.inf, np.nan
    expected = {
        "lgamma": [inf, inf, inf, inf, inf, inf, nan], "digamma": [nan, nan, nan, nan, inf, nan, nan],
        "bessel_i0e": [1.0, 1.0, 0.46575961, 0.30850832, 0.0, 0.0, nan],
        "bessel_i1e": [0.0, 0.0, -0.20791042, -0.21526929, 0.0, 0.0, nan],
    }  # fmt: skip
    for name, want in expected.items():
        np.testing.assert_allclose(get(name).eager({}, x), want, rtol=1e-7)
        check(lambda b, v, name=name: getattr(b, name)(v), x, tolerance=1e-12)
    np.testing.assert_array_equal(get("polygamma").eager({"order": 1}, x)[:5], [inf, inf, inf, inf, 0.0])
    assert np.isnan(get("polygamma").eager({"order": 2}, x)[:4]).all()
    assert get("bessel_i0").eager({}, np.array(713.0)) < inf  # exp(713) is not
    assert get("lgamma").eager({}, np.array(1e306)) == inf
    assert get("lgamma").eager({}, np.array(2e305)) < inf
