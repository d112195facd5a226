"""Initializers: moments and bounds of the distributions their papers give, seeds, names, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

init = pb.keras.initializers
SHAPE = (200, 300)


@pytest.mark.parametrize(
    ("name", "variance", "bound"),
    [
        ("glorot_uniform", 2 / 500, np.sqrt(6 / 500)),
        ("glorot_normal", 2 / 500, None),
        ("he_uniform", 2 / 200, np.sqrt(6 / 200)),
        ("he_normal", 2 / 200, None),
        ("lecun_uniform", 1 / 200, np.sqrt(3 / 200)),
        ("lecun_normal", 1 / 200, None),
        ("random_normal", 0.05**2, None),
        ("random_uniform", 0.1**2 / 12, 0.05),
    ],
)
def test_moments(name: str, variance: float, bound: float | None) -> None:
    pb.keras.utils.set_random_seed(3)
    values = init.get(name)(SHAPE)
    assert values.dtype == np.float32
    assert values.shape == SHAPE
    assert abs(values.mean()) < 5 * np.sqrt(variance / values.size)
    np.testing.assert_allclose(values.var(), variance, rtol=0.03)
    if bound is not None:
        assert np.abs(values).max() <= bound


def test_truncated_normal_stays_within_two_deviations() -> None:
    values = init.TruncatedNormal(mean=1.0, stddev=0.5, seed=1)(SHAPE)
    assert np.abs(values - 1.0).max() <= 1.0
    np.testing.assert_allclose(values.std(), 0.5 * 0.8796, rtol=0.02)


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (2, 3, 4)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    q = init.Orthogonal(gain=2.0, seed=0)(shape, "float64").reshape(-1, shape[-1]) / 2.0
    small = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-12)


def test_constants() -> None:
    assert np.all(init.get("zeros")((2, 3)) == 0)
    assert np.all(init.get("Ones")((2, 3), "int32") == np.ones((2, 3), np.int32))
    np.testing.assert_array_equal(init.Constant([1.0, 2.0])((3, 2)), [[1, 2]] * 3)
    np.testing.assert_array_equal(init.Identity(3.0)((2, 3)), 3.0 * np.eye(2, 3))


def test_fans() -> None:
    assert init.compute_fans(()) == (1, 1)
    assert init.compute_fans((5,)) == (5, 5)
    assert init.compute_fans((3, 4)) == (3, 4)
    assert init.compute_fans((2, 2, 3, 4)) == (12, 16)


def test_a_seed_repeats_and_the_shared_generator_does_not() -> None:
    seeded, free = init.GlorotUniform(seed=4), init.GlorotUniform()
    np.testing.assert_array_equal(seeded((3, 3)), seeded((3, 3)))
    assert not np.array_equal(free((3, 3)), free((3, 3)))


def test_set_random_seed_repeats_a_model() -> None:
    def weights() -> list[Any]:
        pb.keras.utils.set_random_seed(7)
        model = pb.keras.Sequential([pb.keras.Input((4,)), pb.keras.layers.Dense(3), pb.keras.layers.Dense(2)])
        return [*model.get_weights(), pb.random.normal((2,)).numpy(), np.random.rand(2)]

    for a, b in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True, None])
def test_bad_seed(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be an int"):
        pb.keras.utils.set_random_seed(seed)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"Unknown initializer 'glorot'.*glorot_uniform"):
        init.get("glorot")
    with pytest.raises(TypeError, match="An initializer is a name"):
        init.get(3)
    with pytest.raises(ValueError, match="matrices only"):
        init.Identity()((2, 2, 2))
    with pytest.raises(ValueError, match="fan_in, fan_out or fan_avg"):
        init.VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="two axes"):
        init.Orthogonal()((3,))


def test_custom_function_and_class() -> None:
    assert init.get(init.Ones)((2,)).tolist() == [1, 1]
    layer = pb.keras.layers.Dense(2, kernel_initializer=lambda shape, dtype: np.full(shape, 2.0, "float32"))
    assert layer(pb.ones((1, 3))).numpy().tolist() == [[6.0, 6.0]]
