"""Finds the syntax tree of a Python function: its file is parsed once, its node found by line, name and parameters.

Lambdas that share a line are told apart by the columns that their code objects carry. A function whose source is not
to be had (made by `exec`, by a C extension, or whose file changed) is not found, and then runs as it stands.
"""

from __future__ import annotations

import ast
import linecache
import os
import sysconfig
import threading
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from ..runtime.location import is_ours

FunctionNode = ast.FunctionDef | ast.Lambda
_STANDARD = tuple(
    os.path.abspath(p) + os.sep for k, p in sysconfig.get_paths().items() if k in ("stdlib", "platstdlib")
)
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
_lock = threading.Lock()
_trees: dict[str, tuple[tuple[str, ...], list[Found]]] = {}


@dataclass(frozen=True)
class Found:
    """A function in a source file: its node, and the name of the innermost class around it (for `__private` names)."""

    node: FunctionNode
    owner: str | None


@lru_cache(maxsize=4096)
def is_library(file: str) -> bool:
    """Whether a file belongs to Python, to an installed package or to pullback, none of which is ever rewritten."""
    if is_ours(file) or any(part in file for part in _INSTALLED):
        return True
    return file.startswith(_STANDARD) or file.startswith("<frozen")


def find(fn: FunctionType) -> Found | None:
    """The function's node, or None when there is no source that fits it."""
    code = fn.__code__
    fits = [f for f in _functions(code.co_filename, fn.__globals__) if _fits(f.node, code)]
    if len(fits) > 1 and code.co_name == "<lambda>":
        fits = [f for f in fits if _holds(f.node, code)]
        fits = fits[-1:]  # one lambda inside of another: the inner one comes last
    return fits[0] if len(fits) == 1 else None


def _functions(file: str, module: dict[str, Any]) -> list[Found]:
    with _lock:
        linecache.checkcache(file)
        lines = tuple(linecache.getlines(file, module))
        known = _trees.get(file)
        if known is not None and known[0] == lines:
            return known[1]
        try:
            tree = ast.parse("".join(lines), file)
        except SyntaxError:
            return []
        found: list[Found] = []
        _collect(tree, None, found)
        _trees[file] = lines, found
        return found


def _collect(node: ast.AST, owner: str | None, found: list[Found]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda)):
            found.append(Found(child, owner))
        _collect(child, child.name if isinstance(child, ast.ClassDef) else owner, found)


def _fits(node: FunctionNode, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        if code.co_name != "<lambda>" or node.lineno != code.co_firstlineno:
            return False
    elif node.name != code.co_name or code.co_firstlineno not in (
        node.lineno,
        *(d.lineno for d in node.decorator_list),
    ):
        return False
    a = node.args
    names = [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    return len(names) == code.co_argcount + code.co_kwonlyargcount and all(
        n == m or (n.startswith("__") and m.endswith(n)) for n, m in zip(names, code.co_varnames, strict=False)
    )


def _holds(node: FunctionNode, code: CodeType) -> bool:
    """Whether all columns of a lambda's code lie within its body."""
    assert isinstance(node, ast.Lambda)
    b = node.body
    start, end = (b.lineno, b.col_offset), (b.end_lineno or b.lineno, b.end_col_offset or 0)
    for line, last, column, stop in code.co_positions():
        if (
            line is None
            or last is None
            or column is None
            or stop is None
            or (line, column, stop) == (node.lineno, 0, 0)
        ):
            continue
        if (line, column) < start or (last, stop) > end:
            return False
    return True
