"""Elementwise ops: values against mpmath and NumPy, TensorFlow's gradient conventions, dtype and shape errors."""

from __future__ import annotations

import warnings
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest

from pullback.ir import ops
from pullback.ir.builder import RAW
from pullback.ir.elementwise import Elementwise
from pullback.ir.errors import InvalidArgumentError, ShapeMismatch, TypeMismatch
from pullback.ir.infer import SymbolicShapes

from .op_samples import SAMPLES
from .rules import infer, vjp, whole

INF, NAN = np.inf, np.nan


def eager(name: str, *xs: Any, **attrs: Any) -> Any:
    return ops.get(name).eager(attrs, *map(np.asarray, xs))


EXACT = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "relu": lambda x: max(x, 0),
    "rsqrt": lambda x: 1 / mpmath.sqrt(abs(x)),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-14), (np.float32, 5e-7), (np.float16, 4e-3)])
def test_functions_without_ufunc_are_accurate(name: str, dtype: Any, rtol: float) -> None:
    x = np.array([-9.0, -3.0, -0.5, -1e-3, 1e-3, 0.25, 1.0, 2.5, 8.0], dtype)
    x = np.abs(x) if name == "rsqrt" else x
    with mpmath.workdps(40):
        want = [float(EXACT[name](mpmath.mpf(float(v)))) for v in x]
    got = eager(name, x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=rtol, atol=1e-7 if dtype == np.float16 else 0)


