"""Hand-written kernels with the compiled ABI, and a stand-in Tensor, for the tests of the call paths."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.codegen.entry_spec import EntrySpec, ParamSpec, ResultSpec, ReturnSpec
from pullback.codegen.jit import Library, compile_module

F32, F64, I32, BOOL = (np.dtype(name) for name in ("float32", "float64", "int32", "bool"))
Array = np.ndarray[Any, Any]


class Tensor:
    """What the runtime's Tensor and Variable are to an entry: a slot that holds an ndarray."""

    __slots__ = ("_data",)
    _data: Array

    def __init__(self, data: Any, dtype: Any = F32) -> None:
        self._data = np.array(data, dtype)


class Failure(Exception):
    """Raised by `fail`, the error handler of the tests."""


def fail(status: int) -> None:
    raise Failure(status)


def loop(body: str, size: int, name: str = "main", kind: str = "float") -> str:
    """A kernel that runs `body` for %i in 0..size; %in0.. and %out0.. are the data pointers, up to four of each."""
    pointers = "".join(f"  %in{k}.at = getelementptr ptr, ptr %ins, i64 {k}\n  %in{k} = load ptr, ptr %in{k}.at\n"
                       for k in range(4) if f"%in{k}" in body)
    pointers += "".join(f"  %out{k}.at = getelementptr ptr, ptr %outs, i64 {k}\n"
                        f"  %out{k} = load ptr, ptr %out{k}.at\n" for k in range(4) if f"%out{k}" in body)
    if not size:
        return f"define i32 @{name}(ptr %ins, ptr %outs, ptr %scratch) {{\n  ret i32 0\n}}\n"
    return f"""
define i32 @{name}(ptr %ins, ptr %outs, ptr %scratch) {{
entry:
{pointers}  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{body}
  %next = add i64 %i, 1
  %end = icmp eq i64 %next, {size}
  br i1 %end, label %done, label %loop
done:
  ret i32 0
}}
"""


def read(name: str, pointer: str, kind: str = "float") -> str:
    return f"  %{name}.p = getelementptr {kind}, ptr %{pointer}, i64 %i\n  %{name} = load {kind}, ptr %{name}.p\n"


def write(pointer: str, value: str, kind: str = "float") -> str:
    return (f"  %{pointer}.p = getelementptr {kind}, ptr %{pointer}, i64 %i\n"
            f"  store {kind} {value}, ptr %{pointer}.p\n")


def square(size: int) -> Library:
    """out0 = in0 * in0"""
    return compile_module(loop(read("x", "in0") + "  %y = fmul float %x, %x\n" + write("out0", "%y"), size))


def axpy(size: int) -> Library:
    """out0 = in0 + in1; out1 = in0 * in1 (each element read before it is written: in place is right)"""
    return compile_module(loop(read("x", "in0") + read("y", "in1") + "  %s = fadd float %x, %y\n"
                               "  %p = fmul float %x, %y\n" + write("out0", "%s") + write("out1", "%p"), size))


def size_of(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def square_spec(shape: tuple[int, ...] = (4,), **options: Any) -> EntrySpec:
    return EntrySpec(1, (ParamSpec("arg", 0, F32, shape),), (ResultSpec("out", 0, F32, shape),),
                     (ReturnSpec("out", 0),), **options)


def fallback(*args: Any, **kwargs: Any) -> Any:
    return "fallback", args, kwargs
