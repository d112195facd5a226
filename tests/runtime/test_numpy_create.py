"""Arrays that NumPy's functions make inside of functions: NumPy's dtypes, shapes and values, compiled and eager."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.runtime.array import is_array

from ..modes import eagerly
from .numpy_checks import agree, compiled, flat, outcome, program, programs


def numpys(text: str, eager: bool, *xs: Any) -> None:
    """The program gives what NumPy gives, in arrays of ours."""
    fn = program(text, ("x",) if xs else ())
    want = outcome(fn, [np.array(x) for x in xs])
    made: list[Any] = []

    def keep(*arrays: Any) -> Any:
        result = fn(*arrays)
        made.extend(flat(result))
        return result

    if eager:
        with eagerly():
            got = outcome(compiled(keep), list(xs))
    else:
        got = outcome(compiled(keep), list(xs))
    agree(got, want, 2e-15, text)
    if not isinstance(want, Exception):
        assert all(is_array(v) for v in made)


CREATED = programs("""
    np.zeros(3); np.zeros((2, 3), dtype=np.float32); np.zeros((2,), int); np.zeros((0, 2)); np.zeros(());
    np.ones((2, 2)); np.ones(3, 'i4'); np.ones(2, bool); np.empty((2, 0)); np.full((2, 2), 7); np.full(3, 2.5);
    np.full((2, 3), [1, 2, 3]); np.full(2, 1, dtype=float); np.zeros_like([1, 2]);
    np.ones_like([1.5, 2.0], dtype=np.float32); np.full_like([1, 2], 3.7); np.zeros(3.5); np.zeros(-1);
    np.ndarray((0,)); np.arange(5); np.arange(2, 9, 3); np.arange(5, 0, -2); np.arange(3.0); np.arange(0, 1, 0.1);
    np.arange(1, 2, 0.3, dtype=np.float32); np.arange(200); np.arange(0.5, 80, 0.25); np.arange(200, dtype='f4');
    np.arange(5, 2); np.linspace(0, 1, 5); np.linspace(0, 1, 200); np.linspace(1, 3, 4, endpoint=False);
    np.linspace(2, 2, 3); np.linspace(0, 10, 5, dtype=int); np.linspace(0, 1, 1); np.linspace(0, 1, 0);
    np.linspace(0, 1, 3, retstep=True)[0]; np.logspace(0, 2, 3); np.logspace(0, 3, 4, base=2);
    np.geomspace(1, 100, 3); np.eye(3); np.eye(2, 3, 1); np.eye(3, k=-1, dtype=int); np.identity(2); np.tri(3);
    np.tri(2, 3, -1); np.array([1, 2, 3]); np.array([1.5, 2]); np.array([[1, 2], [3, 4]], dtype=float); np.array(3);
    np.array([True, False]); np.array([1, 2], np.float32); np.array([1, 2], ndmin=2); np.array([]);
    np.asarray([1, 2.5]); np.ascontiguousarray([[1, 2]]); np.copy([1, 2]); np.meshgrid([1, 2, 3], [4.0, 5.0]);
    np.meshgrid([1, 2], [3, 4], indexing='ij'); np.indices((2, 3)); np.fromfunction(lambda i, j: i + 2 * j, (2, 3));
    np.fromfunction(lambda i: i * i, (3,), dtype=int); np.fromiter(range(4), float); np.array([[1, 2], [3]])
""")
FROM_ARRAYS = programs("""
    np.array([x[0], x[1], 2.0]); np.array([x, x]); np.array([[x[0], 1.0], [0.0, x[1]]]); np.array(x);
    np.asarray(x) + 0; np.zeros(x.shape); np.zeros_like(x); np.full(x.shape, 2.0); np.zeros((x.shape[0], 2));
    np.ones(len(x)); np.arange(x.size); np.eye(x.shape[0]) * x; np.linspace(x[0], x[1], 4); np.full(3, x[0]);
    np.float32(x); np.float64(x[0]); np.int64(x); np.array(x, dtype=np.float32); np.asarray(x, int);
    np.arange(x.shape[0] * 2) * 0.5; np.array([x.sum(), x.max()]); np.array((1, x[0])); np.full_like(x, x[1]);
    np.meshgrid(x, x); np.empty_like(x).shape[0] * x
""")


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("text", CREATED)
def test_created(text: str, eager: bool) -> None:
    numpys(text, eager)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
@pytest.mark.parametrize("text", FROM_ARRAYS)
def test_created_from_arrays(text: str, dtype: str, eager: bool) -> None:
    numpys(text, eager, np.array([1.5, -2.5, 4.0]).astype(dtype))


def test_dtypes_of_pullback_are_taken() -> None:
    f = pb.function(lambda: (np.zeros(2, pb.float32), np.arange(3, dtype=pb.int32), np.array([1, 2], pb.float64)))
    assert [y.dtype for y in f()] == [pb.float32, pb.int32, pb.float64]


def test_outside_of_functions_numpy_is_numpy() -> None:
    assert type(np.zeros(3)) is np.ndarray


def test_a_gradient_flows_through_what_is_put_into_an_array() -> None:
    def f(x: Any) -> Any:
        y = np.array([x[0] * x[1], np.sin(x[2]), 1.0])
        return np.sum(y * np.arange(1.0, 4.0))

    x = pb.constant([2.0, 3.0, 0.5], pb.float64)
    for g in (f, pb.function(f)):
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = g(np.asarray(x)) if g is f else g(x)
        if g is not f:
            np.testing.assert_allclose(tape.gradient(y, x).numpy(), [3.0, 2.0, 2 * np.cos(0.5)], rtol=1e-14)


def test_a_size_that_is_computed_must_be_known() -> None:
    def f(n: Any) -> Any:
        return np.zeros(n)

    with pytest.raises(TypeError, match=r"must be known while the function is traced.*test_numpy_create.py"):
        pb.function(f)(pb.constant(3))


def test_symbolic_sizes_count_as_python_integers() -> None:
    @pb.function(reduce_retracing=True)
    def f(x: Any) -> Any:
        n = x.shape[0]
        return np.zeros(n, np.float32) + x / n + np.arange(n) * np.float32(0), np.ones((n, 2)).sum()

    for n in (3, 4, 5, 6):
        x = np.arange(n, dtype=np.float32)
        y, total = f(x)
        np.testing.assert_allclose(y.numpy(), x / n)
        assert total.numpy() == 2 * n
    assert f.experimental_get_tracing_count() <= 2


def test_random_numbers_drawn_while_tracing_are_reported() -> None:
    rng = np.random.default_rng(0)

    @pb.function
    def f(x: Any) -> Any:
        noise = rng.normal(size=3)
        noise[0] = 0.0
        return x + noise + np.random.rand(3)

    with pytest.warns(UserWarning, match=r"np.random is called once.*pb.random.normal") as seen:
        first = f(np.zeros(3))
    assert {w.filename for w in seen} == {__file__}
    np.testing.assert_array_equal(first.numpy(), f(np.zeros(3)).numpy())


def test_an_array_of_ours_is_an_ndarray_to_isinstance() -> None:
    @pb.function
    def f(x: Any) -> Any:
        y = np.ones(3)
        ours = isinstance(y, np.ndarray) and isinstance(y, (list, np.ndarray)) and not isinstance(y, str)
        return x * 2 if ours else x

    np.testing.assert_array_equal(f(np.ones(3)).numpy(), [2, 2, 2])
