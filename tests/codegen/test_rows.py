"""Kernels that run together over blocks of rows: same bits as one after the other, NumPy's results, and when not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen import rows, threads
from pullback.codegen.compile import Executable, compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir.errors import InvalidArgumentError

from .compiled import Array, Build, array, check, function

NEVER = 1 << 62


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Joins small arrays, too, a few rows at a time."""
    monkeypatch.setattr(rows, "LEAST", 0)
    monkeypatch.setattr(rows, "BLOCK", 600)
    before = threads.chosen_threads()
    yield
    threads.set_threads(before)


def compiled(build: Build, *arrays: Array) -> Executable:
    return compile_function(optimise(function(build, arrays)))


def joined(exe: Executable) -> bool:
    return "in blocks of" in exe.kernels


def softmax(b: Any, x: Any, axis: int = -1) -> Any:
    axis %= len(b.shape(x))
    e = b.exp(x - b.reduce_max(x, axes=(axis,), keepdims=True))
    return e / b.reduce_sum(e, axes=(axis,), keepdims=True)


def centred(b: Any, x: Any) -> Any:
    """Each row less its mean, over its spread."""
    n = b.shape(x)[-1]
    y = x - b.reduce_sum(x, axes=(1,), keepdims=True) / float(n)
    return y / b.sqrt(b.reduce_sum(y * y, axes=(1,), keepdims=True) / float(n) + 1e-5)


PROGRAMS: dict[str, Build] = {
    "softmax": softmax,
    "centred": centred,
    "softmax of softmax": lambda b, x: softmax(b, softmax(b, x)),
    "a row's number is a result, too": lambda b, x: (softmax(b, x), b.reduce_max(x, axes=(1,), keepdims=False)),
    "what is between is a result": lambda b, x: (b.exp(x), softmax(b, b.exp(x))),
    "turned at the end": lambda b, x: b.transpose(softmax(b, x), perm=(1, 0)),
    "two heads": lambda b, x: [softmax(b, x), centred(b, x)],
}


