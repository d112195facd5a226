"""Vectors divided by constants: the bits of NumPy's division, for every significand and at the ends of the range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen.emitter import Emitter, Reg

RNG = np.random.default_rng(5)
DIVISORS = [3.0, -3.0, 5.0, 6.0, 7.0, 10.0, -12.0, 100.0, 641.0, 1000.0, 1023.0, 1024.0, 1.0, 2.0, 1025.0, 1.5, 0.1]


def same_bits(found: Any, expected: Any) -> None:
    bits = {4: np.uint32, 8: np.uint64}[expected.dtype.itemsize]
    found = np.asarray(found)
    off = (found.view(bits) != expected.view(bits)) & ~(np.isnan(found) & np.isnan(expected))
    assert not off.any(), f"{off.sum()} differ"


def quotients(x: Any, y: float) -> None:
    with np.errstate(all="ignore"):
        expected = x / x.dtype.type(y)
    same_bits(pb.function(lambda t: t / y)(x), expected)


@pytest.mark.parametrize("y", [3.0, 6.0, 10.0, 1023.0])
@pytest.mark.parametrize("first", [0x00000000, 0x80000000, 0x00800000, 0x3F800000, 0x7E800000, 0x7F000000])
def test_every_float32_of_a_binade(y: float, first: int) -> None:
    quotients(np.arange(first, first + (1 << 23) + 9, dtype=np.uint32).view(np.float32), y)


@pytest.mark.parametrize("y", DIVISORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number(y: float, dtype: Any) -> None:
    info = np.finfo(dtype)
    bits = np.dtype(f"u{info.bits // 8}")
    anything = RNG.integers(0, 2 ** (info.bits - 1), 200_001, dtype=np.uint64)
    small = RNG.integers(0, 2 ** (info.nmant + 2), 100_000, dtype=np.uint64)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.min, info.tiny, -info.tiny], dtype)
    least = np.arange(5000, dtype=np.uint64)
    for x in (anything, small, least):
        quotients(x.astype(bits).view(dtype), y)
        quotients(-x.astype(bits).view(dtype), y)
    quotients(special, y)
    quotients(np.tile(special, 7), y)


@pytest.mark.parametrize("y", [3.0, 6.0])
def test_quotients_near_a_change_of_rounding(y: float) -> None:
    """x next to (q + half an ulp) * y: where an error of the least size would show."""
    q = RNG.uniform(1, 2, 100_000)
    x = (q + np.spacing(q) / 2) * y
    for k in range(-3, 4):
        quotients(x + k * np.spacing(x), y)


def test_what_is_emitted() -> None:
    def text(y: Reg, lanes: int = 8, fma: bool = True) -> str:
        from pullback.codegen.division import divide

        em = Emitter(lanes, fma=fma)
        divide(em, Reg("%x", "double"), y)
        return em.module_text() + "\n".join(em.body.lines)

    em = Emitter(8)
    assert "fdiv" not in text(em.const(3.0, "double"))
    assert "call <8 x double> @pb.div" in text(em.const(6.0, "double"))  # ties among subnormal numbers
    for y in (em.const(1.5, "double"), em.const(4.0, "double"), em.const(1025.0, "double"), Reg("%y", "double")):
        assert "fdiv" in text(y)
    assert "fdiv" in text(em.const(3.0, "double"), fma=False)
    assert "fdiv" in text(Emitter(0).const(3.0, "double"), lanes=0)
