"""Which names a piece of Python reads and writes, and which are still needed at a point: liveness on the syntax tree.

The tree has been through `rewrite_jumps`: its control flow is structured, so one walk from the last statement to the
first is enough (loops are walked until nothing changes). Where in doubt a name counts as live: names that nested
functions read, everything in a function that asks for `locals()`, whatever an exception handler may come to need.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

Names = frozenset[str]
NONE: Names = frozenset()
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_PEEKING = frozenset(("locals", "eval", "exec", "vars", "dir"))


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what it holds, without the bodies of nested functions and classes."""
    yield node
    if isinstance(node, _SCOPES):
        yield from _evaluated_at_once(node)
        return
    for child in ast.iter_child_nodes(node):
        yield from inside(child)


def _evaluated_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """Defaults, decorators, annotations and bases: what making a function or class evaluates outside of it."""
    parts: list[ast.AST | None] = []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        parts += [*node.args.defaults, *node.args.kw_defaults]
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        parts += [a.annotation for a in every if a is not None]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parts += [*node.decorator_list, node.returns]
    if isinstance(node, ast.ClassDef):
        parts += [*node.bases, *node.keywords, *node.decorator_list]
    for part in parts:
        if part is not None:
            yield from inside(part)


def stores(*nodes: ast.AST) -> Names:
    """Names of the function's own scope that the nodes bind or delete."""
    found: set[str] = set()
    for top in nodes:
        local = _comprehension_targets(top)
        for node in inside(top):
            if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
                if id(node) not in local:
                    found.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found.update((a.asname or a.name.split(".")[0]) for a in node.names if a.name != "*")
            elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
                found.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                found.add(node.rest)
    return frozenset(found)


def _comprehension_targets(top: ast.AST) -> set[int]:
    """The name nodes that are targets of comprehensions, which have a scope of their own."""
    return {
        id(name)
        for node in inside(top)
        if isinstance(node, _COMPREHENSIONS)
        for g in node.generators
        for name in ast.walk(g.target)
    }


def reads(*nodes: ast.AST) -> Names:
    """Names that the nodes read when they are evaluated (nested functions included, as they may be called)."""
    return frozenset(
        n.id
        for top in nodes
        for n in ast.walk(top)
        if isinstance(n, ast.Name) and isinstance(n.ctx, (ast.Load, ast.Del))
    )


def escaping(body: Sequence[ast.stmt]) -> Names:
    """Names that code which runs at another time reads or writes: nested functions, classes, generator expressions."""
    found: set[str] = set()
    for node in walk_all(body):
        if isinstance(node, (*_SCOPES, ast.GeneratorExp)):
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            found.update(node.names)
    return frozenset(found)


def rebound_outside(body: Sequence[ast.stmt]) -> Names:
    """Names that nested functions declare `nonlocal`: any call may rebind them."""
    return frozenset(
        name
        for scope in walk_all(body)
        if isinstance(scope, _SCOPES)
        for node in ast.walk(scope)
        if isinstance(node, ast.Nonlocal)
        for name in node.names
    )


def declared_global(body: Sequence[ast.stmt]) -> Names:
    """Names that the function itself declares `global`."""
    return frozenset(n for s in body for g in inside(s) if isinstance(g, ast.Global) for n in g.names)


def declared_nonlocal(body: Sequence[ast.stmt]) -> Names:
    """Names that the function itself declares `nonlocal`."""
    return frozenset(n for s in body for g in inside(s) if isinstance(g, ast.Nonlocal) for n in g.names)


def made_here(body: Sequence[ast.stmt], args: ast.arguments) -> Names:
    """Names that are only ever bound to lists, dicts and sets which the function makes itself."""
    made: set[str] = set()
    other = {a.arg for a in ast.walk(args) if isinstance(a, ast.arg)}
    for node in (n for s in body for n in inside(s)):
        pairs = _paired(node)
        if pairs is not None:
            for target, value in pairs:
                (made if _is_fresh(value) and isinstance(target, ast.Name) else other).update(stores(target))
        elif isinstance(node, ast.Assign) and _is_fresh(node.value):
            made.update(t.id for t in node.targets if isinstance(t, ast.Name))
            other |= stores(*(t for t in node.targets if not isinstance(t, ast.Name)))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if node.value is not None:
                (made if _is_fresh(node.value) else other).add(node.target.id)
        elif isinstance(node, (ast.stmt, ast.NamedExpr, ast.ExceptHandler)):
            other |= _bound_by(node)
    return frozenset(made - other)


def _paired(node: ast.AST) -> list[tuple[ast.expr, ast.expr]] | None:
    """Targets and values of `a, b = x, y`; None for anything else."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return None
    target, value = node.targets[0], node.value
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple) or len(target.elts) != len(value.elts):
        return None
    return list(zip(target.elts, value.elts, strict=True))


def _is_fresh(value: ast.expr) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in ("list", "dict", "set")
    return isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp))


def _bound_by(node: ast.AST) -> Names:
    """Names that a statement binds itself, not by the statements in it."""
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return stores(node.target)
    if isinstance(node, (ast.If, ast.While, ast.Try, ast.TryStar)):
        return NONE
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return stores(*node.items)
    return stores(node)


def walk_all(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of some statements."""
    for s in body:
        yield from ast.walk(s)


