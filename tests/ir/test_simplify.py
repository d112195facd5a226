"""The canonicaliser: samples of the op table keep their bits; rules apply where they should and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir import ops
from pullback.ir.builder import new_function
from pullback.ir.dtypes import float32
from pullback.ir.graph import Function, Value
from pullback.ir.interpret import interpret
from pullback.ir.opdef import OpDef
from pullback.ir.parser import parse
from pullback.ir.printer import print_function
from pullback.ir.quiet import Quiet
from pullback.ir.simplify import canon
from pullback.ir.types import type_of_array
from pullback.ir.verifier import verify

from .op_samples import SAMPLES

CASES = [
    pytest.param(op, attrs, xs, id=f"{op.name}-{i}")
    for op in ops.table()
    for i, (attrs, xs) in enumerate(SAMPLES.get(op.name, []))
]


def same_bits(a: list[Any], b: list[Any]) -> None:
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
        if x.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(x[~np.isnan(x)]), np.signbit(y[~np.isnan(y)]))


@pytest.mark.parametrize(("op", "attrs", "xs"), CASES)
@pytest.mark.parametrize("known", [False, True])
def test_every_op_keeps_its_meaning(op: OpDef, attrs: dict[str, Any], xs: list[Any], known: bool) -> None:
    fn, b = new_function("f", [type_of_array(np.asarray(x)) for x in xs])
    constants: list[Value] = [b.const(x, p.type.dtype).value for x, p in zip(xs, fn.params, strict=True)]
    b.ret(b.emit(op, constants if known else fn.params, attrs))
    arrays = [np.asarray(x) for x in xs]
    with Quiet():
        same_bits(interpret(verify(canon(fn)), arrays), interpret(fn, arrays))


def simple(line: str, *more: str) -> list[str]:
    """The lines that a function with these ops is simplified to, up to the return."""
    lines = "\n".join((line, *more))
    head = "func @f(%x: f32[n], %y: f32[n], %m: f32[2, 3], %s: f32, %i: i32[n], %k: i32, %p: bool[n], %c: bool)"
    last = lines.rstrip().splitlines()[-1]
    fn = parse(f"{head} -> {last.split(' : ')[-1]} {{\n{lines}\nreturn {last.split()[0]}\n}}")
    text = print_function(verify(canon(verify(fn))))
    return [x.strip() for x in text.splitlines()[1:-1]]


ZERO, NEGATIVE, ONE = "%0 = constant 0.0 : f32", "%0 = constant -0.0 : f32", "%0 = constant 1.0 : f32"
FULL = "%1 = broadcast_to %0 {shape = [n]} : f32[n]"
GONE = [
    (NEGATIVE, "%r = add %x, %0 : f32[n]"),
    (ZERO, FULL, "%r = sub %x, %1 : f32[n]"),
    ("%0 = constant 0 : i32", "%r = add %0, %i : i32[n]"),
    (ONE, FULL, "%r = mul %1, %x : f32[n]"),
    (ONE, "%r = div %x, %0 : f32[n]"),
    (ONE, "%r = pow %x, %0 : f32[n]"),
    ("%0 = neg %x : f32[n]", "%r = neg %0 : f32[n]"),
    ("%0 = logical_not %p : bool[n]", "%r = logical_not %0 : bool[n]"),
    ("%r = maximum %x, %x : f32[n]",),
    ("%0 = constant true : bool", "%r = logical_and %p, %0 : bool[n]"),
    ("%0 = constant false : bool", "%r = where %0, %y, %x : f32[n]"),
    ("%r = where %p, %x, %x : f32[n]",),
    ("%0 = transpose %m {perm = [1, 0]} : f32[3, 2]", "%r = transpose %0 {perm = [1, 0]} : f32[2, 3]"),
    ("%0 = reshape %m {shape = [6]} : f32[6]", "%r = reshape %0 {shape = [2, 3]} : f32[2, 3]"),
    ("%0 = cast %x {dtype = f64} : f64[n]", "%r = cast %0 {dtype = f32} : f32[n]"),
    ("%0 = cast %i {dtype = f64} : f64[n]", "%r = cast %0 {dtype = i32} : i32[n]"),
    ("%0 = cast %p {dtype = f32} : f32[n]", "%r = cast %0 {dtype = bool} : bool[n]"),
    ("%r = broadcast_to %x {shape = [n]} : f32[n]",),
    ("%r = reduce_max %x {axes = [], keepdims = false} : f32[n]",),
    ("%r = slice %m {starts = [0, 0], sizes = [2, 3], strides = [1, 1]} : f32[2, 3]",),
    ("%0 = reverse %x {axes = [0]} : f32[n]", "%r = reverse %0 {axes = [0]} : f32[n]"),
    ("%r = pad %m, %s {low = [0, 0], high = [0, 0]} : f32[2, 3]",),
    ("%r = concat %x {axis = 0} : f32[n]",),
    ("%r = tile %x {multiples = [1]} : f32[n]",),
    ("%r = update %x, %y {starts = [0], strides = [1]} : f32[n]",),
    ("%r = identity %x : f32[n]",),
    ("%0 = neg %x : f32[n]", "%1 = neg %y : f32[n]", "%r = mul %0, %1 : f32[n]"),
    ("%0 = neg %y : f32[n]", "%r = add %x, %0 : f32[n]"),
    ("%r = for %j in 3..3 iter(%a = %x) -> f32[n] {\n%q = neg %a : f32[n]\nyield %q\n}\n%t = identity %r : f32[n]",),
    ("%0 = constant true : bool", "%r = if %0 -> f32[n] {\nyield %x\n} else {\nyield %y\n}\n%t = identity %r : f32[n]"),
]


@pytest.mark.parametrize("lines", GONE, ids=lambda x: x[-1][:40])
def test_ops_that_go(lines: tuple[str, ...]) -> None:
    (first, *rest) = simple(*lines)
    expected = {
        "mul %0, %1": "%r = mul %x, %y : f32[n]", "add %x, %0 ": "%r = sub %x, %y : f32[n]",
    }  # fmt: skip
    for key, text in expected.items():
        if key in lines[-1] and "neg" in lines[0]:
            assert [first, *rest] == [text, "return %r"]
            return
    names = ("return %x", "return %m", "return %i", "return %p", "return %y")
    assert not rest
    assert first in names
    assert (first == "return %y") == ("update" in lines[-1])


@pytest.mark.parametrize(
    "lines",
    [
        (ZERO, "%r = add %x, %0 : f32[n]"),  # -0.0 + 0.0 is 0.0
        (NEGATIVE, "%r = sub %x, %0 : f32[n]"),
        (ZERO, "%r = sub %0, %x : f32[n]"),  # 0.0 - 0.0 is 0.0, its negation is not
        (ZERO, "%r = mul %x, %0 : f32[n]"),  # NaN, inf, and the sign of zero
        ("%r = sub %x, %x : f32[n]",),
        ("%r = eq %x, %x : bool[n]",),
        ("%r = div %x, %x : f32[n]",),
        ("%0 = constant 3.0 : f32", "%r = div %x, %0 : f32[n]"),
        ("%0 = constant 1e-40 : f32", "%r = div %x, %0 : f32[n]"),
        ("%0 = cast %x {dtype = f16} : f16[n]", "%r = cast %0 {dtype = f32} : f32[n]"),
        ("%0 = cast %i {dtype = f32} : f32[n]", "%r = cast %0 {dtype = i32} : i32[n]"),
        ("%0 = cast %x {dtype = f64} : f64[n]", "%r = cast %0 {dtype = i32} : i32[n]"),
        ("%0 = constant 0.1 : f32", "%1 = broadcast_to %0 {shape = [3]} : f32[3]",
         "%r = reduce_sum %1 {axes = [0], keepdims = false} : f32"),
        ("%r = stop_gradient %x : f32[n]",),
        ("%r = slice %x {starts = [0], sizes = [n], strides = [-1]} : f32[n]",),
    ],
    ids=lambda x: x[-1][:40],
)  # fmt: skip
def test_ops_that_stay(lines: tuple[str, ...]) -> None:
    assert simple(*lines)[:-1] == [x.strip() for x in lines]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ("%0 = constant 0.5 : f32", "%r = div %x, %0 : f32[n]"),
            ["%0 = constant 2.0 : f32", "%r = mul %x, %0 : f32[n]"],
        ),
        (("%0 = constant -1.0 : f32", "%r = mul %x, %0 : f32[n]"), ["%r = neg %x : f32[n]"]),
        (("%0 = constant 2.0 : f32", "%r = pow %x, %0 : f32[n]"), ["%r = square %x : f32[n]"]),
        (
            (ZERO, "%r = pow %x, %0 : f32[n]"),
            ["%0 = constant 1.0 : f32", "%r = broadcast_to %0 {shape = [n]} : f32[n]"],
        ),
        (("%r = sub %i, %i : i32[n]",), ["%0 = constant 0 : i32", "%r = broadcast_to %0 {shape = [n]} : i32[n]"]),
        (
            ("%0 = constant 2 : i32", "%1 = constant 3 : i32", "%2 = mul %0, %1 : i32", "%r = add %2, %1 : i32"),
            ["%r = constant 9 : i32"],
        ),
        (
            ("%0 = constant [2.0, 2.0, 2.0] : f32[3]", "%r = reshape %0 {shape = [3, 1]} : f32[3, 1]"),
            ["%0 = constant 2.0 : f32", "%r = broadcast_to %0 {shape = [3, 1]} : f32[3, 1]"],
        ),
        (
            (
                "%0 = constant 3.0 : f32",
                "%1 = broadcast_to %0 {shape = [5, 2]} : f32[5, 2]",
                "%r = reduce_sum %1 {axes = [0], keepdims = false} : f32[2]",
            ),
            ["%0 = constant 15.0 : f32", "%r = broadcast_to %0 {shape = [2]} : f32[2]"],
        ),
        (("%0 = broadcast_to %s {shape = [n]} : f32[n]", "%r = add %x, %0 : f32[n]"), ["%r = add %x, %s : f32[n]"]),
        (
            ("%0 = broadcast_to %s {shape = [n]} : f32[n]", "%r = exp %0 : f32[n]"),
            ["%0 = exp %s : f32", "%r = broadcast_to %0 {shape = [n]} : f32[n]"],
        ),
        (
            (
                "%0 = broadcast_to %x {shape = [2, n]} : f32[2, n]",
                "%r = broadcast_to %0 {shape = [4, 2, n]} : f32[4, 2, n]",
            ),
            ["%r = broadcast_to %x {shape = [4, 2, n]} : f32[4, 2, n]"],
        ),
        (
            (
                "%0 = slice %m {starts = [0, 0], sizes = [2, 2], strides = [1, 2]} : f32[2, 2]",
                "%r = slice %0 {starts = [1, 1], sizes = [1, 2], strides = [1, -1]} : f32[1, 2]",
            ),
            ["%r = slice %m {starts = [1, 2], sizes = [1, 2], strides = [1, -2]} : f32[1, 2]"],
        ),
        (
            (
                "%0 = constant -1 : i32",
                "%r = slice %m, %0 {starts = [none, 1], sizes = [1, 2], strides = [1, 1]} : f32[1, 2]",
            ),
            ["%r = slice %m {starts = [1, 1], sizes = [1, 2], strides = [1, 1]} : f32[1, 2]"],
        ),
        (
            (
                "%0 = constant 7 : i32",
                "%r = slice %m, %0 {starts = [none, 1], sizes = [1, 2], strides = [1, 1]} : f32[1, 2]",
            ),
            [
                "%0 = constant 7 : i32",
                "%r = slice %m, %0 {starts = [none, 1], sizes = [1, 2], strides = [1, 1]} : f32[1, 2]",
            ],
        ),
        (("%r = add_at %x, %y {starts = [0], strides = [1]} : f32[n]",), ["%r = add %x, %y : f32[n]"]),
        (
            (
                "%0 = transpose %m {perm = [1, 0]} : f32[3, 2]",
                "%r = matmul %0, %m {transpose_a = false, transpose_b = false} : f32[3, 3]",
            ),
            ["%r = matmul %m, %m {transpose_a = true, transpose_b = false} : f32[3, 3]"],
        ),
        (("%r = dim %m {axis = 1, dtype = i32} : i32",), ["%r = constant 3 : i32"]),
        (("%r = shape_of %m {dtype = i64} : i64[2]",), ["%r = constant [2, 3] : i64[2]"]),
        (("%r = dim %x {axis = 0, dtype = i32} : i32",), ["%r = dim %x {axis = 0, dtype = i32} : i32"]),
        (
            ("%0 = cast %i {dtype = i64} : i64[n]", "%r = cast %0 {dtype = f32} : f32[n]"),
            ["%r = cast %i {dtype = f32} : f32[n]"],
        ),
        (("%0 = logical_not %p : bool[n]", "%r = where %0, %x, %y : f32[n]"), ["%r = where %p, %y, %x : f32[n]"]),
        (("%0 = abs %x : f32[n]", "%r = abs %0 : f32[n]"), ["%r = abs %x : f32[n]"]),
        (
            (
                "%0 = reshape %s {shape = [1, 1]} : f32[1, 1]",
                "%r = reduce_sum %0 {axes = [0, 1], keepdims = false} : f32",
            ),
            ["%0 = constant 0.0 : f32", "%r = add %s, %0 : f32"],
        ),
        (("%r = lt %x, %x : bool[n]",), ["%0 = constant false : bool", "%r = broadcast_to %0 {shape = [n]} : bool[n]"]),
    ],
    ids=lambda x: x[-1][:40],
)
def test_what_ops_become(lines: tuple[str, ...], expected: list[str]) -> None:
    assert simple(*lines)[:-1] == expected


def test_an_assertion_known_to_hold_goes_and_another_stays() -> None:
    for word, left in (("true", 1), ("false", 3)):
        fn = parse(f"func @f() {{\n  %0 = constant {word} : bool\n  assert %0\n  return\n}}")
        assert len(canon(fn).body.ops) == left


def test_an_error_at_run_time_is_not_folded_away() -> None:
    fn = parse("""
