"""The native side of the pool (`pool`), as LLVM text: NumPy's memory handler (NEP 49) for large results.

`@pb_pool` is the table: bytes held, the most that may be held, number of blocks, then address and size of each. Sixteen
bytes before a block's memory say how large it is and what to free. NumPy calls all this with the GIL held.
"""

from __future__ import annotations

SLOTS = 32
LEAST = 1 << 20  # bytes from which on a result's memory is kept
MEDIUM = 2048  # bytes from which on it is chosen where a result begins
STEP, TRIES = 384, 4  # so many bytes behind an input, modulo 4 kB, are to be avoided; places that are tried
_HEADER = 128
_FLAGS, _OWNDATA = 0x501, 0x4  # NPY_ARRAY_CARRAY, NPY_ARRAY_OWNDATA

_TAKE = """
; a block of at least %size bytes and at most a quarter more, or null
define internal ptr @pb_pool_take(i64 %size) {
  %quarter = lshr i64 %size, 2
  %most = add i64 %size, %quarter
  %count.at = getelementptr i64, ptr @pb_pool, i64 2
  %count = load i64, ptr %count.at
  br label %next
next:
  %i = phi i64 [%count, %0], [%k, %other]
  %end = icmp eq i64 %i, 0
  br i1 %end, label %none, label %look
look:
  %k = sub i64 %i, 1
  %at2 = shl i64 %k, 1
  %at = add i64 %at2, 3
  %slot = getelementptr i64, ptr @pb_pool, i64 %at
  %size.at = getelementptr i64, ptr %slot, i64 1
  %have = load i64, ptr %size.at
  %enough = icmp uge i64 %have, %size
  %close = icmp ule i64 %have, %most
  %fits = and i1 %enough, %close
  br i1 %fits, label %found, label %other
other:
  br label %next
found:
  %block = load ptr, ptr %slot
  call void @pb_pool_drop(i64 %k)
  ret ptr %block
none:
  ret ptr null
}

; removes slot %k; those behind it move down, so that the first is the oldest
define internal void @pb_pool_drop(i64 %k) {
  %count.at = getelementptr i64, ptr @pb_pool, i64 2
  %count = load i64, ptr %count.at
  %less = sub i64 %count, 1
  store i64 %less, ptr %count.at
  %at2 = shl i64 %k, 1
  %at = add i64 %at2, 3
  %slot = getelementptr i64, ptr @pb_pool, i64 %at
  %size.at = getelementptr i64, ptr %slot, i64 1
  %size = load i64, ptr %size.at
  %held = load i64, ptr @pb_pool
  %rest = sub i64 %held, %size
  store i64 %rest, ptr @pb_pool
  %behind = getelementptr i64, ptr %slot, i64 2
  %n = sub i64 %less, %k
  %bytes = shl i64 %n, 4
  call void @llvm.memmove.p0.p0.i64(ptr %slot, ptr %behind, i64 %bytes, i1 false)
  ret void
}

define void @pb_pool_oldest() {
  %slot = getelementptr i64, ptr @pb_pool, i64 3
  %block = load ptr, ptr %slot
  call void @pb_pool_drop(i64 0)
  call void @pb_block_free(ptr %block)
  ret void
}

define internal void @pb_block_free(ptr %block) {
  %raw.at = getelementptr i8, ptr %block, i64 -8
  %raw = load ptr, ptr %raw.at
  call void @PyMem_RawFree(ptr %raw)
  ret void
}
"""

