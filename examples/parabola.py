"""Finds the minimum of a parabola by gradient descent, in float32: 1000 steps end at 0.999998569.

The digits are exact. Every product and difference is rounded on its own, in eager and in compiled code alike, as the
program is written; a compiler that fused them into one rounding would end at 0.99999851.
"""

from __future__ import annotations

import pullback as pb

x = pb.Variable(0.0, name="x")
a, b, c = pb.constant(1.0), pb.constant(-2.0), pb.constant(1.0)
optimizer = pb.keras.optimizers.SGD(learning_rate=0.01)


def parabola() -> pb.Tensor:
    return a * pb.pow(x, 2) + b * x + c


@pb.function
def step() -> None:
    optimizer.minimize(parabola, [x])


def main() -> None:
    for _ in range(1000):
        optimizer.minimize(parabola, [x])
    pb.print("eager:    y =", parabola(), "; x =", x)

    x.assign(0.0)
    for _ in range(1000):
        step()
    pb.print("compiled: y =", parabola(), "; x =", x)


if __name__ == "__main__":
    main()
