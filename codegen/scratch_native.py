"""The native side of the arena (`scratch`), as LLVM text.

64-byte aligned memory: the process's arena (lock, base, size, raw pointer) if free, else a block of its own.

Sixteen bytes before the memory say which, and what to free. The GIL is held here, so the lock guards only
against calls that dropped it while their kernel runs.
"""

SCRATCH_TEXT = """
; null without an error set when there is no memory
define internal ptr @pb_block(i64 %size) {
  %room = add i64 %size, 128
  %raw = call ptr @PyMem_RawMalloc(i64 %room)
  %got = icmp ne ptr %raw, null
  br i1 %got, label %align, label %none
align:
  %raw.i = ptrtoint ptr %raw to i64
  %after = add i64 %raw.i, 127
  %base.i = and i64 %after, -64
  %base = inttoptr i64 %base.i to ptr
  %raw.at = getelementptr i8, ptr %base, i64 -8
  store ptr %raw, ptr %raw.at
  %kind.at = getelementptr i8, ptr %base, i64 -16
  store i64 0, ptr %kind.at
  ret ptr %base
none:
  ret ptr null
}

; null with MemoryError set when there is no memory
define ptr @pb_scratch_get(i64 %size) {
  %lock = load i64, ptr @pb_arena
  %free = icmp eq i64 %lock, 0
  br i1 %free, label %mine, label %other
mine:
  %base.at = getelementptr i64, ptr @pb_arena, i64 1
  %size.at = getelementptr i64, ptr @pb_arena, i64 2
  %have = load i64, ptr %size.at
  %enough = icmp uge i64 %have, %size
  br i1 %enough, label %take, label %grow
take:
  %base = load ptr, ptr %base.at
  store i64 1, ptr @pb_arena
  ret ptr %base
grow:
  call void @pb_arena_free()
  %new = call ptr @pb_block(i64 %size)
  %got = icmp ne ptr %new, null
  br i1 %got, label %keep, label %none
keep:
  %kind.at = getelementptr i8, ptr %new, i64 -16
  store i64 1, ptr %kind.at
  store ptr %new, ptr %base.at
  store i64 %size, ptr %size.at
  store i64 1, ptr @pb_arena
  ret ptr %new
other:
  %block = call ptr @pb_block(i64 %size)
  %made = icmp ne ptr %block, null
  br i1 %made, label %use, label %none
use:
  ret ptr %block
none:
  %error = call ptr @PyErr_NoMemory()
  ret ptr null
}

define void @pb_arena_free() {
  %base.at = getelementptr i64, ptr @pb_arena, i64 1
  %size.at = getelementptr i64, ptr @pb_arena, i64 2
  %base = load ptr, ptr %base.at
  %empty = icmp eq ptr %base, null
  br i1 %empty, label %done, label %free
free:
  %raw.at = getelementptr i8, ptr %base, i64 -8
  %raw = load ptr, ptr %raw.at
  store ptr null, ptr %base.at
  store i64 0, ptr %size.at
  call void @PyMem_RawFree(ptr %raw)
  br label %done
done:
  ret void
}

define void @pb_scratch_put(ptr %base) {
  %kind.at = getelementptr i8, ptr %base, i64 -16
  %kind = load i64, ptr %kind.at
  %shared = icmp eq i64 %kind, 1
  br i1 %shared, label %unlock, label %free
unlock:
  store i64 0, ptr @pb_arena
  ret void
free:
  %raw.at = getelementptr i8, ptr %base, i64 -8
  %raw = load ptr, ptr %raw.at
  call void @PyMem_RawFree(ptr %raw)
  ret void
}
"""
