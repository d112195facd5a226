"""Stacks: types and text, meaning, errors, derivatives as each other's adjoint, and what passes must not do to them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from pullback.ir.dims import symbol
from pullback.ir.dtypes import float32
from pullback.ir.errors import InternalError, TypeMismatch, VerifyError
from pullback.ir.forward import forward
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.opdef import get
from pullback.ir.parser import parse, parse_type
from pullback.ir.passes import PassManager
from pullback.ir.printer import print_function
from pullback.ir.reverse import reverse
from pullback.ir.specialise import specialise
from pullback.ir.stack_ops import Stack
from pullback.ir.types import StackType, TensorType
from pullback.ir.verifier import verify


def test_the_type() -> None:
    t = StackType(float32, (symbol("n"), 3))
    assert str(t) == "stack<f32[n, 3]>"
    assert parse_type(str(t)) == t
    assert parse_type("stack<f64>") == StackType(parse_type("f64").dtype)
    assert t != TensorType(float32, t.shape)
    assert t.element == TensorType(float32, t.shape)
    assert t.substitute({"n": 2}) == StackType(float32, (2, 3))
    assert not t.is_static


SWAP = """
func @f(%x: f64[n], %y: f64[n]) -> (f64[n], f64[n]) {
  %s = stack_new {dtype = f64, shape = [n]} : stack<f64[n]>
  %0 = push %s, %x : stack<f64[n]>
  %1 = push %0, %y : stack<f64[n]>
  %2, %a = pop %1 : (stack<f64[n]>, f64[n])
  %b = sin %a : f64[n]
  %3, %c = pop %2 : (stack<f64[n]>, f64[n])
  return %b, %c
}"""


def test_what_was_pushed_last_is_popped_first() -> None:
    fn = verify(parse(SWAP))
    x, y = np.ones(2), np.full(2, 0.5)
    b, c = interpret(fn, [x, y])
    np.testing.assert_array_equal(b, np.sin(y))
    np.testing.assert_array_equal(c, x)
    assert print_function(parse(print_function(fn))) == print_function(fn)


def test_both_modes_to_order_two() -> None:
    fn = parse(SWAP)
    x, y, u, v = np.array([1.0, 2.0]), np.array([0.3, 0.4]), np.array([3.0, 5.0]), np.array([7.0, 9.0])
    back = verify(reverse(fn))
    for got, want in zip(interpret(back, [x, y, u, v]), [v, u * np.cos(y)], strict=True):
        np.testing.assert_allclose(got, want)
    tangents = interpret(verify(forward(fn)), [x, y, u, v])[2:]
    np.testing.assert_allclose(tangents, [v * np.cos(y), u])
    twice = verify(reverse(back, outputs=[1]))  # of u * cos(y)
    np.testing.assert_allclose(interpret(twice, [x, y, u, v, v])[1], -u * np.sin(y) * v)
    np.testing.assert_allclose(interpret(twice, [x, y, u, v, v])[2], np.cos(y) * v)


def test_a_tangent_onto_a_stack_that_has_none_yet() -> None:
    text = SWAP.replace("push %s, %x", "push %s, %k").replace("  %s =", "  %k = sign %y : f64[n]\n  %s =")
    fn = verify(parse(text))
    x, y, t = np.ones(2), np.array([0.3, 0.4]), np.array([2.0, 3.0])
    made = interpret(verify(forward(fn, wrt=[1])), [x, y, t])
    np.testing.assert_allclose(made[2], t * np.cos(y))
    np.testing.assert_array_equal(made[3], [0, 0])
    np.testing.assert_allclose(interpret(reverse(fn), [x, y, t, t])[1], t * np.cos(y))


def test_stack_zeros_keeps_the_height() -> None:
    s = Stack(np.zeros(2)).push(np.ones(2)).push(np.full(2, 5.0))
    zeros = get("stack_zeros").eager({}, s)
    assert (zeros.depth, s.depth) == (2, 2)
    assert not zeros.pop()[1].any()
    assert s.pop()[1][0] == 5
    assert repr(s) == "<stack of 2>"


def test_an_empty_stack_gives_nothing() -> None:
    text = SWAP.replace("push %0, %y", "push %s, %y")  # the first push is forgotten
    with pytest.raises(InternalError, match="pop: the stack is empty"):
        interpret(parse(text), [np.ones(2), np.ones(2)])


def test_an_empty_stack_of_cotangents_stands_for_zeros() -> None:
    empty = get("stack_new").eager({"dtype": float32, "shape": (2,)})
    same, top = get("pop").eager({"zeros": True}, empty)
    assert same is empty
    assert top.dtype == np.float32
    assert top.tolist() == [0, 0]


def test_a_high_stack_is_freed_without_recursion() -> None:
    s = Stack(0)
    for i in range(20 * sys.getrecursionlimit()):
        s = s.push(i)
    del s


def test_passes_keep_two_stacks_apart_and_sizes_reach_them() -> None:
    two = SWAP.replace("  %0 =", "  %t = stack_new {dtype = f64, shape = [n]} : stack<f64[n]>\n  %0 =").replace(
        "push %0, %y", "push %t, %y"
    )
    two = two.replace("pop %2", "pop %0")
    fn = PassManager("canon,cse,dce", verify=True).run(parse(two))
    assert [op.kind.name for op in fn.body.ops].count("stack_new") == 2
    sized = verify(specialise(fn, {"n": 2}))
    assert "stack<f64[2]>" in print_function(sized)
    assert interpret(sized, [np.ones(2), np.zeros(2)])[1].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sin %a", "sin %2", "operand 0 is stack<f64.n.>, which 'sin' cannot take"),
        ("push %s, %x", "push %x, %x", "the first operand must be a stack"),
        ("pop %1", "pop %x", "the first operand must be a stack"),
        ("(%x: f64[n], %y", "(%x: f32[n], %y", "the second operand must be f64"),
        ("shape = [n]", "shape = [-1]", "-1"),
    ],
)
def test_the_verifier_names_what_is_wrong(old: str, new: str, words: str) -> None:
    with pytest.raises(VerifyError, match=words):
        verify(parse(SWAP.replace(old, new)))


PASSED = """
func @f(%s: stack<f64[2]>, %n: i32) -> (stack<f64[2]>, f64[2]) {
  %0, %x = call @g(%s) : (stack<f64[2]>, f64[2])
  return %0, %x
}
func @g(%s: stack<f64[2]>) -> (stack<f64[2]>, f64[2]) {
  %0, %x = pop %s : (stack<f64[2]>, f64[2])
  return %0, %x
}"""


def test_stacks_cross_functions() -> None:
    fn: Function = verify(parse(PASSED))
    s: Any = Stack(np.zeros(2)).push(np.array([1.0, 2.0]))
    rest, x = interpret(fn, [s, np.int32(0)])
    assert isinstance(rest, Stack)
    assert rest.depth == 0
    assert x.tolist() == [1, 2]
    with pytest.raises(TypeMismatch, match=r"argument 0 \(s\) of @f must be stack<f64\[2\]>, found ndarray"):
        interpret(fn, [x, np.int32(0)])
    back = interpret(verify(reverse(fn)), [s, np.int32(0), Stack(np.zeros(2)), np.array([3.0, 4.0])])
    assert back[0].pop()[1].tolist() == [3, 4]  # type: ignore[attr-defined]
