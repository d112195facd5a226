"""Puts compiled code in front of a function's Python path: calls with plain tensors then never reach it.

An entry serves one combination of shapes; every call that does not fit goes to the entry before it, in the end to the
Python path. Tensors count by dtype and shape, other arguments (numbers, strings, None) by identity.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codegen.callable import install
from ..codegen.entry import make_callable
from ..codegen.entry_spec import EntrySpec, ParamSpec, ResultSpec, ReturnSpec
from ..codegen.layout import layout
from ..codegen.slow_mode import slow_mode as native_counter
from ..runtime.context import slow_mode
from ..runtime.tensor import Tensor
from ..runtime.variable import Variable
from .compiled_call import CompiledOp
from .execute import Compiled, raiser, static_shape
from .structure import Structure

if TYPE_CHECKING:
    from .concrete import ConcreteFunction
    from .function import Function

slow_mode.attach(native_counter.cell)  # from here on native calls give way to tapes and traces

MAX_ENTRIES = 8  # in one chain
DROP_GIL_NS = 20_000
Array = np.ndarray[Any, Any]
_CONSTANTS = (bool, int, float, str, bytes, type(None))


class Plain:
    """A trace as plain calls see it: no tape, no trace, only tensors in and tensors out. Called with the tensors.

    Attributes:
      op: the function on arrays. passed: captured tensors, parameters behind the call's tensors. variables: behind
        those. assigned: the numbers of the variables whose new values are the results behind the outputs.
      n_outputs: how many outputs there are; those that are not returned are new values of arguments.
      pack: puts the returned ones together. arrays: which of them are arrays.
    """

    def __init__(
        self,
        op: CompiledOp,
        passed: Sequence[Tensor],
        variables: Sequence[Variable],
        assigned: Sequence[int],
        what: ConcreteFunction,
    ) -> None:
        self.op, self.passed, self.variables, self.assigned = op, list(passed), list(variables), list(assigned)
        self.structure, self.pack, self.arrays_out = what.structure, what.pack, bool(what.arrays)
        self.n_outputs, self.n_returned = what.n_outputs, what.n_returned

    def arrays(self, leaves: Sequence[Tensor]) -> list[Array]:
        """All arguments of the function on arrays."""
        return [x._data for x in leaves] + [t._data for t in self.passed] + [v._data for v in self.variables]

    def outputs(self, *leaves: Tensor) -> list[Tensor]:
        """The outputs; variables get their new values."""
        outs = self.op.run(self.arrays(leaves))
        for k, i in enumerate(self.assigned):
            self.variables[i]._data = outs[self.n_outputs + k]
        return [Tensor(a) for a in outs[: self.n_outputs]]

    def __call__(self, *leaves: Tensor) -> Any:
        """The structured result of a function that does not write to its arguments."""
        return self.pack(self.outputs(*leaves))

    def entry(
        self, args: Sequence[Any], leaves: Sequence[Tensor], fallback: Callable[..., Any], skipped: int = 0
    ) -> Any:
        """A native callable for arguments like these (tensors, and constants told by identity), or None.

        `skipped` arguments in front of them are taken and not looked at.
        """
        if self.n_outputs > self.n_returned:
            return None  # writes to its arguments
        arrays = self.arrays(leaves)
        compiled = self.op.executable(arrays)
        if layout() is None or not isinstance(compiled, Compiled):
            return None
        places = [i for i, x in enumerate(args, skipped) if type(x) is Tensor]
        constants = [(i, x) for i, x in enumerate(args, skipped) if type(x) is not Tensor]
        spec = self._spec(compiled.code, arrays, skipped + len(args), places, [i for i, _ in constants])
        try:
            return make_callable(
                compiled.code.library,
                spec,
                fallback=fallback,
                tensor_type=Tensor,
                on_error=raiser(compiled.code),
                consts=[t._data for t in self.passed],
                variables=self.variables,
                objects=[x for _, x in constants],
                pack=self.pack if spec.structure == "packed" else None,
            )
        except (TypeError, ValueError):
            return None  # a dtype or layout that native calls do not serve

    def _spec(
        self, code: Any, arrays: Sequence[Array], nargs: int, places: Sequence[int], same: Sequence[int]
    ) -> EntrySpec:
        """What the machine code takes and gives. `places`, `same`: argument numbers of tensors and of constants."""
        first, behind = len(places), len(places) + len(self.passed)
        params = []
        for i, a in enumerate(arrays):
            kind = "arg" if i < first else "const" if i < behind else "var"
            index = places[i] if i < first else i - first if i < behind else i - behind
            params.append(ParamSpec(kind, index, a.dtype, a.shape))
        results = []
        for k, t in enumerate(code.fn.result_types):
            if k < self.n_outputs:
                results.append(ResultSpec("out", k, t.dtype.np, static_shape(t)))
                continue
            number = self.assigned[k - self.n_outputs]
            old = params[behind + number]
            fits = (old.dtype, old.shape) == (t.dtype.np, static_shape(t)) and code.donate.get(k) == behind + number
            results.append(ResultSpec("var", number, t.dtype.np, static_shape(t), behind + number if fits else None))
        return EntrySpec(
            nargs=nargs,
            params=tuple(params),
            results=tuple(results),
            returns=tuple(ReturnSpec("out", k) for k in range(self.n_outputs)),
            structure="packed" if self.arrays_out else _kind(self.structure),
            same=tuple((i, k) for k, i in enumerate(same)),
            scratch=code.scratch_bytes,
            # A Variable that is written in place must not be read half written by another thread.
            drop_gil=code.work > DROP_GIL_NS and not any(r.kind == "var" for r in results),
        )


class FlatCall:
    """The quickest way to call a trace with its tensors: a chain of native entries, one for each combination of shapes,
    before `Plain`."""

    def __init__(self, plain: Plain) -> None:
        self.plain = plain
        self._last: Any = None
        self._once: set[Any] = set()
        self._seen: set[Any] = set()
        me = weakref.ref(self)
        self._miss: Callable[..., Any] = lambda *leaves: _missed(me(), leaves)

    def __call__(self, leaves: Sequence[Tensor]) -> Any:
        """The structured result for the tensors."""
        entry = self._last
        return self.miss(leaves) if entry is None else entry(*leaves)

    def miss(self, leaves: Sequence[Tensor]) -> Any:
        """A call that no entry serves: runs it, and makes an entry for the next one like it."""
        result = self.plain(*leaves)
        if len(self._seen) < MAX_ENTRIES and not slow_mode.count:
            key = tuple([(x._data.dtype.num, x._data.shape) for x in leaves])
            if key not in self._once:
                self._once.add(key)  # a function that is called once, or has an entry of its own, needs none here
            elif key not in self._seen:
                self._seen.add(key)
                self._last = self.plain.entry(leaves, leaves, self._last or self._miss) or self._last
        return result


def _missed(flat: FlatCall | None, leaves: Sequence[Tensor]) -> Any:
    if flat is None:
        raise ReferenceError("the compiled function is gone")
    return flat.miss(leaves)


def _kind(s: Structure) -> str:
    if s.kind == "leaf":
        return "single"
    if s.kind == "none":
        return "none"
    flat = all(c.kind == "leaf" for c in s.children)
    return s.kind if flat and s.kind in ("tuple", "list") else "packed"


class Fallback:
    """The Python path of a Function, without keeping the Function alive."""

    def __init__(self, function: Function) -> None:
        self._function = weakref.ref(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self._function()
        if function is None:
            raise ReferenceError("the compiled function is gone")
        return function._slow_call(*args, **kwargs)


class EntryChain:
    """The native entries in front of one Function."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()
        self._last: Any = None

    def add(
        self, function: Function, plain: Plain | None, args: Sequence[Any], leaves: Sequence[Tensor], skipped: int
    ) -> None:
        """Makes later calls with positional arguments like these native, where that is possible."""
        if plain is None or len(self._seen) >= MAX_ENTRIES or not _simple(function, args, leaves):
            return
        constants = [(i, id(x)) for i, x in enumerate(args) if type(x) is not Tensor]
        key = (id(plain), len(args), *constants, *[(x._data.dtype.num, x._data.shape) for x in leaves])
        if key in self._seen:
            return
        self._seen.add(key)
        entry = plain.entry(args, leaves, self._last or Fallback(function), skipped)
        if entry is not None:
            self._last = entry
            install(function, entry)


def _simple(function: Function, args: Sequence[Any], leaves: Sequence[Tensor]) -> bool:
    """Whether every argument is a Tensor, or a constant that is told by identity; defaults left out are constants."""
    for x in args:
        if type(x) is not Tensor and type(x) not in _CONSTANTS:
            return False
    left_out = function._signature.defaults_after(len(args))
    if left_out is None or not all(isinstance(d, _CONSTANTS) for d in left_out):
        return False
    tensors = [x for x in args if type(x) is Tensor]
    return len(tensors) == len(leaves) and all(a is b for a, b in zip(tensors, leaves, strict=True))
