"""Run-time sizes in the IR: the rules of `bind`, and what `pad` makes of programs written as text.

The oracle is the interpreter on the program as it stands, which knows nothing of padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir import ops as _ops  # noqa: F401
from pullback.ir.errors import InvalidArgumentError, ShapeMismatch, VerifyError
from pullback.ir.increments import increments
from pullback.ir.interpret import interpret
from pullback.ir.pad import pad_info
from pullback.ir.pad_layout import Unpaddable
from pullback.ir.parser import parse
from pullback.ir.passes import run_pipeline
from pullback.ir.printer import print_function
from pullback.ir.verifier import verify

HEAD = """func @f(%x: f64[n], %k: i64) -> {result} {{
  bind %k {{size = s0, most = n}}
  %0 = constant 0 : i64
  %a = slice %x, %0 {{starts = [none], sizes = [s0], strides = [1]}} : f64[s0]
{rest}
}}"""
RNG = np.random.default_rng(2)


def program(result: str, rest: str) -> Any:
    fn = verify(parse(HEAD.format(result=result, rest=rest)))
    assert print_function(parse(print_function(fn))) == print_function(fn)
    return fn


def check(fn: Any, *args: Any) -> None:
    """`pad` keeps the results, those with run-time sizes up to cutting."""
    info = pad_info(fn)
    verify(info.function)
    assert "bind" not in str(info.function)
    want, found = interpret(fn, args), interpret(info.function, args)
    for x, y, cuts in zip(want, found, info.cuts, strict=False):
        key: list[Any] = [slice(None)] * y.ndim
        for axis, n in cuts:
            key[axis] = slice(0, int(found[n]))
        np.testing.assert_allclose(y[tuple(key)], x, rtol=1e-12)


RESTS = {
    "returned": ("f64[s0]", "  return %a"),
    "summed": ("f64", "  %r = reduce_sum %a {axes = [0], keepdims = false} : f64\n  return %r"),
    "largest": ("i64", "  %r = argmax %a {axis = 0, dtype = i64} : i64\n  return %r"),
    "running": (
        "f64[s0]", "  %r = cumsum %a {axis = 0, exclusive = true, reverse = true} : f64[s0]\n  return %r"
    ),
    "softmax": ("f64[s0]", "  %r = softmax %a {axis = 0} : f64[s0]\n  return %r"),
    "reversed": ("f64[s0]", "  %r = reverse %a {axes = [0]} : f64[s0]\n  %t = add %r, %a : f64[s0]\n  return %t"),
    "sized": ("i64[1]", "  %r = shape_of %a {dtype = i64} : i64[1]\n  return %r"),
    "counted": (
        "f64[s0]",
        "  %r = iota {shape = [s0], axis = 0, dtype = f64} : f64[s0]\n  %t = mul %r, %a : f64[s0]\n  return %t",
    ),
    "outer": (
        "f64[s0, s0]",
        "  %c = reshape %a {shape = [s0, 1]} : f64[s0, 1]\n  %r = reshape %a {shape = [1, s0]} : f64[1, s0]\n"
        "  %t = matmul %c, %r {transpose_a = false, transpose_b = false} : f64[s0, s0]\n  return %t",
    ),
    "expression": (
        "f64[2*s0 + 1]",
        "  %one = constant [1.5] : f64[1]\n  %r = concat %a, %one, %a {axis = 0} : f64[2*s0 + 1]\n  return %r",
    ),
    "masked": (
        "f64[s1]",
        "  %z = constant 0.0 : f64\n  %m = gt %x, %z : bool[n]\n  %i = cast %m {dtype = i64} : i64[n]\n"
        "  %c = reduce_sum %i {axes = [0], keepdims = false} : i64\n  bind %c {size = s1, most = n}\n"
        "  %r = compress %x, %m {axis = 0, size = s1} : f64[s1]\n  %t = mul %r, %r : f64[s1]\n  return %t",
    ),
    "gathered": (
        "f64[s0]",
        "  %p = iota {shape = [s0], axis = 0, dtype = i64} : i64[s0]\n"
        "  %r = gather %x, %p {axis = 0, batch_dims = 0} : f64[s0]\n  return %r",
    ),
    "spread": (
        "f64[s0]",
        "  %r = reduce_sum %a {axes = [0], keepdims = true} : f64[1]\n"
        "  %t = broadcast_to %r {shape = [s0]} : f64[s0]\n  return %t",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RESTS)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_padded_programs_mean_the_same(name: str, k: int) -> None:
    check(program(*RESTS[name]), RNG.normal(size=5), np.int64(k))


@pytest.mark.parametrize("name", sorted(RESTS.keys() - {"largest"}))
def test_of_nothing(name: str) -> None:
    check(program(*RESTS[name]), RNG.normal(size=5), np.int64(0))


def test_the_largest_of_nothing_is_an_error() -> None:
    fn = program(*RESTS["largest"])
    for f in (fn, pad_info(fn).function):
        with pytest.raises(InvalidArgumentError):
            interpret(f, [np.ones(3), np.int64(0)])


def test_a_size_is_bound_before_it_is_used_and_once() -> None:
    good = HEAD.format(result="f64[s0]", rest="  return %a")
    verify(parse(good))
    with pytest.raises(VerifyError, match="'s0' in an attribute is not bound"):
        verify(parse(good.replace("  bind %k {size = s0, most = n}\n", "")))
    with pytest.raises(VerifyError, match="bound twice"):
        verify(parse(good.replace("  %0 =", "  bind %k {size = s0, most = n}\n  %0 =")))
    with pytest.raises(VerifyError, match="bound twice"):
        verify(parse(good.replace("size = s0", "size = n")))


def test_a_size_ends_with_its_block() -> None:
    text = """func @f(%x: f64[3], %c: bool, %k: i64) -> f64 {
  %r = if %c -> f64 {
    bind %k {size = s0, most = 3}
    %z = constant 0.0 : f64
    yield %z
  } else {
    %one = constant 1.0 : f64
    yield %one
  }
  %w = broadcast_to %r {shape = [s0]} : f64[s0]
  %t = reduce_sum %w {axes = [0], keepdims = false} : f64
  return %t
}"""
    with pytest.raises(VerifyError, match="'s0' in an attribute is not bound"):
        verify(parse(text))


@pytest.mark.parametrize("k", [-1, 4])
def test_a_size_out_of_its_range_is_an_error(k: int) -> None:
    with pytest.raises(InvalidArgumentError, match="must lie in 0 to 3"):
        interpret(program("f64[s0]", "  return %a"), [np.ones(3), np.int64(k)])


def test_sizes_are_compared_when_the_program_runs() -> None:
    rest = "  %y = fit %x {shape = [s0]} : f64[s0]\n  %t = add %a, %y : f64[s0]\n  return %t"
    fn = program("f64[s0]", rest)
    check(fn, np.arange(3.0), np.int64(3))
    for f in (fn, pad_info(fn).function):
        with pytest.raises(ShapeMismatch):
            interpret(f, [np.arange(3.0), np.int64(2)])


def test_what_has_no_padded_form_says_so() -> None:
    rest = "  %i = cast %a {dtype = i32} : i32[s0]\n  %c = constant 1.0 : f64\n  %z = constant 0.0 : f64\n"
    rest += "  %m = broadcast_to %x {shape = [s0, n]} : f64[s0, n]\n  %r = reshape %m {shape = [n*s0]} : f64[n*s0]\n"
    with pytest.raises(Unpaddable, match="must stay as they are"):
        pad_info(program("f64[n*s0]", rest + "  return %r"))


def test_the_pass_is_known_by_name() -> None:
    text = run_pipeline(HEAD.format(result="f64", rest=RESTS["summed"][1]), "pad,canon,cse,dce")
    assert "bind" not in text
    assert "where" in text


def test_an_update_by_a_sum_is_an_increment() -> None:
    fn = parse("""func @f(%x: f64[5], %v: f64[2], %i: i32) -> f64[5] {
  %0 = slice %x, %i {starts = [none], sizes = [2], strides = [2]} : f64[2]
  %1 = sub %0, %v : f64[2]
  %2 = update %x, %1, %i {starts = [none], strides = [2]} : f64[5]
  %3 = slice %2, %i {starts = [none], sizes = [2], strides = [1]} : f64[2]
  %4 = add %v, %3 : f64[2]
  %5 = update %2, %4, %i {starts = [none], strides = [2]} : f64[5]
  return %5
}""")
    new = verify(increments(fn))
    assert str(new).count("add_at") == 1  # the second reads another part than it writes
    args = [np.array([0.0, -0.0, 1.0, 2.0, -3.0]), np.array([-0.0, 1.5]), np.int32(0)]
    np.testing.assert_array_equal(interpret(new, args)[0], interpret(fn, args)[0])
    assert np.array_equal(np.signbit(interpret(new, args)[0]), np.signbit(interpret(fn, args)[0]))
