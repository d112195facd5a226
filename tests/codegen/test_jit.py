"""Text IR to machine code: values, errors, memory, threads, Ctrl-C, both loaders."""

from __future__ import annotations

import _thread
import ctypes
import gc
import math
import os
import sys
import threading
import time
import weakref

import pytest

from pullback.codegen import elf, jit
from pullback.codegen.interrupt import Uninterrupted

D, I64 = ctypes.c_double, ctypes.c_int64
LINUX = sys.platform == "linux"


def module(i: int = 0) -> str:
    """A module with a libm call, constants, a private table and a global that is written."""
    return f"""
declare double @sin(double)
@table = private constant [4 x double] [double 1.0, double 2.0, double {i}.0, double 4.0]
@wide = private constant <8 x double> splat (double 0.5), align 64
@counter = global i64 {i}
@zero = internal global [3 x i64] zeroinitializer
@back = constant ptr @counter

define double @f(double %x, i64 %k) {{
  %y = fmul double %x, {i}.5
  %z = call double @sin(double %y)
  %p = getelementptr double, ptr @table, i64 %k
  %t = load double, ptr %p
  %w = load <8 x double>, ptr @wide, align 64
  %e = extractelement <8 x double> %w, i64 %k
  %te = fadd double %t, %e
  %c = load i64, ptr @counter
  %d = add i64 %c, 1
  store i64 %d, ptr @counter
  %zp = getelementptr i64, ptr @zero, i64 %k
  store i64 %d, ptr %zp
  %q = fadd double %z, %te
  ret double %q
}}
"""


def expected(i: int, x: float, k: int) -> float:
    return math.sin(x * (i + 0.5)) + ([1.0, 2.0, float(i), 4.0][k] + 0.5)


def test_compiles_and_runs() -> None:
    library = jit.compile_module(module(7))
    f = library.function("f", D, D, I64)
    assert f(1.0, 2) == expected(7, 1.0, 2)
    counter = I64.from_address(library.address("counter"))
    assert counter.value == 8
    assert ctypes.c_void_p.from_address(library.address("back")).value == library.address("counter")
    with pytest.raises(KeyError, match="nothing_here"):
        library.address("nothing_here")


@pytest.mark.parametrize("opt", [0, 1, 3])
@pytest.mark.parametrize("loader", ["elf", "lljit"])
def test_both_loaders_at_every_level(opt: int, loader: str) -> None:
    if loader == "elf" and not jit._own_loader():
        pytest.skip("the own loader is for x86-64 Linux")
    library = jit.load_object(jit.emit_object(module(3), opt=opt), loader=loader)
    f = library.function("f", D, D, I64)
    assert [f(0.25, k) for k in range(3)] == [expected(3, 0.25, k) for k in range(3)]
    assert I64.from_address(library.address("counter")).value == 6
    with pytest.raises(KeyError):
        library.address("table")


@pytest.mark.parametrize("loader", ["elf", "lljit"])
def test_symbols_are_asked_first(loader: str) -> None:
    if loader == "elf" and not jit._own_loader():
        pytest.skip("the own loader is for x86-64 Linux")
    cell = I64(41)
    mine = ctypes.CFUNCTYPE(D, D)(lambda x: x + 100.0)
    text = """
@cell = external global i64
declare double @sin(double)
define double @g(double %x) {
  %c = load i64, ptr @cell
  %d = add i64 %c, 1
  store i64 %d, ptr @cell
  %s = call double @sin(double %x)
  ret double %s
}"""
    symbols = {"cell": ctypes.addressof(cell), "sin": ctypes.cast(mine, ctypes.c_void_p).value or 0}
    g = jit.load_object(jit.emit_object(text), symbols, loader=loader).function("g", D, D)
    assert g(1.0) == 101.0
    assert cell.value == 42


def test_large_and_branchy_code() -> None:
    """A switch makes a jump table (relocations in read-only data); many functions make many of them."""
    cases = "".join(f"    i64 {k}, label %c{k}\n" for k in range(40))
    blocks = "".join(f"c{k}:\n  %r{k} = call i64 @h{k}(i64 %x)\n  ret i64 %r{k}\n" for k in range(40))
    helpers = "".join(f"define internal i64 @h{k}(i64 %x) noinline {{\n  %r = mul i64 %x, {k * k + 3}\n"
                      f"  ret i64 %r\n}}\n" for k in range(40))
    text = (f"define i64 @pick(i64 %k, i64 %x) {{\n  switch i64 %k, label %none [\n{cases}  ]\n{blocks}"
            f"none:\n  ret i64 -1\n}}\n{helpers}")
    pick = jit.compile_module(text).function("pick", I64, I64, I64)
    assert [pick(k, 5) for k in range(41)] == [5 * (k * k + 3) for k in range(40)] + [-1]


def test_light_passes_keep_the_result() -> None:
    library = jit.compile_module(module(5), passes=jit.LIGHT_PASSES)
    assert library.function("f", D, D, I64)(2.0, 1) == expected(5, 2.0, 1)
    with pytest.raises(ValueError, match="sroaa"):
        jit.compile_module(module(5), passes=("sroaa",))


def test_text_and_assembly() -> None:
    library = jit.compile_module(module(1))
    assert library.llvm == module(1)
    assert "f:" in library.asm()
    assert library.asm() == library.asm()


