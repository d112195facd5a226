"""What an operation is: one object holds everything that any stage needs to know about it.

`infer` gives result types, `eager` the meaning in NumPy, `jvp` and `vjp` the derivative rules, `lowering` the name
(data, not code) under which the code generator finds its machine form; an op that has no machine form of its own says
in `expand` how simpler ops make it. Rules are written once against a builder (see `ir/builder.py`): they run over IR
values, over eager tensors, or over plain arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .graph import Attrs, Block
from .types import TensorType

Needs = Sequence[bool]


class NoGradient(Exception):
    """Raised by a rule that does not exist; the text says for which op."""


class Into:
    """A cotangent that is added to a running one in place of being made whole first.

    `start()` makes the cotangent alone; `add(running)` adds to one that exists. Reading a slice returns one, so
    that n reads of an array of n elements cost O(n) in total, not O(n*n).
    """

    __slots__ = ("add", "start")

    def __init__(self, start: Callable[[], Any], add: Callable[[Any], Any]) -> None:
        self.start = start
        self.add = add


class OpDef:
    """Base of all operations; see the module's text.

    Attributes:
      name: the word in IR text. lowering: the name of the machine form, None when the op must be expanded.
      effect: may not be dropped, merged or reordered. summary: one line for the reference page.
      attrs: the names of the attributes, in the order of printing; only these are allowed.
    """

    name: str = ""
    summary: str = ""
    lowering: str | None = None
    picks: tuple[Callable[..., Any], ...] = ()  # see `elementwise`
    effect: bool = False
    terminator: bool = False
    attrs: tuple[str, ...] = ()
    differentiable: bool = True

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """Types of the results. Raises ShapeMismatch or TypeMismatch for operands that do not fit."""
        raise NotImplementedError(self.name)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The results as NumPy arrays (one array, or a tuple of them when there are several)."""
        raise NotImplementedError(self.name)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """A tangent (or None for zero) per result, from tangents (or None) of the operands."""
        raise NoGradient(f"op '{self.name}' has no forward-mode derivative rule")

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """A cotangent, `Into` or None per operand, from cotangents (or None) of the results.

        Only operands for which `needs` is true have to be computed. Every cotangent has its operand's shape and
        dtype: rules of ops that broadcast sum it down themselves (`derive.unbroadcast`).
        """
        raise NoGradient(f"op '{self.name}' has no reverse-mode derivative rule")

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The op in terms of simpler ones (the results, as `eager` gives them), or None when it has a lowering."""
        return None

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> Any:
        return get, (self.name,)


_TABLE: dict[str, OpDef] = {}


def register(op: OpDef) -> OpDef:
    """Puts an op into the table. Raises ValueError when the name is taken."""
    if op.name in _TABLE:
        raise ValueError(f"op {op.name!r} is declared twice")
    _TABLE[op.name] = op
    return op


def get(name: str) -> OpDef:
    """The op of that name. Raises KeyError."""
    return _TABLE[name]


def find(name: str) -> OpDef | None:
    """The op of that name, or None."""
    return _TABLE.get(name)


def table() -> Iterator[OpDef]:
    """Every op, by name."""
    return iter([_TABLE[k] for k in sorted(_TABLE)])
