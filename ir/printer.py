"""IR as text. `parse(print_function(f))` gives `f` back; the grammar (the only place that has it):

    module   = { function } ;                      the first one is the entry; `call` may name any of them
    function = "func" func-name "(" [ value ":" type { "," value ":" type } ] ")" [ "->" types ] block ;
    block    = "{" { op } "}" ;
    op       = [ value { "," value } "=" ] ( plain | constant | call | for | while | if ) ;
    plain    = word [ value { "," value } ] [ attrs ] { "do" "(" [ params ] ")" block } [ ":" types ] ;
    constant = "constant" literal ":" type ;
    call     = "call" func-name "(" [ values ] ")" [ attrs ] [ ":" types ] ;
    for      = "for" value [ ":" type ] "in" bound ".." bound [ "step" bound ] [ iter ] [ kept ] block ;
    while    = "while" [ iter ] [ kept ] block "do" block ;
    if       = "if" value [ "->" types ] block "else" block ;
    iter     = "iter" "(" value "=" value { "," value "=" value } ")" "->" types ;
    kept     = "checkpoint" attrs ;
    bound    = value | [ "-" ] digits ;
    attrs    = "{" word "=" literal { "," word "=" literal } "}" ;         literal: see literals.py
    types    = type | "(" [ type { "," type } ] ")" ;
    type     = dtype [ "[" dim { "," dim } "]" ] | "stack" "<" type ">" ;  dim: an int or a sum such as `2*n + 1`
    value    = "%" name ;   func-name = "@" name | "@" string ;
    comment  = "#" ... end of line ;     `# file:line` is the location of the op that starts on the line

A number as a bound of `for` stands for a constant made just before the loop, i32 unless another bound or the
type beside the index says else; the step is 1 when left out. Both regions of `while` see the carried values under the
same names. Types stand once per op, behind it: operands' types are known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .graph import Block, Function, Op, Value
from .literals import print_array, print_attr, quote
from .types import TensorType

_PLAIN_FUNC = re.compile(r"[\w.$]+")
_NAME = re.compile(r"\w+(?:\.\w+)*")
_BAD = re.compile(r"\W")
_DIGITS = re.compile(r"\d+$")
_COMMENT_COLUMN = 72


def print_function(fn: Function, locations: bool = True) -> str:
    """The text of a function followed by those that it calls; ends in a newline."""
    return print_module([fn], locations)


def print_module(fns: Sequence[Function], locations: bool = True) -> str:
    """The text of functions and all that they call, each once."""
    every: dict[int, Function] = {}
    for fn in fns:
        every.setdefault(id(fn), fn)
    for fn in fns:
        for callee in fn.callees():
            every.setdefault(id(callee), callee)
    names = function_names(list(every.values()))
    return "\n".join(FunctionPrinter(fn, names, locations).text() for fn in every.values())


def function_names(fns: Sequence[Function]) -> dict[int, str]:
    """A distinct name for each function, by id."""
    taken: dict[str, int] = {}
    return {id(fn): _unique(fn.name or "f", taken) for fn in fns}


def _unique(hint: str, taken: dict[str, int]) -> str:
    """`hint`, or `hint_1`, `hint_2`, ... when taken; `taken` counts what was given out."""
    name = hint
    while name in taken:
        taken[hint] += 1
        name = f"{hint}_{taken[hint]}"
    taken[name] = 0
    return name


def _types(types: Sequence[TensorType]) -> str:
    return str(types[0]) if len(types) == 1 else f"({', '.join(map(str, types))})"


class FunctionPrinter:
    """Prints one function; `lines` is filled by `text`, `op_lines` says on which of them an op (by id) starts."""

    def __init__(self, fn: Function, names: dict[int, str] | None = None, locations: bool = True) -> None:
        self.fn = fn
        self.functions = names or function_names([fn, *fn.callees()])
        self.locations = locations
        self.lines: list[str] = []
        self.op_lines: dict[int, int] = {}
        self._comments: dict[int, str] = {}
        self._names: dict[Value, str] = {}
        self._taken: dict[str, int] = {}
        self._count = 0
        self._inline: dict[int, str] = {}  # id of a constant op written as a bound of its `for` -> its digits

    def text(self) -> str:
        """The function's text, ending in a newline."""
        fn = self.fn
        params = ", ".join(f"{self.define(p)}: {p.type}" for p in fn.params)
        terminated = bool(fn.body.ops) and fn.body.ops[-1].kind.terminator
        results = f" -> {_types(fn.result_types)}" if terminated and fn.results else ""
        self.lines.append(f"func {self.function_name(fn)}({params}){results} {{")
        self._block(fn.body, 1)
        self.lines.append("}")
        width = min(_COMMENT_COLUMN, max((len(self.lines[i]) for i in self._comments), default=0) + 2)
        for i, comment in self._comments.items():
            self.lines[i] = f"{self.lines[i].ljust(width - 2)}  # {comment}"
        return "\n".join(self.lines) + "\n"

    def function_name(self, fn: Function) -> str:
        """`@name`, in quotes where needed."""
        name = self.functions.get(id(fn), fn.name)
        return f"@{name}" if _PLAIN_FUNC.fullmatch(name) else f"@{quote(name)}"

    def define(self, v: Value) -> str:
        """Gives a value its name in this text."""
        hint = v.name if not v.name or _NAME.fullmatch(v.name) else _BAD.sub("_", v.name)
        if not hint or _DIGITS.match(hint):
            name = str(self._count)
            self._count += 1
        else:
            name = _unique(hint, self._taken)
        self._names[v] = f"%{name}"
        return f"%{name}"

    def use(self, v: Value) -> str:
        """The name of a value; one that was never defined (broken IR) shows as `%undefined`."""
        return self._names.get(v, "%undefined")

    def _uses(self, vs: Sequence[Value]) -> str:
        return ", ".join(map(self.use, vs))

    def _block(self, block: Block, depth: int) -> None:
        bounds = _literal_bounds(block)
        for op in block.ops:
            if id(op) in bounds:
                self._inline[id(op)] = bounds[id(op)]
                self.op_lines[id(op)] = len(self.lines)
            else:
                self._op(op, depth)

    def _op(self, op: Op, depth: int) -> None:
        self.op_lines[id(op)] = len(self.lines)
        if op.loc and self.locations:
            self._comments[len(self.lines)] = str(op.loc).replace("\n", " ")
        custom = {"for": self._for, "while": self._while, "if": self._if}.get(op.kind.name)
        if custom and _well_formed(op):
            custom(op, depth)
        else:
            self._plain(op, depth)

    def _left(self, op: Op, depth: int) -> str:
        """The start of the op's line, up to the equals sign."""
        left = ", ".join(self.define(r) for r in op.results)
        return "  " * depth + (left + " = " if left else "")

    def _plain(self, op: Op, depth: int) -> None:
        name, attrs = op.kind.name, dict(op.attrs)
        left = self._left(op, depth)
        if name == "constant" and set(attrs) == {"value"} and len(op.results) == 1:
            head = f"constant {print_array(attrs['value'])}"
        elif name == "call" and "callee" in attrs:
            head = f"call {self.function_name(attrs.pop('callee'))}({self._uses(op.operands)}){self._attrs(op, attrs)}"
        else:
            head = f"{name}{' ' + self._uses(op.operands) if op.operands else ''}{self._attrs(op, attrs)}"
        tail = f" : {_types([r.type for r in op.results])}" if op.results else ""
        self.lines.append(left + head)
        for r in op.regions:
            params = ", ".join(f"{self.define(p)}: {p.type}" for p in r.params)
            self.lines[-1] += f" do ({params}) {{"
            self._block(r, depth + 1)
            self.lines.append("  " * depth + "}")
        self.lines[-1] += tail

    def _attrs(self, op: Op, attrs: dict[str, object]) -> str:
        order = [k for k in op.kind.attrs if k in attrs] + sorted(k for k in attrs if k not in op.kind.attrs)
        return f" {{{', '.join(f'{k} = {print_attr(attrs[k])}' for k in order)}}}" if order else ""

    def _bound(self, v: Value) -> str:
        return self._inline.get(id(v.owner)) or self.use(v)

    def _iter(self, params: Sequence[Value], initial: Sequence[Value]) -> str:
        if not params:
            return ""
        pairs = ", ".join(f"{self.define(p)} = {self.use(x)}" for p, x in zip(params, initial, strict=True))
        return f" iter({pairs}) -> {_types([x.type for x in initial])}"

    def _kept(self, op: Op) -> str:
        return f" checkpoint{self._attrs(op, op.attrs)}" if op.attrs else ""

    def _regions(self, op: Op, depth: int, head: str, between: str = "") -> None:
        self.lines.append(head + " {")
        for i, r in enumerate(op.regions):
            if i:
                self.lines.append(f"{'  ' * depth}}} {between} {{")
            self._block(r, depth + 1)
        self.lines.append("  " * depth + "}")

    def _for(self, op: Op, depth: int) -> None:
        left = self._left(op, depth)
        lower, upper, step = (self._bound(v) for v in op.operands[:3])
        index, *params = op.regions[0].params
        name = self.define(index)
        literal = not any(t.startswith("%") for t in (lower, upper, step))
        name += f" : {index.type}" if literal and str(index.type) != "i32" else ""
        stride = "" if step == "1" else f" step {step}"
        iter_ = self._iter(params, op.operands[3:])
        self._regions(op, depth, f"{left}for {name} in {lower}..{upper}{stride}{iter_}{self._kept(op)}")

    def _while(self, op: Op, depth: int) -> None:
        condition, body = op.regions
        head = f"{self._left(op, depth)}while{self._iter(condition.params, op.operands)}{self._kept(op)}"
        self._names.update({b: self._names[c] for c, b in zip(condition.params, body.params, strict=True)})
        self._regions(op, depth, head, "do")

    def _if(self, op: Op, depth: int) -> None:
        types = f" -> {_types([r.type for r in op.results])}" if op.results else ""
        self._regions(op, depth, f"{self._left(op, depth)}if {self.use(op.operands[0])}{types}", "else")


