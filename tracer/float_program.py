"""Whether a program gives the same bits with a float as a value as with the float compiled in.

What depends on such floats and constants alone, the compiler would have computed in advance, with NumPy's functions.
Where that is + - * /, a rounding or a choice, machine code gives the same bits. `exp`, `pow` and their kin have code
of their own, and rules by value (`x ** 2` is a square): a program that applies them to the float is compiled for each.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..ir.graph import Block, Function, Op, Value

_MOVES = frozenset((
    "constant", "identity", "stop_gradient", "reshape", "broadcast_to", "slice", "transpose", "reverse", "tile", "pad",
    "concat", "gather", "update", "scatter_update",
))  # fmt: skip
_EXACT = frozenset((
    "add", "sub", "mul", "div", "neg", "abs", "square", "sqrt", "cast", "where", "lt", "le", "gt", "ge", "eq", "ne",
    "logical_and", "logical_or", "logical_not", "is_nan", "is_inf", "is_finite", "floor", "ceil", "trunc",
))  # fmt: skip
_ALONE = _MOVES | _EXACT | frozenset(("assert", "print", "return", "yield"))
_WITH_OTHERS = _ALONE | frozenset(("maximum", "minimum", "add_at", "scatter_add", "matmul"))


class Program:
    """One reading of a program.

    Attributes:
      floats: the values that depend on the floats and constants alone. reason: what is computed otherwise, if anything.
    """

    def __init__(self) -> None:
        self.floats: set[Value] = set()
        self.constants: set[Value] = set()
        self.reason: str | None = None

    def read(self, block: Block) -> None:
        """Follows the values through a block and the regions in it."""
        for op in block.ops:
            self._op(op)

    def _op(self, op: Op) -> None:
        name = op.kind.name
        taken = [v in self.floats for v in op.operands]
        alone = all(f or v in self.constants for f, v in zip(taken, op.operands, strict=True))
        if not any(taken):
            if alone and not op.regions:
                self.constants.update(op.results)
        elif name == "call":
            self._call(op, taken)
        elif op.regions:  # what it carries may stay what it was
            for region in op.regions:
                self.floats.update(region.params)
            self.floats.update(op.results)
        elif name == "custom_gradient" and getattr(op.kind, "backward", None) is None:
            self.floats.update(op.results if alone else ())
        elif name not in (_ALONE if alone else _WITH_OTHERS) or (name == "cast" and not _is_float(op.result)):
            self._refuse(op)
        elif alone:
            self.floats.update(op.results)
        for region in op.regions:
            self.read(region)

    def _refuse(self, op: Op) -> None:
        where = f" [{op.loc}]" if op.loc is not None else ""
        self.reason = self.reason or f"{op.kind.name} is computed of it when the program is compiled{where}"

    def _call(self, op: Op, taken: Iterable[bool]) -> None:
        """A call: what is computed in the function, of the floats among its arguments."""
        callee = op.attrs["callee"]
        inner = Program()
        inner.reason = self.reason
        for p, t, v in zip(callee.params, taken, op.operands, strict=True):
            (inner.floats if t else inner.constants if v in self.constants else set()).add(p)
        inner.read(callee.body)
        self.reason = inner.reason
        back = callee.body.ops[-1].operands
        self.floats.update(r for r, v in zip(op.results, back, strict=True) if v in inner.floats)
        self.constants.update(r for r, v in zip(op.results, back, strict=True) if v in inner.constants)


def _is_float(v: Value) -> bool:
    return v.type.dtype.is_floating


def computed_otherwise(fn: Function, params: Iterable[int]) -> str | None:
    """What a function does with its parameters of these numbers that gives other bits for constants; None: nothing."""
    program = Program()
    program.floats.update(fn.params[i] for i in params)
    program.read(fn.body)
    return program.reason
