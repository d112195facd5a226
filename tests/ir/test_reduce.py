"""Reductions and scans: values against NumPy, ties, zeros, empty and infinite rows, errors."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pullback.ir import ops
from pullback.ir.builder import RAW
from pullback.ir.dtypes import int32, int64
from pullback.ir.errors import InvalidArgumentError, ShapeMismatch, TypeMismatch

from .rules import cotangents, infer, run, vjp, vjp_function

INF, NAN = np.inf, np.nan
X = np.random.default_rng(3).normal(size=(2, 3, 4))


def reduce(name: str, x: Any, axes: tuple[int, ...] = (0,), keepdims: bool = False) -> Any:
    return ops.get(name).eager({"axes": axes, "keepdims": keepdims}, np.asarray(x))


def attrs(axes: tuple[int, ...], keepdims: bool = False) -> dict[str, Any]:
    return {"axes": axes, "keepdims": keepdims}


@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_values_are_numpys(axes: tuple[int, ...], keepdims: bool) -> None:
    for name, fn in {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}.items():
        np.testing.assert_array_equal(reduce(f"reduce_{name}", X, axes, keepdims), fn(X, axis=axes, keepdims=keepdims))
    want = np.log(np.sum(np.exp(X), axis=axes, keepdims=keepdims))
    np.testing.assert_allclose(reduce("logsumexp", X, axes, keepdims), want, rtol=1e-14)
    np.testing.assert_array_equal(reduce("reduce_any", X > 0, axes, keepdims), np.any(X > 0, axes, keepdims=keepdims))
    np.testing.assert_array_equal(reduce("reduce_all", X > 0, axes, keepdims), np.all(X > 0, axes, keepdims=keepdims))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.float16, ml_dtypes.bfloat16, np.float32])
def test_the_dtype_stays(dtype: Any) -> None:
    x = np.array([3, 1, 2]).astype(dtype)
    for name in ("sum", "prod", "max", "min"):
        assert reduce(f"reduce_{name}", x).dtype == dtype
    assert reduce("reduce_sum", np.int8([100, 100])) == -56


@pytest.mark.filterwarnings("error")
def test_nothing_to_reduce() -> None:
    none = np.zeros((0, 2), np.float32)
    np.testing.assert_array_equal(reduce("reduce_sum", none), [0, 0])
    np.testing.assert_array_equal(reduce("reduce_prod", none), [1, 1])
    np.testing.assert_array_equal(reduce("reduce_max", none), [-INF, -INF])
    np.testing.assert_array_equal(reduce("reduce_min", none), [INF, INF])
    np.testing.assert_array_equal(reduce("logsumexp", none), [-INF, -INF])
    assert reduce("reduce_max", np.zeros(0, np.int32)) == -(2**31)
    assert reduce("reduce_min", np.zeros(0, np.int32)) == 2**31 - 1
    assert not reduce("reduce_any", np.zeros(0, bool))
    assert reduce("reduce_all", np.zeros(0, bool))
    for name in ("reduce_prod", "reduce_max", "logsumexp"):
        assert vjp(name, attrs((0,)), none)[0].shape == (0, 2)


def test_extremes_share_among_ties() -> None:
    x = np.float32([[1, 1, 0], [2, 2, 2]])
    np.testing.assert_allclose(vjp("reduce_max", attrs((1,)), x)[0], [[0.5, 0.5, 0], [1 / 3] * 3], rtol=1e-7)
    np.testing.assert_allclose(vjp("reduce_min", attrs((0, 1)), x)[0], [[0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("x", [[1.5, 2.0, -0.5, 3.0], [0.0, 2.0, -0.5, 3.0], [0.0, 2.0, 0.0, 3.0], [0.0] * 4])
def test_product_gradients_are_exact_at_zeros_to_order_two(x: list[float]) -> None:
    n, v = len(x), np.array(x)
    want = np.array([np.prod(np.delete(v, i)) for i in range(n)])
    np.testing.assert_allclose(vjp("reduce_prod", attrs((0,)), v)[0], want, rtol=1e-14)
    fn = vjp_function(ops.get("reduce_prod"), attrs((0,)), [v])
    one = np.array(1.0)
    for i in range(n):
        row = cotangents(fn, [v, one], [np.eye(n)[i]])[0]
        want = np.array([0.0 if k == i else np.prod(np.delete(v, [i, k])) for k in range(n)])
        np.testing.assert_allclose(row, want, rtol=1e-14)


@pytest.mark.filterwarnings("error")
def test_logsumexp_of_infinite_rows() -> None:
    x = np.array([[-INF, -INF], [INF, 0.0], [-INF, 1.0], [1000.0, 1000.0]])
    np.testing.assert_allclose(reduce("logsumexp", x, (1,)), [-INF, INF, 1.0, 1000 + np.log(2)])
    g = vjp("logsumexp", attrs((1,)), x)[0]
    np.testing.assert_allclose(g[[0, 2, 3]], [[0, 0], [0, 1], [0.5, 0.5]])


def test_arg_extremes() -> None:
    for x in ([3.0, 1.0, 3.0, 1.0], [1.0, NAN, 5.0]):
        for name, fn in (("argmax", np.argmax), ("argmin", np.argmin)):
            y = ops.get(name).eager({"axis": 0, "dtype": int32}, np.array(x))
            assert y == fn(x)
            assert y.dtype == np.int32
    assert infer("argmax", "f32[2, n]", axis=0, dtype=int64) == "i64[n]"
    with pytest.raises(InvalidArgumentError, match="Reduction axis 0 is empty"):
        ops.get("argmax").eager({"axis": 0, "dtype": int64}, np.zeros((0, 2)))
    with pytest.raises(TypeMismatch, match="must be int32 or int64"):
        infer("argmax", "f32[2]", axis=0, dtype="f32")
    assert not ops.get("argmax").differentiable


def test_errors() -> None:
    with pytest.raises(ShapeMismatch, match=r"reduce_sum: found f32\[2\]; axes \[1\] do not exist in a tensor"):
        infer("reduce_sum", "f32[2]", axes=(1,), keepdims=False)
    with pytest.raises(ShapeMismatch, match="sorted and distinct"):
        infer("reduce_sum", "f32[2, 2]", axes=(1, 0), keepdims=False)
    with pytest.raises(TypeMismatch, match="numeric dtype, not bool"):
        infer("reduce_sum", "bool[2]", axes=(0,), keepdims=False)
    with pytest.raises(TypeMismatch, match="needs bool"):
        infer("reduce_any", "f32[2]", axes=(0,), keepdims=False)
    with pytest.raises(TypeMismatch, match="floating-point"):
        infer("logsumexp", "i32[2]", axes=(0,), keepdims=False)


# ---------------------------------------------------------------- scans
def scan(x: Any, fn: Any, start: float, exclusive: bool, reverse: bool) -> list[float]:
    xs = list(x)[::-1] if reverse else list(x)
    out, total = [], start
    for v in xs:
        new = fn(total, v)
        out.append(total if exclusive else new)
        total = new
    return out[::-1] if reverse else out


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_ops(exclusive: bool, reverse: bool) -> None:
    x = np.array([2.0, 0.0, 3.0, 0.5])
    a = {"axis": 0, "exclusive": exclusive, "reverse": reverse}
    np.testing.assert_array_equal(
        ops.get("cumsum").eager(a, x), scan(x, lambda s, v: s + v, 0.0, exclusive, reverse)
    )
    np.testing.assert_array_equal(
        ops.get("cumprod").eager(a, x), scan(x, lambda s, v: s * v, 1.0, exclusive, reverse)
    )
    assert ops.get("cumsum").eager(a, np.int32([1, 2])).dtype == np.int32


def test_linear_scan_is_the_recurrence() -> None:
    a, v = np.array([5.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0])
    op = ops.get("linear_scan")
    np.testing.assert_array_equal(op.eager({"axis": 0, "reverse": False}, a, v), [1, 12, 136])
    np.testing.assert_array_equal(op.eager({"axis": 0, "reverse": True}, a, v), [1051, 210, 100])
    with pytest.raises(ShapeMismatch, match="one shape"):
        infer("linear_scan", "f32[2]", "f32[3]", axis=0, reverse=False)


def test_scan_gradient_does_not_change_what_it_reads() -> None:
    a, v = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    copies = a.copy(), v.copy()
    vjp("linear_scan", {"axis": 0, "reverse": False}, a, v)
    fn = vjp_function(ops.get("cumprod"), {"axis": 0, "exclusive": False, "reverse": False}, [a])
    run(fn, [a, v])
    np.testing.assert_array_equal((a, v), copies)
    assert RAW.cumsum(a, axis=0, exclusive=False, reverse=True).tolist() == [2.5, 2.0]
