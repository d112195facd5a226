"""`pb.linalg` against NumPy, its gradients against differences; eager, interpreted and compiled runs agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse

from .checks import check_gradient, close

L = pb.linalg
R = np.random.default_rng(11)


def regular(*shape: int) -> Any:
    """Matrices whose rows must be exchanged."""
    return R.normal(size=(*shape, shape[-1])) * 0.4 + np.roll(np.eye(shape[-1]), 1, 0) * 2


def definite(*shape: int) -> Any:
    x = R.normal(size=(*shape, shape[-1])) * 0.5
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1]) * np.linspace(1.0, 2.0, shape[-1])


SHAPES = [(1,), (2,), (5,), (40,), (3, 4), (2, 0, 3), (0,), (2, 0)]
DTYPES = [("float32", 2e-3), ("float64", 1e-10)]


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_against_numpy(shape: tuple[int, ...], dtype: str, tolerance: float) -> None:
    a, s = regular(*shape).astype(dtype), definite(*shape).astype(dtype)
    right = R.normal(size=(*shape, 3)).astype(dtype)
    cases: list[tuple[Any, Any]] = [
        (L.solve(a, right), np.linalg.solve(a, right)),
        (L.solve(a, right, adjoint=True), np.linalg.solve(np.swapaxes(a, -1, -2), right)),
        (L.inv(a), np.linalg.inv(a)), (L.inv(a, adjoint=True), np.swapaxes(np.linalg.inv(a), -1, -2)),
        (L.det(a), np.linalg.det(a)), (L.slogdet(a)[0], np.linalg.slogdet(a)[0]),
        (L.slogdet(a).log_abs_determinant, np.linalg.slogdet(a)[1]), (L.logdet(s), np.linalg.slogdet(s)[1]),
        (L.cholesky(s), np.linalg.cholesky(s)), (L.eigvalsh(s), np.linalg.eigvalsh(s)),
        (L.triangular_solve(s, right), np.linalg.solve(np.tril(s), right)),
        (L.triangular_solve(s, a, lower=False, adjoint=True), np.linalg.solve(np.tril(np.swapaxes(s, -1, -2)), a)),
        (L.cholesky_solve(L.cholesky(s), right), np.linalg.solve(s, right)),
    ]  # fmt: skip
    for got, want in cases:
        assert got.dtype.name == dtype
        close(got, want, rtol=tolerance, atol=tolerance)
    w, v = L.eigh(s)
    close(v @ L.diag(w), s @ v.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("wide", [False, True])
def test_least_squares(wide: bool) -> None:
    a, right = R.normal(size=(2, 3, 5) if wide else (2, 5, 3)), R.normal(size=(2, 3 if wide else 5, 2))
    want = np.stack([np.linalg.lstsq(p, q)[0] for p, q in zip(a, right, strict=True)])
    close(L.lstsq(a, right), want, rtol=1e-9, atol=1e-9)
    with_penalty = np.linalg.solve(np.swapaxes(a, 1, 2) @ a + 0.3 * np.eye(a.shape[2]), np.swapaxes(a, 1, 2) @ right)
    close(L.lstsq(a, right, l2_regularizer=0.3), with_penalty, rtol=1e-9, atol=1e-9)
    check_gradient(L.lstsq, a, right, rtol=1e-4, atol=1e-6)
    with pytest.raises(pb.errors.UnimplementedError, match=r"fast=False.*test_ops_solve\.py"):
        L.lstsq(a, right, fast=False)


@pytest.mark.parametrize("shapes", [((), (5,)), ((3,), ()), ((3, 1), (2,)), ((2,), (2,))])
def test_batches_broadcast(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, right = regular(*shapes[0], 4), R.normal(size=(*shapes[1], 4, 2))
    close(L.solve(a, right), np.linalg.solve(a, right), rtol=1e-10, atol=1e-12)
    lower = np.tril(a) + 3 * np.eye(4)
    close(L.triangular_solve(lower, right), np.linalg.solve(lower, right), rtol=1e-10, atol=1e-12)
    check_gradient(L.solve, a, right)
    check_gradient(lambda x, y: L.triangular_solve(x, y, adjoint=True), lower, right)
    close(pb.function(L.solve)(a, right), np.linalg.solve(a, right), rtol=1e-10, atol=1e-12)


def symmetric(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the symmetric part: differences of single elements are then those that the rules are for."""
    return lambda x, *rest: f((x + pb.linalg.matrix_transpose(x)) / 2, *rest)


