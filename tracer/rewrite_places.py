"""State that is not a variable: attributes and containers that a piece of Python changes in place.

`self.n = ...` changes the place `("attr", ("self", "n"))`; `d["k"] = ...` and `items.append(x)` change
`("items", ("d",))`, the contents of a list, dict or set. Both are merged by branches and carried by loops like
variables.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .rewrite_names import inside

Path = tuple[str, ...]
Places = tuple[tuple[str, Path], ...]
MUTATORS = frozenset(
    (
        "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update", "setdefault", "popitem",
        "add", "discard",
    )
)  # fmt: skip


def places(nodes: Sequence[ast.AST]) -> Places:
    """The places that the nodes change, in the order of the text, each once."""
    found: dict[tuple[str, Path], None] = {}
    for top in nodes:
        for node in inside(top):
            place = _changed(node)
            if place is not None:
                found.setdefault(place)
    return tuple(found)


def _changed(node: ast.AST) -> tuple[str, Path] | None:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
        path = chain(node)
        return None if path is None else ("attr", path)
    container: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        container = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        container = node.func.value
    while isinstance(container, ast.Subscript):
        container = container.value
    path = None if container is None else chain(container)
    return None if path is None else ("items", path)


def chain(node: ast.expr) -> Path | None:
    """`a.b.c` as a path, None for anything that is not just names."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        base = chain(node.value)
        return None if base is None else (*base, node.attr)
    return None
