"""The pool of native threads as LLVM text: `pb_parallel(fn, context, n)` calls `fn(context, k)` for k in 0..n-1.

The caller works, too. Each thread begins with a stretch of its own, the same one in call after call, so that what
it touched last is still in its core's cache; who is done takes pieces of the others. So a helper that comes late,
or whose core is taken away, costs no more than the piece it holds. Helpers are POSIX threads that sleep in a
condition variable; after a piece of work they look for more until some twenty microseconds after the others are
done, eighty at most. They block all signals, never call Python, and end with the process. A helper that wakes on
the caller's core moves to another one: schedulers like to wake a thread beside its waker, and the two would take
turns on one core, or the helper would not run before the caller is done. A caller that finds the pool taken (by
another thread, or round itself) does all of its pieces alone.
"""

from __future__ import annotations

from .pool_system import ANYWHERE, APART, NO_BLAS, SPENT, SPENT_X86, SPIN_CYCLES, SPIN_TRIPS

# The state, in bytes from its start. What helpers hammer on has cache lines of its own.
LIMIT, BLAS_AT_START, HELPERS, OPEN, PERMITS, SLEEPERS = range(0, 48, 8)
FN, CONTEXT, PIECES, SHARES, CPU = range(48, 88, 8)
BUSY, HINT, ACTIVE, SEQUENCE = 128, 256, 384, 512  # the hint is the sequence, told when the lock is free again
MUTEX, WORK, DONE, MODES, SIGNALS, CPUS, NEXT = 640, 704, 768, 832, 960, 1216, 1344
MOST = 1024  # threads; each has a counter, on a cache line of its own
SIZE = NEXT + 64 * MOST
FUNCTIONS = (
    "pthread_create", "pthread_detach", "pthread_mutex_init", "pthread_mutex_lock", "pthread_mutex_unlock",
    "pthread_cond_init", "pthread_cond_wait", "pthread_cond_signal", "pthread_sigmask", "sigfillset", "fegetenv",
    "fesetenv",
)  # fmt: skip

_SERIAL = """
define internal void @pb_alone(ptr %fn, ptr %context, i64 %n) {
entry:
  %any = icmp sgt i64 %n, 0
  br i1 %any, label %each, label %out
each:
  %k = phi i64 [0, %entry], [%k1, %each]
  call void %fn(ptr %context, i64 %k)
  %k1 = add i64 %k, 1
  %more = icmp slt i64 %k1, %n
  br i1 %more, label %each, label %out
out:
  ret void
}
"""

SERIAL = _SERIAL + """
define void @pb_parallel(ptr %fn, ptr %context, i64 %n) {
  call void @pb_alone(ptr %fn, ptr %context, i64 %n)
  ret void
}
"""

