"""TensorArray, eager and compiled, against NumPy; gradients against the eager tape's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

A = np.arange(1.0, 11.0) / 10
X = pb.constant(A)


def array(size: int = 10, **options: Any) -> Any:
    return pb.TensorArray(pb.float64, size=size, **options)


def written(x: Any) -> Any:
    ta = array(clear_after_read=False)
    for i in pb.range(10):
        ta = ta.write(i, x * pb.cast(i, pb.float64))
    return ta.stack(), ta.read(3), ta.concat(), ta.gather([1, 4])


def written_by_python(x: Any) -> Any:
    ta = array(clear_after_read=False)
    for i in range(10):
        ta = ta.write(i, x * i)
        if i > 0:
            x = x + ta.read(i - 1)
    return ta.stack()


def grown(x: Any) -> Any:
    ta = array(0, dynamic_size=True)
    for i in range(10):
        ta = ta.write(i, x * i)
    return ta.stack()


def read(x: Any) -> Any:
    ta = array().unstack(x)
    s = pb.constant(0.0, pb.float64)
    for i in pb.range(10):
        s = s * 0.5 + ta.read(i)
    return s


def in_while_loop(x: Any) -> Any:
    def body(i: Any, ta: Any) -> Any:
        return i + 1, ta.write(i, pb.sin(x) * pb.cast(i, pb.float64))

    _, ta = pb.while_loop(lambda i, ta: i < 6, body, [pb.constant(0), array(6)])
    return ta.stack()


def in_branches(x: Any) -> Any:
    ta, half = array(6), array(6, element_shape=[10])
    for i in pb.range(6):
        if i % 2 == 0:
            ta = ta.write(i, x)
            half = half.write(i, x)
        else:
            ta = ta.write(i, x * 2.0)
    return ta.stack(), half.stack()


def pieces(x: Any) -> Any:
    return array(2).split(x, [5, 5]).stack(), array(2).split(x, [5, 5]).identity().concat()


def scattered(x: Any) -> Any:
    return array().scatter(list(range(9, -1, -1)), x).stack()


def nested(x: Any) -> Any:
    ta = array(15)
    for i in pb.range(3):
        for j in range(5):
            ta = ta.write(i * 5 + j, x[i] * x[j])
    return ta.stack()


def _running() -> Any:
    x, rows = A, []
    for i in range(10):
        rows.append(x * i)
        if i > 0:
            x = x + rows[i - 1]
    return np.stack(rows)


OUTER = np.multiply.outer(np.arange(10.0), A)
EXPECTED: list[tuple[Callable[[Any], Any], list[Any]]] = [
    (written, [OUTER, OUTER[3], OUTER.reshape(-1), OUTER[[1, 4]]]),
    (written_by_python, [_running()]),
    (grown, [OUTER]),
    (read, [np.sum(A * 0.5 ** np.arange(9, -1, -1))]),
    (in_while_loop, [np.multiply.outer(np.arange(6.0), np.sin(A))]),
    (in_branches, [np.stack([A, 2 * A] * 3), np.stack([A, 0 * A] * 3)]),
    (pieces, [A.reshape(2, 5), A]),
    (scattered, [A[::-1]]),
    (nested, [np.multiply.outer(A[:3], A[:5]).reshape(-1)]),
]


@pytest.mark.parametrize(("f", "expected"), EXPECTED, ids=lambda f: getattr(f, "__name__", ""))
def test_values_and_gradients(f: Callable[[Any], Any], expected: list[Any]) -> None:
    grads = []
    for g in (f, pb.function(f)):
        with pb.GradientTape() as tape:
            tape.watch(X)
            outs = pb.nest.flatten(g(X))
            loss = pb.add_n([pb.reduce_sum(pb.sin(y * 0.01)) for y in outs])
        for y, e in zip(outs, expected, strict=True):
            np.testing.assert_allclose(y, e, rtol=1e-12)
        grads.append(tape.gradient(loss, X))
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-10)
    step = 1e-6
    ends = [pb.add_n([pb.reduce_sum(pb.sin(y * 0.01)) for y in pb.nest.flatten(f(X + s))]) for s in (step, -step)]
    np.testing.assert_allclose(np.sum(grads[0]), (ends[0] - ends[1]) / (2 * step), rtol=1e-6)


def test_size_shape_and_dtype() -> None:
    ta = array(3)
    assert int(ta.size()) == 3
    assert ta.dtype == pb.float64
    assert not ta.dynamic_size
    assert ta.element_shape.rank is None
    assert ta.write(0, [1.0, 2.0]).element_shape.as_list() == [2]
    assert array(0).stack().shape == [0]
    np.testing.assert_array_equal(array(2, element_shape=[2]).stack(), np.zeros((2, 2)))


def test_lengths_may_differ_eagerly() -> None:
    ta = array(2, infer_shape=False).write(0, [1.0]).write(1, [2.0, 3.0])
    np.testing.assert_array_equal(ta.concat(), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("compiled", [False, True])
def test_errors(compiled: bool) -> None:
    def wrong(f: Callable[[], Any], error: Any, text: str) -> None:
        with pytest.raises(error, match=text):
            (pb.function(f) if compiled else f)()

    wrong(
        lambda: array(3).write(3, 1.0).stack(),
        pb.errors.OutOfRangeError,
        "write to index 3 but array is not resizeable",
    )
    wrong(lambda: array(3).write(0, 1.0).write(1, [1.0]), ValueError, r"Incompatible shape.*test_tensor_array")
    wrong(lambda: array(3).write(0, pb.constant(1)), (TypeError, ValueError), "dtype")
    wrong(lambda: array(3).stack(), pb.errors.InvalidArgumentError, "written")


def test_an_element_is_read_once_unless_asked_for() -> None:
    ta = array(2).write(0, 1.0)
    assert float(ta.read(0)) == 1.0
    with pytest.raises(pb.errors.InvalidArgumentError, match="cleared after a previous read"):
        ta.read(0)


def test_it_grows_as_far_as_a_tensor_says() -> None:
    @pb.function
    def f(n: Any) -> Any:
        ta = array(0, dynamic_size=True)
        for i in pb.range(n):
            ta = ta.write(i, pb.cast(i, pb.float64) * 2.0)
        return ta.stack()

    for n in (3, 5):
        assert f(pb.constant(n)).numpy().tolist() == [2.0 * i for i in range(n)]


def test_loop_options_are_accepted() -> None:
    @pb.function
    def f(n: Any) -> Any:
        x = pb.constant([1.0])
        for _ in pb.range(n):
            pb.autograph.experimental.set_loop_options(
                parallel_iterations=2, shape_invariants=[(x, pb.TensorShape([None]))], maximum_iterations=10
            )
            x = x * 2.0
        return x

    assert f(pb.constant(3)).numpy().tolist() == [8.0]
