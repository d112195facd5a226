"""Where CPython and NumPy keep things inside their objects, found out and checked before use.

The native call entry reads object fields directly. Which ones lie where is not hard-wired: offsets follow from what
the interpreter tells (`object.__basicsize__`), are searched for (a slot by the address stored in it), and each is
compared with known objects at the first question. Where any check fails, or the platform is one that we do not read
(PyPy, free-threaded builds, 32 bits, big-endian), `layout()` is None, `why_not()` says why, and calls go through
ctypes. `PULLBACK_NATIVE_ENTRY=0` asks for that.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import struct
import sys
import sysconfig
import types
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

_POINTER = 8
# NumPy's C API table; positions are part of its binary interface
_NEW_FROM_DESCR, _ARRAY_TYPE, _EQUIVALENT, _SET_HANDLER, _GET_HANDLER = 94, 2, 182, 304, 305
CONTIGUOUS_ALIGNED = 0x0001 | 0x0100  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
WRITEABLE = 0x0400  # NPY_ARRAY_WRITEABLE
OWNED_WRITEABLE = 0x0004 | WRITEABLE  # with NPY_ARRAY_OWNDATA

_FUNCTIONS = (
    "PyObject_Vectorcall", "PyObject_CallOneArg", "PyType_GenericAlloc", "Py_IncRef", "Py_DecRef",
    "PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_SetString", "PyErr_NoMemory", "PyLong_FromLong",
    "PyTuple_New", "PyList_New", "PyDict_Copy", "PyDict_Size", "PyDict_Next", "PyDict_SetItem",
    "PyLong_AsLongLongAndOverflow", "PyMem_RawMalloc", "PyMem_RawFree",
    "PyCMethod_New", "PyObject_RichCompareBool",
)
_METH_O = 0x8
SCALARS = "?bhilqBHILQefdFD"  # dtypes of NumPy's scalars whose value lies behind the object's header
_OBJECTS = ("PyExc_SystemError", "PyCFunction_Type", "PyFloat_Type", "PyLong_Type", "PyUnicode_Type",
            "PyBytes_Type")


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte offsets into objects (header size; fields of tuple, list, built-in function and ndarray) and C addresses.

    The number of items lies right before `tuple_items`, in a list as in a tuple.
    """

    header: int
    type: int
    refcount: int
    tuple_items: int
    list_items: int
    method_def: int
    method_self: int
    array_data: int
    array_ndim: int
    array_dims: int
    array_strides: int
    array_descr: int
    array_flags: int
    array_handler: int
    functions: tuple[tuple[str, int], ...]

    def symbols(self) -> dict[str, int]:
        """The C functions and objects that entries refer to, for `compile_module`."""
        return dict(self.functions)


class MethodDef(ctypes.Structure):
    """CPython's PyMethodDef. It must live as long as the functions made of it."""

    _fields_ = (("name", ctypes.c_char_p), ("code", ctypes.c_void_p), ("flags", ctypes.c_int),
                ("doc", ctypes.c_char_p))


def new_builtin(definition: MethodDef, owner: object) -> Any:
    """A built-in function whose C `self` is `owner`."""
    make = ctypes.pythonapi.PyCMethod_New
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p]
    return make(ctypes.addressof(definition), owner, None, None)


class _Mismatch(Exception):
    """A check failed; the message says which."""


def layout() -> Layout | None:
    """The checked layout, or None where native entries are unavailable (see `why_not`)."""
    found = _discover()
    return found if isinstance(found, Layout) else None


def why_not() -> str:
    """Why `layout()` is None; empty when it is not."""
    found = _discover()
    return found if isinstance(found, str) else ""


@lru_cache(maxsize=1)
def _discover() -> Layout | str:
    try:
        _check_platform()
        found = _measure()
        _check_objects(found)
        _check_arrays(found)
        _check_dtypes(found)
        _check_allocation(found)
    except _Mismatch as reason:
        return str(reason)
    return found


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise _Mismatch(reason)


