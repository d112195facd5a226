"""Matrix products: values against einsum, batched gradients without a batch of weight gradients, errors."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from pullback.ir import ops
from pullback.ir.builder import RAW
from pullback.ir.errors import ShapeMismatch, TypeMismatch
from pullback.ir.infer import SymbolicShapes

from .rules import infer, vjp, vjp_function

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize(("batch_a", "batch_b"), [((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,))])
def test_values_and_gradients_against_einsum(
    ta: bool, tb: bool, batch_a: tuple[int, ...], batch_b: tuple[int, ...]
) -> None:
    a = RNG.normal(size=(*batch_a, 4, 3))
    b = RNG.normal(size=(*batch_b, 3, 5))
    stored_a = np.swapaxes(a, -1, -2) if ta else a
    stored_b = np.swapaxes(b, -1, -2) if tb else b
    attrs = {"transpose_a": ta, "transpose_b": tb}
    np.testing.assert_allclose(
        RAW.matmul(stored_a, stored_b, **attrs), np.einsum("...ik,...kj->...ij", a, b), rtol=1e-12, atol=1e-14
    )
    joint = np.broadcast_shapes(batch_a, batch_b)
    g = RNG.normal(size=(*joint, 4, 5))
    ga = np.einsum("...ij,...kj->...ik", g, np.broadcast_to(b, (*joint, 3, 5)))
    gb = np.einsum("...ik,...ij->...kj", np.broadcast_to(a, (*joint, 4, 3)), g)
    ga = ga.sum(1, keepdims=True) if batch_a == (2, 1) else ga.reshape(-1, *batch_a, 4, 3).sum(0)
    gb = gb.reshape(-1, *batch_b, 3, 5).sum(0)
    got_a, got_b = vjp("matmul", attrs, stored_a, stored_b, ct=g)
    np.testing.assert_allclose(np.swapaxes(got_a, -1, -2) if ta else got_a, ga, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.swapaxes(got_b, -1, -2) if tb else got_b, gb, rtol=1e-12, atol=1e-13)


def test_the_gradient_of_shared_weights_is_one_product() -> None:
    fn = vjp_function(
        ops.get("matmul"), {"transpose_a": False, "transpose_b": False}, [np.ones((7, 2, 3)), np.ones((3, 5))]
    )
    shapes = [op.result.type.shape for op in fn.body.ops if op.kind.name == "matmul"]
    assert (3, 5) in shapes
    assert (7, 3, 5) not in shapes


def test_dtypes_stay() -> None:
    for dtype in (np.int32, np.int8, np.float16, ml_dtypes.bfloat16, np.float32):
        x = np.ones((2, 2)).astype(dtype)
        assert RAW.matmul(x, x, transpose_a=False, transpose_b=False).dtype == dtype


def test_types_and_errors() -> None:
    plain = {"transpose_a": False, "transpose_b": False}
    assert infer("matmul", "f32[b, n, 3]", "f32[3, m]", **plain) == "f32[b, n, m]"
    assert infer("matmul", "f32[3, n]", "f32[m, 3]", transpose_a=True, transpose_b=True) == "f32[n, m]"
    with pytest.raises(ShapeMismatch, match=r"matmul: found f32\[2, 3\] and f32\[2, 3\]; the inner sizes 3 and 2"):
        infer("matmul", "f32[2, 3]", "f32[2, 3]", **plain)
    with pytest.raises(ShapeMismatch, match=r"with transpose_a=True"):
        infer("matmul", "f32[2, 3]", "f32[3, 3]", transpose_a=True, transpose_b=False)
    with pytest.raises(ShapeMismatch, match="rank 2 or more"):
        infer("matmul", "f32[3]", "f32[3, 2]", **plain)
    with pytest.raises(ShapeMismatch, match="do not broadcast"):
        infer("matmul", "f32[2, 1, 3]", "f32[4, 3, 2]", **plain)
    with pytest.raises(TypeMismatch, match="differ"):
        infer("matmul", "f32[2, 2]", "f64[2, 2]", **plain)
    with pytest.raises(TypeMismatch, match="numeric"):
        infer("matmul", "bool[2, 2]", "bool[2, 2]", **plain)
    with pytest.raises(SymbolicShapes, match="depends on n"):
        infer("matmul", "f32[2, n]", "f32[3, 2]", **plain)
