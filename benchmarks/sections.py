"""RESULTS.md is written by several commands, each its own section between two marks."""

from __future__ import annotations

import re
from pathlib import Path


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def sections_of(text: str) -> str:
    """All marked sections of a text, one after another."""
    return "\n".join(m[0] + "\n" for m in re.finditer(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", text, re.DOTALL))


def write_section(path: Path, name: str, body: str) -> None:
    """Puts the section into the file, in the place of the one of that name, or at the end."""
    begin, end = marks(name)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    section = f"{begin}\n{body.strip()}\n\n{end}"
    found = re.search(re.escape(begin) + ".*?" + re.escape(end), text, re.DOTALL)
    text = text[: found.start()] + section + text[found.end() :] if found else f"{text.rstrip()}\n\n{section}\n"
    path.write_text(text, encoding="utf-8")
