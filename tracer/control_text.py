"""`print(...)` and f-strings that show tensors of a trace: text that is made when the program runs.

An f-string is rewritten to `ag__.text(...)` of its pieces. Where no symbolic tensor is among them it is the string that
Python makes. Else it is a `TracedText`: the string that Python makes while tracing, which remembers its pieces;
`print` and `assert` make the text of them with the values of each run.
"""

from __future__ import annotations

import builtins
import sys
from typing import Any

from ..runtime.array import is_array
from ..runtime.errors import fail
from ..runtime.ops_print import Piece, print_pieces
from ..runtime.variable import Variable
from .control_region import current_trace
from .control_state import taken_apart
from .symbolic import SymbolicTensor

_CONVERSIONS = {-1: "", ord("s"): "str", ord("r"): "repr", ord("a"): "ascii"}


class TracedText(str):
    """A string that shows symbolic tensors. `pieces`: its parts, tensors with the style in which they are shown."""

    pieces: tuple[Piece, ...]

    def __new__(cls, pieces: tuple[Piece, ...]) -> TracedText:
        text = super().__new__(cls, "".join(p if isinstance(p, str) else str(p[0]) for p in pieces))
        text.pieces = pieces
        return text

    def __add__(self, other: str) -> str:
        return TracedText((*self.pieces, *_parts(other))) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> str:
        return TracedText((*_parts(other), *self.pieces)) if isinstance(other, str) else NotImplemented


class _Mark:
    """Stands for a tensor while a structure is made into text."""

    def __init__(self, number: int) -> None:
        self.text = f"\ue000{number}\ue001"

    def __repr__(self) -> str:
        return self.text


def piece(value: Any, conversion: int, spec: str) -> Piece | TracedText:
    """`{value!conversion:spec}` of an f-string."""
    if conversion == -1 and not spec and isinstance(value, TracedText):
        return value
    if isinstance(value, SymbolicTensor) and current_trace() is value.trace and not (conversion != -1 and spec):
        how = _CONVERSIONS[conversion]
        if not how:
            return value, f"format {spec}"
        if how != "ascii":
            return value, _style(value, how)
    shown = {"": lambda x: x, "str": str, "repr": repr, "ascii": ascii}[_CONVERSIONS[conversion]](value)
    return format(shown, spec)


def text(*pieces: Any) -> str:
    """An f-string of these pieces."""
    if all(type(p) is str for p in pieces):
        return "".join(pieces)
    return TracedText(tuple(q for p in pieces for q in _parts(p)))


def _parts(p: Any) -> tuple[Piece, ...]:
    return p.pieces if isinstance(p, TracedText) else (p,)


def traced_print(
    *args: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: Any = False
) -> None:
    """Python's `print`. With tensors of the trace among its arguments it prints when the program runs.

    Raises:
      ValueError: tensors are printed to another file than sys.stdout and sys.stderr.
    """
    pieces: list[Piece] = []
    for i, x in enumerate(args):
        pieces += [(" " if sep is None else sep) if i else "", *shown(x)]
    if all(isinstance(p, str) for p in pieces):
        builtins.print(*args, sep=sep, end=end, file=file, flush=flush)
        return
    if file not in (None, sys.stdout, sys.stderr):
        advice = "return the tensor and print it outside, or print to sys.stdout"
        fail(ValueError, f"print() of a tensor inside a compiled function writes to sys.stdout or sys.stderr: {advice}")
    pieces.append("\n" if end is None else end)
    print_pieces(pieces, "stderr" if file is not None and file is sys.stderr else "stdout", 3)


def shown(x: Any) -> list[Piece]:
    """The text of an argument of `print`: what `str` gives, tensors left as they are."""
    if isinstance(x, TracedText):
        return list(x.pieces)
    if isinstance(x, SymbolicTensor):
        return [(x, _style(x, "str"))]
    if isinstance(x, Variable):
        return _variable(x)
    if isinstance(x, (str, int, float)) or not isinstance(x, (list, tuple, dict)):
        return [str(x)]
    return _structure(x)


def _structure(x: Any) -> list[Piece]:
    structure, leaves = taken_apart(x)
    if not any(isinstance(leaf, (SymbolicTensor, Variable)) for leaf in leaves):
        return [str(x)]
    inner: list[list[Piece]] = []
    marked: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, (SymbolicTensor, Variable)):
            marked.append(_Mark(len(inner)))
            inner.append(_variable(leaf) if isinstance(leaf, Variable) else [(leaf, _style(leaf, "repr"))])
        else:
            marked.append(leaf)
    first, *rest = str(structure.pack(marked)).split("\ue000")
    out: list[Piece] = [first]
    for part in rest:
        number, after = part.split("\ue001", 1)
        out += [*inner[int(number)], after]
    return out


def _variable(v: Variable) -> list[Piece]:
    return [f"<tf.Variable '{v.name}' shape={v.shape} dtype={v.dtype.name}, numpy=", (v.read_value(), "variable"), ">"]


def _style(t: SymbolicTensor, how: str) -> str:
    if is_array(t):
        return "array" if how == "str" else "array repr"
    return how
