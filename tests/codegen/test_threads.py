"""Kernels in pieces on several threads: the same bits for any number, errors, callers, fork, exit, limits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen import cores, threads
from pullback.codegen.compile import Executable, compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir.errors import InvalidArgumentError

from .compiled import Build, array, function

COUNTS = (1, 2, 3, 7)


@pytest.fixture(autouse=True)
def _default_afterwards() -> Iterator[None]:
    before = threads.chosen_threads()
    yield
    threads.set_threads(before)


def compiled(build: Build, *arrays: np.ndarray[Any, Any]) -> Executable:
    return compile_function(optimise(function(build, arrays)))


def with_counts(code: Executable, *arrays: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The results, after a look that they have the same bits for any number of threads."""
    first: list[np.ndarray[Any, Any]] = []
    for n in COUNTS:
        threads.set_threads(n)
        for _ in range(3):
            found = code.run(arrays)
            first = first or found
            assert [x.tobytes() for x in found] == [x.tobytes() for x in first], n
    return first


def cut(code: Executable) -> bool:
    return "@pb_parallel" in code.llvm


def _heavy(b: Any, x: Any) -> Any:
    return b.tanh(x) * b.exp(-(x * x)) + b.sin(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [100_000, 100_003, 262_144, 1_000_001])
def test_elementwise_and_sum(n: int, dtype: str) -> None:
    x = array((n,), dtype)

    def build(b: Any, x: Any) -> Any:
        y = _heavy(b, x)
        return y, b.reduce_sum(y, axes=(0,), keepdims=False)

    code = compiled(build, x)
    assert cut(code)
    y, total = with_counts(code, x)
    x8 = x.astype("float64")
    expected = np.tanh(x8) * np.exp(-x8 * x8) + np.sin(x8)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(total, expected.sum(), rtol=tolerance, atol=tolerance * n**0.5)


@pytest.mark.parametrize("shape", [(4000, 300), (3, 400_000), (400_000, 3), (100_001, 17), (60, 70, 300)])
@pytest.mark.parametrize("kind", ["reduce_sum", "reduce_max", "reduce_min", "reduce_prod"])
def test_reductions_over_any_axes(shape: tuple[int, ...], kind: str) -> None:
    x = array(shape, "float64")
    axes = [(0,), (1,), tuple(range(len(shape)))]

    def build(b: Any, x: Any) -> Any:
        y = 1.0 + 1e-3 * b.sin(x) if kind == "reduce_prod" else b.sin(x)
        return [getattr(b, kind)(y, axes=a, keepdims=False) for a in axes]

    code = compiled(build, x)
    assert cut(code)
    taken = {"reduce_sum": np.sum, "reduce_max": np.max, "reduce_min": np.min, "reduce_prod": np.prod}[kind]
    y = 1.0 + 1e-3 * np.sin(x) if kind == "reduce_prod" else np.sin(x)
    for found, a in zip(with_counts(code, x), axes, strict=True):
        np.testing.assert_allclose(found, taken(y, axis=a), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(4000, 300), (300_000, 5), (5, 300_001)])
