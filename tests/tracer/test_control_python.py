"""Python's own constructs round traced code: try and finally, comprehensions, recursion, helpers of other modules."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb

from .test_rewrite_random import load

X = pb.constant(np.linspace(0.1, 1.0, 10))


def in_try(x: Any) -> Any:
    try:
        if x[0] > 0.05:
            x = x * 2.0
        for i in pb.range(3):
            x = x + pb.cast(i, x.dtype)
    finally:
        x = x * 3.0
    return x


def error_from_inside(x: Any) -> Any:
    try:
        for i in pb.range(3):
            x = x + pb.cast(i, x.dtype)
            if x[0] > 0.0:
                raise KeyError("k")
    except KeyError:
        x = x * 5.0
    else:
        x = x * 7.0
    finally:
        x = x + 1.0
    return x


def returned_through_finally(x: Any) -> Any:
    log = []
    try:
        for i in range(8):
            x = x * 1.5
            if x[9] > 5.0:
                return x, i
    finally:
        log.append(1)
    return x, -1


def comprehensions(x: Any) -> Any:
    a = [x[i] * i for i in range(10)]
    b = {i: x[i] for i in range(4) if i % 2}
    c = [x[i] * x[j] for i in range(3) for j in range(i)]
    d = sum(x[i] for i in range(5))
    return pb.stack(a), b[3], pb.stack(c), d, [y * 2 for y in (a[0], a[1])]


def power(x: Any, n: int) -> Any:
    if n == 0:
        return pb.ones_like(x)
    half = power(x, n // 2)
    return half * half * (x if n % 2 else 1.0)


def recursion(x: Any) -> Any:
    return power(x, 11)


class Layer:
    """A callable object with methods."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, x: Any) -> Any:
        return self.step(x) if x[0] > 0.0 else x

    def step(self, x: Any) -> Any:
        for _ in range(6):
            x = x * self.scale
        return x


def methods_and_closures(x: Any) -> Any:
    layer, k = Layer(0.9), 3

    def twice(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda y: f(f(y)) * k

    k = 4
    return twice(layer)(x), (lambda y: y if y[0] > 100.0 else -y)(x)


def index_after_the_loop(x: Any) -> Any:
    for i in range(9, 2, -2):
        x = x + i
    j = i
    for i in range(6):
        x = x * 0.5 + i
    for k in pb.range(4):
        x = x + pb.cast(k, x.dtype)
    return x[:i], [1, 2, 3, 4][j], i + j, x * pb.cast(k, x.dtype)


def loop_else(x: Any) -> Any:
    n = 0
    while n < 5:
        n += 1
        if n > 7:
            break
    else:
        x = x + n
    for i in range(7):
        if i > 100:
            break
        x = x * 1.1
    else:
        x = x + 1.0
    return x, n


PROGRAMS = [
    in_try, returned_through_finally, comprehensions, recursion, methods_and_closures,
    index_after_the_loop, loop_else,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_compiled_is_what_python_gives(f: Callable[[Any], Any]) -> None:
    expected, found = pb.nest.flatten(f(X)), pb.nest.flatten(pb.function(f)(X))
    for e, y in zip(expected, found, strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(e), rtol=1e-12)


def test_helpers_of_other_modules_are_rewritten_unless_they_opt_out(tmp_path: Path) -> None:
    text = """
    import pullback as pb

    def clipped(x):
        if x > 1.0:
            return x * 0.0 + 1.0
        for i in range(10):
            x = x * 1.01
        return x

    @pb.autograph.experimental.do_not_convert
    def as_written(x):
        return x * 2.0 if isinstance(x, pb.Tensor) else x

    @pb.autograph.experimental.do_not_convert
    def decides(x):
        return x if x > 1.0 else -x
    """
    module = load(textwrap.dedent(text), tmp_path / "helper_of_ours.py")

    @pb.function
    def f(x: Any) -> Any:
        return module.clipped(x) + module.as_written(x)

    for value in (0.5, 3.0):
        x = pb.constant(value, pb.float64)
        np.testing.assert_allclose(f(x), module.clipped(x) + module.as_written(x), rtol=1e-14)
    with pytest.raises(TypeError, match="not rewritten"):
        pb.function(module.decides)(pb.constant(1.0))


def test_what_a_tensor_decides_is_of_no_use_where_an_exception_leads() -> None:
    with pytest.raises(pb.errors.InaccessibleTensorError, match="in a branch or loop body that a tensor controls"):
        pb.function(error_from_inside)(X)


def test_a_loop_variable_without_trips_is_unset_as_in_python() -> None:
    @pb.function
    def f(x: Any) -> Any:
        for i in range(0):
            x = x + i
        return x * i

    with pytest.raises(UnboundLocalError):
        f(X)


def test_a_loop_over_ten_million_trips_is_differentiated() -> None:
    @pb.function
    def f(x: Any) -> Any:
        for i in range(10_000_000):
            x = x * 0.5 + 0.25 * (i % 2)
        return x

    found = f.inspect(pb.constant(1.0), stage="grad")
    assert found.count("\n") < 40
