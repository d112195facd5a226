"""What a loop carries from trip to trip: found by tracing the body, not declared.

Every tensor among the variables that the body may change becomes a parameter of the body; so does every pb.Variable.
What comes out unchanged is taken back afterwards. A Python number stays one unless it comes out different: then it is
a tensor from the start, and the body is traced again. A variable that the body sets first needs no start value while
tracing; where it is used after the loop, zeros stand in for it. Types never change from trip to trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ir.dtypes import bool_ as _BOOL
from ..ir.graph import Block, Value
from ..ir.types import TensorType
from ..runtime.array import array_of, is_array
from ..runtime.location import at
from ..runtime.tensor import Tensor
from ..runtime.tensor_array import Unwritten
from .control_branch import Result
from .control_region import Region, replace
from .control_state import (
    NOT_RETURNED,
    UNDEFINED,
    Values,
    bad_types,
    common_dtype,
    converted,
    is_flag,
    is_number,
    label,
    placeholder,
    same,
    taken_apart,
)
from .structure import Structure
from .symbolic import SymbolicTensor
from .trace import Trace
from .uncompiled import RunEagerly

Key = tuple[str, int]
WAYS = ("before the loop", "at the end of its body")


@dataclass
class Slot:
    """One carried value. `params`: its parameter in each region, in their order; `final`: the body's last value."""

    name: str
    initial: Tensor
    params: list[Value] = field(default_factory=list)
    final: Tensor | None = None

    def at_start(self, trace: Trace) -> SymbolicTensor:
        """The value in the region opened last, of the kind that it comes in as."""
        t = SymbolicTensor(self.params[-1], trace, None)
        return array_of(t) if is_array(self.initial) else t

    def result(self, t: Tensor) -> Tensor:
        """The value after the loop, of the kind that the body leaves."""
        return array_of(t) if is_array(self.final) else t


@dataclass
class Carried:
    """The finished list of a loop: initial values, parameters per region, values yielded; where each result is."""

    initial: list[Value]
    params: list[list[Value]]
    final: list[Value]
    names: list[str]
    n_state: int
    variables: list[int]
    slots: dict[Key, int]


