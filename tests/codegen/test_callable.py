"""NativeCallable: switching between Python and machine code, and all that a Python object must also do."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
import types
import weakref
from typing import Any

import pytest

from pullback.codegen.callable import NativeCallable, install, reset
from pullback.codegen.entry import make_callable
from pullback.codegen.entry_spec import EntrySpec
from pullback.codegen.jit import compile_module
from pullback.codegen.layout import layout, why_not

from .native_kernels import Tensor, fail, square, square_spec

needs_native = pytest.mark.skipif(layout() is None, reason=f"no native entry: {why_not()}")
_HAVE_VECTORCALL = 1 << 11


class Function(NativeCallable):
    """A subclass as the tracer makes one: with a dict, weak references, binding."""

    def __init__(self, name: str = "f") -> None:
        self.name = name

    def _slow_call(self, *args: Any, **kwargs: Any) -> Any:
        return "slow", args, kwargs

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)


class Slotted(NativeCallable):
    __slots__ = ("__weakref__", "name")

    def _slow_call(self, *args: Any, **kwargs: Any) -> Any:
        return "slow", args, kwargs


def entry(target: Any = None, **options: Any) -> Any:
    back = target._slow_call if target is not None else lambda *a, **k: ("fallback", a, k)
    return make_callable(square(2), square_spec((2,), **options), fallback=back, tensor_type=Tensor, on_error=fail)


@pytest.mark.parametrize("kind", [Function, Slotted])
def test_slow_at_first(kind: type) -> None:
    f = kind()
    assert f() == ("slow", (), {})
    assert f(1, 2, a=3) == ("slow", (1, 2), {"a": 3})
    named = {"a": 3}
    assert f(*[1], **named) == ("slow", (1,), {"a": 3})
    assert list(map(f, [1])) == [("slow", (1,), {})]


@needs_native
@pytest.mark.parametrize("kind", [Function, Slotted])
def test_install_and_reset(kind: type) -> None:
    f = kind()
    assert kind.__flags__ & _HAVE_VECTORCALL
    x = Tensor([3, 4])
    for _ in range(3):
        install(f, entry(f))
        assert list(f(x)._data) == [9, 16]
        assert list(f(*[x])._data) == [9, 16]
        assert list(f.__call__(x)._data) == [9, 16]
        assert next(map(f, [x]))._data[0] == 9
        assert f(1, k=2) == ("slow", (1,), {"k": 2})
        reset(f)
        assert f(x) == ("slow", (x,), {})
    reset(kind())


@needs_native
def test_methods_bind() -> None:
    class Model:
        step = Function()

    spec = EntrySpec(2, (), (), (), "none", same=((0, 0),))
    model, other = Model(), Model()
    library = compile_module("define i32 @main(ptr %i, ptr %o, ptr %s) {\n  ret i32 0\n}")
    install(Model.step, make_callable(library, spec, fallback=Model.step._slow_call, tensor_type=Tensor,
                                      on_error=fail, objects=[model]))
    assert model.step(1) is None
    assert other.step(1) == ("slow", (other, 1), {})
    assert Model.step(model, 1) is None


@needs_native
def test_only_entries_can_be_installed() -> None:
    f = Function()
    for wrong in (len, [].append, lambda: 1, None):
        with pytest.raises(TypeError, match="make_callable"):
            install(f, wrong)
    assert f(1)[0] == "slow"


@needs_native
def test_a_spoilt_entry_is_an_error_and_no_crash() -> None:
    f = Function()
    for wrong in (5, len, None, entry):
        install(f, entry(f))
        f._entry = wrong
        with pytest.raises(SystemError, match="entry of a function was lost"):
            f(1)
    install(f, entry(f))
    del f._entry
    with pytest.raises(SystemError, match="entry of a function was lost"):
        f(1)
    reset(f)
    assert f(1)[0] == "slow"


@needs_native
def test_a_class_with_its_own_call_keeps_it() -> None:
    class Special(Function):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return "special"

    f = Special()
    install(f, entry(f))
    assert f(Tensor([1, 2])) == "special"


def test_no_slow_call_is_an_error() -> None:
    class Nothing(NativeCallable):
        pass

    with pytest.raises(NotImplementedError, match="Nothing defines no _slow_call"):
        Nothing()(1)


def test_weak_references_and_attributes() -> None:
    f = Function()
    f.extra = 1
    gone = weakref.ref(f)
    assert gone() is f
    del f
    gc.collect()
    assert gone() is None
    with pytest.raises(AttributeError):
        Slotted().other = 1  # type: ignore[attr-defined]


@needs_native
def test_copying_and_pickling_do_not_copy_code() -> None:
    f = Slotted()
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(f)  # type: ignore[operator]


@needs_native
def test_cycles_are_collected() -> None:
    """The usual cycle: function, its entry, the entry's fallback, the function."""
    gone: list[weakref.ref[Any]] = []
    for kind in (Function, Slotted):
        f = kind()
        install(f, entry(f))
        gone.append(weakref.ref(f))
        f.name = f
        assert list(f(Tensor([1, 2]))._data) == [1, 4]
        del f
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


