"""Nested structures: lists, tuples, named tuples, dicts and dataclass-like records of leaves, flattened and rebuilt.

As in TensorFlow a dict's leaves come in the order of its sorted keys, and anything else (tensors, arrays, None, text)
is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a list, tuple or mapping rather than a leaf."""
    return isinstance(structure, (list, tuple, Mapping))


def _keys(mapping: Any) -> list[Any]:
    try:
        return sorted(mapping)
    except TypeError as e:
        raise TypeError(f"nest only supports dicts with sortable keys, got {list(mapping)!r}") from e


def _children(structure: Any) -> list[Any]:
    return [structure[k] for k in _keys(structure)] if isinstance(structure, Mapping) else list(structure)


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves, in order. A leaf alone gives a list of one."""
    out: list[Any] = []
    _flatten(structure, out)
    return out


def _flatten(structure: Any, out: list[Any]) -> None:
    if not is_nested(structure):
        out.append(structure)
        return
    for child in _children(structure):
        _flatten(child, out)


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """The structure with its leaves replaced by the items of `flat_sequence`.

    Raises:
      ValueError: another number of items than leaves. TypeError: `flat_sequence` is no sequence.
    """
    if not is_nested(flat_sequence):
        raise TypeError(
            f"Attempted to pack value:\n  {flat_sequence!r}\ninto a structure, but found incompatible type "
            f"`{type(flat_sequence).__name__}` instead of a sequence."
        )
    items = list(flat_sequence)
    want = len(flatten(structure))
    if want != len(items):
        raise ValueError(
            f"Could not pack sequence. Structure had {want} atoms, but flat_sequence had {len(items)} items. "
            f"Structure: {structure!r}, flat_sequence: {items!r}."
        )
    return _pack(structure, iter(items))


def _pack(structure: Any, items: Iterator[Any]) -> Any:
    if not is_nested(structure):
        return next(items)
    if isinstance(structure, Mapping):
        found = {k: _pack(structure[k], items) for k in _keys(structure)}
        return _rebuild_mapping(structure, found)
    parts = [_pack(child, items) for child in structure]
    return rebuild_sequence(structure, parts)


def _rebuild_mapping(structure: Any, found: dict[Any, Any]) -> Any:
    ordered = {k: found[k] for k in structure}
    if type(structure) is dict:
        return ordered
    if hasattr(structure, "default_factory"):
        return type(structure)(structure.default_factory, ordered)
    return type(structure)(ordered)


def rebuild_sequence(structure: Any, parts: list[Any]) -> Any:
    """A sequence of the same type with other items."""
    if hasattr(structure, "_fields"):
        return type(structure)(*parts)
    return parts if type(structure) is list else type(structure)(parts)


def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False) -> None:
    """Raises ValueError for another number or arrangement of leaves, TypeError for other container types."""
    try:
        _assert_same(nest1, nest2, check_types)
    except (ValueError, TypeError) as e:
        raise type(e)(
            f"The two structures don't have the same nested structure.\n\nFirst structure: {nest1!r}\n\n"
            f"Second structure: {nest2!r}\n\nMore specifically: {e}"
        ) from None


def _assert_same(a: Any, b: Any, types: bool) -> None:
    if is_nested(a) != is_nested(b):
        raise ValueError(f"{a!r} and {b!r}: one is a structure, the other a leaf")
    if not is_nested(a):
        return
    if types and type(a) is not type(b) and not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        raise TypeError(f"{a!r} is of type {type(a).__name__}, {b!r} of type {type(b).__name__}")
    if isinstance(a, Mapping) and isinstance(b, Mapping) and set(a) != set(b):
        raise ValueError(f"the dictionaries have different keys: {_keys(a)} and {_keys(b)}")
    x, y = _children(a), _children(b)
    if len(x) != len(y):
        raise ValueError(f"{a!r} has {len(x)} items, {b!r} has {len(y)}")
    for p, q in zip(x, y, strict=True):
        _assert_same(p, q, types)


def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """The structure of `func`'s results on corresponding leaves. Errors as `assert_same_structure`."""
    if not callable(func):
        raise TypeError(f"func must be callable, got {func!r}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    check = kwargs.pop("check_types", True)
    kwargs.pop("expand_composites", None)
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types=check)
    rows = zip(*(flatten(s) for s in structure), strict=True)
    return pack_sequence_as(structure[0], [func(*row) for row in rows])