@pytest.mark.parametrize(
    ("name", "x", "want"),
    [
        ("sigmoid", [-INF, -1000.0, 1000.0, INF, NAN], [0.0, 0.0, 1.0, 1.0, NAN]),
        ("softplus", [-INF, -1000.0, 1000.0, INF, NAN], [0.0, 0.0, 1000.0, INF, NAN]),
        ("elu", [-INF, -1000.0, INF, NAN], [-1.0, -1.0, INF, NAN]),
        ("relu", [-INF, INF, NAN], [0.0, INF, NAN]),
        ("rsqrt", [0.0, INF, -1.0], [INF, 0.0, NAN]),
        ("round", [0.5, 1.5, 2.5, -0.5, -1.5], [0.0, 2.0, 2.0, 0.0, -2.0]),
        ("trunc", [1.7, -1.7], [1.0, -1.0]),
        ("sign", [-2.0, 0.0, -0.0, INF, NAN], [-1.0, 0.0, 0.0, 1.0, NAN]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_special_values(name: str, x: list[float], want: list[float]) -> None:
    np.testing.assert_array_equal(eager(name, np.float32(x)), np.float32(want))


def test_floor_division_and_remainder_are_numpys() -> None:
    x, y = np.float64([5.5, -5.5, 5.5, -5.5]), np.float64([2, 2, -2, -2])
    np.testing.assert_array_equal(eager("floordiv", x, y), [2, -3, -3, 2])
    np.testing.assert_array_equal(eager("mod", x, y), [1.5, 0.5, -0.5, -1.5])
    np.testing.assert_array_equal(eager("floordiv", np.int32([7, -7, 7]), np.int32([2, 2, -2])), [3, -4, -4])
    np.testing.assert_array_equal(eager("mod", np.int32([7, -7, 7]), np.int32([2, 2, -2])), [1, 1, -1])
    for name in ("floordiv", "mod"):
        assert np.isnan(eager(name, np.float64(0), np.float64(0)))
        with pytest.raises(InvalidArgumentError, match="Integer division by zero"):
            eager(name, np.int32([7, 7]), np.int32([2, 0]))


def test_integers_wrap_round_and_refuse_negative_powers() -> None:
    big = np.int32(2**31 - 1)
    assert eager("add", big, np.int32(1)) == -(2**31)
    assert eager("pow", np.int32(3), np.int32(4)) == 81
    with pytest.raises(InvalidArgumentError, match="Integers to negative integer powers"):
        eager("pow", np.int32(3), np.int32(-1))


def test_nan_wins_in_minimum_and_maximum() -> None:
    for name in ("minimum", "maximum"):
        np.testing.assert_array_equal(eager(name, np.float32([NAN, 1.0]), np.float32([1.0, NAN])), [NAN, NAN])


def test_cast() -> None:
    dt = ops.get("cast")
    np.testing.assert_array_equal(eager("cast", [1.9, -1.9], dtype=_dtype("i32")), [1, -1])
    np.testing.assert_array_equal(eager("cast", [0.0, 0.5, NAN], dtype=_dtype("bool")), [False, True, True])
    assert infer("cast", "i64[2]", dtype=_dtype("f32")) == "f32[2]"
    assert dt.vjp(RAW, {"dtype": _dtype("i32")}, [], [np.ones(2)], [np.ones(2)], [True]) == (None,)
    (g,) = vjp("cast", {"dtype": _dtype("f64")}, np.float32([1, 2]))
    assert g.dtype == np.float32
    assert vjp("cast", {"dtype": _dtype("f64")}, np.int32([1, 2])) == [None]


def _dtype(name: str) -> Any:
    from pullback.ir.dtypes import as_dtype

    return as_dtype(name)


# ---------------------------------------------------------------- gradient conventions, recorded from TensorFlow 2.21
def test_maximum_gives_ties_to_the_first_operand() -> None:
    x, y, ct = np.float32([1, 2, 3]), np.float32([1, 1, 5]), [0.8775826, 0.0707372, -0.8011436]
    gx, gy = vjp("maximum", {}, x, y, ct=ct)
    np.testing.assert_array_equal(gx, np.float32([0.8775826, 0.0707372, 0]))
    np.testing.assert_array_equal(gy, np.float32([0, 0, -0.8011436]))
    gx, gy = vjp("minimum", {}, x, y)
    np.testing.assert_array_equal(gx, [1, 0, 1])
    np.testing.assert_array_equal(gy, [0, 1, 0])
    gx, gy = vjp("maximum", {}, np.float32([NAN, 1.0]), np.float32([1.0, NAN]))
    np.testing.assert_array_equal(gx, [0, 0])  # TensorFlow: everything that is not x >= y goes to y
    np.testing.assert_array_equal(gy, [1, 1])


def test_gradients_at_kinks_and_poles() -> None:
    np.testing.assert_array_equal(vjp("abs", {}, np.float32([-2, 0, 3]))[0], [-1, 0, 1])
    np.testing.assert_array_equal(vjp("relu", {}, np.float32([-1, 0, 2]))[0], [0, 0, 1])
    np.testing.assert_array_equal(vjp("relu", {}, np.float32([-1, 2]), ct=[INF, INF])[0], [0, INF])
    np.testing.assert_array_equal(vjp("sqrt", {}, np.float32([0, 4]))[0], [INF, 0.25])
    np.testing.assert_array_equal(vjp("sign", {}, np.float32([-2, 0, 3]))[0], [0, 0, 0])
    np.testing.assert_array_equal(vjp("elu", {}, np.float32([0, 2]))[0], [1, 1])
    for name in ("floor", "ceil", "round", "trunc"):
        assert vjp(name, {}, np.float32([0.5])) == [None]
        assert not ops.get(name).differentiable
    assert vjp("floordiv", {}, np.float32([5.5]), np.float32([2])) == [None, None]


def test_pow_gradients_do_not_leak_nan() -> None:
    gx, gp = vjp("pow", {}, np.float32([-2, 0, 3]), np.float32(2))
    np.testing.assert_array_equal(gx, [-4, 0, 6])
    np.testing.assert_allclose(gp, 9 * np.log(3), rtol=1e-6)
    gx, gp = vjp("pow", {}, np.float32([0, 0, 2, -1]), np.float32([1, 2, 0, 0]))
    np.testing.assert_array_equal(gx, [1, 0, 0, 0])
    np.testing.assert_allclose(gp, [0, 0, np.log(2), 0], rtol=1e-6)
    gx, _ = vjp("pow", {}, np.float32([0.0]), np.float32([0.0]))
    np.testing.assert_array_equal(gx, [0])


def test_the_branch_not_taken_gets_exact_zeros() -> None:
    c, x = np.array([True, False]), np.float32([1, 2])
    _, gx, gy = vjp("where", {}, c, x, x, ct=[INF, NAN])
    np.testing.assert_array_equal(gx, [INF, 0])
    np.testing.assert_array_equal(gy, [0, NAN])


def test_division_gradient() -> None:
    gx, gy = vjp("div", {}, np.float32([1, 2, -3]), np.float32([0.5, 4, 2]))
    np.testing.assert_array_equal(gx, [2, 0.25, 0.5])
    np.testing.assert_array_equal(gy, [-4, -0.125, 0.75])


# ---------------------------------------------------------------- broadcasting and dtypes
def test_cotangents_have_the_shape_of_their_operands() -> None:
    cases = [((2, 1, 3), (4, 1)), ((), (2, 3)), ((1, 1), (1,)), ((3, 1), (3, 0)), ((1,), (0,)), ((2, 3), (1, 1, 3))]
    for a, c in cases:
        gx, gy = vjp("mul", {}, np.full(a, 2.0), np.full(c, 3.0))
        joint = np.broadcast_shapes(a, c)
        np.testing.assert_array_equal(gx, np.full(a, 3.0) * (np.prod(joint) / max(np.prod(a), 1)))
        assert gy.shape == c


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_values_and_derivatives_keep_the_dtype(dtype: Any) -> None:
    for op in ops.table():
        if not isinstance(op, Elementwise) or op.types not in ("float", "number") or op.result != "same":
            continue
        xs = [np.full((2, 3), 0.5).astype(dtype), np.full((3,), 0.25).astype(dtype)][: op.arity]
        attrs = SAMPLES[op.name][0][0]
        y = op.eager(attrs, *xs)
        back = op.vjp(RAW, attrs, [y], xs, [y], [True] * op.arity)
        (t,) = op.jvp(RAW, attrs, [y], xs, xs)
        assert y.dtype == dtype, op.name
        assert all(c is None or whole(c).dtype == dtype for c in back), op.name
        assert t is None or (t.dtype == dtype and t.shape == y.shape), op.name


def test_no_warning_escapes_and_the_users_error_state_survives() -> None:
    with warnings.catch_warnings(), np.errstate(divide="raise", over="warn"):
        warnings.simplefilter("error")
        before = np.geterr()
        assert eager("div", np.float32([1]), np.float32([0]))[0] == INF
        assert eager("exp", np.float32([1000]))[0] == INF
        assert np.isnan(eager("log", np.float32([-1]))[0])
        assert eager("mul", np.float32(1e38), np.float32(1e38)) == INF
        assert np.geterr() == before
        with pytest.raises(TypeError):
            eager("add", np.array("a"), np.array(1))
        assert np.geterr() == before


# ---------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("name", "operands", "words"),
    [
        ("add", ("f32[2]", "f64[2]"), "add: found f32.2. and f64.2.; the dtypes float32 and float64 differ"),
        ("add", ("bool", "bool"), "numeric dtype, not bool: write pb.cast"),
        ("div", ("i32", "i32"), "floating-point dtype, not int32"),
        ("exp", ("i64[2]",), "floating-point dtype, not int64"),
        ("lt", ("bool", "bool"), "numeric"),
        ("logical_and", ("i32", "i32"), "needs bool"),
        ("bitwise_or", ("f32", "f32"), "integer dtype or bool, not float32"),
        ("where", ("f32", "f32", "f32"), "the condition must be bool"),
        ("where", ("bool", "f32", "f64"), "differ"),
        ("add", ("f32",), "takes 2 operands, found 1"),
        ("cast", ("string",), "no conversion"),
    ],
)
def test_wrong_dtypes(name: str, operands: tuple[str, ...], words: str) -> None:
    with pytest.raises(TypeMismatch, match=words) as e:
        infer(name, *operands, **({"dtype": _dtype("f32")} if name == "cast" else {}))
    assert isinstance(e.value, InvalidArgumentError)
    assert isinstance(e.value, TypeError)


def test_wrong_shapes() -> None:
    with pytest.raises(ShapeMismatch, match=r"mul: found f32\[2, 3\] and f32\[4\]; the sizes 3 and 4 do not") as e:
        infer("mul", "f32[2, 3]", "f32[4]")
    assert isinstance(e.value, InvalidArgumentError)
    assert isinstance(e.value, ValueError)


def test_symbolic_sizes_broadcast_where_it_is_proven() -> None:
    assert infer("add", "f32[n, 1]", "f32[m]") == "f32[n, m]"
    assert infer("add", "f32[2*n]", "f32[n + n]") == "f32[2*n]"
    assert infer("add", "f32[n]", "f32") == "f32[n]"
    for a, c in (("f32[n]", "f32[m]"), ("f32[n]", "f32[3]"), ("f32[n]", "f32[n + 1]")):
        with pytest.raises(SymbolicShapes, match="depends on") as e:
            infer("add", a, c)
        assert "n" in e.value.symbols
