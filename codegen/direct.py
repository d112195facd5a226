"""The slow way into compiled code: the same kernel, called through ctypes with plain arrays.

Used where the native entry is unavailable, and by Python callers that hold arrays (a tape's backward pass). A call
takes microseconds instead of a tenth of one. Inputs that are strided or misaligned are copied first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .entry_spec import EntrySpec, ParamSpec
from .jit import Library
from .pool import pool
from .python_calls import guarded

Array = np.ndarray[Any, Any]
_BYTES = np.dtype(np.uint8)


class DirectCall:
    """One kernel with its constants and Variables.

    `run(args)` takes an ndarray for each positional argument (only those that params of kind "arg" or "float" refer
    to are read), stores new values into the Variables, and returns the "out" results in the order of their index.
    `run_flat(ins)` is the kernel alone: an ndarray for each param, an ndarray for each result.
    """

    def __init__(self, library: Library, spec: EntrySpec, *, consts: Sequence[Array] = (),
                 variables: Sequence[object] = (), on_error: Callable[[int], Any] | None = None) -> None:
        self.spec = spec
        self._main = guarded(library, spec.name)
        self._consts = consts
        self._variables = variables
        self._on_error = on_error
        outs = {r.index: k for k, r in enumerate(spec.results) if r.kind == "out"}
        self._ins_array, self._outs_array = (ctypes.c_void_p * len(part) for part in (spec.params, spec.results))
        self._outs = [outs[index] for index in sorted(outs)]

    def run(self, args: Sequence[Array]) -> list[Array]:
        """One call; a nonzero status goes to `on_error`, and then no Variable has changed."""
        spec = self.spec
        results = self.run_flat([self._source(p, args) for p in spec.params])
        for k, result in enumerate(spec.results):
            if result.kind == "var":
                setattr(self._variables[result.index], spec.slot, results[k])
        return [results[k] for k in self._outs]

    def _source(self, param: ParamSpec, args: Sequence[Array]) -> Array:
        if param.kind == "const":
            return self._consts[param.index]
        if param.kind == "var":
            value: Array = getattr(self._variables[param.index], self.spec.slot)
            return value
        return args[param.index]

    def run_flat(self, ins: Sequence[Array]) -> list[Array]:
        """The kernel on one array for each param; TypeError for another dtype or shape than it was compiled for."""
        spec = self.spec
        if len(ins) != len(spec.params):
            raise TypeError(f"compiled for {len(spec.params)} inputs, found {len(ins)}")
        ready = [_ready(array, param, i) for i, (array, param) in enumerate(zip(ins, spec.params, strict=True))]
        outs = [pool.empty(r.shape, r.dtype) for r in spec.results]
        scratch = pool.empty((spec.scratch + 64,), _BYTES) if spec.scratch else None
        aligned = None if scratch is None else -(-_address(scratch) // 64) * 64
        status = self._main(self._ins_array(*map(_address, ready)), self._outs_array(*map(_address, outs)), aligned)
        if status:
            self._fail(status)
        return outs

    def _fail(self, status: int) -> None:
        if self._on_error is not None:
            self._on_error(status)
        raise SystemError(f"compiled code failed with status {status}, and its error handler raised no error")


def _address(array: Array) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def _ready(array: Array, param: ParamSpec, position: int) -> Array:
    """The array itself, or a C-contiguous aligned copy of it."""
    if param.kind == "float":
        array = np.asarray(array, param.dtype)
    elif isinstance(array, np.generic):  # what NumPy's ufuncs make of 0-d arrays
        array = np.asarray(array)
    if not isinstance(array, np.ndarray) or array.dtype != param.dtype or array.shape != param.shape:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"input {position} is {found}, compiled for {param.dtype} {param.shape}")
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, param.dtype, ["C_CONTIGUOUS", "ALIGNED"])
