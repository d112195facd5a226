"""Derivatives of compiled functions: under eager tapes, in traces, of higher order, against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.tracer.compiled_call import CompiledOp, Pair

RNG = np.random.default_rng(3)
A = RNG.normal(size=(3, 4))
B = RNG.normal(size=(4, 2))


def grad(f: Callable[..., Any], *xs: Any) -> list[Any]:
    with pb.GradientTape() as t:
        t.watch(list(xs))
        y = f(*xs)
    return t.gradient(y, list(xs))  # type: ignore[no-any-return]


def finite(f: Callable[..., float], arrays: list[Any], i: int, eps: float = 1e-6) -> Any:
    out = np.zeros_like(arrays[i])
    for k in np.ndindex(arrays[i].shape):
        up, down = [a.copy() for a in arrays], [a.copy() for a in arrays]
        up[i][k] += eps
        down[i][k] -= eps
        out[k] = (f(*up) - f(*down)) / (2 * eps)
    return out


FUNCTIONS: list[tuple[str, Callable[..., Any], list[Any]]] = [
    ("chain", lambda x, y: pb.reduce_sum(pb.tanh(x) * pb.exp(-x * x) + pb.sin(y)), [A, A * 0.5]),
    ("matmul", lambda x, y: pb.reduce_sum(pb.tanh(pb.matmul(x, y))), [A, B]),
    ("slices", lambda x, y: pb.reduce_sum(x[1:, ::2] * x[:-1, 1::2]) + pb.reduce_max(y[0] * y[1]), [A, B]),
    ("broadcast", lambda x, y: pb.reduce_mean((x + y) / (2.0 + x * x)), [A, A[0]]),
    ("reduce", lambda x, y: pb.reduce_sum(pb.reduce_sum(x * x, axis=1) ** 2) * pb.reduce_sum(y), [A, B]),
    ("shapes", lambda x, y: pb.reduce_sum(pb.transpose(pb.reshape(x, [4, 3])) * pb.concat([y, y], 1)[:3]), [A, B]),
    ("constant", lambda x, y: pb.reduce_sum(x), [A, B]),
]


@pytest.mark.parametrize(("name", "f", "arrays"), FUNCTIONS, ids=[c[0] for c in FUNCTIONS])
def test_gradient_under_an_eager_tape(name: str, f: Callable[..., Any], arrays: list[Any]) -> None:
    compiled = pb.function(f)
    xs = [pb.constant(a) for a in arrays]
    got = grad(compiled, *xs)
    eager = grad(f, *xs)
    for i, g in enumerate(got):
        if eager[i] is None:
            assert g is None
            continue
        np.testing.assert_allclose(g, eager[i], rtol=1e-12)
        np.testing.assert_allclose(
            g, finite(lambda *a: float(f(*map(pb.constant, a))), arrays, i), rtol=1e-5, atol=1e-8
        )


@pytest.mark.parametrize(("name", "f", "arrays"), FUNCTIONS, ids=[c[0] for c in FUNCTIONS])
def test_gradient_inside_a_function(name: str, f: Callable[..., Any], arrays: list[Any]) -> None:
    inner = pb.function(f)
    xs = [pb.constant(a) for a in arrays]

    @pb.function
    def both(*xs: Any) -> Any:
        return [[g for g in grad(k, *xs) if g is not None] for k in (f, inner)]

    eager = [g for g in grad(f, *xs) if g is not None]
    for found in both(*xs):
        for g, e in zip(found, eager, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-12)


def derivative(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: grad(f, x)[0]


@pytest.mark.parametrize("where", ["eager tapes", "inside", "each level compiled"])
def test_third_derivative(where: str) -> None:
    f: Callable[[Any], Any] = pb.function(lambda x: pb.sin(x) * x**3)
    x = np.array([0.3, -1.2, 2.0])
    expected = (-np.cos(x)) * x**3 + 3 * (-np.sin(x)) * 3 * x**2 + 3 * np.cos(x) * 6 * x + np.sin(x) * 6
    if where == "each level compiled":
        g = pb.function(derivative(pb.function(derivative(pb.function(derivative(f))))))
    else:
        g = derivative(derivative(derivative(f)))
        g = pb.function(g) if where == "inside" else g
    np.testing.assert_allclose(g(pb.constant(x)), expected, rtol=1e-10)


def test_variables_and_captured_tensors() -> None:
    v = pb.Variable([1.0, 2.0])
    small, big = pb.constant(3.0), pb.constant(np.linspace(0, 1, 50, dtype=np.float32))
    unused = pb.Variable(1.0)
    inner = pb.function(lambda x: x * v * small)
    outer = pb.function(lambda x: pb.reduce_sum(inner(x) + inner(x * 2.0)) + pb.reduce_sum(big * big))
    x = pb.constant([5.0, 7.0])
    with pb.GradientTape() as t:
        t.watch([x, small, big])
        y = outer(x)
    gx, gv, gs, gb, gu = t.gradient(y, [x, v, small, big, unused])
    assert gx.numpy().tolist() == [9.0, 18.0]
    assert gv.numpy().tolist() == [45.0, 63.0]
    assert float(gs) == 3 * (5 + 14)
    np.testing.assert_allclose(gb, 2 * big.numpy(), rtol=1e-6)
    assert gu is None


def test_assignments_happen_once_under_a_tape() -> None:
    v = pb.Variable(1.0)

    @pb.function
    def f(x: Any) -> Any:
        y = x * v
        v.assign_add(1.0)
        return y

    x = pb.constant(3.0)
    with pb.GradientTape(persistent=True) as t:
        t.watch(x)
        a, b = f(x), f(x)
    assert (float(a), float(b), float(v)) == (3.0, 6.0, 3.0)
    assert float(t.gradient(a, x)) == 1.0
    assert float(t.gradient(b, x)) == 2.0
    assert float(t.gradient(b, v)) == 3.0


def test_only_some_outputs_and_integer_outputs() -> None:
    @pb.function
    def f(x: Any) -> Any:
        return {"a": x * x, "n": pb.cast(x, pb.int32), "b": pb.exp(x)}

    x = pb.constant(2.0)
    with pb.GradientTape(persistent=True) as t:
        t.watch(x)
        out = f(x)
    assert float(t.gradient(out["a"], x)) == 4.0
    np.testing.assert_allclose(t.gradient([out["a"], out["b"]], x), 4 + np.exp(2), rtol=1e-6)
    assert t.gradient(out["n"], x) is None


def test_output_gradients_and_zero_for_unconnected() -> None:
    f = pb.function(lambda x, y: (x * 2.0, x + 1.0))
    x, y = pb.constant([1.0, 2.0]), pb.constant([3.0])
    with pb.GradientTape() as t:
        t.watch([x, y])
        a, b = f(x, y)
    gx, gy = t.gradient(
        [a, b],
        [x, y],
        output_gradients=[pb.constant([1.0, 10.0]), pb.constant([5.0, 7.0])],
        unconnected_gradients="zero",
    )
    assert gx.numpy().tolist() == [7.0, 27.0]
    assert gy.numpy().tolist() == [0.0]


def test_symbolic_sizes_under_a_tape() -> None:
    f = pb.function(
        lambda x: pb.reduce_sum(x * x) / pb.cast(pb.shape(x)[0], pb.float32), input_signature=[pb.TensorSpec([None])]
    )
    for n in (2, 5):
        x = pb.constant(np.arange(n, dtype=np.float32))
        np.testing.assert_allclose(grad(f, x)[0], 2 * np.arange(n) / n, rtol=1e-6)
    assert f.trace_count == 1
    g = pb.function(lambda x: grad(f, x)[0], input_signature=[pb.TensorSpec([None])])
    for n in (3, 4):
        np.testing.assert_allclose(g(pb.ones([n])), np.full(n, 2 / n), rtol=1e-6)


def test_one_record_with_a_compiled_backward() -> None:
    f = pb.function(lambda x: pb.reduce_sum(pb.tanh(pb.sin(x) * 2.0)))
    x = pb.constant([0.1, 0.2])
    with pb.GradientTape() as t:
        t.watch(x)
        y = f(x)
        assert [type(r[0]) for r in t._records] == [Pair]
    pair = t._records[0][0]
    t.gradient(y, x)
    for op in (pair.forward, pair.backward.op):
        assert isinstance(op, CompiledOp)
        assert [type(e).__name__ for e in op._executables.values()] == ["Compiled"]


def test_not_watched_means_no_record() -> None:
    f = pb.function(lambda x: x * 2.0)
    with pb.GradientTape() as t:
        t.watch(pb.constant(1.0))
        f(pb.constant(2.0))
        assert t._records == []


def test_tape_watches_variables_of_functions() -> None:
    v, frozen = pb.Variable(2.0), pb.Variable(3.0, trainable=False)
    f = pb.function(lambda: v * frozen)
    with pb.GradientTape() as t:
        y = f()
    assert t.watched_variables() == (v,)
    assert float(t.gradient(y, v)) == 3.0
    with pb.GradientTape(watch_accessed_variables=False) as t:
        y = f()
    assert t.gradient(y, v) is None


def test_function_with_a_tape_that_is_called_under_a_tape() -> None:
    v = pb.Variable(3.0)

    @pb.function
    def slope(x: Any) -> Any:
        with pb.GradientTape() as t:
            t.watch(x)
            y = x**3 * v
        return t.gradient(y, x)

    x = pb.constant(2.0)
    with pb.GradientTape() as t:
        t.watch(x)
        s = slope(x)
    gx, gv = t.gradient(s, [x, v])
    assert (float(s), float(gx), float(gv)) == (36.0, 36.0, 12.0)


def test_jacobian_and_persistent_tape() -> None:
    f = pb.function(lambda x: x * x * pb.reduce_sum(x))
    x = np.array([1.0, 2.0, 3.0])
    t_x = pb.constant(x)
    with pb.GradientTape(persistent=True) as t:
        t.watch(t_x)
        y = f(t_x)
    expected = np.diag(2 * x * x.sum()) + np.outer(x * x, np.ones(3))
    np.testing.assert_allclose(t.jacobian(y, t_x), expected, rtol=1e-12)
    np.testing.assert_allclose(t.gradient(y, t_x), expected.sum(0), rtol=1e-12)


def test_effect_is_not_repeated_by_the_backward_part(capsys: pytest.CaptureFixture[str]) -> None:
    from pullback.ir.control import PRINT
    from pullback.runtime.dispatch import apply

    @pb.function
    def f(x: Any) -> Any:
        apply(PRINT, [x], {"segments": ("x is ", "\n"), "stream": "stdout", "summarize": 3})
        return x * x

    x = pb.constant(3.0)
    f(x)
    assert capsys.readouterr().out.count("x is 3") == 1
    assert float(grad(f, x)[0]) == 6.0
    assert capsys.readouterr().out.count("x is 3") == 1
