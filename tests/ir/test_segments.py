"""Chains of slot sums in pieces: the same to the bit, and only where that pays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir.builder import new_function
from pullback.ir.dce import dce
from pullback.ir.dtypes import float64
from pullback.ir.graph import Function
from pullback.ir.interpret import interpret
from pullback.ir.opdef import get
from pullback.ir.parser import parse
from pullback.ir.segments import segments
from pullback.ir.types import TensorType
from pullback.ir.verifier import verify

SHAPES = [(12,), (12, 3), (3, 12)]


@st.composite
def chains(draw: st.DrawFn) -> Function:
    """Updates, sums into slots, and elementwise ops between them, along one axis of two arrays."""
    shape = draw(st.sampled_from(SHAPES))
    axis = shape.index(12)
    fn, b = new_function("f", [TensorType(float64, shape)] * 2)
    values = [b.expr(p) for p in fn.params]
    for _ in range(draw(st.integers(1, 6))):
        base = draw(st.sampled_from(values[-3:]))
        kind = draw(st.sampled_from(["update", "add_at", "add_at", "mul", "add"]))
        if kind in ("mul", "add"):
            values.append(b.apply(get(kind), [base, draw(st.sampled_from(values[-3:]))], {}))
            continue
        size = draw(st.integers(1, 12))
        first, source = (draw(st.integers(0, 12 - size)) for _ in range(2))
        starts = tuple(source if k == axis else 0 for k in range(len(shape)))
        sizes = tuple(size if k == axis else n for k, n in enumerate(shape))
        v = b.slice(draw(st.sampled_from(values)), starts=starts, sizes=sizes, strides=(1,) * len(shape))
        starts = tuple(first if k == axis else 0 for k in range(len(shape)))
        values.append(b.apply(get(kind), [base, -v, ], {"starts": starts, "strides": (1,) * len(shape)}))
    b.ret([values[-1], draw(st.sampled_from(values))])
    return fn


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(chains())
def test_results_stay_the_same_to_the_bit(fn: Function) -> None:
    new = dce(segments(fn))
    verify(new)
    rng = np.random.default_rng(0)
    args = [rng.normal(size=p.type.shape).round(1) for p in fn.params]
    with np.errstate(all="ignore"):
        for got, want in zip(interpret(new, args), interpret(fn, args), strict=True):
            assert np.asarray(got).tobytes() == np.asarray(want).tobytes(), f"{fn}\n{new}"


STENCIL = """
func @f(%g: f64[12]) -> f64[12] {{
  %u = slice %g {{starts = [{read}], sizes = [10], strides = [1]}} : f64[10]
  %h = neg %u : f64[10]
  %r = {op} %g, %h {{starts = [1], strides = [1]}} : f64[12]
  return %r
}}"""


@pytest.mark.parametrize(
    ("op", "read", "pieces"), [("update", 0, True), ("add_at", 2, True), ("update", 1, False), ("add_at", 1, False)]
)
def test_one_write_goes_to_pieces_only_if_it_reads_other_places(op: str, read: int, pieces: bool) -> None:
    new = segments(parse(STENCIL.format(op=op, read=read)))
    assert any(x.kind.name == "concat" for x in new.body.ops) is pieces


def test_a_small_slot_is_written_in_place() -> None:
    fn = parse("""
    func @f(%g: f64[12], %x: f64[2]) -> f64[12] {
      %a = add_at %g, %x {starts = [1], strides = [1]} : f64[12]
      %b = add_at %a, %x {starts = [2], strides = [1]} : f64[12]
      return %b
    }""")
    assert not any(op.kind.name == "concat" for op in segments(fn).body.ops)


def test_narrow_slots_that_cover_the_array_are_written_together() -> None:
    """The gradient of `unstack(p, axis=1)`: one sweep, not one per column."""
    fn, b = new_function("f", [TensorType(float64, (9,))] * 5)
    out = b.full((9, 5), 0.0, float64)
    for k, p in enumerate(fn.params):
        out = b.add_at(out, b.reshape(b.expr(p), shape=(9, 1)), starts=(0, k), strides=(1, 1))
    b.ret([out])
    new = dce(segments(fn))
    verify(new)
    names = [op.kind.name for op in new.body.ops]
    assert "add_at" not in names
    assert names.count("concat") == 1
    xs = [np.random.default_rng(k).standard_normal(9) for k in range(5)]
    xs[2][3] = -0.0
    found, expected = interpret(new, xs)[0], interpret(fn, xs)[0]
    assert found.tobytes() == expected.tobytes()