def test_float32_sums_are_as_exact_as_before(shape: tuple[int, ...]) -> None:
    x = array(shape) + 1
    code = compiled(lambda b, x: [b.reduce_sum(b.exp(x), axes=a, keepdims=True) for a in ((0,), (1,), (0, 1))], x)
    assert cut(code)
    for found, a in zip(with_counts(code, x), (0, 1, (0, 1)), strict=True):
        expected = np.exp(x.astype("float64")).sum(axis=a, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=3e-6)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_and_bools(dtype: str) -> None:
    x = array((1_500_007,), dtype)

    def build(b: Any, x: Any) -> Any:
        big = x > 8
        return [b.reduce_sum(x * x, axes=(0,), keepdims=False), b.reduce_max(x, axes=(0,), keepdims=False),
                b.reduce_any(big, axes=(0,), keepdims=False), b.reduce_all(big, axes=(0,), keepdims=False), big]

    code = compiled(build, x)
    assert cut(code)
    found = with_counts(code, x)
    for got, expected in zip(found, [(x * x).sum(), x.max(), (x > 8).any(), (x > 8).all(), x > 8], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_nan_infinities_and_signs_of_zero() -> None:
    x = array((500_000,), "float64")
    x[[5, 250_000]] = -0.0, np.inf
    code = compiled(lambda b, x: [b.reduce_max(b.sqrt(b.abs(x)), axes=(0,), keepdims=False),
                                  b.reduce_sum(b.exp(-x) * 0.0 * -1.0, axes=(0,), keepdims=False)], x)
    assert cut(code)
    assert with_counts(code, x)[0] == np.inf
    x[400_000] = np.nan
    assert np.isnan(with_counts(code, x)[0])
    x[:] = 0
    assert not with_counts(code, x)[1].any()


def test_writes_into_slots_and_shifted_reads() -> None:
    x = array((300_000,))

    @pb.function
    def f(x: Any) -> Any:
        y = pb.tanh(x[:-2]) + pb.exp(-x[2:]) * pb.sin(x[1:-1])
        z = pb.tensor_scatter_nd_update(x, [[0]], [5.0])
        return pb.concat([y, z[::-1], pb.reverse(pb.sin(x), [0])], 0)

    first = None
    for n in COUNTS:
        threads.set_threads(n)
        found = f(pb.constant(x)).numpy().tobytes()
        first = first or found
        assert found == first


def test_in_place_updates_of_an_array_argument() -> None:
    @pb.function
    def f(A: Any) -> Any:
        A[:, 1:-1] = np.tanh(A[:, 1:-1]) * 0.5 + np.sin(A[:, 2:])
        return A.sum()

    results = []
    for n in COUNTS:
        threads.set_threads(n)
        A = array((400, 500), "float64")
        results.append((np.asarray(f(A)).tobytes(), A.tobytes()))
    assert len(set(results)) == 1
    A = array((400, 500), "float64")
    A[:, 1:-1] = np.tanh(A[:, 1:-1]) * 0.5 + np.sin(A[:, 2:])
    np.testing.assert_allclose(np.frombuffer(results[0][1]).reshape(400, 500), A, rtol=1e-12, atol=1e-14)


def test_gradients_and_scatters() -> None:
    table, index = array((50, 40)), np.arange(30_000, dtype="int32") % 50

    @pb.function
    def f(t: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(t)
            y = pb.reduce_sum(pb.tanh(pb.gather(t, index)) ** 2)
        return y, tape.gradient(y, t)

    results = []
    for n in COUNTS:
        threads.set_threads(n)
        results.append(b"".join(x.numpy().tobytes() for x in f(pb.constant(table))))
    assert len(set(results)) == 1


def test_small_kernels_are_not_cut() -> None:
    for n in (0, 1, 1000):
        assert not cut(compiled(lambda b, x: _heavy(b, x), array((n,))))


def test_a_bad_index_in_some_piece() -> None:
    table = array((1000,))
    index = np.zeros(400_000, "int32")
    code = compiled(lambda b, t, i: b.sin(b.gather(t, i, axis=0, batch_dims=0)), table, index)
    assert cut(code)
    with_counts(code, table, index)
    for at in (0, 200_003, 399_999):
        index[:] = 0
        index[at] = 1000
        for n in COUNTS:
            threads.set_threads(n)
            with pytest.raises(InvalidArgumentError):
                code.run([table, index])


def test_of_two_errors_the_same_one_is_reported() -> None:
    x, zero = np.ones(500_000, "int64"), np.ones(500_000, "int64")
    code = compiled(lambda b, x, d: [b.floordiv(x, d), b.mod(x, d)], x, zero)
    assert cut(code)
    zero[[3, 499_999]] = 0
    seen = set()
    for n in COUNTS:
        threads.set_threads(n)
        with pytest.raises(InvalidArgumentError) as e:
            code.run([x, zero])
        seen.add(str(e.value))
    assert len(seen) == 1


def test_several_callers_at_once() -> None:
    x = array((200_003,))
    code = compiled(lambda b, x: b.reduce_sum(_heavy(b, x), axes=(0,), keepdims=False), x)
    threads.set_threads(1)
    expected = code.run([x])[0].tobytes()
    threads.set_threads(3)
    wrong: list[bytes] = []

    def work() -> None:
        for _ in range(60):
            got = code.run([x])[0].tobytes()
            if got != expected:
                wrong.append(got)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for t in callers:
        t.start()
    for i in range(50):
        threads.set_threads(1 + i % 4)
    for t in callers:
        t.join()
    assert not wrong


def test_the_rounding_of_the_caller_holds_in_helpers() -> None:
    libm = pytest.importorskip("ctypes").CDLL(None)
    if not hasattr(libm, "fesetround") or os.uname().machine != "x86_64":
        pytest.skip("no fesetround")
    x = np.abs(array((400_000,), "float64"))
    code = compiled(lambda b, x: x / 3.0 + b.sqrt(b.abs(x)) / 7.0 + x * x * x * x / 11.0 + b.sqrt(x * x + 1.0), x)
    assert cut(code)
    up, nearest = 0x800, 0
    try:
        assert libm.fesetround(up) == 0
        raised = with_counts(code, x)[0]
    finally:
        libm.fesetround(nearest)
    plain = with_counts(code, x)[0]
    assert (raised >= plain).all()
    assert (raised > plain).any()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    x = array((200_003,))
    code = compiled(lambda b, x: b.reduce_sum(_heavy(b, x), axes=(0,), keepdims=False), x)
    threads.set_threads(3)
    expected = code.run([x])[0].tobytes()
    busy = threading.Thread(target=lambda: [code.run([x]) for _ in range(200)])
    busy.start()
    children = []
    for _ in range(5):
        pid = os.fork()
        if not pid:
            good = threads.helpers() == 0 and all(code.run([x])[0].tobytes() == expected for _ in range(5))
            os._exit(0 if good and threads.helpers() == 2 else 1)
        children.append(pid)
    busy.join()
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 5
    assert code.run([x])[0].tobytes() == expected


_PROGRAM = """
import os, numpy as np, pullback as pb
from pullback.codegen import threads
f = pb.function(lambda x: pb.reduce_sum(pb.tanh(x) * pb.exp(-x * x)))
x = pb.constant(np.ones(300000, 'f4'))
f(x); f(x)
print(threads.threads(), threads.helpers(), len(os.listdir('/proc/self/task')) if os.path.isdir('/proc') else 0)
"""


def run(**environment: str) -> list[int]:
    root = Path(pb.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1", "PULLBACK_CACHE": "0", **environment}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=env, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_no_thread_is_made_for_one() -> None:
    assert run(PULLBACK_NUM_THREADS="1") in ([1, 0, 1], [1, 0, 0])


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX threads")
def test_the_process_ends_with_a_living_pool() -> None:
    assert run(PULLBACK_NUM_THREADS="3")[:2] == [3, 2]


def test_the_environment_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLBACK_NUM_THREADS", "5")
    assert cores.default_threads() == 5
    for bad in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("PULLBACK_NUM_THREADS", bad)
        with pytest.raises(ValueError, match="PULLBACK_NUM_THREADS"):
            cores.default_threads()
    monkeypatch.delenv("PULLBACK_NUM_THREADS")
    monkeypatch.setenv("OMP_NUM_THREADS", "1,4")
    assert cores.default_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    monkeypatch.setattr(cores, "group_quota", lambda: 1.5)
    monkeypatch.setattr(cores, "affinity", lambda: 8)
    assert cores.default_threads() == 2


def test_quotas_of_control_groups(tmp_path: Path) -> None:
    own, root = tmp_path / "own", tmp_path / "groups"
    (root / "a" / "b").mkdir(parents=True)
    own.write_text("0::/a/b\n")
    assert cores.group_quota(root, own) is None
    (root / "a" / "b" / "cpu.max").write_text("max 100000\n")
    assert cores.group_quota(root, own) is None
    (root / "a" / "cpu.max").write_text("250000 100000\n")
    assert cores.group_quota(root, own) == 2.5
    own.write_text("4:cpu,cpuacct:/c\n3:memory:/\n")
    (root / "cpu" / "c").mkdir(parents=True)
    for name, text in (("quota", "50000"), ("period", "100000")):
        (root / "cpu" / "c" / f"cpu.cfs_{name}_us").write_text(text)
    assert cores.group_quota(root, own) == 0.5
    (root / "cpu" / "c" / "cpu.cfs_quota_us").write_text("-1")
    assert cores.group_quota(root, own) is None
    assert cores.group_quota(root, tmp_path / "missing") is None


def test_a_limit_of_threadpoolctl_holds_here_too() -> None:
    control = pytest.importorskip("threadpoolctl")
    if threads._blas_at_start < 2:
        pytest.skip("OpenBLAS began with one thread")
    threads.set_threads(2)
    with control.threadpool_limits(1):
        assert threads.threads() == 1
    assert threads.threads() == 2


@pytest.mark.parametrize("n", [5, 8, 20])
def test_factorisations_of_many_matrices(n: int) -> None:
    a = array((3001, n, n), "float64")
    a = a @ a.transpose(0, 2, 1) + n * np.eye(n)
    right = array((3001, n, 2), "float64")

    def build(b: Any, a: Any, r: Any) -> Any:
        return b.cholesky(a), b.lu_solve(*b.lu(a)[:2], r, adjoint=False)

    code = compiled(build, a, right)
    assert cut(code)
    lower, solved = with_counts(code, a, right)
    np.testing.assert_allclose(lower, np.linalg.cholesky(a), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(solved, np.linalg.solve(a, right), rtol=1e-8, atol=1e-10)
    a[2000] = 0
    for count in COUNTS:
        threads.set_threads(count)
        with pytest.raises(InvalidArgumentError):
            code.run([a, right])


@pytest.mark.parametrize("shapes", [((5003, 8, 8), (5003, 8, 8)), ((7, 1801, 8, 4), (7, 1801, 4, 8)),
                                    ((5003, 8, 8), (8, 8)), ((70, 81, 8, 8), (70, 1, 8, 8))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_many_matrices(shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str) -> None:
    left, right = (array(s, dtype, k) for k, s in enumerate(shapes))
    code = compiled(lambda b, x, y: b.matmul(x, y, transpose_a=False, transpose_b=False), left, right)
    assert cut(code) == (shapes[1] != (70, 1, 8, 8))  # a batch that is repeated inside is not even
    np.testing.assert_allclose(with_counts(code, left, right)[0], left @ right, rtol=2e-4, atol=1e-4)
