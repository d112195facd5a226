"""Which parameters of a function shape its program as far as its source shows it: a guess that saves attempts in vain.

An attempt with a float as a value (`lifted`) runs the function's Python, and runs it again when it fails; where the
source shows a use that needs the number (a condition, an index, text, a builtin), there is no attempt. What the source
does not show, the attempt finds out.
"""

from __future__ import annotations

import ast
import builtins
import os
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

from .lifted import takes_numbers
from .methods import WeakMethod
from .rewrite_source import find

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_UNKNOWN = object()


def shaping_uses(python: Any) -> dict[str, str] | None:
    """For each parameter that shapes the program, why and in which line; None for a function without source."""
    fn = python.__func__ if isinstance(python, (MethodType, WeakMethod)) else python
    if not isinstance(fn, FunctionType):
        fn = getattr(type(fn), "__call__", None)  # noqa: B004  # the function itself is wanted
    found = find(fn) if isinstance(fn, FunctionType) else None
    if found is None or not isinstance(fn, FunctionType):
        return None
    args = found.node.args
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    reasons: dict[str, str] = {}
    for name in names:
        use = _Uses(found.node, name, fn).first()
        if use is not None:
            what, line = use
            reasons[name] = f"{what} [{os.path.basename(fn.__code__.co_filename)}:{line}]"
    return reasons


