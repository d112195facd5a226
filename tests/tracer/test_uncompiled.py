"""Functions whose sizes grow from trip to trip where the program says so: they run eagerly, and say why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb


@pb.function
def doubled(n: Any, x: Any) -> Any:
    for _ in pb.range(n):
        pb.autograph.experimental.set_loop_options(shape_invariants=[(x, pb.TensorShape([None]))])
        x = pb.concat([x, x * 3.0], 0)
    return x


def test_a_growing_loop_runs_eagerly_with_its_gradient() -> None:
    x = pb.constant([1.0, 2.0])
    for n, expected in ((0, [1, 2]), (1, [1, 2, 3, 6]), (2, [1, 2, 3, 6, 3, 6, 9, 18])):
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = doubled(pb.constant(n), x)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(tape.gradient(y, x), [4.0**n] * 2)
    assert "runs eagerly: the shape of 'x' changes from trip to trip [test_uncompiled.py:15]" in doubled.explain()
    assert doubled.trace_count == 1


def test_a_function_that_calls_one_runs_eagerly_too() -> None:
    outer = pb.function(lambda x: doubled(pb.constant(1), x) + 1.0)
    np.testing.assert_array_equal(outer(pb.constant([2.0])), [3, 7])
    assert "runs eagerly" in outer.explain()


def test_a_dynamic_array_written_at_computed_places() -> None:
    @pb.function
    def squares(n: Any) -> Any:
        found = pb.TensorArray(pb.float32, size=0, dynamic_size=True)
        for i in pb.range(n):
            found = found.write(i, pb.cast(i * i, pb.float32))
        return found.stack()

    np.testing.assert_array_equal(squares(pb.constant(4)), [0, 1, 4, 9])


def test_growth_that_nobody_announced_is_an_error() -> None:
    @pb.function
    def f(n: Any) -> Any:
        x = pb.constant([1.0])
        for _ in pb.range(n):
            x = pb.concat([x, x], 0)
        return x

    with pytest.raises(ValueError, match=r"'x' is a tensor f32\[1\] .*before the loop and a tensor f32\[2\] "):
        f(pb.constant(2))


def test_what_runs_eagerly_has_no_ir() -> None:
    with pytest.raises(AttributeError, match="runs eagerly"):
        _ = doubled.get_concrete_function(pb.constant(1), pb.constant([1.0, 2.0])).ir
