"""Python numbers and arrays that are converted, on the native entry's way in, as LLVM text."""

from __future__ import annotations

from .entry_text import element, load
from .layout import CONTIGUOUS_ALIGNED, Layout


def numbers_text(at: Layout) -> str:
    """`@pb_float`, `@pb_number` and `@pb_cast`."""
    return _float(at) + _number(at) + _cast(at)


def _float(at: Layout) -> str:
    """Unbox a Python float into %cell as a double or (itemsize 4) a float; false for anything else."""
    return f"""
define internal i1 @pb_float(ptr %number, ptr %cell, i64 %itemsize) {{
{load("type", "number", at.type)}
  %is.float = icmp eq ptr %type, @PyFloat_Type
  br i1 %is.float, label %unbox, label %miss
unbox:
{load("value", "number", at.header, "double")}
  %wide = icmp eq i64 %itemsize, 8
  br i1 %wide, label %f64, label %f32
f64:
  store double %value, ptr %cell
  ret i1 true
f32:
  %narrow = fptrunc double %value to float
  store float %narrow, ptr %cell
  ret i1 true
miss:
  ret i1 false
}}
"""


def _number(at: Layout) -> str:
    """Convert a number as `runtime.arrays` does: what it is (`entry_spec.ParamSpec`) into %cell; false for anything
    else, an int that does not fit included. An int becomes a float with one rounding."""
    return f"""
define internal i1 @pb_number(ptr %self, ptr %args, ptr %rec, ptr %cell) {{
  %over = alloca i32
{load("index", "rec", 8, "i64")}{load("wide.type", "rec", 16, "i64")}{load("to", "rec", 24, "i64")}
{load("wide", "rec", 40, "i64")}
{load("x", "args", "%index")}{load("type", "x", at.type)}{load("double", "self", "%wide.type")}
  %is.int = icmp eq ptr %type, @PyLong_Type
  br i1 %is.int, label %int, label %other
int:
  %n = call i64 @PyLong_AsLongLongAndOverflow(ptr %x, ptr %over)
  %over.now = load i32, ptr %over
  %in.range = icmp eq i32 %over.now, 0
  br i1 %in.range, label %whole, label %miss
whole:
  switch i64 %to, label %i64 [ i64 0, label %int.f32  i64 1, label %int.f64  i64 2, label %i32 ]
int.f32:
  %n.f32 = sitofp i64 %n to float
  store float %n.f32, ptr %cell
  ret i1 true
int.f64:
  %n.f64 = sitofp i64 %n to double
  store double %n.f64, ptr %cell
  ret i1 true
i32:
  %low = trunc i64 %n to i32
  %back = sext i32 %low to i64
  store i32 %low, ptr %cell
  %small = icmp eq i64 %back, %n
  ret i1 %small
i64:
  store i64 %n, ptr %cell
  ret i1 true
other:
  %inexact = icmp ult i64 %to, 2
  br i1 %inexact, label %real, label %miss
real:
  %is.float = icmp eq ptr %type, @PyFloat_Type
  %is.double = icmp eq ptr %type, %double
  %boxed = or i1 %is.float, %is.double
  br i1 %boxed, label %unbox, label %array
unbox:
  %inside = getelementptr i8, ptr %x, i64 {at.header}
  br label %read
array:
  %is.array = icmp eq ptr %type, @np_ArrayType
  br i1 %is.array, label %described, label %miss
described:
{load("found", "x", at.array_descr)}{load("wanted", "self", "%wide")}{load("data", "x", at.array_data)}
{load("rank", "x", at.array_ndim, "i32")}{load("flags", "x", at.array_flags, "i32")}
  %is.wide = icmp eq ptr %found, %wanted
  %aligned = and i32 %flags, {CONTIGUOUS_ALIGNED}
  %plain = icmp eq i32 %aligned, {CONTIGUOUS_ALIGNED}
  %scalar = icmp eq i32 %rank, 0
  %b1 = and i1 %is.wide, %plain
  %b2 = and i1 %b1, %scalar
  br i1 %b2, label %read, label %miss
read:
  %from = phi ptr [%inside, %unbox], [%data, %described]
  %value = load double, ptr %from
  %stays = icmp eq i64 %to, 1
  br i1 %stays, label %f64, label %f32
f64:
  store double %value, ptr %cell
  ret i1 true
f32:
  %narrow = fptrunc double %value to float
  store float %narrow, ptr %cell
  ret i1 true
miss:
  ret i1 false
}}
"""


def _cast(at: Layout) -> str:
    """Convert the doubles of an ndarray that is as the record %rec says to the floats %to; false for anything else."""
    return f"""
define internal i1 @pb_cast(ptr %self, ptr %t, ptr %array, ptr %rec, ptr %to) {{
  %fits = call i1 @pb_fits(ptr %self, ptr %t, ptr %array, ptr %rec)
  br i1 %fits, label %start, label %miss
start:
{load("data", "array", at.array_data)}{load("nbytes", "rec", 56, "i64")}
  %n = lshr i64 %nbytes, 2
  br label %test
test:
  %i = phi i64 [0, %start], [%i1, %each]
  %end = icmp eq i64 %i, %n
  br i1 %end, label %done, label %each
each:
{element("wide", "data")}
  %wide = load double, ptr %wide.at
  %narrow = fptrunc double %wide to float
  %narrow.at = getelementptr float, ptr %to, i64 %i
  store float %narrow, ptr %narrow.at
  %i1 = add i64 %i, 1
  br label %test
done:
  ret i1 true
miss:
  ret i1 false
}}
"""
