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
from ..codegen.layout import layout
from ..codegen.slow_mode import slow_mode as native_counter
from ..runtime.array import Array as OurArray
from ..runtime.context import slow_mode
from ..runtime.tensor import Tensor
from ..runtime.variable import Variable
from .call_form import CallForm, form_of, form_of_tensors, nest_of
from .compiled_call import CompiledOp
from .execute import Compiled, raiser, size_tables, static_shape

if TYPE_CHECKING:
    from .concrete import ConcreteFunction
    from .float_arguments import Call
    from .function import Function

slow_mode.attach(native_counter.cell)  # from here on native calls give way to tapes and traces

MAX_ENTRIES = 64  # in one chain
MAX_TRIES, MAX_CALLS = 4, 256  # attempts to make entries: for one kind of call, which has few forms; kinds of calls
DROP_GIL_NS = 20_000
Array = np.ndarray[Any, Any]
NOTHING: Mapping[int, Any] = {}


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

    def entry(self, form: CallForm, leaves: Sequence[Tensor], sources: Mapping[int, Any], fallback: Any) -> Any:
        """A native callable for calls of this form with tensors like these leaves, or None.

        `sources` are the ndarrays that leaves were made of: only those can be written to.
        """
        kinds = [kind for _, kind in form.leaves]
        if not all(kinds[i] == "scalar" or (kinds[i] == "ndarray" and i in sources) for i in self.written):
            return None  # writes to a handle
        arrays = self.arrays(leaves)
        compiled = self.op.executable(arrays)
        if layout() is None or not isinstance(compiled, Compiled):
            return None
        spec = self._spec(compiled.code, arrays, form)
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
                objects=form.objects,
                pack=self.pack if spec.structure == "packed" else None,
            )
        except (TypeError, ValueError):
            return None  # a dtype or layout that native calls do not serve

    def _spec(self, code: Any, arrays: Sequence[Array], form: CallForm) -> EntrySpec:
        """What the machine code takes and gives. The form gets the objects that building the result needs."""
        first, behind = len(form.leaves), len(form.leaves) + len(self.passed)
        params = []
        for i, a in enumerate(arrays):
            number, kind = form.leaves[i] if i < first else (i - first, "const") if i < behind else (i - behind, "var")
            params.append(ParamSpec(kind, number, a.dtype, a.shape))
        tables = enumerate(size_tables(code), len(self.passed))
        params += [ParamSpec("const", number, a.dtype, a.shape) for number, a in tables]
        results = [self._result(code, k, params, behind) for k in range(len(code.fn.result_types))]
        returns = ["array" if k in self.array_outputs else "out" for k in range(self.n_returned)]
        return EntrySpec(
            nargs=form.nargs,
            keywords=form.keywords,
            opened=tuple(form.opened),
            params=tuple(params),
            results=tuple(results),
            returns=tuple(ReturnSpec(kind, k) for k, kind in enumerate(returns)),
            structure="single" if self.structure.kind == "leaf" else nest_of(self.structure, form) or "packed",
            same=tuple(form.same),
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
                form = form_of_tensors(leaves, leaves, leaves)
                if form is not None:
                    self._last = self.plain.entry(form, leaves, NOTHING, self._last or self._miss) or self._last
        return result


def _missed(flat: FlatCall | None, leaves: Sequence[Tensor]) -> Any:
    if flat is None:
        raise ReferenceError("the compiled function is gone")
    return flat.miss(leaves)


class Fallback:
    """The Python path of a Function or ConcreteFunction, without keeping it alive."""

    def __init__(self, function: Function | ConcreteFunction) -> None:
        self._function = weakref.ref(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self._function()
        if function is None:
            raise ReferenceError("the compiled function is gone")
        return function._slow_call(*args, **kwargs)


class EntryChain:
    """The native entries in front of one Function or ConcreteFunction."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()
        self._tried: dict[Any, int] = {}
        self._last: Any = None

    def add(self, function: Function, call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Makes later calls of this form native, where that is possible."""
        plain: Plain | None = call.concrete.plain
        kind = (call.key, *map(type, args), *kwargs)
        if plain is None or len(self._seen) >= MAX_ENTRIES or not self._worthwhile(kind):
            return
        about = plain.variables, function._skipped
        form = form_of(function._signature, args, kwargs, call.values, call.leaves, call.sources, *about)
        if form is not None:
            self._install(function, plain, form, call.leaves, call.sources)

    def add_concrete(
        self,
        concrete: ConcreteFunction,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        names: Sequence[str],
        given: Sequence[Any],
        leaves: Sequence[Tensor],
    ) -> None:
        """As `add`, for calls of one trace with its tensors. `kwargs` in the trace's order, `names` in the call's.
        `given`: all arguments, in the trace's order, with `leaves` in their places."""
        told = [(x._data.dtype.num, x._data.shape) for x in leaves]
        if len(self._seen) >= MAX_ENTRIES or not self._worthwhile((*map(type, args), *names, *told)):
            return
        form = form_of_tensors(args, given, leaves, kwargs, names)
        if form is not None:
            self._install(concrete, concrete.plain, form, leaves, NOTHING)

    def _install(
        self,
        target: Function | ConcreteFunction,
        plain: Plain,
        form: CallForm,
        leaves: Sequence[Tensor],
        sources: Mapping[int, Any],
    ) -> None:
        key = (id(plain), *form.key, *[(x._data.dtype.num, x._data.shape) for x in leaves])
        if key in self._seen:
            return
        self._seen.add(key)
        entry = plain.entry(form, leaves, sources, self._last or Fallback(target))
        if entry is not None:
            self._last = entry
            install(target, entry)

    def _worthwhile(self, call: Any) -> bool:
        """Whether calls like this one were not tried often in vain: they go to Python for ever, and shall not pay for
        more than that."""
        n = self._tried.get(call, 0)
        if n >= MAX_TRIES or len(self._tried) >= MAX_CALLS:
            return False
        self._tried[call] = n + 1
        return True
