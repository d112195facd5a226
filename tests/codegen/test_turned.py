"""Arrays that lie along one level and are stored along another: read in rows and turned in registers, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen import threads
from pullback.codegen.compile import Executable

from .compiled import array, check_function, function

TYPES = ["float32", "float64", "int32", "int64"]


@pytest.fixture(autouse=True)
def _default_afterwards() -> Iterator[None]:
    before = threads.chosen_threads()
    yield
    threads.set_threads(before)


def check(build: Any, *arrays: np.ndarray[Any, Any], squares: bool = True) -> Executable:
    code = check_function(function(build, arrays), arrays)
    assert (" in squares" in code.kernels) is squares, code.kernels
    return code


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("shape", "perm"),
    [
        ((64, 64), (1, 0)),
        ((33, 50), (1, 0)),
        ((16, 127), (1, 0)),
        ((131, 17), (1, 0)),
        ((3, 40, 29), (0, 2, 1)),
        ((21, 40, 29), (2, 1, 0)),
        ((40, 3, 29), (2, 1, 0)),
        ((29, 30, 40), (2, 0, 1)),
        ((4, 20, 6, 7), (0, 2, 3, 1)),
        ((4, 6, 7, 20), (0, 3, 1, 2)),
        ((2, 18, 3, 19), (2, 3, 0, 1)),
    ],
)
def test_transposes(shape: tuple[int, ...], perm: tuple[int, ...], dtype: str) -> None:
    check(lambda b, x: b.transpose(x, perm=perm), array(shape, dtype))


def test_with_other_operands_and_several_results() -> None:
    def build(b: Any, x: Any, y: Any, r: Any) -> Any:
        t = b.transpose(x, perm=(1, 0))
        return t * y + r, t - r

    check(build, array((70, 45)), array((45, 70), seed=1), array((45, 1), seed=2))


def test_two_arrays_that_are_turned() -> None:
    check(lambda b, x, y: b.transpose(x, perm=(1, 0)) + b.transpose(y, perm=(1, 0)), array((37, 50)), array((37, 50)))


def test_parts_of_an_array() -> None:
    """Rows that begin anywhere, and whose steps are not the array's."""
    def build(b: Any, x: Any) -> Any:
        part = b.slice(x, starts=(3, 5), sizes=(40, 61), strides=(2, 1))
        return b.transpose(part, perm=(1, 0))

    check(build, array((90, 70)))


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: b.transpose(b.tanh(x) * b.exp(x), perm=(1, 0)),  # much to compute
        lambda b, x: b.transpose(b.slice(x, starts=(0, 0), sizes=(60, 4), strides=(1, 1)), perm=(1, 0)),  # too narrow
        lambda b, x: b.transpose(b.slice(x, starts=(0, 0), sizes=(60, 30), strides=(1, 2)), perm=(1, 0)),  # no rows
        lambda b, x: b.neg(x),  # nothing to turn
    ],
)
def test_what_does_not_go_in_squares(build: Any) -> None:
    code = check_function(function(build, [array((60, 70))]), [array((60, 70))], 1e-6)
    assert " in squares" not in code.kernels


def test_bytes_are_read_one_by_one() -> None:
    check(lambda b, x: b.transpose(x, perm=(1, 0)), array((60, 70), "bool"), squares=False)
    check(lambda b, x: b.transpose(x > 0.0, perm=(1, 0)), array((60, 70)))  # stored as bytes


def test_an_update_is_left_alone() -> None:
    def build(b: Any, x: Any, y: Any) -> Any:
        return b.update(y, b.transpose(x, perm=(1, 0)), starts=(2, 3), strides=(1, 1))

    check(build, array((50, 40)), array((60, 70), seed=1), squares=False)


@pytest.mark.parametrize("shape", [(700, 650), (5, 333, 257), (40, 65, 129)])
def test_threads_do_whole_squares(shape: tuple[int, ...]) -> None:
    x = array(shape)
    perm = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    for n in (1, 2, 3):
        threads.set_threads(n)
        code = check(lambda b, x: b.transpose(x, perm=perm), x)
        assert "pieces" in code.kernels


def test_sizes_with_names() -> None:
    @pb.function
    def turned(x: Any, y: Any) -> Any:
        return pb.transpose(x) + y

    for n, m in ((40, 50), (61, 70), (64, 64), (33, 129), (300, 517)):
        x, y = array((n, m)), array((m, n), seed=1)
        np.testing.assert_array_equal(turned(pb.constant(x), pb.constant(y)).numpy(), x.T + y)