_HANDLER = f"""
define ptr @pb_pool_malloc(ptr %ctx, i64 %size) {{
  %large = icmp uge i64 %size, {LEAST}
  br i1 %large, label %try, label %fresh
try:
  %kept = call ptr @pb_pool_take(i64 %size)
  %got = icmp ne ptr %kept, null
  br i1 %got, label %give, label %fresh
give:
  ret ptr %kept
fresh:
  %room = add i64 %size, {_HEADER}
  %wraps = icmp ult i64 %room, %size
  br i1 %wraps, label %none, label %ask
ask:
  %raw = call ptr @PyMem_RawMalloc(i64 %room)
  %made = icmp ne ptr %raw, null
  br i1 %made, label %align, label %none
align:
  %raw.i = ptrtoint ptr %raw to i64
  %after = add i64 %raw.i, {_HEADER - 1}
  %base.i = and i64 %after, -64
  %base = inttoptr i64 %base.i to ptr
  %raw.at = getelementptr i8, ptr %base, i64 -8
  store ptr %raw, ptr %raw.at
  %size.at = getelementptr i8, ptr %base, i64 -16
  store i64 %size, ptr %size.at
  ret ptr %base
none:
  ret ptr null
}}

define ptr @pb_pool_calloc(ptr %ctx, i64 %n, i64 %each) {{
  %both = call {{i64, i1}} @llvm.umul.with.overflow.i64(i64 %n, i64 %each)
  %size = extractvalue {{i64, i1}} %both, 0
  %wraps = extractvalue {{i64, i1}} %both, 1
  br i1 %wraps, label %none, label %ask
ask:
  %block = call ptr @pb_pool_malloc(ptr %ctx, i64 %size)
  %made = icmp ne ptr %block, null
  br i1 %made, label %clear, label %none
clear:
  call void @llvm.memset.p0.i64(ptr %block, i8 0, i64 %size, i1 false)
  ret ptr %block
none:
  ret ptr null
}}

define ptr @pb_pool_realloc(ptr %ctx, ptr %old, i64 %size) {{
  %new = call ptr @pb_pool_malloc(ptr %ctx, i64 %size)
  %made = icmp ne ptr %new, null
  %had = icmp ne ptr %old, null
  %both = and i1 %made, %had
  br i1 %both, label %copy, label %done
copy:
  %size.at = getelementptr i8, ptr %old, i64 -16
  %have = load i64, ptr %size.at
  %less = call i64 @llvm.umin.i64(i64 %have, i64 %size)
  call void @llvm.memcpy.p0.p0.i64(ptr %new, ptr %old, i64 %less, i1 false)
  call void @pb_pool_free(ptr %ctx, ptr %old, i64 0)
  br label %done
done:
  ret ptr %new
}}

; what NumPy says of the size is not asked: the block knows it
define void @pb_pool_free(ptr %ctx, ptr %block, i64 %said) {{
  %nothing = icmp eq ptr %block, null
  br i1 %nothing, label %done, label %look
look:
  %size.at = getelementptr i8, ptr %block, i64 -16
  %size = load i64, ptr %size.at
  %most.at = getelementptr i64, ptr @pb_pool, i64 1
  %most = load i64, ptr %most.at
  %large = icmp uge i64 %size, {LEAST}
  %fits = icmp ule i64 %size, %most
  %keep = and i1 %large, %fits
  br i1 %keep, label %room, label %free
room:
  %held = load i64, ptr @pb_pool
  %count.at = getelementptr i64, ptr @pb_pool, i64 2
  %count = load i64, ptr %count.at
  %total = add i64 %held, %size
  %over = icmp ugt i64 %total, %most
  %full = icmp eq i64 %count, {SLOTS}
  %evict = or i1 %over, %full
  br i1 %evict, label %oldest, label %put
oldest:
  call void @pb_pool_oldest()
  br label %room
put:
  store i64 %total, ptr @pb_pool
  %at2 = shl i64 %count, 1
  %at = add i64 %at2, 3
  %slot = getelementptr i64, ptr @pb_pool, i64 %at
  store ptr %block, ptr %slot
  %slot.size = getelementptr i64, ptr %slot, i64 1
  store i64 %size, ptr %slot.size
  %more = add i64 %count, 1
  store i64 %more, ptr %count.at
  br label %done
free:
  call void @pb_block_free(ptr %block)
  br label %done
done:
  ret void
}}
"""

