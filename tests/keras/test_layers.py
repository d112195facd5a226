"""Layers and models: building, finding weights, names, training mode, errors, and use inside compiled functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

keras = pb.keras
L = keras.layers


def x(*shape: int) -> Any:
    return pb.constant(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def test_dense_against_numpy() -> None:
    layer = L.Dense(4, activation="tanh")
    for inputs in (x(5, 3), x(2, 6, 3)):
        kernel, bias = (v.numpy() for v in (layer(inputs), layer.kernel, layer.bias)[1:])
        np.testing.assert_allclose(layer(inputs).numpy(), np.tanh(inputs.numpy() @ kernel + bias), rtol=1e-5, atol=1e-6)


def test_a_layer_is_built_by_its_first_call() -> None:
    layer = L.Dense(2)
    assert layer.variables == []
    assert not layer.built
    layer(x(1, 3))
    assert [tuple(v.shape) for v in layer.variables] == [(3, 2), (2,)]
    assert [v.name.split(":")[0] for v in layer.weights] == ["kernel", "bias"]
    assert layer.count_params() == 8


def test_dense_errors() -> None:
    with pytest.raises(ValueError, match=r"expected min_ndim=2, found ndim=1"):
        L.Dense(2)(x(3))
    layer = L.Dense(2)
    layer(x(1, 3))
    with pytest.raises(ValueError, match=r"axis -1 of input shape to have value 3.*\(1, 4\)"):
        layer(x(1, 4))
    for units in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="positive integer"):
            L.Dense(units)
    with pytest.raises(ValueError, match="Unknown activation 'rleu'"):
        L.Dense(2, activation="rleu")
    with pytest.raises(TypeError, match="An activation is"):
        L.Dense(2, activation=3)


def test_numpy_inputs_take_the_layer_dtype() -> None:
    assert L.Dense(2)(np.ones((2, 3))).dtype == pb.float32
    assert L.Dense(2, dtype="float64")(np.ones((2, 3), np.float32)).dtype == pb.float64


def test_sequential_with_an_input_shape_builds_at_once() -> None:
    for first in ([L.Dense(3, input_shape=(4,))], [keras.Input((4,)), L.Dense(3)]):
        model = keras.Sequential([*first, L.Dense(2)])
        assert [tuple(v.shape) for v in model.trainable_variables] == [(4, 3), (3,), (3, 2), (2,)]
        assert len(model.layers) == 2
    model = keras.Sequential([L.Dense(3)])
    assert model.variables == []
    model.build((None, 5))
    assert [tuple(v.shape) for v in model.variables] == [(5, 3), (3,)]
    model.add(L.Dense(1))
    assert tuple(model(x(2, 5)).shape) == (2, 1)
    assert model.pop().units == 1
    with pytest.raises(TypeError, match="keras Layer"):
        model.add(3)  # type: ignore[arg-type,unused-ignore]
    with pytest.raises(ValueError, match="input shape"):
        keras.Sequential([L.Dense(3)]).build()


def test_flatten_then_dense_is_built_with_the_right_size() -> None:
    model = keras.Sequential([keras.Input((2, 3)), L.Flatten(), L.Dense(4)])
    assert tuple(model.layers[1].kernel.shape) == (6, 4)
    assert tuple(model(x(5, 2, 3)).shape) == (5, 4)


def test_get_and_set_weights() -> None:
    a, b = (keras.Sequential([keras.Input((3,)), L.Dense(2), L.Dense(1)]) for _ in range(2))
    b.set_weights(a.get_weights())
    np.testing.assert_array_equal(a(x(4, 3)).numpy(), b(x(4, 3)).numpy())
    with pytest.raises(ValueError, match="4 variables, but 1 arrays"):
        b.set_weights(a.get_weights()[:1])
    with pytest.raises(ValueError, match=r"shape \(3, 2\), not \(2, 3\)"):
        b.set_weights([w.T for w in a.get_weights()])


def test_a_custom_layer_finds_weights_in_attributes_lists_and_dicts() -> None:
    class Mixed(L.Layer):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.scale = pb.Variable(2.0)
            self.fixed = pb.Variable(1.0, trainable=False)
            self.branches = [L.Dense(1), {"a": L.Dense(1)}]
            self.again = self.branches[0]

        def build(self, input_shape: Any) -> None:
            self.shift = self.add_weight((input_shape[-1],), "zeros", name="shift")

        def call(self, inputs: Any) -> Any:
            inputs = inputs * self.scale + self.shift
            return self.branches[0](inputs) + self.branches[1]["a"](inputs)

    layer = Mixed()
    layer(x(2, 3))
    assert len(layer.variables) == 3 + 4
    assert len(layer.trainable_variables) == 2 + 4
    assert [v is layer.fixed for v in layer.non_trainable_variables] == [True]


def test_names_count_up() -> None:
    a, b = L.Dense(1), L.Dense(1)
    assert a.name.startswith("dense")
    assert a.name != b.name
    assert L.Dense(1, name="mine").name == "mine"


def test_super_init_forgotten() -> None:
    class Broken(L.Layer):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        Broken()(x(1, 1))


def test_dropout() -> None:
    ones = pb.ones((100, 100))
    layer = L.Dropout(0.25)
    assert layer(ones) is ones
    y = layer(ones, training=True).numpy()
    assert set(np.unique(y)) <= {np.float32(0.0), np.float32(1.0) / np.float32(0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.03
    assert np.all(L.Dropout(1.0)(ones, training=True).numpy() == 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        L.Dropout(1.5)


def test_training_reaches_the_inner_layers() -> None:
    model = keras.Sequential([L.Dropout(0.5), keras.Sequential([L.Dropout(0.5)])])
    ones = pb.ones((50, 50))
    assert np.all(model(ones).numpy() == 1)
    assert set(np.unique(model(ones, training=True).numpy())) <= {0.0, 2.0, 4.0}

    class Outer(keras.Model):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.drop = L.Dropout(0.5)

        def call(self, inputs: Any) -> Any:
            return self.drop(inputs)

    assert np.any(Outer()(ones, training=True).numpy() == 0)
    assert np.all(Outer()(ones).numpy() == 1)


def test_embedding_gradient_reaches_the_rows_used() -> None:
    layer = L.Embedding(4, 2)
    ids = pb.constant([1, 1, 3])
    with pb.GradientTape() as tape:
        y = pb.reduce_sum(layer(ids))
    gradient = pb.convert_to_tensor(tape.gradient(y, layer.embeddings))
    np.testing.assert_array_equal(gradient.numpy(), [[0, 0], [2, 2], [0, 0], [1, 1]])


def test_compiled_model_equals_eager() -> None:
    model = keras.Sequential([L.Dense(8, "relu"), L.Flatten(), L.Dense(3, "softmax")])

    @pb.function
    def gradients(inputs: Any) -> Any:
        with pb.GradientTape() as tape:
            loss = pb.reduce_sum(model(inputs) ** 2)
        return loss, tape.gradient(loss, model.trainable_variables)

    compiled = gradients(x(4, 5))                  # the first trace makes the weights
    with pb.GradientTape() as tape:
        loss = pb.reduce_sum(model(x(4, 5)) ** 2)
    eager = tape.gradient(loss, model.trainable_variables)
    np.testing.assert_allclose(compiled[0].numpy(), loss.numpy(), rtol=1e-5)
    assert len(compiled[1]) == 4
    for a, b in zip(compiled[1], eager, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


def test_summary() -> None:
    lines: list[str] = []
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="first"), L.Activation("relu", name="second")])
    model.summary(lines.append)
    words = [line.split() for line in lines[2:]]
    assert words == [["first", "Dense", "8"], ["second", "Activation", "0"], ["total", "8"]]


def test_call_is_required() -> None:
    with pytest.raises(NotImplementedError, match="Layer must define call"):
        L.Layer()(x(1, 1))
