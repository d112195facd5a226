"""Nested structures."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pullback as pb

Point = namedtuple("Point", "x y")
leaves = st.integers() | st.none() | st.text(max_size=2)
structures = st.recursive(
    leaves,
    lambda s: (
        st.lists(s, max_size=3)
        | st.tuples(s, s)
        | st.dictionaries(st.text(max_size=2), s, max_size=3)
        | st.builds(Point, s, s)
    ),
    max_leaves=8,
)


@given(structures)
def test_round_trip(s: Any) -> None:
    flat = pb.nest.flatten(s)
    assert pb.nest.pack_sequence_as(s, flat) == s
    assert pb.nest.map_structure(lambda x: x, s) == s
    pb.nest.assert_same_structure(s, s)


def test_order_and_types() -> None:
    s = {"b": [1, (2, 3)], "a": 4}
    assert pb.nest.flatten(s) == [4, 1, 2, 3]
    assert pb.nest.map_structure(lambda x: x * 2, s) == {"a": 8, "b": [2, (4, 6)]}
    assert pb.nest.map_structure(lambda a, b: a + b, [1, 2], [3, 4]) == [4, 6]
    packed = pb.nest.pack_sequence_as(OrderedDict(z=0, a=0), [1, 2])
    assert list(packed.items()) == [("z", 2), ("a", 1)]
    assert isinstance(packed, OrderedDict)
    assert pb.nest.pack_sequence_as(defaultdict(list, k=1), [5])["new"] == []
    assert pb.nest.flatten(None) == [None]
    assert pb.nest.is_nested([1])
    assert not pb.nest.is_nested("ab")


def test_refused() -> None:
    with pytest.raises(ValueError, match="2 atoms"):
        pb.nest.pack_sequence_as([1, 2], [1])
    with pytest.raises(TypeError):
        pb.nest.pack_sequence_as([1], 3)
    with pytest.raises(ValueError, match="same nested structure"):
        pb.nest.assert_same_structure([1], [1, 2])
    with pytest.raises(TypeError):
        pb.nest.assert_same_structure([1], (1,))
    pb.nest.assert_same_structure([1], (1,), check_types=False)
    with pytest.raises(ValueError, match="keys"):
        pb.nest.assert_same_structure({"a": 1}, {"b": 1})
    with pytest.raises(TypeError, match="sortable"):
        pb.nest.flatten({"a": 1, 2: 3})
