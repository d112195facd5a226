"""What Python does while compiled code waits for it: Variables and Tensors keep their values, exceptions get out."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.decompositions import Eigh

X = np.diag([1.0, 2.0, 3.0, 4.0])


def compiled(v: pb.Variable) -> Any:
    @pb.function
    def f(x: pb.Tensor) -> pb.Tensor:
        e, _ = pb.linalg.eigh(x)
        return v + e

    for _ in range(3):
        f(pb.constant(X))
    return f


def test_a_variable_assigned_meanwhile_keeps_its_memory(monkeypatch: Any) -> None:
    v, eager = pb.Variable(np.ones((1000, 4))), Eigh.eager
    f = compiled(v)
    junk = []

    def assigning(self: Any, *args: Any) -> Any:
        v.assign(np.full((1000, 4), 7.0))
        junk.append([np.full((1000, 4), -99.0) for _ in range(20)])
        return eager(self, *args)

    monkeypatch.setattr(Eigh, "eager", assigning)
    np.testing.assert_array_equal(f(pb.constant(X)), np.tile([2.0, 3.0, 4.0, 5.0], (1000, 1)))
    np.testing.assert_array_equal(v, np.full((1000, 4), 7.0))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ZeroDivisionError])
def test_what_python_raises_gets_out(error: type[BaseException], monkeypatch: Any) -> None:
    f = compiled(pb.Variable(np.ones(4)))

    def failing(self: Any, *args: Any) -> Any:
        raise error

    monkeypatch.setattr(Eigh, "eager", failing)
    with pytest.raises(error):
        f(pb.constant(X))


def test_eigenvalues_that_do_not_converge_are_the_same_error_in_both_modes(monkeypatch: Any) -> None:
    f = compiled(pb.Variable(np.ones(4)))

    def failing(*args: Any) -> Any:
        raise np.linalg.LinAlgError("no")

    monkeypatch.setattr(np.linalg, "eigh", failing)
    for call in (f, pb.linalg.eigh):
        with pytest.raises(pb.errors.InvalidArgumentError, match="did not converge"):
            call(pb.constant(X))


def test_a_tensor_read_while_a_function_prints_keeps_its_value(monkeypatch: Any) -> None:
    v, read = pb.Variable(np.zeros(4)), []

    class Reader:
        def write(self, text: str) -> int:
            read.append(v.read_value())
            return len(text)

        def flush(self) -> None:
            pass

    @pb.function
    def g(x: pb.Tensor) -> pb.Tensor:
        pb.print(x)
        v.assign_add(x)
        return x

    one = pb.constant(np.ones(4))
    for _ in range(3):
        g(one)
    monkeypatch.setattr(sys, "stderr", Reader())
    g(one)
    monkeypatch.undo()
    assert read
    np.testing.assert_array_equal(read[0], np.full(4, 3.0))
    np.testing.assert_array_equal(v, np.full(4, 4.0))
