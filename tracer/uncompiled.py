"""A call that cannot be compiled because sizes grow while it runs: its Python runs eagerly, op by op, each time.

That is so where the program says that it wants it: `shape_invariants` that leave a size open, a TensorArray of dynamic
size that is written at computed places. `fn.explain()` names the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ..ir.graph import Loc
from ..runtime.context import context
from .arguments import replace_leaves
from .numpy_mode import run_python

if TYPE_CHECKING:
    from .function import Function


class RunEagerly(BaseException):
    """Ends a trace; not an Exception, so that the user's `except` does not see it. Its text is the reason."""


class Uncompiled:
    """In place of a ConcreteFunction."""

    scope = None
    for_arrays = is_symbolic = False
    plain = None

    def __init__(self, function: Function, values: tuple[Any, ...], why: str) -> None:
        self.function, self.values, self.why = function, values, why
        self.line: Loc | None = None
        self.reason = ""
        self.loops: tuple[Any, ...] = (f"not compiled, runs eagerly: {why}",)

    def call_flat(self, leaves: Sequence[Any], sources: Mapping[int, Any]) -> Any:
        """The result for the tensors of a call."""
        if context.trace is not None:
            raise RunEagerly(self.why)
        f = self.function
        given = iter([sources.get(i, x) for i, x in enumerate(leaves)])
        args, kwargs = f._signature.call_arguments(tuple(replace_leaves(v, given) for v in self.values))
        return run_python(f._traced, f._ir_name, args, kwargs)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"'{self.function._ir_name}' is {self.loops[0]}: it has no {name!r}")
