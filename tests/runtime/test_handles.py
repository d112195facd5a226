"""Writes to tensors and arrays as tapes see them: old values keep what was recorded, new ones have gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

X = np.array([1.0, -2.0, 3.0, 0.5])


def watched(make: Any = pb.array) -> Any:
    return make(X)


@pytest.mark.parametrize("make", [pb.array, pb.constant])
def test_a_value_used_before_a_write_keeps_its_gradient(make: Any) -> None:
    x = watched(make)
    with pb.GradientTape() as tape:
        tape.watch(x)
        before = x * x
        x[1] = x[0] * x[2]
        x[2:] = x[2:] * 2.0
        loss = pb.reduce_sum(before * x)
    # before = x^2; x' = [x0, x0 x2, 2 x2, 2 x3]: loss = x0^3 + x1^2 x0 x2 + 2 x2^3 + 2 x3^3
    expected = [3 * 1 + 4 * 3, 2 * -2 * 1 * 3, 4 * 1 + 6 * 9, 6 * 0.25]
    np.testing.assert_allclose(tape.gradient(loss, x), expected)


def test_the_source_is_what_was_watched_and_a_target_what_is_there_now() -> None:
    x = watched()
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * 1.0
        y[0] = 5.0
        z = y
        z[1] *= 3.0
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 3, 1, 1])
    assert tape.explain(y, x).startswith("connected")
    y[2] = 100.0  # after the tape: it is asked what it recorded
    np.testing.assert_array_equal(tape.gradient(y * 1.0, x) or [0, 0, 0, 0], [0, 0, 0, 0])


def test_writes_while_the_tape_does_not_record_do_not_disturb_it() -> None:
    x, factor = watched(), pb.array([2.0, 2.0, 2.0, 2.0])
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = x * factor
        with tape.stop_recording():
            factor[0] = 100.0
    factor[1] = 100.0
    np.testing.assert_array_equal(tape.gradient(y, x), [2, 2, 2, 2])


def test_second_order_through_writes() -> None:
    x = watched()
    with pb.GradientTape() as outer:
        outer.watch(x)
        with pb.GradientTape() as inner:
            inner.watch(x)
            y = x**3
            y[0] = y[1] * x[2]
        g = inner.gradient(y, x)
        first = pb.reduce_sum(g * g)
    # y = [x1^3 x2, x1^3, x2^3, x3^3]; g = [0, 3 x1^2 (1 + x2), x1^3 + 3 x2^2, 3 x3^2]
    x1, x2, x3 = X[1:]
    g1, g2, g3 = 3 * x1**2 * (1 + x2), x1**3 + 3 * x2**2, 3 * x3**2
    by_x1 = 2 * g1 * 6 * x1 * (1 + x2) + 2 * g2 * 3 * x1**2
    expected = [0, by_x1, 2 * g1 * 3 * x1**2 + 2 * g2 * 6 * x2, 2 * g3 * 6 * x3]
    np.testing.assert_allclose(outer.gradient(first, x), expected)


def test_forward_mode_follows_writes() -> None:
    x, direction = watched(), np.array([1.0, 2.0, -1.0, 0.5])
    with pb.autodiff.ForwardAccumulator(x, pb.array(direction)) as acc:
        y = x * x
        y[0] = x[3] * 4.0
        y[1:3] += y[2:]
    x1, x2, x3 = X[1:]
    d1, d2, d3 = direction[1:]
    expected = [4 * d3, 2 * x1 * d1 + 2 * x2 * d2, 2 * x2 * d2 + 2 * x3 * d3, 2 * x3 * d3]
    np.testing.assert_allclose(acc.jvp(y), expected)


def test_views_are_recorded_when_they_are_read() -> None:
    x = watched()
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = x + 0.0
        v = y[1:]
        y[1] = x[0] * 3.0
        first = v * 1.0
        v[1:] = 0.0
        loss = pb.reduce_sum(first) + 10.0 * pb.reduce_sum(y)
    # first = [3 x0, x2, x3]; y = [x0, 3 x0, 0, 0]
    np.testing.assert_array_equal(tape.gradient(loss, x), [3 + 40, 0, 1, 1])


def test_the_gradient_by_an_array_is_an_array() -> None:
    x, t = pb.array(X), pb.constant(X)
    for source, kind in ((x, type(x)), (t, pb.Tensor)):
        with pb.GradientTape() as tape:
            tape.watch(source)
            y = pb.reduce_sum(source * source)
        g = tape.gradient(y, source)
        assert type(g) is kind
        np.testing.assert_array_equal(g, 2 * X)


def test_a_view_is_a_target() -> None:
    x = watched()
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = (x * x)[::2]
    np.testing.assert_array_equal(tape.gradient(y, x), [2, 0, 6, 0])


def test_what_shares_the_data_does_not_see_a_write() -> None:
    x = pb.array(X)
    same, flat, other = pb.identity(x), pb.reshape(x, [2, 2]), x.copy()
    held, data = pb.Variable(x), x.numpy()
    x[0] = 50.0
    for t in (same, flat, other, held, data):
        assert np.asarray(t).reshape(-1)[0] == 1.0
    assert x[0] == 50.0


def test_an_array_that_nobody_else_has_is_written_in_place() -> None:
    x = pb.array(np.zeros(1000))
    address = x._data.ctypes.data
    for i in range(10):
        x[i] = 1.0
        x[100:200][5] += 2.0
    assert x._data.ctypes.data == address
    assert x.sum() == 30.0


@pytest.mark.parametrize(
    ("use", "error", "text"),
    [
        (lambda x: x.__setitem__(4, 1.0), IndexError, "out of bounds"),
        (lambda x: x.__setitem__((0, 0), 1.0), IndexError, "2 indices"),
        (lambda x: x.__setitem__(slice(0, 3), [1.0, 2.0]), ValueError, "broadcast"),
        (lambda x: x.__setitem__(np.array([True, False]), 1.0), ValueError, "boolean index"),
        (lambda x: x.__setitem__([0, 9], 1.0), IndexError, "out of bounds"),
        (lambda x: x.__setitem__(np.array([0.5]), 1.0), IndexError, "integers"),
        (lambda x: x.__delitem__(0), TypeError, "cannot be deleted"),
    ],
)
def test_bad_writes_change_nothing(use: Any, error: type[Exception], text: str) -> None:
    x = pb.array(X)
    with pytest.raises(error, match=text):
        use(x)
    np.testing.assert_array_equal(x, X)
    with pb.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(error, match=text):
            use(x)
        y = x * 2.0
    np.testing.assert_array_equal(tape.gradient(y, x), [2, 2, 2, 2])


def test_dtypes_of_writes() -> None:
    a = pb.array(np.arange(4))
    a[0] = 2.9  # as NumPy's arrays, it converts
    a[1] = pb.constant(7.5)
    np.testing.assert_array_equal(a, [2, 7, 2, 3])
    t = pb.constant([1, 2]) + 0
    with pytest.raises(TypeError, match="int32"):
        t[0] = pb.constant(1.5)
    with pytest.raises(TypeError):
        t[0] = 1.5
    np.testing.assert_array_equal(t, [1, 2])


UNCHANGING: dict[str, Any] = {
    "cast": lambda t: pb.cast(x=t, dtype=t.dtype),
    "saturate_cast": lambda t: pb.saturate_cast(t, t.dtype),
    "broadcast_to": lambda t: pb.broadcast_to(t, [4]),
    "roll": lambda t: pb.roll(t, 0, 0),
    "real": pb.math.real,
    "conj": pb.math.conj,
    "ensure_shape": lambda t: pb.ensure_shape(t, [4]),
    "dropout": lambda t: pb.nn.dropout(t, 0.0),
    "tile": lambda t: pb.tile(t, [1]),
    "pad": lambda t: pb.pad(t, [[0, 0]], "REFLECT"),
    "concat": lambda t: pb.concat([t], 0),
    "reshape": lambda t: pb.reshape(t, [4]),
}


@pytest.mark.parametrize("name", UNCHANGING)
@pytest.mark.parametrize("compiled", [False, True])
def test_an_op_with_nothing_to_do_gives_a_tensor_that_is_written_to_alone(name: str, compiled: bool) -> None:
    def f(t: Any) -> Any:
        y = UNCHANGING[name](t)
        y[0] = 9.0
        return y

    t = pb.constant(X) * 1.0
    np.testing.assert_array_equal((pb.function(f) if compiled else f)(t), [9.0, *X[1:]])
    np.testing.assert_array_equal(t, X)


def test_integers_round_to_a_tensor_of_their_own() -> None:
    t = pb.constant([1, 2]) * 1
    y = pb.floor(t)
    y[0] = 5
    np.testing.assert_array_equal(t, [1, 2])


def test_a_constant_of_a_given_shape_stays_one() -> None:
    for value in (1.0, [[1.0, 1.0]]):
        t = pb.constant(value, shape=[2])
        with pytest.raises(TypeError, match=r"made by pb\.constant"):
            t[0] = 2.0
    view = pb.reshape(t, [2, 1])
    view[0] = 3.0
    np.testing.assert_array_equal(t, [1.0, 1.0])


def test_a_part_read_before_its_base_was_watched_has_a_gradient() -> None:
    a = watched()
    part = a[1:]
    assert float(part[0]) == X[1]  # the part was read once
    with pb.GradientTape() as tape:
        tape.watch(a)
        loss = pb.reduce_sum(part * part)
    np.testing.assert_array_equal(tape.gradient(loss, a), [0.0, *(2 * X[1:])])


def test_a_tape_keeps_no_value_that_no_record_used() -> None:
    import tracemalloc

    x = pb.array(np.zeros(100_000))
    with pb.GradientTape() as tape:
        w = pb.constant(2.0)
        tape.watch(w)
        tracemalloc.start()
        for k in range(50):
            x[k] = 1.0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 5 * 800_000
