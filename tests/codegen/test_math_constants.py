"""The constants of the float formats are what ``math_common.Format`` says of them, to the bits that count."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from pullback.codegen.math_common import Coefficients, Format
from pullback.codegen.math_f32 import F32
from pullback.codegen.math_f64 import F64

FORMATS = pytest.mark.parametrize("f", [F32, F64], ids=["f32", "f64"])
# polynomial, the function approximated with it (p stands for its value at `variable`), exact function, argument range,
# bits beyond the format's that the approximation must have.
Case = tuple[str, Callable[[Any, Any], Any], Callable[[Any], Any], Callable[[Any], Any], float, float, int]
CASES: list[Case] = [
    ("exp_q", lambda r, p: 1 + r + r * r * p, mp.exp, lambda r: r, -0.3466, 0.3466, 3),
    ("exp_q1", lambda r, p: r + r * r * p, mp.expm1, lambda r: r, -0.3466, 0.3466, 4),
    ("sinh_s", lambda r, p: r + r**3 * p, mp.sinh, lambda r: r * r, 1e-3, 0.3466, 6),
    ("cosh_c", lambda r, p: 1 + r * r * p, mp.cosh, lambda r: r * r, 1e-3, 0.3466, 5),
    ("sin_s", lambda r, p: r + r**3 * p, mp.sin, lambda r: r * r, 1e-3, 0.7865, 2),
    ("cos_c", lambda r, p: 1 - r * r / 2 + r**4 * p, mp.cos, lambda r: r * r, 1e-3, 0.7865, 6),
    ("log_p", lambda x, p: x - x * x / 2 + x**3 * p, mp.log1p, lambda x: x, -0.2929, 0.4143, 3),
    ("log_l", lambda s, p: 2 * s + s**3 * p, lambda s: 2 * mp.atanh(s), lambda s: s * s, 1e-3, 0.1716, 5),
    ("atanh_q", lambda s, p: s + s**3 / 3 + s**5 * p, mp.atanh, lambda s: s * s, 1e-3, 0.1716, 11),
]


def evaluate(coefficients: Coefficients, x: Any) -> Any:
    return mp.fsum(mp.mpf(c) * x**k for k, c in enumerate(coefficients))


@FORMATS
@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_polynomials_are_close_enough(case: Case, f: Format) -> None:
    name, approximation, exact, variable, low, high, extra = case
    coefficients: Coefficients = getattr(f, name)
    if not coefficients:
        assert (name, f.ty) == ("log_p", "double")  # the double logarithm uses log_l
        return
    with mp.workprec(200):
        points = [mp.mpf(x) for x in np.linspace(low, high, 400) if x]
        values = [(approximation(x, evaluate(coefficients, variable(x))), exact(x)) for x in points]
        worst = max(abs(y / e - 1) for y, e in values)
        assert worst < mp.mpf(2) ** -(f.mantissa + extra)


@FORMATS
def test_split_constants_add_up(f: Format) -> None:
    digits = f.mantissa + 1
    with mp.workprec(300):
        for parts, exact, bits in [
            (f.ln2, mp.log(2), digits + 14),
            (f.ln2_pair, mp.log(2), 2 * digits),
            (f.two_log2e, 2 / mp.log(2), 2 * digits),
            (f.third_log2e, 2 / (3 * mp.log(2)), 2 * digits),
            (f.half_pi, mp.pi / 2, 3 * digits),
        ]:
            assert abs(mp.fsum(parts) / exact - 1) < mp.mpf(2) ** (1 - bits)
    assert all(part > 0 for part in f.half_pi)  # what keeps the sign of x = -0


@FORMATS
def test_constants_are_floats_of_their_format(f: Format) -> None:
    for name in Format.__slots__:
        value = getattr(f, name)
        for c in value if isinstance(value, tuple) else ():
            assert f.ty == "double" or struct.unpack("f", struct.pack("f", c))[0] == c, name
    t = np.float32 if f.ty == "float" else np.float64
    assert float(t(f.magic)) == f.magic
    assert f.magic_bits == int(np.array(f.magic, t).view(np.int32 if f.ty == "float" else np.int64))
    assert f.sqrt_half == int(np.array(np.sqrt(0.5), t).view(np.int32 if f.ty == "float" else np.int64))
    assert f.smallest_normal == float(np.finfo(t).tiny)
