"""Nested structures: apart and together again."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import pytest

from pullback.tracer.structure import LEAF, flatten, map_structure

Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Box:
    low: Any
    high: Any = 3


CASES: list[tuple[Any, list[Any]]] = [
    (1, [1]),
    (None, []),
    ([1, 2], [1, 2]),
    ((1, [2, 3], ()), [1, 2, 3]),
    ({"b": 1, "a": 2}, [2, 1]),
    (Point(1, (2, None)), [1, 2]),
    (collections.OrderedDict([("z", 1), ("a", [2])]), [2, 1]),
    (Box(1, [2]), [1, 2]),
    ({1: "x", "a": "y"}, ["x", "y"]),
]


@pytest.mark.parametrize(("value", "leaves"), CASES, ids=repr)
def test_round_trip(value: Any, leaves: list[Any]) -> None:
    structure, found = flatten(value)
    assert found == leaves
    assert structure.size == len(leaves)
    again = structure.pack(found)
    assert again == value
    assert type(again) is type(value)


def test_dict_keeps_the_order_it_was_written_in() -> None:
    structure, leaves = flatten({"b": 1, "a": 2})
    assert list(structure.pack(leaves)) == ["b", "a"]
    assert structure == flatten({"a": 5, "b": 6})[0]


def test_defaultdict_keeps_its_factory() -> None:
    d: collections.defaultdict[str, list[int]] = collections.defaultdict(list, {"a": [1]})
    again = map_structure(lambda x: x + 1, d)
    assert again == {"a": [2]}
    assert again["new"] == []


def test_equality_tells_kinds_apart() -> None:
    kinds = [1, [1], (1,), {"a": 1}, Point(1, 2), [1, 2], [None]]
    structures = [flatten(k)[0] for k in kinds]
    assert structures[0] == LEAF
    assert len(set(structures)) == len(structures)


def test_leaf_predicate_stops_the_descent() -> None:
    structure, leaves = flatten([(1, 2), 3], lambda x: isinstance(x, tuple))
    assert leaves == [(1, 2), 3]
    assert repr(structure) == "[*, *]"
