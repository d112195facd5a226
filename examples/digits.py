"""Trains a small network on real handwritten digits: 1797 images of 8x8 pixels that scikit-learn's package ships.

A fifth of them is held out and never trained on. The train step is ordinary eager code, with a tape; `@pb.function`
turns it, gradients and optimizer included, into one native function. Run it with `python examples/digits.py`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import pullback as pb

EPOCHS, BATCH, GOAL = 60, 32, 0.97

pb.keras.utils.set_random_seed(0)
model = pb.keras.Sequential([
    pb.keras.layers.Dense(64, activation="relu"),
    pb.keras.layers.Dense(64, activation="relu"),
    pb.keras.layers.Dense(10),
])
optimizer = pb.keras.optimizers.Adam(learning_rate=1e-3)


@pb.function
def train_step(images: pb.Tensor, labels: pb.Tensor) -> pb.Tensor:
    with pb.GradientTape() as tape:
        logits = model(images)
        loss = pb.reduce_mean(pb.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss


@pb.function
def predict(images: pb.Tensor) -> pb.Tensor:
    return pb.argmax(model(images), axis=1)


def load() -> tuple[Any, Any, Any, Any]:
    """Shuffled images and labels: training part, then the held-out fifth."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = (images[order] / 16.0).astype(np.float32), labels[order].astype(np.int32)
    fifth = len(images) // 5
    return images[fifth:], labels[fifth:], images[:fifth], labels[:fifth]


def train(images: Any, labels: Any, held_images: Any, held_labels: Any) -> tuple[list[float], float]:
    """The loss of every epoch, and seconds per step, the first epoch (which compiles) not counted."""
    rng, losses, seconds, steps = np.random.default_rng(1), [], 0.0, 0
    bar = tqdm(range(1, EPOCHS + 1), unit="epoch", disable=None)      # draws on a terminal only
    for epoch in bar:
        order = rng.permutation(len(images))[: len(images) // BATCH * BATCH].reshape(-1, BATCH)
        batches = [(pb.constant(images[rows]), pb.constant(labels[rows])) for rows in order]
        start = time.perf_counter()
        step_losses = [train_step(x, y) for x, y in batches]
        if epoch > 1:
            seconds, steps = seconds + time.perf_counter() - start, steps + len(batches)
        losses.append(float(np.mean([loss.numpy() for loss in step_losses])))
        correct = np.mean(predict(held_images).numpy() == held_labels)
        bar.set_postfix_str(f"loss {losses[-1]:.4f}, held-out {correct:.1%}")
        if bar.disable and epoch % 10 == 0:
            print(f"epoch {epoch}: loss {losses[-1]:.4f}, held-out {correct:.1%}")
    return losses, seconds / steps


def time_eager_step(images: Any, labels: Any, steps: int = 30) -> float:
    """Seconds per step of the same function run as plain Python."""
    x, y = pb.constant(images[:BATCH]), pb.constant(labels[:BATCH])
    pb.config.run_functions_eagerly(True)
    train_step(x, y)
    start = time.perf_counter()
    for _ in range(steps):
        train_step(x, y)
    seconds = (time.perf_counter() - start) / steps
    pb.config.run_functions_eagerly(False)
    return seconds


def draw(path: Path, losses: list[float], images: Any, labels: Any, predicted: Any) -> None:
    """The loss curve beside some held-out digits, mistakes (red) first."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 4), layout="constrained")
    parts: Any = figure.subfigures(1, 2)
    left, right = parts
    axes = left.subplots()
    axes.semilogy(range(1, len(losses) + 1), losses)
    axes.set(xlabel="epoch", ylabel="training loss", title="softmax cross-entropy")
    axes.grid(alpha=0.3)
    order = np.argsort(predicted == labels, kind="stable")
    for cell, k in zip(right.subplots(3, 6).flat, order, strict=False):
        cell.imshow(images[k].reshape(8, 8), cmap="gray_r")
        cell.set_title(f"{predicted[k]}", color="black" if predicted[k] == labels[k] else "red")
        cell.set_axis_off()
    right.suptitle("held-out digits and what the network reads")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> int:
    images, labels, held_images, held_labels = load()
    print(f"{len(images)} images to train on, {len(held_images)} held out")
    losses, compiled = train(images, labels, held_images, held_labels)
    predicted = predict(held_images).numpy()
    accuracy = float(np.mean(predicted == held_labels))
    eager = time_eager_step(images, labels)
    draw(Path("out/digits.png"), losses, held_images, held_labels, predicted)

    print(f"held-out accuracy: {accuracy:.2%} ({np.sum(predicted == held_labels)} of {len(held_labels)})")
    print(f"one step, compiled: {compiled * 1e6:.0f} us; the same step eagerly: {eager * 1e6:.0f} us")
    print(f"picture: {Path('out/digits.png').resolve()}")
    if accuracy < GOAL:
        print(f"expected at least {GOAL:.0%}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
