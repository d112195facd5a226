"""The native entry's way out, as LLVM text: memory for results, new values of Variables, boxing.

`%objs` holds, for each result, the array that the call owns: a new one at first, the replaced one after a Variable took
the new; null when a donor's memory is used or a Tensor has taken it. Whatever is left there is dropped at the end.
"""

from __future__ import annotations

from .entry_spec import RESULT_WORDS, RETURN_WORDS
from .entry_text import ARRAY, PACK, TENSOR, element, head, item_of, load, record
from .layout import OWNED_WRITEABLE, Layout


def results_text(at: Layout) -> str:
    """`@pb_prepare`, `@pb_commit`, `@pb_build` and what they call."""
    return _prepare() + _new(at) + _commit(at) + _build(at) + _tuple(at) + _item(at) + _box()


def _prepare() -> str:
    """Give each result memory: that of the argument it is written to, the donor's array if nobody else holds it, else
    a new array (noted in %objs)."""
    return f"""
define internal i1 @pb_prepare(ptr %self, ptr %t, ptr %arrays, ptr %ins, ptr %outs, ptr %objs,
                             ptr %boxes) alwaysinline {{
{head("results")}
  %none = icmp eq i64 %results, 0
  br i1 %none, label %ready, label %result
result:
  %i = phi i64 [0, %0], [%i1, %next]
{record("results", RESULT_WORDS, ("kind", "", "", "", "", "", "", "", "donor", "kept"))}
{element("obj", "objs")}{element("box", "boxes")}{element("out", "outs")}
  store ptr null, ptr %obj.at
  store ptr null, ptr %box.at
  %alone = icmp slt i64 %donor, 0
  br i1 %alone, label %fresh, label %given
given:
  %argument = icmp eq i64 %kind, 2
  br i1 %argument, label %reuse, label %variable
variable:
{element("old", "arrays", "%donor")}
  %old = load ptr, ptr %old.at
  %take = call i1 @pb_sole(ptr %old)
  br i1 %take, label %reuse, label %fresh
reuse:
{element("data", "ins", "%donor")}
  %data = load ptr, ptr %data.at
  store ptr %data, ptr %out.at
  br label %next
fresh:
  %made = call i1 @pb_new(ptr %self, ptr %t, ptr %rec, ptr %obj.at, ptr %out.at, i64 %kept)
  br i1 %made, label %next, label %failed
next:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %results
  br i1 %end, label %ready, label %result
ready:
  ret i1 true
failed:
  call void @pb_drop(ptr %objs, i64 %i)
  ret i1 false
}}
"""


def _new(at: Layout) -> str:
    """Whether an array is held by nobody but its Variable (or the entry), owns its memory and may be written; and an
    array for the result %rec, noted in %obj, its data in %out: the one that the entry keeps at %kept if the caller let
    go of it, else a new one, to be kept in its place."""
    return f"""
define internal i1 @pb_sole(ptr %array) alwaysinline {{
{load("refs", "array", at.refcount, "i32")}{load("flags", "array", at.array_flags, "i32")}
  %one = icmp eq i32 %refs, 1
  %kept = and i32 %flags, {OWNED_WRITEABLE}
  %own = icmp eq i32 %kept, {OWNED_WRITEABLE}
  %sole = and i1 %one, %own
  ret i1 %sole
}}

define internal i1 @pb_new(ptr %self, ptr %t, ptr %rec, ptr %obj, ptr %out, i64 %kept) alwaysinline {{
  %keeps = icmp ne i64 %kept, 0
  br i1 %keeps, label %look, label %make
look:
{load("old", "self", "%kept")}
  %free = call i1 @pb_sole(ptr %old)
  br i1 %free, label %check, label %make
check:
  %fits = call i1 @pb_fits(ptr %self, ptr %t, ptr %old, ptr %rec)
  br i1 %fits, label %again, label %make
again:
  call void @Py_IncRef(ptr %old)
{load("old.memory", "old", at.array_data)}
  store ptr %old, ptr %obj
  store ptr %old.memory, ptr %out
  ret i1 true
make:
{load("descr", "rec", 24, "i64")}{load("ndim", "rec", 32, "i64")}{load("dims", "rec", 40, "i64")}
{load("nbytes", "rec", 56, "i64")}
{load("dtype", "self", "%descr")}
  %shape = getelementptr i8, ptr %t, i64 %dims
  %rank = trunc i64 %ndim to i32
  call void @Py_IncRef(ptr %dtype)
  %new = call ptr @pb_result_array(ptr %dtype, i32 %rank, ptr %shape, i64 %nbytes)
  %made = icmp ne ptr %new, null
  br i1 %made, label %note, label %failed
note:
{load("memory", "new", at.array_data)}
  store ptr %new, ptr %obj
  store ptr %memory, ptr %out
  br i1 %keeps, label %keep, label %made.new
keep:
{load("replaced", "self", "%kept")}
  call void @Py_IncRef(ptr %new)
  store ptr %new, ptr %replaced.at
  call void @Py_DecRef(ptr %replaced)
  br label %made.new
made.new:
  ret i1 true
failed:
  ret i1 false
}}
"""


