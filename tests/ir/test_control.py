"""Control flow and effects: their meaning in the interpreter, against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir import opdef
from pullback.ir.control import has_effect
from pullback.ir.errors import InvalidArgumentError, ShapeMismatch, TypeMismatch
from pullback.ir.forward import forward
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.opdef import NoGradient, OpDef
from pullback.ir.parser import parse
from pullback.ir.reverse import reverse
from pullback.ir.verifier import verify


def function(text: str) -> Function:
    return verify(parse(text))


FOR = function("""
func @f(%lo: i32, %hi: i32, %step: i32, %x: f64) -> (f64, f64) {
  %a, %b = for %i in %lo..%hi step %step iter(%a = %x, %b = %x) -> (f64, f64) {
    %fi = cast %i {dtype = f64} : f64
    %0 = add %a, %fi : f64
    %1 = mul %b, %x : f64
    yield %0, %1
  }
  return %a, %b
}""")


@pytest.mark.parametrize("bounds", [(0, 4, 1), (2, 9, 3), (5, 5, 1), (7, 3, 1), (5, 0, -2), (0, 5, -1)])
def test_for(bounds: tuple[int, int, int]) -> None:
    a = b = 1.5
    for i in range(*bounds):
        a, b = a + i, b * 1.5
    got = interpret(FOR, [*map(np.int32, bounds), np.float64(1.5)])
    assert [float(g) for g in got] == [a, b]


def test_for_refuses_a_step_of_zero() -> None:
    with pytest.raises(InvalidArgumentError, match="the step is zero"):
        interpret(FOR, [0, 1, 0, 1.0])


COLLATZ = function("""
func @collatz(%n: i64) -> (i64, i64) {
  %zero = constant 0 : i64
  %one = constant 1 : i64
  %two = constant 2 : i64
  %three = constant 3 : i64
  %m, %steps = while iter(%m = %n, %s = %zero) -> (i64, i64) {
    %c = gt %m, %one : bool
    yield %c
  } do {
    %r = mod %m, %two : i64
    %odd = eq %r, %one : bool
    %next = if %odd -> i64 {
      %0 = mul %m, %three : i64
      %1 = add %0, %one : i64
      yield %1
    } else {
      %0 = floordiv %m, %two : i64
      yield %0
    }
    %t = add %s, %one : i64
    yield %next, %t
  }
  return %m, %steps
}""")


def test_while_and_if() -> None:
    for n, steps in ((1, 0), (6, 8), (27, 111)):
        assert [int(v) for v in interpret(COLLATZ, [np.int64(n)])] == [1, steps]


def test_only_the_branch_taken_runs(capsys: pytest.CaptureFixture[str]) -> None:
    fn = function("""
func @f(%c: bool) {
  if %c {
    print {segments = ["yes\\n"]}
    yield
  } else {
    print {segments = ["no\\n"], stream = "stderr"}
    yield
  }
  return
}""")
    assert interpret(fn, [np.bool_(True)]) == []
    interpret(fn, [False])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("yes\n", "no\n")


def test_print_shows_operands_and_shortens_long_ones(capsys: pytest.CaptureFixture[str]) -> None:
    fn = function("""
func @f(%x: f32[n], %k: i32) {
  print %k, %x {segments = ["k = ", ", x = ", "!\\n"], summarize = 2}
  return
}""")
    interpret(fn, [np.arange(9, dtype=np.float32), np.int32(7)])
    assert capsys.readouterr().out == "k = 7, x = [0 1 ... 7 8]!\n"
    interpret(fn, [np.arange(3, dtype=np.float32), np.int32(7)])
    assert capsys.readouterr().out == "k = 7, x = [0 1 2]!\n"


def test_assert_names_message_data_and_line() -> None:
    fn = function("""
