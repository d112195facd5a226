"""`if` on a tensor: both branches run while tracing, each into a region; what they leave behind is merged.

The values that variables have at the end of the two branches meet leaf by leaf. Equal ones stay, tensors of one type
become results of an IR `if`, Python numbers that differ become tensors. A variable that only one branch sets is unset
afterwards: using it is an error that names the branch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ir.graph import Block, Function, Op, Value, clone_op
from ..ir.opdef import NoGradient, OpDef, get
from ..runtime.array import array_of, is_array
from ..runtime.context import context
from ..runtime.dispatch import record
from ..runtime.location import user_location
from ..runtime.tensor import Tensor
from ..runtime.tensor_array import Unwritten
from .compiled_call import CompiledOp, is_tracked
from .control_region import Region, frames, free_values, tensors_of
from .control_state import (
    NOT_RETURNED,
    UNDEFINED,
    PlaceKey,
    Values,
    bad_types,
    common_dtype,
    converted,
    describe,
    find_places,
    is_flag,
    is_number,
    managed,
    placeholder,
    restore,
    same,
    snapshot,
    taken_apart,
    variables,
)
from .control_test import condition
from .number import Number, Owners, joined, kind_of, owners_of, range_of, storage, stored
from .number_range import Range
from .symbolic import SymbolicTensor
from .trace import Trace

IF = get("if")


class Result:
    """Stands for a result of the op until the op exists. `like`: what it merges, of which it takes the kind.

    Attributes:
      older: arrays among those that were there before the branches: the result is one of them, or not.
    """

    def __init__(self, number: int, name: str = "", like: Sequence[Any] = (), older: Sequence[Any] = ()) -> None:
        self.number, self.name = number, name
        self.array = bool(like) and all(map(is_array, like))
        self.older = older

    def of(self, outs: Sequence[Any]) -> Any:
        """The result."""
        t = outs[self.number]
        if self.older and isinstance(t, SymbolicTensor) and t.type.shape and self.name != "ag_value":
            t.trace.share(t, self.older, self.name, "the `if`")
        return array_of(t) if self.array else t


class NumberResult(Result):
    """As `Result`, for a Python number."""

    def __init__(self, number: int, kind: type, range: Range | None, owners: Owners) -> None:
        super().__init__(number)
        self.kind, self.range, self.owners = kind, range, owners

    def of(self, outs: Sequence[Tensor]) -> Any:
        """The number."""
        return Number(outs[self.number], self.kind, self.range, self.owners)


class Merge:
    """Brings the state at the end of two branches together.

    Attributes:
      yields: per result of the op, the tensors that the two branches give. names: per result, the variable's name.
      test: where a Python number decides, that number: then numbers that differ stay numbers.
    """

    def __init__(self, regions: tuple[Region, Region], test: Number | None = None) -> None:
        self.regions = regions
        self.test = test
        self.yields: list[tuple[Tensor, Tensor]] = []
        self.names: list[str] = []
        self.known: dict[tuple[int, int], int] = {}

    def value(self, name: str, x: Any, y: Any) -> Any:
        """The merged value, with `Result`s in it."""
        if x is y:
            return x
        if x is NOT_RETURNED or y is NOT_RETURNED:
            return self._one_sided(name, x, y)
        if x is UNDEFINED or y is UNDEFINED:
            missing = "the else branch" if y is UNDEFINED else "the first branch"
            frames.notes[name] = f"it is not set in {missing} of the `if` at {user_location()}, which a tensor decides"
            return UNDEFINED
        sx, lx = taken_apart(x)
        sy, ly = taken_apart(y)
        if sx != sy:
            if (x is None) != (y is None) and name == "ag_value":
                raise ValueError(f"one branch of the `if` at {user_location()} returns a value and the other does not")
            advice = "both branches must leave the same structure of tensors"
            if name.endswith("[...]"):
                advice += ": add to it in both, or choose what is added with pb.where"
            bad_types(name, "this `if`", x, y, ("in the first branch", "in the second"), advice)
        return sx.pack([self.leaf(name, a, b) for a, b in zip(lx, ly, strict=True)])

    def _one_sided(self, name: str, x: Any, y: Any) -> Any:
        """A returned value that only one branch has; the other way never looks at it."""
        has, side = (y, 1) if x is NOT_RETURNED else (x, 0)
        structure, leaves = taken_apart(has)
        out: list[Any] = []
        for leaf in leaves:
            if isinstance(leaf, Number):
                if leaf.lifted:
                    leaf.needed("a branch returns the number")
                zero = leaf.kind(0)
                x, y = (zero, leaf) if side else (leaf, zero)
                out.append(self._number(name, x, y, leaf.kind))
                continue
            if not isinstance(leaf, Tensor):
                out.append(leaf)
                continue
            with self.regions[1 - side].again():
                other = placeholder(leaf.type)
            out.append(self._result(name, *((other, leaf) if side else (leaf, other))))
        return structure.pack(out)

    def leaf(self, name: str, x: Any, y: Any) -> Any:
        """One merged leaf."""
        if same(x, y):
            return x
        kinds = kind_of(x), kind_of(y)
        if None not in kinds and not is_flag(name):
            return self._number(name, x, y, joined(*kinds))
        ways = ("in the first branch", "in the second")
        x, y = self._written(x, y, 0), self._written(y, x, 1)
        tensors = isinstance(x, Tensor), isinstance(y, Tensor)
        advice = "both branches must give tensors of one dtype and shape (pb.cast, pb.reshape, pb.broadcast_to)"
        if all(tensors):
            if x.type != y.type:
                bad_types(name, "this `if`", x, y, ways, advice)
            return self._result(name, x, y)
        if not all(t or is_number(v) for t, v in zip(tensors, (x, y), strict=True)):
            advice = "a tensor decides here, so both branches must leave the same object"
            bad_types(name, "this `if`", x, y, ways, advice)
        dtype = common_dtype(x, y)
        if dtype is None:
            bad_types(name, "this `if`", x, y, ways, advice)
        with self.regions[0].again():
            a = converted(x, dtype)
        with self.regions[1].again():
            b = converted(y, dtype)
        if a.type != b.type:
            bad_types(name, "this `if`", a, b, ways, advice)
        return self._result(name, a, b)

    def _written(self, x: Any, y: Any, side: int) -> Any:
        """A TensorArray's buffer to which one branch did not write, where the other did."""
        if not isinstance(x, Unwritten) or not isinstance(y, Tensor):
            return x
        with self.regions[side].again():
            return placeholder(y.type)

    def _number(self, name: str, x: Any, y: Any, kind: type) -> Result:
        a, b = range_of(x), range_of(y)
        r = a.hull(b) if kind is int and a is not None and b is not None else None
        sides = []
        for region, value in zip(self.regions, (x, y), strict=True):
            with region.again():
                sides.append(stored(value, storage(kind, r)))
        made = self._result(name, sides[0], sides[1])
        return NumberResult(made.number, kind, r, owners_of(x, y, self.test))

    def _result(self, name: str, x: Tensor, y: Tensor) -> Result:
        key = id(x), id(y)
        if key not in self.known:
            self.known[key] = len(self.yields)
            self.yields.append((x, y))
            self.names.append(name)
        blocks = [r.block for r in self.regions]
        roots = [v if v._part is None else v._part.base for v in (x, y)]
        older = [
            h for h in roots if isinstance(h, SymbolicTensor) and all(h.trace.home_of(h) is not b for b in blocks)
        ]
        return Result(self.known[key], name, (x, y), older)

    def values_of(self, trace: Trace, side: int) -> list[Value]:
        """The IR values that a branch yields: of an array that it wrote to, what it holds at the branch's end."""
        region = self.regions[side]
        with region.at_end():
            return [trace.value_of(pair[side], region.block) for pair in self.yields]


