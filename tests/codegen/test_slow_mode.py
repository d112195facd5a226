"""The slow-mode counter."""

from __future__ import annotations

import ctypes
import threading

import pytest

from pullback.codegen.slow_mode import SlowMode


def test_counts_and_is_visible_at_its_address() -> None:
    mode = SlowMode()
    seen = ctypes.c_int64.from_address(mode.address)
    with mode:
        mode.enter()
        assert (mode.value, seen.value) == (2, 2)
        mode.leave()
    assert (mode.value, seen.value) == (0, 0)


def test_leaving_too_often_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="without slow_mode"):
        SlowMode().leave()


def test_threads_lose_no_count() -> None:
    mode = SlowMode()

    def work() -> None:
        for _ in range(2000):
            mode.enter()
            mode.enter()
            mode.leave()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mode.value == 8000


def test_the_cell_can_be_written_from_elsewhere() -> None:
    mode = SlowMode()
    mode.cell.value = 3
    assert (mode.value, ctypes.c_int64.from_address(mode.address).value) == (3, 3)
