"""The native entry with ndarrays and NumPy scalars: guards, writes into arguments, results of the array type."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pullback.codegen.entry import make_callable
from pullback.codegen.entry_spec import EntrySpec, ParamSpec, ResultSpec, ReturnSpec
from pullback.codegen.jit import compile_module
from pullback.codegen.layout import SCALARS, layout, why_not

from .native_kernels import F32, F64, Failure, Tensor, axpy, fail, fallback, loop, read, size_of, square, write

pytestmark = pytest.mark.skipif(layout() is None, reason=f"no native entry: {why_not()}")
KINDS = {"f": "float", "d": "double", "i": "i32", "l": "i64", "q": "i64", "?": "i8"}


class Array(Tensor):
    """What the runtime's Array is to an entry."""

    __slots__ = ()


def make(library: Any, spec: EntrySpec, **options: Any) -> Any:
    given = {"fallback": fallback, "tensor_type": Tensor, "array_type": Array, "on_error": fail}
    return make_callable(library, spec, **given | options)


def squares(shape: tuple[int, ...] = (4,), **options: Any) -> Any:
    spec = EntrySpec(1, (ParamSpec("ndarray", 0, F32, shape),), (ResultSpec("out", 0, F32, shape),),
                     (ReturnSpec("array", 0),), **options)
    return make(square(size_of(shape)), spec)


@pytest.mark.parametrize("gil", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0, 4), (2, 1, 3, 1, 2)])
def test_shapes(shape: tuple[int, ...], gil: bool) -> None:
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), F32)
    y = squares(shape, drop_gil=gil)(x)
    assert type(y) is Array
    assert type(y._data) is np.ndarray
    assert y._data.flags.owndata
    assert not np.shares_memory(y._data, x)
    np.testing.assert_array_equal(y._data, x * x)


class Other(np.ndarray[Any, Any]):
    pass


def misfits() -> Iterator[tuple[str, Any]]:
    yield "tensor", Tensor([1, 2, 3, 4])
    yield "array of ours", Array([1, 2, 3, 4])
    yield "list", [1.0, 2.0, 3.0, 4.0]
    yield "number", 3
    yield "none", None
    yield "scalar", np.float32(1)
    yield "subclass", np.zeros(4, F32).view(Other)
    yield "masked", np.ma.masked_array(np.zeros(4, F32))
    yield "float64", np.zeros(4)
    yield "int32 of the same size", np.zeros(4, np.int32)
    yield "byte order", np.zeros(4, ">f4")
    yield "record", np.zeros(4, [("a", "f4")])
    yield "objects", np.zeros(4, object)
    yield "longer", np.zeros(5, F32)
    yield "rank 0", np.array(1, F32)
    yield "rank 2", np.zeros((1, 4), F32)
    yield "empty", np.zeros(0, F32)
    yield "strided", np.arange(8, dtype=F32)[::2]
    yield "reversed", np.arange(4, dtype=F32)[::-1]
    yield "broadcast", np.broadcast_to(np.float32(1), (4,))
    yield "misaligned", np.zeros(17, np.uint8)[1:].view(F32)


@pytest.mark.parametrize("odd", [pytest.param(x, id=name) for name, x in misfits()])
def test_what_does_not_fit_goes_to_the_fallback(odd: Any) -> None:
    f = squares()
    name, seen, _ = f(odd)
    assert name == "fallback"
    assert seen[0] is odd


def test_transposes_are_no_c_order() -> None:
    f, x = squares((3, 3)), np.arange(9, dtype=F32).reshape(3, 3)
    assert f(x.T)[0] == "fallback"
    assert f(np.asfortranarray(x))[0] == "fallback"
    np.testing.assert_array_equal(f(x)._data, x * x)