def _check_platform() -> None:
    switch = os.environ.get("PULLBACK_NATIVE_ENTRY", "1")
    _require(switch in ("0", "1"), f"PULLBACK_NATIVE_ENTRY is {switch!r}; write 0 or 1")
    _require(switch == "1", "switched off by PULLBACK_NATIVE_ENTRY=0")
    _require(sys.implementation.name == "cpython", f"the interpreter is {sys.implementation.name}, not CPython")
    _require(not sysconfig.get_config_var("Py_GIL_DISABLED"), "a free-threaded build of CPython")
    _require(struct.calcsize("P") == _POINTER and sys.byteorder == "little", "not a 64-bit little-endian machine")


def _measure() -> Layout:
    """Candidate offsets: what has a name is asked for, the rest is CPython's and NumPy's declared field order."""
    header = object.__basicsize__
    missing = [name for name in (*_FUNCTIONS, *_OBJECTS) if not hasattr(ctypes.pythonapi, name)]
    _require(not missing, f"CPython does not export {', '.join(missing)}")
    functions = [(name, _address(name)) for name in (*_FUNCTIONS, *_OBJECTS)]
    table = _numpy_table()
    functions.append(("np_NewFromDescr", table[_NEW_FROM_DESCR] or 0))
    functions.append(("np_ArrayType", table[_ARRAY_TYPE] or 0))
    functions.append(("np_EquivTypes", table[_EQUIVALENT] or 0))
    functions.append(("np_SetHandler", table[_SET_HANDLER] or 0))  # these two `pool` checks before it uses them
    functions.append(("np_GetHandler", table[_GET_HANDLER] or 0))
    words = [header + _POINTER * i for i in range(10)]
    return Layout(header, header - _POINTER, 0, tuple.__basicsize__, words[1], words[0], words[1], words[0], words[1],
                  words[2], words[3], words[5], words[6], words[9], tuple(functions))


def _address(name: str) -> int:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def _numpy_table() -> Any:
    """NumPy's C API: an array of pointers inside a capsule."""
    module = sys.modules.get("numpy._core._multiarray_umath")
    capsule = getattr(module, "_ARRAY_API", None)
    _require(capsule is not None, "NumPy's C interface was not found")
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.cast(pointer_of(capsule, None), ctypes.POINTER(ctypes.c_void_p))


def _read(thing: object, offset: int, kind: Any = ctypes.c_void_p) -> Any:
    return kind.from_address(id(thing) + offset).value


def _check_objects(at: Layout) -> None:
    class Probe:
        __slots__ = ("first", "second")

    probe = Probe()
    _require(_read(probe, at.type) == id(Probe), "the type of an object is not where it was expected")
    before = _read(probe, at.refcount, ctypes.c_int32)
    held = [probe] * 5
    _require(_read(probe, at.refcount, ctypes.c_int32) == before + len(held), "the reference count is elsewhere")
    pair = (probe, held)
    items = [_read(pair, at.tuple_items + _POINTER * i) for i in range(2)]
    _require(items == [id(probe), id(held)], "the items of a tuple are elsewhere")
    for box in (pair, held, [], ()):
        _require(_read(box, at.tuple_items - 8, ctypes.c_int64) == len(box), "the length of a sequence is elsewhere")
    place = _read(held, at.list_items)
    found = [ctypes.c_void_p.from_address(place + _POINTER * i).value for i in range(len(held))]
    _require(found == [id(probe)] * len(held), "the items of a list are elsewhere")
    offsets = [slot_offset(Probe, name) for name in ("first", "second")]
    _require(min(offsets) >= at.header and len(set(offsets)) == 2, "slots are elsewhere")
    definition = MethodDef(b"repr", _address("PyObject_Repr"), _METH_O, None)
    method = new_builtin(definition, held)
    _require(_read(method, at.method_self) == id(held), "the self of a built-in function is elsewhere")
    _require(_read(method, at.method_def) == ctypes.addressof(definition), "a built-in's definition is elsewhere")


