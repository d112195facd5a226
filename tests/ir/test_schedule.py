"""The binomial schedule: against a search over all schedules."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.ir.builder import new_function
from pullback.ir.dims import symbol
from pullback.ir.errors import InvalidArgumentError
from pullback.ir.interpret import interpret
from pullback.ir.schedule import Schedule, Sizes, cheapest, choose, reach, repeats, runs, split_point
from pullback.ir.types import tensor_type
from pullback.ir.verifier import verify


@cache
def least(length: int, slots: int) -> int:
    """The fewest segments run forward to reverse so many, by trying every place for the next state that is kept."""
    if length <= 1:
        return 0
    if slots == 1:
        return length * (length - 1) // 2
    return min(m + least(length - m, slots - 1) + least(m, slots) for m in range(1, length))


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 7, 20])
def test_no_schedule_is_better_than_the_closed_form(slots: int) -> None:
    assert [runs(n, slots) for n in range(50)] == [least(n, slots) for n in range(50)]


def test_the_split_point_is_as_good_as_any() -> None:
    fn, b = new_function("f", [tensor_type("i64"), tensor_type("i64")])
    b.ret([split_point(b, *fn.params)])
    verify(fn)
    for slots in (1, 2, 3, 5, 8):
        for n in range(2, 40):
            m = int(interpret(fn, [np.int64(n), np.int64(slots)])[0])
            assert 1 <= m < n
            if slots == 1:
                assert m == n - 1
            else:
                assert m + least(n - m, slots - 1) + least(m, slots) == least(n, slots)
    far = int(interpret(fn, [np.int64(10**9), np.int64(50)])[0])
    assert reach(50, repeats(10**9, 50)) >= far > 0


def test_reach() -> None:
    assert [reach(3, r) for r in range(4)] == [1, 4, 10, 20]
    assert repeats(11, 3) == 3
    assert (runs(0, 4), runs(1, 4), runs(5, 4)) == (0, 0, 4)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 40), st.integers(80, 2000))
def test_the_cheapest_within_a_budget(trips: int, state: int, step: int, budget: int) -> None:
    found = cheapest(trips, budget, state, step)
    assert isinstance(found.slots, int)
    assert isinstance(found.segment, int)
    assert found.slots * state + found.segment * step <= budget
    rounds = repeats(-(-trips // found.segment), found.slots)
    if rounds:  # nothing within the budget runs segments less often
        for slots in range(1, budget // state + 1):
            longest = (budget - slots * state) // step
            assert longest < 1 or repeats(-(-trips // longest), slots) >= rounds


def test_what_is_not_checkpointed() -> None:
    assert choose({"slots": 5}, Sizes(5, 8, 8)) is None  # every state fits
    assert choose({"slots": 5}, Sizes(1000, 8, 8)) is None  # as little as this is stored anyhow
    assert choose({"bytes": 8000}, Sizes(1000, 8, 8)) is None
    assert choose({"bytes": 7999}, Sizes(1000, 8, 8)) is not None


def test_slots_take_as_much_memory_as_residuals() -> None:
    assert choose({"slots": 10}, Sizes(1000, 80_000, 20_000)) == Schedule(10, 40)
    assert choose({"slots": 10}, Sizes(100, 80_000, 20_000)) == Schedule(3, 40)  # more would stay empty
    assert choose({"slots": 10}, Sizes(None, 80_000, 20_000)) == Schedule(10, 40)
    assert choose({"slots": 10}, Sizes(1000, 80_000, None)) == Schedule(10, 1)  # stacks: their size is not known
    n = symbol("n")
    assert choose({"slots": 10}, Sizes(None, 8 * n, 8 * n)) == Schedule(10, 10)
    assert choose({"slots": 4, "segment": 1}, Sizes(3, 8, 8)) == Schedule(4, 1)


def test_budgets() -> None:
    million = choose({"bytes": 200_000_000}, Sizes(10**6, 8000, 8000))
    assert million is not None
    assert repeats(-(-(10**6) // int(str(million.segment))), int(str(million.slots))) == 1
    unknown = choose({"bytes": 200_000_000}, Sizes(None, 8000, 8000))
    assert unknown is not None
    n = symbol("n")
    sized = choose({"bytes": 1000}, Sizes(None, 8 * n, 16 * n))
    assert sized is not None
    assert [sized.slots.substitute({"n": k}) for k in (0, 1, 5, 1000)] == [500, 62, 12, 1]  # type: ignore[union-attr]
    assert [sized.segment.substitute({"n": k}) for k in (0, 1, 5, 1000)] == [500, 31, 6, 1]  # type: ignore[union-attr]
    with pytest.raises(InvalidArgumentError, match=r"budget of 1,000 bytes is too small: one state .* takes 900 bytes"):
        choose({"bytes": 1000}, Sizes(100, 900, 200))
