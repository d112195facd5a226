"""What a trace records: ops, lines, names, captures, known values, symbolic sizes, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.parser import parse
from pullback.ir.verifier import verify
from pullback.runtime.context import context
from pullback.runtime.errors import InaccessibleTensorError, OperatorNotAllowedInGraphError


def ir_of(f: Any, *args: Any) -> Any:
    fn = f.get_concrete_function(*args).ir
    verify(fn)
    return fn


def test_ops_names_and_lines() -> None:
    @pb.function
    def f(weight: Any, rest: Any) -> Any:
        y = weight * 2.0
        return y + rest["bias"][0]

    fn = ir_of(f, pb.TensorSpec([3]), {"bias": [pb.TensorSpec([3])]})
    assert [p.name for p in fn.params] == ["weight", "rest_bias_0"]
    assert [op.kind.name for op in fn.body.ops] == ["constant", "mul", "add", "return"]
    lines = [op.loc.line for op in fn.body.ops[:3]]
    first = f.python_function.__code__.co_firstlineno
    assert lines == [first + 2, first + 2, first + 3]
    assert all(op.loc.file == __file__ for op in fn.body.ops[:3])


def test_printed_trace_parses_back() -> None:
    f = pb.function(lambda x, y: pb.reduce_sum(pb.sin(x) * y[::2]))
    text = str(ir_of(f, pb.TensorSpec([4]), pb.TensorSpec([8])))
    assert str(parse(text)) == text


def test_captures_are_parameters_once_and_by_reference() -> None:
    big = pb.constant(np.arange(40.0))
    small = pb.constant([1.0, 2.0])

    @pb.function
    def f(x: Any) -> Any:
        return pb.reduce_sum(big) + pb.reduce_sum(big * big) + pb.cast(pb.reduce_sum(small * small), pb.float64) + x

    x = pb.constant(1.0, pb.float64)
    a = np.arange(40.0)
    assert float(f(x)) == pytest.approx(a.sum() + (a * a).sum() + 5.0 + 1.0)
    concrete = f.get_concrete_function(x)
    assert [t is big or t is small for t in concrete.captured_inputs] == [True, True]
    assert [t is big for t in concrete.plain.passed] == [True]  # the small one is a constant of the code
    assert len(concrete.plain.op.fn.params) == 2


def test_known_values_serve_as_arguments() -> None:
    @pb.function
    def f(x: Any) -> Any:
        axis = pb.constant(1) - 1
        n = pb.shape(x)[0]
        return pb.reduce_sum(x, axis=axis), pb.reshape(x, [pb.shape(x)[1], n]), pb.zeros([n * 2, 3])

    s, r, z = f(pb.ones([4, 3]))
    assert s.shape == [3]
    assert r.shape == [3, 4]
    assert z.shape == [8, 3]


def test_symbolic_sizes_serve_as_arguments() -> None:
    seen: list[Any] = []

    @pb.function(input_signature=[pb.TensorSpec([None, 3])])
    def f(x: Any) -> Any:
        n = pb.shape(x)[0]
        seen.append(x.shape.as_list())
        y = pb.reshape(x, [n * 3])
        return pb.reshape(y, [3, -1]), pb.zeros([n, 2]) + 1.0, pb.cast(pb.size(x), pb.float32)

    for n in (2, 5, 1):
        a, b, c = f(pb.ones([n, 3]))
        assert a.shape == [3, n]
        assert b.numpy().sum() == 2 * n
        assert float(c) == 3 * n
    assert seen == [[None, 3]]


def test_sizes_that_must_agree_become_one_symbol() -> None:
    calls: list[int] = []

    @pb.function(input_signature=[pb.TensorSpec([None]), pb.TensorSpec([None])])
    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        return x + y

    assert f(pb.ones([3]), pb.ones([3])).shape == [3]
    assert f(pb.ones([5]), pb.ones([5])).shape == [5]
    assert len(calls) == 1
    assert f(pb.ones([1]), pb.ones([4])).shape == [4]  # broadcasting: another trace, the right answer
    with pytest.raises(ValueError, match="add"):
        f(pb.ones([2]), pb.ones([3]))
    assert f(pb.ones([6]), pb.ones([6])).shape == [6]


def test_inner_function_makes_outer_sizes_agree() -> None:
    inner = pb.function(lambda a, b: a * b)

    @pb.function(input_signature=[pb.TensorSpec([None]), pb.TensorSpec([None])])
    def outer(x: Any, y: Any) -> Any:
        return inner(x, y) + x

    assert outer(pb.ones([3]), pb.ones([3])).numpy().tolist() == [2.0] * 3
    assert outer(pb.ones([4]), pb.ones([4])).shape == [4]
    assert outer.trace_count == 1


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (lambda x: bool(x > 0), OperatorNotAllowedInGraphError),
        (lambda x: [v for v in x], OperatorNotAllowedInGraphError),  # noqa: C416
        (lambda x: range(x), OperatorNotAllowedInGraphError),
        (lambda x: x.numpy(), AttributeError),
        (lambda x: float(x), TypeError),
        (lambda x: int(x), TypeError),
        (lambda x: len(x), TypeError),
        (lambda x: np.array(x), NotImplementedError),
        (lambda x: math.sin(x), TypeError),
        (lambda x: x.nonsense, AttributeError),
    ],
)
def test_what_a_symbolic_tensor_cannot_do(use: Callable[[Any], Any], kind: type[Exception]) -> None:
    caught: list[Exception] = []

    @pb.function(autograph=False)
    def f(x: Any) -> Any:
        with pytest.raises(kind) as e:
            use(x)
        caught.append(e.value)
        return x

    f(pb.constant([1, 2]))
    assert len(caught) == 1


def test_control_flow_error_says_where_and_what_instead() -> None:
    @pb.function(autograph=False)
    def f(x: Any) -> Any:
        if x > 0:
            return x
        return -x

    with pytest.raises(TypeError) as e:
        f(pb.constant(1.0))
    line = f.python_function.__code__.co_firstlineno + 2
    text = str(e.value)
    assert f"[test_trace.py:{line}]" in text
    for words in ("not known while the function is traced", "pb.where", "run_functions_eagerly", "'f'"):
        assert words in text
    assert context.trace is None


def test_known_scalars_are_python_numbers() -> None:
    @pb.function
    def f(x: Any) -> Any:
        out = x
        for _ in range(pb.constant(2) + 1):
            out = out * 2.0
        return out if pb.constant(1) > 0 else x

    assert float(f(pb.constant(1.0))) == 8.0


def test_leaked_tensors_name_their_line() -> None:
    kept: list[Any] = []

    @pb.function
    def f(x: Any) -> Any:
        kept.append(x + 1.0)
        return x

    f(pb.constant(1.0))
    made = f.python_function.__code__.co_firstlineno + 2
    other = pb.function(lambda: kept[0] * 2.0)
    for use in (lambda: kept[0] + 1.0, other, lambda: pb.sin(kept[0]), lambda: f(kept[0])):
        with pytest.raises(InaccessibleTensorError, match=rf"test_trace.py:{made} .*return it from the function") as e:
            use()
        assert isinstance(e.value, TypeError)
    assert "shape=()" in str(kept[0])


def test_a_trace_that_fails_leaves_nothing_behind() -> None:
    class Stop(BaseException):
        pass

    fail = [Stop, KeyboardInterrupt, ValueError, None]
    count: list[int] = []

    @pb.function
    def f(x: Any) -> Any:
        count.append(1)
        kind = fail[len(count) - 1]
        if kind is not None:
            raise kind("boo")
        return x + 1.0

    for kind in (Stop, KeyboardInterrupt, ValueError):
        with pytest.raises(kind, match="boo"):
            f(pb.constant(1.0))
        assert context.trace is None
        assert context.recorders == []
    assert float(f(pb.constant(1.0))) == 2.0
    assert float(f(pb.constant(2.0))) == 3.0
    assert len(count) == 4
    assert f.trace_count == 1


def test_shape_error_at_trace_time_has_the_ops_line() -> None:
    f = pb.function(lambda x, y: pb.matmul(x, y))
    with pytest.raises(ValueError, match="matmul"):
        f(pb.ones([2, 3]), pb.ones([2, 3]))


def test_op_runs_symbolically_on_constants_too() -> None:
    seen: list[Any] = []

    @pb.function
    def f() -> Any:
        y = pb.constant([1.0, 2.0]) * 3.0
        seen.append(type(y).__name__)
        return y

    assert f().numpy().tolist() == [3.0, 6.0]
    assert seen == ["SymbolicTensor"]


def test_calls_with_one_name_print_apart() -> None:
    a, b = pb.function(lambda x: x + 1.0), pb.function(lambda x: x * 2.0)
    f = pb.function(lambda x: a(x) + b(x))
    text = str(ir_of(f, pb.TensorSpec([])))
    verify(parse(text))
    assert float(f(pb.constant(3.0))) == 10.0
