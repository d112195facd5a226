"""Random programs: eager, traced and interpreted, compiled, and their gradients in every arrangement, all agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.verifier import verify

UNARY: list[Callable[[Any], Any]] = [
    pb.tanh,
    pb.sin,
    lambda x: pb.exp(-x * x),
    lambda x: x[::-1],
    lambda x: pb.transpose(pb.reshape(x, [3, 4]))[:3, :] * 0.5 if x.shape == [4, 3] else x * 2.0,
    lambda x: pb.where(x > 0.1, x, x * x),
    lambda x: x - pb.reduce_mean(x, axis=0, keepdims=True),
    lambda x: pb.softmax(x),
    lambda x: pb.concat([x[1:], x[:1] * 3.0], 0),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y * 0.5,
    lambda x, y: x * y,
    lambda x, y: x / (2.0 + y * y),
    lambda x, y: pb.maximum(x, y),
    lambda x, y: x + y[0] - y[:, :1],
    lambda x, y: pb.matmul(x, pb.matmul(y, x, transpose_a=True)) * 0.1,
]


def program(seed: int) -> Callable[..., Any]:
    """A function of two [4, 3] tensors; the same for the same seed."""
    rng = np.random.default_rng(seed)
    steps = [(int(rng.integers(2)), *map(int, rng.integers(0, 1000, 3))) for _ in range(int(rng.integers(3, 9)))]

    def f(x: Any, y: Any) -> Any:
        values = [x, y]
        for binary, which, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            if binary:
                made = BINARY[which % len(BINARY)](a, b)
            else:
                made = UNARY[which % len(UNARY)](a)
            values.append(made if made.shape == [4, 3] else made + a[:1, :1])
            if values[-1].shape != [4, 3]:
                values.pop()
        return pb.reduce_sum(values[-1] * values[len(values) // 2]), values[-1]

    return f


def slopes(f: Callable[..., Any], x: Any, y: Any) -> Any:
    with pb.GradientTape() as t:
        t.watch([x, y])
        out = f(x, y)[0]
    return t.gradient(out, [x, y], unconnected_gradients="zero")


def agree(found: Any, expected: Any) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(25))
def test_all_ways_agree(seed: int) -> None:
    rng = np.random.default_rng(seed + 1000)
    arrays = [rng.uniform(-1, 1, (4, 3)) for _ in range(2)]
    x, y = (pb.constant(a) for a in arrays)
    f = program(seed)
    compiled = pb.function(f)
    expected = f(x, y)
    for _ in range(2):
        agree(compiled(x, y), expected)
    fn = compiled.get_concrete_function(x, y).ir
    verify(fn)
    agree(interpret(fn, arrays), expected)
    agree(interpret(parse(str(fn)), arrays), expected)
    gradient = slopes(f, x, y)
    agree(slopes(compiled, x, y), gradient)
    agree(pb.function(lambda x, y: slopes(f, x, y))(x, y), gradient)
    agree(pb.function(lambda x, y: slopes(compiled, x, y))(x, y), gradient)


@pytest.mark.parametrize("seed", range(6))
def test_second_derivatives_agree(seed: int) -> None:
    rng = np.random.default_rng(seed + 2000)
    x, y = (pb.constant(rng.uniform(-1, 1, (4, 3))) for _ in range(2))

    def first(f: Callable[..., Any]) -> Callable[..., Any]:
        def g(x: Any, y: Any) -> Any:
            a, b = slopes(f, x, y)
            return pb.reduce_sum(a * a) + pb.reduce_sum(b * 2.0), a

        return g

    f = program(seed)
    expected = slopes(first(f), x, y)
    agree(slopes(first(pb.function(f)), x, y), expected)
    agree(slopes(pb.function(first(f)), x, y), expected)
    agree(pb.function(lambda x, y: slopes(first(pb.function(f)), x, y))(x, y), expected)
