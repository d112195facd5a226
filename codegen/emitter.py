"""SSA text builder for LLVM IR: the same code as scalars or as fixed-width vectors.

An ``Emitter`` appends instructions as text (ten times cheaper than building llvmlite.ir objects). With
``lanes=0`` a value of element type ``float`` is a ``float``; with ``lanes=16`` it is a ``<16 x float>``; the
code that drives the emitter does not know the difference. Names and module-level declarations live in a
``Context``, instructions and the current basic block in a ``Body``, so that emitters of several widths can
write into one function, and several functions into one module. No fast-math flag is ever set, and a fused
multiply-add appears only where ``fma`` is called.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..ir.sizes import is_named

INT_BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "i128": 128, "i192": 192}
_SUFFIX = {"float": "f32", "double": "f64"}


class Reg(NamedTuple):
    """An SSA operand: its text (``%t7`` or a constant) and its element type, without the vector wrapping."""

    text: str
    ty: str


Operand = Reg | int | float


@dataclass(slots=True)
class Context:
    """What emitters of one module share: fresh names, and module-level text by symbol name (insertion ordered).

    `scales` tells whether the target scales full vectors by powers of two in one instruction (AVX-512's vscalef).
    """

    names: Iterator[int] = field(default_factory=itertools.count)
    decls: dict[str, str] = field(default_factory=dict)
    scales: bool = False

    def renamed(self) -> Context:
        """The same module, with fresh names that begin anew: for a function whose text must not depend on others."""
        return Context(decls=self.decls, scales=self.scales)


@dataclass(slots=True)
class Body:
    """The instructions of one function (or a piece of one) and the label of the block being written."""

    lines: list[str] = field(default_factory=list)
    block: str = "entry"


def float_bits(value: float, ty: str) -> str:
    """The exact LLVM spelling of a float constant: the hex of a double, which for ``float`` is rounded first."""
    if ty == "float":
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = float("inf") if value > 0 else float("-inf")
    return f"0x{struct.unpack('Q', struct.pack('d', value))[0]:016X}"


class Emitter:
    """Builds straight-line code, and cold branches, at one vector width.

    ``lanes=0`` is scalar code. ``fma`` tells whether the target has fused multiply-add instructions; without, ``fma()``
    gives a product and a sum. ``contract`` allows LLVM to contract the user-visible operations (off by default).
    ``context`` and ``body`` are shared by passing those of another emitter, or with ``scalar()``, ``widen()`` and
    ``fork()``.
    """

    __slots__ = ("body", "context", "contract", "has_fma", "lanes", "prefix")

    def __init__(
        self,
        lanes: int,
        prefix: str = "t",
        *,
        fma: bool = True,
        contract: bool = False,
        context: Context | None = None,
        body: Body | None = None,
    ) -> None:
        self.lanes = lanes
        self.prefix = prefix
        self.has_fma = fma
        self.contract = contract
        self.context = context if context is not None else Context()
        self.body = body if body is not None else Body()

    # -- sharing ---------------------------------------------------------------------------------------------------

    def scalar(self) -> Emitter:
        """A scalar emitter that writes into the same function at the same place."""
        return self.widen(0)

    def widen(self, lanes: int) -> Emitter:
        """An emitter of another width that writes into the same function at the same place."""
        return Emitter(
            lanes, self.prefix, fma=self.has_fma, contract=self.contract, context=self.context, body=self.body
        )

    def fork(self, lanes: int | None = None, block: str = "entry") -> Emitter:
        """An emitter with its own instruction list (another function, or a piece pasted later); names never clash."""
        lanes = self.lanes if lanes is None else lanes
        return Emitter(
            lanes,
            self.prefix,
            fma=self.has_fma,
            contract=self.contract,
            context=self.context,
            body=Body(block=block),
        )

    @property
    def lines(self) -> list[str]:
        """The instructions so far."""
        return self.body.lines

    @property
    def decls(self) -> dict[str, str]:
        """Module-level text by symbol: intrinsic declarations, constants, cold helper functions."""
        return self.context.decls

    @property
    def block(self) -> str:
        """The label of the block being written: what a phi in the next block must name."""
        return self.body.block

    def module_text(self) -> str:
        """All module-level text this emitter's context collected, to be put beside the functions."""
        return "\n".join(self.context.decls.values())

    # -- names, types, constants -----------------------------------------------------------------------------------

    def fresh(self) -> str:
        """A new local name."""
        return f"%{self.prefix}{next(self.context.names)}"

    def ty(self, element: str) -> str:
        """The LLVM type of a value with this element type at this emitter's width."""
        return f"<{self.lanes} x {element}>" if self.lanes else element

    def typed(self, reg: Reg) -> str:
        """``type text``, as an instruction's first operand or a call argument is written."""
        return f"{self.ty(reg.ty)} {reg.text}"

    def suffix(self, element: str) -> str:
        """The overload suffix of an intrinsic: ``f32``, ``v16f32``, ``v8i64``."""
        name = _SUFFIX.get(element, element)
        return f"v{self.lanes}{name}" if self.lanes else name

    def const(self, value: int | float, ty: str) -> Reg:
        """An exact constant, in every lane; a size with a name is a value of the code."""
        if is_named(value) and ty == "i64":
            return self.splat(Reg(str(value), ty))
        if ty in _SUFFIX:
            text = float_bits(float(value), ty)
        elif ty == "i1":
            text = "true" if value else "false"
        else:
            bits = INT_BITS[ty]
            text = str(((int(value) + (1 << (bits - 1))) & ((1 << bits) - 1)) - (1 << (bits - 1)))
        return Reg(f"splat ({ty} {text})" if self.lanes else text, ty)

    def same(self, *operands: Operand) -> list[Reg]:
        """The operands as Regs of one type: Python numbers become constants of the type of the Regs among them."""
        ty = next(o.ty for o in operands if isinstance(o, Reg))
        return [o if isinstance(o, Reg) else self.const(o, ty) for o in operands]

    # -- instructions ----------------------------------------------------------------------------------------------

    def raw(self, line: str) -> None:
        """Append a line that defines nothing."""
        self.body.lines.append("  " + line)

    def op(self, text: str, ty: str) -> Reg:
        """Append ``%fresh = text`` and return the new value, whose element type is ``ty``."""
        name = self.fresh()
        self.body.lines.append(f"  {name} = {text}")
        return Reg(name, ty)

    def binary(self, opcode: str, a: Operand, b: Operand) -> Reg:
        """``opcode type a, b``."""
        x, y = self.same(a, b)
        return self.op(f"{opcode} {self.ty(x.ty)} {x.text}, {y.text}", x.ty)

    def fadd(self, a: Operand, b: Operand) -> Reg:
        return self.binary("fadd", a, b)

    def fsub(self, a: Operand, b: Operand) -> Reg:
        return self.binary("fsub", a, b)

    def fmul(self, a: Operand, b: Operand) -> Reg:
        return self.binary("fmul", a, b)

    def fdiv(self, a: Operand, b: Operand) -> Reg:
        return self.binary("fdiv", a, b)

    def fneg(self, a: Reg) -> Reg:
        return self.op(f"fneg {self.typed(a)}", a.ty)

    def fma(self, a: Operand, b: Operand, c: Operand) -> Reg:
        """a*b + c: fused where the target can, else a rounded product and a sum (never a libm call)."""
        if not self.has_fma:
            x, y, z = self.same(a, b, c)
            return self.fadd(self.fmul(x, y), z)
        return self.intrinsic("fma", *self.same(a, b, c))

    def add(self, a: Operand, b: Operand) -> Reg:
        return self.binary("add", a, b)

    def sub(self, a: Operand, b: Operand) -> Reg:
        return self.binary("sub", a, b)

    def mul(self, a: Operand, b: Operand) -> Reg:
        return self.binary("mul", a, b)

    def and_(self, a: Operand, b: Operand) -> Reg:
        return self.binary("and", a, b)

    def or_(self, a: Operand, b: Operand) -> Reg:
        return self.binary("or", a, b)

    def xor(self, a: Operand, b: Operand) -> Reg:
        return self.binary("xor", a, b)

    def not_(self, a: Reg) -> Reg:
        return self.xor(a, -1 if a.ty != "i1" else 1)

    def shl(self, a: Operand, b: Operand) -> Reg:
        return self.binary("shl", a, b)

    def lshr(self, a: Operand, b: Operand) -> Reg:
        return self.binary("lshr", a, b)

    def ashr(self, a: Operand, b: Operand) -> Reg:
        return self.binary("ashr", a, b)

    def compare(self, predicate: str, a: Operand, b: Operand) -> Reg:
        """fcmp or icmp by operand type; ``predicate`` as LLVM spells it (``olt``, ``une``, ``slt``, ``ne`` ...)."""
        x, y = self.same(a, b)
        opcode = "fcmp" if x.ty in _SUFFIX else "icmp"
        return self.op(f"{opcode} {predicate} {self.ty(x.ty)} {x.text}, {y.text}", "i1")

    def select(self, condition: Reg, a: Operand, b: Operand) -> Reg:
        """Lane by lane: a where the condition holds, else b."""
        x, y = self.same(a, b)
        ty = self.ty(x.ty)
        return self.op(f"select {self.typed(condition)}, {ty} {x.text}, {ty} {y.text}", x.ty)

    def convert(self, opcode: str, a: Reg, ty: str) -> Reg:
        """A conversion instruction: bitcast, trunc, zext, sext, fptrunc, fpext, sitofp, uitofp, fptosi."""
        return self.op(f"{opcode} {self.typed(a)} to {self.ty(ty)}", ty)

    def bitcast(self, a: Reg, ty: str) -> Reg:
        return self.convert("bitcast", a, ty)

    def intrinsic(self, name: str, *args: Reg) -> Reg:
        """``llvm.<name>`` overloaded on the first argument, whose type the result has."""
        symbol = f"llvm.{name}.{self.suffix(args[0].ty)}"
        if symbol not in self.decls:
            types = ", ".join(self.ty(a.ty) for a in args)
            self.decls[symbol] = f"declare {self.ty(args[0].ty)} @{symbol}({types})"
        return self.call(symbol, args[0].ty, *args)

    def call(self, symbol: str, ty: str, *args: Reg) -> Reg:
        """Call a function of the module that takes and gives values at this emitter's width."""
        return self.op(f"call {self.ty(ty)} @{symbol}({', '.join(self.typed(a) for a in args)})", ty)

    def fabs(self, a: Reg) -> Reg:
        return self.intrinsic("fabs", a)

    def sqrt(self, a: Reg) -> Reg:
        return self.intrinsic("sqrt", a)

    def copysign(self, magnitude: Operand, sign: Operand) -> Reg:
        return self.intrinsic("copysign", *self.same(magnitude, sign))

    def minimum(self, a: Operand, b: Operand) -> Reg:
        """a where a < b, else b: for floats a NaN in b survives, one in a does not (one instruction on x86)."""
        return self.select(self.compare(self._less(a, b), a, b), a, b)

    def maximum(self, a: Operand, b: Operand) -> Reg:
        """a where a > b, else b: for floats a NaN in b survives, one in a does not (one instruction on x86)."""
        return self.select(self.compare(self._less(a, b).replace("lt", "gt"), a, b), a, b)

    def _less(self, a: Operand, b: Operand) -> str:
        return "olt" if self.same(a, b)[0].ty in _SUFFIX else "slt"

    def splat(self, a: Reg) -> Reg:
        """A scalar value (of ``self.scalar()``) in every lane."""
        if not self.lanes:
            return a
        if not a.text.startswith("%"):
            return Reg(f"splat ({a.ty} {a.text})", a.ty)
        first = self.op(f"insertelement {self.ty(a.ty)} poison, {a.ty} {a.text}, i64 0", a.ty)
        ty = self.ty(a.ty)
        return self.op(f"shufflevector {ty} {first.text}, {ty} poison, <{self.lanes} x i32> zeroinitializer", a.ty)

    # -- control flow ----------------------------------------------------------------------------------------------

    def new_label(self, hint: str) -> str:
        """A fresh block label."""
        return f"{hint}.{next(self.context.names)}"

    def label(self, name: str) -> None:
        """Start the block ``name``; the block before must have ended in a branch."""
        self.body.lines.append(f"{name}:")
        self.body.block = name

    def any(self, condition: Reg) -> Reg:
        """One scalar i1: whether the condition holds in some lane."""
        if not self.lanes:
            return condition
        symbol = f"llvm.vector.reduce.or.v{self.lanes}i1"
        self.decls.setdefault(symbol, f"declare i1 @{symbol}(<{self.lanes} x i1>)")
        return self.op(f"call i1 @{symbol}({self.typed(condition)})", "i1")

    def cold(self, condition: Reg, fast: Reg, name: str, build: ColdBuilder, *args: Reg) -> Reg:
        """``fast``, except in lanes where ``condition`` holds: there ``build``'s scalar code, out of line.

        The code is a private cold function that takes one element of each of ``args``; ``name`` identifies it in the
        module. When no lane needs it the cost is one test and an untaken branch.
        """
        define_cold(self, name, build, fast.ty, [a.ty for a in args])
        slow, done = self.new_label("cold"), self.new_label("warm")
        start = self.block
        self.raw(f"br i1 {self.any(condition).text}, label %{slow}, label %{done}")
        self.label(slow)
        if self.lanes:
            patched = self.call(f"{name}.v{self.lanes}", fast.ty, condition, fast, *args)
        else:
            patched = self.call(name, fast.ty, *args)
        self.raw(f"br label %{done}")
        self.label(done)
        return self.phi(fast.ty, (fast, start), (patched, slow))

    def phi(self, ty: str, *incoming: tuple[Reg, str]) -> Reg:
        """A phi of (value, label of the block it comes from)."""
        return self.op(f"phi {self.ty(ty)} " + ", ".join(f"[{r.text}, %{b}]" for r, b in incoming), ty)


ColdBuilder = Callable[[Emitter, Sequence[Reg]], Reg]

# optnone: cold code is to compile fast, not to run fast.
_ATTRIBUTES = "noinline optnone cold nounwind"


def define_cold(em: Emitter, name: str, build: ColdBuilder, result: str, arg_types: Sequence[str]) -> None:
    """Define the scalar helper ``@name`` and, for a vector emitter, ``@name.vW`` that runs it on chosen lanes."""
    if name not in em.decls:
        em.decls[name] = ""  # reserves the place: build may need helpers of its own
        inner = em.fork(0)
        args = [Reg(f"%a{k}", ty) for k, ty in enumerate(arg_types)]
        value = build(inner, args)
        head = f"define private {result} @{name}({', '.join(f'{a.ty} {a.text}' for a in args)}) {_ATTRIBUTES} {{"
        em.decls[name] = "\n".join([head, "entry:", *inner.lines, f"  ret {result} {value.text}", "}"])
    if em.lanes and f"{name}.v{em.lanes}" not in em.decls:
        em.decls[f"{name}.v{em.lanes}"] = _lane_loop(em.lanes, name, result, arg_types)


def _lane_loop(lanes: int, name: str, result: str, arg_types: Sequence[str]) -> str:
    """Text of ``@name.vW(mask, fast, args...)``: the fast lanes kept, each masked lane replaced by ``@name``."""
    vector, numbered = f"<{lanes} x {result}>", list(enumerate(arg_types))
    params = ", ".join(f"<{lanes} x {ty}> %a{k}" for k, ty in numbered)
    slots = [f"  %p{k} = alloca <{lanes} x {ty}>" for k, ty in numbered]
    spills = [f"  store <{lanes} x {ty}> %a{k}, ptr %p{k}" for k, ty in numbered]
    picks = [f"  %q{k} = getelementptr {ty}, ptr %p{k}, i64 %i\n  %x{k} = load {ty}, ptr %q{k}" for k, ty in numbered]
    return "\n".join(
        [
            f"define private {vector} @{name}.v{lanes}(<{lanes} x i1> %m, {vector} %fast, {params}) {_ATTRIBUTES} {{",
            "entry:",
            *slots,
            f"  %out = alloca {vector}\n  %mask = alloca <{lanes} x i8>",
            *spills,
            f"  store {vector} %fast, ptr %out\n  %bytes = zext <{lanes} x i1> %m to <{lanes} x i8>",
            f"  store <{lanes} x i8> %bytes, ptr %mask\n  br label %loop",
            "loop:",
            "  %i = phi i64 [0, %entry], [%i1, %next]",
            "  %bit = getelementptr i8, ptr %mask, i64 %i\n  %byte = load i8, ptr %bit",
            "  %chosen = icmp ne i8 %byte, 0\n  br i1 %chosen, label %lane, label %next",
            "lane:",
            *picks,
            f"  %r = call {result} @{name}({', '.join(f'{ty} %x{k}' for k, ty in numbered)})",
            f"  %put = getelementptr {result}, ptr %out, i64 %i\n  store {result} %r, ptr %put\n  br label %next",
            "next:",
            "  %i1 = add nuw nsw i64 %i, 1",
            f"  %end = icmp eq i64 %i1, {lanes}\n  br i1 %end, label %done, label %loop",
            "done:",
            f"  %all = load {vector}, ptr %out\n  ret {vector} %all",
            "}",
        ]
    )
