"""Compiled sorting and searching against NumPy: lines sorted by insertion and by merging, ties, signed zeros, NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.codegen.errors import Unsupported
from pullback.ir.dtypes import int32, int64

from .compiled import Array, array, check

DTYPES = ["float32", "float64", "int32", "int64"]


def lines(n: int, dtype: str, seed: int = 0) -> Array:
    """Elements of which many are equal."""
    x = np.random.default_rng([seed, n]).integers(-n // 3 - 1, n // 3 + 2, n).astype(dtype)
    if dtype.startswith("float") and n > 6:
        x[[1, 4, 5]] = np.nan, np.inf, -np.inf
        x[x == 1] = -0.0
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 100, 1000, 4097])
def test_lines_of_all_lengths(n: int, dtype: str) -> None:
    x = lines(n, dtype)

    def build(b: Any, x: Any) -> list[Any]:
        return [b.argsort(x, axis=0, descending=d, dtype=t) for d in (False, True) for t in (int32, int64)]

    got = check(build, x).run([x])
    assert [g.dtype.name for g in got] == ["int32", "int64"] * 2
    np.testing.assert_array_equal(x[got[0]], np.sort(x))
    backwards = x[got[2]]
    np.testing.assert_array_equal(backwards, np.sort(x)[::-1])
    ties = np.diff(got[2])[backwards[1:] == backwards[:-1]]
    assert (ties > 0).all()  # stable in descending order, too


def test_sorted_and_reversed_lines() -> None:
    for x in (np.arange(1000.0), np.arange(1000.0)[::-1].copy(), np.zeros(1000)):
        check(lambda b, x: b.argsort(x, axis=0, descending=False, dtype=int32), x)


def test_small_numbers_and_the_ends_of_integers() -> None:
    tiny = np.array([5e-324, 0.0, -5e-324, 1e-310, -1e-310])
    order = check(lambda b, x: b.argsort(x, axis=0, descending=False, dtype=int32), tiny).run([tiny])[0]
    np.testing.assert_array_equal(order, [4, 2, 1, 0, 3])
    for dtype in ("int32", "int64"):
        info = np.iinfo(dtype)
        ends = np.array([0, info.max, info.min, -1, info.max], dtype)
        check(lambda b, x: [b.argsort(x, axis=0, descending=d, dtype=int64) for d in (False, True)], ends)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_axis(axis: int, dtype: str) -> None:
    check(lambda b, x: b.argsort(x, axis=axis, descending=True, dtype=int32), array((5, 40, 3), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 100])
def test_searches(n: int, dtype: str) -> None:
    rows = np.sort(np.stack([lines(n, dtype, k) for k in range(2)]), 1)
    values = np.stack([lines(23, dtype, k + 2) for k in range(2)])
    check(lambda b, s, v: [b.searchsorted(s, v, right=r, dtype=t) for r in (False, True) for t in (int32, int64)],
          rows, values)  # fmt: skip


def test_sorting_between_kernels_and_in_place_of_nothing() -> None:
    """The workspace shares no memory with what is alive."""

    def build(b: Any, x: Any, y: Any) -> list[Any]:
        z = b.tanh(x + y)
        first = b.argsort(z, axis=0, descending=False, dtype=int64)
        w = b.gather(z, first, axis=0, batch_dims=0) * y
        second = b.argsort(w, axis=0, descending=True, dtype=int32)
        return [b.gather(w, second, axis=0, batch_dims=0), z + w, first, second]

    check(build, array((500,), "float64"), array((500,), "float64", 1), tolerance=1e-13)


def test_bool_has_no_form() -> None:
    with pytest.raises(Exception, match="numeric") as e:
        check(lambda b, x: b.argsort(x, axis=0, descending=False, dtype=int32), array((5,), "bool"))
    assert not isinstance(e.value, Unsupported)
