"""Complex numbers: values against NumPy, gradients against differences in both directions of the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import same

Z = np.array([1 + 2j, -0.5 + 1j, 3 - 1j])


@pytest.mark.parametrize(
    "loss",
    [
        lambda z: pb.reduce_sum(pb.abs(z * z + pb.exp(z)) ** 2),
        lambda z: pb.reduce_sum(pb.math.real(z * z * z)),
        lambda z: pb.reduce_mean(pb.math.imag(z / (z + 1.0))),
        lambda z: pb.reduce_sum(pb.math.angle(z) * pb.abs(z)),
        lambda z: pb.reduce_sum(pb.math.real(pb.math.conj(z) * pb.sin(z))),
        lambda z: pb.reduce_sum(pb.cast(z, pb.float64) ** 2),
        lambda z: pb.abs(pb.reduce_sum(pb.cast(pb.math.real(z), pb.complex128) * z)),
        lambda z: pb.reduce_sum(pb.math.real(pb.matmul(z[None], z[:, None]))),
        lambda z: pb.math.real(pb.norm(z)),
    ],
)
def test_gradients(loss: Any) -> None:
    x = pb.constant(Z)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = loss(x)
    assert y.dtype is pb.float64
    got = tape.gradient(y, x).numpy()
    h = 1e-6
    for i in range(len(Z)):
        slopes = []
        for way in (1, 1j):
            step = np.zeros(3, complex)
            step[i] = h * way
            slopes.append(float(loss(pb.constant(Z + step)) - loss(pb.constant(Z - step))) / (2 * h))
        np.testing.assert_allclose(got[i], complex(*slopes), rtol=1e-6, atol=1e-7)


def test_parts() -> None:
    z = pb.constant(Z.astype(np.complex64))
    same(pb.math.real(z), Z.real.astype(np.float32), "float32")
    same(pb.math.imag(z), Z.imag.astype(np.float32), "float32")
    same(pb.math.conj(z), Z.conj().astype(np.complex64), "complex64")
    same(pb.complex([1.0], [2.0]), np.array([1 + 2j], np.complex64), "complex64")
    same(pb.math.imag([1.0]), [0.0])
    np.testing.assert_allclose(pb.math.angle(z).numpy(), np.angle(Z), rtol=1e-6)
    np.testing.assert_allclose(pb.math.angle([-1.0, 1.0]).numpy(), [np.pi, 0.0], rtol=1e-6)
    with pytest.raises(TypeError):
        pb.complex(pb.constant(1), pb.constant(2))


def test_gradient_of_the_parts() -> None:
    a, b = pb.Variable([1.0, 2.0]), pb.Variable([3.0, 1.0])
    with pb.GradientTape() as tape:
        y = pb.reduce_sum(pb.abs(pb.complex(a, b)))
    ga, gb = tape.gradient(y, [a, b])
    size = np.hypot(a.numpy(), b.numpy())
    np.testing.assert_allclose(ga.numpy(), a.numpy() / size, rtol=1e-6)
    np.testing.assert_allclose(gb.numpy(), b.numpy() / size, rtol=1e-6)


def test_modulus_at_zero() -> None:
    z = pb.Variable([0j, 3 + 4j], dtype=pb.complex128)
    with pb.GradientTape() as tape:
        y = pb.abs(z)
    np.testing.assert_allclose(tape.gradient(y, z).numpy(), [0, 0.6 + 0.8j])
