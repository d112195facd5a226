"""`ForwardAccumulator`: forward mode. Each op's `jvp` rule runs right after the op, so tangents are there at once.

The rules run as ordinary ops under the recorders that were there before this accumulator, so accumulators and tapes
nest.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ..ir.opdef import NoGradient
from . import nest
from .context import context, pop, push
from .convert import as_tensor
from .eager_builder import EAGER
from .errors import fail
from .live import enlist
from .location import at
from .tape import UnconnectedGradients
from .tensor import Tensor
from .variable import Variable


class ForwardAccumulator:
    """Computes Jacobian-vector products of what runs in its `with` block.

    Args:
      primals: tensors or variables, or a structure of them. tangents: as many tensors of the same shapes.

    Raises:
      ValueError: a dtype or structure that differs, or a primal given twice.
    """

    def __init__(self, primals: Any, tangents: Any) -> None:
        nest.assert_same_structure(primals, tangents)
        self._tangents: dict[int, tuple[Any, Tensor]] = {}
        self._recording = False
        flat = [p._origin if isinstance(p, Variable) else p._resolved() for p in nest.flatten(primals)]
        if len({id(p) for p in flat}) != len(flat):
            fail(ValueError, "ForwardAccumulator: a tensor appears twice among the primals")
        for p, t in zip(flat, nest.flatten(tangents), strict=True):
            tangent = as_tensor(t)
            if tangent.dtype != p.dtype:
                fail(ValueError, f"Dtypes for primal and tangent must match: {p.dtype.name} and {tangent.dtype.name}")
            self._tangents[id(p)] = (p, tangent)
        enlist(self)

    def moved(self, handle: Any, old: Any) -> None:
        """Called when a handle is about to get a new value: the tangent known is that of the old one."""
        found = self._tangents.pop(id(handle), None)
        if found is not None:
            self._tangents[id(old)] = (old, found[1])

    def __enter__(self) -> ForwardAccumulator:
        if self._recording:
            fail(ValueError, "Accumulator is already recording.")
        push(self)
        self._recording = True
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._recording:
            pop(self)
            self._recording = False

    def record(self, op: Any, attrs: Any, xs: Any, outs: Any) -> None:
        """Called by the dispatcher after each op."""
        found = [self._tangents.get(id(x)) for x in xs]
        if all(f is None for f in found):
            return
        ts = [None if f is None else f[1] for f in found]
        saved = context.recorders
        context.recorders = saved[: next(i for i, r in enumerate(saved) if r is self)]
        try:
            new = op.jvp(EAGER, attrs, outs, xs, ts)
        except (NoGradient, AttributeError) as e:
            raise LookupError(f"no forward-mode derivative: {e}{at()}") from e
        finally:
            context.recorders = saved
        for out, t in zip(outs, new, strict=True):
            if t is not None and out.dtype.is_differentiable:
                self._tangents[id(out)] = (out, t)

    def follows(self, t: Any) -> bool:
        """Whether the tensor has a tangent."""
        return id(t) in self._tangents

    def followed(self) -> list[Any]:
        """The tensors that have tangents."""
        return [t for t, _ in self._tangents.values()]

    def jvp(self, primals: Any, unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE) -> Any:
        """The tangents of tensors computed in the block, in their structure; None (or zeros) for unconnected ones."""
        zero = UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO

        def of(p: Any) -> Any:
            key = p._origin if isinstance(p, Variable) else p._resolved() if isinstance(p, Tensor) else p
            found = self._tangents.get(id(key))
            if found is not None:
                return found[1]
            return EAGER.zeros_like(as_tensor(p)) if zero else None

        return nest.map_structure(of, primals)