_POOL = """
@pb_pool = external global [SIZE x i8]
declare i32 @pb_blas_threads()
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @fegetenv(ptr)
declare i32 @fesetenv(ptr)
declare i64 @llvm.smin.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define void @pb_pool_reset() {
FIELD(busy, BUSY)FIELD(active, ACTIVE)FIELD(helpers, HELPERS)FIELD(open, OPEN)FIELD(permits, PERMITS)
FIELD(sleepers, SLEEPERS)FIELD(mutex, MUTEX)FIELD(work, WORK)FIELD(done, DONE)
  store i64 0, ptr %active
  store i64 0, ptr %helpers
  store i64 0, ptr %open
  store i64 0, ptr %permits
  store i64 0, ptr %sleepers
  call void @llvm.memset.p0.i64(ptr %mutex, i8 0, i64 64, i1 false)
  call void @llvm.memset.p0.i64(ptr %work, i8 0, i64 64, i1 false)
  call void @llvm.memset.p0.i64(ptr %done, i8 0, i64 64, i1 false)
  %r1 = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %r2 = call i32 @pthread_cond_init(ptr %work, ptr null)
  %r3 = call i32 @pthread_cond_init(ptr %done, ptr null)
  store atomic i64 0, ptr %busy seq_cst, align 8
  ret void
}

define void @pb_parallel(ptr %fn, ptr %context, i64 %n) {
FIELD(at.limit, LIMIT)FIELD(busy, BUSY)FIELD(at.first, BLAS_AT_START)
  %limit = load atomic i64, ptr %at.limit monotonic, align 8
  %limited = call i64 @llvm.smin.i64(i64 %limit, i64 %n)
  %may = icmp sgt i64 %limited, 1
  br i1 %may, label %cap, label %alone
cap:
  %blas.now = call i32 @pb_blas_threads()
  %blas = sext i32 %blas.now to i64
  %first = load i64, ptr %at.first
  %capped = icmp slt i64 %blas, %first
  %least = call i64 @llvm.smin.i64(i64 %limited, i64 %blas)
  %threads = select i1 %capped, i64 %least, i64 %limited
  %many = icmp sgt i64 %threads, 1
  br i1 %many, label %take, label %alone
take:
  %old = cmpxchg ptr %busy, i64 0, i64 1 seq_cst seq_cst
  %got = extractvalue { i64, i1 } %old, 1
  br i1 %got, label %share, label %alone
share:
  call void @pb_share(ptr %fn, ptr %context, i64 %n, i64 %threads)
  store atomic i64 0, ptr %busy seq_cst, align 8
  ret void
alone:
  call void @pb_alone(ptr %fn, ptr %context, i64 %n)
  ret void
}

define internal void @pb_share(ptr %fn, ptr %context, i64 %n, i64 %threads) {
entry:
FIELD(at.cpu, CPU)FIELD(at.hint, HINT)
FIELD(at.fn, FN)FIELD(at.context, CONTEXT)FIELD(at.pieces, PIECES)FIELD(at.open, OPEN)FIELD(at.shares, SHARES)
FIELD(at.permits, PERMITS)FIELD(at.sequence, SEQUENCE)FIELD(at.active, ACTIVE)FIELD(at.sleepers, SLEEPERS)
FIELD(at.helpers, HELPERS)FIELD(modes, MODES)FIELD(mutex, MUTEX)FIELD(work, WORK)FIELD(done, DONE)
  %wanted = sub i64 %threads, 1
  %there = load i64, ptr %at.helpers
  %few = icmp slt i64 %there, %wanted
  br i1 %few, label %hire, label %give
hire:
  call void @pb_hire(i64 %wanted)
  br label %give
give:
  %cpu = call i32 @pb_cpu()
  store i32 %cpu, ptr %at.cpu
  %r0 = call i32 @fegetenv(ptr %modes)
  %r1 = call i32 @pthread_mutex_lock(ptr %mutex)
  store ptr %fn, ptr %at.fn
  store ptr %context, ptr %at.context
  store i64 %n, ptr %at.pieces
  store i64 %threads, ptr %at.shares
  br label %deal
deal:
  %p = phi i64 [0, %give], [%p1, %deal]
  %first = call i64 @pb_share_start(i64 %p, i64 %n, i64 %threads)
  %counter = call ptr @pb_counter(i64 %p)
  store atomic i64 %first, ptr %counter monotonic, align 8
  %p1 = add i64 %p, 1
  %another = icmp slt i64 %p1, %threads
  br i1 %another, label %deal, label %announce
announce:
  store i64 %wanted, ptr %at.permits
  store i64 1, ptr %at.open
  %s = load i64, ptr %at.sequence
  %s1 = add i64 %s, 1
  store atomic i64 %s1, ptr %at.sequence release, align 8
  %asleep = load i64, ptr %at.sleepers
  %calls = call i64 @llvm.smin.i64(i64 %asleep, i64 %wanted)
  %r2 = call i32 @pthread_mutex_unlock(ptr %mutex)
  store atomic i64 %s1, ptr %at.hint release, align 8
  br label %wake
wake:
  %w = phi i64 [%calls, %announce], [%w1, %call]
  %more = icmp sgt i64 %w, 0
  br i1 %more, label %call, label %mine
call:
  %r3 = call i32 @pthread_cond_signal(ptr %work)
  %w1 = sub i64 %w, 1
  br label %wake
mine:
  call void @pb_drain(ptr %fn, ptr %context, i64 %n, i64 0, i64 %threads)
  %k0 = call i64 @pb_spent(i64 0)
  br label %spin
spin:
  %k = phi i64 [%k0, %mine], [%k1, %again]
  %a = load atomic i64, ptr %at.active acquire, align 8
  %idle = icmp eq i64 %a, 0
  br i1 %idle, label %shut, label %again
again:
  %k1 = call i64 @pb_spent(i64 %k)
  %spent = sub i64 %k1, %k0
  %patient = icmp ult i64 %spent, SPIN
  br i1 %patient, label %spin, label %shut
shut:
  %r4 = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 0, ptr %at.open seq_cst, align 8
  br label %join
join:
  %b = load atomic i64, ptr %at.active seq_cst, align 8
  %none = icmp eq i64 %b, 0
  br i1 %none, label %out, label %wait
wait:
  %r5 = call i32 @pthread_cond_wait(ptr %done, ptr %mutex)
  br label %join
out:
  %r6 = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

define internal void @pb_hire(i64 %wanted) {
entry:
FIELD(at.helpers, HELPERS)FIELD(at.sequence, SEQUENCE)FIELD(all, SIGNALS)
  %old = getelementptr i8, ptr %all, i64 128
  %id = alloca ptr
  call void @pb_note_cpus()
  %r1 = call i32 @sigfillset(ptr %all)
  %r2 = call i32 @pthread_sigmask(i32 SET_MASK, ptr %all, ptr %old)
  %s = load i64, ptr %at.sequence
  %s.high = mul i64 %s, MOST
  br label %each
each:
  %there = load i64, ptr %at.helpers
  %few = icmp slt i64 %there, %wanted
  br i1 %few, label %one, label %out
one:
  %there1 = add i64 %there, 1
  %told = or i64 %s.high, %there1
  %told.p = inttoptr i64 %told to ptr
  %failed = call i32 @pthread_create(ptr %id, ptr null, ptr @pb_worker, ptr %told.p)
  %made = icmp eq i32 %failed, 0
  br i1 %made, label %free, label %out
free:
  %thread = load ptr, ptr %id
  %r3 = call i32 @pthread_detach(ptr %thread)
  store i64 %there1, ptr %at.helpers
  br label %each
out:
  %r4 = call i32 @pthread_sigmask(i32 SET_MASK, ptr %old, ptr null)
  ret void
}

define internal ptr @pb_counter(i64 %p) {
FIELD(first, NEXT)
  %at = mul i64 %p, 64
  %counter = getelementptr i8, ptr %first, i64 %at
  ret ptr %counter
}

define internal i64 @pb_share_start(i64 %p, i64 %n, i64 %shares) {
  %all = mul i64 %p, %n
  %start = udiv i64 %all, %shares
  ret i64 %start
}

define internal void @pb_drain(ptr %fn, ptr %context, i64 %n, i64 %me, i64 %shares) {
entry:
  br label %share
share:
  %d = phi i64 [0, %entry], [%d1, %over]
  %sum = add i64 %me, %d
  %p = urem i64 %sum, %shares
  %p1 = add i64 %p, 1
  %end = call i64 @pb_share_start(i64 %p1, i64 %n, i64 %shares)
  %counter = call ptr @pb_counter(i64 %p)
  br label %each
each:
  %k0 = load atomic i64, ptr %counter monotonic, align 8
  %maybe = icmp slt i64 %k0, %end
  br i1 %maybe, label %take, label %over
take:
  %k = atomicrmw add ptr %counter, i64 1 monotonic
  %some = icmp slt i64 %k, %end
  br i1 %some, label %one, label %over
one:
  call void %fn(ptr %context, i64 %k)
  br label %each
over:
  %d1 = add i64 %d, 1
  %more = icmp slt i64 %d1, %shares
  br i1 %more, label %share, label %out
out:
  ret void
}

define internal ptr @pb_worker(ptr %told) {
entry:
FIELD(at.shares, SHARES)FIELD(at.hint, HINT)
FIELD(at.fn, FN)FIELD(at.context, CONTEXT)FIELD(at.pieces, PIECES)FIELD(at.open, OPEN)FIELD(at.cpu, CPU)
FIELD(at.permits, PERMITS)FIELD(at.sequence, SEQUENCE)FIELD(at.active, ACTIVE)FIELD(at.sleepers, SLEEPERS)
FIELD(modes, MODES)FIELD(mutex, MUTEX)FIELD(work, WORK)FIELD(done, DONE)
  %told.n = ptrtoint ptr %told to i64
  %me = urem i64 %told.n, MOST
  %first = udiv i64 %told.n, MOST
  br label %top
top:
  %last = phi i64 [%first, %entry], [%now, %back]
  %k0 = call i64 @pb_spent(i64 0)
  br label %spin
spin:
  %k = phi i64 [%k0, %top], [%k1, %again]
  %since = phi i64 [%k0, %top], [%since1, %again]
  %s = load atomic i64, ptr %at.hint acquire, align 8
  %new = icmp sgt i64 %s, %last
  br i1 %new, label %look, label %again
again:
  %k1 = call i64 @pb_spent(i64 %k)
  %going = load atomic i64, ptr %at.open monotonic, align 8
  %others = icmp ne i64 %going, 0
  %since1 = select i1 %others, i64 %k1, i64 %since
  %spent = sub i64 %k1, %since1
  %some = icmp ult i64 %spent, SPIN
  %all = sub i64 %k1, %k0
  %still.some = icmp ult i64 %all, LONGEST
  %patient = and i1 %some, %still.some
  br i1 %patient, label %spin, label %look
look:
  %r1 = call i32 @pthread_mutex_lock(ptr %mutex)
  br label %check
check:
  %known = phi i64 [%last, %look], [%now, %sleep]
  %now = load i64, ptr %at.sequence
  %fresh = icmp ne i64 %now, %known
  %open = load i64, ptr %at.open
  %is.open = icmp ne i64 %open, 0
  %permits = load i64, ptr %at.permits
  %room = icmp sgt i64 %permits, 0
  %c1 = and i1 %fresh, %is.open
  %join = and i1 %c1, %room
  br i1 %join, label %start, label %sleep
sleep:
  %z = load i64, ptr %at.sleepers
  %z1 = add i64 %z, 1
  store i64 %z1, ptr %at.sleepers
  %r2 = call i32 @pthread_cond_wait(ptr %work, ptr %mutex)
  %y = load i64, ptr %at.sleepers
  %y1 = sub i64 %y, 1
  store i64 %y1, ptr %at.sleepers
  %waker = load i32, ptr %at.cpu
  call void @pb_leave(i32 %waker)
  br label %check
start:
  %permits1 = sub i64 %permits, 1
  store i64 %permits1, ptr %at.permits
  %a = atomicrmw add ptr %at.active, i64 1 seq_cst
  %fn = load ptr, ptr %at.fn
  %context = load ptr, ptr %at.context
  %n = load i64, ptr %at.pieces
  %shares = load i64, ptr %at.shares
  %r3 = call i32 @fesetenv(ptr %modes)
  %cpu = load i32, ptr %at.cpu
  %r4 = call i32 @pthread_mutex_unlock(ptr %mutex)
  call void @pb_leave(i32 %cpu)
  call void @pb_drain(ptr %fn, ptr %context, i64 %n, i64 %me, i64 %shares)
  %b = atomicrmw sub ptr %at.active, i64 1 seq_cst
  %last.one = icmp eq i64 %b, 1
  %still = load atomic i64, ptr %at.open seq_cst, align 8
  %shut = icmp eq i64 %still, 0
  %tell = and i1 %shut, %last.one
  br i1 %tell, label %ring, label %back
ring:
  %r5 = call i32 @pthread_mutex_lock(ptr %mutex)
  %r6 = call i32 @pthread_cond_signal(ptr %done)
  %r7 = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %back
back:
  br label %top
}
"""

