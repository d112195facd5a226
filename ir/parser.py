"""Reads IR text; the grammar stands in `printer.py`.

A recursive-descent parser over the tokens of `lexer.py`. It checks names and form; whether the ops make sense is the
verifier's question. An error shows the line with a caret and says what was expected and what was found.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence

from .control import CALL, FOR, IF, WHILE
from .dtypes import as_dtype, int32
from .graph import Attrs, Block, Function, Loc, Op, Value
from .lexer import Token
from .literals import build_array, unquote
from .opdef import OpDef
from .ops import find  # from there, as that module fills the op table
from .reader import Reader
from .types import TensorType

Scope = ChainMap[str, Value]


def parse(text: str) -> Function:
    """The first function of a text; its `call`s are linked to the others.

    Raises:
      ParseError: for text that is no IR.
    """
    return parse_module(text)[0]


def parse_module(text: str) -> list[Function]:
    """All functions of a text, in order. Raises ParseError."""
    return Parser(text).module()


def parse_type(text: str) -> TensorType:
    """The type that a text such as `f32[n, 3]` names. Raises ParseError."""
    p = Parser(text)
    t = p.type()
    p.end()
    return t


class Parser(Reader):
    """Functions, blocks and ops; knows the functions met so far."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.functions: dict[str, Function] = {}
        self.mentioned: dict[str, Token] = {}

    def module(self) -> list[Function]:
        """All functions."""
        order: list[Function] = []
        while self.token.kind != "end":
            order.append(self.function())
        if not order:
            raise self.wrong("'func'")
        for name, t in self.mentioned.items():
            if not self.functions[name].body.ops:
                raise self.source.error(f"no function @{name} in this text", t)
        return order

    def func_name(self) -> str:
        """The name behind the @."""
        t = self.kind("func", "a function's name such as @f")
        if t.text[1] != '"':
            return t.text[1:]
        return str(self.checked(t, lambda: unquote(t.text[1:])))

    def function(self) -> Function:
        """One function."""
        self.expect("func")
        at = self.token
        name = self.func_name()
        fn = self.functions.setdefault(name, Function(name, Block()))
        if fn.body.ops:
            raise self.source.error(f"function @{name} is defined twice", at)
        scope: Scope = ChainMap()
        self.expect("(")
        params = self.separated(lambda: self.param(scope), ")")
        results = self.types() if self.accept("->") else []
        fn.body.params = params
        for p in params:
            p.owner = fn.body
        self.block(fn.body, scope, "return")
        if list(fn.result_types) != results:
            found = ", ".join(map(str, fn.result_types))
            raise self.source.error(f"@{name} says other result types than it returns: ({found})", at)
        return fn

    def param(self, scope: Scope) -> Value:
        """`%x: type`, defined in the scope."""
        t = self.kind("value", "a parameter such as %x: f32")
        self.expect(":")
        return self.define(t, Value(self.type()), scope)

    def define(self, t: Token, v: Value, scope: Scope) -> Value:
        """Gives the value the name of the token."""
        if t.text in scope:
            raise self.source.error(f"{t.text} is defined twice", t)
        scope[t.text] = v
        v.name = "" if t.text[1:].isdigit() else t.text[1:]
        return v

    def use(self, scope: Scope) -> Value:
        """The value that the next token names."""
        t = self.kind("value", "a value such as %x")
        if t.text not in scope:
            raise self.source.error(f"{t.text} is not defined here", t)
        return scope[t.text]

    def block(self, block: Block, scope: Scope, end: str) -> Block:
        """`{ ops }` into the block; the last op is the terminator `end`."""
        self.expect("{")
        while not self.is_("}"):
            self.op(block, scope)
            last = block.ops[-1].kind
            if last.terminator and (last.name != end or not self.is_("}")):
                raise self.wrong(f"'{end}' as the last op of the block and nowhere else")
        if not block.ops or not block.ops[-1].kind.terminator:
            raise self.wrong(f"'{end}' before the end of the block")
        self.next()
        return block

    def region(self, params: Sequence[tuple[Token, TensorType]], scope: Scope) -> Block:
        """A block inside an op: its names are its own, outer ones are seen."""
        inner = scope.new_child()
        block = Block()
        for t, type in params:
            self.define(t, block.add_param(type), inner)
        return self.block(block, inner, "yield")

    # ------------------------------------------------------------ ops
    def op(self, block: Block, scope: Scope) -> None:
        """One op, appended to the block; its results join the scope."""
        loc = self.source.locs.get(self.token.line)
        names: list[Token] = []
        while self.token.kind == "value":
            names.append(self.next())
            if not self.accept(","):
                self.expect("=")
                break
        word = self.kind("word", "an op such as add")
        kind = find(word.text)
        if kind is None:
            raise self.source.error(f"there is no op '{word.text}'", word)
        op = self._body(kind, word, block, scope, loc)
        op.loc = loc
        if len(op.results) != len(names):
            raise self.source.error(f"'{word.text}' has {len(op.results)} results, {len(names)} are named", word)
        for t, v in zip(names, op.results, strict=True):
            self.define(t, v, scope)
        block.ops.append(op)

    def _body(self, kind: OpDef, word: Token, block: Block, scope: Scope, loc: Loc | None) -> Op:
        if kind is FOR and not self.is_("do"):
            return self._for(block, scope, loc)
        if kind is WHILE:
            return self._while(scope)
        if kind is IF:
            return self._if(scope)
        if kind is CALL:
            return self._call(scope)
        if kind.name == "constant":
            value = self.array()
            return Op(kind, (), {"value": value}, (), [TensorType(as_dtype(value.dtype), value.shape)])
        return self._plain(kind, word, scope)

    def _plain(self, kind: OpDef, word: Token, scope: Scope) -> Op:
        operands: list[Value] = []
        while self.token.kind == "value" and (operands or self.token.line == word.line):
            operands.append(self.use(scope))
            if not self.accept(","):
                break
        attrs = self.attrs(kind) if self.is_("{") else {}
        regions: list[Block] = []
        while self.accept("do"):
            self.expect("(")
            params = self.separated(self._region_param, ")")
            regions.append(self.region(params, scope))
        types = self.types() if self.accept(":") else []
        return Op(kind, operands, attrs, regions, types)

    def _region_param(self) -> tuple[Token, TensorType]:
        t = self.kind("value", "a parameter such as %x: f32")
        self.expect(":")
        return t, self.type()

    def attrs(self, kind: OpDef) -> Attrs:
        """`{name = value, ...}`."""
        attrs: Attrs = {}

        def one() -> None:
            t = self.kind("word", "an attribute's name")
            if t.text not in kind.attrs or t.text in attrs:
                known = ", ".join(kind.attrs) or "none"
                problem = "is given twice" if t.text in attrs else f"is unknown; '{kind.name}' has {known}"
                raise self.source.error(f"attribute '{t.text}' {problem}", t)
            self.expect("=")
            attrs[t.text] = self.literal()

        self.expect("{")
        self.separated(one, "}")
        return attrs

    def _call(self, scope: Scope) -> Op:
        at = self.token
        name = self.func_name()
        callee = self.functions.setdefault(name, Function(name, Block()))
        self.mentioned.setdefault(name, at)
        self.expect("(")
        operands = self.separated(lambda: self.use(scope), ")")
        types = self.types() if self.accept(":") else []
        return Op(CALL, operands, {"callee": callee}, (), types)

    def _iter(self, scope: Scope) -> tuple[list[Token], list[Value], list[TensorType]]:
        """`iter(%a = %x, ...) -> types`: names, initial values, types."""
        if not self.accept("iter"):
            return [], [], []
        self.expect("(")
        names: list[Token] = []

        def one() -> Value:
            names.append(self.kind("value", "a name such as %acc"))
            self.expect("=")
            return self.use(scope)

        initial = self.separated(one, ")")
        arrow = self.expect("->")
        types = self.types()
        if len(types) != len(initial):
            raise self.source.error(f"{len(initial)} values are carried, but {len(types)} types given", arrow)
        return names, initial, types

    def _for(self, block: Block, scope: Scope, loc: Loc | None) -> Op:
        index = self.kind("value", "the loop's index such as %i")
        declared = self.type() if self.accept(":") else None
        self.expect("in")
        bounds: list[Value | int] = [self._bound(scope)]
        self.expect("..")
        bounds.append(self._bound(scope))
        bounds.append(self._bound(scope) if self.accept("step") else 1)
        known = next((b.type for b in bounds if isinstance(b, Value)), declared or TensorType(int32))
        operands = [b if isinstance(b, Value) else self._bound_constant(b, known, block, loc, index) for b in bounds]
        names, initial, types = self._iter(scope)
        attrs = self._kept(FOR)
        region = self.region([(index, declared or known), *zip(names, types, strict=True)], scope)
        return Op(FOR, [*operands, *initial], attrs, [region], types)

    def _kept(self, kind: OpDef) -> Attrs:
        return self.attrs(kind) if self.accept("checkpoint") else {}

    def _bound(self, scope: Scope) -> Value | int:
        if self.token.kind == "value":
            return self.use(scope)
        sign = -1 if self.accept("-") else 1
        t = self.kind("number", "a bound such as 0 or %n")
        if not t.text.isdigit():
            raise self.wrong("a bound such as 0 or %n", t)
        return sign * int(t.text)

    def _bound_constant(self, n: int, type: TensorType, block: Block, loc: Loc | None, at: Token) -> Value:
        value = self.checked(at, lambda: build_array(n, type))
        constant = find("constant")
        assert constant is not None
        op = Op(constant, (), {"value": value}, (), [TensorType(type.dtype)], loc)
        block.ops.append(op)
        return op.result

    def _while(self, scope: Scope) -> Op:
        names, initial, types = self._iter(scope)
        params = list(zip(names, types, strict=True))
        attrs = self._kept(WHILE)
        condition = self.region(params, scope)
        self.expect("do")
        return Op(WHILE, initial, attrs, [condition, self.region(params, scope)], types)

    def _if(self, scope: Scope) -> Op:
        condition = self.use(scope)
        types = self.types() if self.accept("->") else []
        then = self.region([], scope)
        self.expect("else")
        return Op(IF, [condition], {}, [then, self.region([], scope)], types)
