"""Undoing writes in the reverse of loops: what is saved, and that not a bit of a gradient depends on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pullback.ir import reverse_loop, undo
from pullback.ir.control import FOR
from pullback.ir.graph import Function
from pullback.ir.parser import parse
from pullback.ir.reverse import reverse
from pullback.ir.types import StackType
from pullback.ir.verifier import verify

from .loop_checks import RNG, SIMPLIFY, check, directions, run

CHOLESKY = """
func @f(%m: f64[n, n], %n32: i32) -> f64[n, n] {
  %a = for %i in 0..%n32 iter(%a0 = %m) -> f64[n, n] {
    %b = for %j in 0..%i iter(%a1 = %a0) -> f64[n, n] {
      %x = slice %a1, %i, %j {starts = [none, none], sizes = [1, 1], strides = [1, 1]} : f64[1, 1]
      %r = slice %a1, %i {starts = [none, 0], sizes = [1, n], strides = [1, 1]} : f64[1, n]
      %s = slice %a1, %j {starts = [none, 0], sizes = [1, n], strides = [1, 1]} : f64[1, n]
      %p = mul %r, %s : f64[1, n]
      %q = reduce_sum %p {axes = [1], keepdims = true} : f64[1, 1]
      %t = tanh %q : f64[1, 1]
      %d = slice %a1, %j, %j {starts = [none, none], sizes = [1, 1], strides = [1, 1]} : f64[1, 1]
      %y = sub %x, %t : f64[1, 1]
      %z = mul %y, %d : f64[1, 1]
      %a2 = update %a1, %z, %i, %j {starts = [none, none], strides = [1, 1]} : f64[n, n]
      yield %a2
    }
    %r = slice %b, %i {starts = [none, 0], sizes = [1, n], strides = [1, 1]} : f64[1, n]
    %p = mul %r, %r : f64[1, n]
    %q = reduce_sum %p {axes = [1], keepdims = true} : f64[1, 1]
    %v = sin %q : f64[1, 1]
    %c = update %b, %v, %i, %i {starts = [none, none], strides = [1, 1]} : f64[n, n]
    yield %c
  }
  return %a
}"""


def kept(fn: Function) -> list[str]:
    """The types of what the first loop carries beside its first value: stacks and arrays of residuals."""
    loop = next(op for op in fn.body.ops if op.kind is FOR)
    return [str(r.type) for r in loop.results[1:]]


def test_an_inner_product_of_rows_saves_elements_only() -> None:
    fn = parse(CHOLESKY)
    back = SIMPLIFY.run(verify(reverse(fn)))
    assert sorted(kept(back)) == ["stack<f64[1, 1]>"] * 4  # in each loop the old element and the inner product
    check(fn, [RNG.uniform(0.2, 0.9, (4, 4)), np.int32(4)])


def test_without_undoing_it_saves_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    fn = parse(CHOLESKY)
    args = [RNG.uniform(0.2, 0.9, (5, 5)), np.int32(5)]
    seeds = directions(args)
    ours = run(reverse(fn), [*args, *seeds])
    monkeypatch.setattr(reverse_loop, "chains", lambda op: [])
    stored = reverse(fn)
    assert "stack<f64[1, n]>" in kept(SIMPLIFY.run(stored))
    assert run(stored, [*args, *seeds])[0].tobytes() == ours[0].tobytes()


def test_scalars_are_saved_as_before() -> None:
    fn = parse("""
