"""Cold helper functions, compiled once per process and shared by all modules.

The rare exact paths of the math functions (huge arguments of sin, say) are long scalar code; compiling them again
with every kernel would cost more than the kernel. A module only declares them; their code lives as long as the
process.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from .jit import Library, compile_module

_DEFINE = "define private "
_lock = threading.Lock()
_addresses: dict[str, int] = {}
_libraries: list[Library] = []


def split(decls: Mapping[str, str]) -> tuple[str, list[str]]:
    """Module-level text in which helper functions are only declared, and the names of those helpers."""
    lines, names = [], []
    for name, text in decls.items():
        if text.startswith(_DEFINE):
            names.append(name)
            lines.append(_declaration(text))
        else:
            lines.append(text)
    return "\n".join(lines), names


def addresses(names: list[str], decls: Mapping[str, str]) -> dict[str, int]:
    """The addresses of helpers, compiled now where that was not done before."""
    with _lock:
        missing = [n for n in names if n not in _addresses]
        if missing:
            parts = []
            for name, text in decls.items():
                known = text.startswith(_DEFINE) and name not in missing
                parts.append(_declaration(text) if known else text.replace(_DEFINE, "define ", 1))
            # Level 0: this code hardly ever runs.
            library = compile_module("\n".join(parts) + "\n", _addresses, opt=0)
            _libraries.append(library)
            _addresses.update({n: library.address(n) for n in missing})
        return {n: _addresses[n] for n in names}


def _declaration(text: str) -> str:
    """`declare T @name(types)` for the text of a definition."""
    head = text.split("\n", 1)[0].removeprefix(_DEFINE)
    before, rest = head.split("(", 1)
    inside = rest[: rest.rindex(")")]
    types = [p.rsplit(" ", 1)[0] for p in _parameters(inside)]
    return f"declare {before}({', '.join(types)})"


def _parameters(text: str) -> list[str]:
    return [p.strip() for p in text.split(",")] if text.strip() else []