func @f() -> i32 {
  %0 = constant 2 : i32
  %1 = constant -1 : i32
  %2 = pow %0, %1 : i32  # model.py:3
  return %2
}""")
    new = canon(fn)
    with pytest.raises(Exception, match="negative") as e:
        interpret(new, [])
    assert e.value.__notes__ == ["at model.py:3"]


def test_large_constants_are_not_computed_at_compile_time() -> None:
    fn, b = new_function("f", [])
    big = b.const(np.arange(100_000), float32)
    b.ret([b.exp(big)])
    assert [op.kind.name for op in canon(fn).body.ops] == ["constant", "exp", "return"]


def test_simplified_ops_keep_names_and_lines() -> None:
    fn = parse("""
func @f(%x: f32) -> f32 {
  %half = constant 0.5 : f32   # a.py:1
  %loss = div %x, %half : f32  # a.py:2
  return %loss                 # a.py:3
}""")
    assert print_function(canon(fn)).splitlines()[1:-1] == [
        "  %0 = constant 2.0 : f32   # a.py:2",
        "  %loss = mul %x, %0 : f32  # a.py:2",
        "  return %loss              # a.py:3",
    ]


def test_long_chains_take_linear_time_and_no_recursion() -> None:
    def chain(n: int) -> Function:
        fn, b = new_function("f", [type_of_array(np.zeros(3, np.float32))])
        v = b.expr(fn.params[0])
        for _ in range(n):
            v = -v
        b.ret([v])
        return fn

    assert len(canon(chain(20_000)).body.ops) == 1
    assert len(canon(chain(20_001)).body.ops) == 2
