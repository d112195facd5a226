"""Fusion: which values get buffers, and which roots share a loop nest.

Greedy, in program order: every reduction, every array that must exist (a result, an operand of an opaque step)
becomes a root and joins a kernel of the same domain if no path leads from that kernel to the root through another
step. Reading what the kernel itself stores is fine where it is the element at hand: it is still in a register.
Everything else is written into the kernels that need it. Then the plan is looked over: a value that several kernels
would compute at a cost above that of storing and loading it gets a buffer, and planning starts again with that
knowledge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ..ir import rewrite
from ..ir.control import has_effect
from ..ir.failing import may_fail
from ..ir.graph import Function, Op, Value
from ..ir.ranges import Ranges
from ..ir.sizes import estimate
from . import access, fusion_rules, regions, special
from .fusion_rules import awkward, early, fails, nested, ordered, small_reads, trips
from .overlap import apart
from .plan import (
    Call,
    Kernel,
    Number,
    Obstacle,
    Plan,
    Region,
    Root,
    Steps,
    Walk,
    is_array,
    is_literal,
    number,
    numel,
    reduction,
    slots,
    store,
    write,
)

MAX_INLINE = 200  # ops below a value that is computed where it is read
MAX_DEPTH = 60  # the longest chain among them
MAX_KERNEL = 320  # ops in one kernel
_ROUNDS = 6


def plan(fn: Function) -> Plan:
    """The steps of a static function, those of its regions included.

    Raises:
      Unsupported: for an op or dtype that has no machine form.
    """
    order = {op: k for k, op in enumerate(fn.body.walk())}
    outer = Plan(fn, order=order, inputs=frozenset(fn.params), ranges=Ranges(fn))
    outer.owner.update((p, p) for p in fn.params)
    return _plan(outer)


def _plan(given: Plan) -> Plan:
    """The steps of a block; `given` knows what it shares with the blocks round it, and its parameters' buffers."""
    forced = dict.fromkeys(regions.needed(given.fn.body), "")
    last = {v: k for k, op in enumerate(given.fn.body.ops) for v in rewrite.inputs(op)}
    for _ in range(_ROUNDS):
        planner = _Planner(given, forced, last)
        planner.run()
        more = dict.fromkeys(planner.dear(), "computing it again costs more than reading it")
        more |= dict.fromkeys(awkward(planner.plan, planner.walks), "with a buffer its reshape is free")
        kernels = [s for s in planner.steps if isinstance(s, Kernel)]
        more |= dict.fromkeys(fusion_rules.across(kernels), "it is read many times across memory")
        more |= dict.fromkeys(planner.overlapping, "what it reads is overwritten")
        if not more.keys() - forced.keys():
            break
        forced = more | forced
    planner.finish()
    for step in planner.plan.steps:
        if isinstance(step, Region):
            for inner in regions.blocks(step, planner.plan):
                step.plans.append(_plan(inner))
    given.owner.update(planner.plan.owner)
    given.registers |= planner.plan.registers
    given.steps = planner.plan.steps
    return given


