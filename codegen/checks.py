"""What compiled code tests at run time: indices, divisors; and what need not be tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir.elementwise import IntegerArithmetic
from ..ir.graph import Op, Value
from ..ir.ranges import Ranges
from .plan import is_literal


@dataclass(frozen=True, slots=True)
class Checks:
    """What compiled code tests at run time. `bounds`: whether indices are; `ranges`: what need not be tested."""

    ranges: Ranges | None = None
    bounds: bool = True

    def operand(self, op: Op) -> Value | None:
        """The operand of integer arithmetic that may be one that the op refuses: a zero divisor, a negative power."""
        if not isinstance(op.kind, IntegerArithmetic) or not op.operands[1].type.dtype.is_integer:
            return None
        v = op.operands[1]
        if is_literal(v):
            return v if bool(op.kind.refused(_number(v))) else None
        if v.type.shape or self.ranges is None:
            return v
        low, high = self.ranges.of(v)
        fits = low >= 0 if bool(op.kind.refused(-1)) else low > 0 or high < 0
        return None if fits else v


def _number(v: Value) -> int:
    assert isinstance(v.owner, Op)
    return int(np.asarray(v.owner.attrs["value"]).flat[0])
