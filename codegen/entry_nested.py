"""The native entry's nested arguments and results, as LLVM text: containers opened, and built."""

from __future__ import annotations

from .entry_structure import NEST_WORDS, OPENED_WORDS
from .entry_text import element, head, load, record
from .layout import Layout


def nested_text(at: Layout) -> str:
    """`@pb_names`, `@pb_open`, `@pb_nest` and what they call."""
    return _names(at) + _open(at) + _list(at) + _dict() + _nest(at) + _sequence() + _mapping()


def _names(at: Layout) -> str:
    """Whether a call's keywords (a tuple of names, or null) are those of the table, in their order."""
    return f"""
define internal i1 @pb_names(ptr %self, ptr %t, ptr %kw) alwaysinline {{
{head("keywords")}
  %set = icmp ne ptr %kw, null
  br i1 %set, label %named, label %bare
bare:
  %none = icmp eq i64 %keywords, 0
  ret i1 %none
named:
{load("n", "kw", at.tuple_items - 8, "i64")}{head("at_keywords", "start")}
  %list = getelementptr i8, ptr %t, i64 %start
  %names = getelementptr i8, ptr %kw, i64 {at.tuple_items}
  %as.many = icmp eq i64 %n, %keywords
  br i1 %as.many, label %test, label %miss
test:
  %i = phi i64 [0, %named], [%i1, %next]
  %end = icmp eq i64 %i, %n
  br i1 %end, label %fits, label %each
each:
{element("place", "list")}{element("name", "names")}
  %place = load i64, ptr %place.at
  %name = load ptr, ptr %name.at
{load("wanted", "self", "%place")}
  %is = icmp eq ptr %name, %wanted
  br i1 %is, label %next, label %compare
compare:
  %like = call i1 @pb_equal(ptr %name, ptr %wanted)
  br i1 %like, label %next, label %miss
next:
  %i1 = add i64 %i, 1
  br label %test
fits:
  ret i1 true
miss:
  ret i1 false
}}
"""


def _open(at: Layout) -> str:
    """Write a call's arguments and the items of its containers, one after another, to %flat; false on a surprise. The
    references are borrowed: nothing in here lets other code run."""
    return f"""
define internal i1 @pb_open(ptr %self, ptr %args, ptr %t, ptr %flat) {{
{head("values")}{head("opened")}
  %bytes = mul i64 %values, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %flat, ptr %args, i64 %bytes, i1 false)
  br label %test
test:
  %i = phi i64 [0, %0], [%i1, %next]
  %filled = phi i64 [%values, %0], [%more, %next]
  %end = icmp eq i64 %i, %opened
  br i1 %end, label %fits, label %each
each:
{record("opened", OPENED_WORDS, ("kind", "index", "class", "count", "keys"))}
{load("box", "flat", "%index")}{load("box.type", "box", at.type)}{load("wanted", "self", "%class")}
{element("to", "flat", "%filled")}
  %more = add i64 %filled, %count
  %is = icmp eq ptr %box.type, %wanted
  br i1 %is, label %typed, label %miss
typed:
  switch i64 %kind, label %dict [ i64 0, label %tuple  i64 1, label %list ]
tuple:
  %items = getelementptr i8, ptr %box, i64 {at.tuple_items}
  br label %sized
list:
  %list.items = call ptr @pb_list_items(ptr %box)
  br label %sized
sized:
  %from = phi ptr [%items, %tuple], [%list.items, %list]
{load("size", "box", at.tuple_items - 8, "i64")}
  %as.many = icmp eq i64 %size, %count
  br i1 %as.many, label %copy, label %miss
copy:
  %length = mul i64 %count, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %to.at, ptr %from, i64 %length, i1 false)
  br label %next
dict:
  %got = call i1 @pb_dict_items(ptr %self, ptr %t, ptr %box, i64 %count, i64 %keys, ptr %to.at)
  br i1 %got, label %next, label %miss
next:
  %i1 = add i64 %i, 1
  br label %test
fits:
  ret i1 true
miss:
  ret i1 false
}}
"""


def _list(at: Layout) -> str:
    """The items of a list."""
    return f"""
define internal ptr @pb_list_items(ptr %list) alwaysinline {{
{load("items", "list", at.list_items)}
  ret ptr %items
}}
"""


def _dict() -> str:
    """Write the values of a dict that has exactly the keys of the table, in their order, to %to."""
    return f"""
define internal i1 @pb_dict_items(ptr %self, ptr %t, ptr %dict, i64 %count, i64 %keys, ptr %to) {{
  %at = alloca i64
  %key.out = alloca ptr
  %value.out = alloca ptr
  store i64 0, ptr %at
  %list = getelementptr i8, ptr %t, i64 %keys
  %size = call i64 @PyDict_Size(ptr %dict)
  %as.many = icmp eq i64 %size, %count
  br i1 %as.many, label %test, label %miss
test:
  %i = phi i64 [0, %0], [%i1, %next]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %fits, label %each
each:
  %more = call i32 @PyDict_Next(ptr %dict, ptr %at, ptr %key.out, ptr %value.out)
  %found = icmp ne i32 %more, 0
  br i1 %found, label %look, label %miss
look:
{element("place", "list")}{element("slot", "to")}
  %place = load i64, ptr %place.at
{load("wanted", "self", "%place")}
  %key = load ptr, ptr %key.out
  %value = load ptr, ptr %value.out
  store ptr %value, ptr %slot.at
  %is = icmp eq ptr %key, %wanted
  br i1 %is, label %next, label %compare
compare:
  %like = call i1 @pb_equal(ptr %key, ptr %wanted)
  br i1 %like, label %next, label %miss
next:
  %i1 = add i64 %i, 1
  br label %test
fits:
  ret i1 true
miss:
  ret i1 false
}}
"""


