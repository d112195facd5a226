"""Loops and branches: compiled == interpreted over hand-written IR, with carried scalars, arrays and stacks; memory
that is reused in place; errors found at run time."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from pullback.codegen.buffers import assign
from pullback.codegen.compile import Executable
from pullback.codegen.fusion import plan
from pullback.codegen.lowering import lower
from pullback.codegen.pipeline import optimise
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.parser import parse

from .compiled import array, check_function


def run(text: str, *arrays: Any, tolerance: float = 0.0, donate: dict[int, int] | None = None) -> Executable:
    """The function of this text, compiled, against the interpreter."""
    return check_function(parse(text), [np.asarray(x) for x in arrays], tolerance, donate)


def i32(x: int) -> Any:
    return np.int32(x)


SCALARS = """
func @f(%n: i32, %a: f64, %b: f64) -> (f64, f64, i32) {
  %x, %y, %k = for %i in 0..%n iter(%p = %a, %q = %b, %c = %n) -> (f64, f64, i32) {
    %s = sin %p : f64
    %t = mul %s, %q : f64
    %u = add %t, %a : f64
    %d = add %c, %i : i32
    yield %q, %u, %d
  }
  return %x, %y, %k
}"""


@pytest.mark.parametrize("n", [-3, 0, 1, 2, 7])
def test_carried_scalars_that_change_places(n: int) -> None:
    run(SCALARS, i32(n), 0.3, -1.5, tolerance=1e-14)


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0, 5, 1), (5, 0, -1), (0, 10, 3), (10, 0, -4), (3, 3, 2), (4, 0, 1), (0, 4, -1), (2**31 - 3, 2**31 - 1, 5),
     (-(2**31), 2**31 - 1, 2**30), (2**31 - 1, -(2**31), -(2**30)), (-5, 6, 2), (7, -8, -5)],
)  # fmt: skip
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("dtype", ["i32", "i64"])
def test_any_bounds_and_step(low: int, high: int, step: int, fixed: bool, dtype: str) -> None:
    by = str(step) if fixed else "%s"
    text = f"""
    func @f(%l: {dtype}, %h: {dtype}, %s: {dtype}) -> ({dtype}, {dtype}) {{
      %r, %t = for %i : {dtype} in %l..%h step {by} iter(%acc = %l, %last = %h) -> ({dtype}, {dtype}) {{
        %p = mul %acc, %s : {dtype}
        %q = add %p, %i : {dtype}
        yield %q, %i
      }}
      return %r, %t
    }}"""
    np_dtype = {"i32": np.int32, "i64": np.int64}[dtype]
    with np.errstate(over="ignore"):
        run(text, np_dtype(low), np_dtype(high), np_dtype(step))


def test_a_step_of_zero_is_an_error() -> None:
    text = """
    func @f(%s: i32) -> i32 {
      %r = for %i in 0..4 step %s iter(%acc = %s) -> i32 {
        %q = add %acc, %i : i32
        yield %q
      }
      return %r
    }"""
    exe = run(text, i32(3))
    with pytest.raises(Exception, match="for: the step is zero"):
        exe.run([np.asarray(i32(0))])


NESTED = """
func @f(%n: i32, %x: f64[6, 6]) -> (f64[6, 6], f64) {
  %zero = constant 0.0 : f64
  %a, %total = for %i in 0..%n iter(%a1 = %x, %t1 = %zero) -> (f64[6, 6], f64) {
    %b, %t2 = for %j in %i..%n iter(%b1 = %a1, %t3 = %t1) -> (f64[6, 6], f64) {
      %e = slice %b1, %i, %j {starts = [none, none], sizes = [1, 1], strides = [1, 1]} : f64[1, 1]
      %s = reshape %e {shape = []} : f64
      %m = mul %s, %t3 : f64
      %fi = cast %j {dtype = f64} : f64
      %v = add %m, %fi : f64
      %w = reshape %v {shape = [1, 1]} : f64[1, 1]
      %c = update %b1, %w, %j, %i {starts = [none, none], strides = [1, 1]} : f64[6, 6]
      yield %c, %v
    }
    yield %b, %t2
  }
  return %a, %total
}"""


@pytest.mark.parametrize("n", [0, 1, 6])
def test_triangular_updates_in_nested_loops_copy_nothing(n: int) -> None:
    exe = run(NESTED, i32(n), array((6, 6), "float64"), tolerance=1e-14, donate={0: 1})
    assert exe.llvm.count("call void @llvm.memmove") == 1  # of the parameter, before the loops


def test_a_loop_over_elements_is_straight_code() -> None:
    exe = run(NESTED, i32(4), array((6, 6), "float64"), tolerance=1e-14)
    assert "@k0" not in exe.llvm


def test_elementwise_in_place() -> None:
    text = """
    func @f(%n: i32, %x: f32[100]) -> f32[100] {
      %h = for %i in 0..%n iter(%v = %x) -> f32[100] {
        %s = tanh %v : f32[100]
        %t = add %s, %x : f32[100]
        yield %t
      }
      return %h
    }"""
    for n in (0, 1, 5):
        exe = run(text, i32(n), array((100,)), tolerance=1e-6, donate={0: 1})
        assert exe.scratch_bytes in (0, 448)


STENCIL = """
func @f(%n: i32, %x: f64[50]) -> f64[50] {
  %h = for %i in 0..%n iter(%v = %x) -> f64[50] {
    %l = slice %v {starts = [0], sizes = [48], strides = [1]} : f64[48]
    %c = slice %v {starts = [1], sizes = [48], strides = [1]} : f64[48]
    %r = slice %v {starts = [2], sizes = [48], strides = [1]} : f64[48]
    %s = add %l, %r : f64[48]
    %q = constant 0.25 : f64
    %t = mul %s, %q : f64[48]
    %w = add %t, %c : f64[48]
    %u = update %v, %w {starts = [1], strides = [1]} : f64[50]
    yield %u
  }
  return %h
}"""


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10])
def test_a_stencil_with_overlapping_slices(n: int) -> None:
    run(STENCIL, i32(n), array((50,), "float64"), donate={0: 1})


JACOBI = """
func @f(%n: i32, %x: f64[50], %y: f64[50]) -> (f64[50], f64[50]) {
  %g, %h = for %i in 0..%n iter(%a = %x, %b = %y) -> (f64[50], f64[50]) {
    %f = reverse %a {axes = [0]} : f64[50]
    %s = add %f, %a : f64[50]
    %d = sin %s : f64[50]
    yield %d, %a
  }
  return %g, %h
}"""


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_arrays_that_change_places_turn_pointers(n: int) -> None:
    exe = run(JACOBI, i32(n), array((50,), "float64"), array((50,), "float64", 1), tolerance=1e-14, donate={0: 1})
    loop = exe.llvm[exe.llvm.index("\nfor.") : exe.llvm.index("\nend.")]
    assert "memmove" not in loop
    assert "phi ptr" in loop


SWAP = """
func @f(%n: i32, %x: f64[5], %y: f64[5], %s: f64, %t: f64) -> (f64[5], f64[5], f64, f64) {
  %g, %h, %p, %q = for %i in 0..%n iter(%a = %x, %b = %y, %c = %s, %d = %t) -> (f64[5], f64[5], f64, f64) {
    yield %b, %a, %d, %c
  }
  return %g, %h, %p, %q
}"""


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_swap(n: int) -> None:
    run(SWAP, i32(n), array((5,), "float64"), array((5,), "float64", 1), 1.0, 2.0, donate={0: 1, 1: 2})
    run(SWAP, i32(n), array((5,), "float64"), array((5,), "float64", 1), 1.0, 2.0, donate={0: 2, 1: 1})


@pytest.mark.parametrize(
    ("yields", "note"),
    [("%a, %a, %a", "one for all"), ("%b, %c, %a", "three in a ring"), ("%x, %a, %b", "one from outside"),
     ("%u, %a, %a", "an update and its base, twice"), ("%a, %u, %u", "an update, twice"), ("%z, %a, %z", "constants"),
     ("%e, %e, %u", "an expression, twice"), ("%v, %b, %a", "a view of the parameter"), ("%w, %e, %x", "many"),
     ("%a, %b, %c", "nothing changes")],
)  # fmt: skip
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_any_hand_over(yields: str, note: str, n: int) -> None:
    text = f"""
    func @f(%n: i32, %x: f64[2, 3], %y: f64[2, 3]) -> (f64[2, 3], f64[2, 3], f64[2, 3], f64[2, 3]) {{
      %z = constant splat 7.5 : f64[2, 3]
      %r, %s, %t = for %i in 0..%n iter(%a = %x, %b = %y, %c = %z) -> (f64[2, 3], f64[2, 3], f64[2, 3]) {{
        %m = slice %b {{starts = [0, 0], sizes = [1, 2], strides = [1, 1]}} : f64[1, 2]
        %u = update %a, %m {{starts = [1, 1], strides = [1, 1]}} : f64[2, 3]
        %k = add %b, %c : f64[2, 3]
        %e = reverse %k {{axes = [0, 1]}} : f64[2, 3]
        %v = reverse %a {{axes = [1]}} : f64[2, 3]
        %d = reshape %c {{shape = [3, 2]}} : f64[3, 2]
        %w = transpose %d {{perm = [1, 0]}} : f64[2, 3]
        yield {yields}
      }}
      return %r, %s, %t, %z
    }}"""
    for donate in ({}, {0: 1}, {1: 1, 0: 2}):
        run(text, i32(n), array((2, 3), "float64"), array((2, 3), "float64", 1), donate=donate)


def test_a_result_that_is_the_initial_value_is_a_copy() -> None:
    text = """
    func @f(%n: i32, %x: f64[3]) -> f64[3] {
      %h = for %i in 0..%n iter(%v = %x) -> f64[3] {
        yield %v
      }
      return %h
    }"""
    exe = run(text, i32(2), array((3,), "float64"))
    x = array((3,), "float64")
    (out,) = exe.run([np.asarray(i32(0)), x])
    assert not np.shares_memory(out, x)


def test_products_and_sums_in_loops() -> None:
    text = """
    func @f(%n: i32, %x: f64[8, 40], %w: f64[40, 40]) -> (f64[8, 40], f64) {
      %zero = constant 0.0 : f64
      %h, %s = for %i in 0..%n iter(%v = %x, %t = %zero) -> (f64[8, 40], f64) {
        %p = matmul %v, %w {transpose_a = false, transpose_b = true} : f64[8, 40]
        %q = tanh %p : f64[8, 40]
        %r = reduce_sum %q {axes = [0, 1], keepdims = false} : f64
        %m = reduce_max %q {axes = [1], keepdims = true} : f64[8, 1]
        %y = sub %q, %m : f64[8, 40]
        %u = add %t, %r : f64
        yield %y, %u
      }
      return %h, %s
    }"""
    for n in (0, 1, 4):
        run(text, i32(n), array((8, 40), "float64"), array((40, 40), "float64", 1) / 40, tolerance=1e-13, donate={0: 1})


BRANCH = """
func @f(%n: i32, %x: f64[7]) -> (f64[7], f64) {
  %one = constant 1.0 : f64
  %h, %s = for %i in 0..%n iter(%v = %x, %t = %one) -> (f64[7], f64) {
    %two = constant 2 : i32
    %m = mod %i, %two : i32
    %z = constant 0 : i32
    %c = eq %m, %z : bool
    %w, %u = if %c -> (f64[7], f64) {
      %e = slice %v, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
      %g = reshape %e {shape = []} : f64
      %k = mul %g, %t : f64
      %l = reshape %k {shape = [1]} : f64[1]
      %a = update %v, %l, %m {starts = [none], strides = [1]} : f64[7]
      yield %a, %k
    } else {
      %d = add %t, %one : f64
      yield %v, %d
    }
    yield %w, %u
  }
  return %h, %s
}"""


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_branches_in_loops_write_in_place(n: int) -> None:
    exe = run(BRANCH, i32(n), array((7,), "float64"), donate={0: 1})
    assert exe.llvm.count("call void @llvm.memmove") == 1


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize(
    ("first", "second"),
    [("%x, %y", "%y, %x"), ("%u, %x", "%x, %x"), ("%e, %e", "%x, %g"), ("%z, %u", "%g, %u"), ("%u, %e", "%g, %x")],
)
def test_branches_with_arrays(taken: bool, first: str, second: str) -> None:
    def block(given: str) -> str:
        return f"""
          %m = slice %y {{starts = [2], sizes = [3], strides = [1]}} : f64[3]
          %u = update %y, %m {{starts = [1], strides = [1]}} : f64[5]
          %e = mul %x, %x : f64[5]
          %f = reverse %e {{axes = [0]}} : f64[5]
          %g = sub %f, %y : f64[5]
          yield {given}"""

    text = f"""
    func @f(%c: bool, %p: f64[5], %q: f64[5]) -> (f64[5], f64[5]) {{
      %z = constant splat 3.0 : f64[5]
      %s = sin %p : f64[5]
      %x = reverse %s {{axes = [0]}} : f64[5]
      %y = update %q, %s {{starts = [0], strides = [1]}} : f64[5]
      %a, %b = if %c -> (f64[5], f64[5]) {{{block(first)}
      }} else {{{block(second)}
      }}
      return %a, %b
    }}"""
    for donate in ({}, {0: 1}, {1: 1, 0: 2}):
        run(text, np.bool_(taken), array((5,), "float64"), array((5,), "float64", 1), tolerance=1e-14, donate=donate)


def test_only_the_branch_taken_checks_its_indices() -> None:
    text = """
    func @f(%c: bool, %i: i32, %x: f64[5]) -> f64 {
      %r = if %c -> f64 {
        %e = slice %x, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
        %g = reshape %e {shape = []} : f64
        yield %g
      } else {
        %z = constant 0.0 : f64
        yield %z
      }
      return %r
    }"""
    exe = run(text, np.bool_(False), i32(9), array((5,), "float64"))
    run(text, np.bool_(True), i32(4), array((5,), "float64"))
    with pytest.raises(Exception, match="index"):
        exe.run([np.asarray(True), np.asarray(i32(9)), array((5,), "float64")])


def test_an_index_out_of_range_ends_the_loop() -> None:
    exe = run(NESTED, i32(6), array((6, 6), "float64"), tolerance=1e-14)
    with pytest.raises(Exception, match=r"slice.*index is out of range"):
        exe.run([np.asarray(i32(7)), array((6, 6), "float64")])


WHILE = """
func @f(%x: f64[4], %limit: f64, %k: i32) -> (f64[4], f64[4], i32, f64) {
  %one = constant 1 : i32
  %a, %b, %n, %s = while iter(%v = %x, %w = %x, %c = %k, %t = %limit) -> (f64[4], f64[4], i32, f64) {
    %q = mul %v, %v : f64[4]
    %r = reduce_sum %q {axes = [0], keepdims = false} : f64
    %g = lt %r, %limit : bool
    yield %g
  } do {
    %u = add %v, %w : f64[4]
    %m = add %c, %one : i32
    %e = slice %v {starts = [1], sizes = [1], strides = [1]} : f64[1]
    %h = reshape %e {shape = []} : f64
    yield %u, %v, %m, %h
  }
  return %a, %b, %n, %s
}"""


@pytest.mark.parametrize("limit", [0.0, 5.0, 1e4])
def test_while_with_arrays_and_scalars(limit: float) -> None:
    run(WHILE, array((4,), "float64"), limit, i32(-2), donate={0: 0})


def test_a_condition_does_not_overwrite_what_the_loop_gives() -> None:
    text = """
    func @f(%x: f64[40]) -> f64[40] {
      %h = while iter(%v = %x) -> f64[40] {
        %s = sin %v : f64[40]
        %t = matmul_free %s : f64[40]
        %lim = constant 0.5 : f64
        %m = reduce_max %s {axes = [0], keepdims = false} : f64
        %c = gt %m, %lim : bool
        yield %c
      } do {
        %s = sin %v : f64[40]
        yield %s
      }
      return %h
    }""".replace("%t = matmul_free %s : f64[40]", "")
    run(text, array((40,), "float64"), tolerance=1e-13)


def test_values_of_outer_blocks_stay_alive_in_inner_loops() -> None:
    text = """
    func @f(%n: i32, %x: f64[30]) -> (f64[30], f64[30]) {
      %e = exp %x : f64[30]
      %r0 = reverse %e {axes = [0]} : f64[30]
      %h, %g = for %i in 0..%n iter(%v = %x, %w = %e) -> (f64[30], f64[30]) {
        %t = sin %v : f64[30]
        %o = reverse %t {axes = [0]} : f64[30]
        %k, %l = for %j in %i..%n iter(%p = %o, %q = %t) -> (f64[30], f64[30]) {
          %a = mul %p, %e : f64[30]
          %b = add %a, %v : f64[30]
          %c = reverse %b {axes = [0]} : f64[30]
          %d = add %q, %t : f64[30]
          yield %c, %d
        }
        %y = add %k, %r0 : f64[30]
        %z = tanh %y : f64[30]
        yield %z, %l
      }
      return %h, %g
    }"""
    for n in (0, 1, 2, 5):
        run(text, i32(n), array((30,), "float64"), tolerance=1e-11)


def test_scatter_and_gather_in_loops() -> None:
    text = """
    func @f(%n: i32, %x: f64[5, 3], %p: i32[4]) -> f64[5, 3] {
      %h = for %i in 0..%n iter(%v = %x) -> f64[5, 3] {
        %g = gather %v, %p {axis = 0, batch_dims = 0} : f64[4, 3]
        %s = sin %g : f64[4, 3]
        %w = scatter_add %v, %p, %s {axis = 0, batch_dims = 0} : f64[5, 3]
        yield %w
      }
      return %h
    }"""
    exe = run(text, i32(3), array((5, 3), "float64"), np.array([0, 3, 3, 1], np.int32), tolerance=1e-14)
    with pytest.raises(Exception, match="index is out of range"):
        exe.run([np.asarray(i32(1)), array((5, 3), "float64"), np.array([0, 3, 5, 1], np.int32)])


STACK = """
func @f(%n: i32, %x: f64[3], %a: f64) -> (f64[3], f64) {
  %s0 = stack_new {dtype = f64, shape = [3]} : stack<f64[3]>
  %t0 = stack_new {dtype = f64, shape = []} : stack<f64>
  %s, %t, %v, %b = for %i in 0..%n iter(%s1 = %s0, %t1 = %t0, %v1 = %x, %b1 = %a)
      -> (stack<f64[3]>, stack<f64>, f64[3], f64) {
    %s2 = push %s1, %v1 : stack<f64[3]>
    %t2 = push %t1, %b1 : stack<f64>
    %e = sin %v1 : f64[3]
    %v2 = add %e, %b1 : f64[3]
    %b2 = cos %b1 : f64
    yield %s2, %t2, %v2, %b2
  }
  %s9, %t9, %g, %h = for %j in 0..%n iter(%s3 = %s, %t3 = %t, %g1 = %v, %h1 = %b)
      -> (stack<f64[3]>, stack<f64>, f64[3], f64) {
    %s4, %e = pop %s3 : (stack<f64[3]>, f64[3])
    %t4, %c = pop %t3 : (stack<f64>, f64)
    %g2 = mul %g1, %e : f64[3]
    %h2 = add %h1, %c : f64
    %g3 = add %g2, %h1 : f64[3]
    yield %s4, %t4, %g3, %h2
  }
  return %g, %h
}"""


@pytest.mark.parametrize("n", [0, 1, 3, 200])
def test_stacks(n: int) -> None:
    exe = run(STACK, i32(n), array((3,), "float64"), 0.25, tolerance=1e-12)
    assert exe.llvm.count("call void @pb_free") == 2


def test_no_memory_is_lost_by_stacks() -> None:
    exe = run(STACK, i32(3), array((3,), "float64"), 0.25, tolerance=1e-12)
    args = [np.asarray(i32(5000)), array((3,), "float64"), np.asarray(0.25)]
    exe.run(args)
    tracemalloc.start()
    try:
        exe.run(args)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            exe.run(args)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak > 5000 * 24  # it is seen at all
    assert after - before < 20000


def test_memory_of_loops_is_small() -> None:
    def scratch(text: str) -> int:
        return assign(plan(lower(optimise(parse(text)))), {}).scratch

    assert scratch(JACOBI) <= 3 * 448
    assert scratch(NESTED) <= 64


def test_a_slot_made_from_other_parts_of_its_array_goes_through_a_temporary() -> None:
    text = """
    func @f(%n: i32, %x: f64[20, 30]) -> f64[20, 30] {
      %h = for %i in 1..%n iter(%v = %x) -> f64[20, 30] {
        %one = constant 1 : i32
        %j = sub %i, %one : i32
        %l = slice %v, %i {starts = [none, 0], sizes = [1, 28], strides = [1, 1]} : f64[1, 28]
        %r = slice %v, %i {starts = [none, 2], sizes = [1, 28], strides = [1, 1]} : f64[1, 28]
        %u = slice %v, %j {starts = [none, 1], sizes = [1, 28], strides = [1, 1]} : f64[1, 28]
        %s = add %l, %r : f64[1, 28]
        %t = mul %s, %u : f64[1, 28]
        %w = sin %t : f64[1, 28]
        %y = update %v, %w, %i {starts = [none, 1], strides = [1, 1]} : f64[20, 30]
        yield %y
      }
      return %h
    }"""
    exe = run(text, i32(20), array((20, 30), "float64"), tolerance=1e-14, donate={0: 1})
    assert exe.llvm.count("call void @llvm.memmove") == 1
    assert exe.scratch_bytes == 256


def test_what_was_read_before_a_write_is_kept_apart() -> None:
    """Reading lazily would need the old array after the write: a copy of it on every trip."""
    text = """
    func @f(%n: i32, %x: f64[40, 5], %c: f64) -> f64[40, 5] {
      %h = for %i in 0..%n iter(%v = %x) -> f64[40, 5] {
        %two = constant 2 : i32
        %m = mod %i, %two : i32
        %odd = lt %m, %i : bool
        %e = slice %v, %i {starts = [none, 0], sizes = [1, 1], strides = [1, 1]} : f64[1, 1]
        %r = slice %v, %i {starts = [none, 0], sizes = [1, 5], strides = [1, 1]} : f64[1, 5]
        %s = sin %r : f64[1, 5]
        %w = update %v, %s, %m {starts = [none, 0], strides = [1, 1]} : f64[40, 5]
        %k = if %odd -> f64[40, 5] {
          %q = cos %r : f64[1, 5]
          %y = add_at %w, %q, %m {starts = [none, 0], strides = [1, 1]} : f64[40, 5]
          yield %y
        } else {
          yield %w
        }
        %d = reshape %e {shape = []} : f64
        %t = mul %r, %d : f64[1, 5]
        %z = update %k, %t, %i {starts = [none, 0], strides = [1, 1]} : f64[40, 5]
        yield %z
      }
      return %h
    }"""
    exe = run(text, i32(40), array((40, 5), "float64"), 0.5, tolerance=1e-13, donate={0: 1})
    assert exe.llvm.count("call void @llvm.memmove") == 1