func @f(%x: f64[n], %k: i64) -> f64[n] {
  %a = for %i in 0..%k iter(%a0 = %x) -> f64[n] {
    %e = slice %a0, %i {starts = [none], sizes = [1], strides = [1]} : f64[1]
    %s = sin %e : f64[1]
    %a1 = update %a0, %s, %i {starts = [none], strides = [1]} : f64[n]
    yield %a1
  }
  return %a
}""")
    back = SIMPLIFY.run(reverse(fn))
    reversed_loop = [op for op in back.body.ops if op.kind is FOR][-1]
    assert not any(isinstance(r.type, StackType) for r in reversed_loop.results[2:])
    assert sum(str(r.type) == "f64[n]" for r in reversed_loop.results) == 1  # the cotangent, not the array
    check(fn, [RNG.uniform(-1, 1, 4), np.int64(3)])


# ---------------------------------------------------------------- random programs
class Writer:
    """Draws a loop nest that reads and writes rows, columns and elements of two matrices in place, as IR text."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.count, self.lines = draw, 0, []
        self.rows: list[str] = []

    def name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def emit(self, text: str, type: str = "f64[1, n]") -> str:
        v = self.name()
        self.lines.append(f"{v} = {text} : {type}")
        return v

    def read(self, a: str, i: str) -> str:
        return self.emit(f"slice {a}, {i} {{starts = [none, 0], sizes = [1, n], strides = [1, 1]}}")

    def write(self, a: str, row: str, indices: list[str]) -> str:
        i, j = (self.draw(st.sampled_from(indices)) for _ in range(2))
        kind = self.draw(st.sampled_from(["update", "add_at"]))
        if self.draw(st.booleans()):
            return self.emit(f"{kind} {a}, {row}, {i} {{starts = [none, 0], strides = [1, 1]}}", "f64[n, n]")
        one = self.emit(f"reduce_sum {row} {{axes = [1], keepdims = true}}", "f64[1, 1]")
        one = self.emit(f"tanh {one}", "f64[1, 1]")
        return self.emit(f"{kind} {a}, {one}, {i}, {j} {{starts = [none, none], strides = [1, 1]}}", "f64[n, n]")

    def body(self, arrays: list[str], indices: list[str], depth: int) -> list[str]:
        """A few statements; gives the arrays after them."""
        arrays, held = list(arrays), []
        for _ in range(self.draw(st.integers(1, 4))):
            k = self.draw(st.integers(0, 1))
            if depth < 3 and self.draw(st.integers(0, 3)) == 0:
                arrays = self.loop(arrays, indices, depth + 1)
                continue
            if self.draw(st.integers(0, 4)) == 0:
                arrays = self.branch(arrays, indices)
                continue
            r = self.read(arrays[k], self.draw(st.sampled_from(indices)))
            s = self.draw(st.sampled_from([*held, self.read(arrays[1 - k], self.draw(st.sampled_from(indices)))]))
            held.append(self.emit(f"{self.draw(st.sampled_from(['sin', 'tanh', 'cos']))} {r}"))
            held.append(self.emit(f"mul {self.draw(st.sampled_from(held))}, {s}"))
            if self.draw(st.integers(0, 2)):
                arrays[k] = self.write(arrays[k], self.draw(st.sampled_from(held)), indices)
        return arrays

    def branch(self, arrays: list[str], indices: list[str]) -> list[str]:
        i = self.draw(st.sampled_from(indices))
        test = self.emit(f"lt {i}, %one", "bool")
        results = [self.name(), self.name()]
        self.lines.append(f"{', '.join(results)} = if {test} -> (f64[n, n], f64[n, n]) {{")
        row = self.read(arrays[0], i)
        after = self.write(arrays[0], self.emit(f"sin {row}"), indices)
        self.lines.append(f"yield {after}, {arrays[1]}\n}} else {{\nyield {arrays[0]}, {arrays[1]}\n}}")
        return results

    def loop(self, arrays: list[str], indices: list[str], depth: int) -> list[str]:
        index, params, results = self.name(), [self.name(), self.name()], [self.name(), self.name()]
        end = self.draw(st.sampled_from(["%n32", "%two", "%one", *(i for i in indices if i != "%zero")]))
        starts = ", ".join(f"{p} = {a}" for p, a in zip(params, arrays, strict=True))
        head = f"{', '.join(results)} = for {index} in 0..{end} iter({starts}) -> (f64[n, n], f64[n, n]) {{"
        self.lines.append(head)
        after = self.body(params, [*indices, index], depth)
        self.lines.append(f"yield {', '.join(after)}\n}}")
        return results


@st.composite
def programs(draw: st.DrawFn) -> Function:
    w = Writer(draw)
    out = w.loop(["%a", "%b"], ["%zero"], 1)
    if draw(st.booleans()):
        out = w.loop(out, ["%zero"], 1)
    text = "\n".join(w.lines)
    return parse(f"""
func @f(%a: f64[n, n], %b: f64[n, n], %n32: i32) -> (f64[n, n], f64[n, n]) {{
%zero = constant 0 : i32
%one = constant 1 : i32
%two = constant 2 : i32
{text}
return {", ".join(out)}
}}""")


def undo_all(self: undo.Undo, cost: Any) -> Any:
    return self._plan(list(self.candidates))


def gradient(fn: Function, args: list[Any], seeds: list[Any], gain: int, chains: Any) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(undo, "GAIN", gain)
        patch.setattr(reverse_loop, "chains", chains)
        if gain == 0:
            patch.setattr(undo.Undo, "_best", undo_all)
        return run(verify(reverse(fn)), [*args, *seeds])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_no_bit_depends_on_undoing(fn: Function) -> None:
    args = [RNG.uniform(-1, 1, (3, 3)), RNG.uniform(-1, 1, (3, 3)), np.int32(3)]
    seeds = [RNG.uniform(-1, 1, (3, 3)), RNG.uniform(-1, 1, (3, 3))]
    stored = gradient(fn, args, seeds, 2, lambda op: [])
    for gain in (0, 1, 2):
        ours = gradient(fn, args, seeds, gain, undo.chains)
        assert [x.tobytes() for x in ours] == [x.tobytes() for x in stored]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_undone_derivatives_agree_with_differences_to_order_two(fn: Function) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(undo, "GAIN", 0)
        patch.setattr(undo.Undo, "_best", undo_all)
        check(fn, [RNG.uniform(-1, 1, (3, 3)), RNG.uniform(-1, 1, (3, 3)), np.int32(3)])
