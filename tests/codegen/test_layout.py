"""The layout that was found, against what Python and NumPy say; and the reasons for not having one."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from pullback.codegen import layout as module
from pullback.codegen.layout import layout, slot_offset, why_not

needs_layout = pytest.mark.skipif(layout() is None, reason=f"no native entry: {why_not()}")


@needs_layout
def test_fields_of_an_array() -> None:
    at = layout()
    assert at is not None
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)[:, ::2]

    def word(offset: int) -> int:
        return ctypes.c_int64.from_address(id(array) + offset).value

    assert word(at.type) == id(np.ndarray)
    assert word(at.array_data) == array.ctypes.data
    assert ctypes.c_int32.from_address(id(array) + at.array_ndim).value == 3
    assert list((ctypes.c_int64 * 3).from_address(word(at.array_dims))) == [2, 2, 4]
    assert list((ctypes.c_int64 * 3).from_address(word(at.array_strides))) == [48, 32, 4]
    assert word(at.array_descr) == id(np.dtype(np.int32))


@needs_layout
def test_all_symbols_have_an_address() -> None:
    at = layout()
    assert at is not None
    assert all(at.symbols().values())
    assert at.symbols()["np_ArrayType"] == id(np.ndarray)


@needs_layout
def test_slot_offsets_read_back() -> None:
    class Base:
        __slots__ = ("a",)

    class Derived(Base):
        __slots__ = ("__weakref__", "b")

    thing = Derived()
    thing.a, thing.b = object(), object()
    for name in ("a", "b"):
        stored = ctypes.c_int64.from_address(id(thing) + slot_offset(Derived, name)).value
        assert stored == id(getattr(thing, name))


def test_no_slot_is_an_error() -> None:
    class Plain:
        x = 1

    with pytest.raises(TypeError, match=r"Plain\.x is no entry of __slots__"):
        slot_offset(Plain, "x")
    with pytest.raises(TypeError, match="missing"):
        slot_offset(Plain, "missing")


@needs_layout
@pytest.mark.parametrize("field", ["type", "refcount", "tuple_items", "method_def", "method_self", "array_data",
                                   "array_ndim", "array_dims", "array_strides", "array_descr", "array_flags"])
def test_a_wrong_offset_fails_the_check(field: str) -> None:
    """Each offset moved by one word must be noticed (a field next to it never passes for it)."""
    at = layout()
    assert at is not None
    for shift in (8, -8):
        wrong = dataclasses.replace(at, **{field: getattr(at, field) + shift})
        with pytest.raises(module._Mismatch):  # noqa: PT012
            module._check_objects(wrong)
            module._check_arrays(wrong)


def ask(code: str, **environment: str) -> str:
    run = subprocess.run([sys.executable, "-c", f"from pullback.codegen.layout import *\n{code}"], check=True,
                         capture_output=True, text=True,
                         env={**os.environ, "PULLBACK_NATIVE_ENTRY": "1", **environment})
    return run.stdout.strip()


def test_switch() -> None:
    assert ask("print(layout(), why_not())", PULLBACK_NATIVE_ENTRY="0").startswith("None switched off by")
    assert "write 0 or 1" in ask("print(layout(), why_not())", PULLBACK_NATIVE_ENTRY="yes")


@pytest.mark.parametrize(("change", "reason"), [
    ("sys.implementation.name = 'pypy'", "pypy"),
    ("sys.byteorder = 'big'", "little-endian"),
    ("import sysconfig; sysconfig.get_config_var = lambda name: 1", "free-threaded"),
    ("del sys.modules['numpy._core._multiarray_umath']", "NumPy's C interface"),
    ("import pullback.codegen.layout as m; m._FUNCTIONS += ('Py_NoSuch',)", "Py_NoSuch"),
    ("import pullback.codegen.layout as m; m._ARRAY_TYPE = 3", "another order"),
])
def test_unsuitable_platforms_say_why(change: str, reason: str) -> None:
    assert reason in ask(f"import sys\n{change}\nassert layout() is None\nprint(why_not())")