def pool_text(arch: str, set_mask: int, blas: bool, apart: bool) -> str:
    """The module.

    Args:
      set_mask: the system's number of SIG_SETMASK. blas: whether `pb_blas_threads` comes from elsewhere.
      apart: whether there are the functions of `pool_system.OPTIONAL`.
    """
    spent, most = (SPENT_X86, SPIN_CYCLES) if arch == "x86_64" else (SPENT, SPIN_TRIPS)
    text = "".join((_SERIAL, spent, APART if apart else ANYWHERE, _POOL))
    text = text.replace("SET_MASK", str(set_mask)).replace("SPIN", str(most)).replace("LONGEST", str(4 * most))
    text = text.replace("SIZE", str(SIZE)).replace("MOST", str(MOST))
    if not blas:
        text = text.replace("declare i32 @pb_blas_threads()\n", "") + NO_BLAS
    return _fields(text)


def _fields(text: str) -> str:
    """Puts an address in place of each FIELD(name, OFFSET)."""
    out: list[str] = []
    for part in text.split("FIELD("):
        if out:
            name, _, rest = part.partition(", ")
            offset, _, rest = rest.partition(")")
            out.append(f"  %{name} = getelementptr i8, ptr @pb_pool, i64 {globals()[offset]}\n{rest}")
        else:
            out.append(part)
    return "".join(out)
