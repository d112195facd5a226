"""Threefry-2x32 with 20 rounds in machine code: the counter-based random bits of `ir/threefry.py`, lane by
lane.

Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC11). Each (key, counter) pair
gives its own 64 bits, so any lane, thread or block of a random array can be computed alone.
"""

from __future__ import annotations

from ..ir.threefry import PARITY, ROTATIONS
from .emitter import Emitter, Reg


def random_bits(em: Emitter, key: Reg, counter: Reg) -> Reg:
    """64 random bits per lane: Threefry-2x32-20 of i64 key and i64 counter, each packed low word | high word << 32."""
    k0, k1 = _halves(em, key)
    keys = (k0, k1, em.xor(em.xor(k0, k1), PARITY))
    x0, x1 = _halves(em, counter)
    x0, x1 = em.add(x0, k0), em.add(x1, k1)
    for block in range(5):
        for amount in ROTATIONS[block % 2]:
            x0 = em.add(x0, x1)
            x1 = em.xor(em.intrinsic("fshl", x1, x1, em.const(amount, "i32")), x0)
        x0 = em.add(x0, keys[(block + 1) % 3])
        x1 = em.add(em.add(x1, keys[(block + 2) % 3]), block + 1)
    low, high = em.convert("zext", x0, "i64"), em.convert("zext", x1, "i64")
    return em.or_(low, em.shl(high, 32))


def _halves(em: Emitter, packed: Reg) -> tuple[Reg, Reg]:
    return em.convert("trunc", packed, "i32"), em.convert("trunc", em.lshr(packed, 32), "i32")
