"""The reference answers that every framework is checked with: gradients against central differences of the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..benchmark_parts import doubles, training, workloads

BY_NAME = {w.name: w for w in workloads.WORKLOADS}
# workload -> the inputs by which outputs 1, 2, ... differentiate output 0
GRADIENTS = {
    "elementwise": "x", "black_scholes": "spot strike years rate sigma", "rosenbrock_gradient": "x",
    "mixture": "alphas means logs lower", "logistic": "w b", "rnn": "w u b", "lstm": "w u b", "recurrence": "x c",
    "heat": "u", "allen_cahn": "u", "elements": "u", "mlp_sgd": "w0 b0 w1 b1", "tiny_sgd": "w0 b0 w1 b1 w2 b2",
}  # fmt: skip


def tiny(name: str) -> tuple[Any, dict[str, Any]]:
    """The workload, and its inputs in float64."""
    workload = BY_NAME[name]
    return workload, doubles(workload.inputs(workload.tiny))


def difference(workload: Any, inputs: dict[str, Any], name: str, direction: Any, output: int) -> Any:
    """Central difference of an output along a direction of one input."""
    step = 1e-6
    sides = [workload.reference({**inputs, name: inputs[name] + s * direction})[output] for s in (step, -step)]
    return (sides[0] - sides[1]) / (2.0 * step)


def direction_of(array: Any) -> Any:
    return np.asarray(np.random.default_rng(5).standard_normal(np.shape(array)))


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_the_values(name: str) -> None:
    workload, inputs = tiny(name)
    value, *gradients = workload.reference(inputs)
    sign = -1.0 if name.endswith("_sgd") else 1.0                    # a step goes downhill
    assert np.ndim(value) == 0
    for wrt, gradient in zip(GRADIENTS[name].split(), gradients, strict=True):
        assert gradient.shape == inputs[wrt].shape
        direction = direction_of(gradient)
        expected = difference(workload, inputs, wrt, direction, 0)
        scale = max(abs(float(expected)), float(np.abs(gradient).max()))
        assert abs(sign * np.sum(gradient * direction) - expected) < 1e-5 * scale


def test_second_derivatives_of_rosenbrock() -> None:
    gradient, inputs = tiny("rosenbrock_gradient")
    expected = difference(gradient, inputs, "x", inputs["v"], 1)
    np.testing.assert_allclose(BY_NAME["rosenbrock_hvp"].reference(inputs)[0], expected, rtol=1e-5, atol=1e-3)
    (hessian,) = BY_NAME["rosenbrock_hessian"].reference(inputs)
    np.testing.assert_allclose(hessian @ inputs["v"], expected, rtol=1e-5, atol=1e-3)


def test_jacobians_of_bundle_adjustment() -> None:
    workload, inputs = tiny("bundle")
    _, jacobian = workload.reference(inputs)
    for k in range(15):
        direction = np.zeros_like(inputs["p"])
        direction[:, k] = 1.0
        expected = difference(workload, inputs, "p", direction, 0)
        np.testing.assert_allclose(jacobian[:, :, k], expected, rtol=1e-5, atol=1e-5)


def test_descent_is_the_loop_it_is_named_for() -> None:
    workload, inputs = tiny("descent")
    x, a, b = (float(inputs[k]) for k in "xab")
    for _ in range(int(inputs["steps"])):
        x -= 0.01 * (2.0 * a * x + b)
    assert abs(workload.reference(inputs)[0] - x) < 1e-12


def test_chain_of_twenty_operations() -> None:
    workload, inputs = tiny("tape_chain20")

    def chain(x: Any) -> Any:
        y = x
        for _ in range(6):
            y = np.sin(y) * x + x
        return np.sin(y) * x

    x, step = inputs["x"], 1e-6
    expected = (chain(x + step) - chain(x - step)) / (2.0 * step)
    np.testing.assert_allclose(workload.reference(inputs)[0], expected, rtol=1e-7)


def test_adam_moves_every_parameter_by_about_its_rate() -> None:
    workload, inputs = tiny("tiny_adam")
    _, *changes = workload.reference(inputs)
    _, grads = training.squares_gradients(training.parameters(inputs), inputs["x"], inputs["y"])
    for change, gradient in zip(changes, grads, strict=True):
        np.testing.assert_allclose(change, -gradient / (np.abs(gradient) + 1e-7 / np.sqrt(1e-3)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("workload", workloads.WORKLOADS, ids=lambda w: w.name)
def test_inputs_are_the_same_every_time(workload: Any) -> None:
    if workload.name == "digits_step":
        pytest.importorskip("sklearn")
    first, second = workload.inputs(workload.tiny), workload.inputs(workload.tiny)
    assert list(first) == list(second)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    assert workload.group in workloads.GROUPS