class _Planner:
    """One round of planning."""

    def __init__(self, given: Plan, forced: dict[Value, str], last: dict[Value, int]) -> None:
        self.plan = given.copy()  # what one round decides, the next one must not see
        self.forced = forced  # what must have a buffer, and why if the program does not say so itself
        self.last = last  # the last op of the block that uses a value
        self.at = 0  # the op being looked at
        self.lookers: defaultdict[Value, list[Value]] = defaultdict(list)  # inlined values that read a buffer
        self.steps: list[Steps] = []
        # The steps of this block that a value reads from, directly; none for values of the blocks round it.
        self.need: defaultdict[Value, int] = defaultdict(int)
        self.readers: defaultdict[Value, int] = defaultdict(int)  # the steps that read a buffer
        self.made: dict[Value, int] = {}  # the kernels that write (parts of) a value
        self.below: dict[Value, frozenset[Value]] = {}  # the inlined values a value is made of, itself included
        self.depth: dict[Value, int] = {}
        self.kernels: dict[tuple[int, ...], list[Kernel]] = {}
        self.walks: list[Walk] = []
        self.overlapping: set[Value] = set()  # what must be read before an array is written into
        self.reduced: dict[tuple[Value, str, tuple[int, ...]], Value] = {}
        self.effect = 0  # the last step with an effect
        self.twisted: dict[Steps, None] = {}  # steps that come after some with a higher number
        self.sources: dict[Value, frozenset[Value]] = {}  # the buffers that an inlined value is read from

    # -- building ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Goes through the block once."""
        early_ops = early(self.plan.fn.body.ops)
        moved: set[Op] = set()
        for k, op in enumerate(self.plan.fn.body.ops):
            self.at = k
            todo = [] if op in moved else [op]
            while todo:
                now = todo.pop()
                self.visit(now)
                moved.add(now)
                todo += [x for v in now.results for x in early_ops.get(v, ())]

    def visit(self, op: Op) -> None:
        """Decides about one op."""
        f = access.form(op)
        if f == access.RETURN:
            return
        if f == access.OPAQUE:
            self.call(op)
        elif f == access.REGION:
            self.region(op)
        elif f == access.REDUCE:
            self.reduce(op)
        elif f == access.WRITE:
            self.place(*write(op))
        elif access.is_view(op) and op.operands[0] in self.plan.owner:
            self.plan.owner[op.results[0]] = self.plan.owner[op.operands[0]]
            self.need[op.results[0]] = self.need[op.operands[0]]
        else:
            self.inline(op)

    def inline(self, op: Op) -> None:
        """An op that is written where it is needed, unless its value must have a buffer."""
        v = op.results[0]
        need, below, depth = 0, {v}, 0
        for x in op.operands:
            need |= self.need[x]
            below |= self.below.get(x, frozenset())
            depth = max(depth, self.depth.get(x, 0))
        self.need[v] = need
        if not v.type.shape:
            if any(is_array(x) for x in op.operands) or may_fail(op):
                self.number(op)
            return
        if op.kind.name == "constant" and not is_literal(v):
            self.plan.owner[v] = v
        elif v in self.forced or len(below) > MAX_INLINE or depth >= MAX_DEPTH:
            why = self.forced.get(v, f"more than {MAX_INLINE} ops, or {MAX_DEPTH} in a row, make it")
            for domain, root in slots(op, v) if op.kind.name == "concat" else [store(op, v)]:
                root.why = why
                self.place(domain, root)
        else:
            self.below[v], self.depth[v] = frozenset(below), depth + 1
            owners = {o: None for x in op.operands if x.type.shape for o in self._sources(x)}
            for o in owners:
                self.lookers[o].append(v)
            self.sources[v] = frozenset(owners).union(*(self._sources(x) for x in op.operands if not x.type.shape))

    def _sources(self, x: Value) -> Iterable[Value]:
        """`plan.owners`, kept for what is inlined: what makes that does not change any more."""
        return self.sources[x] if x in self.sources else self.plan.owners(x)

    def reduce(self, op: Op) -> None:
        """A reduction; one that was made before, with or without its dimensions of size 1, is that one."""
        key = (op.operands[0], access.reduction(op), tuple(op.attrs["axes"]))
        made = self.reduced.setdefault(key, op.results[0])
        if made is op.results[0]:
            self.place(*reduction(op))
        else:
            self.plan.owner[op.results[0]] = made
            self.need[op.results[0]] = self.need[made]

    def call(self, op: Op) -> None:
        """An op that is a step of its own."""
        special.check(op)
        inputs = special.inputs(op)
        step = Call(len(self.steps), op=op, inputs=inputs, work=special.workspace(op))
        for v in inputs:
            step.deps |= self.closure(self.need[v])
        self.in_order(step, op)
        if op.kind.name in special.SCATTERS:
            self.overwrite(inputs[0])
            step.deps |= self.closure(self.readers[self.plan.owner[inputs[0]]])
        self.steps.append(step)
        for v in inputs:
            for o in self.plan.owners(v):
                self.readers[o] |= step.bit
        self.plan.owner.update((v, v) for v in step.targets)
        self.plan.registers.update(v for v in op.results if v not in step.targets)
        self.need.update((v, step.bit) for v in op.results)

    def number(self, op: Op) -> None:
        """A scalar from arrays: read here, so that the arrays may be overwritten afterwards."""
        v = op.results[0]
        step = Number(len(self.steps), op=op, reads=self.plan.walk(number(op)))
        self.in_order(step, op)
        for leaf in step.reads.leaves:
            step.deps |= self.closure(self.need[leaf.owner])
        for x in step.reads.scalars:
            step.deps |= self.closure(self.need[x])
        self.steps.append(step)
        self.note(step, step.reads)
        self.plan.registers.add(v)
        self.need[v] = step.bit

    def region(self, op: Op) -> None:
        """A loop or branch. It runs after all that read an array it may overwrite."""
        regions.check(op)
        written = regions.carried(op)
        if op.kind.name == "if":
            written = [x.operands[0] for r in op.regions for x in r.walk() if access.form(x) == access.WRITE]
        for v in written:
            self.overwrite(v)
        step = Region(len(self.steps), op=op, inputs=tuple(rewrite.inputs(op)))
        self.in_order(step, op)
        for v in step.inputs:
            step.deps |= self.closure(self.need[v])
            for o in self.plan.owners(v) if is_array(v) else ():
                step.deps |= self.closure(self.readers[o])
        self.steps.append(step)
        for v in step.inputs:
            for o in self.plan.owners(v):
                self.readers[o] |= step.bit
        for v in op.results:
            self.need[v] = step.bit
            if is_array(v):
                self.plan.owner[v] = v
            else:
                self.plan.registers.add(v)

    def in_order(self, step: Steps, op: Op) -> None:
        """Effects run in program order, and what may fail after those before it."""
        step.deps |= self.closure(self.effect)
        if has_effect(op):
            self.effect = step.bit

    def overwrite(self, base: Value) -> None:
        """An array is about to be written into, if nothing reads it later: what looks at it must be made before."""
        owner = self.plan.owner.get(base)
        if owner is None or owner in self.plan.inputs:
            return
        if self.last.get(base, -1) <= self.at:
            self.overlapping.update(v for v in self.lookers[owner] if self.last.get(v, -1) > self.at)

    def note(self, step: Steps, reads: Walk) -> None:
        """Remembers which buffers a step reads."""
        for leaf in reads.leaves:
            self.readers[leaf.owner] |= step.bit

    # -- placing roots -----------------------------------------------------------------------------------------------

    def place(self, domain: tuple[int, ...], root: Root) -> None:
        """Puts a root into the best kernel that may take it, or into a new one."""
        reads = self.plan.walk(root)
        self.walks.append(reads)
        if root.base is not None:
            self.overwrite(root.base)
            all_of_it = self._crosses(root, reads)
            self.overlapping.update(root.op.operands[1:2] if all_of_it else small_reads(self.plan, root, reads))
        found = [(k, self.obstacle(k, root, reads)) for k in reversed(self.kernels.get(domain, [])[-8:])]
        fit = [k for k, obstacle in found if obstacle is None]
        if fit:
            best = max(fit, key=lambda k: sum(leaf in k.reads.leaves for leaf in reads.leaves))
        else:
            best = Kernel(len(self.steps), domain=domain, apart=next(((k, o) for k, o in found if o), None))
            self.steps.append(best)
            self.kernels.setdefault(domain, []).append(best)
        self.join(best, root, reads)

    def obstacle(self, kernel: Kernel, root: Root, reads: Walk) -> Obstacle | None:
        """Why the root cannot be computed in the kernel's loop; None if it can."""
        mine, its = reads.visits, kernel.reads.visits
        if (len(mine) + len(its) > MAX_KERNEL and len(its.keys() | mine.keys()) > MAX_KERNEL) or 0 in kernel.domain:
            return Obstacle(f"together they would have more than {MAX_KERNEL} ops")
        if root.reduce and not nested(kernel, root):
            return Obstacle("{} is reduced over other levels", root.target)
        for v in reads.scalars if root.base is None else (*reads.scalars, root.base):
            if self.closure(self.need[v]) & kernel.bit:
                how = "complete only" if self.need[v] & kernel.bit else "made"
                return Obstacle(f"{{}} is {how} after that loop", v)
        if root.base is not None and self.closure(self._readers(root.base) & ~kernel.bit) & kernel.bit:
            return Obstacle("what else reads {} must run before it is written into", root.base)
        if self.effect and fails(root, reads) and self.closure(self.effect) & kernel.bit:
            return Obstacle("{} may fail, which must come after an effect", root.target)
        if self._crosses(root, kernel.reads):
            return Obstacle("it reads other elements of {}, which is written into", root.base)
        return self._unready(kernel, reads)

    def _unready(self, kernel: Kernel, reads: Walk) -> Obstacle | None:
        """What the kernel's loop would read too early, if anything."""
        stored = {r.target: r.position for r in kernel.roots if not r.reduce and not r.add}
        for leaf in reads.leaves:
            mask = self.need[leaf.owner]
            if mask == kernel.bit:
                if leaf.owner not in stored:
                    return Obstacle("{} is complete only after that loop", leaf.owner)
                if stored[leaf.owner] != leaf.position:
                    return Obstacle("{} is read at other elements than the one at hand", leaf.owner)
            elif self.closure(mask) & kernel.bit:
                return Obstacle("{} is made after that loop", leaf.owner)
        return None

    def join(self, kernel: Kernel, root: Root, reads: Walk) -> None:
        """Adds a root to a kernel; whatever comes after the kernel now comes after what the root needs, too."""
        deps = self.closure(self.effect) if self.effect and fails(root, reads) else 0
        for leaf in reads.leaves:
            deps |= self.closure(self.need[leaf.owner])
        for v in reads.scalars if root.base is None else (*reads.scalars, root.base):
            deps |= self.closure(self.need[v])
        if root.base is not None:
            deps |= self.closure(self._readers(root.base) & ~kernel.bit)
        self.note(kernel, reads)
        deps &= ~kernel.bit
        if deps & ~kernel.deps:
            self._after(kernel, deps)
            for s in [*self.steps[kernel.number + 1 :], *self.twisted] if kernel.roots else ():
                if s.deps & kernel.bit:
                    self._after(s, deps)
        kernel.roots.append(root)
        kernel.reads.update(reads)
        v = root.target
        self.plan.owner[v] = v
        self.made[v] = self.need[v] = self.made.get(v, 0) | kernel.bit

    def _after(self, step: Steps, deps: int) -> None:
        """More that must come before a step, known to all that asks which steps come after some other one."""
        step.deps |= deps
        if deps >> step.number and step not in self.twisted:
            self.twisted[step] = None

    def _crosses(self, root: Root, reads: Walk) -> bool:
        """Whether a loop that writes a small slot reads other elements of the same array.

        Then the array could not be written in place. A temporary of the slot's size costs less than a copy of it.
        """
        if root.base is None or 2 * numel(root.op.operands[1]) > numel(root.base):
            return False
        owner = self.plan.owner[root.base]
        places = {leaf.position for leaf in reads.leaves if leaf.owner is owner} - {root.position}
        return not all(apart(p, root.position, self.plan.ranges) for p in places)

    def _readers(self, base: Value) -> int:
        """The steps that read an array that is about to be written into."""
        return self.readers[self.plan.owner[base]]

    def closure(self, mask: int) -> int:
        """The steps of a set and all that must come before them."""
        out = mask
        while mask:
            low = mask & -mask
            out |= self.steps[low.bit_length() - 1].deps
            mask ^= low
        return out

    # -- looking the plan over ---------------------------------------------------------------------------------------

    def dear(self) -> Iterator[Value]:
        """Inlined values that are computed so often that a buffer is cheaper; of a chain only the last one."""
        total: dict[Value, int] = {}
        for step in self.steps:
            if isinstance(step, Kernel):
                for v, at in step.reads.visits:
                    if v in self.below:
                        total[v] = total.get(v, 0) + trips(step.domain, at)
        covered: set[Value] = set()
        for v in sorted(total, key=lambda v: -self.plan.order[v.owner]):  # type: ignore[index]
            if v in covered or access.form(v.owner) != access.ELEMENTWISE:  # type: ignore[arg-type]
                continue
            work = sum(access.cost(x.owner) for x in self.below[v])  # type: ignore[arg-type, misc]
            size = estimate(numel(v))
            if (estimate(total[v]) - size) * work > fusion_rules.MEMORY * size + fusion_rules.LAUNCH:
                covered |= self.below[v]
                yield v

    # -- results -----------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Marks stores that nobody outside of their kernel reads, and puts the steps in order."""
        fusion_rules.mark_dead_stores(self.plan, self.steps, self.need)
        self.plan.steps += ordered([s for s in self.steps if not isinstance(s, Kernel) or s.targets])
