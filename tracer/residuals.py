"""The stage "residuals": a table of what the gradient of a function keeps of it, why, and how many bytes that is.

The function is differentiated and cut in two as for a tape outside. What its loops and branches keep is written down on
the way (`ir/ledger.py`); what is found in the two parts, after all passes, makes the table. Bytes are formulas where
sizes are symbols; of a stack, whose height is known only when the loop has run, the bytes of one trip are told.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.dims import DimLike
from ..ir.graph import Function, Loc, Op, Value
from ..ir.ledger import Kept, Ledger, Note, Why, collecting, needed_by, reason
from ..ir.partition import Split, split
from ..ir.reverse_checkpoint import total_bytes
from ..ir.rewrite import inputs
from ..ir.types import StackType, TensorType

Row = tuple[str, ...]
_HEAD: Row = ("value", "type", "bytes", "made at", "for the derivative of")


@dataclass(slots=True)
class Residual:
    """A row: what is kept, in what, and whether that goes from the call to its gradient."""

    name: str
    type: TensorType
    storage: TensorType
    loc: Loc | None
    why: Why
    crosses: bool

    @property
    def size(self) -> DimLike | None:
        """The bytes of the storage; None for a stack."""
        return None if isinstance(self.storage, StackType) else total_bytes([self.storage])

    def row(self) -> Row:
        """The cells."""
        size = f"{number(total_bytes([self.type]))} a trip" if self.size is None else number(self.size)
        return (self.name, str(self.type), size, place(self.loc), f"{self.why[0]} {place(self.why[1])}".strip())


@dataclass(slots=True)
class Residuals:
    """What a gradient keeps: per loop or branch, and what else goes from the forward part to the backward part."""

    loops: list[tuple[Note, list[Residual]]]
    call: list[Residual]
    params: list[str]
    parts: Split

    @property
    def rows(self) -> list[Residual]:
        """Everything."""
        return [*(r for _, rows in self.loops for r in rows), *self.call]

    @property
    def total(self) -> DimLike:
        """The bytes, stacks aside."""
        total: DimLike = 0
        for r in self.rows:
            total = total + (r.size or 0)
        return total


def residuals(fn: Function, wrt: Sequence[int], outputs: Sequence[int]) -> Residuals:
    """What the gradient of the outputs by the parameters keeps.

    Raises:
      NoGradient: for an op without a derivative.
    """
    book = Ledger()
    with collecting(book):
        parts = split(fn, wrt, outputs, stacks=False)
    found = {v.name: v.type for f in (parts.forward, parts.backward) for v in _values(f)}
    crossing = [parts.forward.results[i] for kind, i in parts.residuals if kind == "value"]
    names = {v.name for v in crossing}

    def row(k: Kept) -> Residual:
        return Residual(k.name or "-", k.type, found[k.tag], k.loc, k.why, k.tag in names)

    loops = [(note, [row(k) for k in note.kept if k.tag in found]) for note in book.notes]
    tags = {k.tag for note in book.notes for k in note.kept}
    own = parts.forward.results[: parts.results]
    call = [_of_call(v, parts) for v in crossing if v.name not in tags and not any(v is r for r in own)]
    params = [fn.params[i].name or f"argument {i}" for kind, i in parts.residuals if kind == "param"]
    return Residuals([(n, rows) for n, rows in loops if rows], call, params, parts)


def _values(fn: Function) -> list[Value]:
    return [*fn.params, *(r for op in fn.body.walk() for r in op.results)]


def _of_call(v: Value, parts: Split) -> Residual:
    """A row for a value that goes from one part to the other."""
    given = parts.backward.params[parts.residuals.index(("value", parts.forward.results.index(v)))]
    late, early = by_time(parts)
    why = reason(given, (), late, early)
    if why[1] is not None:  # the op itself is in the forward part
        why = needed_by(v, why[1], parts.forward.body.walk())
    loc = v.owner.loc if isinstance(v.owner, Op) else None
    return Residual(v.name or "-", v.type, v.type, loc, why, True)


def by_time(parts: Split) -> tuple[list[Op], list[Op]]:
    """The ops of the backward part that need a cotangent, and those that compute again what the forward part did."""
    depends = set(parts.backward.params[len(parts.residuals) :])
    late, early = [], []
    for op in parts.backward.body.ops[:-1]:
        if any(v in depends for v in inputs(op)):
            depends.update(op.results)
            late.append(op)
        else:
            early.append(op)
    return late, early


# ---------------------------------------------------------------- text
def number(n: DimLike) -> str:
    """A number with thousands separated, or a formula."""
    return f"{n:,}" if isinstance(n, int) else str(n)


def place(loc: Loc | None) -> str:
    """A line; a file below the current folder without that folder."""
    return "" if loc is None else str(loc).removeprefix(os.getcwd().rstrip(os.sep) + os.sep)


def table(fn: Function, wrt: Sequence[int], outputs: Sequence[int]) -> str:
    """The text of the stage."""
    found = residuals(fn, wrt, outputs)
    names = ", ".join(f"%{fn.params[i].name}" if fn.params[i].name else f"argument {i}" for i in wrt)
    stacks = " and stacks" if any(r.size is None for r in found.rows) else ""
    lines = [f"gradient of @{fn.name} by {names} keeps {number(found.total)} bytes{stacks}"]
    for note, rows in found.loops:
        lines += ["", _title(note), *_aligned([_HEAD, *(r.row() for r in rows)])]
        lines += _again(note.again)
    if found.call or found.params:
        cells = [_HEAD, *(r.row() for r in found.call)] if found.call else []
        lines += ["", "from the call to its gradient", *_aligned(cells)]
        lines += _again(by_time(found.parts)[1])
    if found.params:
        lines.append(f"  taken as they are: {', '.join(found.params)}")
    return "\n".join(lines) + "\n"


def _again(ops: Sequence[Op]) -> list[str]:
    """The line about ops that are run again."""
    told = [op for op in ops if op.kind.name not in ("constant", "broadcast_to", "stack_new")]
    names = dict.fromkeys(" ".join(filter(None, (op.kind.name, place(op.loc)))) for op in told)
    return [f"  computed again: {', '.join(names)}"] if names else []


def _title(note: Note) -> str:
    title = f"{note.op.kind.name} at {place(note.loc)}" if note.loc else note.op.kind.name
    if note.op.kind.name != "if":
        title += f", {number(note.trips)} trips" if note.trips is not None else ", trips not known before it runs"
    if note.schedule is not None:
        slots, segment = number(note.schedule.slots), number(note.schedule.segment)
        title += f", checkpointed: {slots} slots, segments of {segment} trip{'s' if segment != '1' else ''}"
    return title


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Columns, two spaces apart; that of bytes to the right."""
    widths = [max(len(c) for c in column) for column in zip(*rows, strict=True)]
    out = []
    for row in rows:
        cells = [c.ljust(w) for c, w in zip(row, widths, strict=True)]
        cells[2] = row[2].rjust(widths[2])
        out.append(f"  {'  '.join(cells)}".rstrip())
    return out
