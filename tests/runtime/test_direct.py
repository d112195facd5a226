"""The short ways of eager ops, their records and their reverse rules, against the general ways: `runtime/direct.py`
and `runtime/pull.py`. Each test takes operands that some guard of theirs must send the general way, or must not."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir import quiet
from pullback.ir.elementwise import Elementwise
from pullback.ir.opdef import table
from pullback.runtime import backward, elementwise
from pullback.runtime.pull import RULES

BINARY: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "add": (lambda x, y: x + y, np.add), "sub": (lambda x, y: x - y, np.subtract),
    "mul": (lambda x, y: x * y, np.multiply), "div": (lambda x, y: x / y, np.divide),
    "pow": (lambda x, y: x**y, np.power), "lt": (lambda x, y: x < y, np.less),
    "ge": (lambda x, y: x >= y, np.greater_equal),
}  # fmt: skip
SHAPES = [((), ()), ((100,), (100,)), ((3, 1), (1, 4)), ((4,), ()), ((0,), (0,)), ((2, 0, 3), (3,)), ((2, 3), (1, 3))]
SIMPLE = sorted(op.name for op in RULES)


def _data(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 2, shape).astype(dtype)


def _general(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing goes the short way in a sweep."""
    monkeypatch.setattr(backward, "RULES", {})


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bfloat16"])
@pytest.mark.parametrize("name", BINARY)
def test_binary_values_are_those_of_numpy(name: str, dtype: str, shapes: Any) -> None:
    if name == "div" and dtype == "int32":
        return  # a division of integers is one of floats
    np_dtype = pb.as_dtype(dtype).np
    a, c = _data(shapes[0], np_dtype), _data(shapes[1], np_dtype, 1)
    ours, theirs = BINARY[name]
    want = np.asarray(theirs(a, c))
    for _ in range(2):  # the first one may ask the type rule
        found = ours(pb.constant(a), pb.constant(c))
        assert type(found) is pb.Tensor
        assert found._data.dtype == want.dtype
        assert found._data.flags.c_contiguous
        np.testing.assert_array_equal(found.numpy(), want)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", SIMPLE)
def test_gradients_are_those_of_the_general_way(
    name: str, dtype: Any, shapes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    op = next(op for op in table() if op.name == name)
    assert isinstance(op, Elementwise)
    scale = 0.4 if name in ("asin", "acos", "atanh", "erfinv") else 1.0
    xs = [pb.constant(scale * _data(s, dtype, i)) for i, s in enumerate(shapes[: op.arity])]

    def gradients() -> list[Any]:
        with pb.GradientTape() as tape:
            tape.watch(xs)
            y = elementwise.unary(op, *xs) if op.arity == 1 else elementwise.binary(op, *xs)
            y = y * y + y
        return [None if g is None else g.numpy() for g in tape.gradient(y, xs)]

    found = gradients()
    _general(monkeypatch)
    for g, want in zip(found, gradients(), strict=True):
        if want is None:
            assert g is None
            continue
        assert g.dtype == want.dtype
        assert g.shape == want.shape
        np.testing.assert_array_equal(g, want)


@pytest.mark.parametrize("number", [2, 2.5, -3, 2**60, True, np.float32(1.5), np.float64(1.5), 1e30])
def test_numbers_take_the_dtype_of_the_tensor(number: Any) -> None:
    for dtype in (np.float32, np.float64):
        x = pb.constant(_data((5,), dtype))
        n = np.array(number).astype(dtype)
        with pb.GradientTape() as tape:
            tape.watch(x)
            y, z = x * number, number - x
        np.testing.assert_array_equal(y.numpy(), x.numpy() * n)
        np.testing.assert_array_equal(z.numpy(), n - x.numpy())
        np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.full(5, n))


