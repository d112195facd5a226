"""What `pb.function(checkpoint=...)` may be given, as the attributes that loops get: a number of states to keep, or a
budget of memory for states and residuals."""

from __future__ import annotations

import re
from typing import Any

from ..ir.graph import Attrs

_UNITS = {"": 1, **{p + "b": 1000**n for n, p in enumerate(("", "k", "m", "g", "t"))},
          **{p + "ib": 1024**n for n, p in enumerate(("k", "m", "g", "t"), 1)}}  # fmt: skip
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_EXAMPLES = 'give a number of slots such as 20, or a budget such as "256MB" or "64KiB"'


def marks(checkpoint: Any) -> Attrs:
    """The attributes for a loop.

    Raises:
      TypeError: for something that is neither None, an int nor a str. ValueError: for a number below 1, or text that is
        no amount of memory.
    """
    if checkpoint is None:
        return {}
    if isinstance(checkpoint, str):
        return {"bytes": amount(checkpoint)}
    if isinstance(checkpoint, bool) or not hasattr(type(checkpoint), "__index__"):
        raise TypeError(f"checkpoint={checkpoint!r} is a {type(checkpoint).__name__}: {_EXAMPLES}")
    slots = checkpoint.__index__()
    if slots < 1:
        raise ValueError(f"checkpoint={slots} keeps no state: {_EXAMPLES}")
    return {"slots": slots}


def amount(text: str) -> int:
    """The bytes that a text such as "256MB" names; KB, MB, GB, TB are powers of 1000, KiB, MiB, ... of 1024.

    Raises:
      ValueError: for another text, or less than one byte.
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"checkpoint={text!r} is no amount of memory: {_EXAMPLES}")
    unit = _UNITS.get(found[2].lower())
    if unit is None:
        raise ValueError(f"checkpoint={text!r}: there is no unit {found[2]!r}; units are B, KB, MB, GB, KiB, MiB, GiB")
    size = int(float(found[1]) * unit) if "." in found[1] else int(found[1]) * unit
    if size < 1:
        raise ValueError(f"checkpoint={text!r} leaves no memory: {_EXAMPLES}")
    return size
