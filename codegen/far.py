"""What `main` needs far from where it was made: through memory, so that compiling takes time linear in the length.

A value that is made once and used thousands of instructions later is alive in between. The register allocator, which
looks at every pair of values that are alive together, takes quadratic time for programs where all of them are: a
chain of scalars whose reverse reads each, a thousand kernels whose buffers have addresses of their own. It would put
them on the stack in the end; here that is said at once.
"""

from __future__ import annotations

from ..ir.graph import Value
from .emitter import Emitter
from .scope import Val

FAR = 1000  # instructions between a scalar and its use
PAGE = 128  # instructions that share addresses


class FarValues:
    """The values and addresses of one function's outermost block, whose instructions are those of `emitter`."""

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self._made: dict[Value, int] = {}  # how many instructions there were when it was made
        self._slots: dict[Value, str] = {}
        self._start: list[str] = []
        self._stores: list[tuple[int, str]] = []
        self._page = 0
        self.base = "%scratch"

    def note(self, v: Value) -> None:
        """A value was computed by the last instruction."""
        self._made[v] = len(self.emitter.lines)

    def near(self, v: Value, val: Val) -> Val:
        """The value for use at this place: from the stack, if it was made far from here."""
        now, made = len(self.emitter.lines), self._made.get(v)
        if made is None or now - made < FAR:
            return val
        if v not in self._slots:
            slot = self._slots[v] = f"%far{len(self._slots)}"
            self._start.append(f"  {slot} = alloca {val.reg.ty}")
            self._stores.append((made, f"  store {val.reg.ty} {val.reg.text}, ptr {slot}"))
        reg = self.emitter.op(f"load {val.reg.ty}, ptr {self._slots[v]}", val.reg.ty)
        self.note(v)
        return Val(reg, val.depth)

    def turn(self) -> bool:
        """Whether addresses are to be made anew from here on, from another `base`."""
        if len(self.emitter.lines) - self._page < PAGE:
            return False
        if self.base == "%scratch":
            self._start += ["  %base = alloca ptr", "  store ptr %scratch, ptr %base"]
        # Volatile, or LLVM would see that it is the same base, and keep the addresses made of it.
        self.base = self.emitter.op("load volatile ptr, ptr %base", "ptr").text
        self._page = len(self.emitter.lines)
        return True

    def lines(self) -> list[str]:
        """All instructions, in order."""
        out, done = list(self._start), 0
        for at, text in sorted(self._stores, key=lambda s: s[0]):
            out += [*self.emitter.lines[done:at], text]
            done = at
        return [*out, *self.emitter.lines[done:]]

