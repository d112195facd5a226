"""Checks that IR keeps its own rules; what breaks one is shown in the function's text with a caret under the op.

The rules: every operand is defined before its use and visible there (values of enclosing blocks are, those of finished
regions are not); every value is defined once; blocks end in the right terminator; attributes are those that the op
declares; result types are what `infer` says, which covers regions and callee signatures; a symbolic size occurs
as a plain dimension of some parameter, so that a call binds it, or is bound by an op further up.
"""

from __future__ import annotations

from .attrs import attr_symbols
from .control import bound_by, plain_symbol, show
from .dims import symbols_of
from .errors import OpError, VerifyError
from .graph import Block, Function, Op, Value
from .printer import FunctionPrinter
from .types import StackType

_UNBOUND = "no parameter has it as a dimension, and no op binds it"
TAKES_STACKS = frozenset({"push", "pop", "stack_zeros", "for", "while", "yield", "return", "call"})


def verify(fn: Function, callees: bool = True) -> Function:
    """Checks a function and (unless told otherwise) all that it calls; gives the function back.

    Raises:
      VerifyError: naming what is wrong, with the function's text.
    """
    for f in [fn, *(fn.callees() if callees else ())]:
        Verifier(f).run()
    return fn


def bound_symbols(fn: Function) -> frozenset[str]:
    """The symbols that the shapes of arguments determine."""
    # A stack binds nothing: it may be empty.
    names = (plain_symbol(d) for p in fn.params if not isinstance(p.type, StackType) for d in p.type.shape)
    return frozenset(n for n in names if n is not None)


class Verifier:
    """One check of one function."""

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self.visible: set[Value] = set()
        self.defined: set[Value] = set()
        self.symbols = bound_symbols(fn)

    def run(self) -> None:
        """Raises VerifyError for the first rule that is broken."""
        for p in self.fn.params:
            self._check_symbols(p, None)
        self._block(self.fn.body, "return", None)

    def _block(self, block: Block, end: str, parent: Op | None) -> None:
        added: list[Value] = []
        outside = self.symbols
        self._define(block.params, block, parent, added)
        if not block.ops:
            raise self.error(parent, f"a block is empty; it must end in '{end}'")
        for op in block.ops:
            last = op is block.ops[-1]
            if op.kind.terminator != last or (last and op.kind.name != end):
                where = "last" if last else "inner"
                raise self.error(op, f"a block ends in one '{end}', found '{op.kind.name}' as its {where} op")
            name = bound_by(op)
            if name is not None:
                if name in self.symbols:
                    raise self.error(op, f"the size '{name}' is bound twice")
                self.symbols = self.symbols | {name}
            self._op(op)
            self._define(op.results, op, op, added)
        self.visible.difference_update(added)
        self.symbols = outside

    def _define(self, values: list[Value], owner: Op | Block, at: Op | None, added: list[Value]) -> None:
        for v in values:
            if v in self.defined:
                raise self.error(at, "a value is defined twice")
            if v.owner is not owner:
                raise self.error(at, "a value's owner is not the op or block that defines it")
            self._check_symbols(v, at)
        self.defined.update(values)
        self.visible.update(values)
        added += values

    def _check_symbols(self, v: Value, at: Op | None) -> None:
        for d in v.type.shape:
            if isinstance(d, int) and d < 0:
                raise self.error(at, f"the size {d} in {v.type} is negative")
            unbound = symbols_of(d) - self.symbols
            if unbound:
                name = min(unbound)
                raise self.error(at, f"the size '{name}' in {v.type} is not bound: {_UNBOUND}")

    def _op(self, op: Op) -> None:
        for i, v in enumerate(op.operands):
            if v not in self.visible:
                when = "outside the region that defines it" if v in self.defined else "before it is defined"
                raise self.error(op, f"operand {i} is used {when}")
            if isinstance(v.type, StackType) and op.kind.name not in TAKES_STACKS:
                raise self.error(op, f"operand {i} is {v.type}, which '{op.kind.name}' cannot take")
        self._check_attrs(op)
        for r in op.regions:
            self._block(r, "yield", op)
        try:
            types = op.kind.infer(op.attrs, [v.type for v in op.operands], op.regions)
        except (OpError, ValueError, TypeError, KeyError, IndexError) as e:
            raise self.error(op, f"missing attribute {e}" if isinstance(e, KeyError) else str(e)) from e
        found = [r.type for r in op.results]
        if found != list(types):
            raise self.error(op, f"the op's results have types {show(found)}, but it gives {show(types)}")

    def _check_attrs(self, op: Op) -> None:
        for name in op.attrs:
            if name not in op.kind.attrs:
                known = ", ".join(op.kind.attrs) or "none"
                raise self.error(op, f"unknown attribute '{name}'; '{op.kind.name}' has {known}")
        for name in sorted(attr_symbols(op.attrs) - self.symbols):
            raise self.error(op, f"the size '{name}' in an attribute is not bound: {_UNBOUND}")

    def error(self, op: Op | None, message: str) -> VerifyError:
        """The error to raise for an op (None: the function's head)."""
        printer = FunctionPrinter(self.fn)
        lines = printer.text().split("\n")
        at = 0 if op is None else printer.op_lines.get(id(op), 0)
        line = lines[at].split("  # ")[0]
        indent = len(line) - len(line.lstrip())
        where = f" ({op.loc})" if op is not None and op.loc else ""
        marks = " " * indent + "^" * len(line.strip())
        lines[at + 1 : at + 1] = [marks, f"{' ' * indent}{message}{where}"]
        return VerifyError(f"{message}{where}\n" + "\n".join(lines))