def test_views_read_only_and_unpickled_arrays_fit() -> None:
    f, base = squares(), np.arange(12, dtype=F32)
    np.testing.assert_array_equal(f(base[2:6])._data, base[2:6] ** 2)
    np.testing.assert_array_equal(f(np.frombuffer(base.tobytes(), F32)[:4])._data, base[:4] ** 2)
    copy = pickle.loads(pickle.dumps(base[:4].copy()))
    assert copy.dtype is not F32  # another object, which NumPy says is equal
    np.testing.assert_array_equal(f(copy)._data, base[:4] ** 2)
    np.testing.assert_array_equal(f(base[:4].astype(np.dtype("f4", metadata={"unit": "m"})))._data, base[:4] ** 2)


def test_tensors_arrays_and_ndarrays_are_told_apart() -> None:
    spec = EntrySpec(2, (ParamSpec("arg", 0, F32, (2,)), ParamSpec("array", 1, F32, (2,))),
                     (ResultSpec("out", 0, F32, (2,)), ResultSpec("out", 1, F32, (2,))),
                     (ReturnSpec("out", 0), ReturnSpec("array", 1), ReturnSpec("out", 0)), "tuple")
    f, t, a = make(axpy(2), spec), Tensor([1, 2]), Array([10, 20])
    x, y, z = f(t, a)
    assert (type(x), type(y), z) == (Tensor, Array, x)
    assert (list(x._data), list(y._data)) == ([11, 22], [10, 40])
    for args in ((a, t), (t, t), (a, a), (t, a._data)):
        assert f(*args)[0] == "fallback"


def test_array_types_of_another_layout_are_refused() -> None:
    class Wide(Tensor):
        __slots__ = ("more",)

    with pytest.raises(TypeError, match="laid out"):
        make(square(4), EntrySpec(1, (ParamSpec("array", 0, F32, (4,)),), (), (), "none"), array_type=Wide)
    with pytest.raises(ValueError, match="without an array type"):
        make(square(4), EntrySpec(1, (ParamSpec("array", 0, F32, (4,)),), (), (), "none"), array_type=None)


# -- NumPy scalars

@pytest.mark.parametrize("char", SCALARS)
def test_scalars_of_every_dtype(char: str) -> None:
    dtype = np.dtype(char)
    size = dtype.itemsize
    body = read("x", "in0", "i8") + write("out0", "%x", "i8")  # copies the bytes
    spec = EntrySpec(1, (ParamSpec("scalar", 0, dtype, ()),), (ResultSpec("out", 0, dtype, ()),),
                     (ReturnSpec("out", 0),))
    f = make(compile_module(loop(body, size)), spec)
    for number in (0, 1, 5):
        x = dtype.type(number)
        y = f(x)._data
        assert (y.dtype, y.shape) == (dtype, ())
        assert y[()] == x
    others = [np.dtype(c).type(1) for c in SCALARS if np.dtype(c).type is not dtype.type]
    for odd in (*others, 1, 1.0, True, None, np.array(1, dtype), Tensor(1, dtype)):
        assert f(odd)[0] == "fallback"


# -- arguments that are written to

def step(donor: bool = True, n: int = 2, **options: Any) -> Any:
    """f(x, A): A += x in place or by a copy at the end, returns A * x of before."""
    spec = EntrySpec(2, (ParamSpec("ndarray", 0, F32, (n,)), ParamSpec("ndarray", 1, F32, (n,))),
                     (ResultSpec("ndarray", 1, F32, (n,), 1 if donor else None), ResultSpec("out", 0, F32, (n,))),
                     (ReturnSpec("array", 0),), **options)
    return make(axpy(n), spec)


@pytest.mark.parametrize("gil", [False, True])
@pytest.mark.parametrize("donor", [False, True])
def test_the_caller_sees_what_is_written(donor: bool, gil: bool) -> None:
    f, x, whole = step(donor, drop_gil=gil), np.array([10, 20], F32), np.arange(6, dtype=F32)
    view = whole[2:4]
    for k in range(3):
        y = f(x, view)
        assert list(y._data) == [10 * (2 + 10 * k), 20 * (3 + 20 * k)]
    assert list(whole) == [0, 1, 32, 63, 4, 5]
    assert list(x) == [10, 20]


