"""The code of kernels that run together over blocks of rows: each is a function of a stretch of rows, and one more
calls them block after block.

That one is in pieces for threads as a kernel is (`pieces`); reductions over the rows go on from block to block within a
piece and leave a partial result for it. Arrays that only these kernels need lie on the stack of whoever runs a piece.
"""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING

from ..ir.graph import Value
from ..ir.sizes import estimate
from . import access, memory, scalar, size_table
from .emitter import Context, Emitter, Reg
from .evaluate import dtype_of
from .loops import NAME, KernelCode, KernelWriter
from .nest import Schedule, attributes, schedule
from .pieces import LEAST, Pieces, PieceWriter, enough, point, split
from .plan import Kernel, Rows, numel
from .reduce_loops import Accumulator
from .scope import Carried, Scope, loop

if TYPE_CHECKING:
    from .module import ModuleWriter


class BlockWriter(KernelWriter):
    """Writes a kernel as a function of the rows from `%low` to `%high`: at most `step.size`, from a multiple of it."""

    goes_on = True

    def __init__(self, module: ModuleWriter, kernel: Kernel, step: Rows) -> None:
        self.step = step
        super().__init__(module.plan, kernel, module.context, module.checks, module.fma, module.contract)
        self.ev.start = self._start

    def _schedule(self, kernel: Kernel) -> Schedule:
        return schedule(kernel, rows=True)

    def _pieces(self) -> Pieces:
        return Pieces(0, self.step.size, 1, 1)

    def _start(self, v: Value) -> str:
        """What is on the stack begins with the first row of the block, and is addressed as if all rows were there."""
        pointer = self._pointer(v)
        return f"{pointer}.block" if v in self.step.local and v not in self.partials else pointer

    def _text(self) -> str:
        parts = [f"ptr {p}" for p in self.partials.values()]
        moved = []
        for v, name in self.pointers.items():
            if v in self.step.local:
                moved.append(f"  {name}.shift = mul i64 %low, {-self.step.local[v] * memory.BYTES[_stored(v)]}")
                moved.append(f"  {name} = getelementptr i8, ptr {name}.block, i64 {name}.shift")
        self.allocas += moved
        shown = self.pointers
        self.pointers = {v: self._start(v) for v in shown}
        text = self._whole(*parts, "i64 %low", "i64 %high")
        self.pointers = shown
        return text

    def _bad_end(self, bad: Reg) -> str:
        return f"ret i32 {bad.text}"


def _stored(v: Value) -> str:
    return scalar.MEMORY[dtype_of(v)]