PROGRAMS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "solve": (L.solve, [regular(2, 3), R.normal(size=(2, 3, 2))]),
    "solve_adjoint": (lambda a, x: L.solve(a, x, adjoint=True), [regular(3), R.normal(size=(3, 1))]),
    "inv": (L.inv, [regular(2, 3)]),
    "det": (L.det, [regular(2, 3)]),
    "slogdet": (lambda a: L.slogdet(a)[1], [regular(3)]),
    "logdet": (symmetric(L.logdet), [definite(2, 3)]),
    "cholesky": (symmetric(L.cholesky), [definite(2, 3)]),
    "eigvalsh": (symmetric(L.eigvalsh), [definite(3)]),
    "eigh": (symmetric(lambda a: pb.abs(L.eigh(a)[1])), [definite(3)]),
    "lower": (L.triangular_solve, [definite(2, 3), R.normal(size=(2, 3, 2))]),
    "upper": (lambda a, x: L.triangular_solve(a, x, False, True), [definite(3), R.normal(size=(3, 2))]),
    "chain": (lambda a, x: pb.reduce_sum(L.inv(L.cholesky(a @ pb.transpose(a)) + L.solve(a, x))), [
        regular(3) + 2 * np.eye(3), np.eye(3) + 0.1 * R.normal(size=(3, 3))]),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_to_order_two(name: str) -> None:
    f, arrays = PROGRAMS[name]
    check_gradient(f, *arrays)

    def slope(*xs: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = f(*xs)
            loss = pb.reduce_sum(y * pb.cos(pb.cast(pb.reshape(pb.range(pb.size(y)), pb.shape(y)), y.dtype)))
        return pb.concat([pb.reshape(g, [-1]) for g in tape.gradient(loss, xs)], 0)

    check_gradient(slope, *arrays, rtol=1e-4, atol=1e-6)
    check_gradient(pb.function(slope), *arrays, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", PROGRAMS)
def test_forward_mode_agrees_with_reverse(name: str) -> None:
    f, arrays = PROGRAMS[name]
    xs = [pb.constant(a) for a in arrays]
    ts = [pb.constant(R.normal(size=a.shape)) for a in arrays]
    for g in (f, pb.function(f)):
        with pb.autodiff.ForwardAccumulator(xs, ts) as forward:
            moved = forward.jvp(g(*xs))
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = g(*xs)
        weights = pb.constant(np.cos(np.arange(float(np.size(y.numpy())))).reshape(y.shape))
        slopes = tape.gradient(y, xs, output_gradients=weights)
        left = float(pb.reduce_sum(moved * weights))
        right = sum(float(pb.reduce_sum(s * t)) for s, t in zip(slopes, ts, strict=True))
        assert left == pytest.approx(right, rel=1e-9)


@pytest.mark.parametrize("name", PROGRAMS)
def test_eager_interpreted_and_compiled_agree(name: str) -> None:
    f, arrays = PROGRAMS[name]
    fn = pb.function(f)
    want = f(*map(pb.constant, arrays)).numpy()
    close(fn(*map(pb.constant, arrays)), want, rtol=1e-11, atol=1e-12)
    text = fn.inspect(*map(pb.constant, arrays), stage="trace")
    np.testing.assert_allclose(interpret(parse(str(text)), arrays)[0], want, rtol=1e-11, atol=1e-12)


def kalman(z: Any, p: Any, f: Any, h: Any, r: Any) -> Any:
    """The log-likelihood of measurements: predict, innovation, gain, update, in each trip."""
    x, total = pb.zeros([4, 1], z.dtype), pb.zeros([], z.dtype)
    p = (p + pb.transpose(p)) / 2
    for i in pb.range(pb.shape(z)[0]):
        x, p = f @ x, f @ p @ pb.transpose(f) + 0.1 * pb.eye(4, dtype=z.dtype)
        s = h @ p @ pb.transpose(h) + r @ pb.transpose(r)
        e = pb.reshape(z[i], [2, 1]) - h @ x
        gain = pb.transpose(L.solve(s, h @ p))
        total = total - 0.5 * (L.logdet(s) + pb.reduce_sum(e * L.cholesky_solve(L.cholesky(s), e)))
        x, p = x + gain @ e, p - gain @ h @ p
    return total + L.det(p) + pb.reduce_sum(L.inv(p)) * 1e-3


KALMAN = [
    R.normal(size=(7, 2)), np.eye(4), np.eye(4) + 0.1 * R.normal(size=(4, 4)), R.normal(size=(2, 4)),
    np.array([[1.0, 0.0], [0.3, 0.8]]),
]  # fmt: skip


def test_in_a_compiled_loop() -> None:
    """All of them native, in the loop and in its gradient."""
    fn = pb.function(kalman)
    ts = [pb.constant(a) for a in KALMAN]
    close(fn(*ts), kalman(*ts).numpy(), rtol=1e-11)
    assert "call i32 @lu_f64_2x2(" in str(fn.inspect(*ts, stage="llvm"))
    assert "call i32 @cholesky_f64_2x2(" in str(fn.inspect(*ts, stage="llvm"))
    check_gradient(fn, *KALMAN, rtol=1e-4, atol=1e-6)

    @pb.function
    def slopes(*xs: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = kalman(*xs)
        return tape.gradient(y, xs)

    assert "call i32 @lu_solve_f64_" in str(slopes.inspect(*ts, stage="llvm"))
    with pb.GradientTape() as tape:
        tape.watch(ts)
        y = kalman(*ts)
    for got, want in zip(slopes(*ts), tape.gradient(y, ts), strict=True):
        close(got, want.numpy(), rtol=1e-9, atol=1e-10)


def test_eigenvalues_in_a_compiled_loop() -> None:
    """NumPy is called from native code, which goes on around it."""

    def f(a: Any) -> Any:
        s = (a + pb.transpose(a)) / 2
        for _ in pb.range(3):
            w, v = L.eigh(s)
            s = v @ L.diag(pb.tanh(w)) @ pb.transpose(v) + 0.1 * s
        return s

    a = definite(4)
    fn = pb.function(f)
    close(fn(pb.constant(a)), f(pb.constant(a)).numpy(), rtol=1e-12, atol=1e-13)
    llvm = str(fn.inspect(pb.constant(a), stage="llvm"))
    assert llvm.count("call i32 @pb_tell") == 1
    check_gradient(fn, a, rtol=1e-4, atol=1e-6)
    w, v = pb.function(L.eigh)(pb.constant(a))
    close(v @ L.diag(w), a @ v.numpy(), rtol=1e-12, atol=1e-13)


def test_while_with_a_solve_in_it() -> None:
    """Newton's method for x^3 = A x + b in three unknowns; the gradient of the root by the same loop."""

    def root(a: Any, b: Any) -> Any:
        x = pb.ones([3, 1], a.dtype) * 3.0
        while pb.reduce_max(pb.abs(x**3 - a @ x - b)) > 1e-10:
            x = x - L.solve(L.diag(3.0 * x[:, 0] ** 2) - a, x**3 - a @ x - b)
        return x

    a, b = R.normal(size=(3, 3)), R.uniform(1, 2, (3, 1))
    x = root(pb.constant(a), pb.constant(b)).numpy()
    np.testing.assert_allclose(x**3, a @ x + b, atol=1e-10)
    fn = pb.function(root)
    close(fn(pb.constant(a), pb.constant(b)), x, rtol=1e-10)
    check_gradient(fn, a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (lambda: L.solve(np.ones((2, 2)), np.ones((2, 1))), "singular"),
        (lambda: L.inv(np.zeros((3, 3))), "singular"),
        (lambda: pb.function(L.inv)(np.zeros((3, 3))), "singular"),
        (lambda: L.inv(np.ones((2, 3))), "square"),
        (lambda: pb.function(L.inv)(np.ones((2, 3))), "square"),
        (lambda: L.det(pb.constant([[1]])), "float32 and float64"),
        (lambda: L.det(pb.constant([[1j]])), "float32 and float64"),
        (lambda: L.cholesky(np.ones(3)), "rank 2 or more"),
        (lambda: L.solve(np.eye(3), np.ones(3)), r"b\[:, None\]"),
        (lambda: L.solve(np.ones((5, 3, 3)), np.ones((5, 3))), r"b\[\.\.\., None\]"),
        (lambda: L.solve(np.ones((5, 3, 3)), np.ones((4, 3, 1))), "5 and 4 do not broadcast"),
        (lambda: L.solve(np.eye(3), np.ones((2, 1))), "3 columns"),
        (lambda: L.solve(pb.eye(3), pb.constant(np.ones((3, 1)))), "differ in dtype"),
        (lambda: L.triangular_solve(np.eye(3), np.ones((2, 1))), "3 columns"),
    ],
)
def test_refused(f: Any, what: str) -> None:
    with pytest.raises((pb.errors.InvalidArgumentError, TypeError), match=what) as e:
        f()
    assert "test_ops_solve.py" in str(e.value) + "".join(getattr(e.value, "__notes__", []))


def test_a_singular_matrix_in_a_loop_names_the_line() -> None:
    @pb.function
    def f(x: Any) -> Any:
        y = x
        for i in pb.range(5):
            y = L.inv(x - pb.cast(i, x.dtype) * pb.eye(2, dtype=x.dtype)) * 0.5
        return y

    close(f(pb.constant([[9.0, 0.0], [0.0, 7.0]])), np.diag([0.5 / 5, 0.5 / 3]))
    with pytest.raises(np.linalg.LinAlgError, match=r"solve at .*test_ops_solve\.py:\d+: the matrix is singular"):
        f(pb.constant([[9.0, 0.0], [0.0, 2.0]]))


def test_symbolic_sizes_compile_once() -> None:
    @pb.function(input_signature=[pb.TensorSpec([None, None], pb.float64), pb.TensorSpec([None, 2], pb.float64)])
    def f(a: Any, b: Any) -> Any:
        return pb.linalg.solve(a, b)

    for n in (2, 5, 9):
        a, b = regular(n), R.normal(size=(n, 2))
        close(f(a, b), np.linalg.solve(a, b), rtol=1e-10, atol=1e-12)
