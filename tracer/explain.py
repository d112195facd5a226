"""Why a function was traced: each trace is kept as a line of text, with what differs from the closest earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ir.dtypes import as_dtype
from ..ir.graph import Loc
from ..ir.types import TensorType
from .arguments import FloatArgument, SymbolicFloat, is_leaf, type_of_leaf
from .spec import TensorSpec
from .structure import describe
from .symbolic import SymbolicTensor

MAX_KEPT = 200


@dataclass(slots=True)
class TraceRecord:
    """One trace: the line of the call, a text for each argument, the reason, what became of Python's loops."""

    line: Loc | None
    arguments: dict[str, str]
    reason: str = ""
    loops: Sequence[Any] = ()


@dataclass(slots=True)
class History:
    """All traces of one function."""

    name: str
    records: list[TraceRecord] = field(default_factory=list)
    count: int = 0

    def add(self, line: Loc | None, values: Sequence[Any], names: Sequence[str], more: str = "") -> TraceRecord:
        """A new trace; gives its record, with the reason filled in."""
        arguments: dict[str, str] = {}
        for name, value in zip(names, values, strict=True):
            summarise(value, name, arguments)
        record = TraceRecord(line, arguments)
        record.reason = self._reason(arguments) + more
        self.count += 1
        self.records.append(record)
        del self.records[:-MAX_KEPT]
        return record

    def _reason(self, arguments: dict[str, str]) -> str:
        if not self.records:
            return "first call"
        closest = min(reversed(self.records), key=lambda r: len(differences(r.arguments, arguments)))
        changed = differences(closest.arguments, arguments)
        if not changed:
            return "another variant of the same arguments (an object was replaced, or sizes had to be told apart)"
        return "; ".join(changed)

    def text(self) -> str:
        """The report."""
        if not self.records:
            return f"{self.name}: not traced yet"
        lines = [f"{self.name}: {self.count} trace{'s' if self.count != 1 else ''}"]
        first = self.count - len(self.records) + 1
        for i, r in enumerate(self.records):
            given = ", ".join(f"{k}={v}" for k, v in r.arguments.items())
            lines.append(f"  {first + i}. {r.line or '<unknown line>'}  ({given})")
            lines.append(f"     {r.reason}")
            lines += [f"     {note}" for note in r.loops]
        return "\n".join(lines)


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What changed from one call's arguments to another's."""
    out = [f"argument '{k}' changed: {old[k]} -> {new[k]}" for k in new if k in old and old[k] != new[k]]
    out += [f"argument '{k}' is new: {new[k]}" for k in new if k not in old]
    return out + [f"argument '{k}' is gone: it was {old[k]}" for k in old if k not in new]


def summarise(value: Any, name: str, into: dict[str, str]) -> None:
    """A short text for each leaf of an argument."""
    if isinstance(value, TensorSpec):
        dims = "?" if value.dims is None else ", ".join(map(str, value.dims))
        into[name] = f"{value.dtype.short}[{dims}]"
        return
    if isinstance(value, (FloatArgument, SymbolicFloat)):
        into[name] = "float"
        return
    if is_leaf(value):
        known = isinstance(value, SymbolicTensor) or hasattr(value, "_data")
        into[name] = str(type_of_leaf(value) if known else TensorType(as_dtype(value.dtype), value.shape))
        return
    structure, items = (None, []) if value is None else describe(value)
    if structure is None or not items:
        into[name] = _plain(value)
        return
    for key, item in zip(structure.keys or range(len(items)), items, strict=True):
        summarise(item, f"{name}[{key!r}]" if structure.kind != "record" else f"{name}.{key}", into)


def _plain(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, list, tuple, dict)):
        text = repr(value)
        return f"{type(value).__name__} {text if len(text) < 40 else text[:37] + '...'}"
    return f"<{type(value).__name__} object at {id(value):#x}>"
