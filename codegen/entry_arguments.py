"""The native entry's way in, as LLVM text: guards on the arguments, data pointers out of them.

Nothing here has an effect outside the call's own frame, so a surprise at any point can still go to the fallback.
"""

from __future__ import annotations

from .entry_numbers import numbers_text
from .entry_spec import PARAM_WORDS, RESULT_WORDS, SAME_WORDS
from .entry_text import ARRAY, TENSOR, element, head, load, record
from .layout import Layout


def arguments_text(at: Layout) -> str:
    """`@pb_unpack` and what it calls."""
    return (_unpack(at) + _array(at) + _guards() + _equal(at) + numbers_text(at) + _fits(at) + _sized()
            + _apart() + _overlap())


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
  switch i64 %kind, label %tensor [ i64 3, label %float  i64 6, label %scalar  i64 7, label %numeric
                                    i64 8, label %cast ]
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
scalar:
{load("thing", "args", "%index")}{load("thing.type", "thing", at.type)}
{load("slot", "rec", 16, "i64")}{load("wanted", "self", "%slot")}
  %value = getelementptr i8, ptr %thing, i64 {at.header}
  store ptr %thing, ptr %array.to.at
  store ptr %value, ptr %data.to.at
  %is.scalar = icmp eq ptr %thing.type, %wanted
  br i1 %is.scalar, label %next, label %miss
numeric:
  store ptr null, ptr %array.to.at
  store ptr %cell.at, ptr %data.to.at
  %is.number = call i1 @pb_number(ptr %self, ptr %args, ptr %rec, ptr %cell.at)
  br i1 %is.number, label %next, label %miss
cast:
{load("wide", "args", "%index")}{load("offset", "rec", 16, "i64")}
  %copy = getelementptr i8, ptr %arrays, i64 %offset
  store ptr null, ptr %array.to.at
  store ptr %copy, ptr %data.to.at
  %is.wide = call i1 @pb_cast(ptr %self, ptr %t, ptr %wide, ptr %rec, ptr %copy)
  br i1 %is.wide, label %next, label %miss
next:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %params
  br i1 %end, label %last, label %param
last:
{head("writes")}
  %reads = icmp eq i64 %writes, 0
  br i1 %reads, label %fits, label %check
check:
  %apart = call i1 @pb_apart(ptr %t, ptr %ins)
  br i1 %apart, label %fits, label %miss
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
  switch i64 %kind, label %variable [ i64 0, label %argument  i64 1, label %constant  i64 4, label %argument
                                      i64 5, label %ndarray ]
argument:
  %is.array = icmp eq i64 %kind, 4
  %item = select i1 %is.array, i64 {at.tuple_items + 8 * ARRAY}, i64 {at.tuple_items + 8 * TENSOR}
{load("class", "self", "%item")}
{load("arg", "args", "%index")}{load("arg.type", "arg", at.type)}
  %is.class = icmp eq ptr %arg.type, %class
  br i1 %is.class, label %boxed, label %miss
ndarray:
{load("given", "args", "%index")}
  br label %test
variable:
{load("var", "self", "%index")}
  br label %boxed
constant:
{load("const", "self", "%index")}
  ret ptr %const
boxed:
  %box = phi ptr [%arg, %argument], [%var, %variable]
{load("held", "box", "%slot")}
  br label %test
test:
  %array = phi ptr [%held, %boxed], [%given, %ndarray]
  %ok = call i1 @pb_fits(ptr %self, ptr %t, ptr %array, ptr %rec)
  br i1 %ok, label %fits, label %miss
fits:
  ret ptr %array
miss:
  ret ptr null
}}
"""


def _guards() -> str:
    """Whether each argument that must be a certain object is that object, or a number or text like it."""
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
  br i1 %is, label %next, label %compare
compare:
  %like = call i1 @pb_equal(ptr %given, ptr %wanted)
  br i1 %like, label %next, label %miss
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


def _equal(at: Layout) -> str:
    """Whether two objects are exactly of the same type, which is int, str or bytes, and equal, or floats of the same
    bits (0.0 and -0.0 differ)."""
    return f"""