def _check_arrays(at: Layout) -> None:
    _require(dict(at.functions)["np_ArrayType"] == id(np.ndarray), "NumPy's C interface has another order")
    owner = np.zeros((3, 5, 7), np.float32)
    for array in (owner, owner[1:, ::2], np.asfortranarray(owner), np.array(1.5), np.zeros((0, 2), np.int64)):
        ndim = array.ndim
        _require(_read(array, at.array_data) == array.__array_interface__["data"][0], "an array's data is elsewhere")
        _require(_read(array, at.array_ndim, ctypes.c_int32) == ndim, "an array's rank is elsewhere")
        if ndim:
            dims, strides = _read(array, at.array_dims), _read(array, at.array_strides)
            # both lie in one block: only when that holds are they followed, as a wrong pointer would crash
            _require(bool(dims and strides and strides - dims == 8 * ndim), "an array's sizes are elsewhere")
            found = tuple((ctypes.c_int64 * (2 * ndim)).from_address(dims))
            _require(found == array.shape + array.strides, "an array's sizes are elsewhere")
        _require(_read(array, at.array_descr) == id(array.dtype), "an array's dtype is elsewhere")
        flags = _read(array, at.array_flags, ctypes.c_int32)
        _require(flags & 0x0501 == _flags(array), "an array's flags are elsewhere")


def _check_dtypes(at: Layout) -> None:
    """Compare dtypes as the entry does, through the C function, and read NumPy's scalars."""
    equal = ctypes.PYFUNCTYPE(ctypes.c_ubyte, ctypes.py_object, ctypes.py_object)(dict(at.functions)["np_EquivTypes"])
    f8 = np.dtype("float64")
    for other, same in ((np.dtype("f8", metadata={"unit": "m"}), 1), (np.dtype(">f8"), 0), (np.dtype("i8"), 0)):
        _require(equal(other, f8) == same, "NumPy's comparison of dtypes does not behave as expected")
    for char in SCALARS:
        value = np.array([5], char).view(np.uint8)
        raw = ctypes.string_at(id(scalar := np.dtype(char).type(5)) + at.header, scalar.itemsize)
        _require(raw == value.tobytes() if char != "?" else raw == b"\1", f"the value of a {char!r} is elsewhere")


def _flags(array: np.ndarray[Any, Any]) -> int:
    of = array.flags
    return of.c_contiguous * 0x0001 | of.aligned * 0x0100 | of.writeable * 0x0400


def _check_allocation(at: Layout) -> None:
    """Make an array as the entry does, through the C function."""
    dtype = np.dtype("float32")
    dims = (ctypes.c_int64 * 2)(3, 5)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p,
                             ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(dtype))  # the call takes a reference
    array = make(dict(at.functions)["np_NewFromDescr"])(np.ndarray, dtype, 2, ctypes.addressof(dims), None, None, 0,
                                                        None)
    good = type(array) is np.ndarray and array.shape == (3, 5) and array.dtype is dtype and array.flags.owndata
    _require(good and sys.getrefcount(array) <= 2, "NumPy's array constructor does not behave as expected")


def slot_offset(cls: type, name: str) -> int:
    """Byte offset of the `__slots__` entry `name` in instances of `cls`.

    TypeError if `cls` has no such slot; CPython only.
    """
    return _slot_offset(cls, name)


@lru_cache(maxsize=256)
def _slot_offset(cls: type, name: str) -> int:
    slot = inspect.getattr_static(cls, name, None)
    if not isinstance(slot, types.MemberDescriptorType):
        raise TypeError(f"{cls.__name__}.{name} is no entry of __slots__")
    instance: Any = object.__new__(cls)
    mark = object()
    slot.__set__(instance, mark)
    raw = ctypes.string_at(id(instance), cls.__basicsize__)
    found = [i for i in range(0, len(raw) - 7, _POINTER) if int.from_bytes(raw[i:i + 8], sys.byteorder) == id(mark)]
    if len(found) != 1:
        raise TypeError(f"{cls.__name__}.{name} was not found in the object's memory")
    return found[0]