def peeks(body: Sequence[ast.stmt]) -> bool:
    """Whether the function may look at its variables by other ways than by name."""
    return any(isinstance(n, ast.Name) and n.id in _PEEKING for n in walk_all(body))


class Liveness:
    """Which names are needed after each `if`, `while` and `for`, and at the heads of loops.

    Attributes:
      after: by the identity of the node, names needed after it. head: by loop, names needed when a trip begins.
    """

    def __init__(self, body: Sequence[ast.stmt], always: Names, flags: Mapping[int, str]) -> None:
        self.after: dict[int, Names] = {}
        self.head: dict[int, Names] = {}
        self.always = always
        self.flags = flags  # by loop, the variable that stops it
        self.block(body, always)

    def block(self, body: Sequence[ast.stmt], out: Names) -> Names:
        """Names needed before the statements, if `out` are needed after them."""
        for s in reversed(body):
            out = self.statement(s, out) | self.always
        return out

    def statement(self, s: ast.stmt, out: Names) -> Names:
        """Names needed before one statement."""
        method = getattr(self, "_" + type(s).__name__, None)
        if method is not None:
            found: Names = method(s, out)
            return found
        if any(isinstance(c, (ast.stmt, ast.excepthandler)) for c in ast.iter_child_nodes(s)):
            return out | reads(s)
        return (out - _certain(s)) | reads(s) | _augmented(s)

    def _If(self, s: ast.If, out: Names) -> Names:
        self.after[id(s)] = out
        return self.block(s.body, out) | self.block(s.orelse, out) | reads(s.test)

    def _While(self, s: ast.While, out: Names) -> Names:
        self.after[id(s)] = out
        head = out | reads(s.test) | self._flag(s)
        while True:
            new = head | self.block(s.body, head)
            if new == head:
                self.head[id(s)] = head
                return head
            head = new

    def _For(self, s: ast.For, out: Names) -> Names:
        self.after[id(s)] = out
        head = out | self._flag(s)
        while True:
            new = head | (self.block(s.body, head) - _certain_target(s.target)) | reads(s.target)
            if new == head:
                self.head[id(s)] = head
                return head | reads(s.iter)
            head = new

    def _flag(self, s: ast.stmt) -> Names:
        return frozenset((self.flags[id(s)],)) if id(s) in self.flags else NONE

    def _With(self, s: ast.With, out: Names) -> Names:
        return out | self.block(s.body, out) | reads(*s.items)

    def _Try(self, s: ast.Try, out: Names) -> Names:
        last = self.block(s.finalbody, out) | out
        caught = last
        for h in s.handlers:
            caught |= self.block(h.body, last) | (reads(h.type) if h.type is not None else NONE)
        rest = self.block(s.orelse, last | caught) | last | caught
        return self.block(s.body, rest) | rest

    _TryStar = _Try

    def _Match(self, s: ast.Match, out: Names) -> Names:
        before = out | reads(s.subject)
        for case in s.cases:
            before |= self.block(case.body, out) | reads(case.pattern)
            before |= reads(case.guard) if case.guard is not None else NONE
        return before

    def _FunctionDef(self, s: ast.FunctionDef, out: Names) -> Names:
        return (out - {s.name}) | reads(s)


def _certain(s: ast.stmt) -> Names:
    """Names that a simple statement binds for certain."""
    if isinstance(s, ast.Assign):
        return frozenset(n for t in s.targets for n in _certain_target(t))
    if isinstance(s, (ast.AnnAssign, ast.AugAssign)) and s.value is not None:
        return _certain_target(s.target)
    return NONE


def _certain_target(t: ast.expr) -> Names:
    return frozenset(n.id for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _augmented(s: ast.stmt) -> Names:
    return frozenset((s.target.id,)) if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name) else NONE


def spelled_out(key: ast.expr) -> ast.expr | None:
    """A subscript's key as an expression of its own, with calls in place of slices; None where there is none."""
    if isinstance(key, ast.Slice):
        bounds = [b if b is not None else ast.Constant(None) for b in (key.lower, key.upper, key.step)]
        maker = ast.Attribute(ast.Name("ag__", ast.Load()), "slice", ast.Load())
        return ast.copy_location(ast.Call(maker, bounds, []), key)
    if isinstance(key, ast.Tuple):
        items = [spelled_out(k) for k in key.elts]
        if any(k is None for k in items):
            return None
        return ast.copy_location(ast.Tuple([k for k in items if k is not None], ast.Load()), key)
    return None if isinstance(key, ast.Starred) else key