class LoopState:
    """The state of one loop over the attempts at tracing it.

    Attributes:
      start: values before the loop. promoted: Python numbers that have to be tensors, with their types.
      arrays: those of them that become arrays. rebound: variables that are another array after a trip than before it;
      others are one array all along, and what is written to it is the array's own state. handles: Tensors that the body
      writes to, to which the same applies.
    """

    def __init__(
        self, trace: Trace, head: Sequence[str], after: Sequence[str], flag: str | None, start: Values
    ) -> None:
        self.trace = trace
        self.flag = flag
        self.names = sorted({*head, *after})
        self.after = set(after)
        self.start = start
        self.promoted: dict[Key, TensorType] = {}
        self.arrays: set[Key] = set()
        self.rebound: set[Key] = set()
        self.handles: set[Key] = set()
        self.parts: dict[str, tuple[Structure, list[Any]]] = {}
        for n in self.names:
            value = start.get(n, UNDEFINED)
            if not self.unset(n):
                self.parts[n] = taken_apart(value)

    @property
    def runs(self) -> bool:
        """Whether there is at least one trip, which is not cut short."""
        return False

    def unset(self, name: str) -> bool:
        """Whether the body cannot know the variable's value from before: it has none, or is a flag that is not set."""
        value = self.start.get(name, UNDEFINED)
        return value is UNDEFINED or value is NOT_RETURNED or (is_flag(name) and value is False)

    # ------------------------------------------------------------ one attempt
    def begin(self) -> None:
        """A new attempt."""
        self.slots: dict[Key, Slot] = {}
        self.entered: dict[Key, SymbolicTensor] = {}
        self.variables: list[dict[int, Value]] = []
        self.regions: list[Region] = []
        for name, (_, leaves) in self.parts.items():
            for i, leaf in enumerate(leaves):
                if (name, i) in self.promoted:
                    self.slots[name, i] = Slot(name, self.promote(leaf, (name, i)))
                elif isinstance(leaf, Tensor) and ((name, i) in self.rebound or not self._is_handle((name, i), leaf)):
                    self.slots[name, i] = Slot(name, leaf._resolved())

    def _is_handle(self, key: Key, leaf: Any) -> bool:
        return key in self.handles or self.trace.is_handle(leaf)

    def _written_to(self) -> bool:
        """Whether the body wrote to a Tensor that it got by value: then others who have it would see that."""
        found = {k for k, t in self.entered.items() if t.value is not self.slots[k].params[-1]}
        new = {k for k in found if k not in self.rebound and k not in self.promoted} - self.handles
        self.handles |= new
        return bool(new)

    def promote(self, leaf: Any, key: Key) -> Tensor:
        """A number as a tensor of the type, made before the loop."""
        type = self.promoted[key]
        if isinstance(leaf, Unwritten):
            return placeholder(type)
        t = converted(leaf, type.dtype)
        if t.type.shape != type.shape:
            from ..runtime.dispatch import call

            t = call("broadcast_to", t, shape=type.shape)
        return array_of(t) if key in self.arrays and t is not leaf else t

    def enter(self, region: Region) -> Values:
        """Opens a region of the loop: parameters for what is carried; the values that variables have in it."""
        region.open()
        self.regions.append(region)
        values: Values = dict(self.start)
        for slot in self.slots.values():
            type = slot.initial.type
            slot.params.append(region.block.add_param(type, "" if slot.name.startswith("ag_") else slot.name))
        for name, (structure, leaves) in self.parts.items():
            new = []
            for i, leaf in enumerate(leaves):
                new.append(self.held((name, i), leaf, self.slots.get((name, i))))
            values[name] = structure.pack(new)
        self.variables.append(region.speculate())
        return values

    def held(self, key: Key, leaf: Any, slot: Slot | None) -> Any:
        """What a leaf is in the region that was opened last."""
        if slot is None:
            return leaf
        here = slot.at_start(self.trace)
        self.entered[key] = here
        if key[0] != "ag_value" and key in self.rebound and self._others_have(leaf):
            self.trace.share(here, [leaf], key[0], "the trips of the loop")
        return here

    def _others_have(self, leaf: Any) -> bool:
        """Whether an array from before the loop is known by another name than those that change from trip to trip."""
        bound = {n for n, _ in self.rebound}
        root = leaf if leaf._part is None else leaf._part.base
        if root is not leaf or id(root) in self.trace.given:
            return True
        return any(v is leaf for n, v in self.start.items() if n not in bound)

    # ------------------------------------------------------------ what came out
    def leave(self, body: Region, end: Values) -> bool:
        """Compares the state at the end of the (closed) body with that at its start. False: trace it again."""
        self.extras: dict[Key, Slot] = {}
        self.structures: dict[str, tuple[Structure, list[Any]]] = {}
        again = False
        for name in self.names:
            value = end.get(name, UNDEFINED)
            if name not in self.parts:
                self._late(body, name, value)
            elif value is UNDEFINED:
                text = f"{label(name)} is deleted in a loop that a tensor controls: leave it out, or assign to it{at()}"
                raise ValueError(text)
            else:
                again |= self._compare(body, name, value)
        known = self.variables[-1]
        found = [k for k in body.assigned if self.trace.states[k].is_handle and k not in known]
        return not self._written_to() and not again and not found

    def _late(self, body: Region, name: str, value: Any) -> None:
        """A variable without a value before the loop."""
        start = self.start.get(name, UNDEFINED)
        if name not in self.after and name != self.flag:
            return
        if value is start or value is UNDEFINED or (is_flag(name) and value is False):
            return
        structure, leaves = taken_apart(value)
        out = []
        for i, leaf in enumerate(leaves):
            leaf = self.late_leaf(body, name, i, leaf)
            if is_flag(name):
                with body.again():
                    leaf = converted(leaf, _BOOL)
            if isinstance(leaf, Tensor):
                initial = converted(False, _BOOL) if is_flag(name) else placeholder(leaf.type)
                self.extras[name, i] = Slot(name, initial, [], leaf)
                out.append(Result(-1))
            else:
                out.append(leaf)
        self.structures[name] = structure, out

    def late_leaf(self, body: Region, name: str, i: int, leaf: Any) -> Any:
        """A leaf of a variable that the body sets first: a tensor to be carried, or something else to keep."""
        return leaf

    def _compare(self, body: Region, name: str, value: Any) -> bool:
        before, leaves = self.parts[name]
        after, ends = taken_apart(value)
        if before != after:
            advice = "a loop that a tensor controls must keep the structure of its variables"
            start = self.start[name]
            bad_types(name, "this loop", start, value, WAYS, advice + "; collect values in a pb.TensorArray")
        again = False
        for i, (x, y) in enumerate(zip(leaves, ends, strict=True)):
            again |= self.leaf(body, name, i, x, y)
        return again

    def leaf(self, body: Region, name: str, i: int, x: Any, y: Any) -> bool:
        """Compares one leaf before the loop and at the end of the body; True when the body has to be traced again."""
        slot = self.slots.get((name, i))
        if slot is None:
            return self.number(name, i, x, y)
        slot.final = self._final(body, name, slot.initial, y)
        return self._widen(name, i, x, slot)

    def number(self, name: str, i: int, x: Any, y: Any) -> bool:
        """A leaf that is no tensor before the loop: whether it has to become one."""
        if same(x, y):
            return False
        if isinstance(x, Tensor):
            self.rebound.add((name, i))
            return True
        if isinstance(x, Unwritten) and isinstance(y, Tensor):
            self.promoted[name, i] = y.type
            return True
        advice = "it must stay the same object, or be a number or tensor from the start"
        if not is_number(x) or not (isinstance(y, Tensor) or is_number(y)):
            bad_types(name, "this loop", x, y, WAYS, advice)
        dtype = common_dtype(x, y)
        if dtype is None:
            advice = "give the start value the dtype of the body's, as in pb.constant(0, dtype)"
            bad_types(name, "this loop", x, y, WAYS, advice)
        if isinstance(y, Tensor):
            self.promoted[name, i] = TensorType(dtype, y.type.shape)
            if is_array(y):
                self.arrays.add((name, i))
        else:
            self.promoted[name, i] = TensorType(dtype, converted(x, dtype).type.shape)
        return True

    def _widen(self, name: str, i: int, x: Any, slot: Slot) -> bool:
        """A number that was made a tensor of too small a type, as `0` in `s = s + 0.5`."""
        assert slot.final is not None
        if (name, i) not in self.promoted or slot.final.type == slot.initial.type:
            return False
        self.promoted[name, i] = slot.final.type
        if common_dtype(x, slot.final) is None:
            self._changed(name, slot.initial, slot.final)
        return True

    def _final(self, body: Region, name: str, initial: Tensor, y: Any) -> Tensor:
        if not isinstance(y, Tensor):
            dtype = common_dtype(initial, y) if is_number(y) else None
            if dtype is None:
                bad_types(name, "this loop", initial, y, WAYS, "keep it a tensor of one dtype and shape")
            with body.again():
                y = converted(y, dtype)
        if y.type != initial.type and not any(k[0] == name for k in self.promoted):
            self._changed(name, initial, y)
        final: Tensor = y
        return final

    def _changed(self, name: str, x: Tensor, y: Tensor) -> None:
        if self.trace.growing and x.dtype is y.dtype:
            raise RunEagerly(f"the shape of {label(name)} changes from trip to trip{at()}")
        advice = "a variable of a loop that a tensor controls keeps its dtype and shape (pb.cast, pb.reshape)"
        bad_types(name, "this loop", x, y, WAYS, advice)

    # ------------------------------------------------------------ the end
    def finish(self, body: Region) -> Carried:
        """Sorts out what is carried and what only looked like it."""
        blocks: list[Block] = [r.block for r in self.regions]
        kept: dict[Key, Slot] = {}
        back: dict[Value, Value] = {}
        ends = {k: s.final for k, s in (*self.slots.items(), *self.extras.items()) if s.final is not None}
        with body.at_end():                          # of an array that the body wrote to, what it holds then
            finals = {k: self.trace.value_of(final, body.block) for k, final in ends.items()}
        for key, slot in self.slots.items():
            if finals[key] is slot.params[-1]:
                back.update(dict.fromkeys(slot.params, self.trace.value_of(slot.initial)))
            else:
                kept[key] = slot
        for key, slot in self.extras.items():
            slot.params = [r.block.add_param(slot.initial.type) for r in self.regions]
            kept[key] = slot
        variables = self._variables(body, back)
        back |= self.moved
        replace(blocks, {k: v for k, v in back.items() if k not in self.moved})
        self.back = back
        final = [back.get(finals[k], finals[k]) for k in kept]
        rows = [slot.params for slot in kept.values()]
        initial = [self.trace.value_of(slot.initial) for slot in kept.values()]
        for values, start, end in variables:
            rows.append(values)
            initial.append(start)
            final.append(back.get(end, end))
        params = [[row[i] for row in rows] for i in range(len(blocks))]
        names = [s.name for s in kept.values()]
        numbers = {k: i for i, k in enumerate(kept)}
        return Carried(initial, params, final, names, len(kept), list(body.assigned), numbers)

    def _variables(self, body: Region, back: dict[Value, Value]) -> list[Any]:
        """Variables that the body assigns, as rows of (parameters, start, end); the others get their values back."""
        rows = []
        self.moved: dict[Value, Value] = {}
        for key, state in self.trace.states.items():
            guesses = [v.get(key) for v in self.variables]
            if key not in body.assigned:
                back.update({g: state.current for g in guesses if g is not None})
                continue
            params = []
            for region, guess in zip(self.regions, guesses, strict=True):
                if guess is None:  # first met inside of the loop, where it was read as the function's parameter
                    guess = region.block.add_param(state.param.type, state.param.name)
                    replace([region.block], {state.param: guess})
                    self.moved[state.param] = guess  # the body's is last
                params.append(guess)
            rows.append((params, state.current, body.assigned[key]))
        order = [k for k in self.trace.states if k in body.assigned]
        numbers = sorted(range(len(order)), key=lambda i: not self.trace.states[order[i]].is_handle)
        body.assigned = {order[i]: body.assigned[order[i]] for i in numbers}
        return [rows[i] for i in numbers]

    def results(self, carried: Carried, outs: Sequence[Tensor]) -> Values:
        """The values of variables after the loop."""
        values: Values = {}
        for name in self.names:
            if name in self.parts:
                structure, leaves = self.parts[name]
                new = [self.outcome((name, i), leaf, carried, outs) for i, leaf in enumerate(leaves)]
                values[name] = structure.pack(new)
            elif name in self.structures:
                structure, leaves = self.structures[name]
                new = [
                    self.outcome((name, i), x, carried, outs) if isinstance(x, Result) else x
                    for i, x in enumerate(leaves)
                ]
                values[name] = structure.pack(new)
            else:
                values[name] = self.start.get(name, UNDEFINED)
        return values

    def _after(self, key: Key, before: Any, slot: Slot, t: Any) -> Any:
        """A variable after the loop that is another array than before it: perhaps one that others have."""
        y: Any = slot.final
        if key not in self.rebound or not isinstance(t, SymbolicTensor) or not isinstance(y, SymbolicTensor):
            return t
        root = y if y._part is None else y._part.base
        older = [] if self.trace.home_of(root) is self.regions[-1].block else [root]
        if older and root is y and self.runs:
            return y
        if not self.runs and self._others_have(before):
            older.append(before if before._part is None else before._part.base)
        if older and key[0] != "ag_value":
            self.trace.share(t, older, key[0], "the number of trips of the loop")
        return t

    def outcome(self, key: Key, leaf: Any, carried: Carried, outs: Sequence[Tensor]) -> Any:
        """A leaf after the loop."""
        slot = self.slots.get(key) or self.extras.get(key)
        if key in carried.slots:
            t = outs[carried.slots[key]]
            return t if slot is None else self._after(key, leaf, slot, slot.result(t))
        return leaf if slot is None else slot.initial
