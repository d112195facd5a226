"""Jacobians and forward mode, against closed forms and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import close, same


def test_jacobian_of_a_map() -> None:
    x, w = pb.constant([[1.0, 2.0], [3.0, 4.0]]), pb.Variable([[0.5], [1.5]])
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = x @ w
    jx, jw = tape.jacobian(y, [x, w])
    want = np.zeros((2, 1, 2, 2))
    want[0, 0, 0] = want[1, 0, 1] = [0.5, 1.5]
    same(jx, want)
    same(jw, x.numpy()[:, None, :, None])


def test_jacobian_without_connection_and_released() -> None:
    x, z = pb.Variable([1.0, 2.0]), pb.Variable([3.0])
    with pb.GradientTape(persistent=True) as tape:
        y = x * 2.0
    assert tape.jacobian(y, z) is None
    same(tape.jacobian(y, z, unconnected_gradients="zero"), [[0.0], [0.0]])
    with pb.GradientTape() as tape:
        y = x * x
    same(tape.jacobian(y, x, experimental_use_pfor=False), [[2.0, 0.0], [0.0, 4.0]])
    with pytest.raises(RuntimeError, match="persistent"):
        tape.jacobian(y, x)


def test_batch_jacobian() -> None:
    x = pb.constant([[1.0, 2.0], [3.0, 4.0]])
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = pb.stack([x[:, 0] * x[:, 1], x[:, 0] ** 2, x[:, 1]], axis=1)
    same(tape.batch_jacobian(y, x), [[[2, 1], [2, 0], [0, 1]], [[4, 3], [6, 0], [0, 1]]])
    with pytest.raises(ValueError, match="first dimension"):
        tape.batch_jacobian(y, pb.ones([3, 2]))


def test_hessian() -> None:
    x = pb.Variable([0.5, -1.0, 2.0])
    with pb.GradientTape() as t2:
        with pb.GradientTape() as t1:
            y = x[0] ** 2 * x[1] + pb.sin(x[2]) * x[0]
        g = t1.gradient(y, x)
    a, b, c = 0.5, -1.0, 2.0
    want = [[2 * b, 2 * a, np.cos(c)], [2 * a, 0, 0], [np.cos(c), 0, -np.sin(c) * a]]
    close(t2.jacobian(g, x), want, rtol=1e-6)


def programs() -> list[Any]:
    return [
        lambda x: pb.sin(x) * x[1],
        lambda x: pb.reduce_prod(x),
        lambda x: pb.nn.softmax(x),
        lambda x: pb.concat([x[1:], x * x], 0),
        lambda x: pb.reduce_max(x) + pb.reduce_logsumexp(x),
        lambda x: pb.gather(x, [2, 0]),
        lambda x: pb.cumsum(pb.exp(x)),
        lambda x: pb.tensordot(x, pb.tanh(x), 1),
        lambda x: pb.where(x > 0.0, x * x, -x),
        lambda x: pb.pad(x, [[1, 2]]) ** 2,
        lambda x: pb.cast(x, pb.float32) * 2.0,
        lambda x: pb.tile(pb.reshape(x, [1, 3]), [2, 2]),
    ]


@pytest.mark.parametrize("f", programs())
def test_forward_is_the_jacobian_times_the_tangent(f: Any) -> None:
    x, t = pb.constant([0.3, -0.8, 1.7], pb.float64), pb.constant([1.0, 0.5, -2.0], pb.float64)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    j = tape.jacobian(y, x)
    with pb.autodiff.ForwardAccumulator(x, t) as acc:
        y = f(x)
    close(acc.jvp(y), np.tensordot(j.numpy(), t.numpy(), 1), rtol=1e-6)


def test_nested_accumulators_and_tapes() -> None:
    x = pb.constant(1.1, pb.float64)
    one = pb.constant(1.0, pb.float64)
    with pb.autodiff.ForwardAccumulator(x, one) as outer:
        with pb.autodiff.ForwardAccumulator(x, one) as inner:
            y = x**3.5
        d = inner.jvp(y)
    close(d, 3.5 * 1.1**2.5, rtol=1e-12)
    close(outer.jvp(d), 3.5 * 2.5 * 1.1**1.5, rtol=1e-12)
    v = pb.Variable(2.0)
    with pb.autodiff.ForwardAccumulator(v, pb.constant(1.0)) as acc:
        with pb.GradientTape() as tape:
            z = v * v * v
        g = tape.gradient(z, v)
    same(acc.jvp(g), 12.0)


def test_forward_misuse() -> None:
    x = pb.constant([1.0, 2.0])
    with pytest.raises(ValueError, match="Dtypes"):
        pb.autodiff.ForwardAccumulator(x, pb.constant([1, 2]))
    with pb.autodiff.ForwardAccumulator(x, pb.constant([1.0, 1.0])) as acc:
        y = pb.cast(x, pb.int32)
        z = pb.constant(3.0) * 2.0
        with pytest.raises(ValueError, match="already"), acc:
            pass
    assert acc.jvp(y) is None
    assert acc.jvp(z) is None
    same(acc.jvp(z, unconnected_gradients=pb.UnconnectedGradients.ZERO), 0.0)
