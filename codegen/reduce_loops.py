"""Accumulators: how the elements of a reduction come together.

Each lane keeps its own running value in a register through the innermost loop (on the stack between loops further
out); lanes are joined as a binary tree when the reduction is complete. Sums of f32 that are cut into blocks go on
in f64 from block to block. The shape of all this follows from the sizes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..ir.graph import Value
from . import memory, scalar
from .emitter import Emitter, Reg
from .plan import Root
from .scope import Scope, Val

if TYPE_CHECKING:
    from .evaluate import Evaluator

_FLOATS = ("float", "double")


def identity(kind: str, dtype: str) -> float:
    """The value that changes nothing: what a reduction of no elements gives (0 for a sum, though -0.0 starts one)."""
    if kind in ("sum", "any"):
        return 0
    if kind in ("prod", "all"):
        return 1
    if dtype in ("f32", "f64"):
        return float("-inf") if kind == "max" else float("inf")
    if dtype == "bool":
        return 0 if kind == "max" else 1
    bits = 31 if dtype == "i32" else 63
    return -(1 << bits) if kind == "max" else (1 << bits) - 1


def combine(em: Emitter, kind: str, a: Reg, b: Reg) -> Reg:
    """Two running values as one. A NaN on either side makes the larger or smaller NaN, as in NumPy."""
    real = a.ty in _FLOATS
    if kind in ("any", "all") or a.ty == "i1":
        return em.or_(a, b) if kind in ("any", "max") else em.and_(a, b)
    if kind == "sum":
        return em.fadd(a, b) if real else em.add(a, b)
    if kind == "prod":
        return em.fmul(a, b) if real else em.mul(a, b)
    chosen = em.compare(("o" if real else "s") + ("gt" if kind == "max" else "lt"), b, a)
    if real:
        chosen = em.or_(chosen, em.compare("uno", b, b))
    return em.select(chosen, b, a)


def total(scope: Scope, kind: str, x: Reg) -> Reg:
    """The lanes as one value."""
    em = scope.wide
    step = em.lanes // 2
    while step:
        order = [(k + step) % em.lanes for k in range(em.lanes)]
        x = combine(em, kind, x, memory.shuffle(em, x, order))
        step //= 2
    return scope.scalar.op(f"extractelement {em.typed(x)}, i64 0", x.ty)


class Accumulator:
    """The running value of one reduction while its loops are written.

    Attributes:
      start: depth of the first loop it takes together. wide: whether there is a value per lane. joined: whether the
      lanes are elements of one result. total: the stack slot of the f64 sum over blocks, or empty. empty: whether there
      may be nothing to take in. partial: where the result of one piece of the nest goes, where it is cut (`pieces`);
      `goes_on` if there is something in it to go on from.
    """

    def __init__(self, ev: Evaluator, root: Root, start: int, wide: bool, joined: bool) -> None:
        self.ev, self.root, self.start, self.wide, self.joined = ev, root, start, wide, joined
        self.dtype = root.target.type.dtype.short
        self.ty = scalar.element(self.dtype)
        self.cell = ""  # stack slot of the lane values, where they outlive the innermost loop
        self.total = ""
        self.now: Reg | None = None
        self.empty = False
        self.partial: Value | None = None
        self.goes_on = False

    def first(self, scope: Scope) -> Reg:
        """The starting value: the identity in every lane."""
        return scope.emitter(self.wide).const(self.neutral(), self.ty)

    def neutral(self) -> float:
        """The identity; of a sum of floats -0.0, which changes not even the sign of a zero."""
        minus = self.root.reduce == "sum" and self.ty in _FLOATS and not self.empty
        return -0.0 if minus else identity(self.root.reduce, self.dtype)

    def add(self, scope: Scope, running: Reg, x: Val) -> Reg:
        """The running value with an element more; lanes outside of the extent stay as they are."""
        em = scope.emitter(self.wide)
        reg = self.ev.spread(x, scope).reg if self.wide else x.reg
        out = combine(em, self.root.reduce, running, reg)
        if scope.mask is not None and self.wide and self.joined:
            out = em.select(scope.mask, out, running)
        return out

    def join(self, scope: Scope, a: Reg, b: Reg) -> Reg:
        """Two running values as one."""
        return combine(scope.emitter(self.wide), self.root.reduce, a, b)

    def tree(self, scope: Scope, x: Reg) -> Reg:
        """The lanes as one value."""
        return total(scope, self.root.reduce, x)

    # -- stack slots -------------------------------------------------------------------------------------------------

    def reserve(self, alloca: Callable[[str], str], lanes: int, outlives: bool, blocks: bool) -> None:
        """Stack slots: for lane values that outlive the innermost loop, for the f64 sum where there are blocks."""
        if outlives:
            self.cell = alloca(f"<{lanes} x {self.ty}>" if self.wide else self.ty)
        if blocks:
            per_lane = self.wide and not self.joined
            self.total = alloca(f"<{lanes} x double>" if per_lane else "double")

    def enter(self, scope: Scope) -> None:
        """Before the first loop that is taken together."""
        if self.total:
            em = scope.emitter(self.wide and not self.joined)
            zero = em.const(0.0 if self.empty else -0.0, "double")
            em.raw(f"store {em.typed(zero)}, ptr {self.total}")

    def fresh(self, scope: Scope) -> None:
        """At the start of the loops through which lane values run."""
        start = self.first(scope)
        if self.cell:
            em = scope.emitter(self.wide)
            em.raw(f"store {em.typed(start)}, ptr {self.cell}")
        self.now = start

    def resume(self, scope: Scope) -> Reg:
        """The lane values at the start of the innermost loop."""
        if not self.cell:
            assert self.now is not None
            return self.now
        em = scope.emitter(self.wide)
        return em.op(f"load {em.ty(self.ty)}, ptr {self.cell}", self.ty)

    def pause(self, scope: Scope, reg: Reg) -> None:
        """The lane values at the end of the innermost loop."""
        self.now = reg
        if self.cell:
            em = scope.emitter(self.wide)
            em.raw(f"store {em.typed(reg)}, ptr {self.cell}")

    def flush(self, scope: Scope) -> None:
        """At the end of a block: its sum goes to the f64 total."""
        if not self.total:
            return
        value = self._lanes_done(scope)
        em = scope.emitter(self.wide and not self.joined)
        old = em.op(f"load {em.ty('double')}, ptr {self.total}", "double")
        new = em.fadd(old, em.convert("fpext", value, "double"))
        em.raw(f"store {em.typed(new)}, ptr {self.total}")

    def _lanes_done(self, scope: Scope) -> Reg:
        reg = self.resume(scope)
        return self.tree(scope, reg) if self.wide and self.joined else reg

    def finish(self, scope: Scope) -> None:
        """After the last loop that is taken together: the result is stored."""
        per_lane = self.wide and not self.joined
        em = scope.emitter(per_lane)
        if self.total:
            value = em.op(f"load {em.ty('double')}, ptr {self.total}", "double")
            value = value if self.partial else em.convert("fptrunc", value, "float")
        else:
            value = self._lanes_done(scope)
        if self.goes_on and self.partial is not None:
            if self.partial.type.dtype.short != self.dtype and not self.total:
                value = em.convert("fpext", value, "double")
            before = memory.load(self.ev, self.partial, self.root.position, scope, ())
            value = combine(em, self.root.reduce, before.reg, value)
        result = Val(value, scope.depth, per_lane)
        memory.store(self.ev, self.partial or self.root.target, self.root.position, result, scope)
