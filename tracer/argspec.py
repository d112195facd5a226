"""Argument lists as text, for the command line and `inspect`: `f32[100], f32[n, 3], scale=2.0, (f32[], i32[2])`.

list  = [ item { "," item } ] ;     item  = [ name "=" ] value ;
value = type | "(" list ")" | "[" list "]" | a Python literal ;
type  = dtype "[" [ dim { "," dim } ] "]" | dtype ;      dim: a number or a name, which stands for any size
"""

from __future__ import annotations

import ast
import re
from typing import Any

from ..ir.dims import parse_dim
from ..ir.dtypes import as_dtype
from .spec import TensorSpec

_TYPE = re.compile(r"([A-Za-z]\w*)\s*(?:\[(.*)\])?", re.DOTALL)
_KEYWORD = re.compile(r"([A-Za-z_]\w*)\s*=(.*)", re.DOTALL)
_LITERAL_NAMES = ("True", "False", "None")


def parse_arguments(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments: specs for types, Python values for literals.

    Raises:
      ValueError: for text that is not of that form; names the part that is wrong.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for item in split_items(text):
        keyword = _KEYWORD.fullmatch(item)
        if keyword is not None:
            kwargs[keyword[1]] = parse_value(keyword[2])
        elif kwargs:
            raise ValueError(f"positional argument {item!r} after a named one")
        else:
            args.append(parse_value(item))
    return tuple(args), kwargs


def split_items(text: str) -> list[str]:
    """The parts between commas that stand outside of brackets and quotes."""
    items: list[str] = []
    depth, quote, start = 0, "", 0
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth < 0:
                raise ValueError(f"unbalanced {c!r} in arguments {text!r}")
        elif c == "," and not depth:
            items.append(text[start:i].strip())
            start = i + 1
    if depth or quote:
        raise ValueError(f"unbalanced {quote or 'bracket'} in arguments {text!r}")
    last = text[start:].strip()
    if last:
        items.append(last)
    if any(not item for item in items):
        raise ValueError(f"an argument is missing between commas in {text!r}")
    return items


def parse_value(text: str) -> Any:
    """One value: a TensorSpec, a tuple or list of values, or a Python literal."""
    text = text.strip()
    match = _TYPE.fullmatch(text)
    if match is not None and text not in _LITERAL_NAMES:
        return _parse_type(text, match[1], match[2])
    if text[:1] == "(" and text[-1:] == ")":
        return tuple(parse_value(v) for v in split_items(text[1:-1]))
    if text[:1] == "[" and text[-1:] == "]":
        return [parse_value(v) for v in split_items(text[1:-1])]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{text!r} is no argument: write a type such as f32[100] or a Python literal") from None


def _parse_type(text: str, dtype: str, dims: str | None) -> TensorSpec:
    try:
        kind = as_dtype(dtype)
    except TypeError:
        raise ValueError(
            f"{text!r} is no type: '{dtype}' is not a dtype; write f32, f64, i32, i64, bool or another dtype's name"
        ) from None
    shape = []
    for d in split_items(dims or ""):
        try:
            size = parse_dim(d)
        except ValueError:
            raise ValueError(f"{text!r} is no type: {d!r} is not a size; write a number or a name such as n") from None
        if isinstance(size, int) and size < 0:
            raise ValueError(f"{text!r} is no type: the size {d} is negative")
        shape.append(size)
    return TensorSpec(shape, kind)
