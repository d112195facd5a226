"""Fixed sizes for values whose size only the run knows: what machine code and derivatives of loops work on.

A slice with computed bounds, `A[i, :j]`, has the type f64[s0] in the program as it was traced; `pad` puts the whole
row in its place, and remembers which elements count (see `pad_layout.py`). Elementwise ops go on as they are;
reductions and products see neutral elements in the other places; writes read the slot, select, and write it.
Differentiation comes after, so the derivative is padded code, too: gates at every entrance and masks at every exit
see to it that what stands in the other places (a NaN, say) reaches neither results nor derivatives.

The rules for single ops are in `pad_rules.py`, `pad_index.py` and `pad_effects.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import pad_effects as _effects  # noqa: F401  (its rules)
from . import pad_index as _index  # noqa: F401  (its rules)
from .attrs import attr_symbols
from .builder import Expr, IRBuilder
from .control import CALL, FOR, IF, WHILE, bound_by, runtime_sizes
from .elementwise import Elementwise
from .errors import OpError
from .expand import expandable
from .graph import Block, Function, Op, Value
from .increments import increments
from .inline import inline
from .opdef import NoGradient
from .pad_layout import Layout, Padded, Places, Unpaddable, plain
from .pad_rules import RULES, elementwise


@dataclass(frozen=True, slots=True)
class PadInfo:
    """A function without run-time sizes.

    Attributes:
      function: its results are the outputs of the original, those with run-time sizes padded (active places first),
        then the sizes, then the other results. cuts: for each output the dimensions to cut, each with the number of the
        result that says where. sizes: how many results are sizes.
    """

    function: Function
    cuts: tuple[tuple[tuple[int, int], ...], ...]
    sizes: int = 0


def pad(fn: Function) -> Function:
    """The function of `pad_info`."""
    return pad_info(fn).function


def fixed(fn: Function) -> Function:
    """The function of `pad_info`, for a derivative. Raises NoGradient, with the user's line, where there is none."""
    try:
        return pad(fn)
    except Unpaddable as e:
        raise NoGradient(f"no derivative of arrays whose size is known only at run time: {e}") from e


def pad_info(fn: Function, outputs: int | None = None) -> PadInfo:
    """Gives every value with a run-time size a fixed one. A function without such values is given back as it is.

    Args:
      outputs: how many of the results may have run-time sizes; all by default.

    Raises:
      Unpaddable: for an op that has no padded form; names the user's line.
    """
    names = runtime_sizes(fn.body)
    if not names and not any(runtime_sizes(f.body) for f in fn.callees()):
        return PadInfo(fn, ((),) * len(fn.results[:outputs]))
    if any(_ragged_call(op, names) for op in fn.body.walk()):
        fn = inline(fn)
    fn = increments(fn)
    body = Block(Value(p.type, p.name) for p in fn.params)
    p = Padder(Function(fn.name, body))
    p.known.update((old, plain(new)) for old, new in zip(fn.params, body.params, strict=True))
    p.params = body.params
    p.ops(fn.body.ops[:-1])
    return _finish(p, fn, len(fn.results) if outputs is None else outputs)


def _ragged_call(op: Op, names: frozenset[str]) -> bool:
    if op.kind is not CALL:
        return False
    mine = any(not names.isdisjoint(attr_symbols(v.type.shape)) for v in (*op.operands, *op.results))
    return mine or any(runtime_sizes(f.body) for f in (op.attrs["callee"], *op.attrs["callee"].callees()))


def _finish(p: Padder, fn: Function, outputs: int) -> PadInfo:
    results: list[Value] = []
    sizes: list[Value] = []
    cuts: list[tuple[tuple[int, int], ...]] = []
    for v in fn.results[:outputs]:
        x = p.known[v]
        cut: list[tuple[int, int]] = []
        if x.ragged:
            x = p.solid(x)
            for axis, lay in enumerate(x.layouts):
                if lay is None:
                    continue
                x = p.moved(x, axis, replace(lay, low=None, masks={}))
                cut.append((axis, outputs + len(sizes)))
                sizes.append(lay.count)
        results.append(x.value)
        cuts.append(tuple(cut))
    others = [p.known[v] for v in fn.results[outputs:]]
    if any(x.ragged for x in others):
        raise Unpaddable("a result that must keep its size has one that is known only at run time", None)
    p.b.ret([*results, *sizes, *(x.value for x in others)])
    return PadInfo(p.fn, tuple(cuts), len(sizes))


