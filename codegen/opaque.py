"""Routines with loops of their own: scatter, argmax, running sums, linear recurrences, fills.

Each is a private function of the module like a kernel. Arrays are seen as [outer, n, inner] around the axis that
matters. Where `inner` has at least a vector of elements the lanes run along it, else the code is scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..ir.graph import Op, Value
from . import memory, scalar
from .access import shape_of
from .emitter import Context, Emitter, Reg
from .host import host
from .loops import NAME, KernelCode
from .nest import attributes, vector_bytes
from .plan import Plan, Root
from .reduce_loops import identity
from .scope import Carried, Scope, loop
from .special import SCATTERS

Body = Callable[[Scope, Carried], Carried]


class _Routine:
    """A function being written; levels are loop depths."""

    def __init__(self, plan: Plan | None, context: Context, lanes: int = 0) -> None:
        self.plan = plan
        self.pointers: dict[Value, str] = {}
        self.numbers: dict[Value, Reg] = {}
        self.top = Scope(None, -1, Emitter(0, fma=host().has_fma, context=context.renamed()), lanes)
        self.lanes = lanes
        self.checks = False

    def pointer(self, v: Value) -> str:
        """The parameter that points to a buffer."""
        owner = v if self.plan is None else self.plan.owner[v]
        return self.pointers.setdefault(owner, f"%b{len(self.pointers)}")

    def finish(self) -> KernelCode:
        """The whole function."""
        params = [f"ptr {p}" for p in self.pointers.values()] + [f"{r.ty} {r.text}" for r in self.numbers.values()]
        end = "  ret i32 0" if self.checks else "  ret void"
        head = f"define private {'i32' if self.checks else 'void'} @{NAME}({', '.join(params)}) {attributes()} {{"
        text = "\n".join([head, "entry:", *self.top.scalar.lines, end, "}"])
        return KernelCode(NAME, text, list(self.pointers), list(self.numbers), self.checks)

    # -- pieces ------------------------------------------------------------------------------------------------------

    def each(self, scope: Scope, n: int, body: Callable[[Scope, Reg], None]) -> None:
        """`for i in range(n)`; n is at least 1."""

        def run(inner: Scope, _: Carried) -> Carried:
            body(inner, Reg(inner.vars[scope.depth + 1], "i64"))
            return []

        loop(scope, scope.depth + 1, scope.depth + 1, ("0", str(n), 1), [], run, sure=True)

    def along(self, scope: Scope, n: int, body: Callable[[Scope, Reg], None]) -> None:
        """The loop over `inner`: whole vectors and a masked rest, or scalars; `body` gets the first index."""
        if not self.lanes:
            self.each(scope, n, body)
            return
        whole = n - n % self.lanes
        level = scope.depth + 1

        def run(inner: Scope, _: Carried) -> Carried:
            body(inner, Reg(inner.vars[level], "i64"))
            return []

        if whole:
            loop(scope, level, level, ("0", str(whole), self.lanes), [], run, sure=True)
        if n > whole:
            mask = Reg("<" + ", ".join(f"i1 {str(k < n - whole).lower()}" for k in range(self.lanes)) + ">", "i1")
            rest = Scope(scope, level, scope.scalar, self.lanes, mask)
            rest.vars[level] = str(whole)
            body(rest, Reg(str(whole), "i64"))

    def load(self, scope: Scope, v: Value, at: Reg, wide: bool = False) -> Reg:
        """The element (or lanes) of an array from a flat position on."""
        ty = scalar.MEMORY[v.type.dtype.short]
        em = scope.emitter(wide)
        where = scope.scalar.op(f"getelementptr {ty}, ptr {self.pointer(v)}, i64 {at.text}", "ptr")
        return scalar.load_as(em, memory.contiguous(em, where, ty, scope.mask if wide else None))

    def store(self, scope: Scope, v: Value, at: Reg, x: Reg, wide: bool = False) -> None:
        """Writes an element (or lanes) at a flat position."""
        ty = scalar.MEMORY[v.type.dtype.short]
        em = scope.emitter(wide)
        where = scope.scalar.op(f"getelementptr {ty}, ptr {self.pointer(v)}, i64 {at.text}", "ptr")
        memory.write(em, where, scalar.store_as(em, x), scope.mask if wide else None)


def _flat(em: Emitter, i: Reg, n: int, j: Reg) -> Reg:
    """i * n + j."""
    return em.add(em.mul(i, n), j)


def _around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _lanes(inner: int, v: Value) -> int:
    lanes = vector_bytes() // (8 if v.type.dtype.short in ("f64", "i64") else 4)
    return lanes if inner >= lanes else 0


def write(plan: Plan, op: Op, context: Context, bounds: bool = True) -> KernelCode:
    """The routine of an opaque op; `bounds` says whether it tests its indices."""
    kind = op.kind.name
    if kind in SCATTERS:
        return _scatter(plan, op, context, bounds)
    if kind in ("argmax", "argmin"):
        return _arg_extreme(plan, op, context)
    return _scan(plan, op, context)


def fill(root: Root, context: Context) -> KernelCode:
    """What a reduction of nothing gives: the identity everywhere."""
    v = root.target
    r = _Routine(None, context, _lanes(prod(shape_of(v)), v))
    start = identity(root.reduce, v.type.dtype.short)

    def body(scope: Scope, i: Reg) -> None:
        wide = bool(r.lanes)
        r.store(scope, v, i, scope.emitter(wide).const(start, scalar.element(v.type.dtype.short)), wide)

    r.along(r.top, prod(shape_of(v)), body)
    return r.finish()


def _scatter(plan: Plan, op: Op, context: Context, bounds: bool) -> KernelCode:
    """out[b, t, indices[b, i], :] += (or =) v[b, t, i, :], in the indices' order; `out` holds the base already.

    All indices are looked at before anything is written, so that an error leaves `out` as it was.
    """
    (base, indices, v), out = op.operands, op.results[0]
    axis, batch = op.attrs["axis"], op.attrs["batch_dims"]
    shape = shape_of(base)
    outer, between, inner = prod(shape[:batch]), prod(shape[batch:axis]), prod(shape[axis + 1 :])
    picks = prod(shape_of(indices)[batch:])
    r = _Routine(plan, context, _lanes(inner, out))
    r.checks = bounds
    for x in (indices, v):  # a 0-d value need not lie in a buffer
        if x.type.shape == ():
            r.numbers[x] = Reg(f"%n{len(r.numbers)}", scalar.element(x.type.dtype.short))
    dtype, wide = out.type.dtype.short, bool(r.lanes)

    def row(scope: Scope, b: Reg, t: Reg, i: Reg) -> None:
        em = scope.scalar
        bt = _flat(em, b, between, t)
        index = _index(r, scope, indices, _flat(em, b, picks, i))
        to, source = em.mul(_flat(em, bt, shape[axis], index), inner), em.mul(_flat(em, bt, picks, i), inner)

        def one(s: Scope, j: Reg) -> None:
            where = s.scalar.add(to, j)
            new = r.numbers.get(v) or r.load(s, v, s.scalar.add(source, j), wide)
            if op.kind.name == "scatter_add":
                old = r.load(s, out, where, wide)
                new = scalar.lower(s.emitter(wide), "add", [old, new], dtype, in_dtype=dtype)
            r.store(s, out, where, new, wide)

        r.along(scope, inner, one)

    if outer * between * picks * inner:
        if bounds:
            _check_all(r, indices, outer * picks, shape[axis], plan.order[op] + 1)
        r.each(
            r.top, outer,
            lambda s, b: r.each(s, between, lambda s2, t: r.each(s2, picks, lambda s3, i: row(s3, b, t, i))),
        )  # fmt: skip
    return r.finish()


def _index(r: _Routine, scope: Scope, indices: Value, at: Reg) -> Reg:
    """An element of the indices as i64."""
    pick = r.numbers.get(indices) or r.load(scope, indices, at)
    return scope.scalar.convert("sext", pick, "i64") if pick.ty == "i32" else pick


def _check_all(r: _Routine, indices: Value, n: int, bound: int, status: int) -> None:
    """Leaves the routine with the status when one of the `n` indices is out of range."""

    def step(s: Scope, carried: Carried) -> Carried:
        index = _index(r, s, indices, Reg(s.vars[0], "i64"))
        return [s.scalar.or_(carried[0], s.scalar.compare("uge", index, bound))]

    em = r.top.scalar
    (bad,) = loop(r.top, 0, 0, ("0", str(n), 1), [(em.const(0, "i1"), False)], step, sure=True)
    wrong, good = em.new_label("wrong"), em.new_label("good")
    em.raw(f"br i1 {bad.text}, label %{wrong}, label %{good}")
    em.label(wrong)
    em.raw(f"ret i32 {status}")
    em.label(good)


def _arg_extreme(plan: Plan, op: Op, context: Context) -> KernelCode:
    """The first largest (smallest) element along the axis; the first NaN if there is one."""
    x, out = op.operands[0], op.results[0]
    outer, n, inner = _around(shape_of(x), op.attrs["axis"])
    r = _Routine(plan, context, _lanes(inner, x))
    wide = bool(r.lanes)
    more = "gt" if op.kind.name == "argmax" else "lt"

    def column(scope: Scope, o: Reg, j: Reg) -> None:
        em, lane = scope.scalar, scope.emitter(wide)
        start = em.add(em.mul(o, n * inner), j)
        best = r.load(scope, x, start, wide)
        place = lane.const(0, "i64")

        def step(s: Scope, carried: Carried) -> Carried:
            value, where = carried
            e = s.emitter(wide)
            i = Reg(s.vars[s.depth], "i64")
            new = r.load(s, x, s.scalar.add(start, s.scalar.mul(i, inner)), wide)
            better = _better(e, more, new, value)
            return [e.select(better, new, value), e.select(better, e.splat(i), where)]

        if n > 1:
            level = scope.depth + 1
            best, place = loop(
                scope, level, level, ("1", str(n), 1), [(best, wide), (place, wide)], step, sure=True
            )
        if out.type.dtype.short == "i32":
            place = lane.convert("trunc", place, "i32")
        if not out.type.shape:
            r.store(scope, out, Reg("0", "i64"), place)
        else:
            r.store(scope, out, em.add(em.mul(o, inner), j), place, wide)

    r.each(r.top, outer, lambda s, o: r.along(s, inner, lambda s2, j: column(s2, o, j)))
    return r.finish()


def _better(em: Emitter, more: str, new: Reg, old: Reg) -> Reg:
    """Whether a later element replaces the best so far."""
    if new.ty == "i1":
        return em.and_(new, em.not_(old)) if more == "gt" else em.and_(em.not_(new), old)
    if new.ty not in ("float", "double"):
        return em.compare("s" + more, new, old)
    return em.and_(em.compare("u" + more, new, old), em.compare("ord", old, old))


def _scan(plan: Plan, op: Op, context: Context) -> KernelCode:
    """cumsum: y[t] = y[t-1] + x[t]. linear_scan: h[t] = a[t] * h[t-1] + v[t]. From either end."""
    out, x = op.results[0], op.operands[-1]
    a = op.operands[0] if op.kind.name == "linear_scan" else None
    outer, n, inner = _around(shape_of(x), op.attrs["axis"])
    r = _Routine(plan, context, _lanes(inner, x))
    wide, dtype = bool(r.lanes), out.type.dtype.short
    exclusive, reverse = op.attrs.get("exclusive", False), op.attrs["reverse"]

    def column(scope: Scope, o: Reg, j: Reg) -> None:
        start = scope.scalar.add(scope.scalar.mul(o, n * inner), j)

        def step(s: Scope, carried: Carried) -> Carried:
            e, em = s.emitter(wide), s.scalar
            t = Reg(s.vars[s.depth], "i64")
            t = em.sub(n - 1, t) if reverse else t
            where = em.add(start, em.mul(t, inner))
            running, new = carried[0], r.load(s, x, where, wide)
            if a is not None:
                running = scalar.lower(e, "mul", [r.load(s, a, where, wide), running], dtype, in_dtype=dtype)
            after = scalar.lower(e, "add", [running, new], dtype, in_dtype=dtype)
            r.store(s, out, where, carried[0] if exclusive else after, wide)
            return [after]

        level = scope.depth + 1
        zero = scope.emitter(wide).const(0, scalar.element(dtype))
        loop(scope, level, level, ("0", str(n), 1), [(zero, wide)], step, sure=True)

    r.each(r.top, outer, lambda s, o: r.along(s, inner, lambda s2, j: column(s2, o, j)))
    return r.finish()
