"""Nested arguments and results as the native entry sees them: what is opened on the way in and built on the way out.

A call's values are numbered: the positional arguments, the keyword ones, then the items of each `Opened` container in
order. A `Nest` is the shape of a result; its leaves are numbers of the spec's returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OPENED_KINDS = ("tuple", "list", "dict")
NEST_KINDS = ("leaf", "none", "tuple", "list", "dict")
OPENED_WORDS, NEST_WORDS = 5, 3


@dataclass(frozen=True, slots=True)
class Opened:
    """Value `index`, which must be exactly of the type that is object number `type` of the entry, with `count` items.

    kind: "tuple" (or a named tuple: laid out alike), "list" or "dict"; a dict has exactly the `keys` (numbers of
    objects), in this order.
    """

    kind: str
    index: int
    type: int
    count: int
    keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Nest:
    """The shape of a result. kind "leaf": return number `leaf`; "none"; "tuple", "list" and "dict" of `items`; a
    dict with `keys` (numbers of the entry's objects) is a copy of object `like`, a dict that has these keys already."""

    kind: str
    leaf: int = 0
    items: tuple[Nest, ...] = ()
    keys: tuple[int, ...] = ()
    like: int = 0

    def walk(self) -> Iterator[Nest]:
        """This nest and those inside, parents first."""
        yield self
        for item in self.items:
            yield from item.walk()


def check_opened(opened: Sequence[Opened], given: int) -> None:
    """ValueError for containers that refer to what a call does not have; `given`: the number of its arguments."""
    known = given
    for x in opened:
        if x.kind not in OPENED_KINDS:
            raise ValueError(f"opens a {x.kind!r}, which is none of {OPENED_KINDS}")
        if not 0 <= x.index < known:
            raise ValueError(f"opens value {x.index} of {known}")
        if x.count < 0 or len(x.keys) != (x.count if x.kind == "dict" else 0):
            raise ValueError(f"a {x.kind} of {x.count} items with {len(x.keys)} keys")
        known += x.count


def check_nest(nest: Nest, returns: int) -> None:
    """ValueError for a result that refers to a return that is not there, or has items where it may not."""
    for part in nest.walk():
        if part.kind not in NEST_KINDS:
            raise ValueError(f"builds a {part.kind!r}, which is none of {NEST_KINDS}")
        if part.kind == "leaf" and not 0 <= part.leaf < returns:
            raise ValueError(f"leaf {part.leaf} of {returns} returns")
        if part.items and part.kind in ("leaf", "none"):
            raise ValueError(f"a {part.kind} with items")
        if len(part.keys) != (len(part.items) if part.kind == "dict" else 0):
            raise ValueError(f"a {part.kind} of {len(part.items)} items with {len(part.keys)} keys")


def flat_nest(structure: str, returns: int) -> Nest:
    """The result of a plain "tuple" or "list" of all returns, or of "none"."""
    if structure == "none":
        return Nest("none")
    return Nest(structure, items=tuple(Nest("leaf", i) for i in range(returns)))


class Words:
    """Lists of words behind the records of a table, found by their byte offset."""

    def __init__(self, start: int) -> None:
        self._start = start
        self.words: list[int] = []

    def add(self, words: Sequence[int]) -> int:
        """The byte offset of the words, which are appended."""
        at = 8 * (self._start + len(self.words))
        self.words.extend(words)
        return at


def opened_words(x: Opened, objects: Sequence[int], more: Words) -> list[int]:
    """The record of a container. `objects`: where in the context tuple each object is."""
    keys = more.add([objects[k] for k in x.keys])
    return [OPENED_KINDS.index(x.kind), 8 * x.index, objects[x.type], x.count, keys]


def nest_words(nest: Nest, objects: Sequence[int], more: Words) -> list[int]:
    """The records of a result, parents before their items."""
    words: list[int] = []
    for part in nest.walk():
        keys = more.add([objects[k] for k in (part.like, *part.keys)] if part.kind == "dict" else ())
        words += [NEST_KINDS.index(part.kind), part.leaf if part.kind == "leaf" else len(part.items), keys]
    return words


def count_nest(nest: Nest | None) -> int:
    """How many records the result takes."""
    return 0 if nest is None else sum(1 for _ in nest.walk())
