"""What pullback.keras and Keras 3 must answer alike: functions of the module (`tf`), giving arrays.

`record.py` runs them with real TensorFlow and writes keras3.json; `test_against_keras.py` runs them with pullback.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

Case = Callable[[Any], Any]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def data(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-2.0, 2.0, shape).astype(np.float32)


def probabilities(*shape: int, seed: int = 1) -> Any:
    p = np.random.default_rng(seed).uniform(0.0, 1.0, shape)
    return (p / p.sum(-1, keepdims=True)).astype(np.float32)


TRUE, PRED = data(4, 3, seed=2), data(4, 3, seed=3)
ONE_HOT = np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
BITS = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 1]], np.float32)
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5], np.float32)

ACTIVATIONS = [
    "linear", "relu", "leaky_relu", "relu6", "elu", "selu", "softplus", "softsign", "exponential", "silu", "swish",
    "mish", "hard_sigmoid", "hard_tanh", "softmax", "log_softmax", "sigmoid", "tanh",
]
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD_momentum": ("SGD", {"momentum": 0.9}),
    "SGD_nesterov_decay": ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    "Adam": ("Adam", {}),
    "Adam_betas": ("Adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "clipvalue": 0.3}),
    "Adam_amsgrad": ("Adam", {"amsgrad": True, "clipnorm": 0.5}),
    "AdamW": ("AdamW", {"weight_decay": 0.02}),
    "AdamW_default": ("AdamW", {}),
    "Adamax": ("Adamax", {}),
    "Nadam": ("Nadam", {}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop_full": ("RMSprop", {"rho": 0.7, "momentum": 0.3, "centered": True}),
    "Adagrad": ("Adagrad", {"initial_accumulator_value": 0.2}),
    "Adadelta": ("Adadelta", {"learning_rate": 1.0}),
    "Ftrl": ("Ftrl", {}),
    "Ftrl_full": (
        "Ftrl",
        {
            "learning_rate": 0.1, "learning_rate_power": -0.6, "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02, "l2_shrinkage_regularization_strength": 0.03, "beta": 0.1,
        },
    ),
    "Lion": ("Lion", {"global_clipnorm": 0.4}),
}


def train(tf: Any, name: str, compiled: bool = False) -> Any:
    """Six steps on a bumpy function of a matrix, a vector and a scalar; the gradient changes sign on the way."""
    kind, options = OPTIMIZERS[name]
    optimizer = getattr(tf.keras.optimizers, kind)(**{"learning_rate": 0.05, **options})
    variables = [tf.Variable(data(3, 2)), tf.Variable(data(3, seed=5)), tf.Variable(np.float32(0.7))]
    x = tf.constant(data(5, 3, seed=6))

    def step() -> Any:
        with tf.GradientTape() as tape:
            w, u, c = variables
            loss = tf.reduce_sum(tf.sin(x @ w)) + tf.reduce_sum(tf.square(x * u + c))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    if compiled:
        step = tf.function(step)
    losses = [step() for _ in range(6)]
    return [*losses, *variables, optimizer.iterations]


for _name in OPTIMIZERS:
    CASES[f"optimizer_{_name}"] = partial(train, name=_name)


@case
def schedules(tf: Any) -> Any:
    s = tf.keras.optimizers.schedules
    made = [
        s.ExponentialDecay(0.1, 10, 0.5), s.ExponentialDecay(0.1, 10, 0.5, staircase=True),
        s.InverseTimeDecay(0.1, 5, 0.3),
        s.PolynomialDecay(0.1, 20, 0.01, power=2.0), s.CosineDecay(0.1, 20, alpha=0.1),
        s.CosineDecay(0.1, 20, warmup_target=0.4, warmup_steps=7), s.PiecewiseConstantDecay([5, 12], [0.1, 0.05, 0.01]),
    ]
    return [[schedule(step) for step in (0, 1, 5, 6, 12, 13, 30)] for schedule in made]


@case
def schedule_in_optimizer(tf: Any) -> Any:
    optimizer = tf.keras.optimizers.SGD(tf.keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))
    v = tf.Variable(1.0)
    out = []
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant(1.0), v)])
        out.append(v.numpy())
    return out


@case
def activations(tf: Any) -> Any:
    x = tf.constant(data(4, 5, seed=7) * 4)
    return [tf.keras.activations.get(name)(x) for name in ACTIVATIONS]


@case
def relu_options(tf: Any) -> Any:
    relu, x = tf.keras.activations.relu, tf.constant(data(20, seed=8) * 5)
    return [relu(x, negative_slope=0.3), relu(x, max_value=2.0), relu(x, threshold=1.0), relu(x, 0.1, 3.0, 0.5)]


@case
def losses_regression(tf: Any) -> Any:
    k = tf.keras.losses
    made = [k.MeanSquaredError(), k.MeanAbsoluteError(), k.Huber(), k.Huber(delta=0.4), k.LogCosh()]
    return [loss(TRUE, PRED) for loss in made] + [loss(TRUE, PRED, sample_weight=WEIGHTS) for loss in made]


@case
def losses_probability(tf: Any) -> Any:
    k = tf.keras.losses
    p = probabilities(4, 3)
    return [
        k.BinaryCrossentropy()(BITS, p), k.BinaryCrossentropy(label_smoothing=0.2)(BITS, p),
        k.BinaryCrossentropy(from_logits=True)(BITS, PRED * 3), k.CategoricalCrossentropy()(ONE_HOT, p),
        k.CategoricalCrossentropy(label_smoothing=0.1)(ONE_HOT, p), k.CategoricalCrossentropy()(ONE_HOT, 3 * p),
        k.CategoricalCrossentropy(from_logits=True)(ONE_HOT, PRED), k.KLDivergence()(ONE_HOT, p),
        k.KLDivergence()(p, p[::-1]), k.SparseCategoricalCrossentropy()(np.array([0, 2, 1, 1]), p),
        k.Hinge()(BITS, PRED), k.Hinge()(2 * BITS - 1, PRED),
        k.SparseCategoricalCrossentropy(from_logits=True)(np.array([[0], [2], [1], [1]]), PRED), k.Poisson()(BITS, p),
    ]


@case
def losses_reduction(tf: Any) -> Any:
    k = tf.keras.losses
    return [
        k.MeanSquaredError(reduction=r)(TRUE, PRED, sample_weight=w)
        for r in ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None)
        for w in ((None, WEIGHTS, WEIGHTS[:, None]) if r else (None, WEIGHTS))
    ]


@case
def losses_of_different_rank(tf: Any) -> Any:
    k = tf.keras.losses
    return [k.MeanSquaredError()(TRUE[:, 0], PRED[:, :1]), k.MeanSquaredError()(TRUE[:, :1], PRED[:, 0])]


@case
def loss_functions(tf: Any) -> Any:
    k, p = tf.keras.losses, probabilities(4, 3)
    return [
        k.mse(TRUE, PRED), k.MAE(TRUE, PRED), k.huber(TRUE, PRED), k.logcosh(TRUE, PRED), k.hinge(BITS, PRED),
        k.poisson(BITS, p), k.KLD(ONE_HOT, p), k.binary_crossentropy(BITS, p),
        k.categorical_crossentropy(ONE_HOT, p), k.sparse_categorical_crossentropy(np.array([0, 2, 1, 1]), p),
    ]


@case
def metrics(tf: Any) -> Any:
    m, p, out = tf.keras.metrics, probabilities(4, 3), []
    for metric, t, y in [
        (m.SparseCategoricalAccuracy(), np.array([0, 2, 1, 1]), p), (m.CategoricalAccuracy(), ONE_HOT, p),
        (m.BinaryAccuracy(), BITS, p), (m.BinaryAccuracy(threshold=0.2), BITS, p), (m.Accuracy(), BITS, 1 - BITS[::-1]),
        (m.MeanSquaredError(), TRUE, PRED), (m.MeanAbsoluteError(), TRUE, PRED),
    ]:
        metric.update_state(t, y)
        out.append(metric.result())
        metric.update_state(t[::-1].copy(), y)
        out.append(metric.result())
        metric.reset_state()
        out.append(metric(t, y))
    return out


@case
def metric_means(tf: Any) -> Any:
    mean, total = tf.keras.metrics.Mean(), tf.keras.metrics.Sum()
    out = [mean.result(), total.result()]
    for values, weights in [(2.0, None), (TRUE, None), (TRUE[:, 0], WEIGHTS), (PRED, WEIGHTS), (PRED, 2 * TRUE)]:
        mean.update_state(values, sample_weight=weights)
        total.update_state(values, sample_weight=weights)
        out += [mean.result(), total.result()]
    return out


@case
def layers(tf: Any) -> Any:
    k = tf.keras.layers
    constant = tf.keras.initializers.Constant
    x = tf.constant(data(2, 3, 4))
    ids = tf.constant([[0, 2], [1, 1]])
    return [
        k.Dense(5, activation="elu", kernel_initializer=constant(0.3), bias_initializer="ones")(x),
        k.Dense(2, use_bias=False, kernel_initializer="ones")(x[0]), k.Flatten()(x),
        k.Reshape((2, 6))(x), k.Reshape((-1, 2))(x),
        k.Activation("tanh")(x), k.Dropout(0.5)(x), k.Dropout(0.5)(x, training=False),
        k.Embedding(3, 2, embeddings_initializer="ones")(ids),
    ]


@case
def model_subclass(tf: Any) -> Any:
    keras = tf.keras

    class Residual(keras.Model):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = [keras.layers.Dense(4, "tanh", kernel_initializer="ones") for _ in range(2)]
            self.out = keras.layers.Dense(1, kernel_initializer="ones")

        def call(self, x: Any) -> Any:
            for layer in self.inner:
                x = x + layer(x)
            return self.out(x)

    model = Residual()
    x = tf.constant(data(3, 4))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x))
    gradients = tape.gradient(loss, model.trainable_variables)
    return [loss, len(model.variables), *gradients]


@case
def frozen_layer(tf: Any) -> Any:
    model = tf.keras.Sequential([tf.keras.layers.Dense(3), tf.keras.layers.Dense(2)])
    model(tf.constant(data(1, 2)))
    model.layers[0].trainable = False
    return [len(model.trainable_variables), len(model.non_trainable_variables), len(model.variables)]
