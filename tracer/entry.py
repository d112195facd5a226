"""Puts compiled code in front of a function's Python path: calls with plain tensors then never reach it.

An entry serves one combination of shapes; every call that does not fit goes to the entry before it, in the end to the
Python path. Tensors, ndarrays and NumPy scalars count by dtype and shape, other arguments (numbers, strings, None) by
value or identity. An ndarray that the function writes to is written in place.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codegen.callable import install
from ..codegen.entry import make_callable
from ..codegen.entry_spec import EntrySpec, ParamSpec, ResultSpec, ReturnSpec
from ..codegen.layout import SCALARS, layout
from ..codegen.slow_mode import slow_mode as native_counter
from ..runtime.array import Array as OurArray
from ..runtime.context import slow_mode
from ..runtime.tensor import Tensor
from ..runtime.variable import Variable
from .compiled_call import CompiledOp
from .execute import Compiled, raiser, size_tables, static_shape
from .structure import Structure

if TYPE_CHECKING:
    from .concrete import ConcreteFunction
    from .function import Function

slow_mode.attach(native_counter.cell)  # from here on native calls give way to tapes and traces

MAX_ENTRIES = 64  # in one chain
DROP_GIL_NS = 20_000
Array = np.ndarray[Any, Any]
_CONSTANTS = (bool, int, float, str, bytes, type(None))
_KINDS: dict[type, str] = {Tensor: "arg", OurArray: "array", np.ndarray: "ndarray"}
_BY_VALUE = (int, float, str, bytes)
NOTHING: Mapping[int, Any] = {}


def constant_key(x: Any) -> Any:
    """What native calls compare of an argument that is none of these: exact numbers and texts by value, a float by its
    bits, others by identity."""
    return (type(x), x.hex() if type(x) is float else x) if type(x) in _BY_VALUE else id(x)


def kind_of(x: Any) -> str | None:
    """How native calls take an argument by value; None for what they tell by identity, if at all."""
    if isinstance(x, np.generic):
        return "scalar" if x.dtype.char in SCALARS and type(x) is x.dtype.type else None
    return _KINDS.get(type(x))


class Plain:
    """A trace as plain calls see it: no tape, no trace, only tensors in and tensors out. Called with the tensors.

    Attributes:
      op: the function on arrays. passed: captured tensors, parameters behind the call's tensors. variables: behind
        those. assigned: the numbers of the variables whose new values are the results behind the outputs.
      n_outputs: how many outputs there are; those that are not returned are new values of the arguments `written`.
      pack: puts the returned ones together. array_outputs: which of them are arrays.
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
        self.structure, self.pack, self.array_outputs = what.structure, what.pack, frozenset(what.arrays)
        self.written = list(what.written)
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
        self, args: Sequence[Any], leaves: Sequence[Tensor], fallback: Callable[..., Any], skipped: int = 0,
        sources: Mapping[int, Any] = NOTHING,
    ) -> Any:
        """A native callable for arguments like these (tensors, arrays, and constants told by identity), or None.

        `skipped` arguments in front of them are taken and not looked at. `sources` are the ndarrays that leaves were
        made of: only those can be written to.
        """
        kinds = [(i, k) for i, k in enumerate(map(kind_of, args), skipped) if k is not None]
        if not all(kinds[i][1] == "scalar" or (kinds[i][1] == "ndarray" and i in sources) for i in self.written):
            return None  # writes to a handle
        arrays = self.arrays(leaves)
        compiled = self.op.executable(arrays)
        if layout() is None or not isinstance(compiled, Compiled):
            return None
        constants = [(i, x) for i, x in enumerate(args, skipped) if kind_of(x) is None]
        spec = self._spec(compiled.code, arrays, skipped + len(args), kinds, [i for i, _ in constants])
        try:
            return make_callable(
                compiled.code.library,
                spec,
                fallback=fallback,
                tensor_type=Tensor,
                array_type=OurArray,
                on_error=raiser(compiled.code),
                consts=[*(t._data for t in self.passed), *size_tables(compiled.code)],
                variables=self.variables,
                objects=[x for _, x in constants],
                pack=self.pack if spec.structure == "packed" else None,
            )
        except (TypeError, ValueError):
            return None  # a dtype or layout that native calls do not serve

    def _spec(
        self,
        code: Any,
        arrays: Sequence[Array],
        nargs: int,
        kinds: Sequence[tuple[int, str]],
        same: Sequence[int],
    ) -> EntrySpec:
        """What the machine code takes and gives.

        Args:
          kinds: number and kind of the arguments passed by value. same: numbers of those told by identity.
        """
        first, behind = len(kinds), len(kinds) + len(self.passed)
        params = []
        for i, a in enumerate(arrays):
            number, kind = kinds[i] if i < first else (i - first, "const") if i < behind else (i - behind, "var")
            params.append(ParamSpec(kind, number, a.dtype, a.shape))
        tables = enumerate(size_tables(code), len(self.passed))
        params += [ParamSpec("const", number, a.dtype, a.shape) for number, a in tables]
        results = [self._result(code, k, params, behind) for k in range(len(code.fn.result_types))]
        returns = ["array" if k in self.array_outputs else "out" for k in range(self.n_returned)]
        return EntrySpec(
            nargs=nargs,
            params=tuple(params),
            results=tuple(results),
            returns=tuple(ReturnSpec(kind, k) for k, kind in enumerate(returns)),
            structure=_kind(self.structure),
            same=tuple((i, k) for k, i in enumerate(same)),
            scratch=code.scratch_bytes,
            # A Variable that is written in place must not be read half written by another thread, and an index must
            # not change between its check and its use.
            drop_gil=code.work > DROP_GIL_NS
            and not any(r.kind == "var" for r in results)
            and not any(p.kind in ("ndarray", "array") and p.dtype.kind in "iub" for p in params),
        )

    def _result(self, code: Any, k: int, params: Sequence[ParamSpec], first_variable: int) -> ResultSpec:
        """What becomes of result `k`: returned, a Variable's new value, or an argument's (in place where the code's
        donors say that it may be)."""
        t = code.fn.result_types[k]
        kind, number, param = "out", k, -1
        if k >= self.n_outputs:
            kind, number = "var", self.assigned[k - self.n_outputs]
            param = first_variable + number
        elif k >= self.n_returned and params[self.written[k - self.n_returned]].kind == "ndarray":
            kind = "ndarray"
            number = param = self.written[k - self.n_returned]
        fits = param >= 0 and (params[param].dtype, params[param].shape) == (t.dtype.np, static_shape(t))
        donor = param if fits and code.donate.get(k) == param else None
        return ResultSpec(kind, number, t.dtype.np, static_shape(t), donor)


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
        self,
        function: Function,
        plain: Plain | None,
        args: Sequence[Any],
        leaves: Sequence[Tensor],
        sources: Mapping[int, Any],
    ) -> None:
        """Makes later calls with positional arguments like these native, where that is possible."""
        if plain is None or len(self._seen) >= MAX_ENTRIES:
            return
        told = [kind_of(x) or constant_key(x) for x in args]
        key = (id(plain), *told, *[(x._data.dtype.num, x._data.shape) for x in leaves])
        if key in self._seen or not _simple(function, args, leaves, sources):
            return
        self._seen.add(key)
        entry = plain.entry(args, leaves, self._last or Fallback(function), function._skipped, sources)
        if entry is not None:
            self._last = entry
            install(function, entry)


def _simple(function: Function, args: Sequence[Any], leaves: Sequence[Tensor], sources: Mapping[int, Any]) -> bool:
    """Whether every argument is a leaf itself, or a constant that is told by identity; defaults left out are
    constants."""
    passed = [x for x in args if kind_of(x) is not None]
    if not all(type(x) in _CONSTANTS for x in args if kind_of(x) is None) or len(passed) != len(leaves):
        return False
    left_out = function._signature.defaults_after(len(args))
    if left_out is None or not all(isinstance(d, _CONSTANTS) for d in left_out):
        return False
    return all(_is_given(x, leaf, sources.get(i, x)) for i, (x, leaf) in enumerate(zip(passed, leaves, strict=True)))


def _is_given(x: Any, leaf: Tensor, source: Any) -> bool:
    """Whether a leaf is the argument `x`, or has the very elements of an ndarray or NumPy scalar."""
    if isinstance(x, (np.ndarray, np.generic)):
        return source is x and (x.dtype, x.shape) == (leaf._data.dtype, leaf._data.shape)
    return x is leaf
