"""`vjp_region_op`: cotangents of a loop or branch that stands in a block being built, as tapes inside traces need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir.builder import IRBuilder
from pullback.ir.control import IF
from pullback.ir.graph import Block, Function, Op, Value
from pullback.ir.opdef import get
from pullback.ir.parser import parse
from pullback.ir.printer import print_function
from pullback.ir.reverse import reverse
from pullback.ir.reverse_control import vjp_region_op
from pullback.ir.verifier import verify

from .loop_checks import BRANCH, NEWTON, RNG, ROWS, SIMPLIFY, TRIANGLE, close, run


def copy_open(fn: Function) -> tuple[Function, IRBuilder, list[Value]]:
    """A copy that is still being built, and the values that it would give."""
    new = parse(print_function(fn))
    end = new.body.ops.pop()
    return new, IRBuilder(new.body), end.operands


def region_op(fn: Function) -> Op:
    return next(op for op in fn.body.ops if op.regions)


@pytest.mark.parametrize(
    ("fn", "args"),
    [
        (ROWS, [RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=3)]),
        (TRIANGLE, [np.array([0.9, 0.3, 0.7, -0.4]), np.int32(0)]),
        (BRANCH, [np.array([1.0, 2.0]), np.float64(0.5)]),
        (NEWTON, [np.float64(2.0), np.float64(1.5)]),
    ],
)
def test_a_tape_differentiates_an_op_of_the_block_being_built(fn: Function, args: list[Any]) -> None:
    new, b, results = copy_open(fn)
    op = region_op(new)
    before = list(op.results)
    wanted = [p for p in new.params if p.type.dtype.is_differentiable]
    (y,) = before
    ct = b.full(y.type.shape, 1, y.type.dtype).value
    found = [vjp_region_op(b, op, [ct], wanted) for _ in range(2)]  # a persistent tape asks twice
    assert op.results[0] is y
    b.ret([*results, *found[0], *found[1]])
    got = run(verify(new), args)
    expected = run(reverse(fn), [*args, np.ones_like(run(fn, args)[0])])
    close(got, [run(fn, args)[0], *expected, *expected])
    close(run(SIMPLIFY.run(new), args), got)


def test_a_tape_asked_inside_a_branch_about_a_loop_outside() -> None:
    new, b, (y,) = copy_open(ROWS)
    inside, other = IRBuilder(Block()), IRBuilder(Block())
    ct = inside.full(y.type.shape, 1, y.type.dtype).value
    found = vjp_region_op(inside, region_op(new), [ct], [new.params[1]], home=new.body)
    inside.block.ops.append(Op(get("yield"), [v for v in found if v is not None]))
    other.block.ops.append(Op(get("yield"), [new.params[1]]))
    c = b.gt(b.reduce_sum(y, axes=(0,), keepdims=False), -100.0).value
    b.ret(b.emit(IF, [c], {}, [inside.block, other.block]))
    args = [RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=3)]
    close(run(verify(new), args), [run(reverse(ROWS), [*args, np.ones(3)])[1]])


def test_a_tape_gives_none_for_what_does_not_contribute() -> None:
    new, b, _ = copy_open(NEWTON)
    op = region_op(new)
    assert vjp_region_op(b, op, [None], list(new.params)) == [None, None]
    other, b, _ = copy_open(BRANCH)
    (ct,) = (b.const(1.0, other.params[1].type.dtype).value,)
    unread = b.const(1.0, other.params[1].type.dtype).value
    assert vjp_region_op(b, region_op(other), [ct], [unread]) == [None]
