"""Values and addresses that are used far from where they were made: through memory, with the same results."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from pullback.codegen import far

from .compiled import array, check
from .test_regions_random import DONATE, nest, same


@pytest.fixture
def everything_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "FAR", 1)
    monkeypatch.setattr(far, "PAGE", 1)


def chain(b: Any, x: Any) -> Any:
    """Values from the beginning are read at the end, in the opposite order, as a reverse pass does."""
    made = [x]
    for _ in range(12):
        made.append(b.sin(made[-1]) * x + made[len(made) // 2])
    for v in reversed(made):
        x = x * v + made[3]
    return x, made[5]


def numbers_and_arrays(b: Any, x: Any, s: Any) -> Any:
    total = s
    arrays = []
    for _ in range(6):
        x = b.sin(x * b.broadcast_to(total, shape=(33,)))
        arrays.append(x)
        total = total + b.reduce_sum(x, axes=(0,), keepdims=False)
    for a in reversed(arrays):
        total = total * s + b.reduce_sum(a, axes=(0,), keepdims=False)
        x = x * b.broadcast_to(total, shape=(33,))
    return x, total, arrays[0]


def integers(b: Any, x: Any, y: Any) -> Any:
    made = [b.floordiv(x, y)]  # a divisor may be zero: a way out, and another block after it
    for _ in range(5):
        made.append(made[-1] * 3 - b.floordiv(x, y + 1))
    for v in reversed(made):
        x = x + v
    return x


@pytest.mark.usefixtures("everything_is_far")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalars(dtype: str) -> None:
    text = check(chain, array((), dtype), tolerance=1e-5 if dtype == "float32" else 1e-12).llvm
    assert "%far3 = alloca" in text
    assert " = load " in text


@pytest.mark.usefixtures("everything_is_far")
def test_numbers_and_arrays() -> None:
    text = check(numbers_and_arrays, array((33,)), array(()), tolerance=1e-4).llvm
    assert text.count("load volatile ptr, ptr %base") > 3


@pytest.mark.usefixtures("everything_is_far")
def test_ways_out() -> None:
    check(integers, np.array(17, np.int32), np.array(3, np.int32))


@pytest.mark.usefixtures("everything_is_far")
@pytest.mark.parametrize("seed", range(60))
def test_programs_with_loops_and_branches(seed: int) -> None:
    rng = random.Random(seed)
    same(nest(rng.randrange, 12), rng.randrange(6), rng.choice(DONATE))


def test_short_programs_use_neither() -> None:
    text = check(numbers_and_arrays, array((33,)), array(()), tolerance=1e-4).llvm
    assert "alloca float" not in text
    assert "volatile" not in text
