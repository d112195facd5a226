"""The plan in words, for dumps: steps in order, their loops, what they read and make, and where buffers live."""

from __future__ import annotations

from math import prod

from ..ir.graph import Function, Op, Value
from . import access
from .loops import KernelCode
from .module import Module
from .plan import Call, Kernel, Plan, Root

_MULTIPLY_ADDS_PER_NS = 40.0
_ADDITIONS_PER_NS = 12.0


def describe(plan: Plan, module: Module) -> str:
    """One paragraph per step."""
    names = _names(plan.fn)
    lines = [f"@{plan.fn.name}: {len(plan.steps)} steps, {module.memory.scratch} bytes of scratch"]
    codes = {id(step): code for step, code in module.called}
    for step in plan.steps:
        if isinstance(step, Call):
            assert step.op is not None
            inputs = ", ".join(names.get(v, "?") for v in step.inputs)
            lines.append(f"{step.op.kind.name} ({inputs}) -> {_made(step, names, module)}{_where(step.op)}")
        else:
            code = codes.get(id(step))
            name = code.name if code else "(empty)"
            lines.append(f"kernel {name} over {list(step.domain)}{_loops(code)} -> {_made(step, names, module)}")
            lines += [f"  {_root(r, names)}{_where(r.op)}" for r in step.roots if r.kept]
    return "\n".join(lines)


def _names(fn: Function) -> dict[Value, str]:
    out, k = {}, 0
    for v in [*fn.params, *(r for op in fn.body.ops for r in op.results)]:
        if v.name:
            out[v] = f"%{v.name}"
        else:
            out[v] = f"%{k}"
            k += 1
    return out


def _made(step: Kernel | Call, names: dict[Value, str], module: Module) -> str:
    parts = []
    for v in step.targets:
        place = module.memory.places.get(v)
        where = f" in {place.kind} {place.at}" if place else ""
        parts.append(f"{names.get(v, '?')} : {v.type}{where}")
    return ", ".join(parts)


def _root(r: Root, names: dict[Value, str]) -> str:
    if r.reduce:
        return f"{r.reduce} of {names.get(r.source, '?')} over levels {sorted(r.axes)} -> {names.get(r.target, '?')}"
    verb = "add to" if r.add else "store"
    return f"{verb} {names.get(r.target, '?')}[{', '.join(map(str, r.out))}]"


def _where(op: Op) -> str:
    return f"  # {op.loc}" if op.loc else ""


def _loops(code: KernelCode | None) -> str:
    if code is None or code.schedule is None or not code.schedule.order:
        return ""
    s = code.schedule
    lanes = f" by {s.lanes}x{s.unroll} lanes"
    loops = [f"{s.extents[level]}" + (lanes if level == s.vector else "") for level in s.order]
    blocks = f", blocks of {s.block}" if s.split is not None else ""
    return f" as loops {' / '.join(loops)}{blocks}"


def work(module: Module, fn: Function) -> float:
    """A rough estimate of the run time in ns."""
    total = 20.0
    for _, code in module.called:
        if code.schedule is not None:
            s = code.schedule
            cost = 2 + sum(access.cost(v.owner) for v, _ in s.reads.visits if isinstance(v.owner, Op))
            total += 5 + prod(s.extents.values()) * cost / _ADDITIONS_PER_NS
        else:
            total += 5 + sum(float(prod(access.shape_of(v))) for v in code.pointers)
    for op in fn.body.ops:
        if op.kind.name == "matmul":
            k = access.shape_of(op.operands[0])[-2 if op.attrs["transpose_a"] else -1]
            total += 30 + prod(access.shape_of(op.results[0])) * k / _MULTIPLY_ADDS_PER_NS
    return total
