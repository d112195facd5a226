"""`pb.gradients`: reverse mode over the ops that the running trace has recorded so far, without a tape."""

from __future__ import annotations

from typing import Any

from ..ir.accumulate import Cotangents, varied_values
from ..ir.chosen import whole
from ..ir.graph import Value
from ..ir.reverse import ReverseBuilder
from ..runtime.context import context
from ..runtime.convert import as_tensor
from ..runtime.eager_builder import EAGER
from ..runtime.location import at, user_location
from ..runtime.nest import flatten
from ..runtime.tape import UnconnectedGradients
from ..runtime.tensor import Tensor
from .symbolic import SymbolicTensor
from .trace import Trace


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
) -> list[Tensor | None]:
    """The derivatives of the sum of all `ys` by each of `xs`, inside a compiled function. Always a list.

    Args:
      grad_ys: cotangents of the `ys`, ones by default (also for entries that are None). stop_gradients: tensors that
        count as constants. unconnected_gradients: NONE or ZERO for an x that the ys do not depend on.

    Raises:
      RuntimeError: outside of a compiled function. ValueError: grad_ys of another length than ys.
    """
    trace = context.trace
    if not isinstance(trace, Trace):
        raise RuntimeError(
            f"gradients() works only inside of a pb.function: in eager mode use pb.GradientTape instead{at()}"
        )
    targets = [as_tensor(y) for y in flatten(ys)]
    cts = [None] * len(targets) if grad_ys is None else flatten(grad_ys)
    if len(cts) != len(targets):
        raise ValueError(f"grad_ys has {len(cts)} entries for {len(targets)} ys: give one (or None) for each{at()}")
    sources = [_source(trace, x) for x in flatten(xs)]
    stops = {_source(trace, t) for t in flatten(stop_gradients)} if stop_gradients is not None else set()
    zero = UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO
    seeds = [
        (trace.value_of(y), trace.value_of(_seed(y, ct))) for y, ct in zip(targets, cts, strict=True) if _carries(y)
    ]
    found = _reverse(trace, seeds, sources, stops)
    return [
        EAGER.zeros_like(SymbolicTensor(v, trace)) if g is None and zero else g
        for v, g in zip(sources, found, strict=True)
    ]


def _source(trace: Trace, x: Any) -> Value:
    return trace.value_of(x if isinstance(x, Tensor) else as_tensor(x))


def _carries(y: Tensor) -> bool:
    return y.dtype.is_differentiable


def _seed(y: Tensor, ct: Any) -> Tensor:
    if ct is None:
        return EAGER.full(y.type.shape, 1, y.dtype)  # type: ignore[no-any-return]
    return as_tensor(ct, y.dtype)


class _Kept(Cotangents):
    """Cotangents that are remembered when the sweep takes them: an x may be the result of an op."""

    def __init__(self, b: ReverseBuilder, varied: set[Value]) -> None:
        super().__init__(b, varied)
        self.taken: dict[Value, tuple[Any, Any]] = {}

    def take(self, v: Value) -> tuple[Any, Any]:
        """As of the base."""
        self.taken[v] = taken = super().take(v)
        return taken

    def find(self, v: Value) -> Any:
        """The cotangent of an x after the sweep."""
        have = self.running.get(v)
        return whole(self.b, *self.taken.get(v, (None, None))) if have is None else have


def _reverse(
    trace: Trace, seeds: list[tuple[Value, Value]], sources: list[Value], stops: set[Value]
) -> list[Tensor | None]:
    """Writes the backward ops behind those of the trace."""
    ops = [op for op in trace.function.body.ops if not stops.intersection(op.results)]
    loc = user_location()
    b = ReverseBuilder(trace.function.body, loc)
    b.derived = {}
    cotangents = _Kept(b, varied_values(ops, sources))
    for y, ct in seeds:
        cotangents.seed(y, ct)
    cotangents.back(ops)
    found = [cotangents.find(x) for x in sources]
    return [None if g is None else SymbolicTensor(g.value, trace, None, loc) for g in found]