_ARRAY = f"""
; memory for a result of medium size, a little longer than needed: it does not begin shortly behind where some input
; does, modulo 4 kB. A load waits for an earlier store with the same low 12 bits, and loads run ahead of stores.
define internal ptr @pb_block_apart(i64 %size) {{
  %room = add i64 %size, {_HEADER + STEP * TRIES}
  %raw = call ptr @PyMem_RawMalloc(i64 %room)
  %made = icmp ne ptr %raw, null
  br i1 %made, label %align, label %none
align:
  %ins = load ptr, ptr @pb_hint
  %n.at = getelementptr i64, ptr @pb_hint, i64 1
  %n = load i64, ptr %n.at
  %raw.i = ptrtoint ptr %raw to i64
  %after = add i64 %raw.i, {_HEADER - 1}
  %first = and i64 %after, -64
  br label %try
try:
  %k = phi i64 [0, %align], [%k1, %next]
  %base.i = phi i64 [%first, %align], [%further, %next]
  br label %input
input:
  %i = phi i64 [0, %try], [%i1, %clear]
  %more = icmp ult i64 %i, %n
  br i1 %more, label %compare, label %take
compare:
  %in.at = getelementptr ptr, ptr %ins, i64 %i
  %in = load ptr, ptr %in.at
  %in.i = ptrtoint ptr %in to i64
  %ahead = sub i64 %base.i, %in.i
  %less = sub i64 %ahead, 1
  %low = and i64 %less, 4095
  %near = icmp ult i64 %low, {STEP - 1}
  %i1 = add i64 %i, 1
  br i1 %near, label %next, label %clear
clear:
  br label %input
next:
  %k1 = add i64 %k, 1
  %further = add i64 %base.i, {STEP}
  %left = icmp ult i64 %k1, {TRIES}
  br i1 %left, label %try, label %give
give:
  br label %take
take:
  %where = phi i64 [%base.i, %input], [%first, %give]
  %base = inttoptr i64 %where to ptr
  %raw.at = getelementptr i8, ptr %base, i64 -8
  store ptr %raw, ptr %raw.at
  %size.at = getelementptr i8, ptr %base, i64 -16
  store i64 %size, ptr %size.at
  ret ptr %base
none:
  ret ptr null
}}

; takes over the reference to the dtype, as NumPy's constructor does
define internal ptr @pb_result_array(ptr %dtype, i32 %rank, ptr %shape, i64 %nbytes) {{
  %handler = load ptr, ptr @pb_pool_handler
  %on = icmp ne ptr %handler, null
  %medium = icmp uge i64 %nbytes, {MEDIUM}
  %ours = and i1 %on, %medium
  br i1 %ours, label %choose, label %plain
plain:
  %one = call ptr @np_NewFromDescr(ptr @np_ArrayType, ptr %dtype, i32 %rank, ptr %shape, ptr null, ptr null, i32 0,
                                   ptr null)
  ret ptr %one
choose:
  %large = icmp uge i64 %nbytes, {LEAST}
  br i1 %large, label %pool, label %apart
pool:
  %kept = call ptr @pb_pool_malloc(ptr null, i64 %nbytes)
  br label %have
apart:
  %block = call ptr @pb_block_apart(i64 %nbytes)
  br label %have
have:
  %memory = phi ptr [%kept, %pool], [%block, %apart]
  %got = icmp ne ptr %memory, null
  br i1 %got, label %make, label %nothing
make:
  %new = call ptr @np_NewFromDescr(ptr @np_ArrayType, ptr %dtype, i32 %rank, ptr %shape, ptr null, ptr %memory,
                                   i32 {_FLAGS}, ptr null)
  %made = icmp ne ptr %new, null
  br i1 %made, label %own, label %back
own:
  %flags.at = getelementptr i8, ptr %new, i64 FLAGS_AT
  %flags = load i32, ptr %flags.at
  %owned = or i32 %flags, {_OWNDATA}
  store i32 %owned, ptr %flags.at
  call void @Py_IncRef(ptr %handler)
  %handler.at = getelementptr i8, ptr %new, i64 HANDLER_AT
  store ptr %handler, ptr %handler.at
  ret ptr %new
back:
  call void @pb_pool_free(ptr null, ptr %memory, i64 0)
  ret ptr null
nothing:
  call void @Py_DecRef(ptr %dtype)
  %error = call ptr @PyErr_NoMemory()
  ret ptr null
}}
"""


def pool_text(flags_at: int, handler_at: int) -> str:
    """The text; where an array keeps its flags and its memory handler."""
    made = _ARRAY.replace("FLAGS_AT", str(flags_at)).replace("HANDLER_AT", str(handler_at))
    return _DECLARATIONS + _TAKE + _HANDLER + made


_DECLARATIONS = f"""
@pb_pool = external global [{3 + 2 * SLOTS} x i64]
@pb_pool_handler = external global ptr
@pb_hint = internal global [2 x i64] zeroinitializer
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare {{i64, i1}} @llvm.umul.with.overflow.i64(i64, i64)
declare i64 @llvm.umin.i64(i64, i64)
"""
