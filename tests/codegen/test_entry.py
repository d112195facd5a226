"""The native entry: results, guards, fallbacks, errors, Variables, references, threads."""

from __future__ import annotations

import _thread
import contextlib
import gc
import itertools
import pickle
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pullback.codegen.entry import make_callable
from pullback.codegen.entry_spec import EntrySpec, ParamSpec, ResultSpec, ReturnSpec
from pullback.codegen.jit import compile_module
from pullback.codegen.layout import layout, why_not
from pullback.codegen.slow_mode import slow_mode

from .native_kernels import (
    BOOL,
    F32,
    F64,
    I32,
    Failure,
    Tensor,
    axpy,
    fail,
    fallback,
    loop,
    read,
    size_of,
    square,
    square_spec,
    write,
)

pytestmark = pytest.mark.skipif(layout() is None, reason=f"no native entry: {why_not()}")


def make(library: Any, spec: EntrySpec, **options: Any) -> Any:
    return make_callable(library, spec, **{"fallback": fallback, "tensor_type": Tensor, "on_error": fail} | options)


@pytest.mark.parametrize("gil", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0, 4), (2, 1, 3, 1, 2)])
def test_shapes(shape: tuple[int, ...], gil: bool) -> None:
    f = make(square(size_of(shape)), square_spec(shape, drop_gil=gil))
    x = Tensor(np.random.default_rng(0).standard_normal(shape))
    y = f(x)
    assert type(y) is Tensor
    assert type(y._data) is np.ndarray
    assert y._data.dtype is F32
    assert y._data.flags.owndata
    np.testing.assert_array_equal(y._data, x._data * x._data)


@pytest.mark.parametrize("dtype", [F32, F64, I32, np.dtype("int64"), BOOL])
def test_dtypes(dtype: np.dtype[Any]) -> None:
    kind = {"f": "float", "d": "double", "i": "i32", "l": "i64", "q": "i64", "?": "i8"}[dtype.char]
    library = compile_module(loop(read("x", "in0", kind) + write("out0", "%x", kind), 4))
    spec = EntrySpec(1, (ParamSpec("arg", 0, dtype, (4,)),), (ResultSpec("out", 0, dtype, (4,)),),
                     (ReturnSpec("out", 0),))
    f = make(library, spec)
    x = Tensor([0, 1, 2, 3], dtype)
    np.testing.assert_array_equal(f(x)._data, x._data)
    for other in {F32, F64, I32, BOOL} - {dtype}:
        assert f(Tensor([0, 1, 2, 3], other))[0] == "fallback"


class Other(Tensor):
    __slots__ = ()


def misfits() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    good = Tensor([1, 2, 3, 4])

    def holding(array: Any) -> Tensor:
        tensor = Tensor([0])
        tensor._data = array
        return tensor

    empty = Tensor.__new__(Tensor)
    raw = np.zeros(17, np.uint8)
    yield "no arguments", (), {}
    yield "too many", (good, good), {}
    yield "keyword", (), {"x": good}
    yield "extra keyword", (good,), {"k": 1}
    yield "array", (good._data,), {}
    yield "number", (3,), {}
    yield "none", (None,), {}
    yield "subclass", (Other([1, 2, 3, 4]),), {}
    yield "empty slot", (empty,), {}
    yield "slot is no array", (holding(5),), {}
    yield "slot is a list", (holding([1.0] * 4),), {}
    yield "slot is an array subclass", (holding(np.ma.masked_array(np.zeros(4, F32))),), {}
    yield "slot is a scalar", (holding(np.float32(1)),), {}
    yield "float64", (Tensor([1, 2, 3, 4], F64),), {}
    yield "byte order", (holding(np.zeros(4, ">f4")),), {}
    yield "longer", (Tensor([1, 2, 3, 4, 5]),), {}
    yield "rank 0", (Tensor(1),), {}
    yield "rank 2", (Tensor([[1, 2, 3, 4]]),), {}
    yield "empty", (Tensor([]),), {}
    yield "strided", (holding(np.arange(8, dtype=F32)[::2]),), {}
    yield "reversed", (holding(np.arange(4, dtype=F32)[::-1]),), {}
    yield "misaligned", (holding(raw[1:].view(F32)),), {}


