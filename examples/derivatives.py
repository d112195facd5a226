"""Plots sin(x)^2 with its first and second derivative: a tape around a tape gives the second.

Writes out/derivatives.png when matplotlib is installed, and always compares with the formulas from a calculus book.
"""

from __future__ import annotations

import math
from pathlib import Path

import pullback as pb


@pb.function
def f_and_derivatives(x: pb.Tensor) -> tuple[pb.Tensor, pb.Tensor, pb.Tensor]:
    with pb.GradientTape() as outer:
        outer.watch(x)
        with pb.GradientTape() as inner:
            inner.watch(x)
            y = pb.square(pb.sin(x))
        slope = inner.gradient(y, x)
    return y, slope, outer.gradient(slope, x)


def draw(path: Path, x: pb.Tensor, curves: dict[str, pb.Tensor]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for label, y in curves.items():
        axes.plot(x, y, label=label)
    axes.legend()
    axes.grid(alpha=0.3)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    x = pb.linspace(-2.0 * math.pi, 2.0 * math.pi, 100)
    y, slope, curvature = f_and_derivatives(x)
    print("largest difference from sin(2x):   ", float(pb.reduce_max(pb.abs(slope - pb.sin(2.0 * x)))))
    print("largest difference from 2 cos(2x): ", float(pb.reduce_max(pb.abs(curvature - 2.0 * pb.cos(2.0 * x)))))
    try:
        draw(Path("out/derivatives.png"), x, {"sin(x)^2": y, "first derivative": slope, "second derivative": curvature})
    except ImportError:
        print("no picture: pip install matplotlib")
    else:
        print("picture:", Path("out/derivatives.png").resolve())


if __name__ == "__main__":
    main()
