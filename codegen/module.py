"""The whole module: constants, kernels, and `main`, which runs the steps in order.

`i32 main(ptr ins, ptr outs, ptr scratch)`: arrays of pointers to the parameters' and results' elements, and the
arena. 0-d values live in registers of `main`; a scalar function is a few instructions. A status other than 0 is 1 +
the position of the op that found a bad index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..ir.graph import Op, Value
from . import access, helpers, matmul, memory, opaque, scalar
from .blas import BlasInfo, available
from .buffers import Memory, assign, bytes_of
from .emitter import Context, Emitter, Reg
from .evaluate import Evaluator, dtype_of
from .host import host
from .loops import NAME, KernelCode, KernelWriter, attributes
from .plan import Call, Kernel, Plan, is_literal
from .scope import Scope, Val


@dataclass(slots=True)
class Module:
    """The text and what is needed to load and call it."""

    text: str
    memory: Memory
    symbols: dict[str, int] = field(default_factory=dict)
    called: list[tuple[Kernel | Call, KernelCode]] = field(default_factory=list)  # in order
    keep: BlasInfo | None = None


class ModuleWriter:
    """Writes the module of one plan."""

    def __init__(self, plan: Plan, donate: Mapping[int, int], contract: bool = False) -> None:
        self.plan = plan
        self.memory = assign(plan, donate)
        self.context = Context()
        self.fma = host().has_fma
        self.contract = contract
        self.scope = Scope(None, -1, Emitter(0, fma=self.fma, contract=contract, context=self.context), 0)
        self.ev = Evaluator(plan, self.pointer, self.number, self._status)
        self.pointers: dict[Value, str] = {}
        self.globals: list[str] = []
        self.called: list[tuple[Kernel | Call, KernelCode]] = []
        self.names: dict[str, str] = {}  # text of a kernel -> its name
        self.functions: dict[str, str] = {}
        self.blas: BlasInfo | None = None
        self.has_status = False

    def write(self) -> Module:
        """The module."""
        for v in (*self.plan.fn.params, *self.plan.fn.results):
            dtype_of(v)
        for step in self.plan.steps:
            if isinstance(step, Kernel):
                self.kernel(step)
            else:
                self.call(step)
        self._results()
        em = self.scope.scalar
        start = ["  %status = alloca i32", "  store i32 0, ptr %status"] if self.has_status else []
        end = ["  %failed = load i32, ptr %status", "  ret i32 %failed"] if self.has_status else ["  ret i32 0"]
        head = f"define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {attributes()} {{"
        main = "\n".join([head, "entry:", *start, *em.lines, *end, "}"])
        text, names = helpers.split(self.context.decls)
        parts = [*self.globals, text, *self.functions.values(), *self._kernel_texts(), main]
        symbols = self.blas.symbols() if self.blas else {}
        if names:
            symbols |= helpers.addresses(names, self.context.decls)
        return Module("\n".join(parts) + "\n", self.memory, symbols, self.called, self.blas)

    def _kernel_texts(self) -> list[str]:
        return [text.replace(f"@{NAME}(", f"@{name}(", 1) for text, name in self.names.items()]

    # -- operands ----------------------------------------------------------------------------------------------------

    def pointer(self, v: Value) -> str:
        """The address of a buffer, as an operand."""
        found = self.pointers.get(v)
        if found is None:
            found = self.pointers[v] = self._pointer(v)
        return found

    def _pointer(self, v: Value) -> str:
        em, place = self.scope.scalar, self.memory.places.get(v)
        if place is None:
            return self._constant(v)
        if place.kind == "scratch":
            return em.op(f"getelementptr i8, ptr %scratch, i64 {place.at}", "ptr").text
        return self._argument("ins" if place.kind == "in" else "outs", place.at)

    def _argument(self, table: str, k: int) -> str:
        em = self.scope.scalar
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
        hit = self.value(v) if is_literal(v) else self.scope.memo.get(v)
        if hit is None:
            for x in self._missing(v):  # operands first, so that long chains do not recurse
                self.scope.memo[x] = self._compute(x)
            hit = self.scope.memo[v]
        return hit

    def _missing(self, v: Value) -> list[Value]:
        """The 0-d values that `v` needs and that are not there yet, `v` last, in program order."""
        todo, seen, out = [v], {v}, []
        while todo:
            x = todo.pop()
            if not x.type.shape and not is_literal(x):
                if x in self.scope.memo:
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

    def _status(self) -> str:
        self.has_status = True
        return "%status"

    # -- steps -------------------------------------------------------------------------------------------------------

    def kernel(self, step: Kernel) -> None:
        """A fused loop nest: a private function and its call."""
        for r in step.roots:
            if r.base is not None and r.kept:
                self._copy(self.plan.owner[r.base], r.target)
        if 0 in step.domain:
            self._empty(step)
            return
        writer = KernelWriter(self.plan, step, self.context, self.fma, self.contract)
        self.invoke(step, writer.write())

    def invoke(self, step: Kernel | Call, code: KernelCode) -> None:
        """The call of a kernel, and the way out when it found a bad index. Equal kernels are one function."""
        code.name = self.names.setdefault(code.text, f"k{len(self.names)}")
        self.called.append((step, code))
        args = [f"ptr {self.pointer(v)}" for v in code.pointers]
        for v in code.numbers:
            n = self.number(v)
            args.append(f"{n.reg.ty} {n.reg.text}")
        em = self.scope.scalar
        if not code.checks:
            em.raw(f"call void @{code.name}({', '.join(args)})")
            return
        status = em.op(f"call i32 @{code.name}({', '.join(args)})", "i32")
        bad, good = em.new_label("failed"), em.new_label("next")
        em.raw(f"br i1 {em.compare('ne', status, 0).text}, label %{bad}, label %{good}")
        em.label(bad)
        em.raw(f"ret i32 {status.text}")
        em.label(good)

    def _find_blas(self) -> BlasInfo:
        self.blas = self.blas or available()
        return self.blas

    def _copy(self, source: Value, target: Value) -> None:
        """Makes `target` hold the elements of `source`, unless they share memory."""
        places = self.memory.places
        if places.get(source) is not None and places.get(source) == places.get(target):
            return
        self._move(self.pointer(source), self.pointer(target), bytes_of(target))

    def _move(self, source: str, target: str, size: int) -> None:
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

    def call(self, step: Call) -> None:
        """An opaque step."""
        op = step.op
        assert op is not None
        if op.kind.name == "matmul":
            matmul.emit(op, self.scope, lambda v: self.pointer(self.plan.owner[v]), self.functions, self._find_blas)
            return
        if op.kind.name == "scatter_add":
            self._copy(self.plan.owner[op.operands[0]], op.results[0])
        if not all(access.shape_of(v) == () or bytes_of(v) for v in op.results):
            return
        self.invoke(step, opaque.write(self.plan, op, self.context))

    # -- results -----------------------------------------------------------------------------------------------------

    def _results(self) -> None:
        """0-d results are stored, results that live elsewhere are copied: first everything is read, then written."""
        scalars = [(k, self.value(v)) for k, v in enumerate(self.plan.fn.results) if not v.type.shape]
        for source, offset in self.memory.staged.items():
            em = self.scope.scalar
            place = em.op(f"getelementptr i8, ptr %scratch, i64 {offset}", "ptr").text
            self._move(self.pointer(source), place, bytes_of(source))
            self.pointers[source] = place
        for k, source in self.memory.copies:
            self._move(self.pointer(source), self._argument("outs", k), bytes_of(source))
        for k, val in scalars:
            em = self.scope.scalar
            memory.write(em, Reg(self._argument("outs", k), "ptr"), scalar.store_as(em, val.reg), None)

    def value(self, v: Value) -> Val:
        """The register of a 0-d value, literals included."""
        return self.ev.value(v, (), self.scope)
