"""Ops that rearrange elements: values against NumPy, their adjoints, symbolic sizes, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir import ops
from pullback.ir.builder import RAW, new_function
from pullback.ir.dims import symbol
from pullback.ir.dtypes import float32, int32, int64
from pullback.ir.errors import ShapeMismatch, TypeMismatch
from pullback.ir.infer import SymbolicShapes
from pullback.ir.interpret import interpret
from pullback.ir.types import tensor_type

from .rules import infer, vjp

X = np.arange(24.0).reshape(2, 3, 4)
N = symbol("n")


def test_values_are_numpys() -> None:
    np.testing.assert_array_equal(RAW.reshape(X, shape=(4, 6)), X.reshape(4, 6))
    np.testing.assert_array_equal(RAW.transpose(X, perm=(2, 0, 1)), X.transpose(2, 0, 1))
    larger = (5, 2, 3, 4)
    np.testing.assert_array_equal(RAW.broadcast_to(X[:, :1], shape=larger), np.broadcast_to(X[:, :1], larger))
    np.testing.assert_array_equal(RAW.concat(X, X[:, :1], axis=1), np.concatenate([X, X[:, :1]], 1))
    np.testing.assert_array_equal(RAW.reverse(X, axes=(0, 2)), X[::-1, :, ::-1])
    np.testing.assert_array_equal(RAW.tile(X, multiples=(1, 2, 3)), np.tile(X, (1, 2, 3)))
    widths = ((1, 0), (0, 2), (3, 1))
    padded = np.pad(X, widths, constant_values=9.0)
    np.testing.assert_array_equal(RAW.pad(X, np.array(9.0), low=(1, 0, 3), high=(0, 2, 1)), padded)
    np.testing.assert_array_equal(RAW.sum_to(X, shape=(3, 1)), X.sum((0, 2)).reshape(3, 1))
    np.testing.assert_array_equal(RAW.shape_of(X, dtype=int32), [2, 3, 4])
    assert RAW.shape_of(X, dtype=int64).dtype == np.int64
    assert RAW.dim(X, axis=1, dtype=int64) == 3


def test_adjoints() -> None:
    g = np.arange(36.0).reshape(3, 12)
    np.testing.assert_array_equal(
        vjp("tile", {"multiples": (3, 4)}, X[0, :1, :3], ct=g)[0], g.reshape(3, 4, 3).sum((0, 1))[None]
    )
    gx, gv = vjp("pad", {"low": (1,), "high": (2,)}, np.array([1.0, 2.0]), np.array(5.0), ct=[1, 10, 100, 1000, 2])
    np.testing.assert_array_equal(gx, [10, 100])
    assert gv == 1003
    a, b = vjp("concat", {"axis": 1}, X[0, :, :1], X[0, :, :3], ct=np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(a, [[0], [4], [8]])
    np.testing.assert_array_equal(b, [[1, 2, 3], [5, 6, 7], [9, 10, 11]])
    np.testing.assert_array_equal(vjp("broadcast_to", {"shape": (2, 3)}, np.ones((1,)))[0], [6])


def test_the_border_gradient_of_pad_does_not_cancel() -> None:
    huge = np.array([1e-8, 1e30, 1e-8])
    _, gv = vjp("pad", {"low": (1,), "high": (1,)}, np.array([1.0]), np.array(0.0), ct=huge)
    assert gv == 2e-8


def test_symbolic_sizes() -> None:
    assert infer("reshape", "f32[n, 2]", shape=(2, N)) == "f32[2, n]"
    assert infer("reshape", "f32[n, 4]", shape=(2 * N, 2)) == "f32[2*n, 2]"
    assert infer("concat", "f32[n, 2]", "f32[3, 2]", axis=0) == "f32[n + 3, 2]"
    assert infer("pad", "f32[n]", low=(1,), high=(N,)) == "f32[2*n + 1]"
    assert infer("tile", "f32[n]", multiples=(3,)) == "f32[3*n]"
    assert infer("sum_to", "f32[n, 3]", shape=(1, 3)) == "f32[1, 3]"
    for op, attrs in (("reshape", {"shape": (4,)}), ("broadcast_to", {"shape": (3,)})):
        with pytest.raises(SymbolicShapes) as e:
            infer(op, "f32[n]", **attrs)
        assert e.value.symbols == {"n"}


def test_sum_to_waits_for_sizes_that_cannot_be_compared() -> None:
    fn, b = new_function("f", [tensor_type("f64", (N, 3))])
    b.ret([b.sum_to(b.expr(fn.params[0]), shape=(symbol("m"), 3))])
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(interpret(fn, [x], {"m": 1})[0], x.sum(0, keepdims=True))
    np.testing.assert_array_equal(interpret(fn, [x], {"m": 2})[0], x)
    with pytest.raises(SymbolicShapes):
        ops.get("sum_to").expand(b, {"shape": (symbol("m"), 3)}, [b.expr(fn.params[0])])


@pytest.mark.parametrize(
    ("name", "operands", "attrs", "words"),
    [
        ("reshape", ("f32[2, 3]",), {"shape": (4,)}, r"its 6 elements do not fill the shape \[4\] of 4"),
        ("reshape", ("f32[2]",), {"shape": (-2,)}, "negative"),
        ("transpose", ("f32[2, 3]",), {"perm": (0, 0)}, "each of 0 to 1 once"),
        ("broadcast_to", ("f32[2]",), {"shape": (3,)}, "does not broadcast"),
        ("broadcast_to", ("f32[2, 2]",), {"shape": (2,)}, "does not broadcast"),
        ("sum_to", ("f32[2]",), {"shape": (3,)}, "does not broadcast"),
        ("sum_to", ("f32[2]",), {"shape": (1, 2)}, "does not broadcast"),
        ("concat", ("f32[2, 3]", "f32[3, 2]"), {"axis": 0}, "sizes 3 and 2 of dimension 1"),
        ("concat", ("f32[2]", "f32[2, 1]"), {"axis": 0}, "same rank"),
        ("concat", ("f32[2]",), {"axis": 1}, "axis 1 does not exist"),
        ("pad", ("f32[2]",), {"low": (1, 1), "high": (1,)}, "one number per dimension"),
        ("pad", ("f32[2]", "f32[1]"), {"low": (1,), "high": (1,)}, "scalar"),
        ("pad", ("f32[2]",), {"low": (-1,), "high": (1,)}, "negative"),
        ("tile", ("f32[2]",), {"multiples": (2, 2)}, "one number per dimension"),
        ("reverse", ("f32[2]",), {"axes": (1,)}, "do not exist"),
        ("dim", ("f32[2]",), {"axis": 1, "dtype": int32}, "does not exist"),
    ],
)
def test_wrong_shapes(name: str, operands: tuple[str, ...], attrs: dict[str, Any], words: str) -> None:
    with pytest.raises(ShapeMismatch, match=words):
        infer(name, *operands, **attrs)


def test_wrong_dtypes() -> None:
    with pytest.raises(TypeMismatch, match="differ"):
        infer("concat", "f32[2]", "f64[2]", axis=0)
    with pytest.raises(TypeMismatch, match="takes 1 operands, found 0"):
        infer("concat", axis=0)
    with pytest.raises(TypeMismatch, match="int32 or int64"):
        infer("shape_of", "f32[2]", dtype=float32)
