"""The stage "residuals": its text, and its bytes against the arrays that are really there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.control import FOR
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.ledger import ledger
from pullback.ir.parser import parse
from pullback.ir.types import StackType
from pullback.tracer.execute import executable
from pullback.tracer.residuals import residuals, table

GOLDEN = Path(__file__).parent.parent / "golden"
PROGRAM = """
func @model(%x: f64[8, N], %w: f64[N], %k: i32) -> f64 {
  %half = constant 0.5 : f64
  %h = for %i in 0..100 iter(%h = %w) -> f64[N] KEEP {  # model.py:3
    %row = slice %x {starts = [0, 0], sizes = [1, N], strides = [1, 1]} : f64[1, N]  # model.py:4
    %r = reshape %row {shape = [N]} : f64[N]  # model.py:4
    %0 = mul %h, %r : f64[N]  # model.py:5
    %1 = sin %0 : f64[N]  # model.py:5
    %g = add %h, %1 : f64[N]  # model.py:6
    yield %g
  }
  %s = for %i in 0..%k iter(%s = %h) -> f64[N] {  # model.py:8
    %0 = tanh %s : f64[N]  # model.py:9
    yield %0
  }
  %e = exp %s : f64[N]  # model.py:11
  %y = reduce_sum %e {axes = [0], keepdims = false} : f64  # model.py:12
  return %y
}"""


def program(size: str, keep: str = "") -> Function:
    return parse(PROGRAM.replace("N", size).replace("KEEP", keep))


@pytest.mark.parametrize(
    ("name", "size", "keep"),
    [
        ("residuals_stored", "1000", ""),
        ("residuals_symbolic", "n", "checkpoint {slots = 4}"),
        ("residuals_checkpointed", "1000", "checkpoint {slots = 4, segment = 5}"),
    ],
)
def test_golden(name: str, size: str, keep: str, update_golden: bool) -> None:
    made = table(program(size, keep), [0, 1], [0])
    path = GOLDEN / f"{name}.txt"
    if update_golden:
        path.write_text(made, encoding="utf-8")
    else:
        assert made == path.read_text(encoding="utf-8")
    assert ledger() is None


def arguments(n: int) -> list[Any]:
    return [np.linspace(0.1, 1.0, 8 * n).reshape(8, n), np.linspace(0.2, 0.7, n), np.int32(6)]


@pytest.mark.parametrize("keep", ["", "checkpoint {slots = 4, segment = 5}"])
def test_bytes_of_the_arrays_that_go_from_one_part_to_the_other(keep: str) -> None:
    found = residuals(program("50", keep), [0, 1], [0])
    made = interpret(found.parts.forward, arguments(50))[found.parts.results :]
    crossing = [r.size for r in found.rows if r.crosses]
    assert sorted(crossing) == sorted(np.asarray(a).nbytes for a in made)  # type: ignore[type-var]
    # Four states and the places of them, or the state in each of 100 trips; the values between the loops and of exp.
    assert sum(np.asarray(a).nbytes for a in made) == (4 * 400 + 32 if keep else 100 * 400) + 2 * 400


@pytest.mark.parametrize("segment", [2, 5, 20])
def test_bytes_of_the_arrays_inside_the_backward_part(segment: int) -> None:
    n = 1000
    found = residuals(program(str(n), f"checkpoint {{slots = 4, segment = {segment}}}"), [0, 1], [0])
    inside = sum(int(str(r.size)) for r in found.rows if not r.crosses and r.size is not None)
    assert inside == segment * n * 8 * len([r for r in found.loops[-1][1] if not r.crosses])
    code: Any = executable(found.parts.backward, (), {})
    # Beside them: the working copies of states and cotangents, a fixed number.
    more = code.code.scratch_bytes - inside
    assert 4 * n * 8 <= more <= 20 * n * 8


def test_a_stack_holds_so_many_bytes_a_trip() -> None:
    fn = program("50")
    found = residuals(fn, [0, 1], [0])
    (stack,) = [r for r in found.rows if r.size is None]
    assert isinstance(stack.storage, StackType)
    assert stack.row()[2] == "400 a trip"
    loops = [op for op in found.parts.backward.body.ops if op.kind is FOR]
    loop = next(op for op in loops if isinstance(op.results[-1].type, StackType))
    pushed = [op for op in loop.regions[0].walk() if op.kind.name == "push"]
    assert [int(str(op.operands[1].type.size)) * 8 for op in pushed] == [400]


def test_a_ledger_does_not_change_the_code() -> None:
    from pullback.ir.partition import split

    plain, noted = split(program("50"), [0, 1], [0], stacks=False), residuals(program("50"), [0, 1], [0]).parts
    args = arguments(50)
    for a, b in zip(interpret(plain.forward, args), interpret(noted.forward, args), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [op.kind for op in plain.backward.body.walk()] == [op.kind for op in noted.backward.body.walk()]


def test_branches_and_inner_loops() -> None:
    @pb.function
    def f(x: Any, n: Any) -> Any:
        for i in pb.range(n):
            if i % 2 == 0:
                for _ in pb.range(3):
                    x = x * pb.cos(x)
            else:
                x = pb.tanh(x)
        return pb.reduce_sum(x)

    text = f.inspect("f32[10], i32[]", stage="residuals")
    assert "for at " in text
    assert ", 3 trips" in text
    assert ", trips not known before it runs" in text
    assert "40 a trip" in text
    assert "taken as they are: " in text


def test_stages_and_errors() -> None:
    @pb.function(checkpoint="1KB")
    def f(x: Any, w: Any) -> Any:
        for _ in pb.range(1000):
            x = pb.sin(x * w)
        return x

    text = f.inspect("f64[4], f64[4]", stage="residuals", grad="w")
    assert text.startswith("gradient of @f by %w keeps ")
    assert "checkpointed: " in text
    assert "f64[n]" in f.inspect("f64[n], f64[n]", stage="residuals")
    with pytest.raises(ValueError, match="no argument 'z'"):
        f.inspect("f64[4], f64[4]", stage="residuals", grad="z")
    with pytest.raises(ValueError, match="no output of a float dtype"):
        pb.function(lambda x: pb.cast(x, pb.int32)).inspect("f64[4]", stage="residuals")
