"""Sorting and searching as code.

A line is sorted as packed integers: the key in the upper half (the bits of a float, turned so that integers compare as
the floats do, with NaN last), the index in the lower half, which makes every order stable. Short lines are sorted by
insertion, long ones by merging runs, in a workspace of the step. A search halves with a fixed number of steps.
"""

from __future__ import annotations

from math import prod

from ..ir.dtypes import int64
from ..ir.graph import Op, Value
from ..ir.types import TensorType
from . import memory, scalar
from .access import shape_of
from .blas import BlasInfo
from .emitter import Context, Emitter, Reg
from .matrix_code import MatrixCode, Size
from .scope import Carried, Scope

OPS = ("argsort", "searchsorted")
_RUN = 16  # elements that are sorted by insertion

_TEXT = """
define private void @pb_insert_T(ptr %a, i64 %n) nounwind {
entry:
  %some = icmp sgt i64 %n, 1
  br i1 %some, label %outer, label %done
outer:
  %i = phi i64 [1, %entry], [%i.next, %put]
  %from = getelementptr T, ptr %a, i64 %i
  %x = load T, ptr %from
  br label %inner
inner:
  %j = phi i64 [%i, %outer], [%before, %shift]
  %top = icmp eq i64 %j, 0
  br i1 %top, label %put, label %look
look:
  %before = sub i64 %j, 1
  %at = getelementptr T, ptr %a, i64 %before
  %y = load T, ptr %at
  %less = icmp slt T %x, %y
  br i1 %less, label %shift, label %put
shift:
  %up = getelementptr T, ptr %a, i64 %j
  store T %y, ptr %up
  br label %inner
put:
  %place = getelementptr T, ptr %a, i64 %j
  store T %x, ptr %place
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %n
  br i1 %more, label %outer, label %done
done:
  ret void
}
; merges a[0..mid] and a[mid..n], both sorted, into b
define private void @pb_merge_T(ptr %a, ptr %b, i64 %mid, i64 %n) nounwind {
entry:
  %two = icmp slt i64 %mid, %n
  br i1 %two, label %loop, label %left
loop:
  %i = phi i64 [0, %entry], [%i.next, %next]
  %j = phi i64 [%mid, %entry], [%j.next, %next]
  %k = phi i64 [0, %entry], [%k.next, %next]
  %i.at = getelementptr T, ptr %a, i64 %i
  %j.at = getelementptr T, ptr %a, i64 %j
  %x = load T, ptr %i.at
  %y = load T, ptr %j.at
  %second = icmp slt T %y, %x
  %z = select i1 %second, T %y, T %x
  %k.at = getelementptr T, ptr %b, i64 %k
  store T %z, ptr %k.at
  %one = zext i1 %second to i64
  %j.next = add i64 %j, %one
  %other = sub i64 1, %one
  %i.next = add i64 %i, %other
  %k.next = add i64 %k, 1
  %i.more = icmp slt i64 %i.next, %mid
  %j.more = icmp slt i64 %j.next, %n
  %both = and i1 %i.more, %j.more
  br i1 %both, label %next, label %rest
next:
  br label %loop
rest:
  br i1 %i.more, label %left, label %right
left:
  %i.from = phi i64 [0, %entry], [%i.next, %rest]
  %k.left = phi i64 [0, %entry], [%k.next, %rest]
  %left.n = sub i64 %mid, %i.from
  br label %copy
right:
  %right.n = sub i64 %n, %j.next
  br label %copy
copy:
  %start = phi i64 [%i.from, %left], [%j.next, %right]
  %to = phi i64 [%k.left, %left], [%k.next, %right]
  %count = phi i64 [%left.n, %left], [%right.n, %right]
  %source = getelementptr T, ptr %a, i64 %start
  %target = getelementptr T, ptr %b, i64 %to
  %size = mul i64 %count, BYTES
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 %size, i1 false)
  ret void
}
; sorts a[0..n]; b has the same room
define private void @pb_sort_T(ptr %a, ptr %b, i64 %n) nounwind {
entry:
  br label %runs
runs:
  %r = phi i64 [0, %entry], [%r.next, %run]
  %left = sub i64 %n, %r
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %run, label %passes
run:
  %full = icmp slt i64 RUN, %left
  %count = select i1 %full, i64 RUN, i64 %left
  %r.at = getelementptr T, ptr %a, i64 %r
  call void @pb_insert_T(ptr %r.at, i64 %count)
  %r.next = add i64 %r, RUN
  br label %runs
passes:
  %w = phi i64 [RUN, %runs], [%w2, %swap]
  %from = phi ptr [%a, %runs], [%to, %swap]
  %to = phi ptr [%b, %runs], [%from, %swap]
  %again = icmp slt i64 %w, %n
  br i1 %again, label %pass, label %end
pass:
  %w2 = shl i64 %w, 1
  br label %pairs
pairs:
  %p = phi i64 [0, %pass], [%p.next, %pair]
  %p.left = sub i64 %n, %p
  %p.some = icmp sgt i64 %p.left, 0
  br i1 %p.some, label %pair, label %swap
pair:
  %high.in = icmp slt i64 %w2, %p.left
  %high = select i1 %high.in, i64 %w2, i64 %p.left
  %mid.in = icmp slt i64 %w, %p.left
  %mid = select i1 %mid.in, i64 %w, i64 %p.left
  %p.from = getelementptr T, ptr %from, i64 %p
  %p.to = getelementptr T, ptr %to, i64 %p
  call void @pb_merge_T(ptr %p.from, ptr %p.to, i64 %mid, i64 %high)
  %p.next = add i64 %p, %w2
  br label %pairs
swap:
  br label %passes
end:
  %there = icmp eq ptr %from, %a
  br i1 %there, label %done, label %back
back:
  %size = mul i64 %n, BYTES
  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %from, i64 %size, i1 false)
  br label %done
done:
  ret void
}
"""
_MEMCPY = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"


