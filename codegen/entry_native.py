"""The native call entry as LLVM text: one piece of machine code that serves every compiled function.

`@pb_entry` has CPython's METH_FASTCALL|METH_KEYWORDS signature. Its `self` is the context tuple that `entry` builds:
item 0 is the table of `entry_spec.encode` (a bytes object), item 1 the fallback, then Tensor type, error handler,
packer and array type, then whatever the table refers to. A call checks every argument against the table, collects data
pointers, makes the output arrays, runs the kernel, stores new values of Variables and arguments, and boxes the results.
Any surprise before the kernel runs gives the call, unchanged, to the fallback. `@pb_thunk` is the vectorcall function
of `NativeCallable`.

The pieces are small functions that LLVM inlines (`PASSES`); otherwise the text is written as it shall execute, and
goes through no optimiser: that would take 30 ms, once in each process, to save 5 of 100 ns in a call.
"""

from __future__ import annotations

from .entry_arguments import arguments_text
from .entry_nested import nested_text
from .entry_results import results_text
from .entry_text import (
    BYTES_DATA,
    FALLBACK,
    METH_FASTCALL_KEYWORDS,
    MISS,
    ON_ERROR,
    STACK_BYTES,
    element,
    head,
    item_of,
    load,
)
from .errors import RAISED
from .layout import Layout
from .pool_native import pool_text
from .scratch_native import SCRATCH_TEXT

_DECLARATIONS = """
@pb_slow_mode = external global i64
@pb_arena = external global [4 x i64]
@pb_None = external global i8
@np_ArrayType = external global i8
@PyCFunction_Type = external global i8
@PyFloat_Type = external global i8
@PyLong_Type = external global i8
@PyUnicode_Type = external global i8
@PyBytes_Type = external global i8
@PyExc_SystemError = external global ptr
@pb_no_raise = private constant [57 x i8] c"the error handler of a compiled function raised no error\\00"
@pb_no_entry = private constant [42 x i8] c"the compiled entry of a function was lost\\00"
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare i32 @PyObject_RichCompareBool(ptr, ptr, i32)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @PyErr_SetString(ptr, ptr)
declare ptr @PyErr_NoMemory()
declare ptr @PyLong_FromLong(i64)
declare ptr @PyTuple_New(i64)
declare ptr @PyList_New(i64)
declare ptr @PyDict_Copy(ptr)
declare i64 @PyDict_Size(ptr)
declare i32 @PyDict_Next(ptr, ptr, ptr, ptr)
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare ptr @PyMem_RawMalloc(i64)
declare void @PyMem_RawFree(ptr)
declare i8 @np_EquivTypes(ptr, ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare ptr @np_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
"""


PASSES = ("always_inliner", "simplify_cfg")


def native_text(at: Layout, entry_slot: int) -> str:
    """The whole module. `entry_slot` is the offset of a NativeCallable's entry, which `@pb_thunk` calls."""
    return "\n".join((_DECLARATIONS, _entry(at), _on_stack(), _run(), _kernel(), arguments_text(at), nested_text(at),
                      results_text(at), _drop(), _raise(at), SCRATCH_TEXT, pool_text(at.array_flags, at.array_handler),
                      _thunk(at, entry_slot)))


def _entry(at: Layout) -> str:
    return f"""
define ptr @pb_entry(ptr %self, ptr %args, i64 %n, ptr %kw) {{
{item_of("self", "table", at, 0)}
  %t = getelementptr i8, ptr %table, i64 {BYTES_DATA}
{head("nargs")}{head("total")}
  %slow = load i64, ptr @pb_slow_mode
  %n.x = xor i64 %n, %nargs
  %o = or i64 %slow, %n.x
  %plain = icmp eq i64 %o, 0
  br i1 %plain, label %counted, label %miss
counted:
  %named = call i1 @pb_names(ptr %self, ptr %t, ptr %kw)
  br i1 %named, label %go, label %miss
go:
  %small = icmp ule i64 %total, {STACK_BYTES}
  br i1 %small, label %stack, label %arena
stack:
  %r1 = call ptr @pb_run_on_stack(ptr %self, ptr %args, ptr %t)
  br label %done
arena:
  %mem = call ptr @pb_scratch_get(i64 %total)
  %got = icmp ne ptr %mem, null
  br i1 %got, label %large, label %done
large:
  %r2 = call ptr @pb_run(ptr %self, ptr %args, ptr %t, ptr %mem)
  call void @pb_scratch_put(ptr %mem)
  br label %done
done:
  %r = phi ptr [%r1, %stack], [%r2, %large], [null, %arena]
  %missed = icmp eq ptr %r, {MISS}
  br i1 %missed, label %miss, label %out
out:
  ret ptr %r
miss:
{item_of("self", "fallback", at, FALLBACK)}
  %f = tail call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %n, ptr %kw)
  ret ptr %f
}}
"""


