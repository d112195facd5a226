"""The native entry's way out, as LLVM text: memory for results, new values of Variables, boxing.

`%objs` holds, for each result, the array that the call owns: a new one at first, the replaced one after a Variable took
the new; null when a donor's memory is used or a Tensor has taken it. Whatever is left there is dropped at the end.
"""

from __future__ import annotations

from .entry_spec import RESULT_WORDS, RETURN_WORDS
from .entry_text import PACK, TENSOR, element, head, item_of, load, record
from .layout import OWNED_WRITEABLE, Layout


def results_text(at: Layout) -> str:
    """`@pb_prepare`, `@pb_commit`, `@pb_build` and what they call."""
    return _prepare(at) + _commit() + _build(at) + _item(at)


def _prepare(at: Layout) -> str:
    """Give each result memory: the donor's array if nobody else holds it, else a new array (noted in %objs)."""
    return f"""
define internal i1 @pb_prepare(ptr %self, ptr %t, ptr %arrays, ptr %ins, ptr %outs, ptr %objs, ptr %boxes) {{
{head("results")}
  %none = icmp eq i64 %results, 0
  br i1 %none, label %ready, label %result
result:
  %i = phi i64 [0, %0], [%i1, %next]
{record("results", RESULT_WORDS, ("", "", "", "descr", "ndim", "dims", "donor"))}
{element("obj", "objs")}{element("box", "boxes")}{element("out", "outs")}
  store ptr null, ptr %obj.at
  store ptr null, ptr %box.at
  %alone = icmp slt i64 %donor, 0
  br i1 %alone, label %fresh, label %given
given:
{element("old", "arrays", "%donor")}
  %old = load ptr, ptr %old.at
{load("refs", "old", at.refcount, "i32")}{load("flags", "old", at.array_flags, "i32")}
  %one = icmp eq i32 %refs, 1
  %kept = and i32 %flags, {OWNED_WRITEABLE}
  %own = icmp eq i32 %kept, {OWNED_WRITEABLE}
  %take = and i1 %one, %own
  br i1 %take, label %reuse, label %fresh
reuse:
{element("data", "ins", "%donor")}
  %data = load ptr, ptr %data.at
  store ptr %data, ptr %out.at
  br label %next
fresh:
{load("dtype", "self", "%descr")}
  %shape = getelementptr i8, ptr %t, i64 %dims
  %rank = trunc i64 %ndim to i32
  call void @Py_IncRef(ptr %dtype)
  %new = call ptr @np_NewFromDescr(ptr @np_ArrayType, ptr %dtype, i32 %rank, ptr %shape, ptr null, ptr null, i32 0,
                                   ptr null)
  %made = icmp ne ptr %new, null
  br i1 %made, label %note, label %failed
note:
  store ptr %new, ptr %obj.at
{load("memory", "new", at.array_data)}
  store ptr %memory, ptr %out.at
  br label %next
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


def _commit() -> str:
    """Put new arrays into their Variables; the old ones go last, as that may run other code."""
    return f"""
define internal void @pb_commit(ptr %self, ptr %t, ptr %objs) {{
{head("results")}
  %none = icmp eq i64 %results, 0
  br i1 %none, label %done, label %result
result:
  %i = phi i64 [0, %0], [%i1, %next]
{record("results", RESULT_WORDS, ("kind", "var", "slot"))}
{element("obj", "objs")}
  %new = load ptr, ptr %obj.at
  %stays = icmp eq ptr %new, null
  %output = icmp eq i64 %kind, 0
  %skip = or i1 %stays, %output
  br i1 %skip, label %next, label %swap
swap:
{load("variable", "self", "%var")}{load("old", "variable", "%slot")}
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
    """The call's result from the returns: one value, a tuple, a list, None, or what the packer makes of a tuple."""
    return f"""
define internal ptr @pb_build(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes) {{
{head("structure")}{head("returns")}
  switch i64 %structure, label %many [ i64 0, label %single  i64 3, label %nothing ]
single:
  %one = call ptr @pb_item(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 0)
  ret ptr %one
nothing:
  call void @Py_IncRef(ptr @pb_None)
  ret ptr @pb_None
many:
  %tuple = call ptr @PyTuple_New(i64 %returns)
  %made = icmp ne ptr %tuple, null
  br i1 %made, label %fill, label %failed
fill:
  %items = getelementptr i8, ptr %tuple, i64 {at.tuple_items}
  %empty = icmp eq i64 %returns, 0
  br i1 %empty, label %filled, label %each
each:
  %i = phi i64 [0, %fill], [%i1, %next]
  %item = call ptr @pb_item(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 %i)
  %ok = icmp ne ptr %item, null
  br i1 %ok, label %next, label %undo
next:
{element("to", "items")}
  store ptr %item, ptr %to.at
  %i1 = add i64 %i, 1
  %end = icmp eq i64 %i1, %returns
  br i1 %end, label %filled, label %each
filled:
  switch i64 %structure, label %pack [ i64 1, label %done  i64 2, label %list ]
done:
  ret ptr %tuple
list:
  %list.r = call ptr @PySequence_List(ptr %tuple)
  call void @Py_DecRef(ptr %tuple)
  ret ptr %list.r
pack:
{item_of("self", "packer", at, PACK)}
  %packed = call ptr @PyObject_CallOneArg(ptr %packer, ptr %tuple)
  call void @Py_DecRef(ptr %tuple)
  ret ptr %packed
undo:
  call void @Py_DecRef(ptr %tuple)
  ret ptr null
failed:
  ret ptr null
}}
"""


def _item(at: Layout) -> str:
    """Return number %i with a reference of its own; an output's array moves into its Tensor at the first use."""
    return f"""
define internal ptr @pb_item(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 %i) {{
{record("returns", RETURN_WORDS, ("kind", "index"))}
  switch i64 %kind, label %object [ i64 0, label %output  i64 1, label %argument ]
output:
{element("box", "boxes", "%index")}
  %old = load ptr, ptr %box.at
  %boxed = icmp ne ptr %old, null
  br i1 %boxed, label %share, label %wrap
wrap:
{item_of("self", "tensor", at, TENSOR)}{head("slot")}{head("none_slots", "nones")}{head("at_none_slots", "at")}
{element("obj", "objs", "%index")}
  %new = call ptr @PyType_GenericAlloc(ptr %tensor, i64 0)
  %made = icmp ne ptr %new, null
  br i1 %made, label %fill, label %failed
fill:
  %array = load ptr, ptr %obj.at
  %data.at = getelementptr i8, ptr %new, i64 %slot
  store ptr %array, ptr %data.at
  store ptr null, ptr %obj.at
  store ptr %new, ptr %box.at
  %list = getelementptr i8, ptr %t, i64 %at
  br label %test
test:
  %k = phi i64 [0, %fill], [%k1, %none]
  %all = icmp eq i64 %k, %nones
  br i1 %all, label %done, label %none
none:
{element("where", "list", "%k")}
  %where = load i64, ptr %where.at
  %none.at = getelementptr i8, ptr %new, i64 %where
  store ptr @pb_None, ptr %none.at
  call void @Py_IncRef(ptr @pb_None)
  %k1 = add i64 %k, 1
  br label %test
done:
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
