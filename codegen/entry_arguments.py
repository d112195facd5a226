"""The native entry's way in, as LLVM text: guards on the arguments, data pointers out of them.

Nothing here has an effect outside the call's own frame, so a surprise at any point can still go to the fallback.
"""

from __future__ import annotations

from .entry_spec import PARAM_WORDS, SAME_WORDS
from .entry_text import TENSOR, element, head, item_of, load, record
from .layout import CONTIGUOUS_ALIGNED, Layout


def arguments_text(at: Layout) -> str:
    """`@pb_unpack` and what it calls."""
    return _unpack(at) + _array(at) + _guards() + _float(at) + _fits(at) + _sized()


def _unpack(at: Layout) -> str:
    """Check all guards and collect the array and data pointer of each param; false on the first surprise."""
    return f"""
define internal i1 @pb_unpack(ptr %self, ptr %args, ptr %t, ptr %arrays, ptr %ins, ptr %cells) alwaysinline {{
{head("params")}
  %guarded = call i1 @pb_guards(ptr %self, ptr %args, ptr %t)
  br i1 %guarded, label %top, label %miss
top:
  %none = icmp eq i64 %params, 0
  br i1 %none, label %fits, label %param
param:
  %i = phi i64 [0, %top], [%i1, %next]
{record("params", PARAM_WORDS, ("kind", "index", "", "descr"))}
{element("array.to", "arrays")}{element("data.to", "ins")}{element("cell", "cells")}
  switch i64 %kind, label %tensor [ i64 3, label %float ]
tensor:
  %array = call ptr @pb_array(ptr %self, ptr %args, ptr %t, ptr %rec)
  %found = icmp ne ptr %array, null
  br i1 %found, label %store, label %miss
store:
{load("data", "array", at.array_data)}
  store ptr %array, ptr %array.to.at
  store ptr %data, ptr %data.to.at
  br label %next
float:
{load("number", "args", "%index")}
  store ptr null, ptr %array.to.at
  store ptr %cell.at, ptr %data.to.at
  %is.float = call i1 @pb_float(ptr %number, ptr %cell.at, i64 %descr)
  br i1 %is.float, label %next, label %miss
next:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %params
  br i1 %end, label %fits, label %param
fits:
  ret i1 true
miss:
  ret i1 false
}}
"""


def _array(at: Layout) -> str:
    """The array of an argument, constant or Variable if it is what the record %rec says, else null."""
    return f"""
define internal ptr @pb_array(ptr %self, ptr %args, ptr %t, ptr %rec) alwaysinline {{
{"".join(load(name, "rec", 8 * k, "i64") for k, name in enumerate(("kind", "index", "slot")))}
  switch i64 %kind, label %variable [ i64 0, label %argument  i64 1, label %constant ]
argument:
{item_of("self", "tensor", at, TENSOR)}
{load("arg", "args", "%index")}{load("arg.type", "arg", at.type)}
  %is.tensor = icmp eq ptr %arg.type, %tensor
  br i1 %is.tensor, label %boxed, label %miss
variable:
{load("var", "self", "%index")}
  br label %boxed
constant:
{load("const", "self", "%index")}
  ret ptr %const
boxed:
  %box = phi ptr [%arg, %argument], [%var, %variable]
{load("array", "box", "%slot")}
  %ok = call i1 @pb_fits(ptr %self, ptr %t, ptr %array, ptr %rec)
  br i1 %ok, label %fits, label %miss
fits:
  ret ptr %array
miss:
  ret ptr null
}}
"""


def _guards() -> str:
    """Whether each argument that must be a certain object is that object."""
    return f"""
define internal i1 @pb_guards(ptr %self, ptr %args, ptr %t) alwaysinline {{
{head("same")}
  %any = icmp ne i64 %same, 0
  br i1 %any, label %guard, label %fits
guard:
  %i = phi i64 [0, %0], [%i1, %next]
{record("same", SAME_WORDS, ("arg", "obj"))}
{load("given", "args", "%arg")}{load("wanted", "self", "%obj")}
  %is = icmp eq ptr %given, %wanted
  br i1 %is, label %next, label %miss
next:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %same
  br i1 %end, label %fits, label %guard
fits:
  ret i1 true
miss:
  ret i1 false
}}
"""


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


def _fits(at: Layout) -> str:
    """Whether %array is an ndarray of the record's dtype and shape, C-contiguous and aligned."""
    return f"""
define internal i1 @pb_fits(ptr %self, ptr %t, ptr %array, ptr %rec) alwaysinline {{
  %set = icmp ne ptr %array, null
  br i1 %set, label %typed, label %miss
typed:
{load("type", "array", at.type)}
  %is.array = icmp eq ptr %type, @np_ArrayType
  br i1 %is.array, label %described, label %miss
described:
{load("descr", "rec", 24, "i64")}{load("ndim", "rec", 32, "i64")}{load("dims", "rec", 40, "i64")}
{load("found", "array", at.array_descr)}{load("wanted", "self", "%descr")}
{load("flags", "array", at.array_flags, "i32")}{load("rank", "array", at.array_ndim, "i32")}
  %same = icmp eq ptr %found, %wanted
  %kept = and i32 %flags, {CONTIGUOUS_ALIGNED}
  %plain = icmp eq i32 %kept, {CONTIGUOUS_ALIGNED}
  %rank.64 = zext i32 %rank to i64
  %ranked = icmp eq i64 %rank.64, %ndim
  %a = and i1 %same, %plain
  %b = and i1 %a, %ranked
  br i1 %b, label %shaped, label %miss
shaped:
{load("shape", "array", at.array_dims)}
  %want = getelementptr i8, ptr %t, i64 %dims
  %sized = call i1 @pb_sized(ptr %shape, ptr %want, i64 %ndim)
  ret i1 %sized
miss:
  ret i1 false
}}
"""


def _sized() -> str:
    """Whether two lists of %n sizes are equal; the lists are not read when %n is 0 (the pointers may be null)."""
    return f"""
define internal i1 @pb_sized(ptr %is, ptr %want, i64 %n) alwaysinline {{
  %scalar = icmp eq i64 %n, 0
  br i1 %scalar, label %fits, label %size
size:
  %i = phi i64 [0, %0], [%i1, %right]
{element("a", "is")}{element("b", "want")}
  %a = load i64, ptr %a.at
  %b = load i64, ptr %b.at
  %equal = icmp eq i64 %a, %b
  br i1 %equal, label %right, label %miss
right:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %n
  br i1 %end, label %fits, label %size
fits:
  ret i1 true
miss:
  ret i1 false
}}
"""
