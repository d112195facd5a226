"""The arena: shared, grown, given back, and not handed out twice."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import pytest

from pullback.codegen.entry import make_callable, native
from pullback.codegen.entry_spec import EntrySpec
from pullback.codegen.jit import compile_module
from pullback.codegen.layout import layout, why_not
from pullback.codegen.scratch import Arena, ScratchUse, arena

from .native_kernels import Tensor, fail, fallback

pytestmark = pytest.mark.skipif(layout() is None, reason=f"no native entry: {why_not()}")

NOTHING = "define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {\n  ret i32 0\n}"


def user(size: int, text: str = NOTHING, symbols: dict[str, int] | None = None) -> Any:
    return make_callable(compile_module(text, symbols), EntrySpec(0, (), (), (), "none", scratch=size),
                         fallback=fallback, tensor_type=Tensor, on_error=fail)


def test_grows_to_its_largest_user_and_shrinks_when_that_dies() -> None:
    gc.collect()
    others = max(arena._users, default=0)
    base = max(others, 100_000)
    small, large = user(base + 50_000), user(base + 900_000)
    small()
    assert arena.size == base + 50_000
    large()
    assert arena.size == base + 900_000
    small()
    assert arena.size == base + 900_000
    del large
    gc.collect()
    assert arena.size == 0
    small()
    assert arena.size == base + 50_000
    del small
    gc.collect()
    assert arena.size <= others


def test_small_frames_do_not_touch_it() -> None:
    f = user(1000)
    size = arena.size
    f()
    assert arena.size == size


def test_nested_calls_get_memory_of_their_own() -> None:
    """A kernel that calls back into Python, which calls a kernel, while both need scratch."""
    seen: list[int] = []

    def note(pointer: int) -> None:
        seen.append(pointer)
        if len(seen) == 1:
            inner()

    callback = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(note)
    text = """
declare void @note(ptr)
define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {
  store i64 -1, ptr %scratch
  call void @note(ptr %scratch)
  ret i32 0
}"""
    symbols = {"note": ctypes.cast(callback, ctypes.c_void_p).value or 0}
    inner, outer = user(50_000, text, symbols), user(60_000, text, symbols)
    outer()
    first, second = seen
    assert abs(first - second) >= 50_000
    assert first % 64 == second % 64 == 0
    seen[:] = [0]
    outer()
    assert seen[1] == first  # the arena is free again


def test_get_and_put() -> None:
    library = native().library
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(library.address("pb_scratch_get"))
    put = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(library.address("pb_scratch_put"))
    blocks = [get(size) for size in (10_000, 20_000, 1)]
    assert len(set(blocks)) == 3
    assert all(block % 64 == 0 for block in blocks)
    for block in blocks[::-1]:
        put(block)
    again = get(5)
    assert again == blocks[0]
    put(again)


def test_bookkeeping() -> None:
    mine = Arena()
    freed: list[int] = []
    mine.connect(lambda: freed.append(1))
    mine.add(5)
    mine.add(5)
    mine._words[2] = 5
    mine.remove(5)
    assert not freed
    mine._words[0] = 1
    mine.remove(5)
    assert not freed  # in use
    mine._words[0] = 0
    mine.add(3)
    mine.remove(3)
    assert freed
    use = ScratchUse(0)
    assert arena._users[0] >= 1
    del use
