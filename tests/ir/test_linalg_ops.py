"""Factorisations and solves in NumPy: what they refuse, what they say, and what their formulas do at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir.errors import InvalidArgumentError, ShapeMismatch, SingularMatrix, TypeMismatch
from pullback.ir.infer import SymbolicShapes
from pullback.ir.opdef import NoGradient, get

from .rules import infer, vjp

SQUARE = ("cholesky", "lu", "eigh", "inv", "det", "slogdet")
R = np.random.default_rng(3)


@pytest.mark.parametrize("name", SQUARE)
def test_matrices_must_be_square_and_real_floats(name: str) -> None:
    for shape, what in (("f64[3]", "rank 2 or more"), ("f64[2, 3]", "square"), ("f32[4, 2, 3]", "square")):
        with pytest.raises(ShapeMismatch, match=what):
            infer(name, shape)
    with pytest.raises(TypeMismatch, match=r"float32 and float64.*pb\.cast"):
        infer(name, "i32[2, 2]")
    with pytest.raises(SymbolicShapes):
        infer(name, "f64[n, m]")
    assert infer(name, "f64[b, n, n]").startswith("f64[b")


@pytest.mark.parametrize(
    ("name", "attrs"), [("solve", {"adjoint": False}), ("triangular_solve", {"lower": True, "adjoint": False})]
)
def test_both_sides_must_fit(name: str, attrs: dict[str, Any]) -> None:
    assert infer(name, "f32[b, n, n]", "f32[b, n, k]", **attrs) == "f32[b, n, k]"
    for left, right, what in (
        ("f64[3, 3]", "f64[3]", r"b\[:, None\]"), ("f64[3, 3]", "f64[2, 1]", "3 columns, the right side 2 rows"),
        ("f64[5, 3, 3]", "f64[4, 3, 1]", "batch"),
    ):  # fmt: skip
        with pytest.raises(ShapeMismatch, match=what):
            infer(name, left, right, **attrs)
    with pytest.raises(TypeMismatch, match="differ"):
        infer(name, "f64[3, 3]", "f32[3, 1]", **attrs)


def test_singular_matrices() -> None:
    a, right = np.ones((2, 3, 3)), np.ones((2, 3, 1))
    a[0] = np.eye(3)
    for name, operands, attrs in (("inv", (a,), {}), ("solve", (a, right), {"adjoint": False})):
        with pytest.raises(SingularMatrix, match=rf"{name}: the matrix is singular.*lstsq"):
            get(name).eager(attrs, *operands)
    factors, exchanges, _ = get("lu").eager({}, a)
    with pytest.raises(InvalidArgumentError, match="singular"):
        get("lu_solve").eager({"adjoint": False}, factors, exchanges, right)


def test_a_batch_keeps_its_positive_definite_matrices() -> None:
    good = np.array([[4.0, np.nan], [2.0, 5.0]])  # what is above the diagonal is not read
    stack = np.stack([good, [[1.0, 2.0], [2.0, 1.0]], np.eye(2)])
    got = get("cholesky").eager({}, stack)
    np.testing.assert_array_equal(got[0], [[2.0, 0.0], [1.0, 2.0]])
    assert np.isnan(got[1]).all()
    np.testing.assert_array_equal(got[2], np.eye(2))


def test_a_zero_on_the_diagonal_of_a_triangle_divides() -> None:
    a = np.array([[1.0, 0.0], [2.0, 0.0]])
    got = get("triangular_solve").eager({"lower": True, "adjoint": False}, a, np.ones((2, 1)))
    np.testing.assert_array_equal(got, [[1.0], [-np.inf]])


@pytest.mark.parametrize("n", [1, 16, 17, 40])
def test_substitution_in_halves(n: int) -> None:
    a, right = R.normal(size=(2, n, n)) + n * np.eye(n), R.normal(size=(2, n, 3))
    for lower in (True, False):
        m = np.tril(a) if lower else np.triu(a)
        for adjoint in (False, True):
            got = get("triangular_solve").eager({"lower": lower, "adjoint": adjoint}, a, right)
            want = np.linalg.solve(m.swapaxes(1, 2) if adjoint else m, right)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_equal_eigenvalues_do_not_divide_by_zero() -> None:
    """The sum of the eigenvalues is the trace, also of the identity; the vectors' part counts as zero."""
    w, v = get("eigh").eager({}, np.eye(3))
    from pullback.ir.builder import RAW

    (g,) = get("eigh").vjp(RAW, {}, [w, v], [np.eye(3)], [np.ones(3), np.ones((3, 3))], [True])
    np.testing.assert_allclose(g, np.eye(3), atol=1e-14)
    w, v = get("eigh").eager({}, np.stack([np.eye(2), np.full((2, 2), np.nan)]))
    assert np.isfinite(w[0]).all()
    assert np.isnan(w[1]).all()
    assert np.isnan(v[1]).all()


def test_the_gradient_at_a_singular_matrix_says_so() -> None:
    with pytest.raises(SingularMatrix):
        vjp("det", {}, np.ones((2, 2)))


def test_factors_have_no_rule() -> None:
    with pytest.raises(NoGradient, match="'lu'"):
        get("lu").vjp(None, {}, [], [], [], [True])
    with pytest.raises(NoGradient, match="'lu_solve'"):
        get("lu_solve").jvp(None, {}, [], [], [])
