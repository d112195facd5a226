"""`break`, `continue` and `return` as flags: the first step of rewriting, after which all control flow is structured.

A jump sets flags; what would be skipped is put behind a test of them. Where an `if` ends one of its branches with a
jump, the statements that follow move into the other branch, so that the common early return needs no test. Each loop
that is left early gets two flags, "stop" (the loop ends) and "skip" (the rest of this trip does not run); the function
gets one, and a place for its value. On Python values the result does exactly what the original did.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from .rewrite_names import inside, stores

RETURNED, VALUE = "ag_returned", "ag_value"
Block = list[ast.stmt]


class Unsuitable(Exception):
    """The function's control flow cannot be rewritten; it runs as it stands."""


@dataclass
class Loop:
    """The flags of a loop: `stop` ends it, `skip` ends the trip. `stops`: whether something sets `stop`."""

    stop: str
    skip: str
    stops: bool = False


class Jumps:
    """Rewrites one function body.

    Attributes:
      stop_flags: by the identity of the new loop node, its stop flag; missing for loops that run to their end.
      guards: by the identity of an `if`, the flag of which it tests that it is not set.
    """

    def __init__(self) -> None:
        self.stop_flags: dict[int, str] = {}
        self.guards: dict[int, str] = {}
        self._loops: list[Loop] = []
        self._count = 0
        self._returns = False

    def function(self, node: ast.FunctionDef) -> Block:
        """The new body.

        Raises:
          Unsuitable: for a jump out of a `finally` clause.
        """
        head, body = split_docstring(node.body)
        returns = [n for s in body for n in inside(s) if isinstance(n, ast.Return)]
        if not returns or (len(returns) == 1 and body[-1] is returns[0]):
            tail = [body.pop()] if returns else []
            return head + self.block(body) + tail
        self._returns = True
        new = self.block(body)
        last = body[-1]
        start = parse(f"{RETURNED} = False; {VALUE} = ag__.NOT_RETURNED", body[0])
        end = parse(f"return ag__.returned({RETURNED}, {VALUE})", last)
        if last.end_lineno is not None:
            for n in ast.walk(end[0]):
                if isinstance(n, (ast.stmt, ast.expr)):
                    n.lineno = n.end_lineno = last.end_lineno
                    n.col_offset = n.end_col_offset = 0
        return head + start + new + end

    def block(self, body: Sequence[ast.stmt]) -> Block:
        """Statements without jumps."""
        out: Block = []
        for i, s in enumerate(body):
            rest = list(body[i + 1 :])
            if isinstance(s, (ast.Return, ast.Break, ast.Continue)):
                return out + self._jump(s) + unreachable(rest)
            if not jumps(s):
                out += self._inner(s)
                continue
            if isinstance(s, ast.If) and rest:
                if ends(s.body):
                    return [*out, self._if(s, s.body, [*s.orelse, *rest])]
                if ends(s.orelse):
                    return [*out, self._if(s, [*s.body, *rest], s.orelse)]
            out += self._inner(s)
            if rest:
                out.append(self._guard(rest))
            return out
        return out

    def _jump(self, s: ast.stmt) -> Block:
        out: Block = []
        if isinstance(s, ast.Return):
            value = s.value if s.value is not None else ast.Constant(None)
            out.append(assign([VALUE], value, s))
            flags = [RETURNED]
            for loop in self._loops:
                loop.stops = True
                flags += [loop.stop, loop.skip]
        else:
            loop = self._loops[-1]
            flags = [loop.skip]
            if isinstance(s, ast.Break):
                loop.stops = True
                flags.append(loop.stop)
        return [*out, assign(flags, ast.Constant(True), s)]

    def _guard(self, rest: Block) -> ast.stmt:
        flag = self._loops[-1].skip if self._loops else RETURNED
        return self._unless(flag, self.block(rest), rest[0])

    def _unless(self, flag: str, body: Block, at: ast.AST) -> ast.stmt:
        (test,) = parse(f"not {flag}", at)
        assert isinstance(test, ast.Expr)
        new = ast.copy_location(ast.If(test.value, body, []), at)
        self.guards[id(new)] = flag
        return new

    def _if(self, s: ast.If, body: Sequence[ast.stmt], orelse: Sequence[ast.stmt]) -> ast.stmt:
        return ast.copy_location(ast.If(s.test, self.block(body) or parse("pass", s), self.block(orelse)), s)

    def _inner(self, s: ast.stmt) -> Block:
        """A compound statement with its parts rewritten."""
        if isinstance(s, ast.If):
            return [self._if(s, s.body, s.orelse)]
        if isinstance(s, (ast.While, ast.For)):
            return self._loop(s)
        if isinstance(s, ast.With):
            return [ast.copy_location(ast.With(s.items, self.block(s.body)), s)]
        if isinstance(s, (ast.Try, ast.TryStar)):
            return [self._try(s)]
        if isinstance(s, ast.Match):
            cases = [ast.match_case(c.pattern, c.guard, self.block(c.body)) for c in s.cases]
            return [ast.copy_location(ast.Match(s.subject, cases), s)]
        return [s]

    def _try(self, s: ast.Try | ast.TryStar) -> ast.stmt:
        if any(jumps(f) for f in s.finalbody):
            raise Unsuitable(f"line {s.lineno}: a jump out of 'finally'")
        handlers = [ast.copy_location(ast.ExceptHandler(h.type, h.name, self.block(h.body)), h) for h in s.handlers]
        orelse = self.block(s.orelse)
        if orelse and any(jumps(b) for b in s.body):
            flag = self._loops[-1].skip if self._loops else RETURNED
            orelse = [self._unless(flag, orelse, s.orelse[0])]
        new = type(s)(self.block(s.body), handlers, orelse, self.block(s.finalbody))
        return ast.copy_location(new, s)

    def _loop(self, s: ast.While | ast.For) -> Block:
        if isinstance(s, ast.While) and stores(s.test):
            s = test_inside(s)
        self._count += 1
        loop = Loop(f"ag_stop_{self._count}", f"ag_skip_{self._count}")
        self._loops.append(loop)
        body = self.block(s.body)
        self._loops.pop()
        if any(jumps_here(b) for b in s.body):
            body = [assign([loop.skip], ast.Constant(False), s), *body]
        new: ast.While | ast.For
        if isinstance(s, ast.While):
            new = ast.While(s.test, body, [])
        else:
            new = ast.For(s.target, s.iter, body, [])
        ast.copy_location(new, s)
        out: Block = [new]
        if loop.stops:
            self.stop_flags[id(new)] = loop.stop
            out = [assign([loop.stop], ast.Constant(False), s), new]
        if s.orelse:
            after = self.block(s.orelse)
            out += [self._unless(loop.stop, after, s.orelse[0])] if loop.stops else after
        return out


