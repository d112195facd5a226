"""Control flow and effects: return, yield, call, for, while, if, print, assert.

Control flow is structured. A region is a block; what it needs from outside it simply uses (all values of enclosing
blocks are visible), what changes from one trip to the next is carried: a block parameter, with `yield` giving the
next value. The types of carried values never change. An op that owns regions says in `interpret` how they run, with
`run(block, args)` supplied by whoever interprets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .dims import Dim, DimLike, substitute
from .errors import FailedAssertion, InvalidArgumentError, ShapeMismatch, TypeMismatch
from .graph import Attrs, Block, Function, Op
from .opdef import NoGradient, OpDef, register
from .print_text import STYLES, array_text, joined_text
from .types import TensorType

Run = Callable[[Block, Sequence[Any]], list[Any]]
Types = Sequence[TensorType]


class Terminator(OpDef):
    """Ends a block; its operands are what the block gives."""

    terminator = True

    def __init__(self, name: str, summary: str) -> None:
        self.name, self.summary = name, summary

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """No results."""
        return ()


class RegionOp(OpDef):
    """An op with regions. `interpret` runs it on arrays."""

    def interpret(self, regions: Sequence[Block], xs: Sequence[Any], run: Run) -> Sequence[Any]:
        """The results, from operands and a function that runs a region on arguments."""
        raise NotImplementedError(self.name)


def yielded(block: Block) -> tuple[TensorType, ...]:
    """Types that a region yields. Raises TypeMismatch when it does not end in `yield`."""
    if not block.ops or block.ops[-1].kind.name != "yield":
        raise TypeMismatch("a region must end in 'yield'")
    return tuple(v.type for v in block.ops[-1].operands)


def show(types: Types) -> str:
    """Types as text: `f32` or `(f32, i32[n])`."""
    return str(types[0]) if len(types) == 1 else f"({', '.join(map(str, types))})"


def _same(op: str, what: str, found: Types, wanted: Types) -> None:
    if tuple(found) != tuple(wanted):
        raise TypeMismatch(f"{op}: {what} have types {show(found)}, but the carried values are {show(wanted)}")


class For(RegionOp):
    """`for i in lower..upper step s iter(carried)`: no trips give the initial values back; a step < 0 counts down."""

    name = "for"
    summary = "Counted loop with loop-carried values."
    attrs = ("slots", "bytes", "segment")
    differentiable = False

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """Types of the carried values. Bounds and step are scalars of one integer type, i32 or i64."""
        if len(types) < 3 or len(regions) != 1:
            raise TypeMismatch("for: needs operands lower, upper, step and one region")
        for word, t in zip(("lower bound", "upper bound", "step"), types, strict=False):
            if t.shape or t.dtype.short not in ("i32", "i64") or t.dtype != types[0].dtype:
                raise TypeMismatch(f"for: the {word} must be a scalar i32 or i64, the same for all three; found {t}")
        carried = tuple(types[3:])
        _same("for", "the region's parameters", [p.type for p in regions[0].params], (types[0], *carried))
        _same("for", "the values yielded", yielded(regions[0]), carried)
        return carried

    def interpret(self, regions: Sequence[Block], xs: Sequence[Any], run: Run) -> Sequence[Any]:
        """Runs the body once per index."""
        lower, upper, step = (int(x) for x in xs[:3])
        if step == 0:
            raise InvalidArgumentError("for: the step is zero")
        carried = list(xs[3:])
        dtype = np.asarray(xs[0]).dtype
        for i in range(lower, upper, step):
            carried = run(regions[0], [np.asarray(i, dtype), *carried])
        return carried


class While(RegionOp):
    """`while iter(carried) { condition } do { body }`: the condition's region yields one bool scalar."""

    name = "while"
    summary = "Loop that runs as long as its condition holds."
    attrs = ("slots", "bytes", "segment")
    differentiable = False

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """Types of the carried values."""
        if len(regions) != 2:
            raise TypeMismatch("while: needs two regions, the condition and the body")
        for word, r in zip(("condition", "body"), regions, strict=True):
            _same("while", f"the parameters of the {word}", [p.type for p in r.params], types)
        condition = yielded(regions[0])
        if len(condition) != 1 or condition[0].shape or not condition[0].dtype.is_bool:
            raise TypeMismatch(f"while: the condition must yield one bool scalar, found {show(condition)}")
        _same("while", "the values yielded", yielded(regions[1]), types)
        return tuple(types)

    def interpret(self, regions: Sequence[Block], xs: Sequence[Any], run: Run) -> Sequence[Any]:
        """Runs the body while the condition yields true."""
        carried = list(xs)
        while bool(run(regions[0], carried)[0]):
            carried = run(regions[1], carried)
        return carried