def test_errors_are_those_of_the_type_rule() -> None:
    x, y = pb.constant([1.0, 2.0]), pb.constant([1.0, 2.0, 3.0])
    x + x
    with pytest.raises(pb.errors.InvalidArgumentError, match=r"\[test_direct\.py:\d+\]"):
        x + y
    with pytest.raises(TypeError, match=r"pb\.cast"):
        x + pb.constant([1.0, 2.0], pb.float64)
    with pytest.raises(TypeError):
        pb.constant([True]) + pb.constant([True])
    with pytest.raises(TypeError):
        pb.sin(pb.constant([1]))
    with pytest.raises(pb.errors.InvalidArgumentError, match="negative integer powers"):
        pb.constant([2]) ** pb.constant([-1])


def test_numpy_says_nothing_and_keeps_its_own_state() -> None:
    x = pb.constant([1.0, 0.0])
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert np.isinf((x / pb.constant([0.0, 1.0])).numpy()[0])
        assert np.isnan(pb.log(-x).numpy()[0])
        assert np.isinf((x * 3e38 * 10.0).numpy()[0])
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.log(x)
        assert np.isinf(tape.gradient(y, x).numpy()[1])
        assert set(np.geterr().values()) == {"raise"}


def test_the_quiet_context_in_use_sends_ops_the_long_way() -> None:
    x = pb.constant([1.0, 2.0])
    found: list[Any] = []
    quiet.aside(lambda: found.append((x + x, pb.sin(x), x / 0.0)))
    np.testing.assert_array_equal(found[0][0].numpy(), [2, 4])
    np.testing.assert_array_equal(found[0][1].numpy(), np.sin(x.numpy()))
    assert np.isinf(found[0][2].numpy()).all()


def test_threads_do_not_disturb_each_other() -> None:
    data = _data((20000,), np.float32)
    wrong: list[str] = []

    def work(seed: int) -> None:
        x = pb.constant(data + seed)
        for _ in range(60):
            with pb.GradientTape() as tape:
                tape.watch(x)
                y = pb.sin(x) * x + x
            want = np.cos(x.numpy()) * x.numpy() + np.sin(x.numpy()) + 1
            if not np.allclose(tape.gradient(y, x).numpy(), want, rtol=1e-4, atol=1e-4):
                wrong.append(f"thread {seed}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_tape_of_another_thread_records_nothing_here() -> None:
    x = pb.constant([3.0])
    ready, done = threading.Event(), threading.Event()
    counts: list[int] = []

    def other() -> None:
        with pb.GradientTape() as tape:
            tape.watch(x)
            ready.set()
            done.wait(10)
            counts.append(len(tape._records or []))

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait(10)
    assert (x * x).numpy() == 9
    done.set()
    thread.join()
    assert counts == [0]


def test_nested_tapes_see_every_op() -> None:
    x = pb.constant([0.3, 1.2])
    with pb.GradientTape() as outer:
        outer.watch(x)
        with pb.GradientTape() as inner:
            inner.watch(x)
            y = pb.sin(x) * x
        first = inner.gradient(y, x)
    second = outer.gradient(first, x)
    a = x.numpy()
    np.testing.assert_allclose(first.numpy(), np.cos(a) * a + np.sin(a), rtol=1e-6)
    np.testing.assert_allclose(second.numpy(), 2 * np.cos(a) - np.sin(a) * a, rtol=1e-5)


def test_accumulators_see_every_op() -> None:
    x = pb.constant([0.3, 1.2])
    with pb.GradientTape() as tape, pb.autodiff.ForwardAccumulator(x, pb.ones_like(x)) as acc:
        tape.watch(x)
        y = pb.sin(x) * 2.0 + x * x
    a = x.numpy()
    np.testing.assert_allclose(acc.jvp(y).numpy(), 2 * np.cos(a) + 2 * a, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), 2 * np.cos(a) + 2 * a, rtol=1e-6)


