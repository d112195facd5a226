"""Assertions and printing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb

D = pb.debugging


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (lambda: D.assert_equal([1, 2], [1, 2]), lambda: D.assert_equal([1, 2], [1, 3])),
        (lambda: D.assert_none_equal(1, 2), lambda: D.assert_none_equal([1, 2], [3, 2])),
        (lambda: D.assert_less(1.0, [2.0, 3.0]), lambda: D.assert_less(2.0, [2.0, 3.0])),
        (lambda: D.assert_less_equal(1, 1), lambda: D.assert_less_equal(2, 1)),
        (lambda: D.assert_greater(2, 1), lambda: D.assert_greater(1, 1)),
        (lambda: D.assert_greater_equal(1, 1), lambda: D.assert_greater_equal(0, 1)),
        (lambda: D.assert_positive([1.0]), lambda: D.assert_positive([0.0])),
        (lambda: D.assert_negative([-1.0]), lambda: D.assert_negative([0.0])),
        (lambda: D.assert_non_negative([0]), lambda: D.assert_non_negative([-1])),
        (lambda: D.assert_non_positive([0]), lambda: D.assert_non_positive([1])),
        (lambda: D.assert_near(1.0, 1.0 + 1e-7), lambda: D.assert_near(1.0, 1.1)),
        (lambda: D.assert_all_finite([1.0], "m"), lambda: D.assert_all_finite([np.nan], "m")),
        (lambda: D.Assert(True, []), lambda: D.Assert([True, False], ["text", 3])),
    ],
)
def test_values(good: Any, bad: Any) -> None:
    good()
    with pytest.raises(pb.errors.InvalidArgumentError, match=r"test_debugging\.py"):
        bad()


def test_shapes_and_types() -> None:
    t = pb.ones([2, 3])
    D.assert_rank(t, 2)
    D.assert_rank_at_least(t, 1)
    D.assert_shapes([(t, ("n", 3)), (pb.ones([2]), ("n",))])
    D.assert_type(t, pb.float32)
    D.assert_scalar(pb.constant(1))
    assert D.is_numeric_tensor(t)
    assert not D.is_numeric_tensor(1.0)
    for bad in (
        lambda: D.assert_rank(t, 1),
        lambda: D.assert_rank_at_least(t, 3),
        lambda: D.assert_shapes([(t, ("n", 3)), (pb.ones([3]), ("n",))]),
        lambda: D.assert_scalar(t),
    ):
        with pytest.raises(ValueError, match=r"test_debugging\.py"):
            bad()
    with pytest.raises(TypeError):
        D.assert_type(t, pb.int32)


def test_assertions_run_in_compiled_functions() -> None:
    @pb.function
    def f(x: Any) -> Any:
        pb.debugging.assert_positive(x, "must be positive")
        return x * 2.0

    assert float(f(pb.constant(1.0))) == 2.0
    with pytest.raises(pb.errors.InvalidArgumentError, match="must be positive"):
        f(pb.constant(-1.0))


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (("y =", 0.0, "; x =", np.float32(0.999998569)), "y = 0.0 ; x = 0.99999857\n"),
        ((pb.constant(0.0), pb.constant(0.999998569), pb.constant(0.1, pb.float64)), "0 0.999998569 0.1\n"),
        ((pb.constant([1.5, -2.0, 1e20]),), "[1.5 -2 1e+20]\n"),
        ((pb.range(10),), "[0 1 2 ... 7 8 9]\n"),
        ((pb.constant([[1, 2], [3, 4]]),), "[[1 2]\n [3 4]]\n"),
        ((pb.reshape(pb.range(8), [2, 2, 2]),), "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]\n"),
        (((pb.constant(-2.0), pb.constant(True)),), "(-2, 1)\n"),
        (({"b": [pb.constant(1)], "a": "x"},), "{'a': 'x', 'b': [1]}\n"),
        ((pb.constant("hi"), pb.constant(["a", "b"]), None), 'hi ["a" "b"] None\n'),
        ((pb.constant([np.nan, np.inf, -np.inf]),), "[nan inf -inf]\n"),
        ((pb.constant(1 + 2j),), "(1,2)\n"),
        ((pb.zeros([0]),), "[]\n"),
        ((pb.Variable(3.0),), "3\n"),
    ],
)
def test_print(inputs: Any, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    pb.print(*inputs)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == text


def test_print_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pb.print(pb.range(5), "a", sep="|", end="!", summarize=1, output_stream=sys.stdout)
    assert capsys.readouterr().out == "[0 ... 4]|a!"
    pb.print(pb.range(8), summarize=-1, output_stream=f"file://{tmp_path}/log")
    assert (tmp_path / "log").read_text() == "[0 1 2 3 4 5 6 7]\n"
    with pytest.raises(ValueError, match="bogus"):
        pb.print(1, bogus=2)
    with pytest.raises(ValueError, match="stream"):
        pb.print(1, output_stream=3)


def test_print_in_compiled_functions(capsys: pytest.CaptureFixture[str]) -> None:
    @pb.function
    def f(x: Any) -> Any:
        pb.print("x =", x, [x[0]])
        return x

    f(pb.constant([1.5, 0.1]))
    f(pb.constant([2.5, 0.1]))
    assert capsys.readouterr().err == "x = [1.5 0.1] [1.5]\nx = [2.5 0.1] [2.5]\n"
