"""What NumPy gives as a view is one, what it copies is a copy, and `out=` and `where=` write what they write there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.runtime.array import array_of
from pullback.runtime.convert import make


def first(view: Any) -> None:
    """Writes to a view, or to several."""
    for v in view if isinstance(view, (list, tuple)) else [view]:
        v[...] = v + 10.0
        v[0] = 5.0


VIEWS: list[Callable[[Any], Any]] = [
    np.fliplr, np.flipud, np.rot90, lambda A: np.rot90(A, -1), lambda A: np.rot90(A, 2), lambda A: np.rot90(A, 4),
    lambda A: np.rot90(A, 3, (1, 0)), lambda A: np.rollaxis(A, 1), lambda A: np.rollaxis(A, 0, 2),
    lambda A: np.rollaxis(A, -1, 1), lambda A: np.unstack(A, axis=1), np.unstack, np.real,
    lambda A: np.hsplit(A, 2), lambda A: np.vsplit(A, [1]), np.atleast_3d, np.atleast_1d,
    lambda A: np.atleast_2d(A[0]), lambda A: np.atleast_2d(A, A[1]), lambda A: A.astype(np.float64, copy=False),
    lambda A: np.nan_to_num(A, copy=False), np.nan_to_num, np.copy, lambda A: A.astype(np.float64), np.sort,
]  # fmt: skip


@pytest.mark.parametrize("f", VIEWS)
def test_a_write_shows_where_it_shows_in_numpy(f: Callable[[Any], Any]) -> None:
    def program(A: Any) -> Any:
        view = f(A)
        first(view)
        A[1, 1] = -3.0
        return view

    start = np.array([[0.5, 3.0, -1.0, np.nan], [2.0, 1.5, 0.25, 4.0], [1.0, -0.5, 2.5, 0.75]])
    whole, eager = start.copy(), array_of(make(start.copy()))
    expected = program(whole)
    given = program(eager)
    np.testing.assert_array_equal(eager, whole)
    compiled = start.copy()
    found = pb.function(program)(compiled)
    np.testing.assert_array_equal(compiled, whole)
    if isinstance(expected, np.ndarray):
        expected, given, found = [expected], [given], [found]
    for e, g, c in zip(expected, given, found, strict=True):
        np.testing.assert_array_equal(g, e)
        np.testing.assert_array_equal(c, e)


def masked_division(a: Any, b: Any) -> Any:
    out = np.full(4, 7.0)
    np.divide(a, b, out=out, where=b != 0)
    np.sqrt(a, where=a > 0, out=out[::-1])
    return out


def whole_out(a: Any, b: Any) -> Any:
    out = np.zeros(4)
    np.add(a, b, out)
    np.multiply(out, a, out=out)
    return out


def into_another_dtype(a: Any, b: Any) -> Any:
    out = np.zeros(4, np.float32)
    np.add(a, b, out=out, where=[True, False, True, False])
    return out


def reductions(a: Any, b: Any) -> Any:
    some = np.add.reduce(a, where=b != 0), np.maximum.reduce(a, initial=np.float64(2.5)), np.sum(a, where=a > 0)
    return np.stack([*some, np.add.reduce(a, initial=a[0])])


A, B = np.array([1.0, -2.0, 3.0, 0.5]), np.array([2.0, 0.0, -4.0, 0.0])


@pytest.mark.parametrize("f", [masked_division, whole_out, into_another_dtype, reductions])
def test_out_and_where(f: Callable[[Any, Any], Any]) -> None:
    with np.errstate(all="ignore"):
        expected = f(A, B)
    a, b = (array_of(make(x)) for x in (A, B))
    for found in (f(a, b), pb.function(f)(A, B)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("compiled", [True, False])
def test_what_a_mask_leaves_out_has_no_gradient(compiled: bool) -> None:
    a, b = pb.array(A), pb.array(B)
    pb.config.run_functions_eagerly(not compiled)
    try:
        with pb.GradientTape() as tape:
            tape.watch([a, b])
            loss = pb.reduce_sum(pb.function(masked_division)(a, b))
    finally:
        pb.config.run_functions_eagerly(False)
    da, db = tape.gradient(loss, [a, b])
    # out[::-1] = [1, 7, sqrt(3), sqrt(0.5)], with a / b elsewhere: at 2 from the end that is a[2] / b[2] no more
    expected = [0.5 * A[k] ** -0.5 if A[k] > 0 else 0.0 for k in range(4)]
    written = [3, 1, 0]  # places of out that sqrt wrote last: of a[0], a[2], a[3]
    for k in (0, 2):
        if k not in written:
            expected[k] += 1 / B[k]
    np.testing.assert_allclose(da, expected)
    np.testing.assert_allclose(db, [0.0 if k in written or not B[k] else -A[k] / B[k] ** 2 for k in range(4)])


def test_several_results_with_a_mask_need_an_array_to_go_to() -> None:
    with pytest.raises(TypeError, match=r"np\.modf: `where=` needs `out=`.*test_array_views.py"):
        pb.function(lambda a, b: np.modf(a, where=b > 0))(A, B)


SORTED = np.array([-1.0, 0.0, 0.0, 2.0, 5.0])


@pytest.mark.parametrize(
    ("s", "v"),
    [
        (SORTED, np.array([0.0, -2.0, 5.0, 9.0, 1.0])),
        (SORTED, np.float64(0.0)),
        (SORTED, np.array([[0.0, np.nan], [np.inf, -np.inf]])),
        (np.array([0.0, 1.0, np.nan]), np.array([0.5, np.nan, np.inf])),
        (np.array([False, False, True]), np.array([True, False])),
        (np.array([1, 3, 3, 7]), np.array([3, 8, 0])),
        (np.array([1, 3, 3, 7]), np.array([2.5, 3.0])),
        (np.zeros(0), np.array([1.0])),
        (SORTED, np.zeros((0, 2))),
    ],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(s: Any, v: Any, side: str) -> None:
    expected = np.searchsorted(s, v, side)
    f = lambda s, v: np.searchsorted(s, v, side)  # noqa: E731
    eager = f(array_of(make(s)), array_of(make(np.asarray(v))))
    for found in (eager, pb.function(f)(s, v)):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int64


def view_of_run_time_size(A: Any, n: Any) -> Any:
    v = A[:n]
    v[:2] = 7.0
    w = v[1:]
    w[0] += 1.0
    return A


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_slice_of_a_slice_of_run_time_size(n: int) -> None:
    expected = view_of_run_time_size(np.arange(6.0), n)
    found = np.arange(6.0)
    pb.function(view_of_run_time_size)(found, np.int64(n))
    np.testing.assert_array_equal(found, expected)


# ---------------------------------------------------------------- arrays of no dimensions, and scalars
def grows(z: Any, x: Any, n: Any) -> Any:
    z += 1.0
    x *= z
    return z * 2.0 + x.sum()


def grows_in_a_loop(z: Any, x: Any, n: Any) -> Any:
    for i in range(n):
        z += x[i % 6]
    return z


def grows_in_a_branch(z: Any, x: Any, n: Any) -> Any:
    if n > 2:
        z -= x[0]
    return z + 1.0


def by_another_name(z: Any, x: Any, n: Any) -> Any:
    y = z
    y /= 4.0
    return z * y


def views_and_scalars(z: Any, x: Any, n: Any) -> Any:
    v, s = x[0, ...], x[1]
    v += 1.0
    t = s
    s += 5.0
    w = z[...]
    w *= 3.0
    return s + t + v + w


@pytest.mark.parametrize("f", [grows, grows_in_a_loop, grows_in_a_branch, by_another_name, views_and_scalars])
@pytest.mark.parametrize("n", [3, 50, np.int64(3), np.int64(1)])
@pytest.mark.parametrize("mode", ["compiled", "eager"])
def test_an_array_of_no_dimensions_is_written_and_a_scalar_is_not(f: Callable[..., Any], n: Any, mode: str) -> None:
    z, x, theirs, xs = np.array(1.5), np.linspace(0.5, 3.0, 6), np.array(1.5), np.linspace(0.5, 3.0, 6)
    expected = f(theirs, xs, n)
    pb.config.run_functions_eagerly(mode == "eager")
    try:
        found = pb.function(f)(z, x, n)
    finally:
        pb.config.run_functions_eagerly(False)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_allclose(z, theirs, rtol=1e-14)
    np.testing.assert_array_equal(x, xs)


@pytest.mark.parametrize("scalar", [lambda: np.float64(3.0), lambda: pb.array(np.ones(3)).sum()])
@pytest.mark.parametrize("first", ["array", "scalar"])
@pytest.mark.parametrize("with_numpy", [True, False])
def test_a_scalar_and_an_array_of_no_dimensions_have_traces_of_their_own(
    scalar: Callable[[], Any], first: str, with_numpy: bool
) -> None:
    @pb.function
    def f(z: Any) -> Any:
        z += 1.0
        return np.sin(z) if with_numpy else z * 2.0

    value, z = scalar(), np.array(3.0)
    for _ in range(3):  # by the Python path, then by the native one
        for x in (value, z) if first == "scalar" else (z, value):
            f(x)
    assert float(value) == float(scalar())
    assert z == 6.0
