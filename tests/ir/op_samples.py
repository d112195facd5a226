"""Operands for every op of the table: op name -> samples, each (attributes, operand arrays).

Real operands are f64, so that derivatives can be checked against finite differences, and lie away from the points where
an op is not smooth (those are tested one by one beside the op). Other dtypes stand in further samples. An op of the
table without a sample fails `test_ops_table.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.ir import dtypes as dt

Sample = tuple[dict[str, Any], list[Any]]
_RNG = np.random.default_rng(7)


def real(*shape: int, low: float = -1.5, high: float = 1.5) -> Any:
    """Random f64 numbers, no two of them closer than needed for a finite difference."""
    n = int(np.prod(shape))
    grid = low + (high - low) * (np.arange(n) + 0.5 + _RNG.uniform(-0.3, 0.3, n)) / max(n, 1)
    return _RNG.permutation(grid).reshape(shape)


def positive(*shape: int) -> Any:
    """Random f64 numbers in (0.3, 2)."""
    return real(*shape, low=0.3, high=2.0)


def ints(*shape: int, low: int = -5, high: int = 6, dtype: Any = np.int32) -> Any:
    """Random integers."""
    return _RNG.integers(low, high, shape).astype(dtype)


def bools(*shape: int) -> Any:
    """Random bools."""
    return _RNG.random(shape) < 0.5


def f32(x: Any) -> Any:
    """The array as float32."""
    return np.asarray(x, np.float32)


def distribution(rows: int, n: int) -> Any:
    """Rows that add up to one."""
    x = positive(rows, n)
    return x / x.sum(1, keepdims=True)


def regular(*shape: int) -> Any:
    """Matrices [..., n, n] far from singular, without dominant diagonals: rows are exchanged on the way."""
    n = shape[-1]
    x = real(*shape, n, low=-0.4, high=0.4)
    return x + np.roll(np.diag(positive(n) + 1.0), 1, 0)


def definite(*shape: int) -> Any:
    """Symmetric positive definite matrices [..., n, n] with eigenvalues apart."""
    n = shape[-1]
    x = real(*shape, n, low=-0.3, high=0.3)
    return x + np.swapaxes(x, -1, -2) + np.diag(1.5 + 1.0 * np.arange(n))


def factors(a: Any) -> tuple[Any, Any]:
    """What `lu` gives for matrices, but for the sign."""
    from pullback.ir.ops import get

    lu, order, _ = get("lu").eager({}, a)
    return lu, order


SAMPLES: dict[str, list[Sample]] = {}


def add(name: str, *operands: Any, **attrs: Any) -> None:
    """One more sample."""
    SAMPLES.setdefault(name, []).append((attrs, list(operands)))


# ---------------------------------------------------------------- elementwise
_UNARY = {
    (-1.5, 1.5): "neg abs sign square exp expm1 sin cos tan sinh cosh tanh atan asinh erf erfc sigmoid softplus relu "
    "elu floor ceil round trunc is_nan is_inf is_finite",
    (0.3, 2.0): "sqrt rsqrt log log1p",
    (-0.9, 0.9): "asin acos atanh",
    (1.2, 3.0): "acosh",
}
for (_low, _high), _names in _UNARY.items():
    for _name in _names.split():
        add(_name, real(2, 3, low=_low, high=_high))
        add(_name, real(low=_low, high=_high))
        add(_name, f32(real(5, low=_low, high=_high)))
        add(_name, f32(real(0, 3)))
for _name in ("neg", "abs", "sign", "square", "relu"):
    add(_name, ints(2, 3))
for _name in ("add", "sub", "mul", "maximum", "minimum", "floordiv"):
    add(_name, real(2, 3), real(2, 3))
    add(_name, real(5, 1, 3), real(2, 1))
    add(_name, real(), real(2))
add("mod", np.array([[5.5, -3.2, 0.4], [7.1, -0.3, 2.0]]), np.array([2.0, 1.3, -0.7]))
for _name in ("add", "sub", "mul", "maximum", "minimum", "floordiv", "mod"):
    add(_name, f32(real(3)), f32(real(2, 3)))
    add(_name, ints(2, 3), ints(3, low=1))
    add(_name, ints(4, dtype=np.int64), ints(4, low=1, dtype=np.int64))
add("div", real(2, 3), positive(2, 3))
add("div", real(5, 1, 3), -positive(2, 1))
add("div", f32(real()), f32(positive(2)))
add("pow", positive(2, 3), real(2, 3))
add("pow", positive(3), real(2, 1))
add("pow", f32(positive(3)), f32(real(3)))
add("pow", ints(3), ints(3, low=0, high=4))
add("atan2", real(2, 3), positive(3))
add("atan2", f32(real(2)), f32(real(2)))
for unary in ("log2", "log10"):
    add(unary, positive(2, 3))
    add(unary, f32(np.array([0.25, 1.0, 8.0, 1000.0, 7.0])))
add("exp2", real(2, 3))
add("exp2", f32(np.array([-3.0, 0.0, 0.5, 10.0])))
add("cbrt", positive(5) * np.array([-1.0, 1, 1, -1, 1]))
add("cbrt", f32(np.array([-27.0, 8.0, 0.1])))
for binary in ("hypot", "logaddexp", "logaddexp2"):
    add(binary, real(2, 3), positive(3))
    add(binary, f32(real(2)), f32(real(2)))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    add(_name, real(2, 3), real(3))
    add(_name, ints(2, 3), ints(2, 3))
    add(_name, f32(real()), f32(real(2)))
add("eq", bools(3), bools(3))
add("ne", bools(3), bools(3))
for _name in ("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"):
    add(_name, bools(2, 3), bools(3))
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    add(_name, ints(2, 3), ints(3))
add("logical_not", bools(2, 3))
add("where", bools(2, 3), real(2, 3), real(3))
add("where", np.array([True, False]), real(), real(3, 1))
add("where", bools(3), ints(3), ints(3))
add("cast", real(2, 3), dtype=dt.float64)
add("cast", f32(real(2)), dtype=dt.float64)
add("cast", real(2), dtype=dt.float32)
add("cast", real(2, 3), dtype=dt.int32)
add("cast", ints(3), dtype=dt.float64)
add("cast", bools(3), dtype=dt.int64)
add("cast", real(3), dtype=dt.bool_)
add("after", real(2, 3), real())
add("after", real(3), real(2, 1))
add("after", ints(3), ints())
for _name in ("identity", "stop_gradient"):
    add(_name, real(2, 3))
    add(_name, ints(3))

for _name in ("lgamma", "digamma", "bessel_i0", "bessel_i1", "bessel_i0e", "bessel_i1e"):
    add(_name, positive(2, 3))
    add(_name, real(3, low=-2.9, high=-2.2))
    add(_name, real(4, low=2.5, high=30.0))
    add(_name, f32(positive(5)))
    add(_name, f32(real(0, 3)))
for _order in (1, 2, 3):
    add("polygamma", positive(2, 3), order=_order)
    add("polygamma", real(3, low=-2.9, high=-2.2), order=_order)
    add("polygamma", f32(positive(3)), order=_order)

# ---------------------------------------------------------------- reductions and scans
for _name in ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "logsumexp"):
    for _axes in ((), (0,), (1, 2), (0, 2), (0, 1, 2)):
        add(_name, real(2, 3, 5), axes=_axes, keepdims=False)
    add(_name, real(2, 3), axes=(1,), keepdims=True)
    add(_name, f32(real(4, 2)), axes=(0,), keepdims=False)
    add(_name, f32(real(0, 2)), axes=(0,), keepdims=False)
    add(_name, real(), axes=(), keepdims=False)
    if _name != "logsumexp":
        add(_name, ints(2, 3), axes=(1,), keepdims=False)
add("reduce_prod", np.array([[0.0, 1.5, 2.0], [0.0, 0.5, 0.0]]), axes=(1,), keepdims=False)
for _name in ("reduce_any", "reduce_all"):
    add(_name, bools(2, 3), axes=(1,), keepdims=False)
    add(_name, bools(2, 3), axes=(0, 1), keepdims=True)
for _name in ("argmax", "argmin"):
    add(_name, real(2, 3), axis=1, dtype=dt.int64)
    add(_name, ints(5), axis=0, dtype=dt.int32)
for _name in ("cumsum", "cumprod"):
    for _exclusive in (False, True):
        for _reverse in (False, True):
            add(_name, real(2, 3, 2), axis=1, exclusive=_exclusive, reverse=_reverse)
    add(_name, ints(3), axis=0, exclusive=True, reverse=False)
    add(_name, real(0), axis=0, exclusive=True, reverse=False)
add("cumprod", np.array([2.0, 0.0, 3.0, 0.0, 1.5]), axis=0, exclusive=False, reverse=True)
add("linear_scan", real(2, 3), real(2, 3), axis=1, reverse=False)
add("linear_scan", real(3, 2), real(3, 2), axis=0, reverse=True)
add("linear_scan", f32(real(0, 2)), f32(real(0, 2)), axis=0, reverse=False)

# ---------------------------------------------------------------- order
for _down in (False, True):
    add("argsort", real(2, 3, 5), axis=1, descending=_down, dtype=dt.int32)
    _x = f32([1.0, np.nan, -0.0, 0.0, -np.inf, np.inf, -1.5, np.nan, 0.0])
    add("argsort", _x, axis=0, descending=_down, dtype=dt.int64)
    add("argsort", np.array([np.nan, 2.0, -0.0, 0.0, -3.0, 2.0]), axis=0, descending=_down, dtype=dt.int32)
    add("argsort", ints(5, 3), axis=0, descending=_down, dtype=dt.int32)
    add("argsort", ints(2, 5, dtype=np.int64), axis=1, descending=_down, dtype=dt.int64)
    add("searchsorted", np.sort(real(2, 5), 1), real(2, 3), right=_down, dtype=dt.int32)
    add("searchsorted", np.sort(ints(5)), ints(3), right=_down, dtype=dt.int64)
    add("searchsorted", f32([-1, 0, 0, np.nan]), f32([0, np.nan, -np.inf]), right=_down, dtype=dt.int32)
add("argsort", real(0, 3), axis=0, descending=False, dtype=dt.int32)
add("searchsorted", real(0), real(3), right=False, dtype=dt.int32)

# ---------------------------------------------------------------- shapes
add("reshape", real(2, 3, 5), shape=(3, 2, 5))
add("reshape", real(2, 3), shape=(6,))
add("reshape", real(), shape=(1, 1))
add("reshape", ints(2, 3), shape=(3, 2))
add("transpose", real(2, 3, 5), perm=(2, 0, 1))
add("transpose", f32(real(3, 2)), perm=(1, 0))
add("broadcast_to", real(3, 1), shape=(2, 3, 5))
add("broadcast_to", real(), shape=(2, 3))
add("broadcast_to", bools(3), shape=(2, 3))
add("sum_to", real(2, 3, 5), shape=(3, 1))
add("sum_to", real(2, 3), shape=(2, 1))
add("sum_to", real(2, 3), shape=())
add("sum_to", real(2, 3), shape=(2, 3))
add("concat", real(2, 3), real(2, 5), real(2, 3), axis=1)
add("concat", real(2, 3), real(0, 3), axis=0)
add("concat", ints(2), axis=0)
add("pad", real(2, 3), low=(1, 0), high=(0, 2))
add("pad", real(2, 3), real(), low=(1, 2), high=(2, 0))
add("pad", ints(2), np.int32(7), low=(0,), high=(1,))
add("reverse", real(2, 3, 5), axes=(0, 2))
add("reverse", f32(real(3)), axes=(0,))
add("tile", real(2, 3), multiples=(3, 2))
add("tile", real(3), multiples=(1,))
add("tile", ints(2, 3), multiples=(0, 2))
add("shape_of", real(2, 3), dtype=dt.int32)
add("dim", real(2, 3), axis=1, dtype=dt.int64)

# ---------------------------------------------------------------- indexing
add("slice", real(5, 3), starts=(1, 0), sizes=(2, 3), strides=(2, 1))
add("slice", real(5, 3), starts=(4, 2), sizes=(5, 2), strides=(-1, -2))
add("slice", real(5, 3), np.int32(2), starts=(None, 0), sizes=(2, 3), strides=(1, 1))
add("slice", real(5, 3), np.int64(4), np.int32(1), starts=(None, None), sizes=(3, 1), strides=(-2, 1))
add("slice", real(5), starts=(5,), sizes=(0,), strides=(1,))
add("slice", f32(real(5)), starts=(0,), sizes=(5,), strides=(1,))
for _name in ("update", "add_at"):
    add(_name, real(5, 3), real(2, 3), starts=(1, 0), strides=(2, 1))
    add(_name, real(5, 3), real(5, 2), starts=(4, 2), strides=(-1, -2))
    add(_name, real(5, 3), real(2, 3), np.int32(2), starts=(None, 0), strides=(1, 1))
    add(_name, ints(5), ints(0), starts=(2,), strides=(1,))
add("gather", real(5, 3), np.array([[1, 4], [4, 0]], np.int32), axis=0, batch_dims=0)
add("gather", real(2, 5, 3), np.array([1, 4, 4], np.int64), axis=1, batch_dims=0)
add("gather", real(2, 3, 5), np.array([[1, 4, 4], [0, 0, 2]]), axis=2, batch_dims=1)
add("gather", real(2, 3, 5), np.array([[1, 4, 4], [0, 0, 2]]), axis=2, batch_dims=2)
add("gather", real(2, 5, 3), np.array([[1, 4], [0, 0]]), axis=1, batch_dims=1)
add("gather", real(5), np.int32(3), axis=0, batch_dims=0)
add("scatter_add", real(5, 3), np.array([1, 4, 1], np.int32), real(3, 3), axis=0, batch_dims=0)
add("scatter_add", real(2, 5, 3), np.array([1, 4]), real(2, 2, 3), axis=1, batch_dims=0)
add("scatter_add", real(2, 3, 5), np.array([[1, 1], [0, 2]]), real(2, 3, 2), axis=2, batch_dims=1)
add("scatter_add", f32(real(5)), np.int32(3), np.float32(2.0), axis=0, batch_dims=0)
add("scatter_update", real(5, 3), np.array([1, 4, 1], np.int32), real(3, 3), axis=0, batch_dims=0)
add("scatter_update", real(2, 5, 3), np.array([1, 4]), real(2, 2, 3), axis=1, batch_dims=0)
add("scatter_update", real(2, 3, 5), np.array([[1, 1], [0, 2]]), real(2, 3, 2), axis=2, batch_dims=1)
add("scatter_update", real(2, 4, 3), np.array([[1, 1], [0, 3]]), real(2, 2, 3), axis=1, batch_dims=1)
add("scatter_update", f32(real(5)), np.int32(3), np.float32(2.0), axis=0, batch_dims=0)
add("one_hot", ints(2, 3, low=0, high=5), np.array(1.5), np.array(-0.5), depth=5, axis=2, dtype=dt.float64)
add("one_hot", np.array([1, -1, 7]), np.array(2.0), np.array(0.0), depth=3, axis=0, dtype=dt.float64)
add("one_hot", np.array([1, 0]), np.bool_(True), np.bool_(False), depth=2, axis=1, dtype=dt.bool_)

# ---------------------------------------------------------------- matrix products
for _ta in (False, True):
    for _tb in (False, True):
        _a, _b = ((5, 3) if _ta else (3, 5)), ((2, 5) if _tb else (5, 2))
        add("matmul", real(*_a), real(*_b), transpose_a=_ta, transpose_b=_tb)
        add("matmul", real(2, *_a), real(*_b), transpose_a=_ta, transpose_b=_tb)
        add("matmul", real(2, 1, *_a), real(3, *_b), transpose_a=_ta, transpose_b=_tb)
        add("matmul", real(*_a), real(2, *_b), transpose_a=_ta, transpose_b=_tb)
add("matmul", ints(2, 3), ints(3, 2), transpose_a=False, transpose_b=False)
add("matmul", f32(real(2, 3)), f32(real(3, 2)), transpose_a=False, transpose_b=False)
add("matmul", f32(real(2, 0)), f32(real(0, 3)), transpose_a=False, transpose_b=False)

# ---------------------------------------------------------------- linear algebra
for _shape in ((), (2,), (2, 3)):
    add("cholesky", definite(*_shape, 3))
    add("eigh", definite(*_shape, 3))
    add("lu", regular(*_shape, 3))
    add("det", regular(*_shape, 3))
    add("slogdet", regular(*_shape, 3))
    add("inv", regular(*_shape, 3))
    for _adjoint in (False, True):
        add("solve", regular(*_shape, 3), real(*_shape, 3, 2), adjoint=_adjoint)
        add("lu_solve", *factors(regular(*_shape, 3)), real(*_shape, 3, 2), adjoint=_adjoint)
        for _lower in (False, True):
            _a = regular(*_shape, 3) + 2 * np.eye(3)
            add("triangular_solve", _a, real(*_shape, 3, 2), lower=_lower, adjoint=_adjoint)
for _n in (0, 1, 2, 5):
    add("cholesky", f32(definite(_n)))
    add("lu", f32(regular(_n)))
    for _name in ("inv", "det", "slogdet"):
        add(_name, f32(regular(_n)))
    add("solve", f32(regular(_n)), f32(real(_n, 3)), adjoint=False)
    add("triangular_solve", f32(regular(_n) + 2 * np.eye(_n)), f32(real(_n, 1)), lower=True, adjoint=False)

# ---------------------------------------------------------------- softmax and cross-entropies
for _name in ("softmax", "log_softmax"):
    add(_name, real(2, 3), axis=1)
    add(_name, real(2, 3, 5), axis=1)
    add(_name, f32(real(3)), axis=0)
add("softmax_cross_entropy", distribution(2, 5), real(2, 5))
add("softmax_cross_entropy", f32(distribution(2, 3)), f32(real(2, 3)))
add("sparse_softmax_cross_entropy", np.array([1, 0, 2], np.int32), real(3, 5))
add("sparse_softmax_cross_entropy", np.array([[1, 0], [2, 2]]), f32(real(2, 2, 3)))

# ---------------------------------------------------------------- creation
add("constant", value=real(2, 3))
add("constant", value=np.array(3, np.int32))
add("iota", shape=(2, 3), axis=1, dtype=dt.int32)
add("iota", shape=(5,), axis=0, dtype=dt.float32)
add("size_value", size=7, dtype=dt.int32)
add("size_value", size=3, dtype=dt.int64)
add("random_bits", np.int64(42), np.int64(7), shape=(2, 3))
add("random_uniform", np.int64(42), np.int64(7), shape=(2, 3), dtype=dt.float32)
add("random_uniform", np.int64(-1), np.int64(2**62), shape=(5,), dtype=dt.float64)

# ---------------------------------------------------------------- run-time sizes
_MASK = np.array([True, False, True, True, False])
add("fit", real(2, 3), shape=(2, 3))
add("fit", ints(2), shape=(2,))
add("compress", real(5), _MASK, axis=0, size=3)
add("compress", real(2, 5, 2), _MASK, axis=1, size=3)
add("compress", bools(5), _MASK, axis=0, size=3)
add("compress", real(2), np.zeros(2, bool), axis=0, size=0)
add("uncompress", real(3), _MASK, axis=0)
add("uncompress", real(2, 3, 2), _MASK, axis=1)
add("uncompress", real(0), np.zeros(2, bool), axis=0)
add("same_size", np.arange(2), np.int64(0))
