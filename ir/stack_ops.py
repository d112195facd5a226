"""Growable stacks: where the reverse of a loop finds what the loop left for it when the number of trips is not known.

A stack is a value like any other: `push` and `pop` give a new one. But each stack value is used once on every path
(linearly), so that compiled code keeps it in one buffer and changes that in place. `push` and `pop` are each other's
adjoint on the stack of cotangents: what was popped first has its cotangent pushed last. That is why differentiating
again needs no further rule. Values that nobody popped have no cotangent on it; as they lie below all others, taking the
empty stack for one of zeros (`pop {zeros = true}`) is right for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Constant
from .dtypes import as_dtype
from .errors import InternalError
from .graph import Attrs, Block
from .infer import bad_type, check_attr_shape, count
from .opdef import Needs, OpDef, register
from .types import StackType, TensorType


class Stack:
    """A stack of arrays, immutable: the interpreter's meaning of a stack value. O(1) to push and to pop.

    The empty stack holds, as its `top`, zeros of the elements' type.
    """

    __slots__ = ("below", "depth", "top")

    def __init__(self, top: Any, below: Stack | None = None) -> None:
        self.below, self.top = below, top
        self.depth: int = 0 if below is None else below.depth + 1

    @property
    def dtype(self) -> Any:
        """The elements' NumPy dtype."""
        return self.top.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The elements' shape."""
        return tuple(self.top.shape)

    def push(self, x: Any) -> Stack:
        """The stack with `x` on top."""
        return Stack(x, self)

    def pop(self, zeros: bool = False) -> tuple[Stack, Any]:
        """The stack without its top, and that; an empty one gives `zeros`, or else raises InternalError."""
        if self.below is None:
            if zeros:
                return self, self.top
            raise InternalError("pop: the stack is empty")
        return self.below, self.top

    def __repr__(self) -> str:
        return f"<stack of {self.depth}>"


def _element(op: OpDef, types: Sequence[TensorType]) -> TensorType:
    """What lies on the stack that is the first operand."""
    if not isinstance(types[0], StackType):
        bad_type(op.name, types, "the first operand must be a stack")
    return TensorType(types[0].dtype, types[0].shape)


class StackNew(Constant):
    """An empty stack for tensors of one type."""

    name = "stack_new"
    summary = "an empty stack for tensors of a dtype and shape"
    attrs = ("dtype", "shape")

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """A stack."""
        count(self.name, types, 0)
        return (StackType(as_dtype(attrs["dtype"]), check_attr_shape(self.name, attrs["shape"])),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """A stack without anything on it."""
        return Stack(np.zeros(attrs["shape"], as_dtype(attrs["dtype"]).np))


class StackZeros(Constant):
    """A stack as high as the operand that holds zeros. It looks at the operand and does not use it up."""

    name = "stack_zeros"
    summary = "a stack as high as the operand, of zeros"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's type."""
        count(self.name, types, 1)
        _element(self, types)
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Zeros like each element."""
        below, elements = xs[0], []
        while below.depth:
            below, x = below.pop()
            elements.append(x)
        out = below
        for x in reversed(elements):
            out = out.push(np.zeros_like(x))
        return out


class Push(OpDef):
    """The stack with a tensor on top."""

    name = "push"
    summary = "the stack with the second operand on top"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The stack's type. The second operand has the type of its elements."""
        count(self.name, types, 2)
        element = _element(self, types)
        if types[1] != element:
            bad_type(self.name, types, f"the second operand must be {element}")
        return (types[0],)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """A new stack; the old one stays as it is."""
        return xs[0].push(np.asarray(xs[1]))

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangent pushed onto the stack of tangents."""
        if ts[0] is None and ts[1] is None:
            return (None,)
        # The operand is used up here: the result, one higher, says how many zeros there are.
        below = b.pop(b.stack_zeros(outs[0]))[0] if ts[0] is None else ts[0]
        return (b.push(below, b.zeros_like(xs[1]) if ts[1] is None else ts[1]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent popped from the stack of cotangents."""
        return (None, None) if cts[0] is None else tuple(b.pop(cts[0], zeros=True))


class Pop(OpDef):
    """The stack without its top, and what lay there. An empty stack is an error or, with `zeros`, gives zeros."""

    name = "pop"
    summary = "the stack without its top, and the top; with `zeros` an empty one gives zeros and stays empty"
    attrs = ("zeros",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The stack's type and that of its elements."""
        count(self.name, types, 1)
        return (types[0], _element(self, types))

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """Both parts."""
        below, top = xs[0].pop(bool(attrs.get("zeros", False)))
        return below, top

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """The tangent popped from the stack of tangents."""
        return (None, None) if ts[0] is None else tuple(b.pop(ts[0], **attrs))

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The cotangent pushed onto the stack of cotangents; nobody asking for one is an empty stack."""
        if cts[0] is None and cts[1] is None:
            return (None,)
        top = outs[1]
        below = b.stack_new(dtype=b.dtype(top), shape=tuple(b.shape(top))) if cts[0] is None else cts[0]
        return (b.push(below, b.zeros_like(top) if cts[1] is None else cts[1]),)


for _op in (StackNew, StackZeros, Push, Pop):
    register(_op())