class If(RegionOp):
    """`if c { ... } else { ... }`: only the branch taken runs; both yield the same types."""

    name = "if"
    summary = "One of two regions, by a bool scalar."
    differentiable = False

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The types that both branches yield."""
        if len(types) != 1 or len(regions) != 2 or regions[0].params or regions[1].params:
            raise TypeMismatch("if: needs one operand and two regions without parameters")
        if types[0].shape or not types[0].dtype.is_bool:
            raise TypeMismatch(f"if: the condition must be a bool scalar, found {types[0]}")
        then, other = yielded(regions[0]), yielded(regions[1])
        if then != other:
            raise TypeMismatch(f"if: one branch yields {show(then)}, the other {show(other)}")
        return then

    def interpret(self, regions: Sequence[Block], xs: Sequence[Any], run: Run) -> Sequence[Any]:
        """Runs one branch."""
        return run(regions[0 if bool(xs[0]) else 1], ())


def match_shapes(callee: str, wanted: Types, found: Types) -> dict[str, DimLike]:
    """The sizes that the callee's symbols take when it is called with operands of the found types.

    Raises:
      TypeMismatch, ShapeMismatch: when operands do not fit the parameters.
    """
    if len(wanted) != len(found):
        raise TypeMismatch(f"call: @{callee} takes {len(wanted)} operands, found {len(found)}")
    sizes: dict[str, DimLike] = {}
    for w, f in zip(wanted, found, strict=True):
        if w.dtype != f.dtype or w.rank != f.rank:
            raise TypeMismatch(f"call: @{callee} takes {show(wanted)}, found {show(found)}")
        for a, b in zip(w.shape, f.shape, strict=True):
            name = plain_symbol(a)
            if name is not None:
                sizes.setdefault(name, b)
    for w, f in zip(wanted, found, strict=True):
        if tuple(substitute(d, sizes) for d in w.shape) != f.shape:
            raise ShapeMismatch(f"call: @{callee} takes {show(wanted)}, found {show(found)}")
    return sizes


def plain_symbol(d: DimLike) -> str | None:
    """The symbol's name where the size is just a symbol, else None."""
    if isinstance(d, Dim) and len(d.symbols) == 1 and d.terms == (((name := next(iter(d.symbols)),), 1),):
        return name
    return None


class Call(OpDef):
    """`call @g(operands)`: the results of another function, whose symbols are matched with the operands' sizes."""

    name = "call"
    summary = "Call of another function."
    attrs = ("callee",)

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The callee's result types with its symbols replaced."""
        callee = attrs["callee"]
        sizes = match_shapes(callee.name, callee.param_types, types)
        return tuple(t.substitute(sizes) for t in callee.result_types)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The callee, interpreted."""
        from .interpret import interpret

        results = interpret(attrs["callee"], xs)
        return results[0] if len(results) == 1 else tuple(results)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """A call of the callee's forward-mode derivative."""
        from .forward import call_jvp

        return call_jvp(b, attrs["callee"], outs, xs, ts)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Sequence[bool]
    ) -> Sequence[Any]:
        """A call of the callee's reverse-mode derivative."""
        from .reverse import call_vjp

        return call_vjp(b, attrs["callee"], xs, cts, needs)


class Effect(OpDef):
    """An op that is run for what it does, in program order.

    `cuts` lists (operand, dimension) pairs of padded operands: the last two operands per pair say which elements count.
    """

    effect = True
    differentiable = False

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """No results."""
        return ()


def _cut(attrs: Attrs, xs: Sequence[Any]) -> list[Any]:
    """The operands of an effect, cut."""
    cuts = attrs.get("cuts", ())
    out = list(xs[: len(xs) - 2 * len(cuts)])
    for (k, axis), low, size in zip(cuts, xs[len(out) :: 2], xs[len(out) + 1 :: 2], strict=True):
        out[k] = np.asarray(out[k])[(slice(None),) * axis + (slice(int(low), int(low) + int(size)),)]
    return out


def _check_text(name: str, attrs: Attrs, operands: int) -> None:
    segments, styles = attrs.get("segments", ()), attrs.get("styles")
    if len(segments) != operands + 1 or not all(isinstance(s, str) for s in segments):
        raise TypeMismatch(f"{name}: {operands} operands need {operands + 1} strings 'segments', found {segments}")
    if styles is not None and (
        len(styles) != operands or not all(s in STYLES or str(s).startswith("format ") for s in styles)
    ):
        raise TypeMismatch(f"{name}: {operands} operands need as many 'styles' of {STYLES}, found {styles}")


