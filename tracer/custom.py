"""Values with a derivative of their own, in the IR: `pb.custom_gradient` in a trace, and reads of assigned variables.

The op passes values on and says, in a rule of its own, what their cotangents do to other values. For
`custom_gradient` the rule calls a function that was traced from the user's gradient function; its captured values are
further operands, so that higher orders go through them. For a variable that was assigned to, the cotangent of the value
read goes to the variable, not to what was assigned: as TensorFlow's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from ..ir.control import CALL
from ..ir.graph import Attrs, Block, Function
from ..ir.opdef import Needs, OpDef
from ..ir.types import TensorType

Gradient = Callable[[list[Any]], Sequence[Any]]


class CustomGradient(OpDef):
    """Operands: `inputs` values that get cotangents, `results` values that are passed on, what the rule needs.

    Each rule is an op of its own, which is not in the table; `rule` tells rules apart in the text.
    """

    name = "custom_gradient"
    summary = "Values with a derivative rule of their own."
    attrs = ("inputs", "results", "rule")

    def __init__(self, backward: Function | None, connected: Sequence[bool], error: Exception | None = None) -> None:
        self.backward = backward
        self.connected = tuple(connected)
        self.error = error

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """Types of the values that are passed on."""
        return tuple(self._passed(attrs, types))

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The values that are passed on."""
        outs = self._passed(attrs, xs)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """The values that are passed on."""
        return tuple(self._passed(attrs, xs))

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """Tangents of the values that are passed on."""
        return self._passed(attrs, ts)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """The rule's cotangents for the inputs; none for the values themselves."""
        if self.error is not None:
            raise self.error
        rest: list[Any] = [None] * (len(xs) - attrs["inputs"])
        if self.backward is None:
            return [*cts, *rest]
        given = [b.zeros_like(o) if ct is None else ct for o, ct in zip(outs, cts, strict=True)]
        found: Any = ()
        if any(self.connected):
            found = b.apply(CALL, [*given, *xs[attrs["inputs"] + attrs["results"] :]], {"callee": self.backward})
        back = iter(found if isinstance(found, tuple) else (found,))
        return [*(next(back) if on else None for on in self.connected), *rest]

    @staticmethod
    def _passed(attrs: Attrs, xs: Sequence[Any]) -> Sequence[Any]:
        return xs[attrs["inputs"] : attrs["inputs"] + attrs["results"]]

    def label(self, name: str) -> str:
        """A text that tells this rule from others, the same in every run."""
        if self.backward is None:
            return name if self.error is None else f"{name}: {self.error}"
        digest = hashlib.sha256(f"{self.backward}{self.connected}".encode()).hexdigest()
        return f"{name}-{digest[:8]}"


READ_ASSIGNED = CustomGradient(None, (True,))
READ_ATTRS = {"inputs": 1, "results": 1, "rule": "variable"}
