"""A whole training loop with every part of keras, compiled against eager: the same losses, metrics and weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import pullback as pb

keras = pb.keras
BATCHES = (32, 32, 7, 1, 32)                    # sizes a loop over a data set meets: full ones, then what is left


def train(compiled: bool, dropout: float = 0.0) -> tuple[list[float], Any, int]:
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dropout(dropout), keras.layers.Dense(3)])
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 10)
    optimizer = keras.optimizers.AdamW(schedule, global_clipnorm=0.5)
    accuracy, mean = keras.metrics.SparseCategoricalAccuracy(), keras.metrics.Mean()
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    traces = []

    def step(x: Any, y: Any, weights: Any) -> Any:
        traces.append(1)
        with pb.GradientTape() as tape:
            scores = model(x, training=True)
            loss = loss_of(y, scores, sample_weight=weights)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        accuracy.update_state(y, scores)
        mean.update_state(loss)
        return loss

    run = pb.function(step) if compiled else step
    rng, numbers = np.random.default_rng(0), []
    for n in BATCHES:
        x, y = rng.standard_normal((n, 4)).astype(np.float32), rng.integers(0, 3, n)
        numbers.append(float(run(x, y, rng.uniform(0.5, 1.0, n).astype(np.float32))))
        numbers += [float(accuracy.result()), float(mean.result()), float(optimizer.learning_rate)]
    return numbers, model.get_weights(), len(traces)


def test_compiled_equals_eager() -> None:
    eager, compiled = train(False), train(True)
    np.testing.assert_allclose(compiled[0], eager[0], rtol=1e-5, atol=1e-6)
    for a, b in zip(compiled[1], eager[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_new_batch_sizes_stop_being_traced() -> None:
    assert train(True)[2] <= 4                   # the first size (twice when it makes variables), then any size


def test_a_seed_repeats_a_compiled_run_with_dropout() -> None:
    first, second = train(True, dropout=0.5), train(True, dropout=0.5)
    assert first[0] == second[0]
    assert first[0] != train(True)[0]


def test_compiled_dropout_draws_anew_at_every_call() -> None:
    drop = pb.function(lambda x: keras.layers.Dropout(0.5)(x, training=True))
    ones = pb.ones((100, 100))
    assert 0.4 < np.mean(drop(ones).numpy() != drop(ones).numpy()) < 0.6
