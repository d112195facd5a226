"""Rewriting, second step: structured control flow becomes calls of `control`, written out in the function itself.

Nothing moves into nested functions: locals stay locals, tracebacks and debuggers see the user's lines and no more. An
`if` becomes three plain ones,

    ag_1 = ag__.If(test, names, guard)
    if ag_1.then(ag__.locals()):    # also for a tensor: both branches run, each into a region of the IR
        body
    if ag_1.other(ag__.locals()):
        load                        # puts the variables back to what they were before the body
        orelse
    if ag_1.done(ag__.locals()):    # only for a tensor
        load                        # the merged variables

and loops go likewise. For a Python value exactly one of them is entered and nothing is loaded. `and`, `or`, chained
comparisons and conditional expressions become one expression that evaluates no more than the original.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from .rewrite_jumps import Jumps, parse
from .rewrite_names import (
    Liveness,
    Names,
    declared_global,
    declared_nonlocal,
    escaping,
    inside,
    made_here,
    peeks,
    rebound_outside,
    spelled_out,
    stores,
)
from .rewrite_places import MUTATORS, Places, chain, places

FRAME_BOUND = frozenset(("super", "locals", "globals", "vars", "dir", "eval", "exec", "__import__"))
LAZY_ITERABLES = frozenset(("enumerate", "zip", "reversed"))


class Mangler(ast.NodeTransformer):
    """Writes `__private` names as they are called inside of the class `owner`, around which nothing is compiled."""

    def __init__(self, owner: str | None) -> None:
        self.owner = owner

    def mangled(self, name: str) -> str:
        """A name as Python writes it inside of the class."""
        if self.owner and name.startswith("__") and not name.endswith("__") and self.owner.strip("_"):
            return f"_{self.owner.lstrip('_')}{name}"
        return name

    def visit_Name(self, node: ast.Name) -> Any:
        node.id = self.mangled(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        node.attr = self.mangled(node.attr)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> Any:
        node.arg = self.mangled(node.arg)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return node


class Emitter(Mangler):
    """Rewrites one function's body; nested functions get an emitter of their own."""

    def __init__(self, owner: str | None) -> None:
        super().__init__(owner)
        self.count = 0
        self.late: set[int] = set()  # f-strings that only `print` or `assert` gets to see
        self.shared: Names = frozenset()
        self.outer: Names = frozenset()
        self.private: Names = frozenset()

    # ------------------------------------------------------------ functions
    def function(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """The rewritten function, without decorators. Raises Unsuitable."""
        jumps = Jumps()
        body = jumps.function(node)
        self.jumps = jumps
        self.globals = declared_global(body)
        self.outer = self.globals | declared_nonlocal(body)
        self.private = made_here(body, node.args) - self.outer
        shared = rebound_outside(body)
        self.shared = shared
        everything = stores(*body) | shared if peeks(body) else frozenset()
        self.bound = stores(*body) | {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
        self.live = Liveness(body, escaping(body) | self.globals | everything, jumps.stop_flags)
        args = node.args
        self.generic_visit(args)
        new = ast.FunctionDef(node.name, args, self.block(body), [], node.returns)
        return ast.copy_location(new, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        inner = Emitter(self.owner)
        decorators = [self.visit(d) for d in node.decorator_list]
        if has_yield(node):
            return Mangler(self.owner).generic_visit(node)
        new = inner.function(node)
        new.decorator_list = decorators
        new.name = self.mangled(node.name)
        return new

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return Mangler(self.owner).generic_visit(node) if has_yield(node) else self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return Mangler(self.owner).generic_visit(node)

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Rewritten statements."""
        out: list[ast.stmt] = []
        for s in body:
            out += self._announced(s)
            new = self.visit(s)
            out += new if isinstance(new, list) else [new]
        return out

    def _announced(self, s: ast.stmt) -> list[ast.stmt]:
        """Before a statement that changes objects or variables of outer scopes: calls that say so."""
        if not isinstance(s, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
            return []
        out: list[ast.stmt] = []
        for name in sorted(stores(s) & self.outer):
            out += parse(f"ag__.rebinds({self.mangled(name)!r})", s)
        for node in inside(s):
            if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
                base: ast.expr = node.value
                while isinstance(node, ast.Subscript) and isinstance(base, ast.Subscript):
                    base = base.value
                path = chain(base)
                text = "None" if path is None else ".".join(self.mangled(n) for n in path)
                private = path is not None and path[0] in self.private
                out += parse(f"ag__.changes({text}, {private})", s)
        return out

    # ------------------------------------------------------------ names
    def fresh(self) -> str:
        """A name for a helper variable."""
        self.count += 1
        return f"ag_{self.count}"

    def mangle_all(self, names: Names) -> list[str]:
        """Sorted, as the compiled code knows them."""
        return sorted(self.mangled(n) for n in names)

    # ------------------------------------------------------------ statements
    def visit_If(self, node: ast.If) -> Any:
        assigned = stores(*node.body, *node.orelse) | self._shared(node)
        needed = assigned & self.live.after[id(node)]
        d = self.fresh()
        changed = places([*node.body, *node.orelse])
        here = self._here(assigned, changed)
        guard = self.jumps.guards.get(id(node))
        text = (
            f"{d} = ag__.If(AG_TEST, {self._tuple(needed)}, {guard!r}, {self._places(changed)})\n"
            f"if {d}.then({here}): AG_BODY\n"
            f"if {d}.other({here}):\n{self._load(d, assigned)} AG_ORELSE\n"
            f"if {d}.done({here}):\n{self._load(d, assigned)} pass\n{d} = None\n"
        )
        return self._fill(
            text, node, AG_TEST=self.visit(node.test), AG_BODY=self.block(node.body), AG_ORELSE=self.block(node.orelse)
        )

    def visit_While(self, node: ast.While) -> Any:
        assigned = stores(*node.body) | self._shared(node)
        after, head = self.live.after[id(node)], self.live.head[id(node)]
        d = self.fresh()
        changed = places(node.body)
        here = self._here(assigned, changed)
        text = (
            f"{d} = ag__.While({self._tuple(assigned & head)}, {self._tuple(assigned & after)}, "
            f"{self.jumps.stop_flags.get(id(node))!r}, {self._places(changed)})\n"
            f"while {d}.loop({here}):\n{self._load(d, assigned)}"
            f" if {d}.test(AG_TEST): AG_BODY\n"
            f"if {d}.load:\n{self._load(d, assigned)} pass\n{d} = None\n"
        )
        return self._fill(text, node, AG_TEST=self.visit(node.test), AG_BODY=self.block(node.body))

    def visit_For(self, node: ast.For) -> Any:
        assigned = stores(*node.body, node.target) | self._shared(node)
        after, head = self.live.after[id(node)], self.live.head[id(node)]
        d, item = self.fresh(), self.fresh()
        changed = places(node.body)
        here = self._here(assigned, changed)
        lists = self._lists(node, assigned, changed)
        stop = self.jumps.stop_flags.get(id(node))
        target = ast.copy_location(ast.Assign([node.target], ast.Name(item, ast.Load())), node)
        body: list[ast.stmt] = [ast.fix_missing_locations(target), *node.body]
        if stop is not None:
            (guard,) = parse(f"if not {stop}: pass", node)
            assert isinstance(guard, ast.If)
            guard.body = body
            self.jumps.guards[id(guard)] = stop
            self.live.after[id(guard)] = head | after
            body = [guard]
        text = (
            f"{d} = ag__.For(AG_ITER, {self._tuple(assigned & head)}, {self._tuple(assigned & after)}, "
            f"{stop!r}, {self._places(changed)}, {here}, {self._tuple(lists)})\n"
            f"for {item} in {d}:\n try:\n{self._load(d, assigned | lists, 2)}  AG_BODY\n"
            f" except {d}.failures:\n  if {d}.failed(): continue\n  raise\n"
            f" if {d}.end({here}): break\n"
            f"if {d}.load:\n{self._load(d, assigned | lists)} pass\n{d} = None\n"
        )
        return self._fill(text, node, AG_ITER=self.iterable(node.iter), AG_BODY=self.block(body))

    def _lists(self, node: ast.For, assigned: Names, changed: Places) -> Names:
        """Variables with lists of the function's own making which the body only fills."""
        filled = frozenset(path[0] for kind, path in changed if kind == "items" and len(path) == 1)
        return (filled & self.private) - assigned

    def _shared(self, node: ast.AST) -> Names:
        """Names that a call inside of the construct may rebind."""
        return self.shared if any(isinstance(n, ast.Call) for n in inside(node)) else frozenset()

    def _tuple(self, names: Names) -> str:
        return repr(tuple(self.mangle_all(names)))

    def _places(self, found: Places) -> str:
        """What is changed, as text; contents of what the function made itself are its own."""
        kinds = [("own" if kind == "items" and path[0] in self.private else kind, path) for kind, path in found]
        return repr(tuple((kind, tuple(self.mangled(n) for n in path)) for kind, path in kinds))

    def _here(self, assigned: Names, changed: Places) -> str:
        outside = (assigned & self.globals) | (frozenset(path[0] for _, path in changed) - self.bound)
        return f"ag__.here(ag__.locals(), ag__.globals(), {self._tuple(outside)})" if outside else "ag__.locals()"

    def _load(self, d: str, assigned: Names, deep: int = 1) -> str:
        pad = " " * deep
        lines = [
            f"{pad} {n} = {d}.get({n!r})\n{pad} if {n} is ag__.UNDEFINED: del {n}\n" for n in self.mangle_all(assigned)
        ]
        return f"{pad}if {d}.load:\n{''.join(lines)}" if lines else ""

    def _fill(self, text: str, at: ast.AST, **parts: Any) -> list[ast.stmt]:
        """Statements from text with the parts in place of the names in capitals."""
        return [Filler(parts).visit(s) for s in parse(text, at)]

    def _guarded(self, node: Any) -> list[ast.stmt]:
        """A statement that catches exceptions: regions left open by one are closed first."""
        depth = self.fresh()
        self.generic_visit(node)
        again = f"ag__.unwind({depth})"
        for handler in getattr(node, "handlers", ()):
            handler.body[:0] = parse(f"ag__.caught({depth})", handler)
        if getattr(node, "finalbody", None):
            node.finalbody[:0] = parse(again, node.finalbody[0])
        after = parse(again, node) if isinstance(node, ast.With) else []
        return [*parse(f"{depth} = ag__.depth()", node), node, *after]

    visit_Try = visit_TryStar = visit_With = _guarded

    def visit_Assert(self, node: ast.Assert) -> Any:
        test = self.visit(node.test)
        self.late.add(id(node.msg))
        message = self.visit(node.msg) if node.msg is not None else ast.Constant(None)
        text = "ag__.join(ag__.assert_(AG_TEST) and ag__.give(AG_MSG))"
        node.test = self._expression(text, node.test, AG_TEST=test, AG_MSG=message)
        return node

    # ------------------------------------------------------------ expressions
    def _expression(self, text: str, at: ast.AST, **parts: Any) -> ast.expr:
        (s,) = self._fill(text, at, **parts)
        assert isinstance(s, ast.Expr)
        return s.value

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        word = "and_" if isinstance(node.op, ast.And) else "or_"
        values = [self.visit(v) for v in node.values]
        out = values.pop()
        while values:
            out = self._expression(f"ag__.join(ag__.{word}(A) and ag__.give(B))", node, A=values.pop(), B=out)
        return out

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return self._expression("ag__.not_(A)", node, A=self.visit(node.operand))
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        text = "ag__.join(ag__.then(AG_TEST) and ag__.give(A), ag__.other() and ag__.give(B))"
        return self._expression(
            text, node, AG_TEST=self.visit(node.test), A=self.visit(node.body), B=self.visit(node.orelse)
        )

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        if len(node.ops) == 1:
            return node
        operands = node.comparators
        out: ast.expr | None = None
        for i in range(len(node.ops) - 1, -1, -1):
            left = node.left if i == 0 else self._expression("ag__.kept()", node)
            right = operands[i] if out is None else self._expression("ag__.keep(B)", operands[i], B=operands[i])
            pair = ast.copy_location(ast.Compare(left, [node.ops[i]], [right]), node)
            if out is None:
                out = pair
            else:
                out = self._expression("ag__.join(ag__.chain(A) and ag__.give(B))", node, A=pair, B=out)
        return out

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        pieces: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                spec = ast.Constant("") if part.format_spec is None else self.visit(part.format_spec)
                call = f"ag__.piece(A, {part.conversion}, B)"
                pieces.append(self._expression(call, part, A=self.visit(part.value), B=spec))
            else:
                pieces.append(part)
        made = self._expression("ag__.late()" if id(node) in self.late else "ag__.text()", node)
        assert isinstance(made, ast.Call)
        made.args = pieces
        return made

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """A read of an element or slice: an ndarray from outside may be read at a place that is not known yet."""
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return node
        key = spelled_out(node.slice)
        return node if key is None else self._expression("ag__.read(A, B)", node, A=node.value, B=key)

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        first = node.generators[0]
        named = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        over_range = isinstance(first.iter, ast.Call) and ast.unparse(first.iter.func) == "range"
        special = named & FRAME_BOUND or any(isinstance(n, (ast.NamedExpr, ast.Await)) for n in ast.walk(node))
        if len(node.generators) > 1 or first.ifs or not isinstance(first.target, ast.Name) or not over_range or special:
            return self.generic_visit(node)
        args = ast.arguments([], [ast.arg(self.mangled(first.target.id))], None, [], [], None, [])
        body = ast.copy_location(ast.Lambda(args, self.visit(node.elt)), node)
        text = "ag__.comprehension(AG_ITER, AG_BODY)"
        return ast.fix_missing_locations(self._expression(text, node, AG_ITER=self.iterable(first.iter), AG_BODY=body))

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id in FRAME_BOUND:
            return self.generic_visit(node)
        how = "call(F)"
        if isinstance(node.func, ast.Name) and node.func.id == "print":
            self.late |= {id(a) for a in node.args}
        if isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            path = chain(node.func.value)
            how = f"mutates(F, {path is not None and path[0] in self.private and len(path) == 1})"
        self.generic_visit(node)
        node.func = self._expression(f"ag__.{how}", node.func, F=node.func)
        return node

    def iterable(self, node: ast.expr) -> ast.expr:
        """What a loop iterates over: a `range`, `enumerate`, `zip` or `reversed` may stay unevaluated there."""
        name = node.func if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or (isinstance(name, ast.Name) and name.id in FRAME_BOUND):
            found: ast.expr = self.visit(node)
            return found
        func = self.visit(node.func)
        nested = isinstance(name, ast.Name) and name.id in LAZY_ITERABLES
        args = [self.iterable(a) if nested else self.visit(a) for a in node.args]
        keywords = [self.visit(k) for k in node.keywords]
        called = self._expression("ag__.iterable(F)", node.func, F=func)
        return ast.copy_location(ast.Call(called, args, keywords), node)


class Filler(ast.NodeTransformer):
    """Puts parts in place of names; a name that stands alone as a statement becomes a list of statements."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts = parts

    def visit_Expr(self, node: ast.Expr) -> Any:
        if isinstance(node.value, ast.Name) and isinstance(self.parts.get(node.value.id), list):
            return self.parts[node.value.id] or ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        return self.parts.get(node.id, node)


def has_yield(node: ast.AST) -> bool:
    """Whether a function is a generator or coroutine."""
    body = node.body if isinstance(node, ast.FunctionDef) else [node.body] if isinstance(node, ast.Lambda) else []
    return any(isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for s in body for n in inside(s))