def _commit(at: Layout) -> str:
    """Put new arrays into their Variables; the old ones go last, as that may run other code. What was not written in
    place into an argument is copied there."""
    return f"""
define internal void @pb_commit(ptr %self, ptr %t, ptr %ins, ptr %objs) alwaysinline {{
{head("results")}
  %none = icmp eq i64 %results, 0
  br i1 %none, label %done, label %result
result:
  %i = phi i64 [0, %0], [%i1, %next]
{record("results", RESULT_WORDS, ("kind", "target", "slot", "", "", "", "", "nbytes"))}
{element("obj", "objs")}
  %new = load ptr, ptr %obj.at
  %stays = icmp eq ptr %new, null
  %output = icmp eq i64 %kind, 0
  %skip = or i1 %stays, %output
  br i1 %skip, label %next, label %given
given:
  %argument = icmp eq i64 %kind, 2
  br i1 %argument, label %copy, label %swap
copy:
{element("to", "ins", "%target")}
  %to = load ptr, ptr %to.at
{load("from", "new", at.array_data)}
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %nbytes, i1 false)
  br label %next
swap:
{load("variable", "self", "%target")}{load("old", "variable", "%slot")}
  store ptr %new, ptr %old.at
  store ptr %old, ptr %obj.at
  br label %next
next:
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %results
  br i1 %end, label %done, label %result
done:
  ret void
}}
"""


def _build(at: Layout) -> str:
    """The call's result from the returns: one value, a nest of them, or what the packer makes of a tuple."""
    return f"""
define internal ptr @pb_build(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes) {{
  %cursor = alloca i64
{head("structure")}{head("returns")}{head("at_nest", "nest")}
  switch i64 %structure, label %pack [ i64 0, label %single  i64 1, label %nested ]
single:
  %one = call ptr @pb_item(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 0)
  ret ptr %one
nested:
  store i64 %nest, ptr %cursor
  %many = call ptr @pb_nest(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor)
  ret ptr %many
pack:
  %tuple = call ptr @pb_tuple(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 %returns)
  %ok = icmp ne ptr %tuple, null
  br i1 %ok, label %filled, label %failed
filled:
{item_of("self", "packer", at, PACK)}
  %packed = call ptr @PyObject_CallOneArg(ptr %packer, ptr %tuple)
  call void @Py_DecRef(ptr %tuple)
  ret ptr %packed
failed:
  ret ptr null
}}
"""


def _tuple(at: Layout) -> str:
    """The returns in a tuple, or null with nothing left behind."""
    return f"""
define internal ptr @pb_tuple(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 %n) {{
  %tuple = call ptr @PyTuple_New(i64 %n)
  %made = icmp ne ptr %tuple, null
  br i1 %made, label %fill, label %failed
fill:
  %items = getelementptr i8, ptr %tuple, i64 {at.tuple_items}
  br label %test
test:
  %i = phi i64 [0, %fill], [%i1, %next]
  %end = icmp eq i64 %i, %n
  br i1 %end, label %done, label %each
each:
  %item = call ptr @pb_item(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 %i)
  %ok = icmp ne ptr %item, null
  br i1 %ok, label %next, label %undo
next:
{element("to", "items")}
  store ptr %item, ptr %to.at
  %i1 = add i64 %i, 1
  br label %test
done:
  ret ptr %tuple
undo:
  call void @Py_DecRef(ptr %tuple)
  ret ptr null
failed:
  ret ptr null
}}
"""


def _item(at: Layout) -> str:
    """Return number %i with a reference of its own; an output's array moves into its Tensor (or array of ours) at the
    first use."""
    return f"""
define internal ptr @pb_item(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 %i) {{
{record("returns", RETURN_WORDS, ("kind", "index"))}
  switch i64 %kind, label %object [ i64 0, label %output  i64 1, label %argument  i64 3, label %output ]
output:
{element("box", "boxes", "%index")}{element("obj", "objs", "%index")}
  %old = load ptr, ptr %box.at
  %boxed = icmp ne ptr %old, null
  br i1 %boxed, label %share, label %wrap
wrap:
  %array = load ptr, ptr %obj.at
  %is.array = icmp eq i64 %kind, 3
  %item = select i1 %is.array, i64 {at.tuple_items + 8 * ARRAY}, i64 {at.tuple_items + 8 * TENSOR}
{load("class", "self", "%item")}
  %new = call ptr @pb_box(ptr %t, ptr %class, ptr %array)
  %made = icmp ne ptr %new, null
  br i1 %made, label %keep, label %failed
keep:
  store ptr null, ptr %obj.at
  store ptr %new, ptr %box.at
  ret ptr %new
argument:
{load("arg", "args", "%index")}
  br label %share
object:
{load("thing", "self", "%index")}
  br label %share
share:
  %shared = phi ptr [%old, %output], [%arg, %argument], [%thing, %object]
  call void @Py_IncRef(ptr %shared)
  ret ptr %shared
failed:
  ret ptr null
}}
"""


def _box() -> str:
    """A new object of type %class, a Tensor or laid out like one, that takes over the reference to %array, its other
    slots None; or null."""
    return f"""
define internal ptr @pb_box(ptr %t, ptr %class, ptr %array) alwaysinline {{
  %new = call ptr @PyType_GenericAlloc(ptr %class, i64 0)
  %made = icmp ne ptr %new, null
  br i1 %made, label %fill, label %failed
fill:
{head("slot")}{head("none_slots", "nones")}{head("at_none_slots", "start")}
  %data.at = getelementptr i8, ptr %new, i64 %slot
  store ptr %array, ptr %data.at
  %list = getelementptr i8, ptr %t, i64 %start
  br label %test
test:
  %i = phi i64 [0, %fill], [%i1, %none]
  %all = icmp eq i64 %i, %nones
  br i1 %all, label %done, label %none
none:
{element("where", "list")}
  %where = load i64, ptr %where.at
  %none.at = getelementptr i8, ptr %new, i64 %where
  store ptr @pb_None, ptr %none.at
  call void @Py_IncRef(ptr @pb_None)
  %i1 = add i64 %i, 1
  br label %test
done:
  ret ptr %new
failed:
  ret ptr null
}}
"""
