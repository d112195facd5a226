"""Puts compiled code in front of a Function: plain calls then never reach Python.

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
from ..runtime.tensor import Tensor
from .concrete import ConcreteFunction
from .execute import Interpreted

if TYPE_CHECKING:
    from .function import Function

MAX_ENTRIES = 8  # in the chain of one function
DROP_GIL_NS = 20_000
_CONSTANTS = (bool, int, float, str, bytes, type(None))


class Fallback:
    """The Python path of a Function, without keeping the Function alive."""

    def __init__(self, function: Function) -> None:
        self._function = weakref.ref(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self._function()
        if function is None:
            raise ReferenceError("the compiled function is gone")
        return function._slow_call(*args, **kwargs)


def install_entry(function: Function, concrete: ConcreteFunction, args: Sequence[Any], leaves: Sequence[Tensor]) -> None:
    """Makes later calls with positional arguments like these native, where that is possible."""
    if layout() is None or len(function._entries) >= MAX_ENTRIES:
        return
    key = (id(concrete), len(args), tuple([(x._data.dtype.num, x._data.shape) for x in leaves]))
    if key in function._entries or not _plain(function, args, leaves):
        return
    entry = _entry(function, concrete, args, leaves)
    function._entries[key] = entry
    if entry is not None:
        function._last_entry = entry
        install(function, entry)


def _plain(function: Function, args: Sequence[Any], leaves: Sequence[Tensor]) -> bool:
    """Whether every argument is a Tensor, or a constant that is told by identity; defaults left out are constants."""
    left_out = function._signature.defaults_after(len(args))
    if left_out is None or not all(isinstance(d, _CONSTANTS) for d in left_out):
        return False
    tensors = [x for x in args if type(x) is Tensor]
    same = len(tensors) == len(leaves) and all(a is b for a, b in zip(tensors, leaves, strict=True))
    return same and all(type(x) is Tensor or type(x) in _CONSTANTS for x in args)


def _entry(function: Function, concrete: ConcreteFunction, args: Sequence[Any], leaves: Sequence[Tensor]) -> Any:
    lean = concrete.lean
    arrays = [x._data for x in leaves] + [t._data for t in concrete.passed] + [v._data for v in concrete.variables]
    code: Any = lean.executable(arrays)
    if isinstance(code, Interpreted) or code.library is None:
        return None
    places = [i for i, x in enumerate(args) if type(x) is Tensor]
    constants = [(i, x) for i, x in enumerate(args) if type(x) is not Tensor]
    spec = entry_spec(concrete, code, arrays, len(args), places, tuple((i, k) for k, (i, _) in enumerate(constants)))
    fallback: Callable[..., Any] = function._last_entry or Fallback(function)
    try:
        return make_callable(
            code.library,
            spec,
            fallback=fallback,
            tensor_type=Tensor,
            on_error=raiser(code),
            consts=[t._data for t in concrete.passed],
            variables=list(concrete.variables),
            objects=[x for _, x in constants],
            pack=packer(concrete) if spec.structure == "packed" else None,
        )
    except (TypeError, ValueError):
        return None  # a dtype or layout that native calls do not serve


def entry_spec(
    concrete: ConcreteFunction,
    code: Any,
    arrays: Sequence[np.ndarray[Any, Any]],
    nargs: int,
    places: Sequence[int],
    same: tuple[tuple[int, int], ...],
) -> EntrySpec:
    """What the compiled function takes and gives. `places` are the argument numbers of the tensors."""
    n_args, n_passed = len(places), len(concrete.passed)
    params = []
    for i, a in enumerate(arrays):
        if i < n_args:
            kind, index = "arg", places[i]
        elif i < n_args + n_passed:
            kind, index = "const", i - n_args
        else:
            kind, index = "var", i - n_args - n_passed
        params.append(ParamSpec(kind, index, a.dtype, a.shape))
    results = []
    for k, t in enumerate(code.fn.result_types):
        shape = tuple(int(d) for d in t.shape)
        if k < concrete.n_outputs:
            results.append(ResultSpec("out", k, t.dtype.np, shape))
        else:
            number = concrete.assigned[k - concrete.n_outputs]
            donor = n_args + n_passed + number
            fits = (params[donor].dtype, params[donor].shape) == (t.dtype.np, shape)
            results.append(ResultSpec("var", number, t.dtype.np, shape, donor if fits else None))
    returns = tuple(ReturnSpec("out", k) for k in range(concrete.n_outputs))
    return EntrySpec(
        nargs=nargs,
        params=tuple(params),
        results=tuple(results),
        returns=returns,
        structure=_structure(concrete),
        same=same,
        scratch=code.scratch_bytes,
        drop_gil=code.work > DROP_GIL_NS,
        name="main",
    )


def _structure(concrete: ConcreteFunction) -> str:
    s = concrete.structure
    if s.kind == "leaf":
        return "single"
    if s.kind == "none":
        return "none"
    flat = all(c.kind == "leaf" for c in s.children)
    return s.kind if flat and s.kind in ("tuple", "list") else "packed"


def packer(concrete: ConcreteFunction) -> Callable[[tuple[Any, ...]], Any]:
    """Builds the nested result from a tuple of tensors."""
    structure = concrete.structure
    return lambda leaves: structure.build(iter(leaves))


def raiser(code: Any) -> Callable[[int], Any]:
    """Raises the error that a status of the compiled function means."""

    def on_error(status: int) -> Any:
        raise code.error(status)

    return on_error
