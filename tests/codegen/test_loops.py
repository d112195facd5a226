"""Loop nests: every size around the lane counts, every dtype, strided and permuted reads, all kinds of reductions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from .compiled import DTYPES, SIZES, array, check

NUMBERS = [d for d in DTYPES if d != "bool"]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("n", SIZES)
def test_arithmetic_is_bit_equal_at_every_size(n: int, dtype: str) -> None:
    x, y = array((n,), dtype), array((n,), dtype, 1)
    check(lambda b, x, y: [x * y + x, (x - y) * y, b.maximum(x, y), b.lt(x, y)], x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [5, 16, 1003])
def test_division_and_square_root_are_bit_equal(n: int, dtype: str) -> None:
    x, y = array((n,), dtype), array((n,), dtype, 1)
    check(lambda b, x, y: [x / y, b.sqrt(x * x + y * y), x * y + x - x / y], x, y)


@pytest.mark.parametrize("n", SIZES)
def test_math_functions_and_their_sum(n: int) -> None:
    x = array((n,))

    def build(b: Any, x: Any) -> Any:
        y = b.tanh(x) * b.exp(-x * x) + b.sin(x)
        return [y, b.reduce_sum(y, axes=(0,), keepdims=False)]

    check(build, x, tolerance=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_reductions_of_a_vector(n: int, dtype: str) -> None:
    x = array((n,), dtype)
    if dtype == "bool":
        check(
            lambda b, x: [b.reduce_any(x, axes=(0,), keepdims=False), b.reduce_all(x, axes=(0,), keepdims=True)], x
        )
        check(lambda b, x: [b.reduce_all(b.logical_or(x, b.logical_not(x)), axes=(0,), keepdims=False)], x)
        return
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    kinds = ["reduce_sum", "reduce_prod"] + (["reduce_max", "reduce_min"] if n else [])
    for kind in kinds:
        check(lambda b, x, k=kind: getattr(b, k)(x, axes=(0,), keepdims=False), x, tolerance=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [a for r in range(5) for a in itertools.combinations(range(4), r)])
def test_reductions_over_every_set_of_axes(axes: tuple[int, ...], keepdims: bool, dtype: str) -> None:
    x = array((3, 5, 4, 19), dtype)

    def build(b: Any, x: Any) -> Any:
        return [
            b.reduce_sum(x, axes=axes, keepdims=keepdims), b.reduce_max(x * x, axes=axes, keepdims=keepdims), x + x,
        ]  # fmt: skip

    check(build, x, tolerance=2e-6)


def test_full_row_and_column_reductions_of_one_array() -> None:
    def build(b: Any, x: Any) -> Any:
        y = b.exp(x)
        return [b.reduce_sum(y, axes=a, keepdims=False) for a in ((0, 1), (0,), (1,))] + [y]

    for shape in ((300, 40), (40, 300), (1, 5000), (5000, 1), (4097, 3), (3, 4097)):
        check(build, array(shape), tolerance=1e-5)


@pytest.mark.parametrize("shape", [(3_000_001,), (200_001, 3), (3, 200_001), (70_001, 20)])
def test_long_sums_of_f32_go_from_block_to_block_in_f64(shape: tuple[int, ...]) -> None:
    # One running f32 sum of these is wrong by 1e-3 and more; a block of 256 additions by 256 * 2**-25 at the worst.
    x = np.full(shape, 0.1, np.float32)
    axis = int(np.argmax(shape))
    exe = check(lambda b, x: b.reduce_sum(x, axes=(axis,), keepdims=False), x, tolerance=1e-2)
    exact = float(np.float32(0.1)) * shape[axis]
    assert np.abs(exe.run([x])[0].astype(float) - exact).max() <= 256 * 2.0**-25 * exact


@pytest.mark.parametrize("kind", ["reduce_max", "reduce_min", "reduce_sum", "reduce_prod"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", [0, 16, 36, 99])
def test_nan_and_infinity_in_reductions(kind: str, dtype: str, place: int) -> None:
    for special in (np.nan, np.inf, -np.inf):
        x = array((100,), dtype)
        x[place] = special
        check(lambda b, x: getattr(b, kind)(x, axes=(0,), keepdims=False), x, tolerance=1e-5)


@pytest.mark.parametrize("perm", list(itertools.permutations(range(3))))
def test_permuted_axes(perm: tuple[int, ...]) -> None:
    x = array((5, 18, 7))
    check(
        lambda b, x: [(y := b.transpose(x, perm=perm)) * 2.0, b.reduce_sum(y, axes=(1,), keepdims=False)],
        x, tolerance=1e-5,
    )  # fmt: skip


def test_transposed_beside_straight() -> None:
    x, y = array((37, 21)), array((21, 37))
    check(lambda b, x, y: [x + b.transpose(y, perm=(1, 0)), b.transpose(x, perm=(1, 0)) * y], x, y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_slices_with_steps_and_reversals(dtype: str) -> None:
    x = array((33, 40), dtype)

    def build(b: Any, x: Any) -> Any:
        return [
            b.slice(x, starts=(2, 39), sizes=(10, 20), strides=(3, -2)),
            b.slice(x, starts=(32, 0), sizes=(33, 5), strides=(-1, 8)),
            b.slice(x, starts=(0, 39), sizes=(33, 40), strides=(1, -1)),
            b.reverse(x, axes=(0, 1)),
            b.reverse(b.slice(x, starts=(0, 3), sizes=(4, 17), strides=(1, 1)), axes=(1,)),
        ]

    check(build, x)


def test_broadcasting_of_sizes_one() -> None:
    x, row, column, one = array((33, 20)), array((20,), seed=1), array((33, 1), seed=2), array((1, 1), seed=3)

    def build(b: Any, x: Any, row: Any, column: Any, one: Any) -> Any:
        return [x + row, x * column + one, row * column, b.broadcast_to(one, shape=(4, 33, 20)) + x, one + one]

    check(build, x, row, column, one)


def test_pad_and_concat_as_choices_inside_a_kernel() -> None:
    x, y = array((9, 20)), array((9, 3), seed=1)

    def build(b: Any, x: Any, y: Any) -> Any:
        fill = b.const(1.5, x.type.dtype)
        return [
            b.pad(x, fill, low=(1, 2), high=(3, 0)) * 2.0,
            b.reduce_sum(b.pad(x, low=(0, 1), high=(2, 0)), axes=(0,), keepdims=False),
            b.concat(x, y, axis=1) * 2.0,
            b.concat(x, x * 2.0, axis=0),
            b.concat(b.exp(x), y, x, y, axis=1),
            b.reduce_max(b.concat(b.tanh(x), y, axis=1), axes=(1,), keepdims=False),
            b.pad(b.reshape(x, shape=(180,)), low=(17,), high=(0,)),
        ]

    check(build, x, y, tolerance=1e-5)


def test_reshapes_that_do_not_line_up() -> None:
    x, row = array((33, 20)), array((20,), seed=1)

    def build(b: Any, x: Any, row: Any) -> Any:
        y = b.reshape(x + row, shape=(3, 11, 4, 5))
        t = b.reshape(b.transpose(x, perm=(1, 0)), shape=(66, 10))
        return [
            y, b.transpose(y, perm=(2, 0, 3, 1)) * 2.0, b.reduce_sum(y, axes=(1, 3), keepdims=False), t + t,
            b.reshape(x * 2.0, shape=(11, 60)) + 1.0, b.reduce_sum(t, axes=(0,), keepdims=True),
        ]  # fmt: skip

    check(build, x, row, tolerance=1e-5)


def test_bools_are_bytes_in_memory() -> None:
    c, x, y = array((3, 37), "bool"), array((3, 37)), array((37,), seed=1)

    def build(b: Any, c: Any, x: Any, y: Any) -> Any:
        return [
            b.where(c, x, y), b.logical_and(c, b.gt(x, y)), b.cast(c, dtype=x.type.dtype) * 3.0,
            b.reduce_any(b.gt(x, y), axes=(1,), keepdims=False), b.transpose(c, perm=(1, 0)),
        ]  # fmt: skip

    exe = check(build, c, x, y)
    assert set(np.unique(exe.run([c, x, y])[1].view(np.uint8))) <= {0, 1}


def test_casts_between_all_dtypes_in_one_kernel() -> None:
    from pullback.ir.dtypes import as_dtype

    for source in DTYPES:
        x = array((21,), source) if source != "bool" else array((21,), "bool")
        check(lambda b, x: [b.cast(x, dtype=as_dtype(d)) for d in DTYPES], x)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 3), (3, 5, 7), (40, 17)])
def test_collapsed_loops_under_maps_that_split_dimensions(shape: tuple[int, ...]) -> None:
    """The gradient of a tile: sums over copies, read through reshapes which see the indices that were collapsed."""
    multiples = tuple(k % 2 + 2 for k in range(len(shape)))
    spread = tuple(d for m, s in zip(multiples, shape, strict=True) for d in (m, s))
    x, x64 = array(shape), array(shape, "float64")

    def build(b: Any, x: Any) -> Any:
        copies = b.tile(x, multiples=multiples)
        split = b.reshape(copies + copies, shape=spread)
        flipped = b.reverse(b.reshape(x, shape=(1, *shape)), axes=tuple(range(1, len(shape) + 1)))
        apart = b.reshape(flipped, shape=(*shape[:-1], 1, shape[-1]))
        first = b.reduce_sum(split, axes=tuple(range(0, len(spread), 2)), keepdims=False)
        return [first, apart * apart]

    check(build, x, tolerance=1e-5)
    check(build, x64, tolerance=1e-12)


def wide_sum(b: Any, x: Any) -> Any:
    """Long enough for one vector per trip, and for vectors on the stack."""
    y = b.tanh(x) * b.exp(-(x * x)) + b.sin(x)
    return y, b.reduce_sum(y, axes=(0,), keepdims=False)


def test_whole_vectors_have_no_rest() -> None:
    once, blocks, rest = (check(wide_sum, array((n,)), tolerance=1e-4).llvm for n in (4096, 8192 + 64, 8192 + 1))
    assert once.count("fdiv") == blocks.count("fdiv") == rest.count("fdiv")


def test_long_nests_align_the_stack() -> None:
    assert "alignstack(" in check(wide_sum, array((100,)), tolerance=1e-4).llvm
    assert "alignstack(" not in check(lambda b, x: x * x, array((100,))).llvm