def test_inside(s: ast.While) -> ast.While:
    """A loop whose condition binds names (by `:=`), with the condition in the body, which can carry them.

    Raises:
      Unsuitable: when its `else` clause, which moves into the body too, has a jump for a loop outside.
    """
    if any(jumps(c) and not isinstance(c, ast.Return) for c in s.orelse):
        raise Unsuitable(f"line {s.lineno}: a jump in the 'else' of a loop whose condition assigns")
    leave = ast.copy_location(ast.Break(), s)
    test = ast.copy_location(ast.UnaryOp(ast.Not(), s.test), s.test)
    first = ast.copy_location(ast.If(test, [*s.orelse, leave], []), s)
    true = ast.copy_location(ast.Constant(True), s)
    return ast.copy_location(ast.While(true, [first, *s.body], []), s)


def split_docstring(body: Sequence[ast.stmt]) -> tuple[Block, Block]:
    """The docstring, if any, and the rest."""
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return [first], list(body[1:]) or parse("pass", first)
    return [], list(body)


def parse(text: str, at: ast.AST) -> Block:
    """Statements from text, all at the line on which a node begins."""
    body = ast.parse(text).body
    for s in body:
        for n in ast.walk(s):
            if isinstance(n, (ast.stmt, ast.expr)):
                ast.copy_location(n, at)
                # the compiler takes the line of a method call from the end of `ag__.If`
                n.end_lineno, n.end_col_offset = n.lineno, n.col_offset + 1
    return body


def assign(names: Sequence[str], value: ast.expr, at: ast.AST) -> ast.stmt:
    """`a = b = value`."""
    targets: list[ast.expr] = [ast.copy_location(ast.Name(n, ast.Store()), at) for n in names]
    if not hasattr(value, "lineno"):
        ast.copy_location(value, at)
    return ast.copy_location(ast.Assign(targets, value), at)


def jumps(s: ast.stmt) -> bool:
    """Whether control may leave the statement by a jump of the function or of a loop around it."""
    if isinstance(s, (ast.Return, ast.Break, ast.Continue)):
        return True
    if isinstance(s, (ast.While, ast.For, ast.AsyncFor)):
        return any(isinstance(n, ast.Return) for n in inside(s)) or any(jumps(c) for c in s.orelse)
    return any(jumps(c) for c in children(s))


def jumps_here(s: ast.stmt) -> bool:
    """Whether a statement of a loop's body contains a jump that concerns this loop."""
    return jumps(s)


def children(s: ast.AST) -> Block:
    """The statements directly inside of a compound one; not those of nested functions and classes."""
    if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return []
    out: Block = []
    for c in ast.iter_child_nodes(s):
        if isinstance(c, ast.stmt):
            out.append(c)
        elif isinstance(c, (ast.ExceptHandler, ast.match_case)):
            out += children(c)
    return out


def ends(body: Sequence[ast.stmt]) -> bool:
    """Whether a jump is certain at the end of the statements."""
    for s in body:
        if isinstance(s, (ast.Return, ast.Break, ast.Continue)):
            return True
        if isinstance(s, ast.If) and ends(s.body) and ends(s.orelse):
            return True
    return False


def unreachable(rest: Sequence[ast.stmt]) -> Block:
    """Statements that never run, but whose assignments make names local."""
    if not rest or not stores(*rest):
        return []
    names = sorted(stores(*rest))
    return parse("if False:\n  " + "; ".join(f"{n} = None" for n in names), rest[0])