class Print(Effect):
    """Writes `segments[0] operand[0] segments[1] ...` to `stream` ("stdout" or "stderr").

    `summarize` is how many elements at either end of a dimension are shown; -1 shows all. `styles` says per operand how
    it looks (`print_text.STYLES`), by default as `tf.print` shows it.
    """

    name = "print"
    summary = "Write text and operands to a stream."
    attrs = ("segments", "stream", "summarize", "styles", "cuts")

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """No results. There is one segment more than operands."""
        _check_text(self.name, attrs, len(types) - 2 * len(attrs.get("cuts", ())))
        if attrs.get("stream", "stdout") not in ("stdout", "stderr"):
            raise TypeMismatch(f"print: stream must be 'stdout' or 'stderr', found {attrs['stream']!r}")
        return ()

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Writes the text."""
        stream = getattr(sys, attrs.get("stream", "stdout"))
        stream.write(joined_text(attrs, _cut(attrs, xs)))
        stream.flush()
        return ()


class Assert(Effect):
    """Raises FailedAssertion with `message` and the further operands when its first operand is false.

    Where there are `segments`, the further operands stand between them, behind the message, as in `print`.
    """

    name = "assert"
    summary = "Stop with an error unless a bool scalar is true."
    attrs = ("message", "summarize", "segments", "styles", "cuts")

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """No results. The first operand is a bool scalar."""
        if not types or types[0].shape or not types[0].dtype.is_bool:
            raise TypeMismatch(f"assert: the condition must be a bool scalar, found {types[0] if types else 'nothing'}")
        if "segments" in attrs:
            _check_text(self.name, attrs, len(types) - 1 - 2 * len(attrs.get("cuts", ())))
        return ()

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Raises when the condition is false."""
        if not bool(xs[0]):
            shown = _cut(attrs, xs)[1:]
            if "segments" in attrs:
                raise FailedAssertion(attrs.get("message", "") + joined_text(attrs, shown))
            data = " ".join(array_text(np.asarray(x), attrs.get("summarize", 3)) for x in shown)
            message = attrs.get("message", "") or "assertion failed"
            raise FailedAssertion(f"{message}: {data}" if data else message)
        return ()


class Bind(Effect):
    """Binds the symbol `size` to an integer scalar, up to the end of the block. `most` is the largest it can be."""

    name = "bind"
    summary = "From here to the end of the block a symbol has the operand's value, at most `most`."
    attrs = ("size", "most")

    def infer(self, attrs: Attrs, types: Types, regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """No results."""
        if len(types) != 1 or types[0].shape or types[0].dtype.short not in ("i32", "i64"):
            raise TypeMismatch("bind: needs one operand, an i32 or i64 scalar")
        if plain_symbol(attrs["size"]) is None:
            raise TypeMismatch(f"bind: the attribute size must be one symbol, not {attrs['size']}")
        return ()

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Nothing; the interpreter keeps the size. Raises InvalidArgumentError for one outside of 0 to `most`."""
        n, most = int(xs[0]), attrs["most"]
        if not 0 <= n <= most:
            raise InvalidArgumentError(f"bind: the size {attrs['size']} is {n}, but must lie in 0 to {most}")
        return ()


_T = TypeVar("_T", bound=OpDef)


def _add(op: _T) -> _T:
    register(op)
    return op


RETURN = _add(Terminator("return", "End of a function: its results."))
YIELD = _add(Terminator("yield", "End of a region: what it gives."))
FOR, WHILE, IF = _add(For()), _add(While()), _add(If())
CALL = _add(Call())
PRINT, ASSERT = _add(Print()), _add(Assert())
BIND = _add(Bind())


def bound_by(op: Op) -> str | None:
    """The symbol that an op binds, or None."""
    return plain_symbol(op.attrs["size"]) if op.kind is BIND else None


def runtime_sizes(block: Block) -> frozenset[str]:
    """The symbols that ops of a block, or of the regions in it, bind."""
    return frozenset(str(op.attrs["size"]) for op in block.walk() if op.kind is BIND)


def has_effect(op: Op, known: dict[int, bool] | None = None) -> bool:
    """Whether the op, one in its regions, or one in a function it calls has an effect.

    `known` remembers the answers for callees (by id) between questions.
    """
    if op.kind.effect:
        return True
    callee = op.attrs.get("callee")
    if isinstance(callee, Function):
        known = {} if known is None else known
        if id(callee) not in known:
            known[id(callee)] = False  # a recursive call adds nothing
            known[id(callee)] = any(has_effect(o, known) for o in callee.body.ops)
        return known[id(callee)]
    return any(has_effect(o, known) for r in op.regions for o in r.ops)


class NoRule(NoGradient):
    """NoGradient with the user's line in its text."""


def no_rule(op: Op, error: NoGradient) -> NoRule:
    """The error for an op without a rule, naming op and user line; one that does so already stays as it is."""
    if isinstance(error, NoRule):
        return error
    return NoRule(f"{error} (at {op.loc})" if op.loc else str(error))
