"""TensorFlow 2: eager, `tf.function`, and `tf.function(jit_compile=True)` (XLA)."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow_style import Style
from timing import Bench, Builder, only
from workloads import Inputs
from workloads.loops import DIFFUSION, REACTION


def version() -> str:
    return f"tensorflow {tf.__version__}"


def xla(f: Any, **options: Any) -> Any:
    return tf.function(f, jit_compile=True, **options)


def identity(f: Any) -> Any:
    return f


class Compiled(Style):
    def elements(self, i: Inputs) -> Bench:
        steps, n = int(i["steps"]), i["u"].size

        def energy(u: Any) -> Any:
            for _ in tf.range(steps):
                new = u
                for k in tf.range(1, n - 1):
                    v = u[k]
                    v = v + DIFFUSION * (u[k - 1] - 2.0 * v + u[k + 1]) + REACTION * (v - v * v * v)
                    new = tf.tensor_scatter_nd_update(new, [[k]], [v])
                u = new
            return 0.5 * tf.reduce_sum(u * u)

        return Bench(self.with_gradient(energy), (tf.constant(i["u"]),))

    def builders(self) -> dict[str, Builder]:
        found = super().builders()
        if self.compiled is xla:
            found["elements"] = only(self.elements, "100x100")
        else:
            found["recurrence"] = only(self.recurrence, 1000)
        return found


FUNCTION, XLA, EAGER = Compiled(tf, tf.function), Compiled(tf, xla), Style(tf, identity, eager=True)
VARIANTS = {
    "tf.function": FUNCTION.builders(),
    "tf xla": XLA.builders(),
    "tf relaxed": {"fifty_lengths": partial(FUNCTION.fifty_lengths, reduce_retracing=True)},
    "tf eager": EAGER.builders(),
}