def _well_formed(op: Op) -> bool:
    """Whether operands and regions have the numbers that the op's own text form shows."""
    n, params = len(op.operands), [len(r.params) for r in op.regions]
    if not set(op.attrs) <= set(op.kind.attrs):
        return False
    if op.kind.name == "for":
        return n >= 3 and params == [n - 2] and len(op.results) == n - 3
    if op.kind.name == "while":
        return params == [n, n] and len(op.results) == n
    return n == 1 and params == [0, 0]


def _literal_bounds(block: Block) -> dict[int, str]:
    """Constants that can be written as bounds of a `for`: right before it, nowhere else used, without a name.

    The reader makes them there again, in the order lower, upper, step, at the loop's own location.
    """
    loops = [at for at, op in enumerate(block.ops) if op.kind.name == "for" and _well_formed(op)]
    counts: dict[int, int] = {}
    for op in block.walk() if loops else ():
        for v in op.operands:
            counts[id(v)] = counts.get(id(v), 0) + 1
    found: dict[int, str] = {}
    for at in loops:
        loop, back = block.ops[at], at - 1
        for v in reversed(loop.operands[:3]):
            if back >= 0 and v.owner is block.ops[back] and counts[id(v)] == 1 and _is_bound(block.ops[back], loop):
                found[id(v.owner)] = str(int(block.ops[back].attrs["value"]))
                back -= 1
    return found


def _is_bound(op: Op, loop: Op) -> bool:
    if op.kind.name != "constant" or op.loc != loop.loc or op.result.name:
        return False
    return op.result.type.dtype.short in ("i32", "i64") and not op.result.type.shape


_COLOURS = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<string>b?"(?:[^"\\\n]|\\.)*")|(?P<func>@[\w.$]+)|(?P<value>%\w+(?:\.\w+)*)
      | (?P<keyword>\b(?:func|for|while|if|else|do|iter|in|step|checkpoint|return|yield|call)\b)
      | (?P<type>\b(?:bf16|[fc]\d+|[iu]\d+|bool|string)\b(?:\[[^\]\n]*\])?)
      | (?P<number>(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)
    """,
    re.VERBOSE,
)
_ANSI = {"comment": 90, "string": 32, "func": 35, "value": 36, "keyword": 34, "type": 33, "number": 32}


def highlight(text: str, parts: re.Pattern[str] = _COLOURS) -> str:
    """IR text with ANSI colours, for a terminal; another language's text with a pattern whose groups have our names."""
    return parts.sub(lambda m: f"\x1b[{_ANSI[m.lastgroup or '']}m{m[0]}\x1b[0m", text)
