"""Why a gradient is None: `tape.explain(target, source)` follows the record and names the line where the path ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..ir.graph import Loc
from .backward import Record, connected
from .variable import Variable


@dataclass
class Cut:
    """An op that let no gradient through: its name, the user's line, and the watched tensors that it took.

    A variable that nothing else here keeps alive is kept, so that its id stays its own.
    """

    what: str
    loc: Loc | None
    operands: set[int] = field(default_factory=set)
    kept: dict[int, Variable] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.what + (f" at {self.loc}" if self.loc is not None else "")


def explain_path(
    target: Any, source: Any, records: list[Record], watched: dict[int, Any], cuts: list[Cut], accessed: bool
) -> str:
    """The reason in one sentence."""
    if not source.dtype.is_differentiable:
        return f"None: the source's dtype is {source.dtype.name}, and only floating and complex tensors have gradients"
    if not target.dtype.is_differentiable:
        return f"None: the target's dtype is {target.dtype.name}; it was cut at {_maker(target, cuts)}"
    active, reach = connected(records, [id(source)])
    if id(target) in reach:
        return f"connected: {len(active)} recorded ops depend on the source, and the target is one of their results"
    if id(source) not in watched:
        return "None: " + _not_watched(source, accessed, [str(c) for c in cuts if id(source) in c.operands])
    found = [str(c) for c in cuts if c.operands & reach]
    if found:
        return "None: no recorded path leads from the source to the target; values were cut off at: " + "; ".join(found)
    if not active:
        return (
            "None: the source was watched, but no recorded op used it: was it used before watch(), or outside the tape?"
        )
    if id(target) not in watched:
        return (
            "None: the target was not computed inside the tape from anything watched (made before, after, or by NumPy)"
        )
    return "None: the target was computed from other tensors; no op on its way used the source"


def _not_watched(source: Any, accessed: bool, left: list[str]) -> str:
    if not isinstance(source, Variable):
        return "the source was never watched: a tensor needs tape.watch(x) before it is used"
    if not source.trainable:
        return "the source is a variable with trainable=False, which must be watched: tape.watch(v)"
    if not accessed:
        return "the tape has watch_accessed_variables=False and the source was not watched: tape.watch(v)"
    if left:
        return f"the source variable was {'; '.join(left)}, and not used itself inside the tape"
    return "the source variable was never read inside the tape"


def _maker(target: Any, cuts: list[Cut]) -> str:
    return next((str(c) for c in cuts if target.dtype.name in c.what), "the op that made it")
