"""Opaque steps and data-dependent reads: matrix products, gather, scatter, writes into slots, argmax, scans,
random bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.codegen.compile import compile_function
from pullback.codegen.errors import Unsupported
from pullback.codegen.pipeline import optimise
from pullback.ir.dtypes import float32, float64, int8, int32, int64
from pullback.ir.errors import InvalidArgumentError
from pullback.ir.graph import Loc

from .compiled import array, check, function

NUMBERS = ["float32", "float64", "int32", "int64"]


def product(b: Any, x: Any, y: Any, ta: bool = False, tb: bool = False) -> Any:
    """A matmul."""
    return b.matmul(x, y, transpose_a=ta, transpose_b=tb)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("sizes", [(4, 5, 6), (1, 20, 6), (50, 20, 1), (1, 1, 1), (33, 65, 17), (5, 0, 3), (0, 4, 3)])
def test_matrix_products(sizes: tuple[int, int, int], flags: tuple[bool, bool], dtype: str) -> None:
    m, k, n = sizes
    x = array((k, m) if flags[0] else (m, k), dtype)
    y = array((n, k) if flags[1] else (k, n), dtype, 1)
    check(lambda b, x, y: product(b, x, y, *flags), x, y, tolerance=1e-5)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_scatter_of_scalars_that_lie_in_no_buffer(dtype: str) -> None:
    """A number made on the way, at a fixed index or at one made on the way."""
    x, i = array((5,), dtype), np.array(3, np.int32)

    def build(b: Any, x: Any, i: Any) -> Any:
        v = b.reduce_sum(x, axes=(0,), keepdims=False) * 2
        two = b.const(np.array(2), int32)
        return [b.scatter_add(x, j, v + 1, axis=0, batch_dims=0) for j in (two, i - 1)]

    check(build, x, i, tolerance=1e-5)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_batched_products_broadcast(dtype: str) -> None:
    for left, right in (((4, 3, 5), (5, 6)), ((4, 1, 3, 5), (2, 5, 6)), ((3, 5), (2, 5, 6)), ((7, 3, 5), (7, 5, 6))):
        check(product, array(left, dtype), array(right, dtype, 1), tolerance=1e-5)
        turned = (*left[:-2], left[-1], left[-2])
        check(lambda b, x, y: product(b, x, y, True), array(turned, dtype), array(right, dtype, 1), tolerance=1e-5)


def test_transposes_become_flags() -> None:
    x, y = array((20, 6)), array((33, 20), seed=1)

    def build(b: Any, x: Any, y: Any) -> Any:
        return product(b, b.transpose(x, perm=(1, 0)), y, False, True)

    exe = check(build, x, y, tolerance=1e-5)
    assert "kernel" not in exe.kernels


def test_products_beside_kernels() -> None:
    def build(b: Any, x: Any, w: Any, bias: Any) -> Any:
        h = b.relu(product(b, x, w) + bias)
        return [h, b.reduce_sum(product(b, h, w, False, True), axes=(0,), keepdims=False)]

    check(build, array((32, 20)), array((20, 11), seed=1), array((11,), seed=2), tolerance=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_gather_and_its_adjoint(dtype: str) -> None:
    x = array((33, 20))
    rows = array((6,), dtype) % 33
    picks = array((2, 3), dtype, 1) % 20
    check(
        lambda b, x, i, j: [
            b.gather(x, i, axis=0, batch_dims=0), b.gather(x, j, axis=1, batch_dims=0) * 2.0,
            b.gather(b.tanh(x), i, axis=0, batch_dims=0),
            b.gather(b.transpose(x, perm=(1, 0)), j, axis=0, batch_dims=0),
        ],
        x, rows, picks, tolerance=1e-6,
    )  # fmt: skip
    v, w = array((6, 20), seed=3), array((33, 2, 3), seed=4)
    check(
        lambda b, x, i, j, v, w: [
            b.scatter_add(x, i, v, axis=0, batch_dims=0), b.scatter_add(x, j, w, axis=1, batch_dims=0),
        ],
        x, rows, picks, v, w, tolerance=1e-6,
    )  # fmt: skip


def test_gather_with_batch_dimensions_and_scalars() -> None:
    x, picks = array((33, 20)), array((33,), "int64") % 20
    check(lambda b, x, i: b.gather(x, i, axis=1, batch_dims=1), x, picks)
    check(lambda b, x, i, v: b.scatter_add(x, i, v, axis=1, batch_dims=1), x, picks, array((33,), seed=1))
    three = np.asarray(3, np.int32)
    check(lambda b, x, i: [b.gather(x, i, axis=0, batch_dims=0), b.gather(x, i, axis=1, batch_dims=0)], x, three)
    check(lambda b, x, i, v: b.scatter_add(x, i, v, axis=1, batch_dims=0), x, three, array((33,), seed=1))
    y, j = array((4, 5, 6, 3)), array((4, 2), "int32") % 6
    check(lambda b, y, j: b.gather(y, j, axis=2, batch_dims=1), y, j)
    check(lambda b, y, j, v: b.scatter_add(y, j, v, axis=2, batch_dims=1), y, j, array((4, 5, 2, 3), seed=1))


def test_repeated_indices_add_up_in_order() -> None:
    i = np.array([2, 2, 2, 0, 2], np.int64)
    check(lambda b, x, i, v: b.scatter_add(x, i, v, axis=0, batch_dims=0), array((3, 40)), i, array((5, 40), seed=1))


def test_windows_with_computed_starts() -> None:
    x, v, start = array((33, 20)), array((4, 5), seed=1), np.asarray(5, np.int32)

    def build(b: Any, x: Any, i: Any, v: Any) -> Any:
        window = b.slice(x, i, i, starts=(None, None), sizes=(4, 5), strides=(2, -1))
        updated = b.update(x, v, i, starts=(None, 2), strides=(1, 3))
        twice = b.add_at(b.update(x, v, starts=(0, 1), strides=(7, 1)), v * 2.0, i, starts=(2, None), strides=(1, 1))
        return [window, updated, twice, b.reduce_sum(window * v, axes=(0, 1), keepdims=False)]

    check(build, x, start, v, tolerance=1e-6)


@pytest.mark.parametrize("start", [-1, 30, 2**31 - 1, -(2**31)])
def test_an_index_out_of_range_is_an_error_that_names_the_line(start: int) -> None:
    x, i = array((33, 20)), np.asarray(start, np.int32)
    builds: list[Any] = [
        lambda b, x, i: b.slice(x, i, starts=(None, 0), sizes=(4, 20), strides=(1, 1)) * 2.0,
        lambda b, x, i: b.update(x, b.const(np.ones((4, 20)), float32), i, starts=(None, 0), strides=(1, 1)),
        lambda b, x, i: b.slice(b.gather(x, i, axis=1, batch_dims=0), starts=(0,), sizes=(1,), strides=(1,)),
        lambda b, x, i: b.scatter_add(x, i, b.const(np.ones(33), float32), axis=1, batch_dims=0),
    ]
    for build in builds:
        fn = function(build, [x, i])
        for k, op in enumerate(fn.body.ops):
            op.loc = Loc("model.py", 10 + k)
        exe = compile_function(optimise(fn))
        with pytest.raises(InvalidArgumentError, match=r"model\.py:1"):
            exe.run([x, i])


@pytest.mark.parametrize("shape", [(4, 5, 6), (3, 1, 40), (2, 50, 1), (1, 17, 33)])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_argmax_and_argmin(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    x = array(shape, dtype)
    check(lambda b, x: [b.argmax(x, axis=axis, dtype=int64), b.argmin(x, axis=axis, dtype=int32)], x)
    if dtype.startswith("float"):
        x[0, 0, 0] = x[-1, -1, -1] = np.nan
        check(lambda b, x: [b.argmax(x, axis=axis, dtype=int64), b.argmin(x, axis=axis, dtype=int64)], x)


@pytest.mark.parametrize("shape", [(4, 5, 6), (3, 1, 40), (2, 50, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_scans(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    x = array(shape, dtype)

    def build(b: Any, x: Any) -> Any:
        sums = [b.cumsum(x, axis=axis, exclusive=e, reverse=r) for e in (False, True) for r in (False, True)]
        return [*sums, b.linear_scan(x, x, axis=axis, reverse=False), b.linear_scan(x, x, axis=axis, reverse=True)]

    check(build, x, tolerance=1e-12)


def test_random_numbers_are_those_of_the_interpreter() -> None:
    def build(b: Any, key: Any, counter: Any) -> Any:
        return [
            b.random_bits(key, counter, shape=(5, 7)), b.random_uniform(key, counter, shape=(100,), dtype=float32),
            b.random_uniform(key, counter, shape=(3, 33), dtype=float64),
            b.random_uniform(key, counter, shape=(), dtype=float64), b.random_bits(key, counter, shape=(0, 2)),
        ]  # fmt: skip

    check(build, np.asarray(77, np.int64), np.asarray(-3, np.int64))


def test_iota_along_each_axis() -> None:
    def build(b: Any, x: Any) -> Any:
        kinds = (int32, int64, float32, float64)
        return [b.iota(shape=(3, 40), axis=a, dtype=d) for a in (0, 1) for d in kinds]

    check(build, np.zeros((), np.float32))


def test_unsupported_ops_and_dtypes_name_op_and_line() -> None:
    for dtype in ("float16", "int8", "uint32"):
        fn = function(lambda b, x: x + x, [np.ones(3, dtype)])
        fn.body.ops[0].loc = Loc("model.py", 7)
        with pytest.raises(Unsupported, match=dtype):
            compile_function(optimise(fn))
    fn = function(lambda b, x: b.cast(b.abs(b.cast(x, dtype=int8)), dtype=float32), [array((3,))])
    fn.body.ops[1].loc = Loc("model.py", 9)
    with pytest.raises(Unsupported, match=r"'cast'.*int8|'abs' at model\.py:9.*int8"):
        compile_function(optimise(fn))
