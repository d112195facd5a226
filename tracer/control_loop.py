"""`for` and `while` on tensors: the body is traced once into a region, which becomes an IR `for` or `while`.

A loop that a Python value controls just runs. One on tensors is traced with everything that its body may change as
parameters (`control_carry`), and again when a Python number turned out to change. `break` and `return` arrive here as a
flag: a loop that sets it on the condition of a tensor becomes a `while` whose condition asks for the flag first. A
`while` loop finds out how it is controlled by evaluating its condition, and with a flag its first trip, in a scratch
region, which is kept if all was Python and dropped if not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from ..ir.graph import Op, Value
from ..ir.opdef import get
from ..runtime.convert import as_tensor
from ..runtime.location import at, user_location
from ..runtime.tensor import Tensor
from .control_branch import emit_region_op
from .control_carry import Carried, LoopState
from .control_expr import and_values
from .control_iter import Counted, counted
from .control_numbers import NumberState
from .control_region import Region, current_trace
from .control_state import UNDEFINED, PlaceKey, Values, find_places, managed, restore, snapshot, variables
from .control_test import condition
from .number import Number
from .symbolic import SymbolicTensor
from .trace import Trace

FOR, WHILE = get("for"), get("while")
MAX_ATTEMPTS = 10


class Driver:
    """What `for` and `while` have in common.

    Attributes:
      load: whether the rewritten code has to put variables to the values that `get` gives.
    """

    def __init__(self, head: Sequence[str], after: Sequence[str], flag: str | None, places: Sequence[PlaceKey]) -> None:
        self.head, self.after, self.flag, self.place_keys = head, after, flag, places
        self.load = False
        self.values: Values = {}
        self.attempts = 0
        self.failures: tuple[type[BaseException], ...] = ()  # what the rewritten body hands to `failed`

    def get(self, name: str) -> Any:
        """The value that a variable shall have now."""
        return self.values.get(name, UNDEFINED)

    def prepare(self, trace: Trace, here: Mapping[str, Any]) -> None:
        """Takes down the state before the loop."""
        self.trace = trace
        self.places = find_places(self.place_keys, here)
        self.start: Values = variables(here) | snapshot(self.places)

    def attempt(self) -> None:
        """Begins to trace the body (again)."""
        self.attempts += 1
        if self.attempts == 1:
            self.state = self.new_state([p.key for p in self.places])
        elif self.attempts > MAX_ATTEMPTS:
            raise TypeError(f"the types of this loop's variables keep changing from trip to trip{at()}")
        restore(self.places, self.start)
        self.state.begin()

    def new_state(self, places: Sequence[str]) -> LoopState:
        """What is carried, at the first attempt."""
        names = [*self.head, *places], [*self.after, *places]
        return NumberState.of_tensors(self.trace, *names, self.flag, self.start)

    def enter(self, region: Region) -> None:
        """Opens a region of the loop and sets what the variables are in it."""
        self.values, self.load = self.state.enter(region), True
        restore(self.places, {p.key: self.values[p.key] for p in self.places})

    def accept(self, body: Region, here: Mapping[str, Any]) -> bool:
        """Ends the body. False when it has to be traced again."""
        end = variables(here) | snapshot(self.places)
        body.close()
        outside = {p.key for p in self.places} - {p.key for p in managed(self.places, self.start, end)}
        self.changed = {k: end[k] for k in outside}
        return self.state.leave(body, end | {k: self.start[k] for k in outside})

    def conclude(self, carried: Carried, outs: Sequence[Tensor]) -> None:
        """Sets what the variables are after the loop."""
        trace = self.trace
        for name, t in zip(carried.names, outs, strict=False):
            if not name.startswith("ag_") and isinstance(t, SymbolicTensor):
                t.value.name = name
        for key, t in zip(carried.variables, outs[carried.n_state :], strict=True):
            trace.states[key].become(t, trace.value_of(t))
        results = self.state.results(carried, outs)
        self.values = {n: v for n, v in self.start.items() if n not in self.head} | results | self.changed
        restore(self.places, {p.key: self.values[p.key] for p in self.places})
        self.load = True

    def stop_slot(self, carried: Carried) -> int | None:
        """Where the stop flag is among the carried values; None when no trip sets it."""
        return None if self.flag is None else carried.slots.get((self.flag, 0))

    def emit(self, kind: Any, operands: Sequence[Value], regions: Sequence[Region], carried: Carried) -> list[Tensor]:
        """Emits the op."""
        types = [v.type for v in carried.initial]
        op = Op(kind, operands, {}, [r.block for r in regions], types, user_location())
        handles = sum(self.trace.states[k].is_handle for k in carried.variables)
        return emit_region_op(self.trace, op, carried.n_state + handles)


class For(Driver):
    """The driver of one `for` statement; see `rewrite_emit` for how it is called."""

    def __init__(
        self,
        iterable: Any,
        head: Sequence[str],
        after: Sequence[str],
        flag: str | None,
        places: Sequence[PlaceKey],
        here: Mapping[str, Any],
    ) -> None:
        super().__init__(head, after, flag, places)
        trace = current_trace()
        self.items = counted(iterable) if trace is not None else None
        self.iterator: Iterator[Any]
        if trace is None or self.items is None:
            self.iterator = iter(iterable)
        else:
            self.prepare(trace, here)
            self.iterator = self._symbolic(self.items)

    def __iter__(self) -> Iterator[Any]:
        return self.iterator

    def end(self, here: Mapping[str, Any]) -> bool:
        """Called after the body: whether the loop stops here."""
        if self.items is None:
            return self.flag is not None and here.get(self.flag) is True
        self.after_body = variables(here)
        return False

    def _symbolic(self, items: Counted) -> Iterator[Any]:
        bounds = [as_tensor(b, items.dtype) for b in items.bounds()]
        while True:
            self.attempt()
            body = Region(self.trace)
            self.enter(body)
            index = Value(bounds[0].type, "", body.block)
            body.block.params.insert(0, index)
            self.trace.runtime_sizes.loop(index, bounds)
            yield items.at_index(SymbolicTensor(index, self.trace, None, user_location()))
            if self.accept(body, self.after_body):
                break
        self.complete(bounds, body, index, self.state.finish(body))

    def complete(self, bounds: Sequence[Tensor], body: Region, index: Value, carried: Carried) -> None:
        """Emits the loop."""
        if self.stop_slot(carried) is None:
            outs = self._as_for(bounds, body, index, carried)
        else:
            outs = self._as_while(bounds, body, index, carried)
        self.conclude(carried, outs)

    def _as_for(self, bounds: Sequence[Tensor], body: Region, index: Value, carried: Carried) -> list[Tensor]:
        body.block.params = [index, *carried.params[0]]
        body.end(carried.final)
        operands = [*(self.trace.value_of(b) for b in bounds), *carried.initial]
        return self.emit(FOR, operands, [body], carried)

    def _as_while(self, bounds: Sequence[Tensor], body: Region, index: Value, carried: Carried) -> list[Tensor]:
        """With a flag: while the index has not passed its bound and the flag is not set."""
        trace = self.trace
        lower, upper, step = bounds
        test = Region(trace).open()
        at_test = test.block.add_param(index.type)
        i = SymbolicTensor(at_test, trace)
        more = in_range(i, upper, step, trace)
        flags = [test.block.add_param(p.type) for p in carried.params[0]]
        slot = self.stop_slot(carried)
        assert slot is not None
        going = (~SymbolicTensor(flags[slot], trace)) & more
        test.close()
        test.end([trace.value_of(going, test.block)])
        test.block.params = [at_test, *flags]
        with body.again():
            following = SymbolicTensor(index, trace) + step
        body.block.params = [index, *carried.params[0]]
        body.end([trace.value_of(following, body.block), *carried.final])
        carried.initial.insert(0, trace.value_of(lower))
        outs = self.emit(WHILE, carried.initial, [test, body], carried)
        return outs[1:]


def in_range(i: Tensor, upper: Tensor, step: Tensor, trace: Trace) -> Any:
    """Whether a loop's index has not reached its bound, for steps of either sign."""
    static = trace.static_of(step)
    if static is not None and static.dtype != object:
        return i < upper if static[()] > 0 else i > upper
    zero = as_tensor(0, step.dtype)
    return ((step > zero) & (i < upper)) | ((step < zero) & (i > upper))