def _on_stack() -> str:
    """A call whose frame is small; a function of its own, so that others do not pay for the stack it takes."""
    return f"""
define internal ptr @pb_run_on_stack(ptr %self, ptr %args, ptr %t) {{
  %mem = alloca [{STACK_BYTES} x i8], align 64
  %r = call ptr @pb_run(ptr %self, ptr %args, ptr %t, ptr %mem)
  ret ptr %r
}}
"""


def _run() -> str:
    """One call in the memory %mem: arrays, data and cells of params; data, objects and boxes of results; the values,
    where containers are opened; scratch."""
    return f"""
define internal ptr @pb_run(ptr %self, ptr %args, ptr %t, ptr %mem) {{
{head("params")}{head("results")}{head("frame")}{head("opened")}
  %ins = getelementptr ptr, ptr %mem, i64 %params
  %cells = getelementptr ptr, ptr %ins, i64 %params
  %outs = getelementptr ptr, ptr %cells, i64 %params
  %objs = getelementptr ptr, ptr %outs, i64 %results
  %boxes = getelementptr ptr, ptr %objs, i64 %results
  %scratch = getelementptr i8, ptr %mem, i64 %frame
  %flat = getelementptr ptr, ptr %boxes, i64 %results
  %closed = icmp eq i64 %opened, 0
  br i1 %closed, label %unpack, label %open
open:
  %open.ok = call i1 @pb_open(ptr %self, ptr %args, ptr %t, ptr %flat)
  br i1 %open.ok, label %unpack, label %miss
unpack:
  %values = phi ptr [%args, %0], [%flat, %open]
  %fits = call i1 @pb_unpack(ptr %self, ptr %values, ptr %t, ptr %mem, ptr %ins, ptr %cells)
  br i1 %fits, label %allocate, label %miss
allocate:
  store ptr %ins, ptr @pb_hint
  store i64 %params, ptr getelementptr (i64, ptr @pb_hint, i64 1)
  %ready = call i1 @pb_prepare(ptr %self, ptr %t, ptr %mem, ptr %ins, ptr %outs, ptr %objs, ptr %boxes)
  br i1 %ready, label %call, label %error
call:
  %status = call i32 @pb_kernel(ptr %t, ptr %mem, ptr %ins, ptr %outs, ptr %scratch)
  %good = icmp eq i32 %status, 0
  br i1 %good, label %finish, label %failed
finish:
  call void @pb_commit(ptr %self, ptr %t, ptr %ins, ptr %objs)
  %r = call ptr @pb_build(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes)
  call void @pb_drop(ptr %objs, i64 %results)
  ret ptr %r
failed:
  call void @pb_drop(ptr %objs, i64 %results)
  %f = call ptr @pb_raise(ptr %self, i32 %status)
  ret ptr %f
error:
  ret ptr null
miss:
  ret ptr {MISS}
}}
"""


