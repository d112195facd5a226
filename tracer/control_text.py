"""`print(...)` and f-strings that show tensors of a trace: text that is made when the program runs.

An f-string is rewritten to `ag__.text(...)` of its pieces. Where no symbolic tensor is among them it is the string that
Python makes. Else it is a `TracedText`: the string that Python makes while tracing, which remembers its pieces;
`print` and `assert` make the text of them with the values of each run. There (`ag__.late`) numbers that are not known
while tracing may stay in the pieces, too. A `print` of Python values alone is Python's and happens while tracing,
unless it stands in a branch or loop that a tensor controls: what that prints depends on the run.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from typing import Any

from ..runtime.array import is_array
from ..runtime.errors import fail
from ..runtime.ops_print import Piece, print_pieces
from ..runtime.variable import Variable
from .control_region import Region, current_trace, frames
from .control_state import taken_apart
from .harmless import check_call
from .number import Number
from .symbolic import SymbolicTensor
from .trials import trials

_CONVERSIONS = {-1: "", ord("s"): "str", ord("r"): "repr", ord("a"): "ascii"}


class TracedText(str):
    """A string that shows symbolic tensors. `pieces`: its parts, tensors with the style in which they are shown."""

    pieces: tuple[Any, ...]

    def __new__(cls, pieces: tuple[Any, ...]) -> TracedText:
        text = super().__new__(cls, "".join(p if isinstance(p, str) else str(p[0]) for p in pieces))
        text.pieces = pieces
        return text

    def __add__(self, other: str) -> str:
        return TracedText((*self.pieces, *_parts(other))) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> str:
        return TracedText((*_parts(other), *self.pieces)) if isinstance(other, str) else NotImplemented


class LateText:
    """An f-string in a call of `print` or behind `assert`, with numbers in it that may not be known."""

    def __init__(self, pieces: tuple[Any, ...]) -> None:
        self.pieces = pieces

    def __str__(self) -> str:
        return "".join(p if isinstance(p, str) else str(p[0]) for p in self.pieces)


class _Mark:
    """Stands for a tensor while a structure is made into text."""

    def __init__(self, number: int) -> None:
        self.text = f"\ue000{number}\ue001"

    def __repr__(self) -> str:
        return self.text


def piece(value: Any, conversion: int, spec: str) -> Any:
    """`{value!conversion:spec}` of an f-string."""
    how = _CONVERSIONS[conversion]
    if not how and not spec and isinstance(value, TracedText):
        return value
    if isinstance(value, Number) and value.lifted:
        value.needed("text is made of the number")
    symbolic = isinstance(value, SymbolicTensor) and current_trace() is value.trace
    if (symbolic or isinstance(value, Number)) and how != "ascii" and not (how and spec):
        return value, style_of(value, how) if how else f"format {spec}"
    shown: Any = value if not how else str(value) if how == "str" else repr(value) if how == "repr" else ascii(value)
    return format(shown, spec)


def text(*pieces: Any) -> str:
    """An f-string of these pieces."""
    ready = [_made(p) if isinstance(p, tuple) and isinstance(p[0], Number) else p for p in pieces]
    if all(type(p) is str for p in ready):
        return "".join(ready)
    return TracedText(tuple(q for p in ready for q in _parts(p)))


def late(*pieces: Any) -> Any:
    """As `text`, for `print` and `assert`."""
    if any(isinstance(p, tuple) and isinstance(p[0], Number) for p in pieces):
        return LateText(tuple(q for p in pieces for q in _parts(p)))
    return text(*pieces)


def _made(p: tuple[Number, str]) -> str:
    number, style = p
    return format(number, style.removeprefix("format ")) if style.startswith("format ") else str(number)


def _parts(p: Any) -> tuple[Any, ...]:
    return p.pieces if isinstance(p, TracedText) else (p,)


def traced_print(
    *args: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: Any = False
) -> None:
    """Python's `print`. With tensors of the trace among its arguments it prints when the program runs.

    Raises:
      ValueError: tensors are printed to another file than sys.stdout and sys.stderr.
    """
    pieces: list[Any] = []
    for i, x in enumerate(args):
        pieces += [(" " if sep is None else sep) if i else "", *shown(x)]
    standard = file in (None, sys.stdout, sys.stderr)
    if not any(decides(p) for p in pieces) and not (standard and controlled()):
        if trials.open:
            check_call(builtins.print)
        builtins.print(*args, sep=sep, end=end, file=file, flush=flush)
        return
    if not standard:
        advice = "return the tensor and print it outside, or print to sys.stdout"
        fail(ValueError, f"print() of a tensor inside a compiled function writes to sys.stdout or sys.stderr: {advice}")
    pieces.append("\n" if end is None else end)
    print_pieces(ready(pieces), "stderr" if file is not None and file is sys.stderr else "stdout", 3)


def controlled() -> bool:
    """Whether a tensor decides whether, or how often, what is traced now runs: an open region that is no trial's."""
    regions = [f for f in frames.open if isinstance(f, Region) and not f.scratch]
    return len(regions) > len(trials.open)


def decides(p: Any) -> bool:
    """Whether a piece is known only when the program runs: a tensor, or a number that a tensor decides."""
    if isinstance(p, str):
        return False
    return not isinstance(p[0], Number) or (not p[0].owners and p[0].known() is None)


def ready(pieces: Sequence[Any]) -> list[Piece]:
    """The pieces with tensors in place of numbers."""
    return [(p[0].tensor, p[1]) if isinstance(p, tuple) and isinstance(p[0], Number) else p for p in pieces]


def shown(x: Any) -> list[Any]:
    """The text of an argument of `print`: what `str` gives, tensors and numbers left as they are."""
    if isinstance(x, (TracedText, LateText)):
        return list(x.pieces)
    if isinstance(x, (SymbolicTensor, Number)):
        return [(x, style_of(x, "str"))]
    if isinstance(x, Variable):
        return _variable(x)
    if not isinstance(x, (list, tuple, dict)):
        return [str(x)]
    return _structure(x)


def _structure(x: Any) -> list[Any]:
    structure, leaves = taken_apart(x)
    if not any(isinstance(leaf, (SymbolicTensor, Variable, Number)) for leaf in leaves):
        return [str(x)]
    inner: list[list[Any]] = []
    marked: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, (SymbolicTensor, Variable, Number)):
            marked.append(_Mark(len(inner)))
            inner.append(_variable(leaf) if isinstance(leaf, Variable) else [(leaf, style_of(leaf, "repr"))])
        else:
            marked.append(leaf)
    first, *rest = str(structure.pack(marked)).split("\ue000")
    out: list[Any] = [first]
    for part in rest:
        number, after = part.split("\ue001", 1)
        out += [*inner[int(number)], after]
    return out


def _variable(v: Variable) -> list[Any]:
    return [f"<tf.Variable '{v.name}' shape={v.shape} dtype={v.dtype.name}, numpy=", (v.read_value(), "variable"), ">"]


def style_of(t: Any, how: str) -> str:
    """The style (of `ir/print_text.py`) in which `str` or `repr` shows a tensor, an array or a number."""
    if isinstance(t, Number):
        return "array"
    if is_array(t):
        return "array" if how == "str" else "array repr"
    return how