class While(Driver):
    """The driver of one `while` statement; see `rewrite_emit` for how it is called.

    `phase` says what the next call is about: "python" (a trip controlled by Python), "condition", "body", "over".
    """

    def __init__(self, head: Sequence[str], after: Sequence[str], flag: str | None, places: Sequence[PlaceKey]) -> None:
        super().__init__(head, after, flag, places)
        self.phase = "python"
        self.scratch: Region | None = None
        self.number: Number | None = None  # what decided first, where that is a number of Python's

    def new_state(self, places: Sequence[str]) -> LoopState:
        """As in the base; where Python's numbers decide, they stay numbers."""
        if self.number is None:
            return super().new_state(places)
        names = [[*self.head, *places], [*self.after, *places]]
        return NumberState.of_while(self.number.owners, self.trace, *names, self.flag, self.start)

    # ------------------------------------------------------------ called by the rewritten code
    def loop(self, here: Mapping[str, Any]) -> bool:
        """Before the condition: whether there is anything to run."""
        if self.phase == "python":
            return self._python_trip(here)
        if self.phase == "body":
            return self._begin_body()
        if self.phase == "end":
            return self._after_body(here)
        return self.phase == "condition"

    def test(self, value: Any) -> bool:
        """With the condition's value: whether the body runs now."""
        if self.phase == "python":
            return self._python_test(value)
        if self.phase == "condition":
            self.test_value = condition(value)
            self.tests.close()
            if self.tests.assigned:
                self._no("a pb.Variable is assigned in the condition of a `while` that a tensor controls")
            self.phase = "body"
            return False
        self.dry.close()
        self.values, self.load = {}, False
        self.phase = "end"
        return True

    def _no(self, what: str) -> NoReturn:
        raise ValueError(f"{what}: this is not supported; assign in the body{at()}")

    # ------------------------------------------------------------ controlled by Python
    def _python_trip(self, here: Mapping[str, Any]) -> bool:
        if self.flag is not None:
            flag = here.get(self.flag)
            if isinstance(flag, Tensor | Number):
                self.number = flag if isinstance(flag, Number) else None
                return self._symbolic()
            if flag is True:
                self._keep()
                return False
        self._keep()
        trace = current_trace()
        if trace is not None:
            self.prepare(trace, here)
            self.scratch = Region(trace, scratch=True).open()
        return True

    def _keep(self) -> None:
        if self.scratch is not None:
            self.scratch.keep()
            self.scratch = None

    def _python_test(self, value: Any) -> bool:
        decided = condition(value)
        if not isinstance(decided, bool):
            self.number = value if isinstance(value, Number) else None
            self._discard()
            self._begin_condition()
            return False
        if not decided:
            self.phase = "over"
        if not decided or self.flag is None:
            self._keep()
        return decided

    def _discard(self) -> None:
        assert self.scratch is not None
        self.scratch.close()
        self.scratch = None

    def _symbolic(self) -> bool:
        """A trip that Python began set the flag on a tensor's condition: it is taken back."""
        if self.scratch is None:
            raise TypeError(f"the variable that stops this loop is a tensor before it begins{at()}")
        self._discard()
        self._begin_condition()
        return True

    # ------------------------------------------------------------ controlled by a tensor
    def _begin_condition(self) -> None:
        self.attempt()
        self.tests = Region(self.trace)
        self.enter(self.tests)
        self.phase = "condition"

    def _begin_body(self) -> bool:
        self.body = Region(self.trace)
        self.enter(self.body)
        self.dry = Region(self.trace).open()  # the condition is evaluated here again, for nothing
        return True

    def _after_body(self, here: Mapping[str, Any]) -> bool:
        if not self.accept(self.body, here):
            self._begin_condition()
            return True
        carried = self.state.finish(self.body)
        for region, params in zip((self.tests, self.body), carried.params, strict=True):
            region.block.params = params
        self.body.end(carried.final)
        self._finish_test(carried)
        outs = self.emit(WHILE, carried.initial, [self.tests, self.body], carried)
        self.conclude(carried, outs)
        self.phase = "over"
        return False

    def _finish_test(self, carried: Carried) -> None:
        """The condition's region: the flag first, then what the user wrote."""
        tests, slot = self.tests, self.stop_slot(carried)
        value = self.test_value
        if slot is None:
            if isinstance(value, bool):
                self._no("a loop whose condition is not a tensor once its variables are")
            tests.end([self.mapped(value)])
            return
        flag = SymbolicTensor(tests.block.params[slot], self.trace)
        inner = Region(self.trace)
        inner.block.ops = tests.block.ops
        tests.block.ops = []
        with tests.again():
            going = and_values(~flag, inner, value if isinstance(value, bool) else self._current(value))
        tests.end([self.trace.value_of(going, tests.block)])

    def mapped(self, value: SymbolicTensor) -> Value:
        """The value, also when it was a parameter that is none any more."""
        return self.state.back.get(value.value, value.value)

    def _current(self, value: SymbolicTensor) -> SymbolicTensor:
        return SymbolicTensor(self.mapped(value), self.trace)


__all__ = ["For", "While"]