class RowsWriter:
    """Writes all functions of one `Rows`."""

    def __init__(self, module: ModuleWriter, step: Rows) -> None:
        self.m, self.step = module, step
        self.writers = [BlockWriter(module, kernel, step) for kernel in step.kernels]
        self.pointers: dict[Value, str] = {}
        self.numbers: dict[Value, Reg] = {}
        self.accs: list[Accumulator] = []

    def write(self) -> KernelCode:
        """The function that runs all, to be called like a kernel; those of the kernels are noted in the module."""
        codes = [writer.write() for writer in self.writers]
        cut = self._cut()
        for kernel, code in zip(self.step.kernels, codes, strict=True):
            code.cut = None  # it is this function that is cut
            self.m.name(kernel, code)
        self._given(codes)
        checks = any(code.checks for code in codes)
        writer = PieceWriter(NAME, cut, attributes(), checks)
        writer.pointers, writer.numbers = list(self.pointers.values()), list(self.numbers.values())
        context: Context = self.m.context.renamed()
        top = Scope(None, -1, Emitter(0, fma=self.m.fma, context=context), 0)
        for k, acc in enumerate(self.accs):
            _begin(top, acc, PieceWriter.part(k))
        size = self.step.size
        loop(top, 0, 0, ("%low", "%high", size), [], lambda inner, _: self._block(inner, codes), sure=True)
        rows = self.step.kernels[0].domain[0]
        results = [self.pointers[a.root.target] for a in self.accs]
        text = writer.write(rows, self.accs, results, [], [*self._stack(), *top.scalar.lines], context)
        return KernelCode(NAME, text, list(self.pointers), list(self.numbers), checks, None, checks, cut)

    def _given(self, codes: list[KernelCode]) -> None:
        """Names for what the function is given."""
        for writer, code in zip(self.writers, codes, strict=True):
            accs = [a for a in writer.accumulators if a.partial is not None]
            self.accs += accs
            for v in (*code.pointers, *(a.root.target for a in accs)):
                if v not in self.step.local:
                    self.pointers.setdefault(v, f"%g{len(self.pointers)}")
            for v in code.numbers:
                self.numbers.setdefault(v, Reg(f"%n{len(self.numbers)}", scalar.element(dtype_of(v))))

    def _cut(self) -> Pieces:
        """How several threads share the rows: one piece where that does not pay."""
        rows, size = self.step.kernels[0].domain[0], self.step.size
        pairs = zip(self.writers, self.step.kernels, strict=True)
        each = sum(point(w.schedule) * estimate(prod(k.domain[1:])) for w, k in pairs)
        left = max((numel(r.target) for k in self.step.kernels for r in k.roots if 0 in r.axes), default=0)
        found = split(0, rows, size, left, enough(rows, each)) if rows >= ceil(LEAST / each) else None
        return found or Pieces(0, -(-rows // size) * size, 1, 1)

    def _stack(self) -> list[str]:
        """A block of rows of each array that is needed here only."""
        return [
            f"  {self._local(v)} = alloca {_stored(v)}, i64 {self.step.size * stride}, align 64"
            for v, stride in self.step.local.items()
        ]

    def _local(self, v: Value) -> str:
        return f"%l{list(self.step.local).index(v)}"

    def _block(self, scope: Scope, codes: list[KernelCode]) -> Carried:
        """The calls for one block."""
        em, low = scope.scalar, Reg(scope.vars[0], "i64")
        high = em.intrinsic("smin", em.add(low, Reg(str(self.step.size), "i64")), Reg("%high", "i64"))
        at = 0
        for writer, code in zip(self.writers, codes, strict=True):
            args = [size_table.TABLE] if size_table.TABLE in code.text else []
            args += [f"ptr {self.pointers.get(v) or self._local(v)}" for v in code.pointers]
            args += [f"{self.numbers[v].ty} {self.numbers[v].text}" for v in code.numbers]
            parts = len(writer.partials)
            args += [f"ptr {PieceWriter.part(k)}" for k in range(at, at + parts)]
            at += parts
            args += [f"i64 {low.text}", f"i64 {high.text}"]
            if not code.checks:
                em.raw(f"call void @{code.name}({', '.join(args)})")
                continue
            status = em.op(f"call i32 @{code.name}({', '.join(args)})", "i32")
            wrong, good = em.new_label("wrong"), em.new_label("good")
            em.raw(f"br i1 {em.compare('ne', status, 0).text}, label %{wrong}, label %{good}")
            em.label(wrong)
            em.raw(f"store i32 {status.text}, ptr %status")
            em.raw("ret void")
            em.label(good)
        return []


def _begin(top: Scope, acc: Accumulator, part: str) -> None:
    """Partial results of a piece, before its first block."""
    v = acc.partial
    assert v is not None
    n, ty = prod(access.shape_of(v)), _stored(v)

    def element(inner: Scope, _: Carried) -> Carried:
        em = inner.scalar
        at = em.op(f"getelementptr {ty}, ptr {part}, i64 {inner.vars[0]}", "ptr")
        start = acc.neutral()
        memory.write(em, at, scalar.store_as(em, em.const(start, scalar.element(v.type.dtype.short))), None)
        return []

    loop(top, 0, 0, ("0", str(n), 1), [], element, sure=True)
