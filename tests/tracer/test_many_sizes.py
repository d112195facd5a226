"""One trace and one code for many sizes: right for each, and made again where a size decided otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

SIZES = [6, 7, 33, 2, 1, 0, 64, 5, 4099, 128, 3, 100, 16, 7]


def vector(n: int, seed: int = 0) -> Any:
    return pb.constant(np.random.default_rng(seed + n).uniform(-2, 2, n).astype(np.float32))


def matrix(n: int, m: int = 5, seed: int = 0) -> Any:
    return pb.constant(np.random.default_rng(seed + n).uniform(-2, 2, (n, m)).astype(np.float32))


def loop(x: Any) -> Any:
    for _ in pb.range(3):
        x = x + 0.1 * pb.sin(x) * x[:1]
    return x


def halves(x: Any) -> Any:
    n = x.shape[0]
    return x[: n // 2] * 2.0, x[n // 2 :] + 1.0


def by_parity(x: Any) -> Any:
    if x.shape[0] % 2 == 0:
        return x * 2.0
    return x - 1.0


def by_size(x: Any) -> Any:
    return x * 3.0 if x.shape[0] > 20 else x + 3.0


def in_python(x: Any) -> Any:
    total = 0.0
    for k in list(range(min(x.shape[0], 4))):
        total = total + x[k] * k
    return total


def element_loop(x: Any) -> Any:
    total = 0.0
    for i in range(x.shape[0] - 1):
        total = total + (x[i + 1] - x[i] ** 2) ** 2
    return total


def masked_mean(x: Any) -> Any:
    keep = pb.cast(x > 0, pb.float32)
    return pb.reduce_sum(x * keep) / pb.maximum(pb.reduce_sum(keep), 1.0)


def update(x: Any) -> Any:
    y = x * 1.0
    y[1:] += x[:-1]
    return y


ONE: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: pb.tanh(x) * pb.exp(-x * x) + pb.sin(x),
    "sum": lambda x: pb.reduce_sum(x * x),
    "mean": lambda x: pb.reduce_mean(pb.exp(x)),
    "mean of a part": lambda x: pb.reduce_mean(x[:-1] - x[1:]),
    "max": lambda x: pb.reduce_max(pb.concat([x, [-9.0]], 0)),
    "outer": lambda x: pb.reduce_sum(pb.sin(x[:, None] * x[None, :]), 1),
    "reverse": lambda x: x[::-1] * pb.reverse(x, [0]),
    "every second": lambda x: x[::2],
    "pad": lambda x: pb.pad(x, [[1, 2]]),
    "concat": lambda x: pb.concat([x, x * 2.0, x], 0),
    "stack": lambda x: pb.stack([x, x + 1.0], 1),
    "tile": lambda x: pb.tile(x, [3]),
    "cumsum": lambda x: pb.cumsum(x),
    "sort": lambda x: pb.sort(x),
    "argmax": lambda x: pb.argmax(pb.concat([x, [9.0]], 0)),
    "softmax": lambda x: pb.nn.softmax(pb.stack([x, 2.0 * x])),
    "loop": loop,
    "halves": halves,
    "parity": by_parity,
    "by size": by_size,
    "in Python": in_python,
    "element loop": element_loop,
    "masked mean": masked_mean,
    "update": update,
    "shape": lambda x: pb.zeros(x.shape) + pb.ones(pb.shape(x)) * x,
    "size as a number": lambda x: x * x.shape[0] + pb.cast(pb.size(x), pb.float32),
    "size in Python's floats": lambda x: x * (1.0 / (x.shape[0] + 1)),
    "range": lambda x: pb.cast(pb.range(x.shape[0]), pb.float32) * x,
    "rows": lambda x: pb.reshape(x, [-1, 1]) @ pb.ones([1, 3]),
    "fill": lambda x: pb.fill([x.shape[0], 2], 0.5) * x[:, None],
    "random size": lambda x: pb.one_hot(pb.range(x.shape[0]), x.shape[0]) @ x[:, None],
    "NumPy": lambda x: np.sum(np.where(x > 0, x, 0.0 * x) ** 2),
    "gather": lambda x: pb.gather(pb.concat([x, [1.0]], 0), pb.range(x.shape[0] // 2 + 1)),
}


def gradient(f: Callable[..., Any], *xs: Any) -> Any:
    with pb.GradientTape() as tape:
        tape.watch(xs)
        y = f(*xs)
        parts = [pb.cast(t, pb.float32) for t in (y if isinstance(y, tuple) else (y,))]
        loss = sum((pb.reduce_sum(t * t) for t in parts), pb.constant(0.0))
    return y, tape.gradient(loss, xs)


def same(found: Any, expected: Any, exact: bool = False) -> None:
    for a, b in zip(pb.nest.flatten(found), pb.nest.flatten(expected), strict=True):
        assert (a is None) == (b is None)
        if a is None:
            continue
        a, b = pb.convert_to_tensor(a), pb.convert_to_tensor(b)
        assert (a.dtype, tuple(a.shape)) == (b.dtype, tuple(b.shape))
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            scale = float(np.max(np.abs(b), initial=1.0))
            np.testing.assert_allclose(a, b, rtol=3e-5, atol=3e-6 * scale)


@pytest.mark.parametrize("name", ONE)
def test_every_size_is_served(name: str) -> None:
    f = ONE[name]
    compiled = pb.function(lambda x: gradient(f, x))
    for n in SIZES:
        x = vector(n)
        try:
            expected = gradient(f, x)
        except Exception as e:
            with pytest.raises(type(e)):
                compiled(x)
            continue
        same(compiled(x), expected)


@pytest.mark.parametrize("name", ONE)
def test_a_tape_around_serves_every_size(name: str) -> None:
    f = ONE[name]
    compiled = pb.function(f)
    for n in SIZES[:9]:
        x = vector(n)
        try:
            expected = gradient(f, x)
        except Exception:
            continue
        same(gradient(compiled, x), expected)


FEW = ["elementwise", "sum", "mean", "outer", "concat", "stack", "loop", "update", "softmax", "cumsum", "shape", "rows",
       "size as a number", "pad", "tile", "masked mean"]  # fmt: skip


@pytest.mark.parametrize("name", FEW)
def test_sizes_do_not_trace_again(name: str) -> None:
    compiled = pb.function(lambda x: gradient(ONE[name], x))
    for n in range(20, 60):
        compiled(vector(n))
    assert compiled.trace_count == 2
    assert "symbols from here on" in compiled.explain()


@pytest.mark.parametrize("name", ["elementwise", "sum", "mean", "cumsum", "update"])
def test_the_bits_are_those_of_code_for_one_size(name: str) -> None:
    many = pb.function(lambda x: gradient(ONE[name], x))
    many(vector(9))
    for n in (10, 15, 16, 17, 64, 65, 127, 1000, 4096, 4097, 10_000, 100_003, 400_000, 1_500_001):
        one = pb.function(lambda x: gradient(ONE[name], x))
        same(many(vector(n)), one(vector(n)), exact=True)
    assert many.trace_count == 2


def test_what_python_decides_by_a_size_is_decided_again() -> None:
    compiled = pb.function(by_size)
    for n in (3, 4, 30, 5, 40, 20, 21):
        same(compiled(vector(n)), by_size(vector(n)))
    assert compiled.trace_count == 3


def test_a_size_that_python_needs_as_a_number() -> None:
    seen = []

    @pb.function
    def f(x: Any) -> Any:
        seen.append(int(x.shape[0]))
        return x * 2.0

    for n in (3, 4, 5, 4, 6, 3):
        same(f(vector(n)), vector(n) * 2.0)
    assert seen == [3, 4, 5, 6]
    assert f"a size is needed as a number at {__file__}:{f.python_function.__code__.co_firstlineno + 2}" in f.explain()


def test_printed_sizes_are_numbers(capsys: Any) -> None:
    @pb.function
    def f(x: Any) -> Any:
        print("tracing", x.shape, f"{x.shape[0]}")
        return x * 2.0

    for n in (3, 4, 5):
        f(vector(n))
    assert capsys.readouterr().out.split("\n")[:3] == [f"tracing ({n},) {n}" for n in (3, 4, 5)]


@pytest.mark.parametrize("pairs", [[(3, 3), (4, 4), (5, 5), (4, 1), (1, 4), (1, 1), (7, 7), (7, 1)]])
def test_broadcasting_is_by_the_sizes_of_the_call(pairs: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        return x * y + y

    compiled = pb.function(lambda x, y: gradient(f, x, y))
    for n, m in pairs:
        same(compiled(vector(n), vector(m, 9)), gradient(f, vector(n), vector(m, 9)))
    with pytest.raises(ValueError, match=r"broadcast|sizes"):
        compiled(vector(3), vector(4))


def test_matrices() -> None:
    w, b = matrix(5, 3, 1), vector(3, 2)

    def f(x: Any) -> Any:
        h = pb.nn.relu(x @ w + b)
        return pb.reduce_mean(pb.nn.log_softmax(h @ pb.transpose(w))[:, 0]), pb.transpose(x) @ x

    compiled = pb.function(lambda x: gradient(f, x))
    for n in (4, 5, 6, 7, 32, 33, 300, 3, 2):
        same(compiled(matrix(n)), gradient(f, matrix(n)))
    assert compiled.trace_count <= 4


def test_two_sizes_vary() -> None:
    def f(x: Any) -> Any:
        return pb.reduce_sum(pb.nn.softmax(x), 0), pb.reduce_mean(x, 1), pb.transpose(x)

    compiled = pb.function(lambda x: gradient(f, x))
    for n, m in [(3, 4), (5, 6), (6, 5), (7, 7), (2, 9), (40, 30), (1, 5), (5, 1)]:
        same(compiled(matrix(n, m)), gradient(f, matrix(n, m)))


def test_variables_and_captures() -> None:
    v, c = pb.Variable(2.0), pb.constant([1.0, 2.0, 3.0])

    @pb.function
    def f(x: Any) -> Any:
        v.assign_add(pb.reduce_mean(x))
        return x * v + pb.reduce_sum(c)

    total = 2.0
    for n in (4, 5, 9, 17, 5):
        x = vector(n)
        total = np.float32(total) + np.mean(x.numpy())
        np.testing.assert_allclose(f(x), x.numpy() * total + 6.0, rtol=1e-5)
    assert f.trace_count == 2


def test_ndarrays_are_written_in_place() -> None:
    @pb.function
    def f(x: Any) -> None:
        x[1:] += x[:-1] * 2.0

    for n in (4, 5, 9, 17):
        x = np.arange(n, dtype=np.float64)
        expected = x.copy()
        expected[1:] += expected[:-1] * 2.0
        f(x)
        np.testing.assert_array_equal(x, expected)


def test_custom_gradients_see_their_own_size() -> None:
    @pb.custom_gradient
    def scaled(x: Any) -> Any:
        n = x.shape[0]
        return x * 1.0, lambda dy: dy * n

    compiled = pb.function(lambda x: gradient(scaled, x))
    outer = pb.function(scaled)
    for n in (3, 4, 5, 6):
        expected = 2.0 * vector(n).numpy() * n
        np.testing.assert_allclose(compiled(vector(n))[1][0], expected, rtol=1e-6)
        np.testing.assert_allclose(gradient(outer, vector(n))[1][0], expected, rtol=1e-6)


def test_a_size_that_is_kept_after_the_trace_is_a_number() -> None:
    kept: list[Any] = []

    @pb.function
    def f(x: Any) -> Any:
        kept.append(x.shape[0])
        return x + 1.0

    for n in (3, 4, 5):
        f(vector(n))
    assert kept[:2] == [3, 4]
    assert kept[1] * 2 + 1 == 9
    np.testing.assert_array_equal(np.zeros(kept[1]), np.zeros(4))


def test_functions_that_call_functions() -> None:
    inner = pb.function(lambda x: pb.reduce_mean(x) * x)

    @pb.function
    def outer(x: Any) -> Any:
        return inner(x) + inner(x[1:])[0]

    for n in (4, 5, 6, 40):
        x = vector(n).numpy()
        np.testing.assert_allclose(outer(vector(n)), x.mean() * x + x[1:].mean() * x[1], rtol=1e-5)
        np.testing.assert_allclose(inner(vector(n)), x.mean() * x, rtol=1e-5)
    assert outer.trace_count == 2


def test_indices_are_checked_against_the_sizes_of_the_call() -> None:
    f = pb.function(lambda x, i: x[i])
    for n in (4, 5, 9):
        assert float(f(vector(n), pb.constant(n - 1))) == float(vector(n)[n - 1])
        with pytest.raises(IndexError):
            f(vector(n), pb.constant(n))
