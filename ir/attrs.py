"""Attribute values as data: sizes replaced, symbols found, a key that tells different values apart.

Attribute values are ints, floats, bools, strings, None, dtypes, symbolic sizes, arrays, functions, and tuples of those.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from .dims import Dim, DimLike
from .graph import Attrs, Function
from .literals import bits


def resolve(value: Any, sizes: Mapping[str, DimLike]) -> Any:
    """An attribute value with the named sizes replaced."""
    if isinstance(value, Dim):
        return value.substitute(sizes)
    if isinstance(value, (tuple, list)):
        return tuple(resolve(v, sizes) for v in value)
    return value


def resolve_attrs(attrs: Attrs, sizes: Mapping[str, DimLike]) -> Attrs:
    """All attributes with the named sizes replaced."""
    return {k: resolve(v, sizes) for k, v in attrs.items()} if attrs else {}


def attr_symbols(value: Any) -> frozenset[str]:
    """Names of the sizes in an attribute value or a dict of them."""
    if isinstance(value, Dim):
        return value.symbols
    if isinstance(value, dict):
        return attr_symbols(tuple(value.values()))
    if isinstance(value, (tuple, list)) and value:
        return frozenset().union(*map(attr_symbols, value))
    return frozenset()


LARGE = 1 << 16  # bytes: arrays above are told apart by identity, which costs nothing
_PLAIN = {int: "int", str: "str", bool: "bool", type(None): "NoneType"}  # most attributes are one of these


def attr_key(value: Any) -> Hashable:
    """A key, equal for values that are the same to the bit: 0.0 and -0.0 differ, as do 1, True and 1.0."""
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain, value
    if isinstance(value, (tuple, list)):
        return tuple(map(attr_key, value))
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, complex):
        return "complex", struct.pack("<dd", value.real, value.imag)
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.nbytes > LARGE:
            return "array", id(value)
        content = tuple(array.reshape(-1).tolist()) if array.dtype == object else bits(array)
        return "array", str(array.dtype), array.shape, content
    if isinstance(value, Function):
        return "function", id(value)
    return type(value).__name__, value


def attrs_key(attrs: Attrs) -> Hashable:
    """A key of all attributes."""
    return tuple((k, attr_key(attrs[k])) for k in sorted(attrs)) if attrs else ()