define internal i1 @pb_equal(ptr %a, ptr %b) {{
{load("a.type", "a", at.type)}{load("b.type", "b", at.type)}
  %same = icmp eq ptr %a.type, %b.type
  br i1 %same, label %kinds, label %no
kinds:
  %is.float = icmp eq ptr %a.type, @PyFloat_Type
  br i1 %is.float, label %bits, label %others
bits:
{load("x", "a", at.header, "i64")}{load("y", "b", at.header, "i64")}
  %bitwise = icmp eq i64 %x, %y
  ret i1 %bitwise
others:
  %is.int = icmp eq ptr %a.type, @PyLong_Type
  %is.str = icmp eq ptr %a.type, @PyUnicode_Type
  %is.bytes = icmp eq ptr %a.type, @PyBytes_Type
  %is.text = or i1 %is.str, %is.bytes
  %known = or i1 %is.int, %is.text
  br i1 %known, label %compare, label %no
compare:
  %found = call i32 @PyObject_RichCompareBool(ptr %a, ptr %b, i32 2)
  %equal = icmp eq i32 %found, 1
  ret i1 %equal
no:
  ret i1 false
}}
"""


def _fits(at: Layout) -> str:
    """Whether %array is an ndarray of the record's dtype, shape and flags: C-contiguous, aligned, perhaps writeable.

    NumPy compares dtypes that are not the same object: those of unpickled arrays are not the usual ones."""
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
{load("needed.64", "rec", 48, "i64")}
  %needed = trunc i64 %needed.64 to i32
  %kept = and i32 %flags, %needed
  %plain = icmp eq i32 %kept, %needed
  %rank.64 = zext i32 %rank to i64
  %ranked = icmp eq i64 %rank.64, %ndim
  %b = and i1 %plain, %ranked
  br i1 %b, label %flagged, label %miss
flagged:
  %same = icmp eq ptr %found, %wanted
  br i1 %same, label %shaped, label %compare
compare:
  %equal = call i8 @np_EquivTypes(ptr %found, ptr %wanted)
  %different = icmp eq i8 %equal, 0
  br i1 %different, label %miss, label %shaped
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


def _apart() -> str:
    """Whether no param shares memory with one that is written to: the kernel takes each for a value of its own."""
    return f"""
define internal i1 @pb_apart(ptr %t, ptr %ins) {{
{head("results")}
  br label %test
test:
  %i = phi i64 [0, %0], [%i1, %next]
  %end = icmp eq i64 %i, %results
  br i1 %end, label %fits, label %each
each:
{record("results", RESULT_WORDS, ("kind", "param", "", "", "", "", "", "nbytes"))}
  %written = icmp eq i64 %kind, 2
  br i1 %written, label %look, label %next
look:
  %meets = call i1 @pb_overlap(ptr %t, ptr %ins, i64 %param, i64 %nbytes)
  br i1 %meets, label %miss, label %next
next:
  %i1 = add i64 %i, 1
  br label %test
fits:
  ret i1 true
miss:
  ret i1 false
}}
"""


def _overlap() -> str:
    """Whether %nbytes bytes from the data of param %one meet those of another param."""
    return f"""
define internal i1 @pb_overlap(ptr %t, ptr %ins, i64 %one, i64 %nbytes) {{
{head("params")}
{element("low", "ins", "%one")}
  %low = load i64, ptr %low.at
  %high = add i64 %low, %nbytes
  br label %each
each:
  %i = phi i64 [0, %0], [%i1, %next]
{record("params", PARAM_WORDS, ("", "", "", "", "", "", "", "size"))}
{element("data", "ins")}
  %data = load i64, ptr %data.at
  %stop = add i64 %data, %size
  %other = icmp ne i64 %i, %one
  %before = icmp ult i64 %data, %high
  %behind = icmp ult i64 %low, %stop
  %both = and i1 %before, %behind
  %meets = and i1 %both, %other
  br i1 %meets, label %yes, label %next
next:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %params
  br i1 %end, label %no, label %each
yes:
  ret i1 true
no:
  ret i1 false
}}
"""
