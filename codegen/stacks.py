"""Stacks in `main`: growable memory from the process's allocator, changed in place.

A stack value is used once, so all stack values that come from one `stack_new` are the same memory at different
times; what differs is the depth, which is a register (a phi in loops). Where the memory lies and how much there is
stands in a cell of `main`; it is freed on every way out.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from ..ir.graph import Block, Function, Op, Value
from ..ir.types import StackType
from . import memory, scalar
from .buffers import bytes_of
from .emitter import Reg
from .errors import Unsupported
from .regions import carried
from .scope import Val

if TYPE_CHECKING:
    from .module import ModuleWriter

_MAKERS = ("stack_new", "stack_zeros")
OPS = (*_MAKERS, "push", "pop")
_GROW = """
define private i1 @pb_grow(ptr %cell, i64 %wanted, i64 %size) noinline cold nounwind {
  %place = getelementptr i64, ptr %cell, i64 1
  %room = load i64, ptr %place
  %enough = icmp uge i64 %room, %wanted
  br i1 %enough, label %done, label %more
more:
  %twice = shl i64 %room, 1
  %least = add i64 %wanted, MARGIN
  %big = icmp ugt i64 %twice, %least
  %count = select i1 %big, i64 %twice, i64 %least
  %bytes = mul i64 %count, %size
  %old = load ptr, ptr %cell
  %new = call ptr @pb_realloc(ptr %old, i64 %bytes)
  %bad = icmp eq ptr %new, null
  br i1 %bad, label %none, label %good
good:
  store ptr %new, ptr %cell
  store i64 %count, ptr %place
  br label %done
none:
  ret i1 false
done:
  ret i1 true
}"""


def sites(fn: Function) -> dict[Value, Value]:
    """For each stack value the result of the op that made its memory.

    Raises:
      Unsupported: stacks change places, or one is used twice.
    """
    found = _Sites()
    found.block(fn.body, ())
    return {v: found.root(v) for v in found.parent}


class _Sites:
    def __init__(self) -> None:
        self.parent: dict[Value, Value] = {}
        self.home: dict[Value, tuple[tuple[int, int], ...]] = {}
        self.used: dict[Value, list[tuple[tuple[int, int], ...]]] = {}
        self.made: set[Value] = set()

    def root(self, v: Value) -> Value:
        while self.parent[v] is not v:
            v = self.parent[v]
        return v

    def define(self, v: Value, path: tuple[tuple[int, int], ...]) -> None:
        self.parent[v] = v
        self.home[v] = path

    def join(self, op: Op, a: Value, b: Value) -> None:
        x, y = self.root(a), self.root(b)
        if x is y:
            return
        if x in self.made and y in self.made:
            raise Unsupported(op, "stacks that change places have no compiled form")
        if y in self.made:
            x, y = y, x
        self.parent[y] = x

    def use(self, op: Op, v: Value, path: tuple[tuple[int, int], ...]) -> None:
        """Checks that this is the only use on its path, in the block of the definition or a branch of it."""
        for other in self.used.setdefault(v, []):
            if not any(a[0] == b[0] and a[1] != b[1] for a, b in zip(path, other, strict=False)):
                raise Unsupported(op, "a stack that is used twice has no compiled form")
        if any(branch < 0 for _, branch in path[len(self.home[v]) :]):
            raise Unsupported(op, "a stack that a loop uses without carrying it has no compiled form")
        self.used[v].append(path)

    def block(self, block: Block, path: tuple[tuple[int, int], ...]) -> None:
        for op in block.ops:
            for v in op.results:
                if isinstance(v.type, StackType):
                    self.define(v, path)
            stacks = [v for v in op.operands if isinstance(v.type, StackType)]
            for v in stacks if op.kind.name != "stack_zeros" else ():
                self.use(op, v, path)
            if op.kind.name in _MAKERS:
                self.made.add(op.results[0])
            elif op.kind.name in ("push", "pop"):
                self.join(op, op.results[0], op.operands[0])
            elif op.regions:
                self.region(op, path)

    def region(self, op: Op, path: tuple[tuple[int, int], ...]) -> None:
        loop = op.kind.name != "if"
        for i, r in enumerate(op.regions):
            inside = (*path, (id(op), -1 - i if loop else i))
            params = r.params[len(r.params) - len(op.results) :] if loop else []
            for p, init in zip(params, carried(op) if loop else [], strict=True):
                if isinstance(p.type, StackType):
                    self.define(p, inside)
                    self.join(op, p, init)
            self.block(r, inside)
            if loop and op.kind.name == "while" and i == 0:
                continue
            for v, result in zip(r.terminator.operands, op.results, strict=True):
                if isinstance(v.type, StackType):
                    self.join(op, result, v)
                    for p, k in zip(params, range(len(params)), strict=True):
                        if op.results[k] is result:
                            self.join(op, p, v)


class StackWriter:
    """The stacks of one module."""

    def __init__(self, module: ModuleWriter) -> None:
        self.m = module
        self.site = sites(module.plan.fn)
        self.cells: dict[Value, str] = {}

    # -- the function round it ---------------------------------------------------------------------------------------

    def start(self) -> list[str]:
        """The cells, empty, for the entry block."""
        lines = []
        for cell in self.cells.values():
            lines += [f"  {cell} = alloca [2 x i64], align 8", f"  store [2 x i64] zeroinitializer, ptr {cell}"]
        return lines

    def end(self) -> list[str]:
        """The memory given back, for a way out."""
        lines = []
        for n, cell in enumerate(self.cells.values()):
            lines += [f"  %f{n} = load ptr, ptr {cell}", f"  call void @pb_free(ptr %f{n})"]
        if not lines:
            return []
        return lines

    def text(self) -> str:
        """The declarations and helpers that stacks need."""
        if not self.cells:
            return ""
        margin = _GROW.replace("MARGIN", "64")
        return f"declare ptr @pb_realloc(ptr, i64)\ndeclare void @pb_free(ptr){margin}"

    def symbols(self) -> dict[str, int]:
        """CPython's raw allocator: the process's own, callable without the GIL on every platform."""
        if not self.cells:
            return {}
        api = ctypes.pythonapi
        found = {"pb_realloc": api.PyMem_RawRealloc, "pb_free": api.PyMem_RawFree}
        return {name: ctypes.cast(f, ctypes.c_void_p).value or 0 for name, f in found.items()}

    # -- ops ---------------------------------------------------------------------------------------------------------

    def write(self, op: Op) -> None:
        """One op on a stack."""
        stack = op.operands[0] if op.operands else None
        if op.kind.name == "stack_new":
            self._set(op.results[0], Reg("0", "i64"))
        elif op.kind.name == "stack_zeros":
            assert stack is not None
            self._zeros(op, self.m.register(stack))
        elif op.kind.name == "push":
            assert stack is not None
            self._push(op, self.m.register(stack))
        else:
            assert stack is not None
            self._pop(op, self.m.register(stack))

    def _set(self, v: Value, depth: Reg) -> None:
        self.m.scope.memo[v] = Val(depth, -1)

    def _cell(self, v: Value) -> str:
        return self.cells.setdefault(self.site[v], f"%stack{len(self.cells)}")

    def _room(self, op: Op, cell: str, wanted: Reg, size: int) -> None:
        """Makes sure that there is memory for this many elements."""
        em = self.m.scope.scalar
        place = em.op(f"getelementptr i64, ptr {cell}, i64 1", "ptr")
        room = em.op(f"load i64, ptr {place.text}", "i64")
        grow, after = em.new_label("grow"), em.new_label("room")
        em.raw(f"br i1 {em.compare('ugt', wanted, room).text}, label %{grow}, label %{after}")
        em.label(grow)
        good = em.op(f"call i1 @pb_grow(ptr {cell}, i64 {wanted.text}, i64 {size})", "i1")
        self.m.fail(em.not_(good), "-1")
        em.raw(f"br label %{after}")
        em.label(after)

    def _element(self, v: Value, depth: Reg) -> str:
        """The address of the element at a depth."""
        em = self.m.scope.scalar
        data = em.op(f"load ptr, ptr {self._cell(v)}", "ptr")
        return em.op(f"getelementptr i8, ptr {data.text}, i64 {em.mul(depth, _size(v)).text}", "ptr").text

    def _push(self, op: Op, depth: Reg) -> None:
        stack, x = op.operands
        em = self.m.scope.scalar
        wanted = em.add(depth, 1)
        self._room(op, self._cell(stack), wanted, _size(stack))
        place = self._element(stack, depth)
        if x.type.shape:
            self.m.move(self.m.pointer(self.m.plan.owner[x]), place, bytes_of(x))
        else:
            memory.write(em, Reg(place, "ptr"), scalar.store_as(em, self.m.register(x)), None)
        self._set(op.results[0], wanted)

    def _pop(self, op: Op, depth: Reg) -> None:
        stack, top = op.results
        em = self.m.scope.scalar
        self.m.fail(em.compare("eq", depth, 0), str(self.m.plan.order[op] + 1))
        left = em.sub(depth, 1)
        place = self._element(stack, left)
        if top.type.shape:
            self.m.move(place, self.m.pointer(top), bytes_of(top))
        else:
            ty = scalar.MEMORY[top.type.dtype.short]
            reg = em.op(f"load {ty}, ptr {place}, align {memory.BYTES[ty]}", ty)
            self.m.scope.memo[top] = Val(scalar.load_as(em, reg), -1)
        self._set(stack, left)

    def _zeros(self, op: Op, depth: Reg) -> None:
        stack = op.results[0]
        em = self.m.scope.scalar
        self._room(op, self._cell(stack), depth, _size(stack))
        data = em.op(f"load ptr, ptr {self._cell(stack)}", "ptr")
        em.decls.setdefault("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        size = em.mul(depth, _size(stack))
        em.raw(f"call void @llvm.memset.p0.i64(ptr {data.text}, i8 0, i64 {size.text}, i1 false)")
        self._set(stack, depth)


def _size(stack: Value) -> int:
    """The bytes of an element."""
    return max(bytes_of(stack), 1)
