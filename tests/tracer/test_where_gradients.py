"""The branch that `where` does not take contributes nothing, not even a NaN: eagerly, compiled, and to second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

A = np.array([[1.0, 0.0, -3.0], [0.0, 2.0, 0.5]])
B = np.array([[2.0, 0.0, -4.0], [0.0, 0.5, 1.0]])
BIG = np.array([[1e4, 1.0, -1e4], [0.5, 800.0, 1e9]])
ONE = np.ones_like(A)
HIT = (B != 0).astype(float)
SAFE = np.where(B != 0, B, 1.0)

# Each: the function, its operands, and their gradients by hand, all ones as the cotangent.
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]] = {
    "quotient": (lambda a, b: pb.where(b != 0, a / b, 7.0), (A, B), (HIT / SAFE, -HIT * A / SAFE**2)),
    "other side": (lambda a, b: pb.where(b == 0, 7.0, a / b), (A, B), (HIT / SAFE, -HIT * A / SAFE**2)),
    "product after": (
        lambda a, b: pb.where(b != 0, (1.0 / b) * a * 2.0, a), (A, B),
        (np.where(HIT, 2 / SAFE, 1.0), -HIT * 2 * A / SAFE**2),
    ),
    "log": (lambda b: pb.where(b > 0, pb.math.log(b), 0.0), (B,), (np.where(B > 0, 1 / SAFE, 0.0),)),
    "exp": (lambda x: pb.where(x < 10, pb.exp(x), x), (BIG,), (np.where(BIG < 10, np.exp(np.minimum(BIG, 9)), 1.0),)),
    "power": (lambda b: pb.where(b > 0, b**-1.5, b), (B,), (np.where(B > 0, -1.5 * np.abs(SAFE) ** -2.5, 1.0),)),
    "acos": (lambda a: pb.where(pb.abs(a) < 1, pb.acos(a), 0.0), (A,),
             (np.where(abs(A) < 1, -1 / np.sqrt(1 - np.where(abs(A) < 1, A, 0) ** 2), 0.0),)),
    "sinc": (lambda b: pb.where(b != 0, pb.sin(b) / b, 1.0), (B,),
             (np.where(HIT, (np.cos(SAFE) * SAFE - np.sin(SAFE)) / SAFE**2, 0.0),)),
    "nested": (
        lambda a, b: pb.where(a != 0, pb.where(b != 0, a / b, 1.0) / a, b), (A, B),
        (np.where(A != 0, 0.0, 0.0), np.where(A != 0, -HIT / SAFE**2, 1.0)),
    ),
    "maximum": (lambda b: pb.maximum(pb.math.log(b), -1.0), (np.abs(B),),
                (np.where(np.log(np.abs(SAFE)) * HIT - 9 * (1 - HIT) > -1, 1 / np.abs(SAFE), 0.0),)),
    "clip": (lambda b: pb.clip_by_value(1.0 / b, -3.0, 3.0), (np.abs(B),), (-HIT / SAFE**2,)),
    "reshaped": (lambda a, b: pb.where(pb.reshape(b, [6]) != 0, pb.reshape(a / b, [6]), 0.0), (A, B),
                 (HIT / SAFE, -HIT * A / SAFE**2)),
    "transposed": (lambda a, b: pb.where(pb.transpose(b) != 0, pb.transpose(a / b), 0.0), (A, B),
                   (HIT / SAFE, -HIT * A / SAFE**2)),
    "cast": (lambda a, b: pb.cast(pb.where(b != 0, pb.cast(a / b, "float32"), 0.0), "float64"), (A, B),
             (HIT / SAFE, -HIT * A / SAFE**2)),
    "rows": (
        lambda a: pb.where(pb.reduce_sum(a, 1) > 0, pb.reduce_sum(pb.math.log(a), 1), 0.0),
        (np.array([[1.0, 2.0], [0.0, 0.0]]),), (np.array([[1.0, 0.5], [0.0, 0.0]]),),
    ),
    "broadcast mask": (
        lambda a, s: pb.where(s != 0, a / s, 0.0), (A, np.array([[0.0], [2.0]])),
        (np.array([[0.0] * 3, [0.5] * 3]), np.array([[0.0], [-A[1].sum() / 4]])),
    ),
    "scalar mask": (lambda a, s: pb.where(s > 0, pb.reduce_sum(pb.math.log(a) / s), 1.0), (A * 0, np.array(0.0)),
                    (A * 0, np.array(0.0))),
    "slice": (lambda a, b: pb.where(b[:, 1:] != 0, a[:, 1:] / b[:, 1:], 0.0), (A, B),
              (HIT / SAFE * [0, 1, 1], -HIT * A / SAFE**2 * [0, 1, 1])),
    "used elsewhere": (lambda a, b: pb.where(b != 0, a / b, 0.0) + a * b, (A, B),
                       (HIT / SAFE + B, -HIT * A / SAFE**2 + A)),
    "scalar operand": (lambda a, k: pb.where(a != 0, k / a, 0.0), (A, np.array(3.0)),
                       (np.where(A != 0, -3 / np.where(A != 0, A, 1) ** 2, 0), np.sum(1 / A[A != 0]))),
}  # fmt: skip


def gradients(f: Callable[..., Any], operands: Any, weights: Any = None) -> Any:
    xs = [pb.constant(x) for x in operands]
    with pb.GradientTape() as tape:
        tape.watch(xs)
        y = f(*xs)
        loss = pb.reduce_sum(y if weights is None else y * weights)
    return tape.gradient(loss, xs)


def inside(f: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient as part of a compiled function, which the outer tape sees the value of."""

    def gradient(*xs: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(xs)
            loss = pb.reduce_sum(f(*xs))
        return tape.gradient(loss, xs)

    return pb.function(gradient)


@pytest.mark.parametrize("name", CASES)
def test_no_nan_comes_through(name: str) -> None:
    f, operands, expected = CASES[name]
    compiled = inside(f)(*(pb.constant(x) for x in operands))
    for found in (gradients(f, operands), gradients(pb.function(f), operands), compiled):
        for g, e in zip(found, expected, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-6 if name == "cast" else 1e-12, atol=1e-15)


@pytest.mark.parametrize("compiled", [True, False])
def test_second_order(compiled: bool) -> None:
    def f(b: Any) -> Any:
        return pb.where(b != 0, 1.0 / b, b * b)

    b = pb.constant(B)
    run = pb.function(f) if compiled else f
    with pb.GradientTape() as outer:
        outer.watch(b)
        with pb.GradientTape() as inner:
            inner.watch(b)
            y = run(b)
        g = inner.gradient(y, b)
    np.testing.assert_allclose(g, np.where(HIT, -1 / SAFE**2, 0.0))
    np.testing.assert_allclose(outer.gradient(g, b), np.where(HIT, 2 / SAFE**3, 2.0))
    with pb.autodiff.ForwardAccumulator(b, pb.constant(ONE)) as forward, pb.GradientTape() as tape:
        tape.watch(b)
        y = run(b)
        g = tape.gradient(y, b)
    np.testing.assert_allclose(forward.jvp(g), np.where(HIT, 2 / SAFE**3, 2.0))


def positive_log(x: Any) -> Any:
    return pb.where(x > 0, pb.math.log(x), 0.0)


compiled_log = pb.function(positive_log)


def several_choices(x: Any) -> Any:
    y = x * 1.0
    for _ in range(3):
        y = pb.where(x > 0, y + pb.math.log(x) / x, y * x)
    return y


TWICE = [
    several_choices,
    lambda x: compiled_log(x) * compiled_log(x),
    lambda x: pb.where(x > 0, compiled_log(x) * pb.exp(1 / x), 0.0),
    lambda x: pb.maximum(positive_log(x), 2.0 - 1.0 / x),
]


@pytest.mark.parametrize("f", TWICE)
@pytest.mark.parametrize("compiled", [True, False])
def test_second_order_through_choices_and_calls(f: Callable[[Any], Any], compiled: bool) -> None:
    run = pb.function(f) if compiled else f

    def gradient(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = run(x)
        return tape.gradient(y, x)

    at = np.array([0.0, 2.0, -1.0, 0.5])
    x = pb.constant(at)
    with pb.GradientTape() as outer:
        outer.watch(x)
        g = gradient(x)
    h = 1e-6
    up, down = (gradient(pb.constant(at + d)).numpy() for d in (h, -h))
    found = outer.gradient(g, x).numpy()
    np.testing.assert_allclose(found[1:], ((up - down) / (2 * h))[1:], rtol=1e-7, atol=1e-8)
    assert np.isfinite(found[0])  # at 0 the function itself jumps


@pytest.mark.parametrize("compiled", [True, False])
def test_a_cotangent_that_happens_to_be_zero_still_has_a_derivative(compiled: bool) -> None:
    """loss = (w(a) - 3)^2 / 2 at w = 3: the gradient is 0, the Hessian w'^2 is not."""

    def w(a: Any) -> Any:
        return pb.where(a > 0, a * a * a / 9.0, 1.0)

    run = pb.function(w) if compiled else w
    a = pb.constant(3.0)
    with pb.GradientTape() as outer:
        outer.watch(a)
        with pb.GradientTape() as inner:
            inner.watch(a)
            loss = 0.5 * (run(a) - 3.0) ** 2
        g = inner.gradient(loss, a)
    assert float(g) == 0.0
    np.testing.assert_allclose(outer.gradient(g, a), 9.0)


@pytest.mark.parametrize("compiled", [True, False])
def test_in_a_loop(compiled: bool) -> None:
    def f(x: Any, n: Any) -> Any:
        total = 0.0
        for i in pb.range(n):
            total = total + pb.where(x[i] > 0, pb.math.log(x[i]) / x[i], x[i])
        return total

    x = pb.constant([0.0, 2.0, -1.0, 0.5], pb.float64)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = (pb.function(f) if compiled else f)(x, pb.constant(4))
    v = np.array([2.0, 0.5])
    g = tape.gradient(y, x).numpy()
    np.testing.assert_allclose(g[1::2], (1 - np.log(v)) / v**2)
    np.testing.assert_array_equal(g[::2], [1.0, 1.0])


def each_element(x: Any, n: Any) -> Any:
    total = 0.0
    for i in pb.range(n):
        total = total + pb.where(x[i] > 0, pb.math.log(x[i]) / x[i], x[i] * x[i])
    return total


def whole_rows(x: Any, n: Any) -> Any:
    y = x * 1.0
    for i in pb.range(n):
        z = pb.math.log(x + 0.0 * y) * pb.cast(i + 1, x.dtype)
        r = pb.exp(z) / x
        y = pb.where(x > 0, y + r * z, pb.where(x < -2, z * y, y * x))
    return pb.reduce_sum(y)


def until(x: Any, n: Any) -> Any:
    y, k = x * 1.0, 0 * n
    while k < n:
        for _ in pb.range(k):
            r = pb.math.log(x * 1.5)
            y = y + pb.where(x > 0, pb.exp(r * r), y)
        k = k + 1
    return pb.reduce_sum(y)


def in_branches(x: Any, n: Any) -> Any:
    y = x * 1.0
    for i in pb.range(n):
        if i % 2 == 0:
            z = x * 1.0
            for _ in pb.range(i + 1):
                z = z + pb.math.log(x)
            y = y + pb.where(x > 0, z * z, x)
        else:
            y = pb.where(x > 0, y + pb.exp(pb.math.log(x) / x), y)
    return pb.reduce_sum(y)


def outside_of_a_branch(x: Any, n: Any) -> Any:
    if n > 2:
        r = pb.math.log(x)
        z = r * r / x
    else:
        z = x
    return pb.reduce_sum(pb.where(x > 0, z, 0.0))


@pytest.mark.parametrize("f", [each_element, whole_rows, until, in_branches, outside_of_a_branch])
@pytest.mark.parametrize("way", ["eager", "compiled", "inside"])
def test_higher_orders_in_loops(f: Callable[..., Any], way: str) -> None:
    """Where `where` chooses the element 0, all its derivatives are those of the choice: as if the others were not."""
    run = f if way == "eager" else pb.function(f)
    n = pb.constant(4)

    def gradient(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = run(x, n)
        return tape.gradient(y, x)

    def third(x: Any) -> Any:
        with pb.GradientTape() as outer:
            outer.watch(x)
            with pb.GradientTape() as inner:
                inner.watch(x)
                g = pb.reduce_sum(gradient(x) ** 2)
            h = inner.gradient(g, x)
            total = pb.reduce_sum(h * h)
        return g, h, outer.gradient(total, x)

    third = pb.function(third) if way == "inside" else third
    at = np.array([1.6, -0.7, 0.9, 1.3])
    with_zero = np.array([2.0, -1.0, 0.0, 0.5])
    _, h, k = third(pb.constant(at))
    eps = 1e-5
    steps = [(third(pb.constant(at + d)), third(pb.constant(at - d))) for d in eps * np.eye(4)]
    by_g = [(float(a[0]) - float(b[0])) / (2 * eps) for a, b in steps]
    by_h = [(np.sum(a[1].numpy() ** 2) - np.sum(b[1].numpy() ** 2)) / (2 * eps) for a, b in steps]
    np.testing.assert_allclose(h, by_g, rtol=1e-6, atol=1e-7 * abs(h.numpy()).max())
    np.testing.assert_allclose(k, by_h, rtol=1e-6, atol=1e-7 * abs(k.numpy()).max())
    found = third(pb.constant(with_zero))
    alike = third(pb.constant(np.array([2.0, -1.0, -1e-300, 0.5])))  # the same choice, 300 decimals from it
    for a, b in zip(found, alike, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-280)


def test_a_source_between() -> None:
    """A source on the path gets a cotangent that holds everywhere, and so does what is before it."""

    @pb.function
    def f(a: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(a)
            r = 1.0 / a
            y = pb.where(a != 0, r * r, 0.0)
        return tape.gradient(y, [r, a])

    for found in (f(pb.constant(A)), f.python_function(pb.constant(A))):
        safe = np.where(A != 0, A, 1.0)
        np.testing.assert_allclose(found[0], np.where(A != 0, 2 / safe, 0.0))
        np.testing.assert_allclose(found[1], np.where(A != 0, -2 / safe**3, 0.0))
