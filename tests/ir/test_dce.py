"""Dead code in loops and branches: carried values and results that nobody needs, and values that never change."""

from __future__ import annotations

import numpy as np

from pullback.ir.control import FOR, IF, WHILE
from pullback.ir.dce import dce
from pullback.ir.graph import Function, Op
from pullback.ir.interpret import interpret
from pullback.ir.opdef import OpDef
from pullback.ir.parser import parse
from pullback.ir.simplify import canon
from pullback.ir.specialise import specialise
from pullback.ir.verifier import verify


def first(fn: Function, kind: OpDef) -> Op:
    return next(op for op in fn.body.walk() if op.kind is kind)


def test_a_carried_value_that_feeds_only_itself_goes() -> None:
    fn = parse("""
func @f(%x: f64, %y: f64, %k: i32) -> f64 {
  %a, %b, %c, %d = for %i in 0..%k iter(%a = %x, %b = %y, %c = %x, %d = %y) -> (f64, f64, f64, f64) {
    %0 = mul %a, %c : f64
    %1 = exp %b : f64
    %2 = add %c, %y : f64
    %3 = sin %a : f64
    yield %0, %1, %2, %3
  }
  return %a
}""")
    new = verify(dce(fn))
    loop = first(new, FOR)
    assert [p.name for p in loop.regions[0].params] == ["i", "a", "c"]  # c is used by a, b and d by nobody
    assert [op.kind.name for op in loop.regions[0].ops] == ["mul", "add", "yield"]
    assert interpret(new, [2.0, 3.0, np.int32(3)]) == interpret(fn, [2.0, 3.0, np.int32(3)])


def test_a_while_keeps_what_its_condition_reads() -> None:
    fn = parse("""
func @f(%x: f64, %n: i32) -> f64 {
  %zero = constant 0 : i32
  %a, %k, %d = while iter(%a = %x, %k = %zero, %d = %x) -> (f64, i32, f64) {
    %more = lt %k, %n : bool
    yield %more
  } do {
    %one = constant 1 : i32
    %0 = mul %a, %a : f64
    %1 = add %k, %one : i32
    %2 = neg %d : f64
    yield %0, %1, %2
  }
  return %a
}""")
    new = verify(dce(fn))
    assert [str(r.type) for r in first(new, WHILE).results] == ["f64", "i32"]
    assert interpret(new, [2.0, np.int32(3)]) == [256.0]


def test_results_of_branches_go_and_effects_stay() -> None:
    fn = parse("""
func @f(%x: f64, %c: bool) -> f64 {
  %a, %b = if %c -> (f64, f64) {
    %0 = sin %x : f64
    print %x {segments = ["", ""]}
    %1 = cos %x : f64
    yield %0, %1
  } else {
    %0 = for %i in 0..3 iter(%s = %x) -> f64 {
      %2 = exp %s : f64
      yield %2
    }
    yield %x, %0
  }
  return %a
}""")
    new = verify(dce(fn))
    branch = first(new, IF)
    assert len(branch.results) == 1
    assert [op.kind.name for op in branch.regions[0].ops] == ["sin", "print", "yield"]
    assert [op.kind.name for op in branch.regions[1].ops] == ["yield"]


def test_a_loop_kept_for_its_effect_carries_nothing() -> None:
    fn = parse("""
func @f(%x: f64, %k: i32) -> f64 {
  %a = for %i in 0..%k iter(%a = %x) -> f64 {
    print %i {segments = ["", " "]}
    %0 = exp %a : f64
    yield %0
  }
  return %x
}""")
    loop = first(verify(dce(fn)), FOR)
    assert not loop.results
    assert [op.kind.name for op in loop.regions[0].ops] == ["print", "yield"]


def test_carried_values_that_never_change_are_their_start() -> None:
    fn = parse("""
func @f(%x: f64, %y: f64, %k: i32) -> (f64, f64, f64) {
  %a, %b, %c = for %i in 0..%k iter(%a = %x, %b = %y, %c = %y) -> (f64, f64, f64) {
    %0 = mul %a, %b : f64
    %1 = identity %b : f64
    yield %0, %1, %y
  }
  return %a, %b, %c
}""")
    new = verify(canon(fn))
    assert len(first(new, FOR).results) == 1
    assert new.results[1:] == [new.params[1]] * 2
    assert interpret(new, [2.0, 3.0, np.int32(2)]) == [18.0, 3.0, 3.0]


def test_a_value_that_both_branches_give_is_that_value() -> None:
    fn = parse("""
func @f(%x: f64, %c: bool) -> (f64, f64) {
  %a, %b = if %c -> (f64, f64) {
    %0 = sin %x : f64
    yield %0, %x
  } else {
    %0 = identity %x : f64
    yield %x, %0
  }
  return %a, %b
}""")
    new = verify(canon(fn))
    assert new.results[1] is new.params[0]
    assert len(first(new, IF).results) == 1


def test_what_sizes_keep_from_running_need_not_fit_them() -> None:
    fn = parse("""
func @f(%x: f64[n]) -> f64[1] {
  %n = dim %x {axis = 0, dtype = i32} : i32
  %one = constant 1 : i32
  %zero = constant [0.0] : f64[1]
  %some = ge %n, %one : bool
  %r = if %some -> f64[1] {
    %0 = slice %x {starts = [0], sizes = [1], strides = [1]} : f64[1]
    yield %0
  } else {
    yield %zero
  }
  %s = for %i in 0..%n step %one iter(%s = %r) -> f64[1] {
    %0 = slice %x {starts = [0], sizes = [1], strides = [1]} : f64[1]
    %1 = add %s, %0 : f64[1]
    yield %1
  }
  return %s
}""")
    assert interpret(verify(specialise(fn, {"n": 0})), [np.zeros(0)])[0].tolist() == [0]
    assert interpret(verify(specialise(fn, {"n": 2})), [np.ones(2)])[0].tolist() == [3]
