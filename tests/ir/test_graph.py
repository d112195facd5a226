"""The IR's objects and the IR builder."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.ir import ops  # noqa: F401  (loads the op table)
from pullback.ir.builder import RAW, new_function
from pullback.ir.dtypes import float32, int32
from pullback.ir.errors import ShapeMismatch, TypeMismatch
from pullback.ir.graph import Loc, clone_function, uses
from pullback.ir.opdef import find, get, register, table
from pullback.ir.types import tensor_type


def small():
    fn, b = new_function("f", [tensor_type("f32", (4,)), tensor_type("f32")], ["x", "k"])
    b.loc = Loc("model.py", 3)
    x, k = map(b.expr, fn.params)
    y = b.tanh(x) * k + 1.0
    b.ret([y, b.reduce_sum(y, axes=(0,), keepdims=False)])
    return fn


def test_the_builder_infers_types_and_keeps_lines():
    fn = small()
    assert [str(t) for t in fn.result_types] == ["f32[4]", "f32"]
    assert all(op.loc == Loc("model.py", 3) for op in fn.body.ops)
    assert fn.is_static
    assert fn.body.terminator.kind.name == "return"


def test_python_numbers_take_the_dtype_beside_them():
    fn, b = new_function("f", [tensor_type("i32", (2,))])
    assert (b.expr(fn.params[0]) * 3).type.dtype is int32
    assert (RAW.mul(np.ones(2, np.float32), 2.0)).dtype == np.float32


def test_mismatches_are_both_of_tensorflows_types():
    fn, b = new_function("f", [tensor_type("f32", (2,)), tensor_type("f32", (3,)), tensor_type("i32", (2,))])
    x, y, i = map(b.expr, fn.params)
    with pytest.raises(ShapeMismatch) as e:
        b.add(x, y)
    assert isinstance(e.value, ValueError)
    with pytest.raises(TypeMismatch) as e2:
        b.add(x, i)
    assert isinstance(e2.value, TypeError)


def test_clones_are_separate_and_equal():
    fn = small()
    other = clone_function(fn)
    assert str(other) == str(fn)
    assert not {id(v) for v in fn.params} & {id(v) for v in other.params}
    other.body.ops.clear()
    assert len(fn.body.ops) > 3


def test_uses_counts_every_operand():
    fn = small()
    used = uses(fn.body)
    tanh = fn.body.ops[0]
    assert tanh.kind is get("tanh")
    assert [op.kind.name for op, _ in used[tanh.result]] == ["mul"]
    assert len(used[fn.results[0]]) == 2


def test_the_table_holds_each_name_once():
    assert find("no such op") is None
    assert [o.name for o in table()] == sorted({o.name for o in table()})
    with pytest.raises(ValueError, match="twice"):
        register(get("add"))


def test_full_makes_arrays_in_every_builder():
    assert RAW.full((2, 3), 1, float32).shape == (2, 3)
    fn, b = new_function("f", [tensor_type("f32", (2,))])
    assert str(b.zeros_like(b.expr(fn.params[0])).type) == "f32[2]"
