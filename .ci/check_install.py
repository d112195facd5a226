"""Run by .ci/run with a Python that has the wheel, numpy, llvmlite and nothing else: import, differentiate, compile."""

import importlib.metadata
import sys

import pullback as pb


@pb.function
def slope(x: pb.Tensor) -> pb.Tensor:
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.reduce_sum(x * x * x)
    return tape.gradient(y, x)


def main() -> int:
    installed = {d.metadata["Name"].lower() for d in importlib.metadata.distributions()}
    extra = installed - {"pullback", "numpy", "llvmlite", "pip", "setuptools"}
    assert not extra, f"the wheel pulled in {extra}"
    assert slope(pb.constant([1.0, 2.0])).numpy().tolist() == [3.0, 12.0]
    assert slope(pb.constant([[3.0]])).numpy().tolist() == [[27.0]]
    layer = pb.keras.layers.Dense(2, kernel_initializer="ones")
    assert layer(pb.ones((1, 3))).numpy().tolist() == [[3.0, 3.0]]
    print(f"pullback {pb.__version__} from the wheel alone: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
