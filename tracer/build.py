"""Runs a Python function once with symbolic tensors and makes a ConcreteFunction of what it did."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.dims import DimLike, symbol
from ..ir.graph import Attrs, Function
from ..ir.sizes import Session
from ..ir.types import TensorType
from ..runtime.array import is_array
from ..runtime.context import context, tracing
from ..runtime.convert import as_tensor
from ..runtime.location import user_location
from ..runtime.numpy_promote import tensor
from ..runtime.stacked import StackedList
from ..runtime.tensor import Tensor
from ..runtime.weak import Weak
from .arguments import FloatArgument, SymbolicFloat, leaf_names, replace_leaves, type_of_leaf
from .concrete import ConcreteFunction
from .float_program import computed_otherwise
from .lifted import Lift, Lifted, lifting
from .many_sizes import has_names
from .signature import Signature
from .spec import TensorSpec
from .structure import Structure, describe, flatten, rebuild
from .symbolic import SymbolicArray, SymbolicCell, SymbolicTensor
from .trace import Trace

Pattern = tuple[Any, ...]
_LETTERS = ("n", "m", "k", "p", "q", "r", "s")


class Opaque:
    """Stands for an argument that is known by identity, in a signature that must not keep it alive."""

    def __init__(self, x: Any) -> None:
        self.type_name = type(x).__name__

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"


def build(
    python: Callable[..., Any],
    name: str,
    signature: Signature,
    values: tuple[Any, ...],
    leaves: Sequence[Any],
    patterns: Sequence[Pattern],
    may_create: bool,
    arrays: bool = False,
    marks: Attrs | None = None,
) -> ConcreteFunction:
    """Traces a function.

    Args:
      values: canonical arguments. leaves: their tensors (or specs). patterns: the shape to trace each with, None for a
        size that is to become a symbol. arrays: whether ndarrays follow NumPy's rules from the start.
      marks: attributes that loops get.

    Raises:
      ArraysNeeded: the function does something for which arrays have rules of their own, and `arrays` is False.
    """
    names = unique([n for p, v in zip(signature.names, values, strict=True) for n in leaf_names(v, p)])
    types, hints, session = argument_types(leaves, patterns)
    trace = Trace(name, types, names, hints, _outer(), may_create)
    trace.session = session
    trace.marks = marks or {}
    trace.undecided = not arrays and any(map(is_array, leaves))
    try:
        kinds = [SymbolicTensor if not (arrays and is_array(x)) else _array_kind(x) for x in leaves]
        handles = [kind(p, trace) for kind, p in zip(kinds, trace.arguments, strict=True)]
        trace.given = set(map(id, handles))
        floats = [i for i, x in enumerate(leaves) if type(x) in (FloatArgument, SymbolicFloat)]
        stand_ins: list[Any] = list(handles)
        for i in floats:
            stand_ins[i] = Lifted(handles[i], leaves[i].owners)
        placeholders = iter(stand_ins)
        args, kwargs = signature.call_arguments(tuple(replace_leaves(v, placeholders) for v in values))
        with tracing(trace), lifting.inside(bool(floats)):
            outputs, structure = outputs_of(python(*args, **kwargs), name, arrays)
        written = [i for i, p in enumerate(trace.arguments) if handles[i].value is not p]
        outputs += [handles[i] for i in written]
        del args, kwargs, placeholders, handles, stand_ins
        created = [c for c in trace.created if any(s.variable is c[0]() for s in trace.variable_states())]
        specs = tuple(as_spec(v) for v in values)
        check_created(trace, created)
        made = ConcreteFunction(trace, outputs, structure, specs, names, written)
        check_lifted(made.traced, {i: leaves[i].lift for i in floats if type(leaves[i]) is FloatArgument})
        return made
    finally:
        trace.close()


def _array_kind(x: Any) -> type[SymbolicArray]:
    """The class of what stands for an array in the trace."""
    return SymbolicCell if not x.type.shape and x._cell else SymbolicArray


def _outer() -> Trace | None:
    return context.trace if isinstance(context.trace, Trace) else None


def argument_types(
    leaves: Sequence[Any], patterns: Sequence[Pattern]
) -> tuple[list[TensorType], dict[str, int], Session | None]:
    """Parameter types, with a fresh symbol for each unknown size, and the sizes that the symbols have in this call.

    Sizes with names (see `many_sizes`) are of the session that comes last.
    """
    types: list[TensorType] = []
    hints: dict[str, int] = {}
    session: Session | None = None
    if has_names(patterns):
        sizes = [n for x in leaves for n in ((x.dims or ()) if isinstance(x, TensorSpec) else type_of_leaf(x).shape)]
        pairs = zip((d for s in patterns for d in s), sizes, strict=True)
        session = Session({d: n for d, n in pairs if isinstance(d, str) and isinstance(n, int)}, True, user_location)
    for leaf, pattern in zip(leaves, patterns, strict=True):
        actual = (None,) * len(pattern) if isinstance(leaf, TensorSpec) else type_of_leaf(leaf).shape
        shape: list[DimLike] = []
        for d, size in zip(pattern, actual, strict=True):
            if d is not None:
                shape.append(session.size(symbol(d)) if session is not None and isinstance(d, str) else d)
                continue
            fresh = f"d{len(hints)}" if len(hints) >= len(_LETTERS) else _LETTERS[len(hints)]
            hints[fresh] = size if isinstance(size, int) else -1
            shape.append(symbol(fresh))
        types.append(TensorType(leaf.dtype, tuple(shape)))
    return types, {k: v for k, v in hints.items() if v >= 0}, session


def unique(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that occur twice."""
    seen: dict[str, int] = {}
    out = []
    for n in names:
        seen[n] = seen.get(n, 0) + 1
        out.append(n if seen[n] == 1 else f"{n}_{seen[n] - 1}")
    return out