class _Uses:
    """The uses of one parameter, and of what Python computes of it and of constants."""

    def __init__(self, node: Any, name: str, fn: FunctionType) -> None:
        self.nodes = list(ast.walk(ast.Module(node.body if isinstance(node.body, list) else [node.body], [])))
        self.names = {name}
        self.fn = fn
        for _ in range(2):
            for n in self.nodes:
                if isinstance(n, ast.Assign) and self.is_number(n.value):
                    self.names |= {t.id for t in n.targets if isinstance(t, ast.Name)}

    def first(self) -> tuple[str, int] | None:
        """What the first shaping use is, and its line."""
        found = [(n.lineno, what) for n in self.nodes for what in self.shaping(n) if hasattr(n, "lineno")]
        return None if not found else min(found)[::-1]

    # ------------------------------------------------------------ expressions
    def is_number(self, e: Any) -> bool:
        """Whether an expression is a number that Python computes of the parameter."""
        return self._plain(e) and any(isinstance(n, ast.Name) and n.id in self.names for n in ast.walk(e))

    def _plain(self, e: Any) -> bool:
        if isinstance(e, ast.Name):
            return e.id in self.names
        if isinstance(e, ast.Constant):
            return type(e.value) in (int, float, bool)
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, (ast.USub, ast.UAdd)):
            return self._plain(e.operand)
        return isinstance(e, ast.BinOp) and self._plain(e.left) and self._plain(e.right)

    def shaping(self, n: Any) -> Iterator[str]:
        """What one node does that needs the value."""
        rule = getattr(self, "of_" + type(n).__name__, None)
        if rule is not None:
            yield from rule(n)

    # ------------------------------------------------------------ by kind of node
    def of_If(self, n: Any) -> Iterator[str]:
        """Conditions: `if`, `while`, `assert`, `a if c else b`."""
        if self.is_number(n.test):
            yield "a condition depends on it"

    of_While = of_IfExp = of_Assert = of_If

    def of_Compare(self, n: ast.Compare) -> Iterator[str]:
        """Comparisons of Python's."""
        values = [n.left, *n.comparators]
        known = all(isinstance(op, (ast.Is, ast.IsNot)) for op in n.ops)
        of_python = all(self._plain(v) or isinstance(v, (ast.Constant, ast.Tuple, ast.List, ast.Set)) for v in values)
        if of_python and not known and any(map(self.is_number, values)):
            yield "it is compared"

    def of_BoolOp(self, n: ast.BoolOp) -> Iterator[str]:
        """`and`, `or`."""
        if any(map(self.is_number, n.values)):
            yield "a condition depends on it"

    def of_UnaryOp(self, n: ast.UnaryOp) -> Iterator[str]:
        """`not` and `~`."""
        if isinstance(n.op, (ast.Not, ast.Invert)) and self.is_number(n.operand):
            yield "a condition depends on it"

    def of_BinOp(self, n: ast.BinOp) -> Iterator[str]:
        """Operators whose result is Python's, or folded by other rules than the machine's."""
        if not isinstance(n.op, _ARITHMETIC) and (self.is_number(n.left) or self.is_number(n.right)):
            yield f"{'a power' if isinstance(n.op, ast.Pow) else type(n.op).__name__} is computed of it"
        elif isinstance(n.op, ast.Div) and self.is_number(n.right) and self._plain(n.left):
            yield "Python divides by it"

    def of_FormattedValue(self, n: ast.FormattedValue) -> Iterator[str]:
        """f-strings."""
        if self.is_number(n.value):
            yield "text is made of it"

    def of_Subscript(self, n: ast.Subscript) -> Iterator[str]:
        """Indices, keys, slices, and what has items."""
        parts = [n.value, n.slice, *(n.slice.elts if isinstance(n.slice, ast.Tuple) else [])]
        slices = [p for p in parts if isinstance(p, ast.Slice)]
        if any(map(self.is_number, parts + [b for s in slices for b in (s.lower, s.upper, s.step) if b is not None])):
            yield "it is used as an index or key"

    def of_Attribute(self, n: ast.Attribute) -> Iterator[str]:
        """Its attributes and methods."""
        if self.is_number(n.value):
            yield f"its attribute {n.attr!r} is used"

    def of_Assign(self, n: Any) -> Iterator[str]:
        """Places that outlive the call."""
        targets = n.targets if isinstance(n, ast.Assign) else [n.target]
        kept = any(isinstance(t, (ast.Attribute, ast.Subscript)) for t in targets)
        if kept and n.value is not None and self.is_number(n.value):
            yield "it is stored in an object"

    of_AnnAssign = of_AugAssign = of_Assign

    def of_Dict(self, n: ast.Dict) -> Iterator[str]:
        """Keys."""
        if any(k is not None and self.is_number(k) for k in n.keys):
            yield "it is used as a key"

    def of_Set(self, n: ast.Set) -> Iterator[str]:
        """Elements."""
        if any(map(self.is_number, n.elts)):
            yield "it is an element of a set"

    def of_Nonlocal(self, n: ast.Nonlocal | ast.Global) -> Iterator[str]:
        """Variables that other functions see."""
        if self.names & set(n.names):
            yield "an inner function changes it"

    of_Global = of_Nonlocal

    def of_Call(self, n: ast.Call) -> Iterator[str]:
        """Calls of what is neither ours nor rewritten."""
        given = [*n.args, *(k.value for k in n.keywords)]
        if any(self.is_number(a.value if isinstance(a, ast.Starred) else a) for a in given):
            f = self._object(n.func)
            if f is not _UNKNOWN and not takes_numbers(f):
                yield f"{ast.unparse(n.func)}() is called with it"

    def _object(self, e: ast.expr) -> Any:
        """What a name, or an attribute of a module, stands for; _UNKNOWN where the source does not tell."""
        if isinstance(e, ast.Attribute):
            owner = self._object(e.value)
            return getattr(owner, e.attr, _UNKNOWN) if isinstance(owner, type(os)) else _UNKNOWN
        if not isinstance(e, ast.Name) or e.id in self.fn.__code__.co_varnames:
            return _UNKNOWN
        cells = dict(zip(self.fn.__code__.co_freevars, self.fn.__closure__ or (), strict=True))
        if e.id in cells:
            try:
                return cells[e.id].cell_contents
            except ValueError:
                return _UNKNOWN
        return self.fn.__globals__.get(e.id, getattr(builtins, e.id, _UNKNOWN))
