"""Index arithmetic: every map must pick the element that NumPy picks, and simplification must not change a value."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.codegen.index_map import (
    Index,
    Quot,
    Rem,
    Var,
    atom,
    bounds,
    broadcast,
    divide,
    flatten,
    levels_of,
    reshaped,
    substitute,
    unflatten,
    variable,
)


def value(e: Index, at: dict[int, int]) -> int:
    """The number that an index is for given loop variables."""
    total = e.const
    for a, c in e.terms.items():
        if isinstance(a, Var):
            total += c * at[a.level]
        elif isinstance(a, Quot):
            total += c * (value(a.of, at) // a.by)
        else:
            assert isinstance(a, Rem)
            total += c * (value(a.of, at) % a.by)
    return total


EXTENTS = (3, 4, 5)


@st.composite
def indices(draw: st.DrawFn, depth: int = 2) -> Index:
    """A never negative expression in three loop variables."""
    e = Index(draw(st.integers(0, 30)))
    for level, n in enumerate(EXTENTS):
        e = e + variable(level, n).times(draw(st.integers(0, 25)))
    for _ in range(draw(st.integers(0, depth))):
        quotient, rest = divide(e, draw(st.integers(1, 24)))
        e = draw(st.sampled_from([quotient, rest, quotient + rest, rest.times(3) + quotient]))
    return e


@given(indices(), st.integers(1, 60))
def test_division_is_exact_everywhere(e: Index, by: int) -> None:
    quotient, rest = divide(e, by)
    low, high = bounds(e)
    for point in itertools.product(*map(range, EXTENTS)):
        at = dict(enumerate(point))
        n = value(e, at)
        assert low <= n <= high
        assert (value(quotient, at), value(rest, at)) == divmod(n, by)
        assert value(quotient.times(by) + rest, at) == n


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_reshapes_pick_the_elements_that_numpy_picks(shape: list[int], data: st.DataObject) -> None:
    size = int(np.prod(shape))
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    first = data.draw(st.sampled_from(divisors))
    second = data.draw(st.sampled_from([d for d in divisors if (size // first) % d == 0]))
    out = (first, second, size // first // second)
    at = tuple(variable(k, n) for k, n in enumerate(out))
    places = reshaped(at, out, shape)
    source = np.arange(size).reshape(shape)
    for point in itertools.product(*map(range, out)):
        where = tuple(value(i, dict(enumerate(point))) for i in places)
        assert source[where] == source.reshape(out)[point]


def test_what_was_cut_meets_again() -> None:
    i = variable(0, 24)
    parts = unflatten(i, (2, 3, 4))
    assert any(type(a) is not Var for part in parts for a in part.terms)
    assert flatten(parts, (2, 3, 4)) == i
    j = flatten((variable(0, 2), variable(1, 3), variable(2, 4)), (2, 3, 4))
    assert unflatten(j, (2, 3, 4)) == (variable(0, 2), variable(1, 3), variable(2, 4))
    assert unflatten(j, (6, 4)) == (flatten((variable(0, 2), variable(1, 3)), (2, 3)), variable(2, 4))


def test_broadcast_drops_what_is_repeated() -> None:
    at = (variable(0, 7), variable(1, 5), variable(2, 4))
    assert broadcast(at, (7, 5, 4), (5, 1)) == (at[1], Index())
    assert broadcast(at, (7, 5, 4), (7, 5, 4)) is at
    assert broadcast(at, (7, 5, 4), ()) == ()


def test_substitution_and_levels() -> None:
    e = atom(Quot(variable(0, 10) + variable(1, 7), 3)) + variable(2, 4).times(5)
    assert levels_of(e) == {0, 1, 2}
    moved = substitute(e, {0: variable(3, 30), 1: Index()})
    assert levels_of(moved) == {2, 3}
    for k in range(30):
        assert value(moved, {2: 1, 3: k}) == k // 3 + 5


def test_loops_of_one_trip_have_no_variable() -> None:
    assert variable(3, 1) == Index()
    assert hash(variable(3, 1)) == hash(Index())
    with pytest.raises(KeyError):
        value(variable(3, 2), {})
