"""Operators and ufuncs on Arrays: NumPy's dtypes and values, eagerly and compiled, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.runtime.array import is_array

from .numpy_checks import array, check, check_derivative, programs

DTYPES = ["f4", "f8", "i8", "i4", "?"]
BINARY = ["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^"]
# + - * / and comparisons are exact in machine code too; // and % of floats as well.
EXACT = [
    *(f"a {o} b" for o in BINARY), *(f"a {o} 2" for o in BINARY), *(f"2 {o} q" for o in BINARY),
    *(f"a {o} s" for o in ("+", "*", "/")), *(f"e {o} b" for o in ("+", "*", "/")), *(f"o {o} a" for o in ("-", "==")),
    "a + 1.5", "1.5 / q", "a * True", "a + np.float32(2)", "a + np.float64(2)", "np.float64(2) * a", "a + np.int64(3)",
    "np.ones(3) - a", "a - np.ones(3, np.float32)", "b * np.arange(3)", "-a", "+a", "abs(a)", "~a", "a << 2", "a >> 1",
    "(a * 4 > b) & (b > 0)", "divmod(a, q)", "divmod(q, 2)", "a ** 2", "q ** 2", "a ** 1", "s + s", "s * 2 + 1",
    "np.add(a, b)", "np.subtract(a, b)", "np.multiply(a, b)", "np.true_divide(a, b)", "np.maximum(a, b)",
    "np.minimum(a, b)", "np.fmax(a, b)", "np.fmin(a, 0.5)", "np.negative(a)", "np.positive(a)", "np.absolute(a)",
    "np.fabs(a)", "np.sign(a)", "np.floor(a)", "np.ceil(a)", "np.trunc(a)", "np.rint(a)", "np.square(a)",
    "np.sqrt(p)", "np.reciprocal(q)", "np.reciprocal(a)", "np.fmod(a, b)", "np.remainder(a, b)", "np.heaviside(a, 0.5)",
    "np.isnan(a)", "np.isinf(a)", "np.isfinite(a)", "np.signbit(a)", "np.copysign(p, b)", "np.logical_and(a, b)",
    "np.logical_or(a, b)", "np.logical_xor(a, b)", "np.logical_not(a)", "np.bitwise_and(a, 3)", "np.invert(a)",
    "np.left_shift(a, 2)", "np.right_shift(a, 1)", "np.equal(a, b)", "np.greater(a, b)", "np.deg2rad(a)",
    "np.rad2deg(a)", "np.conjugate(a)", "np.modf(p)", "np.add(a, b, dtype=np.float32)", "np.power(q, 2)",
    "np.add.outer(b, q)", "np.multiply.outer(b, a)", "np.subtract.outer(b, 1.0)",
]  # fmt: skip
CLOSE = programs("""
    p ** 0.5; p ** 3; p ** q; 2 ** q; 2.0 ** a; q ** -1; q ** -2.0; np.exp(a); np.log(p); np.sin(a); np.cos(a);
    np.tan(b); np.sinh(a); np.cosh(a); np.tanh(a); np.arcsin(u); np.arccos(u); np.arctan(a); np.arcsinh(a);
    np.arccosh(p + 1); np.arctanh(u); np.arctan2(a, b); np.expm1(a); np.log1p(p); np.log2(p); np.log10(p); np.exp2(a);
    np.cbrt(a); np.hypot(a, b); np.logaddexp(a, b); np.logaddexp2(a, b); np.power(p, q); np.float_power(q, 2); a @ m;
    m @ m; b @ m; m @ b; b @ q; c @ np.ones((4, 2)); np.matmul(a, m); np.ldexp(a, 2); np.sinc(a)
""")
SMOOTH = programs("""
    a + b; a - b; a * b; a / q; a % 0.7; 0.7 % q; p ** b; p ** 2; p ** 0.5; 2.0 ** a; abs(a); -a; a @ m; b @ m; m @ b;
    b @ q; m @ m; np.sin(a) * np.cos(b); np.exp(a); np.log(p); np.log2(p); np.log10(p); np.exp2(a); np.cbrt(a);
    np.hypot(a, b); np.logaddexp(a, b); np.logaddexp2(a, b); np.arctan2(a, q); np.maximum(m, q); np.fmax(m, q);
    np.sqrt(p); np.tanh(a); np.reciprocal(q); np.copysign(p, b); np.fmod(a, 0.7); np.modf(a * 0.9)[0]; np.arcsinh(a);
    np.sinc(a); np.multiply.outer(b, q); np.deg2rad(a); np.heaviside(a, 0.5) * a
""")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", EXACT)
def test_exact(text: str, dtype: str) -> None:
    check(text, dtype, exact=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", CLOSE)
def test_close(text: str, dtype: str) -> None:
    check(text, dtype)


@pytest.mark.parametrize("text", SMOOTH)
def test_derivatives(text: str) -> None:
    check_derivative(text)


# ---------------------------------------------------------------- promotion
NUMBERS = st.sampled_from([True, 2, 3.5, np.float32(1.5), np.float64(0.5), np.int64(3), np.int32(2), np.bool_(True)])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["f4", "f8", "i8", "i4", "i2", "u1", "?"]), st.sampled_from(["f4", "f8", "i8", "i4", "u1", "?"]),
    st.sampled_from([np.add, np.multiply, np.true_divide, np.maximum, np.less, np.arctan2, np.floor_divide, np.hypot]),
    NUMBERS,
)  # fmt: skip
def test_promotion_is_numpys(left: str, right: str, ufunc: np.ufunc, number: object) -> None:
    x, y = np.array([1, 2, 1]).astype(left), np.array([2, 1, 1]).astype(right)
    for pair in ((x, y), (x, number), (number, x)):
        try:
            want = ufunc(*pair)
        except (TypeError, OverflowError) as e:
            with pytest.raises(type(e)):
                ufunc(*[array(v) if isinstance(v, np.ndarray) else v for v in pair])
            continue
        got = ufunc(*[array(v) if isinstance(v, np.ndarray) else v for v in pair])
        assert is_array(got)
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-15 if want.dtype != np.float32 else 1e-6)


def test_a_tensor_takes_part_with_its_own_dtype() -> None:
    t, a = pb.constant([1.0, 2.0, 3.0]), array(np.float32([1, 2, 3]))
    for y in (t + a, a + t, t + np.ones(3), np.add(a, t), np.multiply(np.ones(3), t), pb.Variable(t) * a):
        assert type(y) is pb.Tensor
        assert y.dtype == pb.float32
    y = t + array([1.0, 2.0, 3.0])  # as beside an ndarray
    assert type(y) is pb.Tensor
    assert y.dtype == pb.float32


def test_integers_out_of_range_raise_as_in_numpy() -> None:
    with pytest.raises(OverflowError):
        array(np.uint8([1])) + 300


def test_operators_of_ndarrays_and_numpy_scalars_come_to_us() -> None:
    a = array([1.0, 2.0])
    for y in (np.ones(2) + a, np.float64(2) * a, np.ones(2) @ a, np.float32(1) < a, 2 - a):
        assert is_array(y)


def test_none_is_no_operand() -> None:
    with pytest.raises(TypeError):
        array([1.0]) + None  # type: ignore[operator]