class Padder(Places):
    """Writes the padded program. `known`: what stands for each value of the old one."""

    def __init__(self, fn: Function) -> None:
        super().__init__(fn)
        self.fn = fn
        self.known: dict[Value, Padded] = {}

    def ops(self, ops: list[Op]) -> None:
        """The ops of a block."""
        for op in ops:
            self.b.loc = op.loc
            self.op(op)

    def op(self, op: Op) -> None:
        """One op: copied where it has nothing to do with run-time sizes."""
        name = bound_by(op)
        if name is not None:
            count = self.whole(self.known[op.operands[0]].value)
            self.sizes[name] = (count.value, op.attrs["most"])
        elif op.regions:
            self.regions(op)
        elif not self._concerned(op):
            new = Op(op.kind, [self.known[v].value for v in op.operands], dict(op.attrs), (),
                     [r.type for r in op.results], op.loc)  # fmt: skip
            self.b.block.ops.append(new)
            self.define(op, [plain(r) for r in new.results])
        else:
            try:
                self.define(op, self.padded(op))
            except OpError as e:
                raise Unpaddable(f"{op.kind.name}: {e}", op.loc) from e

    def define(self, op: Op, made: list[Padded]) -> None:
        """The results of an op."""
        for old, new in zip(op.results, made, strict=True):
            self.known[old] = new
            if old.name and not new.value.name:
                new.value.name = old.name

    def _concerned(self, op: Op) -> bool:
        if any(self.known[v].ragged for v in op.operands) or not self.sizes.keys().isdisjoint(attr_symbols(op.attrs)):
            return True
        return any(self.is_ragged(d) for r in op.results for d in r.type.shape)

    def padded(self, op: Op) -> list[Padded]:
        """The results of an op that takes or gives values with run-time sizes."""
        xs = [self.known[v] for v in op.operands]
        rule = RULES.get(op.kind.name)
        if rule is not None:
            return rule(self, op, xs)
        if expandable(op.kind):
            return self._expanded(op)
        if isinstance(op.kind, Elementwise):
            return elementwise(self, op, xs)
        raise Unpaddable(f"the op '{op.kind.name}' has no form for arrays whose size is known only at run time", op.loc)

    def _expanded(self, op: Op) -> list[Padded]:
        """A composite op by its parts."""
        simple = Block()
        b = IRBuilder(simple, op.loc)
        made = op.kind.expand(b, op.attrs, [Expr(b, v) for v in op.operands])
        self.ops(simple.ops)
        return [self.known[e.value] for e in (made if isinstance(made, (tuple, list)) else (made,))]

    # ------------------------------------------------------------ regions
    def regions(self, op: Op) -> None:
        """A loop or branch. What a loop carries stays in the places where it was at the start."""
        n = 3 if op.kind is FOR else 1 if op.kind is IF else 0
        first = [self.known[v].value for v in op.operands[:n]]
        if op.kind is IF:
            layouts = [tuple(self.fresh(d) if self.is_ragged(d) else None for d in r.type.shape) for r in op.results]
            starts: list[Padded] = []
        else:
            starts = [self.solid(self.known[v]) for v in op.operands[n:]]
            layouts = [s.layouts for s in starts]
        blocks = []
        for r in op.regions:
            given = r.params[1:] if op.kind is FOR else r.params
            block = Block()
            if op.kind is FOR:
                index = block.add_param(r.params[0].type, r.params[0].name)
                self.known[r.params[0]] = plain(index)
            for old, start, lay in zip(given, starts, layouts, strict=False):
                self.known[old] = Padded(block.add_param(start.value.type, old.name), lay)
            test = op.kind is WHILE and r is op.regions[0]
            self._region(r, block, None if test else layouts)
            blocks.append(block)
        self.b.loc = op.loc
        results = self.b.emit(op.kind, [*first, *(s.value for s in starts)], dict(op.attrs), blocks)
        self.define(op, [Padded(v, lay) for v, lay in zip(results, layouts, strict=True)])

    def _region(self, old: Block, block: Block, layouts: list[tuple[Layout | None, ...]] | None) -> None:
        outer, self.b.block = self.b.block, block
        self.ops(old.ops[:-1])
        given = []
        for k, v in enumerate(old.terminator.operands):
            x = self.known[v]
            for axis, lay in enumerate(layouts[k] if layouts is not None else ()):
                if lay is not None:
                    x = self.moved(x, axis, lay)
            given.append(x.value)
        self.b.emit(old.terminator.kind, given)
        self.b.block = outer
