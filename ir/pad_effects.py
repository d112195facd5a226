"""The padded forms of `print` and `assert`: they take the padded values and cut them where they run.

Two further operands for each dimension of run-time size say where its elements begin and how many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import Op, Value
from .pad_layout import Padded
from .pad_rules import rule

if TYPE_CHECKING:
    from .pad import Padder


@rule("print", "assert")
def _effect(p: Padder, op: Op, xs: list[Padded]) -> list[Padded]:
    solid = [p.solid(x) for x in xs]
    cuts: list[tuple[int, int]] = []
    places: list[Value] = []
    for k, x in enumerate(solid):
        for axis, lay in enumerate(x.layouts):
            if lay is not None:
                cuts.append((k, axis))
                places += [p.const(0).value if lay.low is None else lay.low, lay.count]
    p.b.emit(op.kind, [*(x.value for x in solid), *places], {**op.attrs, "cuts": tuple(cuts)})
    return []
