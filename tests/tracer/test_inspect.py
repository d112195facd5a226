"""Stages of compilation as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.verifier import verify


@pb.function
def loss(x: Any, w: Any) -> Any:
    return pb.reduce_sum(pb.tanh(x * w) ** 2) + 0.0 * 1.0


ARGS = "f32[100], f32[]"


@pytest.mark.parametrize("stage", ["trace", "opt", "grad"])
@pytest.mark.parametrize("args", [ARGS, "f32[n], f32[]"])
def test_ir_stages_are_valid_ir(stage: str, args: str) -> None:
    fn = parse(loss.inspect(args, stage=stage))
    verify(fn)
    assert [p.name for p in fn.params] == ["x", "w"]


def test_optimised_is_smaller_than_traced() -> None:
    assert loss.inspect(ARGS, stage="opt").count("\n") < loss.inspect(ARGS).count("\n")


def test_grad_is_what_a_tape_gives() -> None:
    x, w = np.linspace(-1, 1, 100, dtype=np.float32), np.float32(0.7)
    tx, tw = pb.constant(x), pb.constant(w)
    with pb.GradientTape() as t:
        t.watch([tx, tw])
        y = loss.python_function(tx, tw)
    gx, gw = t.gradient(y, [tx, tw])
    both = interpret(parse(loss.inspect(ARGS, stage="grad")), [x, w])
    np.testing.assert_allclose(both[0], gx, rtol=1e-5)
    np.testing.assert_allclose(both[1], gw, rtol=1e-5)
    for name in ("w", 1, "1", ["w"]):
        (only,) = interpret(parse(loss.inspect(ARGS, stage="grad", grad=name)), [x, w])
        np.testing.assert_allclose(only, gw, rtol=1e-5)
    (unoptimised,) = interpret(parse(loss.inspect(ARGS, stage="trace", grad="w")), [x, w])
    np.testing.assert_allclose(unoptimised, gw, rtol=1e-5)


def test_grad_of_vectors_sums_outputs() -> None:
    f = pb.function(lambda x: {"a": x * x, "n": pb.cast(x, pb.int32), "b": [x * 3.0]})
    (g,) = interpret(parse(f.inspect("f64[3]", stage="grad")), [np.array([1.0, 2.0, 3.0])])
    assert g.tolist() == [5.0, 7.0, 9.0]


def test_machine_stages() -> None:
    assert "define i32 @main" in loss.inspect(ARGS, stage="llvm")
    assert "main" in loss.inspect(ARGS, stage="asm")
    assert "kernel" in loss.inspect(ARGS, stage="kernels")
    assert loss.inspect(ARGS, stage="llvm", grad="w") != loss.inspect(ARGS, stage="llvm")


def test_arguments_may_be_tensors_specs_or_values() -> None:
    f = pb.function(lambda x, k: x * k)
    texts = {
        f.inspect("f32[2], 3.0"),
        f.inspect(pb.ones([2]), 3.0),
        f.inspect(pb.TensorSpec([2]), 3.0),
        f.inspect(x=pb.TensorSpec([2]), k=3.0),
    }
    assert len(texts) == 1
    assert f.trace_count == 1


def test_colour_only_when_asked() -> None:
    assert "\x1b[" in loss.inspect(ARGS, color=True)
    assert "\x1b[" not in loss.inspect(ARGS)


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (ARGS, {"stage": "x"}, "unknown stage 'x'"),
        ("f32[n], f32[]", {"stage": "llvm"}, "needs sizes as numbers, found n"),
        (ARGS, {"stage": "grad", "grad": "z"}, "no argument 'z'; its arguments: x, w"),
        (ARGS, {"stage": "grad", "grad": 2}, "no argument 2"),
        ("f33", {}, "not a dtype"),
    ],
)
def test_refused(args: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss.inspect(args, **options)


def test_no_float_argument_or_output() -> None:
    f = pb.function(lambda x: x + 1)
    with pytest.raises(ValueError, match="no argument of a float dtype"):
        f.inspect("i32[2]", stage="grad")
    with pytest.raises(ValueError, match="only float arguments"):
        f.inspect("i32[2]", stage="grad", grad="x")
    g = pb.function(lambda x: pb.cast(x, pb.int32))
    with pytest.raises(ValueError, match="no output of a float dtype"):
        g.inspect("f32[2]", stage="grad")


def test_code_for_the_sizes_of_the_arguments_where_the_trace_leaves_them_open() -> None:
    @pb.function
    def f(x: Any) -> Any:
        return pb.reduce_sum(pb.sin(x))

    assert "f32[n]" in f.inspect("f32[n]")
    for stage in ("kernels", "llvm", "asm"):
        with pytest.raises(ValueError, match="needs sizes as numbers, found n"):
            f.inspect("f32[n]", stage=stage)
        assert f.inspect(pb.ones([40]), stage=stage)
    assert "[40]" in f.inspect(pb.ones([40]), stage="kernels")
    assert "[41]" in f.inspect("f32[41]", stage="kernels")
    assert "[41]" in f.inspect("f32[41]", stage="kernels", grad="x")
    assert "f32[42]" in f.inspect("f32[42]", stage="opt")


def test_a_size_that_no_compiled_form_has_is_left_to_the_interpreter() -> None:
    f = pb.function(lambda x, mask: pb.reshape(x[mask], [-1]))
    x, mask = np.arange(12.0).reshape(3, 4), np.array([True, False, True])
    np.testing.assert_array_equal(f(pb.constant(x), pb.constant(mask)), x[mask].reshape(-1))
    for stage in ("opt", "kernels", "llvm"):
        text = f.inspect("f64[3, 4], bool[3]", stage=stage)
        assert stage == "opt" or "the interpreter runs this function" in text
        fn = parse(text[text.index("func @") :])
        verify(fn)
        np.testing.assert_array_equal(interpret(fn, [x, mask])[0], x[mask].reshape(-1))