@pytest.mark.parametrize("shape", [(40, 30), (41, 16), (33, 1), (7, 200), (100, 3), (2, 5), (1, 40), (40, 1000)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_same_bits_as_one_after_the_other(
    name: str, dtype: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, build = array(shape, dtype), PROGRAMS[name]
    together = compiled(build, x).run([x])
    monkeypatch.setattr(rows, "LEAST", NEVER)
    apart = compiled(build, x)
    assert not joined(apart)
    assert [y.tobytes() for y in together] == [y.tobytes() for y in apart.run([x])]


@pytest.mark.parametrize("shape", [(300, 20), (257, 33), (64, 100)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_the_rows_go_on_from_block_to_block(shape: tuple[int, int], dtype: str) -> None:
    x = array(shape, dtype)

    def build(b: Any, x: Any) -> Any:
        y = softmax(b, x)
        z = y * x
        return [
            y, b.reduce_sum(z, axes=(0, 1), keepdims=False), b.reduce_sum(z, axes=(0,), keepdims=False),
            b.reduce_max(b.reduce_sum(z, axes=(1,), keepdims=False), axes=(0,), keepdims=False),
            b.reduce_prod(b.reduce_sum(y, axes=(1,), keepdims=True), axes=(0, 1), keepdims=True),
        ]  # fmt: skip

    exe = compiled(build, x)
    assert joined(exe)
    e = np.exp(x.astype("f8") - x.astype("f8").max(1, keepdims=True))
    y = e / e.sum(1, keepdims=True)
    z = y * x
    want = [y, z.sum(), z.sum(0), z.sum(1).max(), y.sum(1).prod().reshape(1, 1)]
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for got, right in zip(exe.run([x]), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["reduce_any", "reduce_all", "reduce_min", "reduce_max", "reduce_prod", "reduce_sum"])
@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32"])
def test_every_reduction_over_rows(kind: str, dtype: str) -> None:
    if (kind in ("reduce_any", "reduce_all")) != (dtype == "bool"):
        return
    x = array((50, 40), dtype)

    def build(b: Any, x: Any) -> Any:
        least = getattr(b, "reduce_all" if dtype == "bool" else "reduce_min")(x, axes=(1,), keepdims=True)
        y = b.logical_or(x, least) if dtype == "bool" else b.minimum(x - least, 2) + 1
        return y, getattr(b, kind)(y, axes=(0,), keepdims=False)

    assert joined(check(build, x, tolerance=1e-6))


def test_a_float32_sum_over_many_rows_is_exact() -> None:
    """Blocks are added in f64; a sum in f32 throughout would be wrong in its fourth digit."""
    x = np.full((20_000, 8), 1e-4, "f")
    x[0] = 1000.0

    def build(b: Any, x: Any) -> Any:
        y = x - 0.0 * b.reduce_max(x, axes=(1,), keepdims=True)
        return y, b.reduce_sum(y, axes=(0,), keepdims=False)

    exe = compiled(build, x)
    assert joined(exe)
    np.testing.assert_allclose(exe.run([x])[1], x.astype("f8").sum(0), rtol=3e-7)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_same_bits_for_any_number_of_threads(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = array((9001, 60))

    def build(b: Any, x: Any) -> Any:
        y = softmax(b, x)
        return y, b.reduce_sum(y * x, axes=(0,), keepdims=False), b.reduce_sum(y * y, axes=(0, 1), keepdims=False)

    exe = compiled(build, x)
    assert joined(exe)
    assert "pieces of" in exe.kernels
    threads.set_threads(1)
    want = exe.run([x])
    threads.set_threads(n)
    for _ in range(5):
        assert [y.tobytes() for y in exe.run([x])] == [y.tobytes() for y in want]


def test_several_callers_at_once() -> None:
    arrays = [array((3000, 50), seed=k) for k in range(4)]
    exe = compiled(softmax, arrays[0])
    want = [exe.run([x])[0].tobytes() for x in arrays]
    wrong: list[int] = []

    def call(k: int) -> None:
        wrong.extend(k for _ in range(50) if exe.run([arrays[k]])[0].tobytes() != want[k])

    callers = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert not wrong


def test_what_only_they_need_takes_no_memory_of_the_function() -> None:
    assert compiled(softmax, array((400, 50))).scratch_bytes == 0


def test_kernels_that_need_other_rows_stay_apart() -> None:
    for build in (
        lambda b, x: softmax(b, b.transpose(softmax(b, x), perm=(1, 0))),       # columns of what was made
        lambda b, x: (y := softmax(b, x)) - b.reduce_max(y, axes=(0,), keepdims=True),  # complete after the last row
        lambda b, x: softmax(b, b.reverse(softmax(b, x), axes=(0,))),
    ):
        x = array((48, 48))
        exe = check(build, x, tolerance=1e-6)
        assert exe.kernels.count("in blocks of") == 1 + ("reverse" in str(exe.fn) or "transpose" in str(exe.fn))


def test_what_stands_between_and_is_not_needed_comes_before() -> None:
    def build(b: Any, x: Any, y: Any) -> Any:
        top = b.reduce_max(x, axes=(1,), keepdims=True)
        other = b.reduce_sum(y, axes=(0,), keepdims=False)
        e = b.exp(x - top)
        return e / b.reduce_sum(e, axes=(1,), keepdims=True), other * other

    assert joined(check(build, array((40, 30)), array((17,)), tolerance=1e-6))


def test_an_index_out_of_range_is_an_error_with_its_line() -> None:
    @pb.function
    def f(x: Any, k: Any) -> Any:
        y = pb.nn.softmax(x)
        return pb.nn.softmax(y * pb.gather(y, k, axis=1, batch_dims=1)[:, None])

    x, k = array((400, 30)), np.arange(400, dtype=np.int32) % 30
    y = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    z = np.exp(y * np.take_along_axis(y, k[:, None], 1))
    np.testing.assert_allclose(f(x, k).numpy(), z / z.sum(1, keepdims=True), rtol=1e-5)
    k[250] = 30
    with pytest.raises(InvalidArgumentError, match=r"test_rows\.py"):
        f(x, k)
    k[250] = 0
    assert np.isfinite(f(x, k).numpy()).all()


def test_in_loops_and_with_names_for_sizes() -> None:
    @pb.function
    def f(x: Any) -> Any:
        for _ in range(5):
            x = pb.nn.softmax(x * 2.0)
        return x

    for n in (30, 41, 50, 77):
        x = array((n, 20), seed=n)
        want = x.astype("f8")
        for _ in range(5):
            e = np.exp(2 * want)
            want = e / e.sum(1, keepdims=True)
        np.testing.assert_allclose(f(x).numpy(), want, rtol=2e-5)
    assert f.trace_count <= 2


@pytest.mark.parametrize("loss", ["layer norm", "cross-entropy", "log-sum-exp"])
def test_gradients_against_finite_differences(loss: str) -> None:
    rng = np.random.default_rng(0)
    x, w, labels = rng.normal(size=(30, 12)), rng.normal(size=12), rng.integers(0, 12, 30)

    def value(x: Any, w: Any) -> Any:
        if loss == "layer norm":
            mean = pb.reduce_mean(x, axis=1, keepdims=True)
            spread = pb.reduce_mean((x - mean) ** 2, axis=1, keepdims=True)
            return pb.reduce_sum(pb.sin((x - mean) * pb.math.rsqrt(spread + 1e-5) * w))
        if loss == "cross-entropy":
            return pb.reduce_mean(pb.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x * w))
        return pb.reduce_sum(pb.reduce_logsumexp(x * w, axis=1) ** 2)

    @pb.function
    def gradient(x: Any, w: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch([x, w])
            y = value(x, w)
        return tape.gradient(y, [x, w])

    got = [g.numpy() for g in gradient(pb.constant(x), pb.constant(w))]
    for k, a in enumerate((x, w)):
        direction, h = rng.normal(size=a.shape), 1e-6
        ends = [value(*[pb.constant(v + s * h * direction * (j == k)) for j, v in enumerate((x, w))]).numpy()
                for s in (1, -1)]  # fmt: skip
        np.testing.assert_allclose((got[k] * direction).sum(), (ends[0] - ends[1]) / (2 * h), rtol=2e-6)


def test_random_programs() -> None:
    """Chains of row sums, column sums and elementwise ops with what came before, against the interpreter."""
    unary = ("exp", "sin", "tanh", "neg")
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shape = tuple(int(n) for n in rng.integers(1, 40, rng.integers(2, 4)))
        plan = rng.integers(0, 1000, (int(rng.integers(3, 9)), 3))

        def build(b: Any, x: Any, plan: Any = plan, shape: Any = shape) -> Any:
            values, out = [x], []
            for op, i, j in plan:
                u, v = values[i % len(values)], values[j % len(values)]
                if op % 4 == 0:
                    axes = (1 + int(j) % (len(shape) - 1),)
                    kind = ("reduce_sum", "reduce_max")[int(i) % 2]
                    values.append(u - getattr(b, kind)(b.tanh(v), axes=axes, keepdims=True) * 0.1)
                elif op % 4 == 1:
                    values.append(getattr(b, unary[int(i) % 4])(b.tanh(v)))
                elif op % 4 == 2:
                    values.append(u * 0.5 + b.sin(v))
                else:
                    out.append(b.reduce_sum(b.tanh(u), axes=(0,), keepdims=bool(j % 2)))
                    values.append(b.tanh(u) + out[-1] * 0.01)
            return [values[-1], *out]

        check(build, array(shape, "float64", seed), tolerance=1e-12)


def test_both_sizes_vary() -> None:
    """Rows of a length with a name: one code for all, the bits of code for one size."""
    def f(x: Any, w: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.nn.softmax(x + w)
            z = pb.reduce_sum(y * pb.reduce_logsumexp(x, axis=1, keepdims=True))
        return y, tape.gradient(z, x)

    many = pb.function(f)
    for n, d in ((40, 30), (50, 17), (33, 64), (300, 5), (7, 1000), (64, 2), (2, 33)):
        x, w = array((n, d), seed=d), array((d,), seed=n)
        for got, want in zip(many(x, w), pb.function(f)(x, w), strict=True):
            np.testing.assert_array_equal(got.numpy(), want.numpy())
    assert many.trace_count <= 2


def test_long_rows_of_a_named_length_stay_off_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST", 4000)
    f = pb.function(lambda x: pb.nn.softmax(x))
    for n, d in ((40, 30), (50, 17), (20, 100_003), (20, 100_005), (44, 31)):
        x = array((n, d), seed=d)
        e = np.exp(x.astype("f8") - x.max(1, keepdims=True))
        np.testing.assert_allclose(f(x).numpy(), e / e.sum(1, keepdims=True), rtol=2e-5)


@pytest.mark.parametrize(("d", "steps"), [(1024, 1), (1025, 2)])
def test_sums_over_rows_that_leave_too_much_for_several_threads_stay_apart(d: int, steps: int) -> None:
    x = array((200, d), "float64")

    def build(b: Any, x: Any) -> Any:
        y = softmax(b, x)
        return y, b.reduce_sum(b.sin(y), axes=(0,), keepdims=False)

    exe = compiled(build, x)
    assert joined(exe)
    assert exe.kernels.startswith(f"@f: {steps} steps")
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(exe.run([x])[1], np.sin(e / e.sum(1, keepdims=True)).sum(0), rtol=1e-12)


def test_sharing_a_bias_alone_joins_nothing() -> None:
    def build(b: Any, x: Any, y: Any, w: Any) -> Any:
        return [b.reduce_max(b.sin(v + w), axes=(1,), keepdims=False) for v in (x, y)]

    assert not joined(check(build, array((40, 30)), array((40, 30), seed=1), array((30,)), tolerance=1e-6))
