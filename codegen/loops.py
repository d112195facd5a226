"""A kernel as LLVM text: the loop nest of a schedule, with every root evaluated at every point.

The vector level becomes a loop of whole vectors and, where the extent is no multiple, masked lanes for the rest; a
heavy body is written once, masked, instead of twice. Extents are known; where a block of a sum ends early the bound
is a register.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ir.graph import Value
from ..ir.sizes import divides
from . import access, active, memory, scalar, turned
from .checks import Checks
from .emitter import Context, Emitter, Reg
from .evaluate import Evaluator, dtype_of
from .nest import Schedule, attributes, schedule
from .pieces import Pieces, PieceWriter, partial, pieces
from .plan import Kernel, Leaf, Plan, Root, is_literal
from .reduce_loops import Accumulator
from .scope import Carried, Scope, Val, loop, once
from .sources import literal

NAME = "kernel"


@dataclass(slots=True)
class KernelCode:
    """A private function of the module, called `NAME` until the module gives it one.

    Attributes:
      name, text: the function. pointers: whose buffers it takes, in order. numbers: the 0-d values after them.
      checks: whether it returns an i32 status instead of nothing; `late` if something may have been written then.
      schedule: its loops, for dumps (None for a routine). cut: how several threads share it (None: they do not).
    """

    name: str
    text: str
    pointers: list[Value]
    numbers: list[Value]
    checks: bool
    schedule: Schedule | None = None
    late: bool = False
    cut: Pieces | None = None


class KernelWriter:
    """Writes one kernel. `goes_on`: whether partial results go on from stretch to stretch of the cut level."""

    goes_on = False

    def __init__(
        self, plan: Plan, kernel: Kernel, context: Context, checks: Checks, fma: bool, contract: bool = False
    ) -> None:
        self.schedule = self._schedule(kernel)
        self.cut = self._pieces()
        self.partials: dict[Value, str] = {}  # what reductions over the cut level leave, with its address
        self.pointers: dict[Value, str] = {}
        self.numbers: dict[Value, Val] = {}
        self.allocas: list[str] = []
        self.checks = False
        # Names of its own, so that equal kernels have equal texts (and are compiled once).
        em = Emitter(0, fma=fma, contract=contract, context=context.renamed())
        self.top = Scope(None, -1, em, self.schedule.lanes)
        self.ev = Evaluator(plan, self._pointer, self._number, self._status, checks, self.schedule.vector)
        self.ev.order = self.schedule.depth
        self.ev.limits = active.common(plan, self.schedule.roots)
        self.limited = {limit.level for limit in self.ev.limits}
        self.accumulators = self._accumulators()

    def _schedule(self, kernel: Kernel) -> Schedule:
        return schedule(kernel)

    def _pieces(self) -> Pieces | None:
        return pieces(self.schedule)

    # -- what the function is given ----------------------------------------------------------------------------------

    def _pointer(self, v: Value) -> str:
        return self.partials.get(v) or self.pointers.setdefault(v, f"%b{len(self.pointers)}")

    def _number(self, v: Value) -> Val:
        if v not in self.numbers:
            self.numbers[v] = Val(Reg(f"%s{len(self.numbers)}", scalar.element(dtype_of(v))), -1)
        return self.numbers[v]

    def _status(self) -> str:
        self.checks = True
        return "%status"

    def _alloca(self, ty: str) -> str:
        name = self.top.scalar.fresh()
        self.allocas.append(f"  {name} = alloca {ty}")
        return name

    def write(self) -> KernelCode:
        """The whole function."""
        self._early_checks()
        self.nest(0, self.top)
        text = self._text()
        late = self.checks and self.ev.reports > self.early
        return KernelCode(
            NAME, text, list(self.pointers), list(self.numbers), self.checks, self.schedule, late, self.cut
        )

    def _text(self) -> str:
        return self._whole() if self.cut is None else self._in_pieces(self.cut)

    def _whole(self, *more: str) -> str:
        params = [f"ptr {p}" for p in self.pointers.values()]
        params += [f"{n.reg.ty} {n.reg.text}" for n in self.numbers.values()]
        params += more
        head = f"define private {'i32' if self.checks else 'void'} @{NAME}({', '.join(params)}) {self._attributes()} {{"
        end = ["  ret void"]
        if self.checks:
            self.allocas += ["  %status = alloca i32", "  store i32 0, ptr %status"]
            end = ["  %failed = load i32, ptr %status", "  ret i32 %failed"]
        return "\n".join([head, "entry:", *self.allocas, *self.top.scalar.lines, *end, "}"])

    def _attributes(self) -> str:
        return attributes(len(self.top.scalar.lines))

    def _in_pieces(self, cut: Pieces) -> str:
        """The nest as a function that does one piece, and one that has them done and joins what they leave."""
        accs = [a for a in self.accumulators if a.partial is not None]
        results = [self._pointer(a.root.target) for a in accs]
        writer = PieceWriter(NAME, cut, self._attributes(), self.checks)
        writer.pointers = list(self.pointers.values())
        writer.numbers = [n.reg for n in self.numbers.values()]
        extent, em = self.schedule.extents[cut.level], self.top.scalar
        return writer.write(extent, accs, results, self.allocas, em.lines, em.context)

    def _early_checks(self) -> None:
        """Looks at indices that are the same at every point, and leaves before anything is written if one is bad."""
        for root in self.schedule.roots:
            for a in access.dynamics(root.out):
                if not a.value.type.shape:
                    self.ev.atom(a, self.top)
        for leaf in self.schedule.reads.leaves:
            for a in access.dynamics((leaf.position,)):
                if not a.value.type.shape:
                    self.ev.atom(a, self.top)
        self.early = self.ev.reports
        if self.checks:
            em = self.top.scalar
            bad, wrong, good = em.op("load i32, ptr %status", "i32"), em.new_label("wrong"), em.new_label("good")
            em.raw(f"br i1 {em.compare('ne', bad, 0).text}, label %{wrong}, label %{good}")
            em.label(wrong)
            em.raw(self._bad_end(bad))
            em.label(good)

    def _bad_end(self, bad: Reg) -> str:
        return "ret void" if self.cut else f"ret i32 {bad.text}"

    # -- loops -------------------------------------------------------------------------------------------------------

    def _accumulators(self) -> list[Accumulator]:
        s, last = self.schedule, len(self.schedule.order) - 1
        out = []
        for root in s.roots:
            if root.reduce:
                start = s.start(root)
                blocks = s.split is not None and s.depth[s.split] >= start
                joined = s.vector in root.axes
                wide = s.vector is not None
                acc = Accumulator(self.ev, root, start, wide, joined)
                cut = blocks and root.reduce == "sum" and root.target.type.dtype.short == "f32"
                begin = s.depth[s.split] if cut and s.split is not None else start
                outlives = begin < last or (blocks and not cut)
                acc.empty = bool(root.axes & self.limited)
                acc.reserve(self._alloca, s.lanes, outlives, cut)
                if self.cut is not None and self.cut.level in root.axes:
                    acc.goes_on = self.goes_on
                    acc.partial = partial(acc)
                    self.partials[acc.partial] = PieceWriter.part(len(self.partials))
                out.append(acc)
        return out

    def nest(self, depth: int, scope: Scope) -> None:
        """The loops from `depth` inwards, with the reductions that start here."""
        s = self.schedule
        if depth == len(s.order):
            self.points(scope, 0, [])
            return
        level = s.order[depth]
        here = [a for a in self.accumulators if a.start == depth]
        for acc in here:
            acc.enter(scope)
            if not acc.total:
                acc.fresh(scope)
        if level == s.split:
            self.blocks(depth, scope)
        else:
            self.level(depth, scope, *self.bounds(level))
        for acc in here:
            acc.finish(scope)

    def bounds(self, level: int) -> tuple[str, str]:
        """Where the loop of a level begins and ends, as operands: where something is done, if that is known."""
        low, high = "0", str(self.schedule.extents[level])
        if self.cut is not None and level == self.cut.level:
            low, high = "%low", "%high"
        if level not in self.limited:
            return low, high
        em = self.top.scalar
        for limit in sorted(self.ev.limits, key=lambda m: (m.low, id(m.bound))):
            if limit.level == level:
                bound = literal(limit.bound) if is_literal(limit.bound) else self._number(limit.bound)
                if limit.low:
                    low = em.intrinsic("smax", bound.reg, Reg(low, "i64")).text
                else:
                    high = em.intrinsic("smin", bound.reg, Reg(high, "i64")).text
        return low, em.intrinsic("smax", Reg(high, "i64"), Reg(low, "i64")).text

    def blocks(self, depth: int, scope: Scope) -> None:
        """The level cut into blocks, each of which sums in f32."""
        s = self.schedule
        level = s.order[depth]
        n, size = s.extents[level], s.block
        first, end = self.bounds(level)
        cut = [a for a in self.accumulators if a.total and a.start <= depth]

        def block(inner: Scope, _: Carried) -> Carried:
            low = inner.vars[level]
            em = inner.scalar
            high = em.add(Reg(low, "i64"), size)
            if not divides(size, n) or level in self.limited or not self._even(level, size):
                high = em.intrinsic("smin", high, Reg(end, "i64"))
            for acc in cut:
                acc.fresh(inner)
            self.level(depth, inner, low, high.text)
            for acc in cut:
                acc.flush(inner)
            return []

        loop(scope, depth, level, (first, end, size), [], block, sure=level not in self.limited)

    def level(self, depth: int, scope: Scope, low: str, high: str) -> None:
        """One loop, from `low` to `high` (operands), and what is inside it."""
        s = self.schedule
        last = depth == len(s.order) - 1
        accs = self.accumulators if last else []
        carried = [acc.resume(scope) for acc in accs]

        def inside(inner: Scope, regs: Carried) -> Carried:
            if last:
                return self.points(inner, 0, regs)
            self.nest(depth + 1, inner)
            return regs

        if s.order[depth] == s.turned and not self.limited:
            turned.squares(self, depth, scope, low, high)
        elif s.order[depth] == s.vector:
            carried = self.lanes(depth, scope, low, high, carried, inside)
        else:
            carried = self.run(depth, scope, (low, high, 1), self._carry(accs, carried), inside)
        for acc, reg in zip(accs, carried, strict=True):
            acc.pause(scope, reg)

    def _carry(self, accs: Sequence[Accumulator], regs: Carried) -> list[tuple[Reg, bool]]:
        return [(r, a.wide) for a, r in zip(accs, regs, strict=True)]

    def run(
        self,
        depth: int,
        scope: Scope,
        bounds: tuple[str, str, int],
        carried: list[tuple[Reg, bool]],
        body: Callable[[Scope, Carried], Carried],
    ) -> Carried:
        """A loop, or its body alone where there is one trip, or nothing where there is none."""
        low, high, step = bounds
        level = self.schedule.order[depth]
        if low.isdigit() and high.isdigit():
            if int(low) >= int(high):
                return [r for r, _ in carried]
            if int(high) - int(low) <= step:
                return once(scope, depth, level, low, carried, body)
            return loop(scope, depth, level, bounds, carried, body, sure=True)
        return loop(scope, depth, level, bounds, carried, body, sure=False)

    def lanes(
        self,
        depth: int,
        scope: Scope,
        low: str,
        high: str,
        regs: Carried,
        inside: Callable[[Scope, Carried], Carried],
    ) -> Carried:
        """The vector level: whole vectors, `unroll` of them per trip, then the rest under a mask."""
        s = self.schedule
        w, n = s.lanes, s.extents[s.order[depth]]
        step = w * s.unroll
        accs = self.accumulators if regs else []
        whole = divides(w, n) and s.vector not in self.limited and (s.split != s.vector or divides(w, s.block))
        whole = whole and self._even(s.vector, w)
        middle = high if whole and s.unroll == 1 else self._middle(scope, low, high, step)

        def masked(inner: Scope, carried: Carried) -> Carried:
            if not whole:
                inner.mask = self._mask(inner, inner.vars[s.order[depth]], high)
            return inside(inner, carried)

        if s.heavy and not whole:
            return self.run(depth, scope, (low, high, w), self._carry(accs, regs), masked)
        if s.unroll == 1:
            regs = self.run(depth, scope, (low, middle, w), self._carry(accs, regs), inside)
        else:
            regs = self._unrolled(depth, scope, (low, middle, step), accs, regs)
        if middle == high:
            return regs
        return self.run(depth, scope, (middle, high, w), self._carry(accs, regs), masked)

    def _even(self, level: int | None, step: int) -> bool:
        """Whether pieces of a level, where it is cut, are of whole steps but for what is left at the end."""
        return self.cut is None or level != self.cut.level or divides(step, self.cut.size)

    def _middle(self, scope: Scope, low: str, high: str, step: int) -> str:
        """Where whole trips end."""
        if low.isdigit() and high.isdigit():
            return str(int(low) + (int(high) - int(low)) // step * step)
        s = self.schedule
        even = s.split == s.vector and s.vector not in self.limited and self._even(s.split, s.block)
        if even and divides(s.block, s.extents[s.split]) and s.block % step == 0:  # type: ignore[index]
            return high
        pieces_of_it = self.cut is not None and s.vector == self.cut.level != s.split and self._even(s.vector, step)
        if pieces_of_it and s.vector not in self.limited and divides(step, s.extents[s.vector]):  # type: ignore[index]
            return high  # as the pieces' sizes are multiples of it, too
        em = scope.scalar
        span = em.sub(Reg(high, "i64"), Reg(low, "i64"))
        return em.add(Reg(low, "i64"), em.and_(span, -step)).text

    def _unrolled(
        self, depth: int, scope: Scope, bounds: tuple[str, str, int], accs: Sequence[Accumulator], regs: Carried
    ) -> Carried:
        """The loop over several vectors per trip; each keeps running values of its own, joined after the loop."""
        s = self.schedule
        k = len(accs)
        carried = self._carry(accs, regs)
        for _ in range(1, s.unroll):
            carried += [(acc.first(scope), acc.wide) for acc in accs]

        def body(inner: Scope, inner_regs: Carried) -> Carried:
            out: Carried = []
            for u in range(s.unroll):
                out += self.points(inner, u * s.lanes, inner_regs[u * k : (u + 1) * k])
            return out

        ends = self.run(depth, scope, bounds, carried, body)
        while len(ends) > k:
            half = len(ends) // 2
            ends = [
                accs[j % k].join(scope, a, b) for j, (a, b) in enumerate(zip(ends[:half], ends[half:], strict=True))
            ]
        return ends

    def _mask(self, scope: Scope, low: str, high: str) -> Reg:
        """Which lanes lie below `high`."""
        lanes = self.schedule.lanes
        if low.isdigit() and high.isdigit():
            count = int(high) - int(low)
            return Reg("<" + ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(lanes)) + ">", "i1")
        em = scope.scalar
        rest = em.intrinsic("smin", em.sub(Reg(high, "i64"), Reg(low, "i64")), em.const(lanes, "i64"))
        iota = Reg("<" + ", ".join(f"i32 {k}" for k in range(lanes)) + ">", "i32")
        return scope.wide.compare("slt", iota, scope.wide.splat(em.convert("trunc", rest, "i32")))

    # -- points ------------------------------------------------------------------------------------------------------

    def points(self, scope: Scope, shift: int, regs: Carried) -> Carried:
        """Every root at one point of the domain (a vector of points), `shift` elements on along the lanes."""
        roots = self.schedule.roots if not shift else [self.schedule.shifted(r, shift) for r in self.schedule.roots]
        self.ev.shift = shift
        return self.put(scope, roots, regs)

    def put(self, scope: Scope, roots: list[Root], regs: Carried) -> Carried:
        """These roots at the point at hand."""
        ev = self.ev
        ev.stored = {Leaf(r.target, r.position): r for r in roots if not r.reduce and not r.add}
        running = iter(zip(self.accumulators, regs, strict=True)) if regs else iter(())
        out: Carried = []
        stores: list[tuple[Root, Val]] = []
        for root in roots:
            x = ev.root(root, scope)
            if root.reduce:
                acc, reg = next(running)
                out.append(acc.add(scope, reg, x))
            elif root.kept:
                stores.append((root, x))
        for root, x in stores:
            memory.store(ev, root.target, root.position, x, scope, add=root.add)
        return out
