"""Reverse mode as a pass: a function in, a function that computes cotangents out, ordinary ops only.

The primal ops are copied, then walked backwards; each op's `vjp` rule writes its backward ops behind them. Only ops on
a path from the chosen parameters to the chosen results take part. As the result is a function like any other, the
pass can be applied to it again. What the backward part does not need of the primal is left to dead code elimination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .accumulate import Cotangents, varied_values, without_terminator, zeros
from .builder import IRBuilder
from .control import CALL
from .errors import TypeMismatch
from .graph import Function, clone_block
from .pad import fixed

Cache = dict[tuple[str, int, tuple[int, ...], tuple[int, ...]], Any]


@dataclass(frozen=True, slots=True)
class Reversed:
    """The function and what its parameters and results stand for.

    Attributes:
      function: parameters are the primal's, then one cotangent per entry of `outputs`; results are the primal's results
        if they were asked for, then one cotangent per entry of `wrt`.
      wrt, outputs: numbers of the primal's parameters and results. connected: per entry of `wrt`, whether a path leads
        from it to an output (if not, its cotangent is zeros).
    """

    function: Function
    wrt: tuple[int, ...]
    outputs: tuple[int, ...]
    connected: tuple[bool, ...]


class ReverseBuilder(IRBuilder):
    """The builder of the derivative passes; `derived` holds derivatives of callees that were made on the way."""

    derived: Cache


def reverse(
    fn: Function, wrt: Sequence[int] | None = None, outputs: Sequence[int] | None = None, keep_primal: bool = False
) -> Function:
    """The function of `reverse_info`."""
    return reverse_info(fn, wrt, outputs, keep_primal).function


def reverse_info(
    fn: Function,
    wrt: Sequence[int] | None = None,
    outputs: Sequence[int] | None = None,
    keep_primal: bool = False,
    derived: Cache | None = None,
) -> Reversed:
    """Differentiates a function in reverse mode.

    Args:
      wrt: numbers of the parameters to differentiate by; all that have a differentiable dtype by default.
      outputs: numbers of the results that get a cotangent; all of a differentiable dtype by default.
      keep_primal: whether the primal's results come first among the results.

    Raises:
      NoGradient: when an op on the path has no rule; names the op and the user's line.
      TypeMismatch: for a parameter or result whose dtype carries no derivative.
      IndexError: for one that does not exist.
    """
    fn = fixed(fn)
    wrt = chosen(fn, "parameter", wrt)
    outputs = chosen(fn, "result", outputs)
    body = clone_block(fn.body, {})
    ops, results = without_terminator(body)
    params = list(body.params)
    seeds = [body.add_param(results[i].type, _seed_name(results[i].name, k)) for k, i in enumerate(outputs)]
    b = ReverseBuilder(body)
    b.derived = {} if derived is None else derived
    cotangents = Cotangents(b, varied_values(ops, [params[i] for i in wrt]))
    for i, seed in zip(outputs, seeds, strict=True):
        cotangents.seed(results[i], seed)
    cotangents.back(ops)
    b.loc = None
    found = [cotangents.running.get(params[i]) for i in wrt]
    back = [zeros(b, params[i]) if ct is None else ct.value for i, ct in zip(wrt, found, strict=True)]
    b.ret([*(results if keep_primal else ()), *back])
    name = f"{fn.name}_vjp"
    return Reversed(Function(name, body), wrt, outputs, tuple(ct is not None for ct in found))


def _seed_name(name: str, k: int) -> str:
    return f"ct_{name}" if name else f"ct{k}"


def chosen(fn: Function, what: str, numbers: Sequence[int] | None) -> tuple[int, ...]:
    """The given numbers of parameters or results, checked; by default all that carry derivatives."""
    types = fn.param_types if what == "parameter" else fn.result_types
    if numbers is None:
        return tuple(i for i, t in enumerate(types) if t.dtype.is_differentiable)
    numbers = (numbers,) if isinstance(numbers, int) else numbers
    if not isinstance(numbers, Sequence) or not all(isinstance(i, int) for i in numbers):
        word = "wrt" if what == "parameter" else "outputs"
        raise TypeMismatch(f"{word} must be numbers of {what}s, found {numbers!r}")
    for i in numbers:
        if not 0 <= i < len(types):
            raise IndexError(f"@{fn.name} has no {what} {i}; it has {len(types)}")
        if not types[i].dtype.is_differentiable:
            raise TypeMismatch(
                f"{what} {i} of @{fn.name} is {types[i]}, which carries no derivative: use a float dtype"
            )
    return tuple(numbers)


def call_vjp(b: Any, callee: Function, xs: Sequence[Any], cts: Sequence[Any], needs: Sequence[bool]) -> list[Any]:
    """The reverse rule of `call`: a call of the callee's derivative, which is made once per builder."""
    types = callee.param_types
    wrt = tuple(i for i, need in enumerate(needs) if need and types[i].dtype.is_differentiable)
    outputs = tuple(i for i, ct in enumerate(cts) if ct is not None)
    derived: Cache = b.derived if isinstance(b, ReverseBuilder) else {}
    key = ("vjp", id(callee), wrt, outputs)
    if key not in derived:
        derived[key] = reverse_info(callee, wrt, outputs, derived=derived)
    info: Reversed = derived[key]
    out: list[Any] = [None] * len(xs)
    if any(info.connected):
        back = b.apply(CALL, [*xs, *(cts[i] for i in outputs)], {"callee": info.function})
        for i, ct, connected in zip(wrt, back if isinstance(back, tuple) else (back,), info.connected, strict=True):
            out[i] = ct if connected else None
    return out