def _nest(at: Layout) -> str:
    """Build the part of the result whose records begin at %cursor, and move that behind them; null with nothing left
    behind but what %objs holds."""
    return f"""
define internal ptr @pb_nest(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor) {{
  %start = load i64, ptr %cursor
  %after = add i64 %start, {8 * NEST_WORDS}
  store i64 %after, ptr %cursor
  %rec = getelementptr i8, ptr %t, i64 %start
{"".join(load(name, "rec", 8 * k, "i64") for k, name in enumerate(("kind", "count", "keys")))}
  switch i64 %kind, label %dict [ i64 0, label %leaf  i64 1, label %none  i64 2, label %tuple  i64 3, label %list ]
leaf:
  %item = call ptr @pb_item(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, i64 %count)
  ret ptr %item
none:
  call void @Py_IncRef(ptr @pb_None)
  ret ptr @pb_None
tuple:
  %new.tuple = call ptr @PyTuple_New(i64 %count)
  %tuple.made = icmp ne ptr %new.tuple, null
  br i1 %tuple.made, label %tuple.items, label %failed
tuple.items:
  %inside = getelementptr i8, ptr %new.tuple, i64 {at.tuple_items}
  br label %fill
list:
  %new.list = call ptr @PyList_New(i64 %count)
  %list.made = icmp ne ptr %new.list, null
  br i1 %list.made, label %list.items, label %failed
list.items:
  %outside = call ptr @pb_list_items(ptr %new.list)
  br label %fill
fill:
  %box = phi ptr [%new.tuple, %tuple.items], [%new.list, %list.items]
  %items = phi ptr [%inside, %tuple.items], [%outside, %list.items]
  %filled = call i1 @pb_fill(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor, ptr %items, i64 %count)
  br i1 %filled, label %done, label %undo
dict:
  %listed = getelementptr i8, ptr %t, i64 %keys
  %like.place = load i64, ptr %listed
{load("like", "self", "%like.place")}
  %new.dict = call ptr @PyDict_Copy(ptr %like)
  %dict.made = icmp ne ptr %new.dict, null
  br i1 %dict.made, label %set, label %failed
set:
  %list.keys = getelementptr i8, ptr %listed, i64 8
  %mapped = call i1 @pb_map(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor, ptr %new.dict,
                            ptr %list.keys, i64 %count)
  br i1 %mapped, label %done, label %undo
done:
  %result = phi ptr [%box, %fill], [%new.dict, %set]
  ret ptr %result
undo:
  %part = phi ptr [%box, %fill], [%new.dict, %set]
  call void @Py_DecRef(ptr %part)
  ret ptr null
failed:
  ret ptr null
}}
"""


def _sequence() -> str:
    """Store the next parts of the result as the items of a new tuple or list."""
    return f"""
define internal i1 @pb_fill(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor, ptr %items,
                            i64 %n) alwaysinline {{
  br label %test
test:
  %i = phi i64 [0, %0], [%i1, %next]
  %end = icmp eq i64 %i, %n
  br i1 %end, label %done, label %each
each:
  %item = call ptr @pb_nest(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor)
  %ok = icmp ne ptr %item, null
  br i1 %ok, label %next, label %failed
next:
{element("to", "items")}
  store ptr %item, ptr %to.at
  %i1 = add i64 %i, 1
  br label %test
done:
  ret i1 true
failed:
  ret i1 false
}}
"""


def _mapping() -> str:
    """Store the next parts of the result in a dict, under the keys whose places %keys lists."""
    return f"""
define internal i1 @pb_map(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor, ptr %dict, ptr %keys,
                           i64 %n) alwaysinline {{
  br label %test
test:
  %i = phi i64 [0, %0], [%i1, %next]
  %end = icmp eq i64 %i, %n
  br i1 %end, label %done, label %each
each:
  %item = call ptr @pb_nest(ptr %self, ptr %args, ptr %t, ptr %objs, ptr %boxes, ptr %cursor)
  %ok = icmp ne ptr %item, null
  br i1 %ok, label %store, label %failed
store:
{element("place", "keys")}
  %place = load i64, ptr %place.at
{load("key", "self", "%place")}
  %status = call i32 @PyDict_SetItem(ptr %dict, ptr %key, ptr %item)
  call void @Py_DecRef(ptr %item)
  %stored = icmp eq i32 %status, 0
  br i1 %stored, label %next, label %failed
next:
  %i1 = add i64 %i, 1
  br label %test
done:
  ret i1 true
failed:
  ret i1 false
}}
"""