def test_variables_arrays_and_symbols_go_the_general_way() -> None:
    v, x = pb.Variable([1.0, 2.0]), pb.constant([3.0, 4.0])
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = v * x + x * v
    gv, gx = tape.gradient(y, [v, x])
    np.testing.assert_array_equal(gv.numpy(), [6, 8])
    np.testing.assert_array_equal(gx.numpy(), [2, 4])
    a = pb.array([1, 2])
    assert type(a * x) is pb.Tensor
    assert (a * 0.5).dtype == pb.float64
    traced = pb.function(lambda t: t * x + 2 * x)
    np.testing.assert_array_equal(traced(x).numpy(), x.numpy() ** 2 + 2 * x.numpy())


def test_where_masks_pass_simple_ops() -> None:
    x = pb.constant([0.0, 2.0])
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = pb.where(x > 0.0, pb.sqrt(x) / x + x * x, 0.0)
    g = tape.gradient(y, x).numpy()
    np.testing.assert_allclose(g, [0, -0.5 * 2**-1.5 + 4], rtol=1e-6)


def test_complex_cotangents_go_the_general_way() -> None:
    z = pb.constant([1 + 2j, 3 - 1j])
    with pb.GradientTape() as tape:
        tape.watch(z)
        y = pb.math.real(z * z)
    np.testing.assert_allclose(tape.gradient(y, z).numpy(), np.conj(2 * z.numpy()))


def test_what_integers_and_comparisons_cut_is_explained() -> None:
    x = pb.constant([1.0, 2.0])
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = pb.cast(x > 1.0, pb.float32)
    assert tape.gradient(y, x) is None
    assert "gt" in tape.explain(y, x)
    assert "test_direct.py" in tape.explain(y, x)


def test_sources_and_what_else_is_watched() -> None:
    """All records lie on the way only where every root is a source."""
    x, w, c = pb.constant([2.0]), pb.constant([5.0]), pb.constant([7.0])
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        tape.watch(w)
        a = x * w
        y = a * c + w
    assert [g.numpy() for g in tape.gradient(y, [x, w])] == [35, 15]
    assert tape.gradient(y, x).numpy() == 35
    assert tape.gradient(y, w).numpy() == 15
    assert [g.numpy() for g in tape.gradient(y, [x, a, w])] == [35, 7, 15]
    assert tape.gradient(y, a).numpy() == 7
    assert tape.gradient(a, y) is None
    assert tape.gradient(c, [x, w]) == [None, None]
    zeros = tape.gradient(c, [x, w], unconnected_gradients="zero")
    assert [z.numpy() for z in zeros] == [0, 0]


def test_a_tape_that_was_written_to_goes_the_general_way() -> None:
    x = pb.constant([1.0, 2.0]) + 0.0
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        x[0] = 5.0
        z = y + x * 3.0
    np.testing.assert_array_equal(tape.gradient(z, x).numpy(), [2, 7])


def test_running_cotangents_are_never_those_of_somebody_else() -> None:
    """Large arrays are added to in place, but not the seed, a source's cotangent, or one that went on to two places."""
    data = _data((1000,), np.float64)
    x, seed = pb.constant(data), pb.constant(np.ones(1000))
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        a = x * 1.0
        y = a + a + a + a
        z = y + x + a + y
    for _ in range(2):
        gz, ga, gy = tape.gradient(z, [x, a, y], output_gradients=seed)
        np.testing.assert_array_equal(gz.numpy(), np.full(1000, 10.0))
        np.testing.assert_array_equal(ga.numpy(), np.full(1000, 9.0))
        np.testing.assert_array_equal(gy.numpy(), np.full(1000, 2.0))
        np.testing.assert_array_equal(seed.numpy(), np.ones(1000))


def test_attributes_that_tensors_do_not_have() -> None:
    x = pb.constant([1.0, 2.0])
    with pytest.raises(AttributeError, match=r"for t\.sum write pb\.reduce_sum"):
        x.sum()
    with pytest.raises(AttributeError, match="undefined when eager"):
        _ = x.name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = x.nothing
    assert not hasattr(x, "T")
    assert not hasattr(pb.Tensor, "T")
    assert {"T", "shape"} & set(dir(x)) == {"shape"}
    assert pb.function(lambda t: t.sum())(x).numpy() == 3
    assert "sum" in dir(pb.array([1.0]))
