"""The reverse sweep on random programs, against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb

from .checks import check_gradient, same

STEPS: list[Callable[[list[Any], int, int], Any]] = [
    lambda v, i, j: v[i] + v[j],
    lambda v, i, j: v[i] * v[j],
    lambda v, i, j: v[i] - 0.5 * v[j],
    lambda v, i, j: pb.sin(v[i]) * v[j],
    lambda v, i, j: pb.tanh(v[i]),
    lambda v, i, j: v[i][::-1] * v[j],
    lambda v, i, j: pb.concat([v[i][1:], v[j][:1]], 0),
    lambda v, i, j: v[i] * pb.reduce_sum(v[j]),
    lambda v, i, j: pb.gather(v[i], [2, 0, 0]),
    lambda v, i, j: v[i][1] * v[j] + v[i][0],
    lambda v, i, j: pb.identity(v[i]),
    lambda v, i, j: pb.reshape(pb.transpose(pb.stack([v[i], v[j]])), [6])[1:4],
]
programs = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=7
)


@settings(max_examples=40, deadline=None)
@given(programs)
def test_random_programs(program: list[tuple[int, int, int]]) -> None:
    def f(x: Any, y: Any) -> Any:
        values = [x, y]
        for k, i, j in program:
            values.append(STEPS[k](values, i % len(values), j % len(values)))
        return pb.add_n([v * (0.3 + n) for n, v in enumerate(values)])

    check_gradient(f, [0.3, -0.7, 0.9], [0.5, 0.2, -0.4], rtol=1e-4, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(programs)
def test_second_order_of_random_programs(program: list[tuple[int, int, int]]) -> None:
    def f(x: Any) -> Any:
        values = [x, x * 0.5]
        for k, i, j in program[:4]:
            values.append(STEPS[k](values, i % len(values), j % len(values)))
        return pb.reduce_sum(pb.sin(values[-1]) * values[0])

    def gradient(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)

    check_gradient(gradient, [0.3, -0.7, 0.9], rtol=1e-3, atol=1e-5)


def test_a_source_on_the_way_keeps_its_cotangent() -> None:
    # y is a source, and its cotangent array is passed on to x as it stands; what is added to x must not reach y.
    x = pb.constant([1.0, 2.0])
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.identity(x)
        z = y * 2.0 + y * 3.0 + y * 4.0
        total = pb.reduce_sum(z) + pb.reduce_sum(x * 10.0) + pb.reduce_sum(x * 20.0)
    gx, gy = tape.gradient(total, [x, y])
    same(gy, [9.0, 9.0])
    same(gx, [39.0, 39.0])


def test_slices_and_whole_reads_mix() -> None:
    check_gradient(lambda x: x[0] * x + x[1:][0] * pb.reverse(x, [0]) + pb.gather(x, [1, 1, 2]), [0.5, -1.0, 2.0])


def test_user_cotangents_are_not_changed() -> None:
    seed = pb.constant([1.0, 1.0])
    x = pb.constant([1.0, 2.0])
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.identity(x)
        z = y + 0.0
    tape.gradient([y, z], x, output_gradients=[seed, seed])
    same(seed, [1.0, 1.0])


def test_broadcast_operands_are_summed_down() -> None:
    check_gradient(lambda a, b: a * b + b / a, np.full((2, 1, 3), 1.5), np.arange(1.0, 5.0).reshape(4, 1))


def test_long_chains_do_not_recurse() -> None:
    x = pb.Variable(1.0)
    with pb.GradientTape() as tape:
        y = x * 1.0
        for _ in range(5000):
            y = y * 1.0001
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), 1.0001**5000, rtol=1e-3)


def test_missing_rule_names_the_op() -> None:
    from pullback.ir.opdef import NoGradient
    from pullback.runtime.dispatch import record

    class Mystery:
        name = "mystery"

        def vjp(self, *args: Any) -> Any:
            raise NoGradient("op 'mystery' has no rule")

    x = pb.constant(1.0)
    y = pb.constant(2.0)
    with pb.GradientTape() as tape:
        tape.watch(x)
        record(Mystery(), {}, (x,), (y,))
    with pytest.raises(LookupError, match="mystery"):
        tape.gradient(y, x)


@pytest.mark.parametrize("wrap", [lambda f: f, pb.function])
def test_roots_that_are_not_used_have_no_gradient(wrap: Any) -> None:
    """TensorFlow's gradient of sqrt and rsqrt is 0 where the cotangent is, whatever the root; a pole in use is inf."""

    def slope(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.where(x > 0.0, pb.sqrt(x) + pb.math.rsqrt(x), 0.0)
        return tape.gradient(y, x)

    def pole(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.sqrt(x)
        return tape.gradient(y, x)

    x = pb.constant([0.0, 4.0, -1.0])
    np.testing.assert_allclose(wrap(slope)(x).numpy(), [0.0, 0.25 - 0.5 / 8.0, 0.0])
    np.testing.assert_allclose(wrap(pole)(x).numpy(), [np.inf, 0.25, np.nan])


@pytest.mark.parametrize("wrap", [lambda f: f, pb.function])
def test_mixed_derivative_of_a_power_with_exponent_zero(wrap: Any) -> None:
    """d2(x**p)/dx dp = x**(p-1) * (1 + p log x), which is 1/x at p = 0."""

    def mixed(x: Any, p: Any) -> Any:
        with pb.GradientTape() as outer:
            outer.watch(p)
            with pb.GradientTape() as tape:
                tape.watch(x)
                y = x**p
            slope = tape.gradient(y, x)
        return slope, outer.gradient(slope, p)

    slope, both = wrap(mixed)(pb.constant([2.0, 4.0]), pb.constant([0.0, 0.0]))
    np.testing.assert_allclose(slope.numpy(), [0.0, 0.0])
    np.testing.assert_allclose(both.numpy(), [0.5, 0.25])
