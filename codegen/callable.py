"""`NativeCallable`: an object whose call can be switched, at any time, from Python to machine code.

Its C part is a heap type with one extra field, the pointer that CPython calls (PEP 590); the type is assembled from
CPython's own functions, without compiling anything, so making one costs microseconds and needs no LLVM. While the
pointer is null CPython uses `__call__`, which goes to `_slow_call`. `install` stores a compiled entry and points to
`pb_thunk`; `reset` goes back. On other interpreters, or with `PULLBACK_NATIVE_ENTRY=0`, the class is plain Python.
"""

from __future__ import annotations

import ctypes
import sys
import types
from functools import lru_cache
from typing import Any

from .layout import layout, slot_offset

ENTRY_SLOT = "_entry"
_HAVE_VECTORCALL = 1 << 11
_BASETYPE = 1 << 10
_SLOT_TP_CALL, _SLOT_TP_MEMBERS = 50, 72
_T_PYSSIZET, _READONLY = 19, 1


class _Slot(ctypes.Structure):
    _fields_ = (("slot", ctypes.c_int), ("value", ctypes.c_void_p))


class _Member(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("type", ctypes.c_int), ("offset", ctypes.c_ssize_t),
                ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


class _Spec(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("basicsize", ctypes.c_int), ("itemsize", ctypes.c_int),
                ("flags", ctypes.c_uint), ("slots", ctypes.c_void_p))


_kept: list[Any] = []  # CPython keeps pointers into what a type was made from


def _vectorcall_base() -> type:
    """A type with nothing but room for the vectorcall pointer, right after the object header."""
    at = layout()
    if at is None:
        return object
    api = ctypes.pythonapi
    members = (_Member * 2)(_Member(b"__vectorcalloffset__", _T_PYSSIZET, at.header, _READONLY, None), _Member())
    call = ctypes.cast(api.PyVectorcall_Call, ctypes.c_void_p).value
    slots = (_Slot * 3)(_Slot(_SLOT_TP_CALL, call), _Slot(_SLOT_TP_MEMBERS, ctypes.addressof(members)), _Slot())
    spec = _Spec(b"pullback.codegen.callable.VectorcallBase", at.header + 8, 0, _BASETYPE | _HAVE_VECTORCALL,
                 ctypes.addressof(slots))
    _kept.extend((members, slots, spec))
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p]
    made: type = make(ctypes.byref(spec))
    return made if made.__basicsize__ == at.header + 8 else object


try:
    _BASE = _vectorcall_base()
except (AttributeError, TypeError, SystemError):  # a CPython that lacks or refuses something: stay in Python
    _BASE = object
NATIVE = _BASE is not object


class NativeCallable(_BASE):  # type: ignore[misc, valid-type]
    """Base of callables with a swappable native entry. Subclasses define `_slow_call(*args, **kwargs)`."""

    __slots__ = (ENTRY_SLOT,)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _allow_vectorcall(cls)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        entry = getattr(self, ENTRY_SLOT, None)
        return self._slow_call(*args, **kwargs) if entry is None else entry(*args, **kwargs)

    def _slow_call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no _slow_call")


def _allow_vectorcall(cls: type) -> None:
    """Set the flag that lets CPython use the pointer: 3.11 does not hand it down to Python classes, and no version
    does where `__call__` is defined. A class with a `__call__` of its own keeps that."""
    if not NATIVE or cls.__call__ is not NativeCallable.__call__:
        return
    flags = cls.__flags__
    offset = _flags_offset()
    if offset is not None and not flags & _HAVE_VECTORCALL:
        field = ctypes.c_ulong.from_address(id(cls) + offset)
        field.value = flags | _HAVE_VECTORCALL
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))


@lru_cache(maxsize=1)
def _flags_offset() -> int | None:
    """Where a type keeps its flags: the one place that holds the right number in several types; else None."""
    width = ctypes.sizeof(ctypes.c_ulong)
    size: int = type.__dict__["__basicsize__"].__get__(type)
    places = set(range(0, size - width + 1, width))
    for cls in (int, dict, NativeCallable, BaseException, type):
        raw = ctypes.string_at(id(cls), size)
        places = {i for i in places if int.from_bytes(raw[i:i + width], sys.byteorder) == cls.__flags__}
    return places.pop() if len(places) == 1 else None


@lru_cache(maxsize=1)
def entry_offset() -> int:
    """Offset of the entry in a NativeCallable."""
    return slot_offset(NativeCallable, ENTRY_SLOT)


def install(target: NativeCallable, entry: Any) -> None:
    """From now on calls of `target` go to `entry`: a built-in made by `make_callable`, or, where native entries are
    unavailable, any callable. The object keeps it alive; one that is replaced while it runs is freed afterwards.
    """
    at = layout()
    if at is None or not NATIVE:
        target._entry = entry
        return
    from .entry import native_thunk

    if not (type(entry) is types.BuiltinFunctionType and type(entry.__self__) is tuple):
        raise TypeError(f"install() takes an entry made by make_callable(), found {type(entry).__name__}")
    thunk = native_thunk()
    target._entry = entry
    if type(target).__flags__ & _HAVE_VECTORCALL:
        ctypes.c_void_p.from_address(id(target) + at.header).value = thunk


def reset(target: NativeCallable) -> None:
    """Calls of `target` go to `_slow_call` again."""
    at = layout()
    if at is not None and NATIVE:
        ctypes.c_void_p.from_address(id(target) + at.header).value = None
    target._entry = None


_allow_vectorcall(NativeCallable)