@pytest.mark.parametrize(("args", "kwargs"), [pytest.param(a, k, id=name) for name, a, k in misfits()])
def test_what_does_not_fit_goes_to_the_fallback(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    f = make(square(4), square_spec((4,)))
    name, seen, named = f(*args, **kwargs)
    assert name == "fallback"
    assert all(a is b for a, b in zip(seen, args, strict=True))
    assert named == kwargs


def test_every_dimension_is_checked() -> None:
    f = make(square(24), square_spec((2, 3, 4)))
    for shape in itertools.permutations((2, 3, 4)):
        y = f(Tensor(np.ones(shape)))
        assert isinstance(y, Tensor) == (shape == (2, 3, 4))


def test_slow_mode_sends_all_calls_to_the_fallback() -> None:
    f, x = make(square(4), square_spec((4,))), Tensor([1, 2, 3, 4])
    assert isinstance(f(x), Tensor)
    with slow_mode:
        assert f(x) == ("fallback", (x,), {})
    assert isinstance(f(x), Tensor)


def test_exceptions_of_the_fallback_pass_through() -> None:
    def boom(*args: Any) -> None:
        raise KeyError("boom")

    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyError, match="boom"):
        make(square(4), square_spec((4,)), fallback=boom)(1)
    f = make(square(4), square_spec((4,)), fallback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        f(1)
    np.testing.assert_array_equal(f(Tensor([1, 2, 3, 4]))._data, [1, 4, 9, 16])


def test_fallback_may_be_another_entry() -> None:
    last = make(square(3), square_spec((3,)))
    first = make(square(4), square_spec((4,)), fallback=last)
    np.testing.assert_array_equal(first(Tensor([1, 2, 3]))._data, [1, 4, 9])
    np.testing.assert_array_equal(first(Tensor([1, 2, 3, 4]))._data, [1, 4, 9, 16])
    assert first(Tensor([1]))[0] == "fallback"


STATUS = "define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {{\n  ret i32 {}\n}}"


@pytest.mark.parametrize("gil", [False, True])
def test_status_raises_through_the_handler(gil: bool) -> None:
    spec = square_spec((4,), drop_gil=gil)
    x = Tensor([1, 2, 3, 4])
    for status in (1, -7, 2**31 - 1):
        with pytest.raises(Failure) as caught:
            make(compile_module(STATUS.format(status)), spec)(x)
        assert caught.value.args == (status,)
    with pytest.raises(SystemError, match="raised no error"):
        make(compile_module(STATUS.format(2)), spec, on_error=lambda status: "silent")(x)


def test_failed_calls_leave_variables_alone() -> None:
    v = Tensor([1, 2])
    spec = EntrySpec(0, (), (ResultSpec("var", 0, F32, (2,)),), (), "none")
    before = v._data
    with pytest.raises(Failure):
        make(compile_module(STATUS.format(1)), spec, variables=[v])()
    assert v._data is before


# -- what is returned

A, B = ReturnSpec("out", 0), ReturnSpec("out", 1)
TWO = {"params": (ParamSpec("arg", 0, F32, (2,)), ParamSpec("arg", 1, F32, (2,))),
       "results": (ResultSpec("out", 0, F32, (2,)), ResultSpec("out", 1, F32, (2,)))}


def two(returns: tuple[ReturnSpec, ...], structure: str, **options: Any) -> tuple[Any, Tensor, Tensor]:
    f = make(axpy(2), EntrySpec(2, returns=returns, structure=structure, **TWO), **options)
    x, y = Tensor([1, 2]), Tensor([10, 20])
    return f(x, y), x, y


@pytest.mark.parametrize("structure", ["tuple", "list"])
def test_sequences(structure: str) -> None:
    thing = object()
    returns = (A, B, A, ReturnSpec("arg", 1), ReturnSpec("object", 1))
    result, _x, y = two(returns, structure, objects=["unused", thing])
    assert type(result).__name__ == structure
    np.testing.assert_array_equal(result[0]._data, [11, 22])
    np.testing.assert_array_equal(result[1]._data, [10, 40])
    assert result[2] is result[0]
    assert result[3] is y
    assert result[4] is thing


@pytest.mark.parametrize("structure", ["tuple", "list"])
def test_empty_sequences(structure: str) -> None:
    result, _x, _y = two((), structure)
    assert result == {"tuple": (), "list": []}[structure]


def test_none_and_single() -> None:
    assert two((), "none")[0] is None
    result, x, _y = two((ReturnSpec("arg", 0),), "single")
    assert result is x
    marker = object()
    assert two((ReturnSpec("object", 0),), "single", objects=[marker])[0] is marker


def test_packed_structures() -> None:
    result, _x, y = two((A, ReturnSpec("arg", 1)), "packed", pack=lambda t: {"sum": t[0], "rest": [t[1], len(t)]})
    np.testing.assert_array_equal(result["sum"]._data, [11, 22])
    assert result["rest"] == [y, 2]
    with pytest.raises(ZeroDivisionError):
        two((A,), "packed", pack=lambda t: 1 // 0)
    with pytest.raises(ValueError, match="go together"):
        two((A,), "packed")
    with pytest.raises(ValueError, match="go together"):
        two((A,), "tuple", pack=print)


class Rich:
    """A Tensor with more slots, which must not stay unset, and with a dict and weak references."""

    __slots__ = ("__dict__", "__weakref__", "_data", "name", "node")


def test_other_slots_become_none() -> None:
    f = make(square(2), square_spec((2,), none_slots=("name", "node")), tensor_type=Rich)
    x = Rich()
    x._data = np.array([3, 4], F32)
    y = f(x)
    assert (y.name, y.node, y.__dict__) == (None, None, {})
    assert weakref.ref(y)() is y
    y.extra = y
    np.testing.assert_array_equal(y._data, [9, 16])


# -- guards by identity, Python floats, constants

def test_same_object_guards() -> None:
    me = object()
    spec = EntrySpec(3, (ParamSpec("arg", 1, F32, (2,)),), (ResultSpec("out", 0, F32, (2,)),), (A,),
                     same=((0, 0), (2, 1)))
    f, x = make(square(2), spec, objects=[me, None]), Tensor([1, 2])
    np.testing.assert_array_equal(f(me, x, None)._data, [1, 4])
    assert f(me, x, 0)[0] == "fallback"
    assert f(object(), x, None)[0] == "fallback"


CONSTANTS: list[tuple[Any, list[Any]]] = [
    (12345678901234567890, [12345678901234567891, -12345678901234567890, 1.2345678901234567e19, 0]),
    (1000, [1000.0, 1001, -1000, np.int64(1000)]),
    (1, [True, 1.0, np.int64(1)]),
    (True, [1, False, np.True_]),
    (0.0, [-0.0, 0, False, 1e-300]),
    (0.1, [0.2, np.float64(0.1), "0.1"]),
    ("axis", ["axes", b"axis", "axi", np.str_("axis")]),
    (b"ab", ["ab", b"abc", bytearray(b"ab")]),
    ((1, 2), [(1, 2.0), [1, 2]]),
]


@pytest.mark.parametrize(("value", "others"), CONSTANTS, ids=lambda x: str(x)[:8])
def test_numbers_and_texts_are_told_by_value(value: Any, others: list[Any]) -> None:
    spec = EntrySpec(2, (ParamSpec("arg", 0, F32, (2,)),), (ResultSpec("out", 0, F32, (2,)),), (A,), same=((1, 0),))
    f, x = make(square(2), spec, objects=[value]), Tensor([1, 2])
    again = pickle.loads(pickle.dumps(value))  # an equal object, another one where Python has more than one
    assert list(f(x, value)._data) == [1, 4]
    assert isinstance(f(x, again), tuple) == (type(value) is tuple)
    for other in others:
        assert f(x, other)[0] == "fallback", other


@pytest.mark.parametrize("dtype", [F32, F64])
def test_python_floats(dtype: np.dtype[Any]) -> None:
    kind = {"f": "float", "d": "double"}[dtype.char]
    library = compile_module(f"""
define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {{
  %x = load ptr, ptr %ins
  %y.at = getelementptr ptr, ptr %ins, i64 1
  %y = load ptr, ptr %y.at
  %o = load ptr, ptr %outs
  %a = load {kind}, ptr %x
  %b = load {kind}, ptr %y
  %c = fsub {kind} %a, %b
  store {kind} %c, ptr %o
  ret i32 0
}}""")
    spec = EntrySpec(2, (ParamSpec("float", 0, dtype, ()), ParamSpec("float", 1, dtype, ())),
                     (ResultSpec("out", 0, dtype, ()),), (A,), drop_gil=True)
    f = make(library, spec)
    assert f(0.1, 2.5)._data == dtype.type(0.1) - dtype.type(2.5)
    assert f(1, 2.5) == ("fallback", (1, 2.5), {})
    assert f(np.float64(1), 2.5)[0] == "fallback"


def test_constants() -> None:
    constant = np.array([10, 20], F32)
    spec = EntrySpec(1, (ParamSpec("const", 1, F32, (2,)), ParamSpec("arg", 0, F32, (2,))), TWO["results"], (A, B),
                     "tuple")
    f = make(axpy(2), spec, consts=[np.zeros(1), constant])
    assert [list(t._data) for t in f(Tensor([1, 2]))] == [[11, 22], [10, 40]]
    with pytest.raises(TypeError, match="float64"):
        make(axpy(2), spec, consts=[constant, constant.astype(F64)])
    with pytest.raises(ValueError, match="contiguous"):
        make(axpy(2), spec, consts=[constant, np.zeros(4, F32)[::2]])
    with pytest.raises(TypeError, match="list"):
        make(axpy(2), spec, consts=[constant, [1, 2]])


# -- Variables

def step(variable: Any, donor: int | None = 1, **options: Any) -> Any:
    """f(x): v = v + x in place if possible, returns v * x of before."""
    spec = EntrySpec(1, (ParamSpec("arg", 0, F32, (2,)), ParamSpec("var", 0, F32, (2,))),
                     (ResultSpec("var", 0, F32, (2,), donor), ResultSpec("out", 0, F32, (2,))), (A,), **options)
    return make(axpy(2), spec, variables=[variable])


@pytest.mark.parametrize("gil", [False, True])
def test_variable_in_place(gil: bool) -> None:
    v, x = Tensor([1, 2]), Tensor([10, 20])
    f, place = step(v, drop_gil=gil), id(v._data)
    address = v._data.ctypes.data
    assert list(f(x)._data) == [10, 40]
    assert list(f(x)._data) == [110, 440]
    assert list(v._data) == [21, 42]
    assert (id(v._data), v._data.ctypes.data) == (place, address)


def test_variable_that_is_shared_is_replaced() -> None:
    v, x = Tensor([1, 2]), Tensor([10, 20])
    f, held = step(v), v._data
    f(x)
    assert list(held) == [1, 2]
    assert list(v._data) == [11, 22]
    assert v._data is not held
    view = v._data[:1]
    f(x)
    assert list(view) == [11]
    assert list(v._data) == [21, 42]


def test_variable_passed_as_argument_too() -> None:
    v = Tensor([1, 2])
    x = Tensor([0])
    x._data = v._data
    assert list(step(v)(x)._data) == [1, 4]
    assert list(v._data) == [2, 4]
    assert list(x._data) == [1, 2]


def test_variable_without_donor_or_right_to_write_is_replaced() -> None:
    x = Tensor([10, 20])
    v = Tensor([1, 2])
    old = id(v._data)
    keep = weakref.ref(v._data)
    step(v, donor=None)(x)
    assert keep() is None
    assert list(v._data) == [11, 22]
    del old
    v._data.flags.writeable = False
    step(v)(x)
    assert list(v._data) == [21, 42]
    buffer = bytearray(8)
    v._data = np.frombuffer(buffer, F32)
    step(v)(x)
    assert list(v._data) == [10, 20]
    assert buffer == bytearray(8)


def test_variable_that_changed_goes_to_the_fallback() -> None:
    v, x = Tensor([1, 2]), Tensor([10, 20])
    f = step(v)
    for odd in (np.zeros(3, F32), np.zeros(2), np.zeros((2, 1), F32), np.zeros(4, F32)[::2], None):
        v._data = odd  # type: ignore[assignment]
        assert f(x)[0] == "fallback"
    del v._data
    assert f(x)[0] == "fallback"
    v._data = np.array([5, 6], F32)
    assert list(f(x)._data) == [50, 120]


def test_two_variables_that_share_an_array() -> None:
    spec = EntrySpec(0, (ParamSpec("var", 0, F32, (2,)), ParamSpec("var", 1, F32, (2,))),
                     (ResultSpec("var", 0, F32, (2,), 0), ResultSpec("var", 1, F32, (2,), 1)), (), "none")
    v, w = Tensor([2, 3]), Tensor([0])
    w._data = v._data
    f = make(axpy(2), spec, variables=[v, w])
    assert f() is None
    assert (list(v._data), list(w._data)) == ([4, 6], [4, 9])
    assert f() is None
    assert (list(v._data), list(w._data)) == ([8, 15], [16, 54])


def test_variables_need_their_slot() -> None:
    with pytest.raises(TypeError, match=r"object\._data is no entry"):
        step(object())


# -- memory

SCRATCH = """
define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {{
  %a = ptrtoint ptr %scratch to i64
  %low = and i64 %a, 63
  %last = getelementptr i8, ptr %scratch, i64 {last}
  store i8 1, ptr %scratch
  store i8 2, ptr %last
  %r = trunc i64 %low to i32
  ret i32 %r
}}"""


@pytest.mark.parametrize("size", [1, 64, 2000, 5000, 3_000_000])
def test_scratch_is_aligned_and_large_enough(size: int) -> None:
    f = make(compile_module(SCRATCH.format(last=size - 1)), EntrySpec(0, (), (), (), "none", scratch=size))
    for _ in range(3):
        assert f() is None


def test_no_memory_for_scratch_is_an_error() -> None:
    spec = square_spec((2,), scratch=2**60)
    x = Tensor([1, 2])
    f = make(square(2), spec)
    for _ in range(2):
        with pytest.raises(MemoryError):
            f(x)
    assert list(make(square(2), square_spec((2,), scratch=9000))(x)._data) == [1, 4]


def test_many_arguments() -> None:
    """More than fit into a stack frame: pointers live in the arena then."""
    n = 300
    pointers = "".join(f"""
  %p{k}.at = getelementptr ptr, ptr %ins, i64 {k}
  %p{k} = load ptr, ptr %p{k}.at
  %v{k} = load float, ptr %p{k}
  %q{k}.at = getelementptr ptr, ptr %outs, i64 {n - 1 - k}
  %q{k} = load ptr, ptr %q{k}.at
  store float %v{k}, ptr %q{k}
""" for k in range(n))
    text = f"define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {{{pointers}\n  ret i32 0\n}}"
    library = compile_module(text, opt=0)
    spec = EntrySpec(n, tuple(ParamSpec("arg", k, F32, (1,)) for k in range(n)),
                     tuple(ResultSpec("out", k, F32, (1,)) for k in range(n)),
                     tuple(ReturnSpec("out", k) for k in range(n)), "list")
    f = make(library, spec)
    result = f(*[Tensor([k]) for k in range(n)])
    assert [int(t._data[0]) for t in result] == list(range(n))[::-1]
    assert f(*[Tensor([k]) for k in range(n - 1)], 1)[0] == "fallback"


def references(things: list[Any]) -> list[int]:
    gc.collect()
    return [sys.getrefcount(thing) for thing in things]


def test_no_reference_is_lost_or_leaked() -> None:
    v, x, y = Tensor([1, 2]), Tensor([1, 2]), Tensor([1, 2])
    marker, constant = object(), np.zeros(2, F32)
    spec = EntrySpec(2, (*TWO["params"], ParamSpec("var", 0, F32, (2,)), ParamSpec("const", 0, F32, (2,))),
                     (*TWO["results"], ResultSpec("var", 0, F32, (2,))), (A, B, A, ReturnSpec("arg", 0),
                                                                         ReturnSpec("object", 0)), "list")
    library = axpy(2)
    calls = {"plain": (make(library, spec, consts=[constant], variables=[v], objects=[marker]), (x, y)),
             "gil": (make(library, EntrySpec(2, spec.params, spec.results, spec.returns, "tuple", drop_gil=True,
                                             scratch=9000), consts=[constant], variables=[v], objects=[marker]),
                     (x, y)),
             "miss": (make(library, spec, consts=[constant], variables=[v], objects=[marker]), (x, 3)),
             "failure": (make(compile_module(STATUS.format(1)), spec, consts=[constant], variables=[v],
                              objects=[marker]), (x, y)),
             "in place": (step(v), (x,))}
    watched = [x, y, x._data, y._data, v, marker, constant, F32, Tensor, np.ndarray, None, fallback, fail]
    for name, (f, args) in calls.items():
        counts: list[list[int]] = []
        sizes: list[int] = []
        for count in (100, 2000):
            tracemalloc.start()
            before, start = references(watched), tracemalloc.get_traced_memory()[0]
            for _ in range(count):
                with contextlib.suppress(Failure):
                    f(*args)
            counts.append([b - a for a, b in zip(before, references(watched), strict=True)])
            sizes.append(tracemalloc.get_traced_memory()[0] - start)
            tracemalloc.stop()
        assert all(abs(change) < 20 for change in counts[1]), (name, counts)
        assert sizes[1] < 4000, (name, sizes)


def test_entries_and_their_code_die_together() -> None:
    library = square(4)
    gone = weakref.ref(library)
    f = make(library, square_spec((4,)))
    del library
    gc.collect()
    assert gone() is not None
    assert list(f(Tensor([1, 2, 3, 4]))._data) == [1, 4, 9, 16]
    del f
    gc.collect()
    assert gone() is None


def test_missing_kernel() -> None:
    with pytest.raises(KeyError, match="other"):
        make(square(4), square_spec((4,), name="other"))


# -- threads and Ctrl-C

@pytest.mark.parametrize("gil", [False, True])
def test_ctrl_c_during_a_kernel_is_delivered_after_it(gil: bool) -> None:
    kernel = """
define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {
entry:
  %x = load ptr, ptr %ins
  %o = load ptr, ptr %outs
  store float 1.0, ptr %o
  br label %spin
spin:
  %i = phi i64 [ 0, %entry ], [ %next, %spin ]
  store volatile i64 %i, ptr %scratch
  %next = add i64 %i, 1
  %end = icmp eq i64 %next, 100000000
  br i1 %end, label %done, label %spin
done:
  ret i32 0
}"""
    spec = EntrySpec(1, (ParamSpec("arg", 0, F32, (1,)),), (ResultSpec("out", 0, F32, (1,)),), (A,), scratch=5000,
                     drop_gil=gil)
    f, x = make(compile_module(kernel), spec), Tensor([1])
    timer = threading.Timer(0.02, _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        timer.start()
        while True:
            f(x)
    timer.join()
    assert list(f(x)._data) == [1]


def test_threads_on_one_function() -> None:
    n = 20_000
    f = make(square(n), square_spec((n,), drop_gil=True, scratch=10_000))
    wrong: list[int] = []

    def work(seed: int) -> None:
        for k in range(60):
            x = Tensor(np.full(n, seed * 100 + k))
            y = f(x)._data
            if not (y[0] == y[-1] == np.float32((seed * 100 + k) ** 2)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_on_one_variable() -> None:
    """Racing updates may be lost, as each is a read and a write; nothing may crash or tear."""
    n = 5000
    v = Tensor(np.zeros(n))
    one = Tensor(np.ones(n))
    spec = EntrySpec(1, (ParamSpec("arg", 0, F32, (n,)), ParamSpec("var", 0, F32, (n,))),
                     (ResultSpec("var", 0, F32, (n,), 1), ResultSpec("out", 0, F32, (n,))), (A,), drop_gil=True)
    f = make(axpy(n), spec, variables=[v])
    threads = [threading.Thread(target=lambda: [f(one) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = sys.getrefcount(v._data)
    assert count <= 2  # the slot and the call itself
    assert v._data.shape == (n,)
    assert 1 <= v._data.min() <= v._data.max() <= 800
