"""Attribute values and array constants as text, both directions in one place.

    1  -3  0.5  nan  -inf       int, float (the shortest text that reads back as the same number)
    true  false  none  "text"   bool, None, string; b"bytes"; complex(1.0, -2.0)
    [a, b]                      tuple (a list is read back as a tuple)
    f32   n - 1                 dtype; symbolic size (`dim(...)` around one that could be taken for another word)
    array(LITERAL : i32[2, 2])  ndarray; the op `constant` writes LITERAL alone, as its type follows anyway

An array's LITERAL is a number, nested lists, `splat NUMBER` (all elements alike) or `base64 "..."` (the elements'
little-endian bytes).
"""

from __future__ import annotations

import ast
import base64
from typing import Any

import numpy as np

from . import dtypes
from .dims import Dim
from .dtypes import DType, as_dtype
from .types import TensorType, type_of_array

LIST_LIMIT = 64  # arrays of more elements are written as `splat` or `base64`
RESERVED = {"true", "false", "none", "nan", "inf", "array", "complex", "dim", "splat", "base64"}
DTYPE_WORDS = {d.short: d for d in dtypes.ALL}


def print_attr(value: Any) -> str:
    """The text of an attribute value.

    Raises:
      TypeError: for a value that has no text form.
    """
    if value is None or isinstance(value, (bool, np.bool_)):
        return "none" if value is None else str(bool(value)).lower()
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, (complex, np.complexfloating)):
        return f"complex({value.real!r}, {value.imag!r})" if isinstance(value, complex) else print_attr(complex(value))
    if isinstance(value, (str, bytes)):
        return quote(value)
    if isinstance(value, DType):
        return value.short
    if isinstance(value, Dim):
        plain = not any(s in RESERVED or s in DTYPE_WORDS for s in value.symbols)
        return str(value) if plain else f"dim({value})"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(print_attr, value))}]"
    if isinstance(value, np.ndarray):
        return f"array({print_array(value)} : {type_of_array(value)})"
    raise TypeError(f"an attribute of type {type(value).__name__} has no text form: {value!r}")


def quote(text: str | bytes) -> str:
    """A string between double quotes, with escapes that Python reads back."""
    if isinstance(text, bytes):
        body = "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\x{c:02x}" for c in text)
        return f'b"{body}"'
    body = "".join(c if c.isprintable() and c not in '"\\' else _escape(c) for c in text)
    return f'"{body}"'


def _escape(c: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}.get(c)
    n = ord(c)
    return named or (f"\\x{n:02x}" if n < 256 else f"\\u{n:04x}" if n < 65536 else f"\\U{n:08x}")


def unquote(token: str) -> str | bytes:
    """The string that `quote` wrote. Raises ValueError for a bad escape."""
    try:
        value = ast.literal_eval(token)
    except (SyntaxError, ValueError) as e:
        raise ValueError(f"not a string: {token}") from e
    assert isinstance(value, (str, bytes))
    return value


def print_array(array: np.ndarray[Any, Any]) -> str:
    """An array's LITERAL; dtype and shape are to be written beside it."""
    dtype = as_dtype(array.dtype)
    if array.size > LIST_LIMIT and dtype != dtypes.string:
        first = array.reshape(-1)[:1]
        if bits(np.broadcast_to(first, array.shape)) == bits(array):
            return f"splat {print_element(first[0], dtype)}"
        return f'base64 "{base64.b64encode(bits(array)).decode("ascii")}"'
    return _nested(array, dtype)


def _nested(array: Any, dtype: DType) -> str:
    if array.ndim == 0:
        return print_element(array[()], dtype)
    return f"[{', '.join(_nested(array[i, ...], dtype) for i in range(array.shape[0]))}]"


def bits(array: np.ndarray[Any, Any]) -> bytes:
    """The elements' bytes, little-endian, in C order."""
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def print_element(x: Any, dtype: DType) -> str:
    """One element, as short as its dtype allows."""
    if dtype.is_bool:
        return "true" if x else "false"
    if dtype.is_integer:
        return str(int(x))
    if dtype == dtypes.string:
        return quote(x)
    if dtype.is_complex:
        part = dtypes.float32 if dtype == dtypes.complex64 else dtypes.float64
        return f"complex({print_element(x.real, part)}, {print_element(x.imag, part)})"
    if dtype == dtypes.float64:
        return repr(float(x))
    text = str(x)
    # A decimal text is read through f64 first; where that would round twice, the exact f64 digits are written.
    back = np.asarray(float(text)).astype(dtype.np)[()]
    return text if back == x or back != back else repr(float(x))


def build_array(literal: Any, type: TensorType) -> np.ndarray[Any, Any]:
    """The array of nested Python values, or of what `Splat` and `Base64` hold; read-only.

    Raises:
      ValueError: when the number of elements or their kind does not fit the type.
    """
    if not type.is_static:
        raise ValueError(f"an array constant needs a static shape, not {type}")
    shape = tuple(int(d) for d in type.shape if not isinstance(d, Dim))
    np_dtype = type.dtype.np
    if isinstance(literal, Splat):
        array = np.full(shape, _elements([literal.value], type.dtype)[0], np_dtype)
    elif isinstance(literal, Base64):
        little = np_dtype if np_dtype.byteorder != ">" else np_dtype.newbyteorder("<")
        array = np.frombuffer(base64.b64decode(literal.text, validate=True), little).astype(np_dtype).reshape(shape)
    else:
        flat = np.empty(_count(shape), np_dtype)
        flat[...] = _elements(_flatten(literal, shape), type.dtype)
        array = flat.reshape(shape)
    array.setflags(write=False)
    return array


def _count(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _flatten(literal: Any, shape: tuple[int, ...]) -> list[Any]:
    """Elements of nested tuples of exactly that shape (one dimension of 0 ends the nesting)."""
    level = [literal]
    for d in shape:
        if any(not isinstance(x, tuple) or len(x) != d for x in level):
            raise ValueError(f"the array literal does not have the shape {list(shape)}")
        level = [y for x in level for y in x]
    if any(isinstance(x, tuple) for x in level):
        raise ValueError(f"the array literal does not have the shape {list(shape)}")
    return level


_KINDS: dict[str, tuple[type, ...]] = {
    "f": (int, float), "c": (int, float, complex), "i": (int,), "u": (int,), "b": (bool,), "s": (str, bytes),
}  # fmt: skip


def _elements(xs: list[Any], dtype: DType) -> Any:
    """The elements as an array of the dtype. Raises ValueError for one of another kind or out of range."""
    for x in xs:
        if not isinstance(x, _KINDS[dtype.kind]) or (isinstance(x, bool) and not dtype.is_bool):
            raise ValueError(f"{print_attr(x)} is no element of {dtype.short}")
        if dtype.is_integer and not dtype.min <= x <= dtype.max:
            raise ValueError(f"{x} does not fit into {dtype.short}")
    out = np.empty(len(xs), dtype.np)
    with np.errstate(over="ignore"):
        for i, x in enumerate(xs):
            out[i] = x
    return out


class Splat:
    """`splat NUMBER` as read."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Base64:
    """`base64 "..."` as read."""

    def __init__(self, text: str) -> None:
        self.text = text