def _kernel() -> str:
    """Run the kernel. Without the GIL, and where the kernel lets Python run, others may replace a Variable's array, so
    the arrays are held meanwhile."""
    return f"""
define internal i32 @pb_kernel(ptr %t, ptr %arrays, ptr %ins, ptr %outs, ptr %scratch) alwaysinline {{
{head("params")}{head("main")}{head("drop_gil")}
  %main.p = inttoptr i64 %main to ptr
  %gil = icmp eq i64 %drop_gil, 0
  br i1 %gil, label %with, label %shared
with:
  %s1 = call i32 %main.p(ptr %ins, ptr %outs, ptr %scratch)
  ret i32 %s1
shared:
  call void @pb_hold(ptr %arrays, i64 %params)
  %keep = icmp eq i64 %drop_gil, 2
  br i1 %keep, label %kept, label %without
kept:
  %s2 = call i32 %main.p(ptr %ins, ptr %outs, ptr %scratch)
  br label %release
without:
  %thread = call ptr @PyEval_SaveThread()
  %s3 = call i32 %main.p(ptr %ins, ptr %outs, ptr %scratch)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %release
release:
  %s = phi i32 [%s2, %kept], [%s3, %without]
  call void @pb_drop(ptr %arrays, i64 %params)
  ret i32 %s
}}
"""


def _drop() -> str:
    """Take or release a reference to each non-null pointer of an array."""
    return "".join(f"""
define internal void @pb_{name}(ptr %objects, i64 %n) {{
  %none = icmp eq i64 %n, 0
  br i1 %none, label %done, label %each
each:
  %i = phi i64 [0, %0], [%i1, %next]
{element("object", "objects")}
  %object = load ptr, ptr %object.at
  %null = icmp eq ptr %object, null
  br i1 %null, label %next, label %one
one:
  call void @{function}(ptr %object)
  br label %next
next:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %n
  br i1 %end, label %done, label %each
done:
  ret void
}}
""" for name, function in (("hold", "Py_IncRef"), ("drop", "Py_DecRef")))


def _raise(at: Layout) -> str:
    """Let the Python handler raise the error for a kernel's status, unless one is set already."""
    return f"""
define internal ptr @pb_raise(ptr %self, i32 %status) cold {{
  %set = icmp eq i32 %status, {RAISED}
  br i1 %set, label %done, label %ask
ask:
{item_of("self", "handler", at, ON_ERROR)}
  %wide = sext i32 %status to i64
  %number = call ptr @PyLong_FromLong(i64 %wide)
  %made = icmp ne ptr %number, null
  br i1 %made, label %call, label %done
call:
  %r = call ptr @PyObject_CallOneArg(ptr %handler, ptr %number)
  call void @Py_DecRef(ptr %number)
  %raised = icmp eq ptr %r, null
  br i1 %raised, label %done, label %silent
silent:
  call void @Py_DecRef(ptr %r)
  %error = load ptr, ptr @PyExc_SystemError
  call void @PyErr_SetString(ptr %error, ptr @pb_no_raise)
  br label %done
done:
  ret ptr null
}}
"""


def _thunk(at: Layout, entry_slot: int) -> str:
    """Vectorcall of a NativeCallable: into the entry it holds. The entry is held too, so that replacing it during
    its own call frees nothing that still runs."""
    return f"""
define ptr @pb_thunk(ptr %callable, ptr %args, i64 %flagged, ptr %kw) {{
{load("entry", "callable", entry_slot)}
  %set = icmp ne ptr %entry, null
  br i1 %set, label %typed, label %lost
typed:
{load("type", "entry", at.type)}
  %builtin = icmp eq ptr %type, @PyCFunction_Type
  br i1 %builtin, label %known, label %lost
known:
{load("def", "entry", at.method_def)}{load("self", "entry", at.method_self)}
{load("code", "def", 8)}{load("flags", "def", 16, "i32")}
  %shaped = icmp eq i32 %flags, {METH_FASTCALL_KEYWORDS}
  br i1 %shaped, label %call, label %lost
call:
  %n = and i64 %flagged, 9223372036854775807
  call void @Py_IncRef(ptr %entry)
  %r = call ptr %code(ptr %self, ptr %args, i64 %n, ptr %kw)
  call void @Py_DecRef(ptr %entry)
  ret ptr %r
lost:
  %error = load ptr, ptr @PyExc_SystemError
  call void @PyErr_SetString(ptr %error, ptr @pb_no_entry)
  ret ptr null
}}
"""
