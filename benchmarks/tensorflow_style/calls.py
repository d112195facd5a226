"""Compiled calls and eager operations."""

from __future__ import annotations

from typing import Any

from timing import Bench
from workloads import Inputs
from workloads.calls import MANY

from .base import Base


def square(x: Any) -> Any:
    return x * x


def cube(x: Any) -> Any:
    return x * x * x


class Calls(Base):
    def gradient(self, f: Any) -> Any:
        tf = self.tf

        def gradient(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            return tape.gradient(y, x)

        return gradient

    def call_tensor(self, i: Inputs) -> Bench:
        return Bench(self.compiled(square), (self.tf.constant(i["x"]),))

    def call_float(self, i: Inputs) -> Bench:
        return Bench(self.scalar_function(square), (float(i["x"]),))

    def call_ndarray(self, i: Inputs) -> Bench:
        return Bench(self.scalar_function(square), (i["x"],))

    def gradient_tensor(self, i: Inputs) -> Bench:
        return Bench(self.compiled(self.gradient(square)), (self.tf.constant(i["x"]),))

    def gradient_float(self, i: Inputs) -> Bench:
        return Bench(self.scalar_function(self.gradient(square)), (float(i["x"]),))

    def gradient_ndarray(self, i: Inputs) -> Bench:
        return Bench(self.scalar_function(self.gradient(square)), (i["x"],))

    def call_tree20(self, i: Inputs) -> Bench:
        def doubled(xs: list[Any]) -> list[Any]:
            return [2.0 * x for x in xs]

        return Bench(self.compiled(doubled), ([self.tf.constant(x) for x in i["x"]],))

    def many(self, f: Any, i: Inputs) -> Bench:
        """A hundred operations that do not depend on each other."""

        def call(x: Any) -> Any:
            for _ in range(MANY):
                y = f(x)
            return y

        return Bench(call, (self.tf.constant(i["x"]),), MANY)

    def eager_add(self, i: Inputs) -> Bench:
        return self.many(lambda x: x + x, i)

    def eager_mul(self, i: Inputs) -> Bench:
        return self.many(lambda x: x * x, i)

    def eager_sin(self, i: Inputs) -> Bench:
        return self.many(self.tf.sin, i)

    def taped(self, f: Any, i: Inputs) -> Bench:
        """A chain of a hundred, recorded; no gradient is taken."""
        tf = self.tf

        def call(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = x
                for _ in range(MANY):
                    y = f(y, x)
            return y

        return Bench(call, (tf.constant(i["x"]),), MANY)

    def taped_add(self, i: Inputs) -> Bench:
        return self.taped(lambda y, x: y + x, i)

    def taped_mul(self, i: Inputs) -> Bench:
        return self.taped(lambda y, x: y * x, i)

    def taped_sin(self, i: Inputs) -> Bench:
        sin = self.tf.sin
        return self.taped(lambda y, x: sin(y), i)

    def tape_cube(self, i: Inputs) -> Bench:
        return Bench(self.gradient(cube), (self.tf.constant(i["x"]),))

    def tape_chain20(self, i: Inputs) -> Bench:
        sin = self.tf.sin

        def chain(x: Any) -> Any:
            y = x
            for _ in range(6):
                y = sin(y) * x + x
            return sin(y) * x

        return Bench(self.gradient(chain), (self.tf.constant(i["x"]),))
