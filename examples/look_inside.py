"""Follows one small function from Python to machine code: what `@pb.function` makes of it at every stage."""

from __future__ import annotations

import pullback as pb


@pb.function
def loss(x: pb.Tensor, w: pb.Tensor) -> pb.Tensor:
    with pb.GradientTape() as tape:
        tape.watch(w)
        error = pb.tanh(x * w) - x
        value = pb.reduce_sum(error * error)
    return tape.gradient(value, w)


def main() -> None:
    specs = [pb.TensorSpec([100], pb.float32), pb.TensorSpec([], pb.float32)]
    for stage, title in [
        ("trace", "The trace: the operations that Python ran, the tape's gradient among them"),
        ("opt", "Optimised: constants folded, algebra simplified, common subexpressions shared, dead code gone"),
        ("llvm", "LLVM: one function, loops fused, vectors as wide as this processor's"),
    ]:
        text = loss.inspect(*specs, stage=stage)
        lines = text.splitlines()
        print(f"# {title}\n")
        print("\n".join(lines[:30]))
        print(f"... and {len(lines) - 30} more lines\n" if len(lines) > 30 else "")

    print("# The answer:", loss(pb.linspace(0.0, 1.0, 100), pb.constant(0.5)).numpy())


if __name__ == "__main__":
    main()