def test_parse_error_names_the_line() -> None:
    text = "define double @f(double %x) {\n  %y = fmul double %x, %zz\n  ret double %y\n}"
    with pytest.raises(jit.LLVMError, match="undefined value") as caught:
        jit.compile_module(text)
    assert caught.value.line == 2
    assert "%zz" in caught.value.text


def test_verifier_error() -> None:
    text = ("define double @f(i1 %c) {\n  br i1 %c, label %a, label %b\na:\n  %y = fadd double %w, 2.0\n"
            "  br label %b\nb:\n  %w = fadd double 1.0, 1.0\n  ret double %w\n}")
    with pytest.raises(jit.LLVMError, match="dominate") as caught:
        jit.compile_module(text)
    assert caught.value.line == 4


def test_undefined_symbol() -> None:
    text = "declare void @no_such_thing()\ndefine void @f() {\n  call void @no_such_thing()\n  ret void\n}"
    with pytest.raises(jit.LLVMError, match="no_such_thing"):
        jit.compile_module(text)
    with pytest.raises(jit.LLVMError):
        jit.load_object(jit.emit_object(text), loader="lljit").address("f")


def test_what_the_own_loader_does_not_know_goes_to_llvm() -> None:
    """A constructor makes the small linker give up; LLVM's takes over."""
    text = """
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @start, ptr null }]
define internal void @start() {
  ret void
}
define double @f(double %x) {
  %y = fadd double %x, 1.0
  ret double %y
}"""
    assert jit.compile_module(text).function("f", D, D)(2.0) == 3.0
    with pytest.raises(elf.UnsupportedObject, match="constructors"):
        elf.load(jit.emit_object(text), lambda name: 0)
    with pytest.raises(elf.UnsupportedObject, match="not a relocatable"):
        elf.load(b"MZ" + bytes(100), lambda name: 0)


def test_function_keeps_the_library_alive() -> None:
    library = jit.compile_module(module(2))
    gone = weakref.ref(library)
    f = library.function("f", D, D, I64)
    del library
    gc.collect()
    assert gone() is not None
    assert f(1.0, 0) == expected(2, 1.0, 0)
    del f
    gc.collect()
    assert gone() is None


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_dropped_libraries_give_their_memory_back() -> None:
    for i in range(100):
        jit.compile_module(module(i))
    gc.collect()
    before = resident()
    for i in range(600):
        jit.compile_module(module(i))
    gc.collect()
    assert resident() - before < 2_000_000


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_pages_are_unmapped() -> None:
    library = jit.compile_module(module(1))
    page = library.address("f") // 4096 * 4096

    def mapped() -> bool:
        with open("/proc/self/maps") as file:
            ranges = [line.split()[0].split("-") for line in file if line.split()[1].startswith("r-x")]
        return any(int(low, 16) <= page < int(high, 16) for low, high in ranges)

    assert mapped()
    del library
    gc.collect()
    assert not mapped()


def test_threads() -> None:
    results: dict[int, float] = {}

    def work(i: int) -> None:
        for k in range(5):
            results[i * 10 + k] = jit.compile_module(module(i)).function("f", D, D, I64)(1.5, k % 4)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i * 10 + k: expected(i, 1.5, k % 4) for i in range(4) for k in range(5)}


WALK = """
define void @walk(ptr %x, ptr %y) {
entry:
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %loop]
  %twice = mul i64 %k, 2
  %xp = getelementptr double, ptr %x, i64 %twice
  %v = load double, ptr %xp
  %yp = getelementptr double, ptr %y, i64 %k
  store double %v, ptr %yp
  %k1 = add i64 %k, 1
  %more = icmp slt i64 %k1, 5
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def walked(obj: bytes) -> list[float]:
    x, y = (D * 10)(*range(10)), (D * 5)()
    walk = jit.load_object(obj).function("walk", None, ctypes.c_void_p, ctypes.c_void_p)
    walk(ctypes.addressof(x), ctypes.addressof(y))
    return list(y)


def test_the_switch_of_the_process_is_thrown_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = jit.emit_object(WALK)
    with monkeypatch.context() as patch:
        patch.setattr(jit, "KNOWN", range(0))  # a version of LLVM that we know nothing about
        theirs = jit.emit_object(WALK)
    with pytest.raises(RuntimeError, match="stop"):
        jit._with_module(WALK, 2, (), lambda tm, m: (_ for _ in ()).throw(RuntimeError("stop")))
    with monkeypatch.context() as patch:
        patch.setattr(jit, "KNOWN", range(0))
        assert jit.emit_object(WALK) == theirs
    assert jit.emit_object(WALK) == ours
    assert walked(ours) == walked(theirs) == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_ctrl_c_is_delivered_after_the_critical_part() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with Uninterrupted():
            with Uninterrupted():
                _thread.interrupt_main()
                time.sleep(0.01)
            reached = True
        pytest.fail("the interrupt was lost")
    assert reached


def test_ctrl_c_during_compiles_leaves_a_usable_process() -> None:
    """Interrupt the main thread at many moments; each time everything must work on, in other threads too."""
    for delay in range(12):
        stop = threading.Timer(0.001 + delay * 0.0013, _thread.interrupt_main)
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            stop.start()                                      # inside: a short timer can fire before start() returns
            while True:
                jit.compile_module(module(delay))
        stop.join()
    done: list[float] = []
    other = threading.Thread(target=lambda: done.append(
        jit.compile_module(module(1)).function("f", D, D, I64)(1.0, 0)))
    other.start()
    other.join(20)
    assert done == [expected(1, 1.0, 0)]
