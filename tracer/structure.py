"""Nested Python structures: taken apart into leaves and put together again.

Lists, tuples, named tuples, dicts (leaves in the order of sorted keys, as TensorFlow), dataclasses and attrs classes
are structure; everything else is a leaf. A `Structure` is compared by value, so it can be part of a cache's key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..runtime.stacked import StackedList

LEAF: Structure


class Structure:
    """What is left of a nested value when its leaves are taken out.

    Attributes:
      kind: leaf, none, list, tuple, namedtuple, dict or record. type: the Python type to build again.
      keys: dict keys (sorted) or field names. children: the structures of the items. size: the number of leaves.
    """

    __slots__ = ("children", "keys", "kind", "order", "pack", "size", "type")

    def __init__(
        self, kind: str, type: Any, keys: tuple[Any, ...], children: tuple[Structure, ...], order: tuple[Any, ...] = ()
    ) -> None:
        self.kind, self.type, self.keys, self.children = kind, type, keys, children
        self.order = order  # of a dict's keys, as it was written; makes no difference to equality
        self.size: int = 1 if kind == "leaf" else sum(c.size for c in children)
        self.pack: Callable[[list[Any]], Any] = _packer(self)

    def build(self, leaves: Iterator[Any]) -> Any:
        """The value with the next leaves of an iterator in their places."""
        if self.kind == "leaf":
            return next(leaves)
        if self.kind == "none":
            return None
        return rebuild(self, [c.build(leaves) for c in self.children])

    def _as_tuple(self) -> tuple[Any, ...]:
        return (self.kind, self.type, self.keys, self.children)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Structure) and self._as_tuple() == other._as_tuple())

    def __hash__(self) -> int:
        return hash((self.kind, self.type, self.keys, self.children))

    def __repr__(self) -> str:
        return repr(self.build(iter(["*"] * self.size))).replace("'*'", "*")


def _packer(s: Structure) -> Callable[[list[Any]], Any]:
    """The quickest way to put leaves together for the common shapes of structure."""
    if s.kind == "leaf":
        return lambda leaves: leaves[0]
    if s.kind == "list" and s.type is list and all(c.kind == "leaf" for c in s.children):
        return list
    if s.kind == "tuple" and all(c.kind == "leaf" for c in s.children):
        return tuple
    return lambda leaves: s.build(iter(leaves))


LEAF = Structure("leaf", None, (), ())
NONE = Structure("none", None, (), ())


def rebuild(s: Structure, items: list[Any]) -> Any:
    """A value of the structure's type with these items."""
    if s.kind == "list":
        return items
    if s.kind == "tuple":
        return tuple(items)
    if s.kind == "namedtuple":
        return s.type(*items)
    if s.kind == "record":
        return record(s.type, dict(zip(s.keys, items, strict=True)))
    found = dict(zip(s.keys, items, strict=True))
    pairs = {k: found[k] for k in s.order}
    if s.type is dict:
        return pairs
    if isinstance(s.type, tuple):  # defaultdict and its factory
        return s.type[0](s.type[1], pairs)
    return s.type(pairs)


def record(cls: Any, values: dict[str, Any]) -> Any:
    """A dataclass or attrs object with the field values, made without running `__init__`."""
    new = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(new, name, value)
    return new


def sorted_keys(x: Mapping[Any, Any]) -> list[Any]:
    """The keys of a dict in sorted order; in their own order where they cannot be compared."""
    try:
        return sorted(x)
    except TypeError:
        return list(x)


def fields_of(x: Any) -> tuple[str, ...] | None:
    """The field names of a dataclass or attrs object; None for anything else."""
    cls = type(x)
    if dataclasses.is_dataclass(cls):
        return tuple(f.name for f in dataclasses.fields(cls) if hasattr(x, f.name))
    attrs = getattr(cls, "__attrs_attrs__", None)
    return None if attrs is None else tuple(a.name for a in attrs)


def describe(x: Any) -> tuple[Structure | None, list[Any]]:
    """One level of structure: what it is (children not filled in) and its items; (None, []) for a leaf."""
    cls = type(x)
    if isinstance(x, (list, StackedList)):
        return _level("list", cls), list(x)
    if isinstance(x, tuple):
        return _level("namedtuple" if hasattr(cls, "_fields") else "tuple", cls), list(x)
    if isinstance(x, Mapping):
        keys = sorted_keys(x)
        factory = getattr(x, "default_factory", None)
        kind = (cls, factory) if factory is not None else cls
        return Structure("dict", kind, tuple(keys), (), tuple(x)), [x[k] for k in keys]
    if x is not None and not isinstance(x, type):
        names = fields_of(x)
        if names is not None:
            return _level("record", cls, names), [getattr(x, n) for n in names]
    return None, []


def _level(kind: str, type: Any, keys: Iterable[Any] = ()) -> Structure:
    return Structure(kind, list if kind == "list" else type, tuple(keys), ())


def flatten(x: Any, leaf: Callable[[Any], bool] = lambda x: False) -> tuple[Structure, list[Any]]:
    """A nested value's structure and leaves. None is structure. `leaf` marks values not to be opened."""
    leaves: list[Any] = []
    return _flatten(x, leaves, leaf), leaves


def _flatten(x: Any, leaves: list[Any], leaf: Callable[[Any], bool]) -> Structure:
    if x is None:
        return NONE
    top, items = (None, []) if leaf(x) else describe(x)
    if top is None:
        leaves.append(x)
        return LEAF
    return Structure(top.kind, top.type, top.keys, tuple(_flatten(v, leaves, leaf) for v in items), top.order)


def map_structure(fn: Callable[[Any], Any], x: Any, leaf: Callable[[Any], bool] = lambda x: False) -> Any:
    """The same nested value with `fn` applied to each leaf."""
    structure, leaves = flatten(x, leaf)
    return structure.pack([fn(v) for v in leaves])