def fill(value: Any, outs: Sequence[Tensor]) -> Any:
    """The value with results in place of their marks."""
    structure, leaves = taken_apart(value)
    return structure.pack([x.of(outs) if isinstance(x, Result) else x for x in leaves])


def make_if(cond: SymbolicTensor, regions: tuple[Region, Region], merge: Merge) -> list[Tensor]:
    """Emits the op; variables that a branch assigned, and handles that it wrote to, get their new values."""
    trace = cond.trace
    sides = [merge.values_of(trace, i) for i in (0, 1)]
    changed = [k for k in trace.states if any(k in r.assigned for r in regions)]
    changed.sort(key=lambda k: not trace.states[k].is_handle)
    for side, region in zip(sides, regions, strict=True):
        for k in changed:
            side.append(region.assigned.get(k, trace.states[k].current))
        region.end(side)
    op = Op(IF, [trace.value_of(cond)], {}, [r.block for r in regions], [v.type for v in sides[0]], user_location())
    n = len(merge.yields)
    results = emit_region_op(trace, op, n + sum(trace.states[k].is_handle for k in changed))
    for name, t in zip(merge.names, results, strict=False):
        if not name.startswith("ag_") and isinstance(t, SymbolicTensor):
            t.value.name = name
    for k, t in zip(changed, results[n:], strict=True):
        trace.states[k].become(t, trace.value_of(t))
    return results[:n]


