"""Elementwise functions, Rosenbrock's, and the two problems of ADBench."""

from __future__ import annotations

from typing import Any

from timing import Bench
from workloads import Inputs
from workloads.fitting import places, residuals

from .base import Base


class Arrays(Base):
    def bump_sum(self, x: Any) -> Any:
        tf = self.tf
        return tf.reduce_sum(tf.tanh(x) * tf.exp(-x * x) + tf.sin(x))

    def elementwise(self, i: Inputs) -> Bench:
        return Bench(self.with_gradient(self.bump_sum), tuple(self.constants(i)))

    eager_tape = elementwise

    def fifty_lengths(self, i: Inputs, **options: Any) -> Bench:
        tf = self.tf

        def gradient(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = self.bump_sum(x)
            return tape.gradient(y, x)

        f, xs = self.compiled(gradient, **options), self.constants(i)
        return Bench(lambda: [f(x) for x in xs])

    def black_scholes(self, i: Inputs) -> Bench:
        tf = self.tf

        def normal(d: Any) -> Any:
            return 0.5 * (1.0 + tf.math.erf(d * 0.7071067811865476))

        def total(s: Any, k: Any, t: Any, r: Any, v: Any) -> Any:
            root = tf.sqrt(t)
            d1 = (tf.math.log(s / k) + (r + 0.5 * v * v) * t) / (v * root)
            return tf.reduce_sum(s * normal(d1) - k * tf.exp(-r * t) * normal(d1 - v * root))

        return Bench(self.with_gradient(total), tuple(self.constants(i)))

    def rosenbrock(self, x: Any) -> Any:
        return self.tf.reduce_sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    def slope(self, x: Any) -> Any:
        with self.tf.GradientTape() as tape:
            tape.watch(x)
            y = self.rosenbrock(x)
        return tape.gradient(y, x)

    def rosenbrock_value(self, i: Inputs) -> Bench:
        return Bench(self.compiled(self.rosenbrock), (self.tf.constant(i["x"]),))

    def rosenbrock_gradient(self, i: Inputs) -> Bench:
        return Bench(self.with_gradient(self.rosenbrock), (self.tf.constant(i["x"]),))

    def rosenbrock_hvp(self, i: Inputs) -> Bench:
        tf = self.tf

        def product(x: Any, v: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                g = self.slope(x)
            return tape.gradient(g, x, output_gradients=v)

        return Bench(self.compiled(product), tuple(self.constants(i)))

    def rosenbrock_hvp_forward(self, i: Inputs) -> Bench:
        """Forward over reverse."""
        tf = self.tf

        def product(x: Any, v: Any) -> Any:
            with tf.autodiff.ForwardAccumulator(x, v) as along:
                g = self.slope(x)
            return along.jvp(g)

        return Bench(self.compiled(product), tuple(self.constants(i)))

    def rosenbrock_hessian(self, i: Inputs) -> Bench:
        tf = self.tf

        def hessian(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                g = self.slope(x)
            return tape.jacobian(g, x)

        return Bench(self.compiled(hessian), (tf.constant(i["x"]),))

    def mixture(self, i: Inputs) -> Bench:
        tf, where, x = self.tf, places(), self.tf.constant(i["x"])

        def likelihood(alphas: Any, means: Any, logs: Any, lower: Any) -> Any:
            scale, zero = tf.exp(logs), tf.zeros([len(i["alphas"]), 1], tf.float64)
            triangle = tf.gather(tf.concat([lower, zero], 1), where, axis=1)
            centred = x[:, None, :] - means
            q = scale * centred + tf.einsum("kab,nkb->nka", triangle, centred)
            main = alphas + tf.reduce_sum(logs, 1) - 0.5 * tf.reduce_sum(q * q, 2)
            each = tf.reduce_sum(tf.reduce_logsumexp(main, 1)) - float(len(i["x"])) * tf.reduce_logsumexp(alphas)
            return each + 0.5 * (tf.reduce_sum(scale * scale) + tf.reduce_sum(lower * lower))

        return Bench(self.with_gradient(likelihood), tuple(self.constants(i, "alphas means logs lower")))

    def bundle(self, i: Inputs) -> Bench:
        """Observations are independent: the gradients of the two columns of residuals are all Jacobians."""
        tf = self.tf

        def jacobians(p: Any, feature: Any) -> Any:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(p)
                first, second = residuals(tf.unstack(p, axis=1), tf.unstack(feature, axis=1), tf)
            rows = [tape.gradient(first, p), tape.gradient(second, p)]
            return tf.stack([first, second], 1), tf.stack(rows, 1)

        return Bench(self.compiled(jacobians), tuple(self.constants(i)))