def outputs_of(result: Any, name: str, arrays: bool = False) -> tuple[list[Tensor], Structure]:
    """What the function returned, as tensors and structure; with `arrays`, numbers get NumPy's dtypes.

    Raises:
      TypeError: for a leaf that no tensor can be made of.
    """
    structure, leaves = flatten(result, _is_leaf)
    return [_as_output(x, name, arrays) for x in leaves], structure


def _is_leaf(x: Any) -> bool:
    return isinstance(x, (Tensor, np.ndarray)) or (hasattr(x, "_as_tensor") and not isinstance(x, StackedList))


def _as_output(x: Any, name: str, arrays: bool) -> Tensor:
    try:
        if arrays and isinstance(x, (int, float, complex, Weak)):
            return tensor(x)
        return as_tensor(x)._resolved()
    except (TypeError, ValueError) as e:
        raise TypeError(
            f"{name} returned {x!r} of type {type(x).__name__}, which is neither a tensor nor a structure of tensors: "
            f"a compiled function returns tensors, numbers, None, and lists, tuples and dicts of them ({e})"
        ) from None


def as_spec(x: Any) -> Any:
    """A canonical argument with specs in place of tensors; objects known by identity are not kept."""
    if isinstance(x, TensorSpec):
        return x
    if isinstance(x, Tensor):
        return TensorSpec.from_type(type_of_leaf(x))
    if isinstance(x, (np.ndarray, np.generic)):
        return TensorSpec(x.shape, x.dtype)
    if x is None or isinstance(x, (bool, int, float, complex, str, bytes, type(Ellipsis))):
        return x
    structure, items = describe(x)
    if structure is None or structure.kind == "record":
        return Opaque(x)
    return rebuild(structure, [as_spec(v) for v in items])


def check_lifted(fn: Function, lifts: Mapping[int, Lift]) -> None:
    """Ends the attempt with Python floats as values, by number of the parameter, where it gave another program."""
    for lift in lifts.values():
        if lift.reason is not None:  # somebody swallowed the end of the attempt
            lift.over(lift.reason)
        if lift.escaped():
            lift.over("an object keeps the number, or what Python computed of it")
    for i, lift in lifts.items():
        why = computed_otherwise(fn, [i]) or computed_otherwise(fn, lifts)
        if why is not None:
            lift.over(why)


def check_created(trace: Trace, created: Sequence[tuple[weakref.ref[Any], str]]) -> None:
    """Raises ValueError when a variable made in the trace is kept by nobody: it would be made again on every call."""
    lines = {id(ref()): line for ref, line in created}
    for state in [s for s in trace.variable_states() if id(s.variable) in lines]:
        line = lines[id(state.variable)]
        ref = weakref.ref(state.variable)
        state.variable = None  # type: ignore[assignment]  # ours was perhaps the last one
        kept = ref()
        if kept is None:
            raise ValueError(
                f"'{trace.name}' makes the Variable '{state.param.name}' each time that it runs: a compiled function "
                "may create variables only once. Create the Variable outside of the function, or keep it "
                f"(`if self.v is None: self.v = pb.Variable(...)`){line}"
            )
        state.variable = kept
