"""The state of a trace that branches and loops carry: variables, and tensors that are written to.

A variable is state from its first use: it comes into the function as a parameter. A tensor is from its first write on
(`t[i] = v`); its handle holds the value, and it is state for the regions inside of the block where it was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.graph import Block, Value
from ..runtime.array import is_array
from ..runtime.handles import rebind
from ..runtime.location import at, user_location
from ..runtime.tensor import Tensor, wrap
from ..runtime.variable import Variable
from .symbolic import SymbolicArray, SymbolicTensor

if TYPE_CHECKING:
    from ..ir.builder import IRBuilder


class VariableState:
    """A variable as a trace sees it: the parameter it came in as, and its value at this point."""

    __slots__ = ("assigned", "current", "param", "variable")
    is_handle = False

    def __init__(self, variable: Variable, param: Value) -> None:
        self.variable = variable
        self.param = self.current = param
        self.assigned = False

    def become(self, t: Tensor, value: Value) -> None:
        """The new value, which a branch or loop gave."""
        self.current, self.assigned = value, True


class HandleState:
    """A tensor that is written to (`t[i] = v`), as far as branches and loops see it: state, like a variable.

    `param` is the value before the first write; `current` is the handle's own.
    """

    __slots__ = ("assigned", "handle", "param")
    is_handle = True
    variable = None

    def __init__(self, handle: SymbolicTensor) -> None:
        self.handle = handle
        self.param = handle.value
        self.assigned = False

    @property
    def current(self) -> Value:
        """The value at this point."""
        return self.handle.value

    @current.setter
    def current(self, value: Value) -> None:
        if value is not self.handle.value:
            self.handle.value, self.handle.static = value, None

    def become(self, t: Tensor, value: Value) -> None:
        """The new value, which a branch or loop gave; tapes are told."""
        rebind(self.handle, t)


class HandleTable:
    """What a trace knows of its blocks and of the handles in them.

    Attributes:
      states: variables, and handles that are written to, by id. open_blocks: regions under construction, which hang on
      no op yet. closed: what finished regions define, with the region. moved_into: scratch regions that were kept, with
      the block that took their ops. written: handles, kept alive, because states are found by their ids.
      numpy_used: whether the Python did something for which arrays have rules of their own.
      undecided: whether arrays from outside are traced as Tensors until that is so.
      shared: handles that may or may not be the same array as another one, by id, with the words for it.
    """

    name: str
    open: bool
    builder: IRBuilder

    def __init__(self) -> None:
        self.states: dict[int, VariableState | HandleState] = {}
        self.open_blocks: list[Block] = []
        self.closed: dict[Value, Block] = {}
        self.moved_into: dict[Block, Block] = {}
        self.written: dict[int, SymbolicTensor] = {}
        self.numpy_used = False
        self.undecided = False
        self.growing = False  # whether the program says that a size may change from trip to trip
        self.shared: dict[int, tuple[SymbolicTensor, str]] = {}
        self.outside: dict[int, tuple[Any, SymbolicArray]] = {}  # ndarrays that are not arguments, by id
        self.given: set[int] = set()  # ids of the arguments' handles: the caller has them too

    def value_of(self, x: Tensor, inside: Block | None = None) -> Value:
        """The IR value of a tensor."""
        raise NotImplementedError

    def enclosing(self) -> Iterator[Any]:
        """The traces around this one."""
        raise NotImplementedError

    def note_numpy(self) -> None:
        """The Python does something that means one thing for NumPy's arrays and another for Tensors.

        Raises:
          ArraysNeeded: where an array was taken for a Tensor so far.
        """
        self.numpy_used = True
        if self.undecided or any(t.undecided for t in self.enclosing()):
            raise ArraysNeeded

    def variable_states(self) -> list[VariableState]:
        """The states that are variables: parameters of the function."""
        return [s for s in self.states.values() if isinstance(s, VariableState)]

    def touch(self, handle: SymbolicTensor) -> None:
        """The handle is about to be written to: from now on branches and loops carry its value.

        Raises:
          LeakedTensor: for a handle of a branch, loop body or trace that is over.
        """
        self.note_numpy()
        if id(handle) in self.shared:
            raise ValueError(f"{self.shared[id(handle)][1]}{at()}")
        self.value_of(handle)
        if handle.trace is not self:
            raise ValueError(
                f"a tensor of the function around '{self.name}' is written to inside of '{self.name}': pass it as an "
                f"argument{at()}"
            )
        if id(handle) not in self.states:
            self.written[id(handle)] = handle
            self.states[id(handle)] = HandleState(handle)

    def captured_array(self, data: np.ndarray[Any, Any]) -> Any:
        """An ndarray from outside as an array of the trace, not to be written: what it holds now, also later too."""
        found = self.outside.get(id(data))
        if found is None:
            array = SymbolicArray(self.value_of(wrap(np.array(data, order="C"))), self)  # type: ignore[arg-type]
            found = self.outside[id(data)] = (data, array)
            text = "this writes to an ndarray from outside of the function: pass it to the function as an argument"
            self.shared[id(array)] = (array, text)
        return found[1]

    def is_handle(self, t: Tensor) -> bool:
        """Whether a variable holds it as a handle that others may have too: an array, or what was written to."""
        return (is_array(t) and (bool(t.type.shape) or t._cell)) or id(t) in self.written

    def share(self, handle: SymbolicTensor, others: Sequence[Any], name: str, construct: str) -> None:
        """The handle is, depending on a tensor's value, one of the others or not: none of them can be written to."""
        line = user_location()
        for h in (handle, *others):
            self.shared[id(h)] = (
                h,
                f"this writes to an array that '{name}' may also be, depending on {construct} at {line}: whether the "
                f"other one changes too is not known while the function is traced; write {name} = {name}.copy() there",
            )

    def home_of(self, handle: SymbolicTensor) -> Block:
        """The block in which a handle was made."""
        return self._settled(handle.home)

    def block_here(self) -> Block:
        """The block that is being filled; a scratch region counts as what is around it."""
        return self._settled(self.builder.block)

    def _settled(self, block: Block) -> Block:
        while block in self.moved_into:
            block = self.moved_into[block]
        return block

    def forget_handles(self, block: Block) -> None:
        """A region is over: the handles that were made in it are no state of what surrounds it."""
        for key, handle in list(self.written.items()):
            if self.home_of(handle) is block:
                self.states.pop(key, None)
                del self.written[key]

    def reaches(self, value: Value) -> bool:
        """Whether a value is defined in what is still open, so that it may be used here."""
        block = self.closed.get(value)
        return self.open and (block is None or any(b is block for b in self.open_blocks))


class ArraysNeeded(BaseException):
    """Ends a trace that took ndarrays for Tensors; not an Exception, so that the user's `except` does not see it."""
