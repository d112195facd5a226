"""Sizes that code reads at run time: a table of 64-bit words, whose address comes behind those of the parameters.

A size with a name (`ir.sizes`) is written as `%size.K`, K being its number in the table. What the number is for a
call, Python computes when the code is bound to the sizes of that call (`bound.Bound`), so that code only loads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SIZE = re.compile(r"%size\.(\d+)")
NAME = "%sizes"
TABLE = f"ptr {NAME}"


def numbers(lines: Sequence[str]) -> list[int]:
    """The numbers of the sizes that some lines of code use, ascending."""
    return sorted({int(k) for line in lines for k in _SIZE.findall(line)})


def loads(used: Sequence[int]) -> list[str]:
    """Lines that load the sizes with these numbers."""
    out = []
    for k in used:
        out.append(f"  %size.at.{k} = getelementptr i64, {TABLE}, i64 {k}")
        out.append(f"  %size.{k} = load i64, ptr %size.at.{k}, align 8")
    return out


def in_main(lines: Sequence[str], params: int) -> list[str]:
    """What comes before the lines of `main`, which has so many parameters: the address of the table, and loads."""
    used = numbers(lines)
    if not used and not any(TABLE in line for line in lines):
        return []
    slot = f"  %sizes.at = getelementptr ptr, ptr %ins, i64 {params}"
    return [slot, "  %sizes = load ptr, ptr %sizes.at", *loads(used)]


def in_kernel(text: str) -> tuple[str, list[str]]:
    """A kernel with the table as its first parameter, and the argument for that; as it is where it uses no size."""
    used = numbers([text])
    if not used or TABLE in text:
        return text, [TABLE] if TABLE in text else []
    head, rest = text.split("(", 1)
    comma = "" if rest.startswith(")") else ", "
    before, after = rest.split("entry:\n", 1)
    return "\n".join([f"{head}({TABLE}{comma}{before}entry:", *loads(used), after]), [TABLE]
