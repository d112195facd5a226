"""The pool of large results: what dies is given to the next, within a limit; arrays are right whoever holds them."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.codegen.layout import layout
from pullback.codegen.pool import pool
from pullback.codegen.pool_native import LEAST, SLOTS, STEP

pytestmark = pytest.mark.skipif(layout() is None, reason="no native entry here")
N = LEAST // 4
FILL = pb.function(lambda x: x * 2.0 + 1.0)


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    before = pool.limit
    FILL(large(0.0))
    gc.collect()
    pool.trim()
    yield
    pool.limit = before


def large(value: float, n: int = N) -> Any:
    return pb.constant(np.full(n, value, np.float32))


def address(t: Any) -> int:
    return int(t._data.__array_interface__["data"][0])


def test_a_result_takes_the_memory_of_one_that_died() -> None:
    x = large(3.0)
    for _ in range(3):
        FILL(x)
    first = FILL(x)
    where = address(first)
    del first
    held = pool.held
    assert held >= 4 * N
    second = FILL(x)
    assert address(second) == where
    assert pool.held == held - 4 * N
    assert where % 64 == 0
    np.testing.assert_array_equal(second, np.full(N, 7.0))


def test_small_results_are_numpys() -> None:
    x = large(3.0, 100)
    for _ in range(3):
        y = FILL(x)
    assert np._core.multiarray.get_handler_name(y._data) == "default_allocator"  # type: ignore[attr-defined]


@pytest.mark.parametrize("n", [512, 1000, 1024, 2000, 4096, 10_001])
def test_results_do_not_begin_shortly_behind_an_input(n: int) -> None:
    """Modulo 4 kB: a load there would wait for the store before it."""
    add = pb.function(lambda x, y: x + 2.0 * y)
    room = np.zeros(1 << 18, np.float32)
    for k in range(0, 2048, 37):
        x, y = (pb.constant(np.ones(n, np.float32)) for _ in range(2))
        x._data = room[k : k + n]
        x._data[:] = k
        z = add(x, y)
        if k > 100:  # by then calls are native
            assert all((address(z) - address(t) - 1) % 4096 >= STEP - 1 for t in (x, y))
            assert address(z) % 64 == 0
        np.testing.assert_array_equal(z, np.full(n, k + 2.0))


def test_medium_results_own_their_memory() -> None:
    x = large(3.0, 1000)
    for _ in range(3):
        y = FILL(x)
    a = y._data
    assert a.flags.owndata
    assert a.flags.writeable
    assert np._core.multiarray.get_handler_name(a) == "pullback"  # type: ignore[attr-defined]
    del y
    a.resize(3000)
    np.testing.assert_array_equal(a, np.repeat(np.float32([7, 0]), [1000, 2000]))


def test_what_somebody_still_holds_is_not_taken() -> None:
    x = large(3.0)
    kept = [FILL(x) for _ in range(5)]
    views = [t.numpy()[1:] for t in kept]
    del kept
    for value in (1.0, 2.0, 4.0):
        FILL(large(value))
    for v in views:
        np.testing.assert_array_equal(v, np.full(N - 1, 7.0))


def test_limit_and_number_of_blocks() -> None:
    x = large(1.0)
    many = [FILL(x) for _ in range(SLOTS + 8)]
    del many
    assert pool.blocks <= SLOTS
    pool.limit = 3 * 4 * N
    assert pool.held <= 3 * 4 * N
    more = [FILL(x) for _ in range(6)]
    del more
    assert 0 < pool.held <= 3 * 4 * N
    pool.limit = 0
    for _ in range(3):
        FILL(x)
    assert pool.held == pool.blocks == 0


def test_a_block_serves_sizes_a_little_smaller_only() -> None:
    with_room = FILL(large(1.0, 2 * N))
    del with_room
    held = pool.held
    FILL(large(1.0, N))  # half of it would be wasted
    assert pool.held == held + 4 * N


def test_arrays_can_be_resized_and_copied_by_numpy() -> None:
    a = FILL(large(3.0)).numpy()
    a = np.array(a)
    b = pool.empty((N,), np.dtype(np.float32))
    b[:] = 5.0
    b.resize(3 * N)
    np.testing.assert_array_equal(b, np.repeat(np.float32([5, 0]), [N, 2 * N]))
    b.resize(10)
    np.testing.assert_array_equal(b, np.full(10, 5.0))
    assert a[0] == 7.0


def test_variables_and_gradients_with_large_arrays() -> None:
    v = pb.Variable(np.ones(N, np.float32))

    @pb.function
    def step(x: Any) -> Any:
        with pb.GradientTape() as tape:
            y = pb.reduce_sum(v * v * x)
        v.assign_sub(0.25 * tape.gradient(y, v))

    for _ in range(4):
        step(large(1.0))
    np.testing.assert_array_equal(v, np.full(N, 0.0625))
    with pb.GradientTape() as tape:
        y = pb.reduce_sum(FILL(v))
    np.testing.assert_array_equal(tape.gradient(y, v), np.full(N, 2.0))


def test_threads() -> None:
    wrong: list[int] = []

    def work(k: int) -> None:
        x = large(float(k))
        for _ in range(40):
            if FILL(x).numpy()[[0, -1]].tolist() != [2.0 * k + 1] * 2:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_arrays_may_outlive_the_interpreters_modules() -> None:
    code = (
        "import numpy as np, pullback as pb\n"
        "f = pb.function(lambda x: x * 2.0)\n"
        "x = pb.constant(np.ones(1 << 19, np.float32))\n"
        "class Late:\n"
        "    def __del__(self): self.array = None\n"
        "late = Late(); late.array = [f(x) for _ in range(4)][-1].numpy(); late.me = late\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_figures() -> None:
    x = large(1.0)
    for _ in range(3):
        FILL(x)
    info = pb.config.memory.info()
    assert info["pool"] == pool.held > 0
    assert info["pool_limit"] == pool.limit
    assert info["arena"] >= 0
    pb.config.memory.trim()
    assert pb.config.memory.info()["pool"] == 0
    pb.config.memory.set_pool_limit(LEAST)
    assert pool.limit == LEAST
    with pytest.raises(ValueError, match="bytes"):
        pb.config.memory.set_pool_limit(-1)
