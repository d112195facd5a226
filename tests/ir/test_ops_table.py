"""What must hold for every op of the table, over the samples of op_samples.py: types, text, derivatives to order 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.ir import ops
from pullback.ir.builder import RAW, new_function
from pullback.ir.compare import same
from pullback.ir.dims import symbol
from pullback.ir.infer import SymbolicShapes
from pullback.ir.interpret import interpret
from pullback.ir.opdef import OpDef
from pullback.ir.parser import parse
from pullback.ir.printer import print_function
from pullback.ir.quiet import Quiet
from pullback.ir.types import TensorType, type_of_array
from pullback.ir.verifier import verify

from .op_samples import SAMPLES
from .rules import as_tuple, cotangents, difference, function, is_real, run, tangents, vjp_function, whole

# Control flow, effects, stacks take no plain arrays and are tested beside their modules; ops of other tests are theirs.
APART = ("pullback.ir.control", "pullback.ir.stack_ops")
TABLE = [op for op in ops.table() if (where := type(op).__module__).startswith("pullback.") and where not in APART]
CASES = [
    pytest.param(op, attrs, xs, id=f"{op.name}-{i}")
    for op in TABLE
    for i, (attrs, xs) in enumerate(SAMPLES.get(op.name, []))
]
RNG = np.random.default_rng(1)
# Differences of these are not their derivative: casts to f32 round, jumps have none.
NOT_SMOOTH = {"floordiv", "sign"}
SYMMETRIC = {"cholesky", "eigh"}


def direction(x: Any) -> Any:
    """A random tangent, None for what carries none."""
    return RNG.uniform(-1, 1, np.shape(x)) if is_real(x) else None


def directions(op: OpDef, xs: list[Any]) -> list[Any]:
    """A direction for each operand; ops of symmetric matrices are defined along those only."""
    ts = [direction(x) for x in xs]
    if op.name in SYMMETRIC and ts[0] is not None:
        ts[0] = ts[0] + np.swapaxes(ts[0], -1, -2)
    return ts


def dot(a: Any, c: Any) -> float:
    return 0.0 if a is None or c is None else float(np.sum(np.asarray(a) * np.asarray(c)))


def results(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> tuple[Any, ...]:
    return as_tuple(op.eager(attrs, *xs))


def checkable(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> bool:
    """Whether the sample can be differentiated numerically: f64 in, f64 out."""
    return op.differentiable and any(map(is_real, xs)) and all(map(is_real, results(op, attrs, xs)))


SMOOTH = [p for p in CASES if checkable(*p.values)]


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_every_op_has_samples_a_summary_and_a_meaning_for_the_compiler(op: OpDef) -> None:
    assert SAMPLES.get(op.name), f"add a sample for {op.name} to tests/ir/op_samples.py"
    assert op.summary
    assert op.lowering is not None or type(op).expand is not OpDef.expand
    for attrs, _ in SAMPLES[op.name]:
        assert set(attrs) == set(op.attrs)


def test_no_sample_is_for_an_op_that_does_not_exist() -> None:
    assert set(SAMPLES) <= {op.name for op in TABLE}


@pytest.mark.parametrize(("op", "attrs", "xs"), CASES)
@pytest.mark.filterwarnings("error")
def test_infer_gives_the_type_that_eager_has(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    ys = results(op, attrs, xs)
    assert all(type(y) is np.ndarray for y in ys)
    assert op.infer(attrs, [type_of_array(x) for x in xs]) == tuple(type_of_array(y) for y in ys)


@pytest.mark.parametrize(("op", "attrs", "xs"), CASES)
def test_text_round_trip_and_interpreter(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    fn = verify(function(op, attrs, xs))
    text = print_function(fn)
    again = parse(text)
    assert same(fn, again), text
    assert print_function(again) == text
    for got, want in zip(interpret(fn, xs), results(op, attrs, xs), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("op", "attrs", "xs"), [p for p in CASES if type(p.values[0]).expand is not OpDef.expand])
def test_expansion_means_the_same(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    fn, b = new_function("f", [type_of_array(x) for x in xs])
    b.ret(as_tuple(op.expand(b, attrs, [b.expr(p) for p in fn.params])))
    verify(fn)
    assert fn.result_types == op.infer(attrs, [type_of_array(x) for x in xs])
    for got, want in zip(run(fn, xs), results(op, attrs, xs), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(("op", "attrs", "xs"), SMOOTH)
def test_forward_rule_agrees_with_differences(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    ts = directions(op, xs)
    ys = results(op, attrs, xs)
    with Quiet():
        dys = op.jvp(RAW, attrs, ys, xs, ts)
    want = difference(lambda v: results(op, attrs, list(v)), xs, ts)
    for got, w, y in zip(dys, want, ys, strict=True):
        if op.name not in NOT_SMOOTH:
            np.testing.assert_allclose(np.zeros_like(y) if got is None else got, w, rtol=1e-7, atol=1e-8)
        assert got is None or type_of_array(np.asarray(got)) == type_of_array(y)


@pytest.mark.parametrize(("op", "attrs", "xs"), SMOOTH)
def test_forward_and_reverse_rule_are_adjoint(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    ts, ys = [direction(x) for x in xs], results(op, attrs, xs)
    cts = [direction(y) for y in ys]
    needs = [t is not None for t in ts]
    with Quiet():
        dys = op.jvp(RAW, attrs, ys, xs, ts)
        back = [whole(c) for c in op.vjp(RAW, attrs, ys, xs, cts, needs)]
    assert len(back) == len(xs)
    for x, c in zip(xs, back, strict=True):
        assert c is None or type_of_array(np.asarray(c)) == type_of_array(x)
    forward = sum(map(dot, cts, dys))
    reverse = sum(map(dot, back, ts))
    assert forward == pytest.approx(reverse, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(("op", "attrs", "xs"), SMOOTH)
def test_rules_are_differentiable_themselves(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    """Order 2: the reverse rule as an IR function, differentiated by rules in both modes and by differences."""
    fn = verify(vjp_function(op, attrs, xs))
    if not fn.results:
        return
    args = [*xs, *(direction(y) for y in results(op, attrs, xs))]
    ts = directions(op, args)
    outs, dys = tangents(fn, args, ts)
    want = difference(lambda v: run(fn, v), args, ts)
    for y, dy, w in zip(outs, dys, want, strict=True):
        np.testing.assert_allclose(np.zeros_like(y) if dy is None else dy, w, rtol=1e-6, atol=1e-7)
    cts = [direction(y) for y in outs]
    back = cotangents(fn, args, cts)
    assert sum(map(dot, cts, dys)) == pytest.approx(sum(map(dot, back, ts)), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize(("op", "attrs", "xs"), [p for p in CASES if p.values[0].differentiable])
def test_zero_cotangents_and_unneeded_operands(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    ys = results(op, attrs, xs)
    nothing = op.vjp(RAW, attrs, ys, xs, [None] * len(ys), [True] * len(xs))
    assert list(nothing) == [None] * len(xs)
    assert list(op.jvp(RAW, attrs, ys, xs, [None] * len(xs))) == [None] * len(ys)
    cts = [np.ones_like(y) for y in ys]
    with Quiet():
        for i in range(len(xs)):
            back = op.vjp(RAW, attrs, ys, xs, cts, [k == i for k in range(len(xs))])
            for x, c in zip(xs, back, strict=True):
                assert c is None or type_of_array(np.asarray(whole(c))) == type_of_array(x)
    for y, ct in zip(ys, cts, strict=True):
        if y.dtype.kind != "f":
            assert all(c is None for c in op.vjp(RAW, attrs, ys, xs, [ct], [True] * len(xs)))


@pytest.mark.parametrize(("op", "attrs", "xs"), [p for p in CASES if p.values[0].name == "add_at"])
def test_into_adds_to_a_running_cotangent(op: OpDef, attrs: dict[str, Any], xs: list[Any]) -> None:
    read = ops.get("slice")
    base, v, *starts = xs
    attrs = {**attrs, "sizes": v.shape}
    if base.dtype.kind != "f":
        return
    y = read.eager(attrs, base, *starts)
    (into, *_) = read.vjp(RAW, attrs, [y], [base, *starts], [v], [True] * (1 + len(starts)))
    np.testing.assert_array_equal(into.add(base), base + into.start())


SIZES = {2: "a", 3: "b", 5: "c"}
SYMBOLIC = ("shape", "sizes", "multiples", "depth")


def symbolic(d: Any) -> Any:
    if isinstance(d, (tuple, list)):
        return tuple(map(symbolic, d))
    return symbol(SIZES[d]) if d in SIZES else d


def test_symbolic_sizes_give_the_same_types() -> None:
    numbers = {name: size for size, name in SIZES.items()}
    proven, unproven = set(), set()
    for op in TABLE:
        for attrs, xs in SAMPLES[op.name]:
            types = [type_of_array(x) for x in xs]
            abstract = [TensorType(t.dtype, symbolic(t.shape)) for t in types]
            marked = {k: symbolic(v) if k in SYMBOLIC else v for k, v in attrs.items()}
            try:
                found = op.infer(marked, abstract)
            except SymbolicShapes as e:
                unproven |= e.symbols
                continue
            assert tuple(t.substitute(numbers) for t in found) == op.infer(attrs, types)
            proven.add(op.name)
    assert proven == {op.name for op in TABLE}
    assert unproven
    assert unproven <= set(numbers)


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_rules_build_with_symbolic_sizes(op: OpDef) -> None:
    """The reverse rule over IR values of symbolic shape gives the same numbers once the sizes are known."""
    built = 0
    for attrs, xs in SAMPLES[op.name]:
        if not checkable(op, attrs, xs):
            continue
        marked = {k: symbolic(v) if k in SYMBOLIC else v for k, v in attrs.items()}
        types = [TensorType(type_of_array(x).dtype, symbolic(np.shape(x))) for x in xs]
        try:
            out_types = op.infer(marked, types)
            fn, b = new_function("g", [*types, *out_types])
            params = [b.expr(p) for p in fn.params]
            ys = as_tuple(b.apply(op, params[: len(xs)], marked))
            cts = op.vjp(b, marked, ys, params[: len(xs)], params[len(xs) :], [True] * len(xs))
        except SymbolicShapes:
            continue
        b.ret([whole(c) for c in cts if c is not None])
        args = [*xs, *(direction(y) for y in results(op, attrs, xs))]
        concrete = vjp_function(op, attrs, xs)
        for got, want in zip(interpret(fn, args), run(concrete, args), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
        built += 1
    assert built or not any(checkable(op, *s) for s in SAMPLES[op.name])
