"""Printing and failing in compiled code: text, order and errors are the interpreter's; donors stay whole."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest

from pullback.codegen.compile import compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.dtypes import int32
from pullback.ir.errors import FailedAssertion, IndexMismatch, InvalidArgumentError
from pullback.ir.graph import Function, Op
from pullback.ir.interpret import interpret
from pullback.ir.opdef import get
from pullback.ir.parser import parse
from pullback.ir.types import TensorType

from .compiled import array
from .test_regions_random import nest

PROGRAM = """
func @f(%n: i32, %x: f64[3], %b: bool) -> (f64[3], i32) {
  print %x, %b {segments = ["x ", " b ", "\\n"]}
  %zero = constant 0 : i32
  %y, %c = for %i in 0..%n iter(%a = %x, %k = %zero) -> (f64[3], i32) {
    print %i, %a {segments = ["trip ", ": ", "\\n"]}
    %two = constant 2 : i32
    %m = lt %i, %two : bool
    %d = if %m -> f64[3] {
      print {segments = ["low\\n"]}
      %s = add %a, %x : f64[3]
      yield %s
    } else {
      %five = constant 5 : i32
      %ok = lt %i, %five : bool
      assert %ok, %i, %a {message = "too far"}
      %s = sub %a, %x : f64[3]
      print %s {segments = ["high ", "\\n"], stream = "stderr", styles = ["str"]}
      yield %s
    }
    %l = while iter(%p = %k) -> i32 {
      %more = lt %p, %i : bool
      print %more {segments = ["again ", "\\n"]}
      yield %more
    } do {
      %one = constant 1 : i32
      %q = add %p, %one : i32
      yield %q
    }
    yield %d, %l
  }
  print %c, %y {segments = ["end ", " ", "\\n"], styles = ["repr", "format "]}
  return %y, %c
}"""


def outcome(run: Any, capsys: Any) -> tuple[Any, ...]:
    """What a run gives or raises, and what it prints."""
    try:
        values: Any = [np.asarray(x).tolist() for x in run()]
    except Exception as e:
        values = type(e), str(e)
    return (values, *capsys.readouterr())


def both(fn: Function, args: list[Any], capsys: Any) -> tuple[Any, ...]:
    exe = compile_function(optimise(fn))
    want = outcome(lambda: interpret(fn, args), capsys)
    assert outcome(lambda: exe.run(args), capsys) == want
    assert outcome(lambda: exe.run(args), capsys) == want
    return want


@pytest.mark.parametrize("n", [0, 1, 3, 5, 9])
@pytest.mark.parametrize("flag", [True, False])
def test_text_and_order(n: int, flag: bool, capsys: Any) -> None:
    got = both(parse(PROGRAM), [np.asarray(np.int32(n)), array((3,), "float64"), np.asarray(flag)], capsys)
    assert got[1].startswith("x [")
    assert (got[0] == (FailedAssertion, got[0][1])) == (n > 5)
    if n > 5:
        assert "too far: 5 [" in got[0][1]


@pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "i64", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 9), (1, 2, 2)])
def test_every_type_of_operand(dtype: str, shape: tuple[int, ...], capsys: Any) -> None:
    names = {"f32": "float32", "f64": "float64", "i32": "int32", "i64": "int64", "bool": "bool"}
    of = f"{dtype}[{', '.join(map(str, shape))}]" if shape else dtype
    styles = '", "'.join(["", "str", "repr", "array", "array repr"])
    text = f"""
    func @f(%x: {of}) -> {of} {{
      %y = identity %x : {of}
      print %x, %y, %x, %x, %y {{segments = ["a ", "b ", "c ", "d ", "e ", "f\\n"], styles = ["{styles}"]}}
      return %y
    }}"""
    x = np.asarray(array(shape, names[dtype]))
    assert both(parse(text), [x], capsys)[1].startswith("a ")


def test_arrays_that_exist_for_the_text_only(capsys: Any) -> None:
    both(
        parse("""
    func @f(%x: f32[40], %i: i32) -> f32 {
      %y = mul %x, %x : f32[40]
      %z = reverse %y {axes = [0]} : f32[40]
      %t = reshape %z {shape = [5, 8]} : f32[5, 8]
      print %t {segments = ["", "\\n"], summarize = -1}
      %one = constant 1 : i32
      %j = add %i, %one : i32
      print %j {segments = ["", "\\n"]}
      %s = reduce_max %x {axes = [0], keepdims = false} : f32
      return %s
    }"""),
        [array((40,)), np.asarray(np.int32(2**31 - 1))],
        capsys,
    )


def test_a_failing_index_comes_after_the_print_before_it(capsys: Any) -> None:
    """Kernels of one domain are fused: not across an effect, if they may fail."""
    text = """
    func @f(%x: f64[4], %k: i32[4]) -> (f64[4], f64[4]) {
      %a = sin %x : f64[4]
      print %k {segments = ["", "\\n"]}
      %g = gather %x, %k {axis = 0, batch_dims = 0} : f64[4]
      print {segments = ["never\\n"]}
      return %a, %g
    }"""
    got = both_errors(text, [array((4,), "float64"), np.int32([0, 1, 4, 2])], capsys)
    assert got == "[0 1 4 2]\n"


ELEMENTS = """
func @f(%x: f64[8]) -> f64[8] {{
  %y = for %i in 0..8 iter(%a = %x) -> f64[8] {{
    %e = slice %x, %i {{starts = [none], sizes = [1], strides = [1]}} : f64[1]
    %s = mul %e, %e : f64[1]
    {effect}
    %b = update %a, %s, %i {{starts = [none], strides = [1]}} : f64[8]
    yield %b
  }}
  return %y
}}"""


@pytest.mark.parametrize(
    "effect",
    [
        'print %i {segments = ["", "\\n"]}',
        'print %s {segments = ["", "\\n"]}',
        '%five = constant 5 : i32 %ok = lt %i, %five : bool assert %ok, %i {message = "far"}',
        '%five = constant 5 : i32 %ok = lt %i, %five : bool '
        'if %ok { print %i {segments = ["", " "]} yield } else { yield }',
    ],
)
def test_element_loops_keep_their_effects(effect: str, capsys: Any) -> None:
    """Loops over elements become array ops, but not those in which something happens on each trip."""
    got = both(parse(ELEMENTS.format(effect=effect)), [array((8,), "float64")], capsys)
    assert got[1] or got[0][0] is FailedAssertion


def talking(seed: int) -> Function:
    """A random nest of loops and branches that says where it is, in every block."""
    rng = random.Random(seed)
    fn = nest(rng.randrange, 12)
    blocks = [fn.body, *(r for op in fn.body.walk() for r in op.regions)]
    for k, block in enumerate(blocks):
        for n in range(rng.randrange(3)):
            integers = [p for p in block.params if p.type == TensorType(int32)]
            attrs = {"segments": (f"<{k}.{n}", *([" "] * (len(integers) - 1)), *([">"] if integers else []))}
            block.ops.insert(rng.randrange(len(block.ops)), Op(get("print"), integers, attrs))
    return fn


@pytest.mark.parametrize("seed", range(60))
def test_random_loops_print_in_order(seed: int, capsys: Any) -> None:
    fn = talking(seed)
    args = [np.asarray(0.3), array((4,), "float64"), array((2, 4), "float64", 1), np.asarray(np.int32(seed % 6))]
    interpret(fn, args)
    want = capsys.readouterr().out
    compile_function(optimise(fn), donate={1: 1, 2: 2}).run(args)
    assert capsys.readouterr().out == want


def both_errors(text: str, args: list[Any], capsys: Any) -> str:
    """The same text, and errors of one kind, from interpreter and compiled code; gives the text."""
    fn = parse(text)
    exe = compile_function(optimise(fn))
    printed = []
    for run in (lambda: interpret(fn, args), lambda: exe.run(args)):
        with pytest.raises(InvalidArgumentError):
            run()
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    return str(printed[0])


def test_what_a_stream_raises_is_raised_by_the_call(monkeypatch: Any) -> None:
    class Broken:
        def write(self, text: str) -> None:
            raise BrokenPipeError(text)

    exe = compile_function(optimise(parse(PROGRAM)))
    args = [np.asarray(np.int32(2)), array((3,), "float64"), np.asarray(True)]
    monkeypatch.setattr(sys, "stdout", Broken())
    for _ in range(3):
        with pytest.raises(BrokenPipeError, match="x "):
            exe.run(args)


# ------------------------------------------------------------ integers
ARITHMETIC = """
func @f(%x: {t}, %y: {t}) -> {t} {{
  %r = {op} %x, %y : {t}
  return %r
}}"""


@pytest.mark.parametrize("op", ["floordiv", "mod", "pow"])
@pytest.mark.parametrize("dtype", ["i32", "i64"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (40,), (3, 5)])
def test_integers_that_an_op_refuses(op: str, dtype: str, shape: tuple[int, ...]) -> None:
    t = f"{dtype}[{', '.join(map(str, shape))}]" if shape else dtype
    fn = parse(ARITHMETIC.format(t=t, op=op))
    exe = compile_function(optimise(fn))
    np_dtype = {"i32": np.int32, "i64": np.int64}[dtype]
    rng = np.random.default_rng(3)
    x = np.asarray(rng.integers(-9, 10, shape), np_dtype)
    good = np.asarray(rng.integers(1, 6, shape) * (1 if op == "pow" else rng.choice([-1, 1], shape)), np_dtype)
    np.testing.assert_array_equal(exe.run([x, good])[0], interpret(fn, [x, good])[0])
    for place in {0, good.size // 2, good.size - 1}:
        bad = good.copy()
        bad.reshape(-1)[place] = -2 if op == "pow" else 0
        for run in (exe.run, lambda args: interpret(fn, args)):
            with pytest.raises(InvalidArgumentError, match="negative integer powers" if op == "pow" else "by zero"):
                run([x, bad])


def test_the_smallest_integer_divided_by_minus_one_wraps_as_in_numpy() -> None:
    for op in ("floordiv", "mod"):
        fn = parse(ARITHMETIC.format(t="i32[3]", op=op))
        x, y = np.int32([-(2**31), -(2**31), 7]), np.int32([-1, 1, -1])
        np.testing.assert_array_equal(compile_function(optimise(fn)).run([x, y])[0], interpret(fn, [x, y])[0])


def test_division_stays_where_it_is_asked_for() -> None:
    """In a branch that is not taken, a loop without trips, behind the padding: nothing is divided, nothing fails."""
    fn = parse("""
    func @f(%n: i32, %x: i32[4], %y: i32) -> (i32, i32[4]) {
      %zero = constant 0 : i32
      %one = constant 1 : i32
      %m = gt %y, %zero : bool
      %a = if %m -> i32 {
        %q = floordiv %one, %y : i32
        yield %q
      } else {
        yield %zero
      }
      %v = for %i in 0..%n iter(%w = %x) -> i32[4] {
        %r = mod %x, %y : i32[4]
        %s = add %w, %r : i32[4]
        yield %s
      }
      return %a, %v
    }""")
    exe = compile_function(optimise(fn))
    x = np.int32([5, 6, 7, 8])
    for n, y in ((0, 0), (3, 4), (0, -1)):
        args = [np.asarray(np.int32(n)), x, np.asarray(np.int32(y))]
        for got, want in zip(exe.run(args), interpret(fn, args), strict=True):
            np.testing.assert_array_equal(got, want)
    with pytest.raises(InvalidArgumentError, match="mod: Integer division by zero"):
        exe.run([np.asarray(np.int32(1)), x, np.asarray(np.int32(0))])


def test_divisors_that_cannot_be_zero_are_not_tested() -> None:
    text = """
    func @f(%x: i32) -> i32 {
      %r = for %i in 1..9 iter(%a = %x) -> i32 {
        %b = floordiv %a, %i : i32
        %seven = constant 7 : i32
        %c = mod %b, %seven : i32
        yield %c
      }
      return %r
    }"""
    exe = compile_function(optimise(parse(text)))
    assert "status" not in exe.llvm
    assert exe.run([np.asarray(np.int32(12345))])[0] == interpret(parse(text), [np.int32(12345)])[0]


# ------------------------------------------------------------ donors
def whole(text: str, good: list[Any], bad: list[Any], donate: dict[int, int]) -> dict[int, int]:
    """Runs with donors; after an error they are what they were. Gives the donations that are made use of."""
    fn = parse(text)
    exe = compile_function(optimise(fn), donate=donate)
    for args, fails in ((good, False), (bad, True), (good, False)):
        ins = [np.array(a) for a in args]
        outs = [np.empty(t.shape, t.dtype.np) for t in fn.result_types]
        for r, p in exe.donate.items():
            outs[r] = ins[p]
        if not fails:
            for got, want in zip(exe.run(ins, outs), interpret(fn, args), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12)
            continue
        with pytest.raises(InvalidArgumentError):
            exe.run(ins, outs)
        for a, b in zip(ins, args, strict=True):
            np.testing.assert_array_equal(a, b)
    return dict(exe.donate)


AT, X, Y = np.asarray(np.int32(1)), array((5,), "float64"), array((3,), "float64")
BAD = np.asarray(np.int32(7))


def test_an_update_checks_its_index_before_it_writes() -> None:
    text = """
    func @f(%x: f64[5], %y: f64[3], %i: i32) -> f64[5] {
      %u = update %x, %y, %i {starts = [none], strides = [1]} : f64[5]
      return %u
    }"""
    assert whole(text, [X, Y, AT], [X, Y, BAD], {0: 0}) == {0: 0}


def test_a_scatter_checks_all_indices_before_it_writes() -> None:
    text = """
    func @f(%x: f64[5], %y: f64[3], %i: i32[3]) -> f64[5] {
      %u = scatter_add %x, %i, %y {axis = 0, batch_dims = 0} : f64[5]
      return %u
    }"""
    assert whole(text, [X, Y, np.int32([4, 0, 4])], [X, Y, np.int32([4, 0, 5])], {0: 0}) == {0: 0}


def test_an_index_behind_a_write_takes_the_donation_back() -> None:
    text = """
    func @f(%x: f64[5], %z: f64[5], %i: i32) -> (f64[5], f64[5], f64[1]) {
      %u = add %x, %z : f64[5]
      %e = slice %u, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
      %w = update %z, %e, %i {starts = [none], strides = [1]} : f64[5]
      return %u, %w, %e
    }"""
    used = whole(text, [X, X + 1, AT], [X, X + 1, BAD], {0: 0, 1: 1})
    assert 0 not in used


def test_an_assertion_in_a_loop_takes_the_donation_back() -> None:
    text = """
    func @f(%x: f64[5], %i: i32, %s: f64) -> (f64[5], f64) {
      %r, %t = for %k in 0..%i iter(%a = %x, %b = %s) -> (f64[5], f64) {
        %c = constant 5 : i32
        %ok = lt %k, %c : bool
        assert %ok, %k {message = "far"}
        %d = add %a, %a : f64[5]
        %e = add %b, %s : f64
        yield %d, %e
      }
      return %r, %t
    }"""
    s = np.asarray(0.5)
    assert whole(text, [X, AT, s], [X, BAD, s], {0: 0, 1: 2}) == {1: 2}  # a scalar is written at the end


def test_errors_are_index_errors_too() -> None:
    text = """
    func @f(%x: f64[5], %i: i32) -> f64[1] {
      %e = slice %x, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]  # user.py:3
      return %e
    }"""
    fn = parse(text)
    exe = compile_function(optimise(fn))
    for run in (exe.run, lambda args: interpret(fn, args)):
        with pytest.raises(IndexError) as e:
            run([X, BAD])
        assert isinstance(e.value, IndexMismatch)
        assert "user.py:3" in str(e.value) + str(getattr(e.value, "__notes__", ""))
    unchecked = compile_function(optimise(fn), check_bounds=False)
    assert "status" not in unchecked.llvm
    np.testing.assert_array_equal(unchecked.run([X, AT])[0], interpret(fn, [X, AT])[0])
