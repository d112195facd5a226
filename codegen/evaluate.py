"""Elements as code: the value of any inlined expression at a position, written into the right scope.

`Evaluator.value(v, at, scope)` recurses from a value to the buffers, scalars and constants it is made of. Each
piece of code lands in the outermost loop in which its operands exist; asking again for the same element is free.
Loads choose between a scalar, a vector, a reversed vector and a gather by the stride of the vector level in the
address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..ir.graph import Op, Value
from ..ir.ranges import Ranges
from . import access, scalar
from .access import Bound, Guard
from .active import Limits, settled
from .checks import Checks
from .emitter import Reg
from .errors import Unsupported
from .index_map import At, Atom, Dyn, Index, Quot, Var, bounds
from .plan import Leaf, Plan, Root, is_literal
from .scope import Scope, Val
from .sources import literal, source

if TYPE_CHECKING:
    from .turned import Square

Stored = Mapping[Leaf, Root]


def dtype_of(v: Value) -> str:
    """The short dtype name of a value. Raises Unsupported where code has no form for it."""
    short = v.type.dtype.short
    if short not in scalar.ELEMENT:
        op = v.owner if isinstance(v.owner, Op) else None
        raise Unsupported(op, f"dtype {v.type.dtype.name} has no compiled form")
    return short


class Evaluator:
    """Writes expressions of one function.

    Args:
      pointer: the operand text of a buffer's address. number: the register of a 0-d value.
      status: the text of a pointer to the i32 that checks set, made at the first check. checks: what is tested.
      vector: the level that lanes run along, or None.
    """

    def __init__(
        self,
        plan: Plan,
        pointer: Callable[[Value], str],
        number: Callable[[Value], Val],
        status: Callable[[], str],
        checks: Checks,
        vector: int | None = None,
    ) -> None:
        self.plan = plan
        self.pointer = self.start = pointer  # `start`: of memory that is there, whatever the loops run over
        self.number = number
        self.status = status
        self.checks = checks
        self.vector = vector
        self.order: Mapping[int, int] = {}  # level -> depth
        self.stored: Stored = {}
        self.reports = 0
        self.limits: Limits = frozenset()  # what the loops' bounds see to
        self.shift = 0  # of the points being written, along the lanes
        self.square: Square | None = None  # that is being written

    # -- values ------------------------------------------------------------------------------------------------------

    def root(self, root: Root, scope: Scope) -> Val:
        """What a root stores or takes in at its point."""
        if root.source is not root.target:
            return self.value(root.source, root.at, scope)
        key = (root.source, root.at, ())
        hit = scope.find(key)
        return scope.keep(key, self.define(root.source, root.at, scope, ())) if hit is None else hit

    def value(self, v: Value, at: At, scope: Scope, guard: Guard = ()) -> Val:
        """The element `v[at]`; where `guard` does not hold, some element or other, without touching memory outside."""
        if not v.type.shape:
            return self.number(v) if not is_literal(v) else literal(v)
        key = (v, at, guard)
        hit = scope.find(key)
        if hit is None:
            hit = scope.keep(key, self._value(v, at, scope, guard))
        return hit

    def _value(self, v: Value, at: At, scope: Scope, guard: Guard) -> Val:
        owner = self.plan.owner.get(v)
        if owner is None:
            return self.define(v, at, scope, guard)
        position = access.address(at, access.shape_of(v))
        root = self.stored.get(Leaf(owner, position))
        if root is None:
            return self.load(owner, position, scope, guard)
        return self.root(root, scope)

    def define(self, v: Value, at: At, scope: Scope, guard: Guard) -> Val:
        """The element computed by the op that makes `v`."""
        op = v.owner
        assert isinstance(op, Op)
        f = access.form(op)
        known = settled(op, at, self.limits, self.vector, self.shift) if self.limits else None
        if known is not None:
            return self.value(known.value, known.at, scope, guard)
        if f == access.ELEMENTWISE:
            operands = [self.value(p.value, p.at, scope, guard) for p in access.parts(op, at)]
            return self._elementwise(op, operands, scope, guard)
        if f in (access.MAP, access.GATHER):
            (part,) = access.parts(op, at)
            return self.value(part.value, part.at, scope, guard)
        if f == access.CHOICE:
            return self._choice(op, at, scope, guard)
        if f == access.SOURCE:
            return source(self, op, at, scope)
        raise Unsupported(op, "there is no compiled form of this op")

    def _elementwise(self, op: Op, operands: list[Val], scope: Scope, guard: Guard) -> Val:
        self._refuse(op, operands, scope, guard)
        depth = max((x.depth for x in operands), default=-1)
        wide = any(x.wide for x in operands)
        where = scope.at(depth)
        regs = [self.spread(x, scope).reg if wide else x.reg for x in operands]
        out, taken = dtype_of(op.results[0]), dtype_of(op.operands[-1])
        try:
            reg = scalar.lower(where.emitter(wide), op.kind.name, regs, out, in_dtype=taken, attrs=op.attrs)
        except TypeError as e:
            raise Unsupported(op, str(e)) from None
        return Val(reg, depth, wide)

    def _refuse(self, op: Op, operands: list[Val], scope: Scope, guard: Guard) -> None:
        """Reports an integer divided by zero, or to a negative power (where `guard` holds)."""
        if self.checks.operand(op) is not None:
            predicate = "slt" if op.kind.name == "pow" else "eq"
            bad = self.apply(lambda em, r: em.compare(predicate, r, 0), scope, operands[1])
            self._report(op, bad, scope, guard)

    def spread(self, x: Val, scope: Scope) -> Val:
        """The value in every lane."""
        if x.wide or self.vector is None:
            return x
        if not x.reg.text.startswith("%"):
            return Val(scope.wide.splat(x.reg), x.depth, True)
        hit = scope.find(x)
        if hit is None:
            hit = scope.keep(x, Val(scope.at(x.depth).wide.splat(x.reg), x.depth, True))
        return hit

    def apply(self, opcode: Callable[..., Reg], scope: Scope, *operands: Val) -> Val:
        """An emitter's method on values, in the scope and at the width they need: `apply(Emitter.add, s, a, b)`."""
        depth, wide = max(x.depth for x in operands), any(x.wide for x in operands)
        regs = [self.spread(x, scope).reg if wide else x.reg for x in operands]
        return Val(opcode(scope.at(depth).emitter(wide), *regs), depth, wide)

    # -- choices and guards ------------------------------------------------------------------------------------------

    def _choice(self, op: Op, at: At, scope: Scope, guard: Guard) -> Val:
        """pad or concat: the first part whose bounds hold; the last one otherwise."""
        possible = []
        for part in access.parts(op, at):
            open_bounds = tuple(b for b in part.guard if not _always(b))
            if any(_never(b) for b in open_bounds):
                continue
            possible.append((part, open_bounds))
            if not open_bounds:
                break
        if op.kind.name == "pad" and len(op.operands) == 1 and (not possible or possible[-1][1]):
            result = Val(literal_zero(dtype_of(op.results[0])), -1)
        else:
            part, open_bounds = possible.pop()
            extra = open_bounds if possible or op.kind.name == "concat" else ()
            result = self.value(part.value, part.at, scope, _join(guard, extra))
        for part, open_bounds in reversed(possible):
            inside = self.value(part.value, part.at, scope, _join(guard, open_bounds))
            holds = self.condition(open_bounds, scope)
            result = self.apply(lambda em, c, x, y: em.select(c, x, y), scope, holds, inside, result)
        return result

    def condition(self, guard: Guard, scope: Scope) -> Val:
        """An i1: whether all bounds hold."""
        out: Val | None = None
        for b in guard:
            hit = scope.find(b)
            if hit is None:
                i = self.index(b.place.plus(-b.low), scope)
                size = b.high - b.low
                hit = self.apply(lambda em, x, n=size: em.compare("ult", x, n), scope, i)
                scope.keep(b, hit)
            out = hit if out is None else self.apply(lambda em, x, y: em.and_(x, y), scope, out, hit)
        assert out is not None
        return out

    # -- indices -----------------------------------------------------------------------------------------------------

    def index(self, e: Index, scope: Scope, guard: Guard = ()) -> Val:
        """An index as an i64, per lane where it depends on the vector level. `guard` is for the elements in it."""
        key = (e, guard) if guard else e
        hit = scope.find(key)
        if hit is not None:
            return hit
        out: Val | None = None
        for a, c in self._ordered(e, scope, guard):
            term = self.atom(a, scope, guard)
            if c != 1:
                term = self.apply(lambda em, x, c=c: em.mul(x, c), scope, term)
            out = term if out is None else self.apply(lambda em, x, y: em.add(x, y), scope, out, term)
        if out is None:
            return Val(Reg(str(e.const), "i64"), -1)
        if e.const:
            out = self.apply(lambda em, x: em.add(x, e.const), scope, out)
        return scope.keep(key, out)

    def _ordered(self, e: Index, scope: Scope, guard: Guard) -> list[tuple[Atom, int]]:
        """Terms from the outermost to the innermost, so that sums leave loops as far as they can."""
        if len(e.terms) < 2:
            return list(e.terms.items())
        return sorted(e.terms.items(), key=lambda t: (self.atom(t[0], scope, guard).depth, repr(t[0])))

    def atom(self, a: Atom, scope: Scope, guard: Guard = ()) -> Val:
        """A loop variable, quotient, remainder or checked element as an i64."""
        if isinstance(a, Var):
            return self._variable(a.level, scope)
        key = (a, guard) if guard else a
        hit = scope.find(key)
        if hit is None:
            if isinstance(a, Dyn):
                hit = self.checked(a, scope, guard)
            else:
                opcode, by = ("udiv" if isinstance(a, Quot) else "urem"), a.by
                hit = self.apply(lambda em, x: em.binary(opcode, x, by), scope, self.index(a.of, scope, guard))
            scope.keep(key, hit)
        return hit

    def _variable(self, level: int, scope: Scope) -> Val:
        depth = self.order[level]
        reg = Reg(scope.vars[level], "i64")
        if level != self.vector:
            return Val(reg, depth)
        hit = scope.find(("lanes", level))
        if hit is None:
            where = scope.at(depth)
            lanes = where.wide.lanes
            iota = Reg("<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">", "i64")
            hit = scope.keep(("lanes", level), Val(where.wide.add(where.wide.splat(reg), iota), depth, True))
        return hit

    def checked(self, a: Dyn, scope: Scope, guard: Guard) -> Val:
        """The element, minus `low`; out of range, if it can be, the status is set (where `guard` holds), 0 used."""
        ranges = self.checks.ranges
        if ranges is not None and not a.value.type.shape:
            low, high = ranges.of(a.value)
            if not self.checks.bounds or (a.low <= low and high < a.low + a.extent):
                return self._fits(a, ranges, scope)
        x = self.value(a.value, a.at, scope, guard)
        if x.reg.ty == "i32":
            x = self.apply(lambda em, r: em.convert("sext", r, "i64"), scope, x)
        if a.low:
            x = self.apply(lambda em, r: em.sub(r, a.low), scope, x)
        if not self.checks.bounds:
            return x
        fits = self.apply(lambda em, r: em.compare("ult", r, a.extent), scope, x)
        bad = self.apply(lambda em, c: em.not_(c), scope, fits)
        self._report(a.op, bad, scope, guard)
        return self.apply(lambda em, c, r: em.select(c, r, 0), scope, fits, x)

    def _report(self, op: Op, bad: Val, scope: Scope, guard: Guard) -> None:
        if guard:
            bad = self.apply(lambda em, c, g: em.and_(c, g), scope, bad, self.condition(guard, scope))
        self.report(op, bad, scope)

    def _fits(self, a: Dyn, ranges: Ranges, scope: Scope) -> Val:
        root, c = ranges.offset(a.value)
        hit = scope.find(("i64", root))
        if hit is None:
            x = self.value(root, (), scope)
            if x.reg.ty == "i32":
                x = self.apply(lambda em, r: em.convert("sext", r, "i64"), scope, x)
            hit = scope.keep(("i64", root), x)
        return self.apply(lambda em, r: em.add(r, c - a.low), scope, hit) if c != a.low else hit

    def report(self, op: Op, bad: Val, scope: Scope) -> None:
        """Sets the status where `op` cannot go on: an index out of range, a divisor that is zero."""
        self.reports += 1
        where = scope.at(bad.depth)
        found = bad.reg
        if bad.wide:
            found = where.wide.any(found if where.mask is None else where.wide.and_(found, where.mask))
        em, status = where.scalar, self.status()
        old = em.op(f"load i32, ptr {status}", "i32")
        new = em.select(em.and_(found, em.compare("eq", old, 0)), self.plan.order[op] + 1, old)  # the first one stays
        em.raw(f"store i32 {new.text}, ptr {status}")

    # -- memory ------------------------------------------------------------------------------------------------------

    def place(
        self, owner: Value, position: Index, scope: Scope, guard: Guard = ()
    ) -> tuple[Val, Val | None, int]:
        """An address: (pointer, per-lane offset in elements or None, stride of the lanes where the offset is None)."""
        memory = scalar.MEMORY[dtype_of(owner)]
        wide_terms: dict[Atom, int] = {}
        pointer = Val(Reg(self.pointer(owner), "ptr"), -1)
        const, stride = position.const, 0
        for a, c in self._ordered(Index(0, position.terms), scope, guard):
            if isinstance(a, Var) and a.level == self.vector:
                stride = c
            elif not isinstance(a, Var) and self.atom(a, scope, guard).wide:
                wide_terms[a] = c
            else:
                step = self._scaled(self.atom(a, scope, guard), c, scope)
                if step.reg.text.lstrip("-").isdigit():
                    const += int(step.reg.text)
                else:
                    pointer = self._step(pointer, memory, step, scope)
        offset: Val | None = None
        if wide_terms:
            if stride:
                assert self.vector is not None
                wide_terms[Var(self.vector, 1)] = stride
            offset = self.index(Index(0, wide_terms), scope, guard)
        elif stride:
            assert self.vector is not None
            start = self._scaled(Val(Reg(scope.vars[self.vector], "i64"), self.order[self.vector]), stride, scope)
            if start.reg.text.lstrip("-").isdigit():
                const += int(start.reg.text)
                pointer = Val(pointer.reg, max(pointer.depth, start.depth))
            else:
                pointer = self._step(pointer, memory, start, scope)
        if const:
            pointer = self._step(pointer, memory, Val(Reg(str(const), "i64"), -1), scope)
        return pointer, offset, stride

    def _scaled(self, x: Val, c: int, scope: Scope) -> Val:
        """An index times a constant."""
        if x.reg.text.lstrip("-").isdigit():
            return Val(Reg(str(int(x.reg.text) * c), "i64"), x.depth)
        if c == 1:
            return x
        hit = scope.find(("scaled", x, c))
        if hit is None:
            hit = scope.keep(("scaled", x, c), self.apply(lambda em, r: em.mul(r, c), scope, x))
        return hit

    def _step(self, pointer: Val, memory: str, step: Val, scope: Scope) -> Val:
        key = ("step", pointer, memory, step.reg.text)
        hit = scope.find(key)
        if hit is None:
            depth = max(pointer.depth, step.depth)
            em = scope.at(depth).scalar
            reg = em.op(f"getelementptr {memory}, ptr {pointer.reg.text}, i64 {step.reg.text}", "ptr")
            hit = scope.keep(key, Val(reg, depth))
        return hit

    def load(self, owner: Value, position: Index, scope: Scope, guard: Guard) -> Val:
        """The element at a flat position of a buffer."""
        from .memory import load

        row = None if self.square is None else self.square.load(self, owner, position, scope)
        return row or load(self, owner, position, scope, guard)


def literal_zero(dtype: str) -> Reg:
    """The number 0 of a dtype."""
    float_zero = "0x0000000000000000"
    return Reg({"f32": float_zero, "f64": float_zero, "bool": "false"}.get(dtype, "0"), scalar.element(dtype))


def _always(b: Bound) -> bool:
    low, high = bounds(b.place)
    return b.low <= low and high < b.high


def _never(b: Bound) -> bool:
    low, high = bounds(b.place)
    return high < b.low or b.high <= low


def _join(a: Guard, b: Guard) -> Guard:
    return a + tuple(x for x in b if x not in a)


