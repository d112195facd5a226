"""Random streams: reproducible, the right distributions, the same in compiled functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import same


def kolmogorov(sample: Any, cdf: Any) -> float:
    """The largest distance between the empirical and the true distribution function, times sqrt(n)."""
    x = np.sort(np.asarray(sample, np.float64).ravel())
    f = np.vectorize(cdf)(x)
    n = x.size
    return float(max(np.max(np.arange(1, n + 1) / n - f), np.max(f - np.arange(n) / n)) * math.sqrt(n))


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


INSIDE = math.erf(math.sqrt(2))


@pytest.mark.parametrize("dtype", [pb.float32, pb.float64])
@pytest.mark.parametrize(
    ("draw", "cdf"),
    [
        (pb.random.uniform, lambda x: x),
        (pb.random.normal, normal_cdf),
        (pb.random.truncated_normal, lambda x: (normal_cdf(x) - normal_cdf(-2)) / INSIDE),
    ],
)
def test_distributions(draw: Any, cdf: Any, dtype: pb.DType) -> None:
    pb.random.set_seed(11)
    x = draw([4000], dtype=dtype)
    assert x.dtype is dtype
    assert kolmogorov(x.numpy(), cdf) < 1.63  # the 1 % point of Kolmogorov's distribution


def test_seeds() -> None:
    def three() -> list[Any]:
        return [pb.random.normal([3]).numpy(), pb.random.uniform([2]).numpy(), pb.random.normal([3], seed=4).numpy()]

    pb.random.set_seed(5)
    first = three()
    again = three()
    pb.random.set_seed(5)
    for a, b, c in zip(first, three(), again, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    pb.random.set_seed(6)
    assert not np.array_equal(first[0], three()[0])


def test_compiled_functions_draw_from_the_same_stream() -> None:
    def f(x: Any) -> Any:
        return pb.random.normal([3]) + x, pb.random.uniform([2], 1, 9, pb.int32), pb.random.truncated_normal([2])

    compiled = pb.function(f)
    pb.random.set_seed(7)
    eager = [f(pb.constant(0.0)) for _ in range(2)]
    pb.random.set_seed(7)
    fast = [compiled(pb.constant(0.0)) for _ in range(2)]
    for a, b in zip(pb.nest.flatten(eager), pb.nest.flatten(fast), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)
    assert not np.array_equal(fast[0][0].numpy(), fast[1][0].numpy())


def test_bounds() -> None:
    i = pb.random.uniform([2000], -3, 5, dtype=pb.int32).numpy()
    assert set(i.tolist()) == set(range(-3, 5))
    u = pb.random.uniform([2000], 2.0, 3.0).numpy()
    assert u.min() >= 2.0
    assert u.max() < 3.0
    near = pb.random.uniform([2000], 1.0, float(np.nextafter(np.float32(1), np.float32(2)))).numpy()
    assert near.max() == 1.0
    t = pb.random.truncated_normal([5000], mean=1.0, stddev=0.5).numpy()
    assert t.min() >= 0.0
    assert t.max() <= 2.0


@pytest.mark.parametrize(
    "f",
    [lambda: pb.random.uniform([2], 0, dtype=pb.int32), lambda: pb.random.uniform([2], 3, 3, dtype=pb.int32),
     lambda: pb.random.normal([2], dtype=pb.int32), lambda: pb.random.stateless_normal([2], seed=[1])],
)  # fmt: skip
def test_refused(f: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        f()


def test_stateless() -> None:
    a = pb.random.stateless_normal([4], seed=[1, 2])
    same(pb.random.stateless_normal([4], seed=[1, 2]), a.numpy())
    for other in ([1, 3], [2, 1], [0, 0]):
        assert not np.array_equal(pb.random.stateless_normal([4], seed=other).numpy(), a.numpy())
    assert pb.random.stateless_uniform([2], [1, 2], 0, 7, pb.int64).dtype is pb.int64
    assert len({tuple(s) for s in pb.random.split([1, 2], 5).numpy().tolist()}) == 5


def test_generators() -> None:
    a, b = pb.random.Generator.from_seed(1), pb.random.Generator.from_seed(1)
    first = a.normal([3])
    same(b.normal([3]), first.numpy())
    assert not np.array_equal(a.normal([3]).numpy(), first.numpy())
    a.reset_from_seed(1)
    same(a.normal([3]), first.numpy())
    copied = pb.random.Generator(copy_from=a)
    same(copied.uniform([2]), a.uniform([2]).numpy())
    assert len(a.split(2)) == 2
    draw = pb.function(lambda: a.uniform([2]))
    x, y = draw().numpy(), draw().numpy()
    assert not np.array_equal(x, y)


def test_shuffle_and_categorical() -> None:
    x = pb.range(50)
    shuffled = pb.random.shuffle(x, seed=3)
    assert not np.array_equal(shuffled.numpy(), x.numpy())
    same(pb.sort(shuffled), x.numpy())
    logits = np.log([[0.5, 0.25, 0.25], [1e-9, 1.0, 1e-9]]).astype(np.float32)
    pb.random.set_seed(2)
    c = pb.random.categorical(logits, 4000).numpy()
    assert c.shape == (2, 4000)
    assert abs((c[0] == 0).mean() - 0.5) < 0.04
    assert (c[1] == 1).all()


def test_draws_are_not_differentiated_but_scales_are() -> None:
    s = pb.Variable(2.0)
    with pb.GradientTape() as tape:
        z = pb.random.normal([5], stddev=s, seed=1)
        y = pb.reduce_sum(z)
    np.testing.assert_allclose(tape.gradient(y, s).numpy(), y.numpy() / 2.0, rtol=1e-6)