class Uncut(OpDef):
    """The record of a construct for which there is no derivative."""

    def __init__(self, kind: str, why: str) -> None:
        self.name, self.why = kind, why

    def vjp(self, b: Any, attrs: Any, outs: Any, xs: Any, cts: Any, needs: Any) -> Any:
        """Raises NoGradient."""
        raise NoGradient(f"gradient through tensor control flow ('{self.name}') inside a compiled function: {self.why}")


def emit_region_op(trace: Trace, op: Op, n_outputs: int) -> list[Tensor]:
    """Puts a finished op into the program. Tapes that follow what it uses record it as one entry.

    Args:
      n_outputs: how many results may carry gradients.
    """
    if op.kind is not IF:
        op.attrs.update(trace.marks)
    op.kind.infer(op.attrs, [v.type for v in op.operands], op.regions)
    xs = tensors_of(trace, free_values(op)) if context.recorders else []
    if not any(x.dtype.is_differentiable and is_tracked(x) for x in xs):
        return _append(trace, op)
    try:
        outs: list[Tensor] = CompiledOp(as_function(op, trace), None, n_outputs).call(xs)
    except NoGradient as e:
        outs = _append(trace, op)
        record(Uncut(op.kind.name, str(e)), {}, xs, outs)
    return outs


def _append(trace: Trace, op: Op) -> list[Tensor]:
    trace.builder.block.ops.append(op)
    return [SymbolicTensor(v, trace, None, op.loc) for v in op.results]


def as_function(op: Op, trace: Trace) -> Function:
    """A function of what the op uses from outside, with the op's results."""
    body = Block()
    mapping = {v: body.add_param(v.type, v.name) for v in free_values(op)}
    new = clone_op(op, dict(mapping))
    body.ops = [new, Op(get("return"), new.results, {})]
    return Function(f"{trace.name}_{op.kind.name}", body)


class If:
    """The driver of one `if` statement; see `rewrite_emit` for how it is called.

    Attributes:
      load: whether the rewritten code has to put variables to the values that `get` gives.
    """

    def __init__(self, test: Any, needed: Sequence[str], guard: str | None, places: Sequence[PlaceKey]) -> None:
        self.test = condition(test, fold=True)
        self.number = test if isinstance(test, Number) else None
        self.load = False
        if not isinstance(self.test, bool):
            self.needed, self.guard, self.place_keys = needed, guard, places

    def get(self, name: str) -> Any:
        """The value that a variable shall have now."""
        return self.values.get(name, UNDEFINED)

    def then(self, here: Mapping[str, Any]) -> bool:
        """Whether the first branch runs."""
        if isinstance(self.test, bool):
            return self.test
        self.before: Values = variables(here)
        self.places = find_places(self.place_keys, here)
        self.start = snapshot(self.places)
        self.first = Region(self.test.trace).open()
        return True

    def other(self, here: Mapping[str, Any]) -> bool:
        """Whether the second branch runs."""
        if isinstance(self.test, bool):
            return not self.test
        self.first.close()
        self.ends: list[Values] = [variables(here) | snapshot(self.places)]
        restore(managed(self.places, self.start, self.ends[0]), self.start)
        self.values, self.load = dict(self.before), True
        if self.guard is not None:
            self.values[self.guard] = True  # this branch is for when the flag is set
        self.second = Region(self.test.trace).open()
        return True

    def done(self, here: Mapping[str, Any]) -> bool:
        """Whether there is something to merge; does it."""
        if isinstance(self.test, bool):
            return False
        self.second.close()
        self.ends.append(variables(here) | snapshot(self.places))
        places = managed(self.places, self.start, *self.ends)
        names = [*self.needed, *(p.key for p in places)]
        merge = Merge((self.first, self.second), self.number)
        merged = {n: merge.value(n, *(end.get(n, UNDEFINED) for end in self.ends)) for n in names}
        outs = make_if(self.test, (self.first, self.second), merge)
        self.values = {n: fill(v, outs) for n, v in merged.items()}
        restore(places, self.values)
        return True


def returned(flag: Any, value: Any) -> Any:
    """What a rewritten function returns, from its flag and its value."""
    if isinstance(flag, bool):
        return value if flag else None
    if value is None:
        return None
    raise ValueError(
        f"this function returns {describe(value)} on one way and nothing on another, and a tensor decides which: "
        f"give every way a `return` [{user_location()}]"
    )
