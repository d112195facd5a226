"""GradientTape: TensorFlow's semantics, misuse, and what stays in memory."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.runtime.context import context, slow_mode

from .checks import same


def test_constants_need_watch() -> None:
    x = pb.constant(3.0)
    with pb.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x) is None
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    same(tape.gradient(y, x), 6.0)


def test_structures() -> None:
    x, y, z = (pb.constant(float(v)) for v in (1, 2, 3))
    with pb.GradientTape() as tape:
        tape.watch([x, {"a": y, "b": (z,)}])
        r = {"one": x * y, "two": [x * z]}
    g = tape.gradient(r, {"p": x, "q": (y, [z])})
    same(g["p"], 5.0)
    same(g["q"][0], 1.0)
    same(g["q"][1][0], 1.0)
    assert isinstance(g["q"], tuple)


def test_used_twice_says_persistent() -> None:
    x = pb.Variable(1.0)
    with pb.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match=r"persistent=True.*test_tape\.py"):
        tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="recorded"):
        pb.GradientTape().gradient(y, x)


def test_persistent_and_intermediate_targets() -> None:
    x = pb.Variable(2.0)
    with pb.GradientTape(persistent=True) as tape:
        y = x**2
        z = y**2
    assert [float(tape.gradient(a, b)) for a, b in ((y, x), (z, y), (z, x), (z, x))] == [4.0, 8.0, 32.0, 32.0]
    gy, gx = tape.gradient(z, [y, x])
    same(gy, 8.0)
    same(gx, 32.0)


def test_target_is_source_and_repeated_source() -> None:
    x = pb.Variable(3.0)
    with pb.GradientTape(persistent=True) as tape:
        y = x * x
    same(tape.gradient(x, x), 1.0)
    assert [float(g) for g in tape.gradient(y, [x, x])] == [6.0, 6.0]
    assert tape.gradient([], x) is None
    assert tape.gradient(y, []) == []


def test_nested_tapes() -> None:
    x = pb.Variable(1.5)
    with pb.GradientTape() as t3, pb.GradientTape() as t2:
        with pb.GradientTape() as t1:
            y = x**4
        d1 = t1.gradient(y, x)
        d2 = t2.gradient(d1, x)
    np.testing.assert_allclose([float(d1), float(d2)], [4 * 1.5**3, 12 * 1.5**2], rtol=1e-6)
    np.testing.assert_allclose(float(t3.gradient(d2, x)), 24 * 1.5, rtol=1e-5)


def test_gradient_inside_a_persistent_tape_is_recorded() -> None:
    x = pb.Variable(3.0)
    with pb.GradientTape(persistent=True) as tape:
        y = x * x * x
        with pytest.warns(UserWarning, match="higher order"):
            g = tape.gradient(y, x)
    same(tape.gradient(g, x), 18.0)


def test_gradient_inside_a_plain_tape_stops_it() -> None:
    x = pb.Variable(3.0)
    with pb.GradientTape() as tape:
        same(tape.gradient(x * x, x), 6.0)
        x * x
    assert not context.recorders


def test_watch_accessed_variables() -> None:
    a, b = pb.Variable(2.0), pb.Variable(3.0)
    with pb.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(a)
        y = a * b
    ga, gb = tape.gradient(y, [a, b])
    same(ga, 3.0)
    assert gb is None


def test_untrainable_variables() -> None:
    v = pb.Variable(2.0, trainable=False)
    with pb.GradientTape() as tape:
        y = v * v
    assert tape.watched_variables() == ()
    assert tape.gradient(y, v) is None
    with pb.GradientTape() as tape:
        tape.watch(v)
        y = v * v
    same(tape.gradient(y, v), 4.0)


def test_watched_variables_in_the_order_of_their_making() -> None:
    a, b, c = (pb.Variable(1.0, name=f"v{i}") for i in range(3))
    with pb.GradientTape() as tape:
        c * 2.0 + a * 1.0
    assert [v.name for v in tape.watched_variables()] == ["v0:0", "v2:0"]
    assert b.name == "v1:0"


def test_reset_and_stop_recording() -> None:
    x = pb.Variable(3.0)
    with pb.GradientTape() as tape:
        y = x * x
        tape.reset()
        y += x * x
    same(tape.gradient(y, x), 6.0)
    with pb.GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            z = x * x
        y = y + z
    same(tape.gradient(y, x), 6.0)
    with pytest.raises(RuntimeError), tape.stop_recording():
        pass


def test_reentry() -> None:
    x = pb.Variable(3.0)
    tape = pb.GradientTape()
    with tape:
        y = x * x
    with tape:
        y = y * x
    same(tape.gradient(y, x), 27.0)
    with tape, pytest.raises(ValueError, match="still recording"), tape:
        pass


def test_unconnected() -> None:
    x, z = pb.Variable([1.0, 2.0]), pb.Variable([[2.0]])
    with pb.GradientTape(persistent=True) as tape:
        y = x * 2.0
    assert tape.gradient(y, z) is None
    same(tape.gradient(y, z, unconnected_gradients="zero"), [[0.0]])
    same(tape.gradient(y, [x, z], unconnected_gradients=pb.UnconnectedGradients.ZERO)[0], [2.0, 2.0])
    with pytest.raises(ValueError, match="zeros"):
        tape.gradient(y, z, unconnected_gradients="zeros")


def test_output_gradients() -> None:
    x = pb.constant(2.0)
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, z = x * x, x * x * x
    same(tape.gradient([y, z], x, output_gradients=[2.0, 3.0]), 44.0)
    with pytest.raises(ValueError, match="None"):
        tape.gradient([y, z], x, output_gradients=[None, 3.0])
    with pytest.raises(ValueError, match="2 targets"):
        tape.gradient([y, z], x, output_gradients=[1.0])
    with pytest.raises(pb.errors.InvalidArgumentError):
        tape.gradient(y, x, output_gradients=pb.constant([1.0, 2.0]))


def test_integers_have_no_gradient() -> None:
    x, v = pb.constant(3), pb.Variable(3)
    with pb.GradientTape() as tape:
        with pytest.warns(UserWarning, match=r"int32.*pb\.cast") as found:
            tape.watch(x)
        y = pb.cast(x, pb.float32) * pb.cast(v, pb.float32)
    assert found[0].filename.endswith("test_tape.py")
    assert tape.gradient(y, [x, v]) == [None, None]


@pytest.mark.parametrize("thing", [np.ones(3, np.float32), 1.0, "a", None])
def test_foreign_objects(thing: Any) -> None:
    x = pb.Variable(1.0)
    with pb.GradientTape(persistent=True) as tape:
        y = x * 2.0
        with pytest.raises(ValueError, match=r"pb\.constant.*test_tape\.py"):
            tape.watch(thing)
    with pytest.raises(TypeError):
        tape.gradient(thing, x)
    with pytest.raises(TypeError):
        tape.gradient(y, thing)


def test_state_stops_gradients_and_reads_add_up() -> None:
    x0, x1 = pb.Variable(3.0), pb.Variable(0.0)
    with pb.GradientTape() as tape:
        x1.assign_add(x0)
        y = x1**2
    g0, g1 = tape.gradient(y, [x0, x1])
    assert g0 is None
    same(g1, 6.0)
    v = pb.Variable(2.0)
    with pb.GradientTape() as tape:
        a = v * v
        v.assign(5.0)
        y = a + v * v
    same(tape.gradient(y, v), 14.0)


def test_nan_in_the_branch_not_taken_does_not_reach_the_other() -> None:
    x, bad = pb.constant([1.0, 4.0]), pb.constant([np.nan, np.nan])
    with pb.GradientTape() as tape:
        tape.watch([x, bad])
        y = pb.reduce_sum(pb.where([True, True], x * 3.0, bad))
    gx, gbad = tape.gradient(y, [x, bad])
    same(gx, [3.0, 3.0])
    same(gbad, [0.0, 0.0])


def test_exceptions_leave_the_thread_clean() -> None:
    x = pb.Variable(2.0)
    before = slow_mode.count
    tape = pb.GradientTape()

    def fails() -> None:
        with tape:
            kept.append(x * x)
            raise KeyError("x")

    kept: list[Any] = []
    with pytest.raises(KeyError):
        fails()
    assert not context.recorders
    assert slow_mode.count == before
    same(tape.gradient(kept[0], x), 4.0)


def test_other_threads_are_not_recorded() -> None:
    x = pb.Variable(2.0)
    seen: list[Any] = []
    with pb.GradientTape() as tape:
        worker = threading.Thread(target=lambda: seen.append(x * x))
        worker.start()
        worker.join()
        y = x * 3.0
    assert tape.gradient(seen[0] + y, x) is None  # the sum was made outside
    with pb.GradientTape() as tape:
        y = x * 3.0 + seen[0]
    same(tape.gradient(y, x), 3.0)


def test_records_are_freed() -> None:
    x = pb.Variable(np.ones(10, np.float32))
    with pb.GradientTape() as tape:
        middle = pb.exp(x)
        y = pb.reduce_sum(middle * middle)
    alive = weakref.ref(middle)
    del middle
    assert alive() is not None
    tape.gradient(y, x)
    gc.collect()
    assert alive() is None


def test_complex_gradient_is_conjugate() -> None:
    z = pb.Variable(1.0 + 2.0j, dtype=pb.complex64)
    with pb.GradientTape(persistent=True) as tape:
        y = z * z
        size = pb.abs(z) ** 2
        part = pb.math.real(z) * 3.0
    same(tape.gradient(y, z), np.complex64(2 - 4j))
    np.testing.assert_allclose(tape.gradient(size, z).numpy(), 2 + 4j, rtol=1e-6)
    same(tape.gradient(part, z), np.complex64(3))


def test_explain() -> None:
    x, u = pb.Variable(2.0), pb.constant(1.0)
    with pb.GradientTape(persistent=True) as tape:
        y = x * x
        a = pb.cast(y, pb.int32)
        b = pb.stop_gradient(y) * 2.0
        c = pb.constant(y.numpy()) * 2.0
    assert tape.explain(y, x).startswith("connected")
    assert "int32" in tape.explain(a, x)
    assert "stop_gradient at " in tape.explain(b, x)
    assert "a NumPy array at " in tape.explain(c, x)
    assert "test_tape.py:" in tape.explain(c, x)
    assert "never watched" in tape.explain(y, u)
    assert "never read" in tape.explain(y, pb.Variable(1.0))
    assert "trainable=False" in tape.explain(y, pb.Variable(1.0, trainable=False))
    assert "int32" in tape.explain(y, pb.Variable(1))


def test_explain_names_the_line_where_only_a_variables_value_was_taken() -> None:
    v, w = pb.Variable(3.0), pb.Variable(2.0)
    with pb.GradientTape(persistent=True) as tape:
        y = v.numpy() * w
    assert tape.gradient(y, v) is None
    assert tape.explain(y, v).startswith("None: the source variable was turned into a NumPy array at ")
    assert "test_tape.py:" in tape.explain(y, v)
    assert tape.explain(y, w).startswith("connected")
