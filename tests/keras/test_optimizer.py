"""The optimizer's frame: learning rate, step count, missing gradients, clipping, decay, misuse.

The update rules themselves are compared with Keras 3 in test_against_keras.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import pullback as pb

opt = pb.keras.optimizers


def step(optimizer: Any, *values: float) -> list[float]:
    """Values after one step with gradient 1 each."""
    variables = [pb.Variable(v) for v in values]
    optimizer.apply_gradients([(pb.constant(1.0), v) for v in variables])
    return [float(v) for v in variables]


def test_sgd_rounds_product_and_difference_separately() -> None:
    """1000 steps on (x - 1)^2, written out, in float32: fused into one rounding they would end at 0.99999851."""
    x, want = pb.Variable(0.0), np.float32(0.0)
    optimizer = opt.SGD(learning_rate=0.01)
    for _ in range(1000):
        with pb.GradientTape() as tape:
            y = pb.pow(x, 2) - 2.0 * x + 1.0
        optimizer.apply_gradients([(tape.gradient(y, x), x)])
        want = want - np.float32(0.01) * (np.float32(2.0) * want - np.float32(2.0))
    assert x.numpy() == want
    assert f"{want:.9f}" == "0.999998569"


def test_learning_rate_can_be_set() -> None:
    optimizer = opt.SGD(0.5)
    assert step(optimizer, 1.0) == [0.5]
    optimizer = opt.SGD(0.5)
    optimizer.learning_rate = 0.25
    assert step(optimizer, 1.0) == [0.75]
    assert float(optimizer.learning_rate) == 0.25
    assert int(optimizer.iterations) == 1


def test_learning_rate_set_between_compiled_steps_takes_effect() -> None:
    optimizer, v = opt.SGD(0.5), pb.Variable(0.0)
    run = pb.function(lambda: optimizer.apply_gradients([(pb.constant(1.0), v)]))
    run()
    optimizer.learning_rate = 0.125
    run()
    assert float(v) == -0.625
    assert int(optimizer.iterations) == 2


def test_learning_rate_function_and_schedule() -> None:
    assert step(opt.SGD(lambda: 0.25), 1.0) == [0.75]
    optimizer = opt.SGD(opt.schedules.PiecewiseConstantDecay([0], [0.5, 0.125]))
    v = pb.Variable(1.0)
    for _ in range(2):
        optimizer.apply_gradients([(pb.constant(1.0), v)])
    assert float(v) == 1.0 - 0.5 - 0.125
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1


def test_minimize_takes_a_function_or_a_tensor_with_its_tape() -> None:
    v, optimizer = pb.Variable(3.0), opt.SGD(0.5)
    optimizer.minimize(lambda: v * v, [v])
    assert float(v) == 0.0
    v.assign(1.0)
    with pb.GradientTape() as tape:
        loss = v * v
    optimizer.minimize(loss, lambda: [v], tape=tape)
    assert float(v) == 0.0
    with pytest.raises(ValueError, match="tape"):
        optimizer.minimize(loss, [v])


def test_no_gradients() -> None:
    v = pb.Variable(1.0, name="weight")
    with pytest.raises(ValueError, match=r"No gradients provided for any variable.*weight"):
        opt.SGD().apply_gradients([(None, v)])
    with pytest.raises(ValueError, match="list is empty"):
        opt.SGD().apply_gradients([])


def test_some_gradients_missing_warns_and_keeps_the_value() -> None:
    v, w = pb.Variable(1.0, name="moved"), pb.Variable(2.0, name="kept")
    with pytest.warns(UserWarning, match="kept"):
        opt.SGD(0.5).apply_gradients([(pb.constant(1.0), v), (None, w)])
    assert (float(v), float(w)) == (0.5, 2.0)


def test_another_variable_later_is_refused() -> None:
    optimizer = opt.Adam()
    step(optimizer, 1.0)
    with pytest.raises(ValueError, match=r"Unknown variable.*built for"):
        step(optimizer, 2.0)


def test_wrong_shape_of_a_gradient() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\).*shape \(3,\)"):
        opt.SGD().apply_gradients([(pb.ones(2), pb.Variable([1.0, 2.0, 3.0], name="v"))])


def test_variables_in_order() -> None:
    optimizer = opt.Adam()
    optimizer.build([pb.Variable([1.0, 2.0]), pb.Variable(1.0)])
    assert optimizer.variables[0] is optimizer.iterations
    assert optimizer.variables[1] is optimizer.learning_rate
    assert [tuple(v.shape) for v in optimizer.variables[2:]] == [(2,), (), (2,), ()]
    assert not any(v.trainable for v in optimizer.variables)


def test_weight_decay_and_what_is_excluded() -> None:
    a, b, c = (pb.Variable(1.0, name=n) for n in ("kernel", "bias", "other"))
    optimizer = opt.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[c], var_names=["bias"])
    optimizer.apply_gradients([(pb.constant(0.0), v) for v in (a, b, c)])
    assert [float(v) for v in (a, b, c)] == [0.75, 1.0, 1.0]


def test_clipping() -> None:
    def moved(**options: float) -> Any:
        v = pb.Variable([0.0, 0.0])
        w = pb.Variable([0.0])
        opt.SGD(1.0, **options).apply_gradients([(pb.constant([3.0, -4.0]), v), (pb.constant([12.0]), w)])
        return np.concatenate([-v.numpy(), -w.numpy()])

    np.testing.assert_allclose(moved(clipvalue=3.5), [3.0, -3.5, 3.5])
    np.testing.assert_allclose(moved(clipnorm=2.5), [1.5, -2.0, 2.5], rtol=1e-6)
    np.testing.assert_allclose(moved(global_clipnorm=1.3), np.array([3.0, -4.0, 12.0]) / 10, rtol=1e-6)
    np.testing.assert_allclose(moved(global_clipnorm=100.0), [3.0, -4.0, 12.0], rtol=1e-6)
    with pytest.raises(ValueError, match="Only one of"):
        opt.SGD(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="must be positive"):
        opt.SGD(clipnorm=0.0)


def test_float64_variables_keep_their_precision() -> None:
    v = pb.Variable(np.float64(1.0))
    optimizer = opt.Adam(0.1)
    optimizer.apply_gradients([(pb.constant(1.0, pb.float64), v)])
    assert v.dtype == pb.float64
    np.testing.assert_allclose(v.numpy(), 1.0 - np.float64(np.float32(0.1)) / (1.0 + 1e-7 / np.sqrt(1e-3)), rtol=1e-7)


def test_slots_are_made_by_the_first_compiled_step() -> None:
    v, optimizer = pb.Variable([1.0, 2.0]), opt.Adam(0.1)

    @pb.function
    def train() -> Any:
        with pb.GradientTape() as tape:
            loss = pb.reduce_sum(v * v)
        optimizer.apply_gradients([(tape.gradient(loss, v), v)])
        return loss

    assert not optimizer.built
    losses = [float(train()) for _ in range(20)]
    assert losses[0] == 5.0
    assert all(b < a for a, b in pairwise(losses))
    assert int(optimizer.iterations) == 20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: opt.SGD(momentum=2.0), "momentum"),
        (lambda: opt.Lion(beta_1=0.0), "beta_1"),
        (lambda: opt.Ftrl(initial_accumulator_value=-1.0), "initial_accumulator_value"),
        (lambda: opt.Ftrl(learning_rate_power=1.0), "learning_rate_power"),
        (lambda: opt.schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps"),
        (lambda: opt.schedules.PiecewiseConstantDecay([1], [0.1]), "one entry more"),
    ],
)
def test_bad_options(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unfinished_rule_says_what_is_missing() -> None:
    class Nothing(opt.Optimizer):  # type: ignore[misc,name-defined,unused-ignore]
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing must define update_step"):
        step(Nothing(0.1), 1.0)
