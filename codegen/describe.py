"""The plan in words, for dumps: steps in order, their loops, what they read and make, and where buffers live."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..ir.graph import Function, Op, Value
from ..ir.sizes import estimate
from . import access, special
from .loops import KernelCode
from .module import Module
from .plan import Call, Kernel, Number, Plan, Region, Root, Rows, Steps, is_literal

_ADDITIONS_PER_NS = 12.0
_UNKNOWN_TRIPS = 100.0


def describe(plan: Plan, module: Module) -> str:
    """One paragraph per step; the steps of a region under it."""
    names = _names(plan.fn)
    codes = {id(step): code for step, code in module.called}
    head = f"@{plan.fn.name}: {len(plan.steps)} steps, {module.memory.scratch} bytes of scratch"
    return "\n".join([head, *_steps(plan.steps, names, codes, module)])


def _steps(
    steps: Sequence[Steps], names: dict[Value, str], codes: dict[int, KernelCode], module: Module
) -> list[str]:
    lines = []
    for step in steps:
        if isinstance(step, Rows):
            lines.append(_together(step, codes))
            lines += ["  " + line for line in _steps(step.kernels, names, codes, module)]
            continue
        made = _made(step, names, module)
        if isinstance(step, Kernel):
            code = codes.get(id(step))
            if code is None and not step.domain:
                lines.append(f"element -> {made}")
            else:
                loops = f"kernel {code.name if code else '(empty)'} over {list(step.domain)}{_loops(code)}"
                lines.append(f"{loops} -> {made}")
            lines += _apart(step, names, codes)
            lines += [f"  {_root(r, names)}{_where(r.op)}" for r in step.roots if r.kept]
            continue
        assert step.op is not None
        if isinstance(step, Number):
            lines.append(f"number {names.get(step.op.results[0], '?')}{_where(step.op)}")
            continue
        inputs = ", ".join(names.get(v, "?") for v in step.inputs)
        lines.append(f"{step.op.kind.name} ({inputs}) -> {made}{_where(step.op)}")
        if isinstance(step, Region):
            for inner in step.plans:
                lines.append("{")
                lines += ["  " + line for line in _steps(inner.steps, names, codes, module)]
            lines.append("}")
    return lines


def _together(step: Rows, codes: dict[int, KernelCode]) -> str:
    cut = codes[id(step)].cut
    shared = f", {cut.count} pieces of {cut.size} for threads" if cut is not None and cut.count > 1 else ""
    return f"rows of {codes[id(step)].name} in blocks of {step.size}{shared}: one pass over memory for"


def _names(fn: Function) -> dict[Value, str]:
    out: dict[Value, str] = {}
    inner = [p for op in fn.body.walk() for r in op.regions for p in r.params]
    k = 0
    for v in [*fn.params, *inner, *(r for op in fn.body.walk() for r in op.results)]:
        if v.name:
            out[v] = f"%{v.name}"
        else:
            out[v] = f"%{k}"
            k += 1
    return out


def _made(step: Steps, names: dict[Value, str], module: Module) -> str:
    parts = []
    for v in step.targets:
        place = module.memory.places.get(v)
        where = f" in {place.kind} {place.at}" if place else " on the stack" if isinstance(step, Kernel) else ""
        parts.append(f"{names.get(v, '?')} : {v.type}{where}")
    return ", ".join(parts)


def _root(r: Root, names: dict[Value, str]) -> str:
    if r.reduce:
        return f"{r.reduce} of {names.get(r.source, '?')} over levels {sorted(r.axes)} -> {names.get(r.target, '?')}"
    verb = "add to" if r.add else "store"
    why = f" ({r.why})" if r.why else ""
    return f"{verb} {names.get(r.target, '?')}[{', '.join(map(str, r.out))}]{why}"


def _apart(step: Kernel, names: dict[Value, str], codes: dict[int, KernelCode]) -> list[str]:
    """Why the kernel is one of its own, if there was one over the same domain."""
    if step.apart is None:
        return []
    other, (words, value) = step.apart
    code = codes.get(id(other))
    about = "?" if value is None else names.get(value, "?")
    return [f"  apart from {code.name}: {words.format(about)}"] if code else []


def _where(op: Op) -> str:
    return f"  # {op.loc}" if op.loc else ""


def _loops(code: KernelCode | None) -> str:
    if code is None or code.schedule is None or not code.schedule.order:
        return ""
    s = code.schedule
    lanes = f" by {s.lanes}x{s.unroll} lanes"
    how = {s.vector: lanes, s.turned: " in squares"}
    loops = [f"{s.extents[level]}{how.get(level, '')}" for level in s.order]
    blocks = f", blocks of {s.block}" if s.split is not None else ""
    cut = code.cut
    shared = f", {cut.count} pieces of {cut.size} for threads" if cut else ""
    return f" as loops {' / '.join(loops)}{blocks}{shared}"


def work(plan: Plan, module: Module) -> float:
    """A rough estimate of the run time in ns."""
    return 20.0 + _work(plan, {id(step): code for step, code in module.called})


def _work(plan: Plan, codes: dict[int, KernelCode]) -> float:
    total = 0.0
    for step in plan.steps:
        if isinstance(step, Rows):
            total += sum(_cost(codes.get(id(k))) for k in step.kernels)
        elif isinstance(step, Region):
            total += trips_of(step) * sum(2.0 + _work(inner, codes) for inner in step.plans)
        elif isinstance(step, Call) and step.op is not None and (known := special.work(step.op)) is not None:
            total += known
        else:
            total += _cost(codes.get(id(step)))
    return total


def _cost(code: KernelCode | None) -> float:
    if code is None:
        return 1.0
    if code.schedule is None:
        return 5 + sum(float(estimate(prod(access.shape_of(v)))) for v in code.pointers)
    s = code.schedule
    cost = 2 + sum(access.cost(v.owner) for v, _ in s.reads.visits if isinstance(v.owner, Op))
    return 5 + estimate(prod(s.extents.values())) * cost / _ADDITIONS_PER_NS


def trips_of(step: Region) -> float:
    """How often the blocks of a region run, as far as the program says."""
    op = step.op
    assert op is not None
    if op.kind.name == "if":
        return 0.5
    bounds = op.operands[:3]
    if op.kind.name == "for" and all(is_literal(v) for v in bounds):
        low, high, by = (int(v.owner.attrs["value"]) for v in bounds if isinstance(v.owner, Op))
        return float(len(range(low, high, by))) if by else 0.0
    return _UNKNOWN_TRIPS
