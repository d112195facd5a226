"""Runs IR with NumPy: the meaning that everything else is compared with.

One visitor over blocks. The symbols of the parameter types take their sizes from the arguments; attributes that hold
symbolic sizes are replaced by numbers before an op's `eager` sees them. An error that an op raises gets a note
with the user's line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .attrs import resolve_attrs
from .control import CALL, RegionOp, bound_by, plain_symbol
from .dims import substitute
from .errors import ShapeMismatch, TypeMismatch
from .graph import Attrs, Block, Function, Op, Value
from .stack_ops import Stack
from .types import StackType, TensorType, type_of_array

Array = np.ndarray[Any, Any]


def interpret(fn: Function, args: Sequence[Any], sizes: Mapping[str, int] | None = None) -> list[Array]:
    """The function's results for arrays (or what NumPy makes arrays of) of the parameters' dtypes and shapes.

    Args:
      sizes: values of symbols; those that the arguments' shapes determine need not be given.

    Raises:
      TypeMismatch, ShapeMismatch: for arguments that do not fit. What an op raises carries a note with the user's line.
    """
    if len(args) != len(fn.params):
        raise TypeMismatch(f"@{fn.name} takes {len(fn.params)} arguments, found {len(args)}")
    arrays = [_argument(fn, i, p, x) for i, (p, x) in enumerate(zip(fn.params, args, strict=True))]
    bound = bind_sizes(fn, arrays, sizes or {})
    return Interpreter(bound).block(fn.body, arrays, {})


def _argument(fn: Function, i: int, p: Value, x: Any) -> Array:
    if isinstance(p.type, StackType):
        if not isinstance(x, Stack):
            raise TypeMismatch(f"argument {_label(i, p)} of @{fn.name} must be {p.type}, found {type(x).__name__}")
        return x  # type: ignore[return-value]  # the arrays of a run include its stacks
    if isinstance(x, (bool, int, float, complex)):
        return np.asarray(x, p.type.dtype.np)
    array = np.asarray(x)
    if array.dtype != p.type.dtype.np:
        raise TypeMismatch(f"argument {_label(i, p)} of @{fn.name} must be {p.type}, found dtype {array.dtype.name}")
    return array


def _label(i: int, p: Value) -> str:
    return f"{i} ({p.name})" if p.name else str(i)


def bind_sizes(fn: Function, arrays: Sequence[Array], sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes of all symbols in the parameter types. Raises ShapeMismatch where shapes contradict the types."""
    bound = dict(sizes)
    tensors = [(i, p, x) for i, (p, x) in enumerate(zip(fn.params, arrays, strict=True)) if not isinstance(x, Stack)]
    for i, p, x in tensors:
        if x.ndim != p.type.rank:
            raise ShapeMismatch(f"argument {_label(i, p)} of @{fn.name} must be {p.type}, found shape {list(x.shape)}")
        for d, n in zip(p.type.shape, x.shape, strict=True):
            name = plain_symbol(d)
            if name is not None:
                bound.setdefault(name, n)
    for i, p, x in tensors:
        wanted = tuple(substitute(d, bound) for d in p.type.shape)
        if wanted != x.shape:
            given = ", ".join(f"{k} = {v}" for k, v in sorted(bound.items()))
            with_ = f" with {given}" if given and not p.type.is_static else ""
            must = f"argument {_label(i, p)} of @{fn.name} must be {p.type}{with_}"
            raise ShapeMismatch(f"{must}, found shape {list(x.shape)}")
    return bound


class noted:
    """`with noted(op): ...`: an error raised inside gets a note with the user's line of the op."""

    __slots__ = ("op",)

    def __init__(self, op: Op) -> None:
        self.op = op

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        note = f"at {self.op.loc}" if self.op.loc else None
        if note and isinstance(error, Exception) and note not in getattr(error, "__notes__", ()):
            error.add_note(note)


class Interpreter:
    """Runs blocks under given sizes, and those that ops bind on the way."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)

    def block(self, block: Block, args: Sequence[Any], env: dict[Value, Array]) -> list[Array]:
        """What the block's terminator gives; `env` holds the values of enclosing blocks and takes those of this one."""
        env.update(zip(block.params, args, strict=True))
        for op in block.ops[:-1]:
            for v, x in zip(op.results, self.op(op, env), strict=True):
                env[v] = x
        return [env[v] for v in block.ops[-1].operands]

    def op(self, op: Op, env: dict[Value, Array]) -> Sequence[Array]:
        """The results of one op."""
        xs = [env[v] for v in op.operands]
        with noted(op):
            if isinstance(op.kind, RegionOp):
                results = op.kind.interpret(op.regions, xs, lambda block, args: self.block(block, args, env))
            elif op.kind is CALL:
                results = interpret(op.attrs["callee"], xs)
            else:
                name = bound_by(op)
                if name is not None:
                    self.sizes[name] = int(xs[0])
                results = self._eager(op, self._attrs(op.attrs), xs)
        return results

    def _attrs(self, attrs: Attrs) -> Attrs:
        return resolve_attrs(attrs, self.sizes) if self.sizes else attrs

    def _eager(self, op: Op, attrs: Attrs, xs: Sequence[Array]) -> list[Array]:
        results = op.kind.eager(attrs, *xs)
        made = results if isinstance(results, tuple) else (results,)
        arrays: list[Any] = [r if isinstance(r, Stack) else np.asarray(r) for r in made]
        for v, x in zip(op.results, arrays, strict=True):
            if isinstance(x, Stack) != isinstance(v.type, StackType):
                raise AssertionError(f"op '{op.kind.name}' promised {v.type} but computed {type(x).__name__}")
            if not isinstance(x, Stack):
                self._check(op, v.type, x)
        return arrays

    def _check(self, op: Op, type: TensorType, x: Array) -> None:
        """The result must be of the type that `infer` promised: a wrong rule shows at once, not somewhere later."""
        wanted = type.substitute(self.sizes)
        if wanted.shape != x.shape or x.dtype != wanted.dtype.np:
            raise AssertionError(f"op '{op.kind.name}' promised {wanted} but computed {type_of_array(x)}")