@pytest.mark.parametrize("donor", [False, True])
def test_written_arguments_are_writeable_and_apart(donor: bool) -> None:
    f, base = step(donor), np.arange(8, dtype=F32)
    frozen = base[:2].copy()
    frozen.flags.writeable = False
    assert f(base[:2], frozen)[0] == "fallback"
    assert not isinstance(f(frozen, base[:2]), tuple)
    base = np.arange(8, dtype=F32)
    for x, A in ((base[:2], base[:2]), (base[:2], base[1:3]), (base[1:3], base[:2]), (base[:2], base[:2].view())):
        assert f(x, A)[0] == "fallback"
    assert list(base) == list(range(8))
    f(base[:2], base[2:4])  # neighbours
    f(base[6:8], base[4:6])
    assert list(base) == [0, 1, 2, 4, 10, 12, 6, 7]


def test_variables_and_tensors_that_share_memory_with_a_written_argument() -> None:
    v, c = Tensor([1, 2]), np.array([1, 2], F32)
    spec = EntrySpec(1, (ParamSpec("ndarray", 0, F32, (2,)), ParamSpec("var", 0, F32, (2,))),
                     (ResultSpec("ndarray", 0, F32, (2,), 0), ResultSpec("out", 0, F32, (2,))), (), "none")
    f = make(axpy(2), spec, variables=[v])
    assert f(v._data)[0] == "fallback"
    assert f(c) is None
    assert list(c) == [2, 4]


STATUS = "define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {\n  ret i32 3\n}"


@pytest.mark.parametrize("donor", [False, True])
def test_failed_calls_leave_arguments_alone(donor: bool) -> None:
    spec = EntrySpec(1, (ParamSpec("ndarray", 0, F32, (2,)),),
                     (ResultSpec("ndarray", 0, F32, (2,), 0 if donor else None),), (), "none")
    x = np.array([1, 2], F32)
    with pytest.raises(Failure):
        make(compile_module(STATUS), spec)(x)
    assert list(x) == [1, 2]


def test_no_reference_is_lost_or_leaked() -> None:
    x, A, thing = np.array([1, 2], F32), np.array([1, 2], F32), np.float64(2)
    scalar = EntrySpec(1, (ParamSpec("scalar", 0, F64, ()),), (ResultSpec("out", 0, F64, ()),),
                       (ReturnSpec("array", 0),))
    copies = compile_module(loop(read("x", "in0", "double") + write("out0", "%x", "double"), 1))
    unpickled = pickle.loads(pickle.dumps(x))
    calls = {"in place": (step(), (x, A)), "copied": (step(donor=False), (x, A)), "overlap": (step(), (x, x)),
             "gil": (step(drop_gil=True), (x, A)), "scalar": (make(copies, scalar), (thing,)),
             "dtype": (step(), (unpickled, A)), "other dtype": (step(), (np.zeros(2), A))}
    watched = [x, A, thing, unpickled, unpickled.dtype, F32, Tensor, Array, np.ndarray, np.float64, None]
    for name, (f, args) in calls.items():
        for count in (100, 100_000):
            gc.collect()
            tracemalloc.start()
            before, start = [sys.getrefcount(w) for w in watched], tracemalloc.get_traced_memory()[0]
            for _ in range(count):
                f(*args)
            gc.collect()
            after, size = [sys.getrefcount(w) for w in watched], tracemalloc.get_traced_memory()[0] - start
            tracemalloc.stop()
        assert all(abs(a - b) < 20 for a, b in zip(after, before, strict=True)), name
        assert size < 4000, name


def test_threads_write_to_arrays_of_their_own() -> None:
    n = 20_000
    f, one = step(n=n, drop_gil=True), np.ones(n, F32)
    arrays = [np.zeros(n, F32) for _ in range(4)]
    threads = [threading.Thread(target=lambda A=A: [f(one, A) for _ in range(100)]) for A in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((A == 100).all() for A in arrays)
