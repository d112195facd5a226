"""Special values: zeros of both signs, infinities, NaN, subnormals, the limits of overflow; as NumPy answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from pullback.codegen.host import host
from pullback.codegen.math_huge import two_over_pi_limbs
from pullback.codegen.math_table import MATH
from pullback.codegen.scalar import lower

from .elementwise_kernel import NUMPY, Kernel, loop_text
from .ulp import errors

Array = np.ndarray[Any, Any]

NUMPY_MEANING: dict[str, Callable[..., Array]] = {
    "sigmoid": lambda x: np.where(x > 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "pow": np.power,
    "erf": np.vectorize(math.erf),
    **{name: getattr(np, name) for name in MATH if hasattr(np, name)},
}
MODES = pytest.mark.parametrize(("lanes", "fma"), [(0, True), (8, True), (8, False)])
FORMATS = pytest.mark.parametrize("dtype", ["f32", "f64"])


def special_values(dtype: str) -> Array:
    t = NUMPY[dtype].type
    info = np.finfo(t)
    magnitudes = [0.0, 1e-3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 7.0, 1e5, 1e10, 2.0**24 + 2, 2.0**52 + 1, 2.0**53 + 2]
    magnitudes += [info.max, info.tiny, 3 * info.tiny, info.smallest_subnormal, 12345 * info.smallest_subnormal]
    magnitudes += [np.inf, np.nan, info.eps, 1 - info.eps, 1 + info.eps]
    return np.array(magnitudes + [-m for m in magnitudes], t)


def assert_like_numpy(y: Array, expected: Array, arguments: tuple[Array, ...]) -> None:
    """NaN where NumPy has NaN, infinities and the signs of zeros the same, the rest within a few units."""
    with np.errstate(all="ignore"):
        close = np.abs(y - expected) <= 4 * np.spacing(np.abs(expected))
        good = (np.isnan(y) & np.isnan(expected)) | ((y == expected) | close) & (np.signbit(y) == np.signbit(expected))
    wrong = np.flatnonzero(~good)
    assert not wrong.size, [([a[i] for a in arguments], y[i], expected[i]) for i in wrong[:5]]


@MODES
@FORMATS
@pytest.mark.parametrize("name", sorted(set(MATH) - {"pow"}))
def test_special_values(name: str, dtype: str, lanes: int, fma: bool) -> None:
    x = special_values(dtype)
    with np.errstate(all="ignore"):
        expected = NUMPY_MEANING[name](x.astype(np.float64)).astype(x.dtype)
    y = Kernel(lambda em, v: lower(em, name, [v], dtype, in_dtype=dtype), [dtype], dtype, lanes, fma=fma)(x)
    assert_like_numpy(y, expected, (x,))


@MODES
@FORMATS
def test_pow_of_all_pairs_of_special_values(dtype: str, lanes: int, fma: bool) -> None:
    values = special_values(dtype)
    x, y = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(values, values))
    run = Kernel(lambda em, *v: lower(em, "pow", v, dtype, in_dtype=dtype), [dtype] * 2, dtype, lanes, fma=fma)
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    assert_like_numpy(run(x, y), expected, (x, y))


@FORMATS
def test_exp_overflows_and_underflows_where_it_must(dtype: str) -> None:
    run = Kernel(lambda em, v: lower(em, "exp", [v], dtype, in_dtype=dtype), [dtype], dtype, 8)
    t = NUMPY[dtype].type
    info = np.finfo(t)
    log_max = np.log(t(info.max))
    x = np.array([np.nextafter(log_max, t(0)), np.nextafter(log_max, t(np.inf)) + t(1e-4), t(800)], t)
    low = np.array([np.log(t(info.smallest_subnormal)), np.log(t(info.smallest_subnormal)) - t(2)], t)
    assert np.isfinite(run(x)[0])
    np.testing.assert_array_equal(run(x)[1:], [np.inf, np.inf])
    np.testing.assert_array_equal(run(low), [info.smallest_subnormal, 0])


def test_two_over_pi() -> None:
    limbs = two_over_pi_limbs()
    assert limbs[0] == 0
    value = 0
    for limb in limbs[1:]:
        value = value << 64 | limb
    bits = 64 * (len(limbs) - 1)
    with mp.workprec(bits + 64):
        assert value == int(mp.floor(mp.mpf(2) ** (bits + 1) / mp.pi))


# The doubles (and a float) closest to a multiple of pi/2, where reduction must keep most digits.
HARDEST = [6381956970095103 * 2.0**797, 5.319372648326541e255, 6.0e22, 1e22, 2.0**1023, 1.7976931348623157e308, 2.0**30]


@MODES
@FORMATS
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_arguments(name: str, dtype: str, lanes: int, fma: bool) -> None:
    t = NUMPY[dtype].type
    with np.errstate(over="ignore"):
        x = np.array([s * v for v in [*HARDEST, 1e5, 16367173 * 2.0**72, 3e38, 1e30] for s in (1, -1)], t)
    x = x[np.isfinite(x)]
    run = Kernel(lambda em, v: lower(em, name, [v], dtype, in_dtype=dtype), [dtype], dtype, lanes, fma=fma)
    assert errors(name, (x,), run(x)).max() <= 2.0
    mixed = np.ones(2 * x.size, t)
    mixed[::2] = x  # a vector with usual and huge lanes side by side
    np.testing.assert_array_equal(run(mixed)[::2], run(x))
    np.testing.assert_array_equal(run(mixed)[1::2], run(np.ones(1, t))[0])


@pytest.mark.skipif(not host().has_scalef, reason="no AVX-512 here")
@pytest.mark.parametrize("name", ["exp", "expm1", "sinh", "cosh", "tanh", "sigmoid", "softplus", "erf", "pow"])
@FORMATS
def test_scaling_in_one_instruction_changes_no_bit(name: str, dtype: str) -> None:
    t = NUMPY[dtype].type
    rng = np.random.default_rng(3)
    wide = rng.uniform(-1200, 1200, 40_000) if dtype == "f64" else rng.uniform(-160, 160, 40_000)
    x = np.concatenate([special_values(dtype), wide.astype(t), rng.uniform(-2, 2, 20_000).astype(t)])
    xs = (np.abs(x), rng.permutation(x)) if name == "pow" else (x,)
    lanes = 64 // x.itemsize
    one, two = (
        Kernel(lambda em, *v: lower(em, name, v, dtype, in_dtype=dtype), [dtype] * len(xs), dtype, lanes, scales=scales)
        for scales in (True, False)
    )
    bits = f"u{x.itemsize}"
    np.testing.assert_array_equal(one(*xs).view(bits), two(*xs).view(bits))
    text = loop_text(lambda em, v: lower(em, "exp", [v], dtype, in_dtype=dtype), [dtype], dtype, lanes, scales=True)
    assert "scalef" in text
