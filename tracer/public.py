"""All public names that live in the tracer, in one place: the root `__init__` takes them from here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from ..runtime.convert import as_tensor, is_tensor
from ..runtime.nest import flatten
from ..runtime.tensor_shape import TensorShape
from .concrete import ConcreteFunction
from .control_api import case, cond, foldl, foldr, map_fn, scan, switch_case, vectorized_map, while_loop
from .control_iter import unroll
from .control_region import current_trace
from .decorate import function
from .function import Function
from .gradients import gradients
from .rewrite import convert, do_not_convert
from .scopes import executing_eagerly, init_scope, inside_function
from .spec import TensorSpec


@contextmanager
def control_dependencies(control_inputs: Sequence[Any] | None) -> Iterator[None]:
    """Runs its body as it stands: effects and assignments keep the order of the program anyway."""
    yield


def group(*inputs: Any, name: str | None = None) -> None:
    """Nothing: what its arguments do is done in the order of the program. Raises ValueError for what is no tensor."""
    for x in flatten(list(inputs)):
        if x is not None and not is_tensor(x):
            as_tensor(x)


def no_op(name: str | None = None) -> None:
    """Nothing."""


def to_graph(entity: Any, recursive: bool = True, experimental_optional_features: Any = None) -> Any:
    """A callable that does the same, whose control flow works on tensors inside a compiled function.

    For libraries that call their users' functions: `pb.function` does it by itself for the user's own code.
    """
    return convert(entity)


def set_loop_options(
    parallel_iterations: Any = None,
    swap_memory: Any = None,
    maximum_iterations: Any = None,
    shape_invariants: Any = None,
) -> None:
    """Options of the loop around the call.

    Args:
      shape_invariants: pairs of a tensor and its shape. A size that is None may change from trip to trip: a loop that a
        tensor controls cannot be compiled then, and the function runs eagerly.
      parallel_iterations, swap_memory, maximum_iterations: accepted for TensorFlow's sake, without effect; a bound on
        the trips belongs into the loop's condition.
    """
    trace = current_trace()
    if trace is not None and any(TensorShape(shape).num_elements() is None for _, shape in shape_invariants or ()):
        trace.growing = True


_experimental = SimpleNamespace(do_not_convert=do_not_convert, set_loop_options=set_loop_options)
autograph = SimpleNamespace(experimental=_experimental, to_graph=to_graph)

__all__ = [
    "ConcreteFunction",
    "Function",
    "TensorSpec",
    "autograph",
    "case",
    "cond",
    "control_dependencies",
    "executing_eagerly",
    "foldl",
    "foldr",
    "function",
    "gradients",
    "group",
    "init_scope",
    "inside_function",
    "map_fn",
    "no_op",
    "scan",
    "switch_case",
    "unroll",
    "vectorized_map",
    "while_loop",
]
