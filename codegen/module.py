"""The whole module: constants, kernels, and `main`, which runs the steps in order.

`i32 main(ptr ins, ptr outs, ptr scratch)`: arrays of pointers to the parameters' and results' elements, and the
arena. 0-d values live in registers of `main`; a scalar function is a few instructions, a loop over scalars a loop of
a few. A status other than 0 is 1 + the number of the op (in the order of the text) that failed, or one of those in
`errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..ir.graph import Op, Value
from ..ir.sizes import Session
from ..ir.types import StackType
from . import helpers, memory, opaque, python_calls, scalar, size_table, threads
from .blas import BlasInfo, available
from .buffers import Memory, Place, assign, bytes_of
from .calls import write_call
from .checks import Checks
from .effects import EffectWriter
from .emitter import Context, Emitter, Reg
from .evaluate import Evaluator, dtype_of
from .far import FarValues
from .host import host
from .loops import NAME, KernelCode, KernelWriter
from .nest import attributes
from .plan import Call, Kernel, Leaf, Number, Plan, Rows, is_literal
from .polls import PollWriter
from .region_emit import RegionWriter
from .rows_code import RowsWriter
from .scope import Scope, Val
from .stacks import StackWriter


@dataclass(slots=True)
class Module:
    """The text and what is needed to load and call it: `keep` holds what the code refers to by address."""

    text: str
    memory: Memory
    symbols: dict[str, int] = field(default_factory=dict)
    called: list[tuple[Kernel | Call | Rows, KernelCode]] = field(default_factory=list)  # in order
    keep: list[object] = field(default_factory=list)
    asks_python: bool = False


class _MainEvaluator(Evaluator):
    """Elements that `main` itself reads: a bad index ends the function at once."""

    def __init__(self, module: ModuleWriter) -> None:
        super().__init__(module.plan, module.pointer, module.number, str, module.checks)
        self.fail = module.fail

    def report(self, op: Op, bad: Val, scope: Scope) -> None:
        """Leaves the function where the op cannot go on."""
        self.fail(bad.reg, str(self.plan.order[op] + 1))


class ModuleWriter:
    """Writes the module of one plan."""

    def __init__(
        self,
        plan: Plan,
        donate: Mapping[int, int],
        contract: bool = False,
        bounds: bool = True,
        session: Session | None = None,
    ) -> None:
        self.plan = plan
        self.session = session
        self.checks = Checks(plan.ranges, bounds)
        self.memory = assign(plan, donate)
        self.context = Context(scales=host().has_scalef)
        self.fma = host().has_fma
        self.contract = contract
        self.top = Scope(None, -1, Emitter(0, fma=self.fma, contract=contract, context=self.context), 0)
        self.scope = self.top  # the block being written
        self.far = FarValues(self.top.scalar)
        self.ev = _MainEvaluator(self)
        self.pointers: dict[Value | Place, str] = {}
        self.areas: dict[Place, str] = {}  # pointers to areas that change roles, as they are just now
        self.stacks = StackWriter(self)
        self.effects = EffectWriter(self)
        self.polls = PollWriter(self)
        self.globals: list[str] = []
        self.called: list[tuple[Kernel | Call | Rows, KernelCode]] = []
        self.names: dict[str, str] = {}  # text of a kernel -> its name
        self.functions: dict[str, str] = {}
        self.blas: BlasInfo | None = None
        self.has_status = False
        # A call that fails must leave its donors as they were.
        self.donate = donate
        self.written: set[int] = set()  # results with a donor that hold something new already
        self.torn: set[int] = set()  # those for which that is so where the call may fail
        self.ways_out = 0

    def write(self) -> Module:
        """The module."""
        if self.session is None:
            return self._write()
        with self.session.writing():
            return self._write()

    def _write(self) -> Module:
        for v in (*self.plan.fn.params, *self.plan.fn.results):
            dtype_of(v)
        self.steps(self.plan)
        self._results()
        text, names = helpers.split(self.context.decls)
        head = [*self.globals, text, self.stacks.text(), self.effects.text(), self.polls.text()]
        parts = [*head, *self.functions.values(), *self._kernel_texts(), self._main()]
        symbols = (self.blas.symbols() if self.blas else {}) | self.stacks.symbols()
        if names:
            symbols |= helpers.addresses(names, self.context.decls)
        if "pb_parallel" in self.context.decls:
            symbols["pb_parallel"] = threads.symbol()
        keep: list[object] = [self.blas]
        if self.effects.used:
            symbols |= {"pb_tell": python_calls.symbol("pb_tell"), "pb_teller": id(self.effects.teller)}
            keep.append(self.effects.teller)
        if self.polls.used:
            symbols["pb_poll"] = python_calls.symbol("pb_poll")
        asks = self.effects.used or self.polls.used
        return Module("\n".join(parts) + "\n", self.memory, symbols, self.called, keep, asks)

    def _main(self) -> str:
        start = ["  %status = alloca i32"] if self.has_status else []
        start += [*self.stacks.start(), *self.effects.start(), *self.polls.start()]
        end = ["  br label %leave", "leave:", *self.stacks.end(), "  ret i32 0"]
        if self.has_status:
            end = [
                "  br label %leave", "failed:", "  %bad = load i32, ptr %status", "  br label %leave", "leave:",
                f"  %code = phi i32 [0, %{self.top.scalar.block}], [%bad, %failed]",
                *self.stacks.end(), "  ret i32 %code",
            ]  # fmt: skip
        head = f"define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {attributes()} {{"
        lines = [*start, *self.far.lines(), *end]
        return "\n".join([head, "entry:", *size_table.in_main(lines, len(self.plan.fn.params)), *lines, "}"])

    def _kernel_texts(self) -> list[str]:
        return [
            text.replace(f"@{NAME}.piece", f"@{name}.piece").replace(f"@{NAME}(", f"@{name}(", 1)
            for text, name in self.names.items()
        ]

    # -- operands ----------------------------------------------------------------------------------------------------

    def pointer(self, v: Value) -> str:
        """The address of a buffer, as an operand."""
        place = self.memory.places.get(v)
        if v in self.pointers or place is None:
            if v not in self.pointers:
                self.pointers[v] = self._constant(v)
            return self.pointers[v]
        return self.area(place)

    def area(self, place: Place) -> str:
        """The address of a place: where what changes areas is now, else an operand made outside of all loops."""
        found = self.areas.get(place) or self.pointers.get(place)
        if found is None:
            if place.kind in ("scratch", "ring"):
                offset = place.at if place.kind == "scratch" else self.memory.rings[place][1]
                found = self.top.scalar.op(f"getelementptr i8, ptr {self.far.base}, i64 {offset}", "ptr").text
            else:
                found = self._argument("ins" if place.kind == "in" else "outs", place.at)
            self.pointers[place] = found
        return found

    def _argument(self, table: str, k: int) -> str:
        em = self.top.scalar
        slot = em.op(f"getelementptr ptr, ptr %{table}, i64 {k}", "ptr")
        return em.op(f"load ptr, ptr {slot.text}", "ptr").text

    def _constant(self, v: Value) -> str:
        """A global with the bytes of a constant array."""
        assert isinstance(v.owner, Op)
        data = np.ascontiguousarray(v.owner.attrs["value"]).tobytes()
        name = f"@const{len(self.globals)}"
        text = "\\" + data.hex("\\") if data else ""
        self.globals.append(f'{name} = private unnamed_addr constant [{len(data)} x i8] c"{text}", align 64')
        return name

    def number(self, v: Value) -> Val:
        """The register of a 0-d value, computed or loaded where it is first asked for."""
        hit = self.value(v) if is_literal(v) else self.scope.find(v)
        if hit is None:
            for x in self._missing(v):  # operands first, so that long chains do not recurse
                self.scope.memo[x] = self._compute(x)
                if self.scope is self.top:
                    self.far.note(x)
            hit = self.scope.memo[v]
        elif self.scope is self.top and v in self.top.memo:
            hit = self.top.memo[v] = self.far.near(v, hit)
        return hit

    def _missing(self, v: Value) -> list[Value]:
        """The 0-d values that `v` needs and that are not there yet, `v` last, in program order."""
        todo, seen, out = [v], {v}, []
        while todo:
            x = todo.pop()
            if not x.type.shape and not is_literal(x):
                if self.scope.find(x) is not None:
                    continue
                out.append(x)
            if x not in self.plan.owner and isinstance(x.owner, Op):
                fresh = [y for y in x.owner.operands if y not in seen]
                seen.update(fresh)
                todo.extend(fresh)
        return sorted(out, key=lambda x: self.plan.order.get(x.owner, -1))  # type: ignore[arg-type]

    def _compute(self, v: Value) -> Val:
        owner = self.plan.owner.get(v)
        if owner is None:
            return self.ev.define(v, (), self.scope, ())
        em, ty = self.scope.scalar, scalar.MEMORY[dtype_of(v)]
        reg = em.op(f"load {ty}, ptr {self.pointer(owner)}, align {memory.BYTES[ty]}", ty)
        return Val(scalar.load_as(em, reg), -1)

    def register(self, v: Value) -> Reg:
        """The register of a 0-d value (literals included), or of a stack's depth."""
        return self.scope.find(v).reg if isinstance(v.type, StackType) else self.value(v).reg  # type: ignore[union-attr]

    def fail(self, bad: Reg, status: str) -> None:
        """Ends the function with a status if the condition holds."""
        em = self.scope.scalar
        wrong, good = em.new_label("wrong"), em.new_label("good")
        em.raw(f"br i1 {bad.text}, label %{wrong}, label %{good}")
        em.label(wrong)
        self.leave(status)
        em.label(good)

    def leave(self, status: str) -> None:
        """Ends the function with a status; a label must follow."""
        self.has_status = True
        self.ways_out += 1
        self.torn |= self.written
        self.scope.scalar.raw(f"store i32 {status}, ptr %status")
        self.scope.scalar.raw("br label %failed")

    # -- steps -------------------------------------------------------------------------------------------------------

    def steps(self, plan: Plan) -> None:
        """The steps of a block, one after the other."""
        for step in plan.steps:
            if self.scope is self.top and self.far.turn():
                self.pointers = {k: p for k, p in self.pointers.items() if isinstance(k, Value)}
            if isinstance(step, Kernel):
                self.kernel(step)
            elif isinstance(step, Rows):
                self.invoke(step, RowsWriter(self, step).write())
                self.wrote(*step.targets)
            elif isinstance(step, Call):
                write_call(self, step)
                self.wrote(*step.targets)
            elif isinstance(step, Number):
                assert step.op is not None
                self.number(step.op.results[0])
            else:
                RegionWriter(self, step).write()

    def kernel(self, step: Kernel) -> None:
        """A fused loop nest: a private function and its call; a single point is written here."""
        for r in step.roots:
            if r.base is not None and r.kept:
                self.copy(self.plan.owner[r.base], r.target)
        if 0 in step.domain:
            self._empty(step)
            return
        if not step.domain and not any(r.reduce for r in step.roots):
            self._point(step)
            return
        writer = KernelWriter(self.plan, step, self.context, self.checks, self.fma, self.contract)
        self.invoke(step, writer.write())
        self.wrote(*step.targets)

    def invoke(self, step: Kernel | Call | Rows, code: KernelCode) -> None:
        """The call of a kernel, and the way out when it found a bad index. Equal kernels are one function."""
        sizes = self.name(step, code)
        args = [*sizes, *(f"ptr {self.pointer(v)}" for v in code.pointers)]
        args += [f"{n.reg.ty} {n.reg.text}" for n in map(self.number, code.numbers)]
        em = self.scope.scalar
        if not code.checks:
            em.raw(f"call void @{code.name}({', '.join(args)})")
            return
        status = em.op(f"call i32 @{code.name}({', '.join(args)})", "i32")
        if code.late:
            self.wrote(*step.targets)
        self.fail(em.compare("ne", status, 0), status.text)

    def name(self, step: Kernel | Call | Rows, code: KernelCode) -> list[str]:
        """Gives a kernel's function its name; the arguments that come before its own."""
        code.text, sizes = size_table.in_kernel(code.text)
        code.name = self.names.setdefault(code.text, f"k{len(self.names)}")
        self.called.append((step, code))
        return sizes

    def _point(self, step: Kernel) -> None:
        """A nest of one point: everything is read before anything is written."""
        ev = self.ev
        ev.stored = {Leaf(r.target, r.position): r for r in step.roots if not r.add}
        values = [ev.root(r, self.scope) for r in step.roots]
        ev.stored = {}
        for r, x in zip(step.roots, values, strict=True):
            if r.kept:
                memory.store(ev, r.target, r.position, x, self.scope, add=r.add)
                self.wrote(r.target)

    def find_blas(self) -> BlasInfo:
        self.blas = self.blas or available()
        return self.blas

    def copy(self, source: Value, target: Value) -> None:
        """Makes `target` hold the elements of `source`, unless they share memory."""
        places = self.memory.places
        place = places.get(target)
        if places.get(source) is not None and places.get(source) == place:
            return
        self.move(self.pointer(source), self.pointer(target), bytes_of(target))
        if place is None or places.get(source) != Place("in", self.donate.get(place.at, -1)):
            self.wrote(target)  # a donor that takes its own elements does not change

    def wrote(self, *targets: Value) -> None:
        """Notes that buffers hold something new."""
        for v in targets:
            place = self.memory.places.get(v)
            if place is not None and place.kind == "out" and place.at in self.donate:
                self.written.add(place.at)

    def move(self, source: str, target: str, size: int) -> None:
        """Copies bytes, unless the addresses are the same."""
        em = self.scope.scalar
        em.decls.setdefault("llvm.memmove.p0.p0.i64", "declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)")
        if not size:
            return
        differ = em.op(f"icmp ne ptr {source}, {target}", "i1")
        copy, after = em.new_label("copy"), em.new_label("copied")
        em.raw(f"br i1 {differ.text}, label %{copy}, label %{after}")
        em.label(copy)
        em.raw(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")
        em.raw(f"br label %{after}")
        em.label(after)

    def _empty(self, step: Kernel) -> None:
        """A nest without points: reductions give their identity."""
        for r in step.roots:
            if r.reduce and bytes_of(r.target):
                self.invoke(step, opaque.fill(r, self.context))
                self.wrote(r.target)

    # -- results -----------------------------------------------------------------------------------------------------

    def _results(self) -> None:
        """0-d results are stored, results that live elsewhere are copied: first everything is read, then written."""
        scalars = [(k, self.value(v)) for k, v in enumerate(self.plan.fn.results) if not v.type.shape]
        em = self.scope.scalar
        for source, offset in self.memory.staged.items():
            place = em.op(f"getelementptr i8, ptr %scratch, i64 {offset}", "ptr").text
            self.move(self.pointer(source), place, bytes_of(source))
            self.pointers[source] = place
        for k, source in self.memory.copies:
            self.move(self.pointer(source), self._argument("outs", k), bytes_of(source))
        for k, val in scalars:
            memory.write(em, Reg(self._argument("outs", k), "ptr"), scalar.store_as(em, val.reg), None)

    def value(self, v: Value) -> Val:
        """The register of a 0-d value, literals included."""
        return self.ev.value(v, (), self.scope)