def workspace(op: Op) -> Value | None:
    """Two lines of packed elements, for a line too long to be sorted by insertion."""
    if op.kind.name != "argsort" or not prod(shape_of(op.results[0])):
        return None
    n = shape_of(op.results[0])[op.attrs["axis"]]
    return Value(TensorType(int64, (2 * n * _packed(op) // 64,)))


def _packed(op: Op) -> int:
    """Bits of a packed element."""
    return 64 if op.operands[0].type.dtype.short in ("f32", "i32") else 128


def function(op: Op, context: Context, functions: dict[str, str]) -> str:
    """The name of the op's function, written into `functions`; it takes operands, the result, and the workspace."""
    shapes = "_".join("x".join(map(str, shape_of(v))) for v in op.operands)
    flags = "_".join(str(getattr(a, "short", a)) for a in op.attrs.values())
    name = f"{op.kind.name}_{op.operands[0].type.dtype.short}_{shapes}_{flags}"
    if name not in functions:
        code = MatrixCode(scalar.MEMORY[op.operands[0].type.dtype.short], context, _no_blas)
        if op.kind.name == "argsort":
            context.decls.setdefault("llvm.memcpy.p0.p0.i64", _MEMCPY)
            _argsort(code, op, functions)
            functions[name] = code.finish(name, ("%x", "%out", "%work"))
        else:
            _searchsorted(code, op)
            functions[name] = code.finish(name, ("%rows", "%values", "%out"))
    return name


def _no_blas() -> BlasInfo:
    raise AssertionError("sorting needs no products")


# -- sorting ---------------------------------------------------------------------------------------------------------

def _argsort(code: MatrixCode, op: Op, functions: dict[str, str]) -> None:
    shape, axis, bits = shape_of(op.operands[0]), op.attrs["axis"], _packed(op)
    outer, n, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    whole, half, index = f"i{bits}", f"i{bits // 2}", scalar.MEMORY[op.results[0].type.dtype.short]
    text = _TEXT.replace("_T", f"_{whole}").replace("T,", f"{whole},").replace("T %", f"{whole} %")
    functions[f"sort_{whole}"] = text.replace("RUN", str(_RUN)).replace("BYTES", str(bits // 8))

    def line(s: Scope, o: Reg, j: Reg) -> None:
        start = s.scalar.add(s.scalar.mul(o, n * inner), j)

        def at(s2: Scope, i: Reg) -> Reg:
            return s2.scalar.add(start, s2.scalar.mul(i, inner))

        def pack(s2: Scope, i: Reg, _: Carried) -> None:
            em = s2.scalar
            x = memory.contiguous(em, Reg(code.move(s2, "%x", at(s2, i)), "ptr"), code.ty, None)
            key = _key(em, x, half)
            key = em.not_(key) if op.attrs["descending"] else key
            high = em.shl(em.convert("sext", key, whole), bits // 2)
            low = em.convert("zext", i, whole) if whole != "i64" else i
            em.raw(f"store {whole} {em.or_(high, low).text}, ptr {code.move(s2, '%work', i, whole)}")

        def unpack(s2: Scope, i: Reg, _: Carried) -> None:
            em = s2.scalar
            packed = em.op(f"load {whole}, ptr {code.move(s2, '%work', i, whole)}", whole)
            low = packed if index == whole else em.convert("trunc", packed, index)
            if index == whole:
                low = em.and_(packed, (1 << (bits // 2)) - 1)
            em.raw(f"store {index} {low.text}, ptr {code.move(s2, '%out', at(s2, i), index)}")

        code.each(s, 0, n, pack)
        room = code.move(s, "%work", n, whole)
        s.scalar.raw(f"call void @pb_sort_{whole}(ptr %work, ptr {room}, i64 {n})")
        code.each(s, 0, n, unpack)

    code.each(code.top, 0, outer, lambda s, o, _: code.each(s, 0, inner, lambda s2, j, _: line(s2, o, j)))


def _key(em: Emitter, x: Reg, half: str) -> Reg:
    """An integer that compares as the element does: -0 as 0, NaN as the largest."""
    if x.ty not in ("float", "double"):
        return x
    bits = int(half[1:])
    raw = em.bitcast(x, half)
    raw = em.select(em.compare("eq", raw, -(1 << (bits - 1))), 0, raw)  # no arithmetic: it might flush small numbers
    turned = em.xor(raw, em.lshr(em.ashr(raw, bits - 1), 1))
    return em.select(em.compare("uno", x, x), (1 << (bits - 1)) - 1, turned)


# -- searching -------------------------------------------------------------------------------------------------------

def _searchsorted(code: MatrixCode, op: Op) -> None:
    *batch, n = shape_of(op.operands[0])
    m = shape_of(op.operands[1])[-1]
    index = scalar.MEMORY[op.results[0].type.dtype.short]
    steps = [1 << k for k in range(n.bit_length() - 1, -1, -1)] if n else []

    def one(s: Scope, row: Reg, k: Reg) -> None:
        em = s.scalar
        rows = code.move(s, "%rows", em.mul(row, n))
        place = em.add(em.mul(row, m), k)
        v = memory.contiguous(em, Reg(code.move(s, "%values", place), "ptr"), code.ty, None)
        found = Reg("0", "i64")
        for step in steps:
            end = em.add(found, step)
            inside = em.compare("sle", end, n)
            at: Size = em.select(inside, em.sub(end, 1), 0)
            x = memory.contiguous(em, Reg(code.move(s, rows, at), "ptr"), code.ty, None)
            found = em.select(em.and_(inside, _before(em, x, v, bool(op.attrs["right"]))), end, found)
        out = found if index == "i64" else em.convert("trunc", found, "i32")
        em.raw(f"store {index} {out.text}, ptr {code.move(s, '%out', place, index)}")

    code.each(code.top, 0, prod(batch), lambda s, r, _: code.each(s, 0, m, lambda s2, k, _: one(s2, r, k)))


def _before(em: Emitter, x: Reg, v: Reg, right: bool) -> Reg:
    """Whether x comes before v (`right`: not after it), NaN being the largest."""
    if x.ty not in ("float", "double"):
        return em.compare("sle" if right else "slt", x, v)
    last = em.compare("uno", v, v)
    if right:
        return em.or_(em.compare("ole", x, v), last)
    return em.or_(em.compare("olt", x, v), em.and_(last, em.compare("ord", x, x)))