@needs_native
def test_nothing_leaks() -> None:
    shared = entry()
    references = (sys.getrefcount(Function), sys.getrefcount(shared))

    def work(count: int) -> None:
        for _ in range(count):
            f = Function()
            install(f, shared)
            f(1)
            f.name = f  # type: ignore[assignment]
            reset(f)
            install(f, shared)
        del f
        gc.collect()

    work(10)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work(1000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 4000
    assert (sys.getrefcount(Function), sys.getrefcount(shared)) == references


@needs_native
def test_replacing_an_entry_during_its_own_call() -> None:
    """The kernel's code must stay while it runs, even if its function drops it and takes another."""
    f = Function()
    libraries: list[weakref.ref[Any]] = []

    def swap() -> None:
        install(f, entry(f))
        gc.collect()
        assert libraries[0]() is not None

    callback = ctypes.PYFUNCTYPE(None)(swap)
    library = compile_module("declare void @swap()\ndefine i32 @main(ptr %i, ptr %o, ptr %s) {\n"
                             "  call void @swap()\n  ret i32 5\n}",
                             {"swap": ctypes.cast(callback, ctypes.c_void_p).value or 0})
    libraries.append(weakref.ref(library))
    install(f, make_callable(library, EntrySpec(0, (), (), (), "none"), fallback=f._slow_call, tensor_type=Tensor,
                             on_error=lambda status: status))
    del library
    with pytest.raises(SystemError):
        f()
    gc.collect()
    assert libraries[0]() is None
    assert list(f(Tensor([1, 2]))._data) == [1, 4]


@needs_native
def test_threads_call_while_another_swaps() -> None:
    f, x = Function(), Tensor([3, 4])
    stop, wrong = threading.Event(), []

    def call() -> None:
        while not stop.is_set():
            result = f(x)
            if isinstance(result, tuple):
                continue
            if list(result._data) != [9, 16]:
                wrong.append(result)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        install(f, entry(f))
        reset(f)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_without_native_entries_it_is_plain_python() -> None:
    code = """
from pullback.codegen.callable import NativeCallable, install, reset
from pullback.codegen.entry import make_callable
class Function(NativeCallable):
    def _slow_call(self, *a, **k): return "slow", a, k
f = Function()
print(NativeCallable.__base__ is object, f(1, k=2))
install(f, lambda x: x + 1)
print(f(1)); reset(f); print(f(1))
try: make_callable(None, None, fallback=None, tensor_type=None, on_error=None)
except RuntimeError as error: print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env={**os.environ, "PULLBACK_NATIVE_ENTRY": "0"})
    assert run.stdout.splitlines() == ["True ('slow', (1,), {'k': 2})", "2", "('slow', (1,), {})",
                                       "no native call entry here: switched off by PULLBACK_NATIVE_ENTRY=0"]


@needs_native
def test_calls_while_the_interpreter_goes_down() -> None:
    """Callables and code outlive their modules: nothing may run in freed memory, nothing be said about it."""
    code = """
import sys
sys.path.insert(0, {path!r})
from tests.codegen.native_kernels import *
from pullback.codegen.callable import NativeCallable, install
from pullback.codegen.entry import make_callable
class Function(NativeCallable):
    def _slow_call(self, *a, **k): return "slow", a, k
class Last:
    def __init__(self): self.f, self.x, self.out = Function(), Tensor([3, 4]), sys.stdout
    def __del__(self): self.out.write(str(list(self.f(self.x)._data))); self.out.flush()
last = Last()
install(last.f, make_callable(square(2), square_spec((2,), scratch=9000), fallback=last.f._slow_call,
                              tensor_type=Tensor, on_error=fail))
sys.last = last
del last
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    run = subprocess.run([sys.executable, "-c", code.format(path=root)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("9.0") == 1


def test_decorating_needs_no_llvm() -> None:
    code = ("import sys; from pullback.codegen.callable import NativeCallable\n"
            "class F(NativeCallable):\n    def _slow_call(self): return 1\n"
            "assert F()() == 1; assert 'llvmlite' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
