"""Forward mode as a pass: a function in, a function that also carries tangents along out, ordinary ops only.

Each op is copied and its `jvp` rule writes the tangents of its results right behind it. Values without a tangent cost
nothing. As the result is a function like any other, forward and reverse mode can be applied to it in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .accumulate import varied_values, zeros
from .builder import Expr
from .control import CALL, no_rule
from .errors import InternalError
from .forward_control import ForwardRegions
from .graph import Block, Function, Op, Value, clone_op
from .opdef import NoGradient
from .pad import fixed
from .reverse import Cache, ReverseBuilder, chosen


@dataclass(frozen=True, slots=True)
class Forward:
    """The function and what its parameters and results stand for.

    Attributes:
      function: parameters are the primal's, then one tangent per entry of `wrt`; results are the primal's, then one
        tangent per entry of `outputs`.
      wrt, outputs: numbers of the primal's parameters and results. connected: per entry of `outputs`, whether it
        depends on a parameter in `wrt` (if not, its tangent is zeros).
    """

    function: Function
    wrt: tuple[int, ...]
    outputs: tuple[int, ...]
    connected: tuple[bool, ...]


def forward(fn: Function, wrt: Sequence[int] | None = None) -> Function:
    """The function of `forward_info`."""
    return forward_info(fn, wrt).function


def forward_info(fn: Function, wrt: Sequence[int] | None = None, derived: Cache | None = None) -> Forward:
    """Differentiates a function in forward mode.

    Args:
      wrt: numbers of the parameters that get a tangent; all that have a differentiable dtype by default.

    Raises:
      NoGradient: when an op on the path has no rule; names the op and the user's line.
      TypeMismatch: for a parameter whose dtype carries no derivative. IndexError: for one that does not exist.
    """
    fn = fixed(fn)
    wrt = chosen(fn, "parameter", wrt)
    outputs = chosen(fn, "result", None)
    body = Block(Value(p.type, p.name) for p in fn.params)
    mapping = dict(zip(fn.params, body.params, strict=True))
    params = list(body.params)
    b = ReverseBuilder(body)
    b.derived = {} if derived is None else derived
    tangents: dict[Value, Expr] = {}
    for k, i in enumerate(wrt):
        tangents[params[i]] = b.expr(
            body.add_param(params[i].type, f"t_{params[i].name}" if params[i].name else f"t{k}")
        )
    varied = varied_values(fn.body.ops, [fn.params[i] for i in wrt])
    _Pushing(mapping, tangents, varied).ops(b, fn.body.ops[:-1])
    b.loc = None
    results = [mapping[v] for v in fn.results]
    found = [tangents.get(results[i]) for i in outputs]
    ts = [zeros(b, results[i]) if t is None else t.value for i, t in zip(outputs, found, strict=True)]
    b.ret([*results, *ts])
    return Forward(Function(f"{fn.name}_jvp", body), wrt, outputs, tuple(t is not None for t in found))


class _Pushing:
    """Copies ops with the tangents of their results; see `forward_control.ForwardRegions` for the attributes."""

    def __init__(self, mapping: dict[Value, Value], tangents: dict[Value, Expr], varied: set[Value]) -> None:
        self.mapping, self.tangents = mapping, tangents
        self.regions = ForwardRegions(mapping, tangents, varied, self.ops)

    def ops(self, b: ReverseBuilder, ops: Sequence[Op]) -> None:
        """Copies ops to the end of the builder's block."""
        for op in ops:
            if op.kind is CALL and any(self.mapping[v] in self.tangents for v in op.operands):
                _push_call(b, op, self.mapping, self.tangents)
            elif op.regions:
                self.regions.op(b, op)
            else:
                new = clone_op(op, self.mapping)
                b.block.ops.append(new)
                _push(b, new, self.tangents)


def _push(b: ReverseBuilder, op: Op, tangents: dict[Value, Expr]) -> None:
    """Writes the tangents of an op's results, if any operand has one."""
    if not any(v in tangents for v in op.operands) or not any(r.type.dtype.is_differentiable for r in op.results):
        return
    b.loc = op.loc
    xs, outs = ([b.expr(v) for v in vs] for vs in (op.operands, op.results))
    try:
        ts = op.kind.jvp(b, op.attrs, outs, xs, _tangents(b, op.operands, tangents))
    except NoGradient as e:
        raise no_rule(op, e) from None
    for r, t in zip(op.results, ts, strict=True):
        if t is not None and r.type.dtype.is_differentiable:
            if t.type != r.type:
                raise InternalError(f"a tangent of type {t.type} came for a value of type {r.type} of '{op.kind.name}'")
            tangents[r] = t


def _tangents(b: ReverseBuilder, values: Sequence[Value], tangents: dict[Value, Expr]) -> list[Expr | None]:
    """The values' tangents, for rules that write where the builder stands (they may come from an outer block)."""
    return [b.expr(tangents[v].value) if v in tangents else None for v in values]


def _push_call(b: ReverseBuilder, op: Op, mapping: dict[Value, Value], tangents: dict[Value, Expr]) -> None:
    """A call with tangents is one call of the derivative, which gives the results as well."""
    b.loc = op.loc
    xs = [b.expr(mapping[v]) for v in op.operands]
    try:
        info = _derived(b, op.attrs["callee"], [tangents.get(x.value) for x in xs])
    except NoGradient as e:
        raise no_rule(op, e) from None
    made = _call(b, info, xs, [tangents[xs[i].value] for i in info.wrt])
    for old, new in zip(op.results, made, strict=False):
        new.value.name = old.name
        mapping[old] = new.value
    for i, t, connected in zip(info.outputs, made[len(op.results) :], info.connected, strict=True):
        if connected:
            tangents[mapping[op.results[i]]] = t


def _derived(b: Any, callee: Function, ts: Sequence[Any]) -> Forward:
    """The callee's derivative for tangents (or None), made once per builder."""
    wrt = tuple(i for i, t in enumerate(ts) if t is not None)
    derived: Cache = b.derived if isinstance(b, ReverseBuilder) else {}
    key = ("jvp", id(callee), wrt, ())
    if key not in derived:
        derived[key] = forward_info(callee, wrt, derived=derived)
    info: Forward = derived[key]
    return info


def _call(b: Any, info: Forward, xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
    made = b.apply(CALL, [*xs, *ts], {"callee": info.function})
    return made if isinstance(made, tuple) else (made,)


def call_jvp(b: Any, callee: Function, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    """The forward rule of `call`: a call of the callee's derivative, which is made once per builder."""
    info = _derived(b, callee, ts)
    out: list[Any] = [None] * len(outs)
    if any(info.connected):
        made = _call(b, info, xs, [ts[i] for i in info.wrt])
        for i, t, connected in zip(info.outputs, made[len(outs) :], info.connected, strict=True):
            out[i] = t if connected else None
    return out
