"""NumPy's products, linear algebra, order, calculus and comparison on Arrays: as NumPy's, eagerly and compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb

from .numpy_checks import array, check, check_derivative, programs

DTYPES = ["f4", "f8", "i8", "?"]
PRODUCTS = programs("""
    np.dot(a, m); np.dot(b, q); np.dot(m, b); np.dot(s, a); np.dot(a, 2); np.dot(c, np.ones((4, 2)));
    np.dot(b, np.ones((2, 3, 2))); np.vdot(a, p); np.inner(a, p); np.inner(b, q); np.inner(s, b); np.outer(b, q);
    np.outer(a, v); np.tensordot(a, m, 1); np.tensordot(a, p, ([0, 1], [0, 1]));
    np.tensordot(a, p, axes=((0,), (0,))); np.tensordot(b, q, 0); np.kron(b, q); np.kron(m, a); np.kron(b, m);
    np.cross(a, p); np.cross(b, q); np.cross(m, m.T, axis=0); np.einsum('ij,jk->ik', a, m); np.einsum('ij,ij', a, p);
    np.einsum('ii', m); np.einsum('ii->i', m); np.einsum('ij->ji', a); np.einsum('i,j', b, q); np.einsum('ij->j', a);
    np.einsum('...j,jk->...k', c[:, :, :3], m); np.einsum('ij,jk,kl->il', a, m, m);
    np.einsum('ij,kj,kl,l', a, p, p, b, optimize=True); np.einsum('abc,abd->abcd', c, c);
    np.linalg.matrix_power(m, 3); np.linalg.matrix_power(m, 0); np.linalg.multi_dot([a, m, b]); np.linalg.norm(a);
    np.linalg.norm(b); np.linalg.norm(b, 1); np.linalg.norm(b, np.inf); np.linalg.norm(b, -np.inf);
    np.linalg.norm(b, 0); np.linalg.norm(b, 3); np.linalg.norm(a, axis=1); np.linalg.norm(a, axis=0, keepdims=True);
    np.linalg.norm(a, 1); np.linalg.norm(a, np.inf); np.linalg.norm(a, 'fro'); np.linalg.norm(c, axis=(0, 2));
    np.linalg.norm(a, -1, keepdims=True); np.linalg.norm(c); np.linalg.vector_norm(a); np.linalg.matrix_norm(a);
    np.linalg.vector_norm(a, axis=1, ord=1); np.linalg.trace(m); np.linalg.diagonal(m); np.vecdot(a, b)
""")
MORE = programs("""
    np.diff(v); np.diff(a, axis=0); np.diff(v, 2); np.diff(v, prepend=1); np.diff(a, append=p, axis=1); np.ediff1d(a);
    np.ediff1d(v, to_begin=9); np.gradient(v); np.gradient(v, 0.5); np.gradient(v, edge_order=2); np.gradient(m);
    np.gradient(m, 0.5, 2.0); np.gradient(m, axis=1); np.gradient(q, np.array([0.0, 1.0, 3.0])); np.trapezoid(v);
    np.trapezoid(v, dx=0.25); np.trapezoid(a, np.array([0.0, 1.0, 3.0])); np.trapezoid(a, axis=0);
    np.interp(b, [-1.0, 0.0, 1.0, 2.0], [3.0, 1.0, 2.0, 5.0]); np.interp(a, np.arange(4.0), np.arange(4.0), left=-1);
    np.interp(s, np.arange(4.0), np.arange(4.0) ** 2); np.convolve(v, b); np.convolve(v, b, 'same');
    np.convolve(b, v, 'valid'); np.convolve(b, q, 'same'); np.convolve(v, o); np.correlate(v, b);
    np.correlate(v, b, 'full'); np.polyval(b, a); np.polyval([1.0, 2.0, 3.0], a); np.vander(b); np.vander(b, 2);
    np.vander(b, increasing=True); np.isclose(a, p); np.allclose(a, a); np.allclose(a, p); np.array_equal(a, a);
    np.array_equal(a, b); np.searchsorted(np.array([-1.0, 0.0, 1.0]), a); np.searchsorted([0, 1, 2], v, side='right');
    np.meshgrid(b, q); np.meshgrid(b, v, indexing='ij'); np.meshgrid(b, q, sparse=True); np.linspace(s, 4.0, 5);
    np.linspace(b, q, 4); np.isposinf(a * 1.0); np.angle(a)
