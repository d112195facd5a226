"""Programs with loops over `tf.range`; eagerly and unrolled, over Python's `range`."""

from __future__ import annotations

from typing import Any

from timing import Bench
from workloads import Inputs
from workloads.loops import BATCH, DIFFUSION, HIDDEN, RATE, REACTION

from .base import Base


class Loops(Base):
    def recurrent(self, i: Inputs, cell: Any) -> Bench:
        tf, x, steps = self.tf, self.tf.constant(i["x"]), len(i["x"])
        trips = range if self.eager else tf.range

        def loss(w: Any, u: Any, b: Any) -> Any:
            h = c = tf.zeros([BATCH, HIDDEN])
            total = tf.constant(0.0)
            for t in trips(steps):
                h, c = cell(x[t] @ w + h @ u + b, c)
                total += tf.reduce_sum(h * h)
            return total / (steps * BATCH * HIDDEN)

        return Bench(self.with_gradient(loss), tuple(self.constants(i, "w u b")))

    def rnn(self, i: Inputs) -> Bench:
        return self.recurrent(i, lambda z, c: (self.tf.tanh(z), c))

    def lstm(self, i: Inputs) -> Bench:
        tf = self.tf

        def cell(z: Any, c: Any) -> Any:
            gi, gf, gg, go = tf.split(z, 4, axis=1)
            c = tf.sigmoid(gf) * c + tf.sigmoid(gi) * tf.tanh(gg)
            return tf.sigmoid(go) * tf.tanh(c), c

        return self.recurrent(i, cell)

    def descent(self, i: Inputs) -> Bench:
        tf, steps = self.tf, int(i["steps"])
        trips = range if self.eager else tf.range

        def train(x: Any, a: Any, b: Any) -> Any:
            for _ in trips(steps):
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y = a * x * x + b * x
                x = x - RATE * tape.gradient(y, x)
            return x

        return Bench(self.compiled(train), tuple(self.constants(i, "x a b")))

    def recurrence(self, i: Inputs) -> Bench:
        tf, steps = self.tf, int(i["steps"])
        trips, h = range if self.eager else tf.range, 2.0 / steps

        def last(x: Any, c: Any) -> Any:
            for _ in trips(steps):
                x = x + h * (1.01 * tf.sin(x) + c)
            return x

        return Bench(self.with_gradient(last), tuple(self.constants(i, "x c")))

    def time_steps(self, i: Inputs, reaction: float) -> Bench:
        tf, steps, n = self.tf, int(i["steps"]), i["u"].size
        trips = range if self.eager else tf.range

        def energy(u: Any) -> Any:
            for _ in trips(steps):
                c = u[1:-1]
                inside = c + DIFFUSION * (u[:-2] - 2.0 * c + u[2:])
                if reaction:
                    inside += reaction * (c - c * c * c)
                u = tf.ensure_shape(tf.concat([u[:1], inside, u[-1:]], 0), [n])
            return 0.5 * tf.reduce_sum(u * u)

        return Bench(self.with_gradient(energy), (tf.constant(i["u"]),))

    def heat(self, i: Inputs) -> Bench:
        return self.time_steps(i, 0.0)

    def allen_cahn(self, i: Inputs) -> Bench:
        return self.time_steps(i, REACTION)
