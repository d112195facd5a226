"""What the pool of threads asks of the machine and the system, as LLVM text: waiting, cores, OpenBLAS's threads.

The text has `pool_text`'s placeholders.
"""

from __future__ import annotations

# Where there are these, a helper that finds itself on the caller's core leaves that core to it.
OPTIONAL = ("sched_getcpu", "sched_getaffinity", "sched_setaffinity")
# How long a thread looks for news before it sleeps: about 20 us. A call that follows another finds helpers awake then;
# waking a thread that sleeps takes 30 to 50 us.
SPIN_CYCLES, SPIN_TRIPS = 60_000, 20_000  # by x86's time stamp; elsewhere trips of an empty loop

SPENT_X86 = """
declare void @llvm.x86.sse2.pause()
declare i64 @llvm.readcyclecounter()
define internal i64 @pb_spent(i64 %before) {
  call void @llvm.x86.sse2.pause()
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}
"""

SPENT = """
define internal i64 @pb_spent(i64 %before) {
  %now = add i64 %before, 1
  ret i64 %now
}
"""
APART = """
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
declare i64 @llvm.vector.reduce.or.v16i64(<16 x i64>)
define internal i32 @pb_cpu() {
  %cpu = call i32 @sched_getcpu()
  ret i32 %cpu
}
define internal void @pb_note_cpus() {
FIELD(cpus, CPUS)
  %r = call i32 @sched_getaffinity(i32 0, i64 128, ptr %cpus)
  ret void
}
define internal void @pb_leave(i32 %cpu) {
entry:
FIELD(cpus, CPUS)
  %rest = alloca <16 x i64>, align 128
  %here = call i32 @sched_getcpu()
  %same = icmp eq i32 %here, %cpu
  %known = icmp ult i32 %cpu, 1024
  %may = and i1 %same, %known
  br i1 %may, label %try, label %out
try:
  %all = load <16 x i64>, ptr %cpus, align 8
  store <16 x i64> %all, ptr %rest
  %byte = lshr i32 %cpu, 3
  %at = getelementptr i8, ptr %rest, i32 %byte
  %bit = and i32 %cpu, 7
  %one = shl i32 1, %bit
  %not = xor i32 %one, 255
  %keep = trunc i32 %not to i8
  %old = load i8, ptr %at
  %new = and i8 %old, %keep
  store i8 %new, ptr %at
  %left = load <16 x i64>, ptr %rest
  %any = call i64 @llvm.vector.reduce.or.v16i64(<16 x i64> %left)
  %some = icmp ne i64 %any, 0
  br i1 %some, label %go, label %out
go:
  %r = call i32 @sched_setaffinity(i32 0, i64 128, ptr %rest)
  br label %out
out:
  ret void
}
"""

ANYWHERE = """
define internal i32 @pb_cpu() {
  ret i32 -1
}
define internal void @pb_note_cpus() {
  ret void
}
define internal void @pb_leave(i32 %cpu) {
  ret void
}
"""

NO_BLAS = """
define i32 @pb_blas_threads() {
  ret i32 2147483647
}
"""
