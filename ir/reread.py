"""What was stored in an array is read back from there where the whole array is needed anyway.

The simplifier takes a slot that was just written for what was written: in `b[1:-1] = s; a[1:-1] = b[:-2] + b[1:-1]`
the second line adds s itself. That s is an expression over a, and the kernel of the second line, which has to wait for
the first one's, would compute it once more, from a that it is about to overwrite. So behind the last simplification
such uses become reads again: of a value that many ops made, stored whole, by ops whose results also depend on the
array it was stored in.
"""

from __future__ import annotations

from math import prod

from .elementwise import Elementwise
from .graph import Block, Function, Op, Value, clone_function
from .opdef import get
from .rewrite import inputs

LEAST = 32  # elements; less is kept in registers
_FAR = 256  # ops that are looked at behind a store: what comes later is hardly in the same kernel


def reread(fn: Function) -> Function:
    """A copy of the function with such reads, or the function itself where there are none."""
    if not any(_stores(op) for op in fn.body.walk()):
        return fn
    new = clone_function(fn)
    return new if _block(new.body) else fn


def _stores(op: Op) -> bool:
    """Whether the op stores a computed array at a place that is known."""
    if op.kind.name != "update" or len(op.operands) > 2:
        return False
    made, sizes = op.operands[1].owner, [d for d in op.operands[1].type.shape if isinstance(d, int)]
    known = isinstance(made, Op) and isinstance(made.kind, Elementwise) and len(sizes) == op.operands[1].type.rank
    return known and bool(sizes) and prod(sizes) >= LEAST


def _block(block: Block) -> bool:
    changed = False
    for op in block.ops:
        for region in op.regions:
            changed = _block(region) or changed
    k = 0
    while k < len(block.ops):
        if _stores(block.ops[k]) and _read(block, k):
            changed = True
        k += 1
    return changed


def _read(block: Block, k: int) -> bool:
    """Lets ops that depend on the array that op k wrote, and on what it wrote there, read that from the array."""
    store = block.ops[k]
    stored = store.operands[1]
    behind = block.ops[k + 1 : k + 1 + _FAR]
    users = [op for op in behind if isinstance(op.kind, Elementwise) and stored in op.operands]
    after = _dependent(behind, store.result) if users else set()
    users = [op for op in users if after & _dependent(behind, op.result, op.result.type.shape)]
    if not users:
        return False
    attrs = {**store.attrs, "sizes": stored.type.shape}
    back = Op(get("slice"), [store.result], attrs, (), [stored.type], store.loc)
    block.ops.insert(k + 1, back)
    for op in users:
        op.operands = [back.result if v is stored else v for v in op.operands]
    return True


def _dependent(ops: list[Op], root: Value, shape: object = None) -> set[Value]:
    """What depends on a value; with a shape what elementwise ops of it make, the value included."""
    found = {root}
    for op in ops:
        counts = shape is None or (isinstance(op.kind, Elementwise) and op.result.type.shape == shape)
        if counts and any(v in found for v in inputs(op)):
            found.update(op.results)
    return found
