"""Slices with computed bounds, masks: what NumPy gives, honestly interpreted, padded and compiled, to order 2.

Oracles: the same program on plain NumPy arrays; central differences; forward mode against reverse mode. What stands
outside of a slice is NaN in some tests: it must reach neither results nor derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.verifier import verify
from pullback.runtime.indexing import write_item

RNG = np.random.default_rng(11)


def put(a: Any, key: Any, v: Any) -> Any:
    """`a` with a part replaced, for arrays and tensors."""
    if isinstance(a, np.ndarray):
        a = a.copy()
        a[key] = v
        return a
    return write_item(a, key, pb.convert_to_tensor(v, a.dtype))


def traced(f: Callable[..., Any], args: list[Any]) -> Any:
    """The concrete function, after checks: text, rules, and that both interpretations agree with each other."""
    tensors = [pb.constant(a) for a in args]
    c = pb.function(f).get_concrete_function(*tensors)
    verify(c.traced)
    verify(c.ir)
    assert str(parse(str(c.traced))) == str(c.traced)
    assert "bind" in str(c.traced)
    assert "bind" not in str(c.ir)
    given = [*args, *(np.asarray(t) for t in c.captured)]
    honest = interpret(c.traced, given)
    padded = c.structure.pack([pb.constant(r) for r in interpret(c.ir, given)])
    for x, y in zip(honest, pb.nest.flatten(padded), strict=True):
        np.testing.assert_allclose(x, np.asarray(y), rtol=1e-12)
    assert type(c.plain.op.executable(c.plain.arrays(tensors))).__name__ == "Compiled"
    return c


def gradient(f: Any, args: list[Any], weights: Any, wrt: int = 0) -> Any:
    """The gradient of sum(weights * f) by one argument, as a tensor."""
    tensors = [pb.constant(a) if not isinstance(a, pb.Tensor) else a for a in args]
    with pb.GradientTape() as tape:
        tape.watch(tensors[wrt])
        y = pb.reduce_sum(f(*tensors) * weights)
    return tape.gradient(y, tensors[wrt])


def central(f: Callable[[Any], Any], x: Any, eps: float = 1e-6) -> Any:
    """Central differences of a function to a number."""
    x, out = np.array(x), np.zeros(x.shape)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i] += eps
        down[i] -= eps
        out[i] = (f(up) - f(down)) / (2 * eps)
    return out


def check(f: Callable[..., Any], *args: Any, order: int = 2, tol: float = 2e-6) -> None:
    """Everything, for the derivative by the first argument."""
    arrays = [np.asarray(a) for a in args]
    c = traced(f, arrays)
    expected = np.asarray(f(*arrays))
    found = np.asarray(c(*[pb.constant(a) for a in arrays]))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    w = np.random.default_rng(3).normal(size=expected.shape)
    g = np.asarray(gradient(c, arrays, w))
    want = central(lambda x: (np.asarray(f(x, *arrays[1:])) * w).sum(), arrays[0])
    np.testing.assert_allclose(g, want, rtol=tol, atol=tol)
    v = np.random.default_rng(4).normal(size=arrays[0].shape)
    x = pb.constant(arrays[0])
    with pb.autodiff.ForwardAccumulator(x, pb.constant(v)) as acc:
        y = pb.reduce_sum(c(x, *[pb.constant(a) for a in arrays[1:]]) * w)
    np.testing.assert_allclose(np.asarray(acc.jvp(y)), (g * v).sum(), rtol=1e-7, atol=1e-9)
    if order == 2:
        with pb.GradientTape() as tape:
            tape.watch(x)
            z = pb.reduce_sum(gradient(c, [x, *arrays[1:]], w) * v)
        second = tape.gradient(z, x)
        second = np.zeros_like(arrays[0]) if second is None else np.asarray(second)
        want = central(lambda x: (np.asarray(gradient(c, [x, *arrays[1:]], w)) * v).sum(), arrays[0])
        np.testing.assert_allclose(second, want, rtol=2e-5, atol=2e-5)


def spd(n: int) -> Any:
    b = RNG.normal(size=(n, n))
    return b @ b.T + n * np.eye(n)


# ---------------------------------------------------------------- programs
def lu(a: Any) -> Any:
    n = a.shape[0]
    for k in (range if isinstance(a, np.ndarray) else pb.range)(n - 1):
        a = put(a, (slice(k + 1, None), k), a[k + 1 :, k] / a[k, k])
        rest = slice(k + 1, None)
        a = put(a, (rest, rest), a[rest, rest] - np.outer(a[rest, k], a[k, rest]))
    return a


def cholesky(a: Any) -> Any:
    n, low = a.shape[0], a * 0.0
    for i in (range if isinstance(a, np.ndarray) else pb.range)(n):
        for j in (range if isinstance(a, np.ndarray) else pb.range)(i):
            low = put(low, (i, j), (a[i, j] - np.dot(low[i, :j], low[j, :j])) / low[j, j])
        low = put(low, (i, i), np.sqrt(a[i, i] - np.sum(low[i, :i] ** 2)))
    return low


def cholesky_by_columns(a: Any) -> Any:
    n, low = a.shape[0], a * 0.0
    for j in (range if isinstance(a, np.ndarray) else pb.range)(n):
        rest = a[j:, j] - np.dot(low[j:, :j], low[j, :j])
        low = put(low, (slice(j, None), j), rest / np.sqrt(rest[0]))
    return low


def triangular(a: Any) -> Any:
    n = a.shape[0]
    b = a[:, 0] * 0.0 + 1.0
    x = b * 0.0
    for i in (range if isinstance(a, np.ndarray) else pb.range)(n):
        x = put(x, i, (b[i] - np.dot(a[i, :i], x[:i])) / a[i, i])
    return x


def durbin(a: Any) -> Any:
    r = a[0] / 12.0
    n = r.shape[0]
    y = put(r * 0.0, 0, -r[0])
    beta, alpha = 1.0 + 0.0 * r[0], -r[0]
    for i in (range if isinstance(a, np.ndarray) else pb.range)(n - 1):
        k = i + 1
        beta = (1.0 - alpha * alpha) * beta
        alpha = -(r[k] + np.dot(r[:k][::-1], y[:k])) / beta
        y = put(y, slice(None, k), y[:k] + alpha * y[:k][::-1])
        y = put(y, k, alpha)
    return y


def gram_schmidt(a: Any) -> Any:
    n, q = a.shape[1], a * 0.0
    for k in (range if isinstance(a, np.ndarray) else pb.range)(n):
        v = a[:, k] - np.dot(q[:, :k], np.dot(np.transpose(q[:, :k]), a[:, k]))
        q = put(q, (slice(None), k), v / np.sqrt(np.sum(v * v)))
    return q


def block_products(a: Any) -> Any:
    n, s = a.shape[0], a[0, 0] * 0.0
    for k in (range if isinstance(a, np.ndarray) else pb.range)(n):
        s = s + np.sum(np.tanh(np.dot(a[k:, :k], a[:k, k:]) * 0.1))
    return s


def zeroed(a: Any) -> Any:
    n, s = a.shape[0], a * 1.0
    for k in (range if isinstance(a, np.ndarray) else pb.range)(n):
        s = put(s, (k, slice(k, None)), 0.0) + 0.5 * a
    return s * s


@pytest.mark.parametrize(
    "program",
    [lu, cholesky, cholesky_by_columns, triangular, durbin, gram_schmidt, block_products, zeroed],
)
@pytest.mark.parametrize("n", [2, 6])
def test_programs_of_linear_algebra(program: Any, n: int) -> None:
    check(program, spd(n))


# ---------------------------------------------------------------- single slices
BOUND = st.one_of(st.none(), st.integers(-9, 9))


def one_slice(x: Any, i: Any, j: Any) -> Any:
    return np.sum(np.exp(x[i:j])) + np.sum(x[i:] * 2.0) + np.sum(x[:j] ** 3)


ONE_SLICE = pb.function(one_slice)


@settings(max_examples=60, deadline=None)
@given(st.integers(-9, 9), st.integers(-9, 9))
def test_bounds_follow_python(i: int, j: int) -> None:
    x = np.linspace(-1.0, 1.0, 6)
    expected = one_slice(x, i, j)
    found = ONE_SLICE(pb.constant(x), pb.constant(i), pb.constant(j))
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12, atol=1e-14)
    g = gradient(ONE_SLICE, [x, np.int32(i), np.int32(j)], 1.0)
    exact = np.zeros(6)
    exact[i:j] += np.exp(x[i:j])
    exact[i:] += 2.0
    exact[:j] += 3 * x[:j] ** 2
    np.testing.assert_allclose(np.asarray(g), exact, rtol=1e-10)


STEPS = {s: pb.function(lambda x, i, j, s=s: (x[i:j:s], x[i:j:s] * 2.0 + 1.0)[1]) for s in (-3, -2, -1, 2, 3)}
WRITES = {s: pb.function(lambda x, i, j, s=s: write_item(x, slice(i, j, s), x[i:j:s] * 3.0)) for s in (-2, -1, 1, 2)}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(STEPS)), st.integers(-9, 9), st.integers(-9, 9))
def test_steps_follow_python(s: int, i: int, j: int) -> None:
    x = np.linspace(-1.0, 1.0, 6)
    found = STEPS[s](pb.constant(x), pb.constant(i), pb.constant(j))
    np.testing.assert_allclose(np.asarray(found), x[i:j:s] * 2.0 + 1.0)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WRITES)), st.integers(-9, 9), st.integers(-9, 9))
def test_writes_follow_python(s: int, i: int, j: int) -> None:
    x = np.linspace(-1.0, 1.0, 6)
    expected = x.copy()
    expected[i:j:s] = x[i:j:s] * 3.0
    found = WRITES[s](pb.constant(x), pb.constant(i), pb.constant(j))
    np.testing.assert_allclose(np.asarray(found), expected)
    w = RNG.normal(size=6)
    exact = w.copy()
    exact[i:j:s] *= 3.0
    g = gradient(WRITES[s], [x, np.int32(i), np.int32(j)], w)
    np.testing.assert_allclose(np.asarray(g), exact)


SMALL = np.linspace(0.5, 2.0, 7)
EXPRESSIONS: dict[str, Callable[..., Any]] = {
    "returned": lambda x, k: x[k:] * x[k:],
    "two sizes": lambda x, k: x[k:] * 2.0 + x[: 7 - k] ** 2,
    "reversed": lambda x, k: x[:k] + x[:k][::-1] ** 2,
    "slice of a slice": lambda x, k: x[k:][1:] ** 2,
    "element of a slice": lambda x, k: x[1:k][0] * x[1:k][-1] ** 2,
    "static slice of a slice": lambda x, k: x[1:k][1:3] ** 2,
    "mean": lambda x, k: (np.mean if isinstance(x, np.ndarray) else pb.reduce_mean)(x[k:] ** 2),
    "std": lambda x, k: (np.std if isinstance(x, np.ndarray) else pb.math.reduce_std)(x[1 : k + 2]),
    "max": lambda x, k: np.max(x[k:]) * np.min(x[:k]),
    "product": lambda x, k: np.prod(x[k:]),
    "running sum": lambda x, k: np.cumsum(x[k:], 0) ** 2,
    "broadcast": lambda x, k: np.sum(np.outer(x[:k], x[k:]) ** 2),
    "scalar among them": lambda x, k: np.sum(np.sqrt(x[k:]) * x[0] + x[1]),
    "concatenated": lambda x, k: np.concatenate([x[k:] ** 2, x[:k], x[1:3]], 0),
    "shape": lambda x, k: x[k:] * (4.0 if isinstance(x, np.ndarray) else pb.cast(pb.shape(x[k:])[0], x.dtype)),
    "where": lambda x, k: (np.where if isinstance(x, np.ndarray) else pb.where)(x[k:] > 1.1, x[k:] ** 2, x[k:]),
    "mask": lambda x, k: np.sum(x[x > 1.1] ** 2) * x[k],
    "mask returned": lambda x, k: x[x > 1.1] ** 2 + x[0] * x[k],
    "two masks": lambda x, k: x[x > 1.1] * x[::-1][x > 1.1],
    "mask and slice": lambda x, k: x[x > 1.1] * x[: k + 1],
    "slice, then mask": lambda x, k: x[k:][x[k:] > 1.1] ** 3,
    "norm": lambda x, k: x[k:] / np.sqrt(np.sum(x[k:] * x[k:])),
    "write into a slice": lambda x, k: put(x[k:] * 1.0, 1, x[0] ** 2) * x[k:],
    "write of a slice": lambda x, k: put(x * 1.0, slice(1, k), x[1:k] ** 2) * x,
    "write elsewhere": lambda x, k: put(x * 1.0, slice(0, k), x[1 : k + 1] ** 2) * x,
    "write of a number": lambda x, k: put(x * x, slice(k, None), x[0]) * x,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name: str) -> None:
    check(EXPRESSIONS[name], SMALL, np.int32(3))


# ---------------------------------------------------------------- what stands outside
def test_a_nan_outside_reaches_neither_results_nor_derivatives() -> None:
    def f(x: Any, c: Any, k: Any) -> Any:
        y = np.log(x[:k]) * c / x[:k] + c * c
        return np.sum(y) + np.max(y) * np.dot(x[:k], x[:k]) + np.prod(x[:k])

    g = pb.function(f)
    good = np.array([0.5, 1.5, 2.5])
    c = pb.constant(0.7, pb.float64)
    want = gradient(g, [good, c, np.int32(3)], 1.0)
    want_c = gradient(g, [good, c, np.int32(3)], 1.0, wrt=1)
    for bad in (np.nan, np.inf, 0.0, -1.0):
        x = np.concatenate([good, np.full(6, bad)])
        np.testing.assert_allclose(np.asarray(g(pb.constant(x), c, pb.constant(3))), f(good, 0.7, 3), rtol=1e-12)
        found = np.asarray(gradient(g, [x, c, np.int32(3)], 1.0))
        np.testing.assert_allclose(found[:3], np.asarray(want), rtol=1e-12)
        np.testing.assert_array_equal(found[3:], np.zeros(6))
        found_c = gradient(g, [x, c, np.int32(3)], 1.0, wrt=1)
        np.testing.assert_allclose(np.asarray(found_c), np.asarray(want_c), rtol=1e-12)


def test_a_nan_outside_of_a_matrix_product() -> None:
    def f(a: Any, k: Any) -> Any:
        return np.sum(np.dot(a[:k, :k], a[:k, :k]) ** 2)

    g = pb.function(f)
    a = np.full((5, 5), np.nan)
    a[:3, :3] = RNG.normal(size=(3, 3))
    np.testing.assert_allclose(np.asarray(g(pb.constant(a), pb.constant(3))), f(a[:3, :3], 3), rtol=1e-12)
    found = np.array(gradient(g, [a, np.int32(3)], 1.0))
    want = central(lambda x: f(x, 3), a[:3, :3].copy())
    np.testing.assert_allclose(found[:3, :3], want, rtol=1e-5, atol=1e-6)
    found[:3, :3] = 0.0
    np.testing.assert_array_equal(found, np.zeros((5, 5)))


# ---------------------------------------------------------------- errors and edges
def test_sizes_that_differ_are_an_error_with_the_line() -> None:
    @pb.function
    def f(x: Any, i: Any, j: Any) -> Any:
        return x[:i] + x[:j]

    x = pb.constant(SMALL)
    np.testing.assert_allclose(np.asarray(f(x, pb.constant(3), pb.constant(3))), SMALL[:3] * 2)
    with pytest.raises(pb.errors.InvalidArgumentError, match=r"test_ragged.py:\d+"):
        f(x, pb.constant(3), pb.constant(4))


def test_an_index_outside_of_the_slice_is_an_error() -> None:
    @pb.function
    def f(x: Any, k: Any, i: Any) -> Any:
        return x[:k][i]

    x = pb.constant(SMALL)
    assert float(f(x, pb.constant(3), pb.constant(-1))) == SMALL[2]
    with pytest.raises(pb.errors.InvalidArgumentError, match="out of range"):
        f(x, pb.constant(3), pb.constant(3))


def test_positions_of_true_elements() -> None:
    @pb.function
    def f(x: Any) -> Any:
        return pb.where(x > 1.0)

    np.testing.assert_array_equal(np.asarray(f(pb.constant(SMALL))), np.argwhere(SMALL > 1.0))
    m = RNG.normal(size=(3, 4))
    g = pb.function(lambda x: pb.where(x > 0.0))
    np.testing.assert_array_equal(np.asarray(g(pb.constant(m))), np.argwhere(m > 0.0))


def test_what_a_loop_carries_may_have_a_size_of_the_run() -> None:
    def f(x: Any, k: Any) -> Any:
        v = x[k:] * 1.0
        for i in (range if isinstance(x, np.ndarray) else pb.range)(4):
            v = v * 0.5 + x[k:] ** 2 * (v[0] + x[i])
        return v

    check(f, SMALL, np.int32(2))


def test_branches_give_values_of_one_size() -> None:
    @pb.function
    def f(x: Any, k: Any) -> Any:
        v = x[k:]
        if k > 2:
            v = v[::-1] * 2.0
        else:
            v = v * 3.0
        return v

    x = pb.constant(SMALL)
    np.testing.assert_allclose(np.asarray(f(x, pb.constant(3))), SMALL[3:][::-1] * 2)
    np.testing.assert_allclose(np.asarray(f(x, pb.constant(1))), SMALL[1:] * 3)


def test_sizes_of_the_signature_may_be_symbols() -> None:
    @pb.function(input_signature=[pb.TensorSpec([None, None], pb.float64), pb.TensorSpec([], pb.int32)])
    def f(a: Any, k: Any) -> Any:
        return np.dot(a[:k, 0], a[:k, 1]) + np.sum(a[k:, :k])

    for n, m, k in ((4, 3, 2), (2, 5, 1), (3, 2, 9)):
        a = RNG.normal(size=(n, m))
        want = a[:k, 0] @ a[:k, 1] + a[k:, :k].sum()
        np.testing.assert_allclose(np.asarray(f(pb.constant(a), pb.constant(k))), want)


def test_a_tape_inside_the_function() -> None:
    @pb.function
    def f(x: Any, k: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.reduce_sum(x[:k] ** 3 * x[0])
        return tape.gradient(y, x)

    x, k = SMALL, 4
    want = central(lambda v: (v[:k] ** 3 * v[0]).sum(), x)
    np.testing.assert_allclose(np.asarray(f(pb.constant(x), pb.constant(k))), want, rtol=1e-6, atol=1e-6)


def test_functions_that_call_each_other() -> None:
    inner = pb.function(lambda v: v * v)

    @pb.function
    def f(x: Any, k: Any) -> Any:
        return inner(x[k:]) + outer_slice(x, k)

    @pb.function
    def outer_slice(x: Any, k: Any) -> Any:
        return x[k:]

    np.testing.assert_allclose(np.asarray(f(pb.constant(SMALL), pb.constant(3))), SMALL[3:] ** 2 + SMALL[3:])


def test_a_dimension_of_one_place_that_does_not_count() -> None:
    g = pb.function(lambda x, c, k: pb.reduce_sum(pb.math.log(x[:k]) * c / x[:k]))
    found = gradient(g, [np.zeros(1), np.ones(1), np.int32(0)], 1.0, wrt=1)
    np.testing.assert_array_equal(np.asarray(found), [0.0])


def test_what_cannot_be_padded_is_interpreted_and_says_so_when_differentiated() -> None:
    g = pb.function(lambda x, k: pb.tile(x[:k], [2]) * 2.0)
    x = pb.constant(SMALL)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = g(x, pb.constant(2))
    np.testing.assert_allclose(np.asarray(y), np.tile(SMALL[:2], 2) * 2.0)
    with pytest.raises(LookupError, match=r"test_ragged.py:\d+"):
        tape.gradient(y, x)


def test_a_size_of_the_last_trip_needs_the_number_of_trips() -> None:
    def last(x: Any, n: Any) -> Any:
        for i in range(n):
            y = x[:i]
        return y

    x = np.arange(8.0)
    f = pb.function(last)
    np.testing.assert_array_equal(f(x, 6), last(x, 6))
    assert "'y' has another size after every trip" in f.explain()
    with pytest.raises(TypeError, match=r"'y' has another size .* write into an array .*test_ragged.py:\d+"):
        f(x, pb.constant(6))
