"""First fit in the arena, against a list that is searched anew each time; sizes with names leave few guards."""

from __future__ import annotations

import random

import pytest

from pullback.codegen.free_space import FreeSpace
from pullback.ir.dims import symbol
from pullback.ir.sizes import Session


def lowest(used: list[tuple[int, int, int]], size: int, floor: int) -> int:
    at = floor
    for offset, taken, _ in sorted(used):
        if offset - at >= size:
            break
        at = max(at, offset + taken)
    return at


@pytest.mark.parametrize("seed", range(20))
def test_the_lowest_place_with_room(seed: int) -> None:
    rng = random.Random(seed)
    space, used, floor = FreeSpace(128), list[tuple[int, int, int]](), 128
    for event in range(400):
        space.release(event)
        used = [u for u in used if u[2] >= event]
        for _ in range(rng.randrange(3)):
            size, end = 64 * rng.randrange(1, 9), event + rng.randrange(40)
            dying = [u for u in used if u[2] == event]
            if dying and rng.random() < 0.5:
                old = rng.choice(dying)
                used.remove(old)
                used.append((old[0], old[1], end))
                space.renew(old[0], end)
                continue
            at = space.take(size, end)
            assert at == lowest(used, size, floor)
            used.append((at, size, end))


def test_what_is_freed_joins_its_neighbours() -> None:
    space = FreeSpace(0)
    assert [space.take(64, end) for end in (3, 1, 2, 9)] == [0, 64, 128, 192]
    space.release(3)
    assert space.take(128, 9) == 64  # the second and the third, freed in turn
    space.release(10)
    assert space.take(1 << 20, 11) == 0


def test_named_sizes() -> None:
    session = Session({"n": 1000, "m": 10})
    n, m = session.size(symbol("n")), session.size(symbol("m"))
    space = FreeSpace(64)
    assert space.take(4 * n, 1) == 64
    assert space.take(8 * m, 5) == 64 + 4 * n
    assert space.take(4 * n, 1) == 64 + 4 * n + 8 * m
    space.release(2)
    assert not session.guards
    assert space.take(4 * n, 4) == 64  # fits exactly, whatever n is
    space.release(5)
    assert space.take(8 * m, 9) == 64
    assert session.guards  # that n is large enough
    assert not session.pinned
    assert space.take(4 * n - 8 * m, 9) == 64 + 8 * m
