"""Records of compiled functions on tapes outside of them."""

from __future__ import annotations

import numpy as np

import pullback as pb
from pullback.tracer.execute import Interpreted


def power(x: pb.Tensor, n: pb.Tensor) -> pb.Tensor:
    y = x
    for _ in pb.range(n):
        y = y * x
    return y


def test_a_loop_of_unknown_length_is_differentiated_in_native_code() -> None:
    # Its stack of saved values lives within one compiled call, so the backward function runs the loop again.
    f = pb.function(power)
    x, n = pb.constant([1.5, -2.0]), pb.constant(3)
    with pb.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x, n)
        slope = tape.gradient(y, x)
    np.testing.assert_allclose(y, [1.5**4, 16.0], rtol=1e-6)
    np.testing.assert_allclose(slope, [4 * 1.5**3, -32.0], rtol=1e-6)
    np.testing.assert_allclose(outer.gradient(slope, x), [12 * 1.5**2, 48.0], rtol=1e-6)
    pair = f.get_concrete_function(x, n).full.pair((True, False))
    kept = [x.numpy(), n.numpy()]
    assert not isinstance(pair.forward.executable(kept), Interpreted)
    outs = pair.forward.run(kept)
    saved = [kept[i] if kind == "param" else outs[i] for kind, i in pair.residuals]
    assert not isinstance(pair.backward.op.executable([*saved, np.ones(2, np.float32)]), Interpreted)
