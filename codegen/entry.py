"""Callables that go straight from Python into compiled code.

`make_callable` returns a built-in function whose machine code (`entry_native`, compiled once for the process) reads
what to check and do from a table (`entry_spec`). All that it needs hangs on the built-in's context tuple, so code,
constants and table live exactly as long as somebody can call them. Where `layout()` is None use `direct.DirectCall`.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .callable import entry_offset
from .entry_native import PASSES, native_text
from .entry_spec import (
    KEPT_BYTES,
    WIDE,
    EntrySpec,
    ParamSpec,
    Places,
    ResultSpec,
    ReturnSpec,
    encode,
    native_dtype,
)
from .entry_text import FIXED_ITEMS, METH_FASTCALL_KEYWORDS
from .interrupt import Uninterrupted
from .jit import Library, compile_module
from .layout import Layout, MethodDef, layout, new_builtin, slot_offset, why_not
from .pool import pool
from .scratch import ScratchUse, arena
from .slow_mode import slow_mode

__all__ = ["EntrySpec", "ParamSpec", "ResultSpec", "ReturnSpec", "make_callable", "native_thunk"]

Array = np.ndarray[Any, Any]


class Native:
    """The machine code shared by all entries, compiled at the first need and kept."""

    def __init__(self, at: Layout) -> None:
        symbols = at.symbols() | {"pb_slow_mode": slow_mode.address, "pb_arena": arena.address, "pb_None": id(None)}
        symbols |= {"pb_pool": pool.address, "pb_pool_handler": pool.handler_address}
        self.layout = at
        self.library = compile_module(native_text(at, entry_offset()), symbols, opt=0, passes=PASSES)
        self.thunk = self.library.address("pb_thunk")
        self.method = MethodDef(b"compiled", self.library.address("pb_entry"), METH_FASTCALL_KEYWORDS,
                                b"Compiled code; other arguments than it was compiled for go to Python.")
        for thing in (self, arena, slow_mode):  # callables may be called until the process is gone
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
        arena.connect(ctypes.PYFUNCTYPE(None)(self.library.address("pb_arena_free")))
        pool.connect(self.library.address, dict(at.functions), at.array_handler)


_native: Native | None = None
_native_lock = threading.Lock()


def native() -> Native:
    """The shared machine code; RuntimeError where native entries are unavailable."""
    global _native
    at = layout()
    if at is None:
        raise RuntimeError(f"no native call entry here: {why_not()}")
    if _native is None:
        with Uninterrupted(), _native_lock:
            if _native is None:
                _native = Native(at)
    return _native


def native_thunk() -> int:
    """Address of the vectorcall function of a NativeCallable that has an entry."""
    return native().thunk


def make_callable(library: Library, spec: EntrySpec, *, fallback: Callable[..., Any], tensor_type: type,
                  on_error: Callable[[int], Any], consts: Sequence[Array] = (), variables: Sequence[object] = (),
                  objects: Sequence[object] = (), pack: Callable[[tuple[Any, ...]], Any] | None = None,
                  array_type: type | None = None) -> Any:
    """A built-in function that runs `spec.name` of `library` as `spec` says.

    Any call that does not fit (types, shapes, keywords, slow mode) goes to `fallback` with the same arguments; a
    nonzero status goes to `on_error(status)`, which raises. `consts`, `variables` and `objects` are what the spec's
    indices refer to; `pack` builds the result of structure "packed"; `array_type` is laid out as `tensor_type`.
    Raises RuntimeError where `layout()` is None, TypeError or ValueError for a spec that does not fit what it refers
    to.
    """
    shared = native()
    base = shared.layout.tuple_items
    for param in spec.params:
        if param.kind == "const":
            _check_constant(consts, param)
    if (spec.structure == "packed") != (pack is not None):
        raise ValueError("structure 'packed' and a packer go together")
    used = [p.dtype for p in spec.params] + [r.dtype for r in spec.results]
    numbers = [WIDE] if any(p.kind in ("number", "cast") for p in spec.params) else []
    dtypes = list({native_dtype(dtype): None for dtype in used + numbers})
    scalars = list({native_dtype(d): None for d in [p.dtype for p in spec.params if p.kind == "scalar"] + numbers})
    kept = [r.kind == "out" and r.nbytes <= KEPT_BYTES for r in spec.results]
    owners = (library, ScratchUse(spec.frame + spec.scratch))
    groups: tuple[Sequence[Any], ...] = (consts, variables, objects, dtypes, [dtype.type for dtype in scalars],
                                         spec.keywords, [None] * len(kept))
    items = (fallback, tensor_type, on_error, pack, _same_layout(spec, tensor_type, array_type),
             *itertools.chain(*groups), owners)
    starts = [FIXED_ITEMS, *(FIXED_ITEMS + end for end in itertools.accumulate(map(len, groups)))]
    at = [[base + 8 * i for i in range(low, high)] for low, high in itertools.pairwise(starts)]
    places = Places(at[0], at[1], [slot_offset(type(v), spec.slot) for v in variables], at[2],
                    dict(zip(dtypes, at[3], strict=True)), slot_offset(tensor_type, spec.slot),
                    [slot_offset(tensor_type, name) for name in spec.none_slots],
                    dict(zip(scalars, at[4], strict=True)),
                    [place if keep else 0 for place, keep in zip(at[6], kept, strict=True)], at[5])
    table = encode(spec, library.address(spec.name), places, library.asks_python)
    return new_builtin(shared.method, (table, *items))


def _same_layout(spec: EntrySpec, tensor_type: type, array_type: type | None) -> type | None:
    """The type of arrays, checked, as calls read and make them as if they were Tensors."""
    kinds = [p.kind for p in spec.params] + [r.kind for r in spec.returns]
    if array_type is None:
        if "array" in kinds:
            raise ValueError("arrays without an array type")
        return None
    if array_type.__basicsize__ != tensor_type.__basicsize__ or any(
            slot_offset(array_type, name) != slot_offset(tensor_type, name) for name in (spec.slot, *spec.none_slots)):
        raise TypeError(f"{array_type.__name__} is not laid out as {tensor_type.__name__}")
    return array_type


def _check_constant(consts: Sequence[Array], param: ParamSpec) -> None:
    """Check a constant once, as calls do not."""
    array = consts[param.index]
    kind: type = type(array)
    if kind is not np.ndarray:
        raise TypeError(f"constant {param.index} is of type {kind.__name__}, not numpy.ndarray")
    if array.dtype != param.dtype or array.shape != param.shape:
        raise TypeError(f"constant {param.index} is {array.dtype} {array.shape}, "
                        f"compiled for {param.dtype} {param.shape}")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(f"constant {param.index} is not C-contiguous and aligned")
