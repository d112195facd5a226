"""Steps that are an op by itself: products, factorisations, sorting, scatters, stacks, effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir.graph import Op
from . import access, factor, matmul, opaque, order
from .buffers import bytes_of
from .plan import Call
from .special import NUMPY, SCATTERS
from .stacks import OPS

if TYPE_CHECKING:
    from .module import ModuleWriter


def write_call(m: ModuleWriter, step: Call) -> None:
    """The code of the step."""
    op = step.op
    assert op is not None
    if op.kind.name == "matmul":
        matmul.emit(op, m.scope, lambda v: m.pointer(m.plan.owner[v]), m.functions, m.find_blas)
        return
    if op.kind.name in OPS:
        m.stacks.write(op)
        return
    if op.kind.effect or op.kind.name in NUMPY:
        m.effects.write(op)
        return
    if op.kind.name in factor.OPS or op.kind.name in order.OPS:
        _routine(m, step, op)
        return
    if op.kind.name in SCATTERS:
        m.copy(m.plan.owner[op.operands[0]], op.results[0])
    if not all(access.shape_of(v) == () or bytes_of(v) for v in op.results):
        return
    m.invoke(step, opaque.write(m.plan, op, m.context, m.checks.bounds))


def _routine(m: ModuleWriter, step: Call, op: Op) -> None:
    """A factorisation, or sorting: a function of the module; a matrix that has no inverse ends this one."""
    if not any(access.shape_of(v) == () or bytes_of(v) for v in op.results):
        return
    if op.kind.name in order.OPS:
        name = order.function(op, m.context, m.functions)
    else:
        name = factor.function(op, m.context, m.functions, m.find_blas)
    values = [m.plan.owner[v] for v in (*op.operands, *op.results, *([step.work] if step.work else []))]
    em = m.scope.scalar
    status = em.op(f"call i32 @{name}({', '.join(f'ptr {m.pointer(v)}' for v in values)})", "i32")
    if op.kind.name == "lu_solve":
        m.wrote(*step.targets)
        m.fail(em.compare("ne", status, 0), str(m.plan.order[op] + 1))