func @f(%c: bool, %x: f32[n]) -> f32[n] {
  assert %c, %x {message = "x must be positive"}  # model.py:5
  return %x
}""")
    assert interpret(fn, [True, np.array([1], np.float32)])[0] == 1
    with pytest.raises(InvalidArgumentError, match=r"x must be positive: \[-1\]") as e:
        interpret(fn, [False, np.array([-1], np.float32)])
    assert e.value.__notes__ == ["at model.py:5"]


CALLS = """
func @f(%x: f64[n], %k: i32) -> f64 {
  %0 = call @g(%x, %x) : f64[n]
  %1 = call @g(%0, %x) : f64[n]
  %2 = reduce_sum %1 {axes = [0], keepdims = false} : f64
  return %2
}
func @g(%a: f64[m], %b: f64[m]) -> f64[m] {
  %0 = mul %a, %b : f64[m]
  return %0
}"""


def test_call() -> None:
    x = np.array([1.0, 2.0, 3.0])
    assert interpret(function(CALLS), [x, 1])[0] == (x**3).sum()


def test_effects_are_found_through_regions_and_calls() -> None:
    quiet, loud = function(CALLS), function(CALLS.replace("%0 = mul %a, %b : f64[m]", "print {segments = [\"\"]}\n%0 = "
                                                         "mul %a, %b : f64[m]"))  # fmt: skip
    assert [has_effect(op) for op in quiet.body.ops] == [False] * 4
    assert [has_effect(op) for op in loud.body.ops] == [True, True, False, False]


class NoRuleInside(OpDef):
    name = "no_rule_inside"

    def infer(self, attrs: Any, types: Any, regions: Any = ()) -> Any:
        return (types[0],)


@pytest.fixture
def no_rule_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The op is in the table for one test: others go through all of it."""
    monkeypatch.setitem(opdef._TABLE, NoRuleInside.name, NoRuleInside())


LOOP = """
func @f(%x: f64, %k: i32) -> f64 {
  %r = for %i in 0..%k iter(%a = %x) -> f64 {
    %y = call @g(%a) : f64
    yield %y
  }
  return %r
}
func @g(%x: f64) -> f64 {
  %one = constant 1.0 : f64
  %c = lt %x, %one : bool
  %r = if %c -> f64 {
    yield %x
  } else {
    %s = no_rule_inside %x : f64  # lib.py:8
    yield %s
  }
  return %r
}"""


@pytest.mark.usefixtures("no_rule_inside")
@pytest.mark.parametrize("derive", [reverse, forward])
def test_an_op_without_a_rule_inside_control_flow_is_named_with_its_line(derive: Any) -> None:
    with pytest.raises(NoGradient, match=r"op 'no_rule_inside' .*\(at lib\.py:8\)"):
        derive(function(LOOP))


def test_control_flow_off_the_path_is_no_obstacle() -> None:
    fn = function("""
func @f(%x: f64, %k: i32) -> (f64, i32) {
  %n = for %i in 0..%k iter(%a = %k) -> i32 {
    %0 = add %a, %i : i32
    yield %0
  }
  %y = mul %x, %x : f64
  return %y, %n
}""")
    assert interpret(reverse(fn), [3.0, 4, 1.0]) == [6.0]
    assert [float(v) for v in interpret(forward(fn), [3.0, 4, 1.0])] == [9.0, 10.0, 6.0]


def test_arguments_that_do_not_fit_are_named() -> None:
    fn = function("func @f(%x: f32[n], %y: f32[n, 2], %z: f32[n + 1]) -> f32[n] {\n  return %x\n}")
    x, y, z = np.zeros(3, np.float32), np.zeros((3, 2), np.float32), np.zeros(4, np.float32)
    assert interpret(fn, [x, y, z])[0].shape == (3,)
    with pytest.raises(TypeMismatch, match="@f takes 3 arguments, found 1"):
        interpret(fn, [x])
    with pytest.raises(TypeMismatch, match=r"argument 1 \(y\) of @f must be f32\[n, 2\], found dtype float64"):
        interpret(fn, [x, y.astype(float), z])
    with pytest.raises(
        ShapeMismatch, match=r"argument 1 \(y\) of @f must be f32\[n, 2\] with n = 3, found shape \[4, 2\]"
    ):
        interpret(fn, [x, np.zeros((4, 2), np.float32), z])
    with pytest.raises(ShapeMismatch, match=r"argument 2 \(z\) .* with n = 3, found shape \[3\]"):
        interpret(fn, [x, y, x])
    with pytest.raises(ShapeMismatch, match=r"argument 0 \(x\) of @f must be f32\[n\], found shape \[3, 2\]"):
        interpret(fn, [y, y, z])
    with pytest.raises(ShapeMismatch, match="with n = 5"):
        interpret(fn, [x, y, z], sizes={"n": 5})


def test_sizes_reach_attributes() -> None:
    fn = function(
        "func @f(%x: f32[n], %y: f32) -> f32[2*n] {\n  %0 = broadcast_to %y {shape = [2*n]} : f32[2*n]\n  return %0\n}"
    )
    assert interpret(fn, [np.zeros(3, np.float32), 2.0])[0].tolist() == [2.0] * 6
