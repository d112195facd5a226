"""Several threads in one function, interrupts, and memory that is given back."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import pullback as pb


def in_threads(n: int, work: Any) -> list[Any]:
    start = threading.Barrier(n)
    results: list[Any] = [None] * n

    def run(i: int) -> None:
        start.wait()
        try:
            results[i] = work(i)
        except BaseException as e:
            results[i] = e

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=60)
    assert not any(t.is_alive() for t in threads)
    return results


def test_first_call_in_many_threads_traces_once() -> None:
    f = pb.function(lambda x: pb.reduce_sum(pb.sin(x) * x))
    x = np.linspace(0, 1, 1000)
    out = in_threads(6, lambda i: float(f(pb.constant(x))))
    np.testing.assert_allclose(out, np.sum(np.sin(x) * x), rtol=1e-12)
    assert f.trace_count == 1


def test_calls_tapes_and_traces_side_by_side() -> None:
    f = pb.function(lambda x, k: pb.reduce_sum(x * x) * float(k))

    def work(i: int) -> list[float]:
        out = []
        for n in range(1, 25):
            x = pb.ones([n % 5 + 1])
            if i % 3 == 0:
                out.append(float(f(x, i)))
            elif i % 3 == 1:
                with pb.GradientTape() as t:
                    t.watch(x)
                    y = f(x, i)
                out.append(float(pb.reduce_sum(t.gradient(y, x))))
            else:
                out.append(float(pb.function(lambda x: f(x, i) + 1.0)(x)))
        return out

    for i, got in enumerate(in_threads(6, work)):
        size = [n % 5 + 1 for n in range(1, 25)]
        expected = (
            [s * i for s in size]
            if i % 3 == 0
            else [2 * s * i for s in size]
            if i % 3 == 1
            else [s * i + 1 for s in size]
        )
        assert got == [float(e) for e in expected], got


def test_functions_that_call_each_other_do_not_lock_up() -> None:
    def make() -> tuple[Any, Any]:
        @pb.function
        def f(x: Any, n: int) -> Any:
            return x if n == 0 else g(x * 2.0, n - 1)

        @pb.function
        def g(x: Any, n: int) -> Any:
            return x if n == 0 else f(x + 1.0, n - 1)

        return f, g

    f, g = make()
    x = pb.constant(1.0)
    out = in_threads(2, lambda i: float((f, g)[i](x, 4)))
    assert out == [7.0, 10.0]


def test_errors_in_one_thread_do_not_disturb_another() -> None:
    @pb.function
    def f(x: Any, bad: bool) -> Any:
        if bad:
            raise ValueError("bad")
        return x + 1.0

    def work(i: int) -> Any:
        out = []
        for _ in range(10):
            try:
                out.append(float(f(pb.constant(1.0), i % 2 == 1)))
            except ValueError:
                out.append(-1.0)
        return out

    assert in_threads(4, work) == [[2.0] * 10, [-1.0] * 10] * 2


def test_dropped_function_frees_what_it_captured() -> None:
    big = pb.constant(np.ones(1000))
    v = pb.Variable(np.ones(1000))
    f = pb.function(lambda x: pb.reduce_sum(big * v) * x)  # noqa: F821
    with pb.GradientTape() as t:
        t.watch(big)
        y = f(pb.constant(2.0, pb.float64))
    assert float(t.gradient(y, big)[0]) == 2.0
    f(pb.constant(2.0, pb.float64))
    refs = [weakref.ref(o) for o in (f, big, v, f._concretes[0])]
    del f, big, v, t, y
    gc.collect()
    assert [r() for r in refs] == [None] * 4


def test_a_function_dies_without_the_collector() -> None:
    """Native code must not wait for a collection that may come late."""
    f = pb.function(lambda x: x * 2.0)
    for n in (1, 2, 3):
        f(pb.ones([n]))
    library = weakref.ref(f._concretes[0].plain.op._executables[()].code.library)
    gc.collect()
    gc.disable()
    try:
        del f
        assert library() is None
    finally:
        gc.enable()


def run_python(code: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=timeout
    )


def test_thousand_dropped_functions_leave_the_process_as_it_was() -> None:
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("reads the process size from /proc")
    done = run_python("""
        import gc, os, numpy as np, pullback as pb
        def size():
            gc.collect()
            return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        x = pb.constant(np.ones(100, np.float32))
        def once(i):
            big = pb.constant(np.ones(10_000, np.float32))
            f = pb.function(lambda x: x * float(i) + big[0])
            f(x); f(x)
        for i in range(200): once(i)
        before = size()
        for i in range(1000): once(i)
        print(size() - before)
    """)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 8.0, done.stdout  # megabytes; the captured arrays alone would be 40


def test_interrupt_leaves_a_usable_process() -> None:
    done = run_python("""
        import os, signal, threading, time
        import numpy as np, pullback as pb
        def interrupt_soon(delay):
            threading.Timer(delay, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        def body(x):
            for _ in range(200_000):
                x = x * 1.0001
            return x
        f = pb.function(body)
        interrupt_soon(0.3)
        try:
            f(pb.constant(1.0)); print("not interrupted")
        except KeyboardInterrupt:
            print("trace interrupted", pb.executing_eagerly())
        g = pb.function(lambda x: x + 1.0)
        big = pb.constant(np.ones(3_000_000, np.float32))
        h = pb.function(lambda x: pb.reduce_sum(pb.sin(pb.exp(pb.tanh(x)))))
        h(big)
        interrupt_soon(0.2)
        try:
            while True: h(big)
        except KeyboardInterrupt:
            print("call interrupted")
        print(float(g(pb.constant(1.0))), np.isfinite(float(h(big))))
        with pb.GradientTape() as t:
            x = pb.constant(2.0); t.watch(x); y = g(x)
        print(float(t.gradient(y, x)))
    """)
    lines = done.stdout.splitlines()
    assert lines == ["trace interrupted True", "call interrupted", "2.0 True", "1.0"], (
        done.stdout,
        done.stderr[-2000:],
    )


def test_a_variable_is_never_read_half_assigned() -> None:
    v = pb.Variable(np.zeros(100_000, np.float32))

    @pb.function
    def step() -> None:
        v.assign(v + 1.0)

    step()
    done = threading.Event()

    def work(i: int) -> int:
        if i:
            torn = 0
            while not done.is_set():
                a = v.numpy()
                torn += bool(a.min() != a.max())
            return torn
        for _ in range(300):
            step()
        done.set()
        return 0

    assert in_threads(3, work) == [0, 0, 0]
    assert float(v[0]) == 301.0
