"""Threefry-2x32-20 against the known answers published with Random123, and simple statistics."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.ir.threefry import threefry2x32

# kat_vectors of Random123: "threefry2x32 20", counter words, key words, result words.
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def pack(words: tuple[int, int]) -> int:
    return words[0] | words[1] << 32


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter: tuple[int, int], key: tuple[int, int], result: tuple[int, int]) -> None:
    assert int(threefry2x32(pack(key), pack(counter))) == pack(result)
    as_array = threefry2x32(np.uint64(pack(key)), np.full((2, 3), pack(counter), np.uint64))
    assert as_array.shape == (2, 3)
    assert as_array.dtype == np.uint64
    assert (as_array == pack(result)).all()


def test_signed_arrays_count_by_their_bits() -> None:
    assert threefry2x32(np.int64(-1), np.int64(-1)) == threefry2x32(2**64 - 1, 2**64 - 1)


def test_every_bit_is_set_half_of_the_time() -> None:
    bits = threefry2x32(7, np.arange(20000))
    shares = [float(((bits >> np.uint64(k)) & np.uint64(1)).mean()) for k in range(64)]
    assert min(shares) > 0.48
    assert max(shares) < 0.52
    assert len(np.unique(bits)) == bits.size


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        threefry2x32(0, np.zeros(3))