""")
REST = programs("""
    np.zeros(1, np.result_type(a, 1.0)); np.zeros(1, np.result_type(a, b, np.float32)); np.can_cast(a, np.float64);
    np.cov(a); np.cov(b, q); np.cov(a, rowvar=False, bias=True); np.corrcoef(a); np.corrcoef(b); np.cumulative_sum(v);
    np.cumulative_prod(q, include_initial=True); np.nancumsum(a, 1); np.nanargmax(a, 0); np.nanargmin(v);
    np.digitize(a, np.array([-1.0, 0.5, 2.0])); np.digitize(v, [-1, 0, 2], right=True); np.isin(a, b);
    np.isin(a, [2, 6], invert=True); np.array_equiv(a, a[0]); np.isreal(a); np.iscomplex(b); np.unstack(a, axis=1);
    np.astype(a, np.float32); np.delete(v, 1); np.delete(a, [0, 2], axis=1); np.delete(v, slice(1, 4));
    np.insert(v, 2, 9); np.insert(a, 1, b, axis=0); np.insert(a, -1, 5, axis=1); np.polymul(b, q); np.polyder(v);
    np.polyder(v, 2); np.tril_indices_from(m); np.triu_indices_from(m, 1); np.diag_indices_from(m);
    np.unravel_index(np.argmax(a), a.shape); np.ravel_multi_index((np.array([0, 1]), np.array([2, 0])), (2, 3));
    np.matvec(m, b); np.vecmat(b, m); np.nonzero(a > 0); np.nonzero(v); np.where(a > 1); np.argwhere(a);
    np.flatnonzero(a); a[np.nonzero(a > 0)]; np.extract(a > 0, a); np.nonzero(s); v[v > 0].sum()
""")
SMOOTH = programs("""
    np.dot(a, m); np.dot(b, q); np.inner(a, p); np.outer(b, q); np.tensordot(a, p, ([0, 1], [0, 1])); np.kron(b, m);
    np.cross(a, p); np.einsum('ij,kj,kl,l', a, p, p, b); np.einsum('ii->i', m); np.einsum('abc,abd->abcd', c, c);
    np.linalg.matrix_power(m, 3); np.linalg.norm(a); np.linalg.norm(b, 3); np.linalg.norm(a, axis=1);
    np.linalg.norm(m + np.eye(3) * 0.1, 1); np.diff(v, 2); np.gradient(m, 0.5, 2.0); np.gradient(v, edge_order=2);
    np.gradient(q, np.array([0.0, 1.0, 3.0])); np.trapezoid(a, np.array([0.0, 1.0, 3.0])); np.convolve(v, b);
    np.correlate(v, b, 'full'); np.polyval(b, a); np.vander(b);
    np.interp(u, [-1.0, 0.0, 0.9, 2.0], b[0] * np.arange(4.0) ** 2); np.linspace(b, q, 4); np.meshgrid(b, q);
    np.cov(a); np.corrcoef(m); np.insert(a, 1, b, axis=0); np.delete(a, [0], axis=1) ** 2; np.polymul(b, q);
    np.extract(a > 0, a) ** 2; a[np.nonzero(a > 0)] * 2
""")
SORTED = programs("""
    np.sort(a); np.sort(a, 0); np.sort(c, axis=None); np.argsort(v); np.argsort(a, axis=0); np.median(v);
    np.median(a, 0); np.median(b); np.median(a, axis=1, keepdims=True); np.quantile(v, 0.3);
    np.percentile(a, 75, axis=1); np.quantile(v, [0.0, 0.25, 1.0])
""")
SMOOTH_SORTED = programs("""
    np.sort(v) ** 2; np.sort(a, 0) * a; np.take_along_axis(a, np.argsort(a, 1), 1) * p; np.median(v); np.median(b);
    np.quantile(v, 0.3)
""")
SOLVED = programs("""
    np.linalg.solve(m, b); np.linalg.solve(m, m.T); np.linalg.inv(m); np.linalg.det(m); np.linalg.slogdet(m);
    np.linalg.cholesky(m @ m.T); np.linalg.matrix_power(m, -2); np.linalg.cholesky(m @ m.T, upper=True)
""")


def _sorts_in_functions() -> bool:
    try:
        pb.function(pb.sort)(pb.constant([2.0, 1.0]))
    except TypeError:
        return False
    return True


SORTS = _sorts_in_functions()  # a build without native sorting has these eagerly only
needs_linalg = pytest.mark.skipif(not hasattr(pb.linalg, "solve"), reason="pb.linalg.solve is not there")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", PRODUCTS + MORE + REST)
def test_as_numpy(text: str, dtype: str) -> None:
    check(text, dtype)


@pytest.mark.parametrize("text", SORTED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_order_as_numpy(text: str, dtype: str) -> None:
    check(text, dtype, compile=SORTS)


@pytest.mark.parametrize("text", SMOOTH_SORTED)
def test_derivatives_of_what_is_sorted(text: str) -> None:
    check_derivative(text, compile=SORTS)


@needs_linalg
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("text", SOLVED)
def test_solved_as_numpy(text: str, dtype: str) -> None:
    check(text, dtype, scale=20.0)


@pytest.mark.parametrize("text", SMOOTH)
def test_derivatives(text: str) -> None:
    check_derivative(text)


@needs_linalg
@pytest.mark.parametrize("text", SOLVED)
def test_derivatives_of_what_is_solved(text: str) -> None:
    check_derivative(text)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=8), st.lists(st.floats(-6, 6, width=32), max_size=9))
def test_interp_agrees_with_numpy(points: list[float], at: list[float]) -> None:
    xp = np.unique(np.array(points, np.float64))
    fp = np.cos(np.arange(len(xp)) * 1.7)
    x = np.array([*at, *xp], np.float64)
    np.testing.assert_allclose(np.interp(array(x), array(xp), fp).numpy(), np.interp(x, xp, fp), rtol=1e-12, atol=1e-12)
