"""What compiled code asks of Python while it runs: whether Ctrl-C was pressed, and to print or to fail.

Three functions in machine code, made once for the process at the first need. `pb_poll` lets Python run the handlers of
signals, and gives other threads a turn at the GIL where it is held; loops call it now and then (`polls`). `pb_tell`
calls a Python object, a `Teller`, that runs an effect. Both may be called with or without the GIL. When Python raised,
its exception stays set in the thread and they give a nonzero number; compiled code then leaves with the status
`RAISED`, and whoever called it hands the exception on: the native entry does, and `guarded` is for calls by ctypes.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from .interrupt import Uninterrupted
from .jit import Library, compile_module

# Python handles signals in the main thread only, and taking the GIL from another thread may take 5 ms: so Python is
# asked at most this often, whatever loops think of their speed.
_EVERY_NS = 20_000_000

_TEXT = """
@pb_main_thread = external global i64
@pb_polled = internal global i64 0
@pb_polled_elsewhere = internal global i64 0
declare i64 @PyThread_get_thread_ident()
declare i32 @PyGILState_Check()
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare i32 @PyErr_CheckSignals()
declare ptr @PyLong_FromVoidPtr(ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
CLOCK
define i32 @pb_poll() {
  %me = call i64 @PyThread_get_thread_ident()
  %first = load i64, ptr @pb_main_thread
  %main = icmp eq i64 %me, %first
  %held = call i32 @PyGILState_Check()
  %kept = icmp ne i32 %held, 0
  %some = or i1 %main, %kept
  br i1 %some, label %when, label %fine
when:
  %slot = select i1 %main, ptr @pb_polled, ptr @pb_polled_elsewhere
  %last = load i64, ptr %slot
  %now = call i64 @pb_now(i64 %last)
  %since = sub i64 %now, %last
  %soon = icmp ult i64 %since, EVERY
  br i1 %soon, label %fine, label %ask
ask:
  store i64 %now, ptr %slot
  %gil = call i32 @PyGILState_Ensure()
  %r = call i32 @PyErr_CheckSignals()
  %ok = icmp eq i32 %r, 0
  %turn = and i1 %ok, %kept
  br i1 %turn, label %others, label %done
others:
  %thread = call ptr @PyEval_SaveThread()
  call void @PyEval_RestoreThread(ptr %thread)
  br label %done
done:
  call void @PyGILState_Release(i32 %gil)
  ret i32 %r
fine:
  ret i32 0
}

define i32 @pb_tell(ptr %teller, ptr %request) {
  %gil = call i32 @PyGILState_Ensure()
  %number = call ptr @PyLong_FromVoidPtr(ptr %request)
  %made = icmp ne ptr %number, null
  br i1 %made, label %call, label %done
call:
  %r = call ptr @PyObject_CallOneArg(ptr %teller, ptr %number)
  call void @Py_DecRef(ptr %number)
  %ok = icmp ne ptr %r, null
  br i1 %ok, label %drop, label %done
drop:
  call void @Py_DecRef(ptr %r)
  br label %done
done:
  %status = phi i32 [-1, %0], [-1, %call], [0, %drop]
  call void @PyGILState_Release(i32 %gil)
  ret i32 %status
}

define i32 @pb_call(ptr %main, ptr %ins, ptr %outs, ptr %scratch) {
  %thread = call ptr @PyEval_SaveThread()
  %status = call i32 %main(ptr %ins, ptr %outs, ptr %scratch)
  call void @PyEval_RestoreThread(ptr %thread)
  ret i32 %status
}
"""
_CLOCK = """
declare i32 @clock_gettime(i32, ptr)
define internal i64 @pb_now(i64 %last) {
  %time = alloca [2 x i64]
  %r = call i32 @clock_gettime(i32 CLOCK_ID, ptr %time)
  %s = load i64, ptr %time
  %ns.at = getelementptr i64, ptr %time, i64 1
  %ns = load i64, ptr %ns.at
  %s.ns = mul i64 %s, 1000000000
  %now = add i64 %s.ns, %ns
  ret i64 %now
}
"""
# Without that clock every poll counts as a late one.
_NO_CLOCK = f"""
define internal i64 @pb_now(i64 %last) {{
  %now = add i64 %last, {_EVERY_NS}
  ret i64 %now
}}
"""
_API = (
    "PyThread_get_thread_ident", "PyGILState_Check", "PyGILState_Ensure", "PyGILState_Release", "PyErr_CheckSignals",
    "PyLong_FromVoidPtr", "PyObject_CallOneArg", "Py_DecRef", "PyEval_SaveThread", "PyEval_RestoreThread",
)  # fmt: skip

_main_thread = ctypes.c_uint64(0)
_lock = threading.Lock()
_library: Library | None = None


def _note_main_thread() -> None:
    _main_thread.value = threading.main_thread().ident or 0


_note_main_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_main_thread)


def _shared() -> Library:
    """The three functions."""
    global _library
    if _library is None:
        with Uninterrupted(), _lock:
            if _library is None:
                clock = getattr(time, "CLOCK_MONOTONIC", None)
                now = _NO_CLOCK if clock is None else _CLOCK.replace("CLOCK_ID", str(int(clock)))
                text = _TEXT.replace("CLOCK", now).replace("EVERY", str(_EVERY_NS))
                symbols = {name: _address(getattr(ctypes.pythonapi, name)) for name in _API}
                symbols["pb_main_thread"] = ctypes.addressof(_main_thread)
                _library = compile_module(text, symbols, opt=0)
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(_library))  # code may run until the process is gone
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(_main_thread))
    return _library


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def symbol(name: str) -> int:
    """The address of `pb_poll` or `pb_tell`."""
    return _shared().address(name)


def guarded(library: Library, name: str) -> Callable[[Any, Any, Any], int]:
    """The compiled function `name(ins, outs, scratch) -> status` for Python, without the GIL while it runs.

    What Python raised inside is raised. Code that calls nothing of Python's needs none of this: then it is called
    directly.
    """
    if not library.asks_python:
        direct: Callable[[Any, Any, Any], int] = library.function(name, ctypes.c_int32, *[ctypes.c_void_p] * 3)
        return direct
    # PYFUNCTYPE looks whether an exception is set afterwards; it holds the GIL, so `pb_call` lets it go.
    call = ctypes.PYFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)(_shared().address("pb_call"))
    main = library.address(name)

    def run(ins: Any, outs: Any, scratch: Any) -> int:
        status: int = call(main, ins, outs, scratch)
        return status

    run.library = library  # type: ignore[attr-defined]  # keeps the code alive
    return run
