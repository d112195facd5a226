"""Small pieces of LLVM text that the native entry is written with, and the fixed places it reads.

In the text, `%t` is a function's table (`entry_spec`), `%i` the number of the record a loop is at, and a name ending in
`.at` the address that the name was loaded from.
"""

from __future__ import annotations

from .entry_spec import HEAD
from .layout import Layout

STACK_BYTES = 2048  # frames up to this size live on the stack: half a page, so no platform needs a stack probe
FALLBACK, TENSOR, ON_ERROR, PACK, ARRAY = 1, 2, 3, 4, 5  # items of the context tuple
FIXED_ITEMS = 6
METH_FASTCALL_KEYWORDS = 0x82
BYTES_DATA = bytes.__basicsize__ - 1  # a bytes object's characters; basicsize counts the closing NUL
MISS = "inttoptr (i64 1 to ptr)"  # pb_run: the call does not fit; nothing has happened yet


def load(name: str, base: str, offset: int | str, kind: str = "ptr") -> str:
    """%name = the `kind` at `offset` bytes from %base."""
    return (f"  %{name}.at = getelementptr i8, ptr %{base}, i64 {offset}\n"
            f"  %{name} = load {kind}, ptr %{name}.at\n")


def head(word: str, name: str | None = None) -> str:
    """Load a word of the table's head."""
    return load(name or word, "t", 8 * HEAD.index(word), "i64")


def record(section: str, words: int, fields: tuple[str, ...]) -> str:
    """%rec = the address of record %i of a section, and its fields as i64 values."""
    text = head(f"at_{section}", "start")
    text += f"  %step = mul i64 %i, {8 * words}\n  %rec.at = add i64 %start, %step\n"
    text += "  %rec = getelementptr i8, ptr %t, i64 %rec.at\n"
    return text + "".join(load(name, "rec", 8 * k, "i64") for k, name in enumerate(fields) if name)


def element(name: str, base: str, index: str = "%i") -> str:
    """%name.at = the address of pointer number `index` of the array %base."""
    return f"  %{name}.at = getelementptr ptr, ptr %{base}, i64 {index}\n"


def item_of(self_name: str, name: str, at: Layout, number: int) -> str:
    return load(name, self_name, at.tuple_items + 8 * number)
