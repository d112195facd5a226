"""Native entries for nested arguments and results, keywords, declared numbers, and calls of single traces; each guard
is made to miss, and what then happens is compared with the Python path."""

from __future__ import annotations

import collections
import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pullback as pb
from pullback.tracer.function import Function

from .native_calls import native, slow_calls
from .test_entry import same

pytestmark = native
f32 = np.float32


class Pair(NamedTuple):
    a: Any
    b: Any


class MyList(list):  # type: ignore[type-arg]
    pass


class MyDict(dict):  # type: ignore[type-arg]
    pass


class MyTensor(pb.Tensor):  # type: ignore[misc, valid-type]
    pass


def t(x: float) -> Any:
    return pb.constant(f32(x))


def nested(n: Any) -> Any:
    """Doubles all numbers of a nest and keeps its shape."""
    if isinstance(n, dict):
        return {k: nested(v) for k, v in n.items()}
    if isinstance(n, (list, tuple)):
        items = [nested(v) for v in n]
        return items if isinstance(n, list) else tuple(items)
    return n if n is None else n * 2.0


NESTS: list[Callable[[], Any]] = [
    lambda: [t(i) for i in range(20)],
    lambda: tuple(t(i) for i in range(20)),
    lambda: {f"k{i}": t(i) for i in reversed(range(20))},
    lambda: {2: t(1), 1: t(2)},
    lambda: {"b": t(1), "a": [t(2), (), [], {}, None, (t(3), {"z": t(4), "y": pb.constant([1.0, 2.0])})]},
    lambda: [[[[t(1)], t(2)], t(3)], t(4)],
    lambda: [np.array([1.0, 2.0], f32), f32(3), t(4)],
    lambda: [t(i) for i in range(300)],
    lambda: Pair(t(1), [t(2)]),
]


@pytest.mark.parametrize("make", NESTS)
def test_nests_are_native_both_ways(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(nested)
    f(make())
    seen = slow_calls(f, monkeypatch)
    for _ in range(3):
        same(f(make()), nested(make()))
    assert seen == []


def test_the_same_tensor_twice_and_shared_results(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(xs: Any, x: Any) -> Any:
        y = xs[0] * x
        return [y, (y, xs[1])]

    f, x = pb.function(twice), t(3)
    f([x, x], x)
    seen = slow_calls(f, monkeypatch)
    out = f([x, x], x)
    assert [float(out[0]), float(out[1][0]), float(out[1][1])] == [9.0, 9.0, 3.0]
    assert seen == []


def misses() -> list[tuple[str, Any]]:
    return [
        ("shorter", [t(1), {"a": t(2)}]),
        ("longer", [t(1), {"a": t(2), "b": t(3)}, t(4)]),
        ("tuple", (t(1), {"a": t(2), "b": t(3)})),
        ("list subclass", MyList([t(1), {"a": t(2), "b": t(3)}])),
        ("dict subclass", [t(1), MyDict(a=t(2), b=t(3))]),
        ("ordered dict", [t(1), collections.OrderedDict(a=t(2), b=t(3))]),
        ("other order", [t(1), {"b": t(2), "a": t(3)}]),
        ("other keys", [t(1), {"a": t(2), "c": t(3)}]),
        ("fewer keys", [t(1), {"a": t(2)}]),
        ("more keys", [t(1), {"a": t(2), "b": t(3), "c": t(4)}]),
        ("int key", [t(1), {"a": t(2), 1: t(3)}]),
        ("tensor subclass", [MyTensor(np.array(1, f32)), {"a": t(2), "b": t(3)}]),
        ("variable", [pb.Variable(f32(1)), {"a": t(2), "b": t(3)}]),
        ("dtype", [pb.constant(np.float64(1)), {"a": t(2), "b": t(3)}]),
        ("shape", [pb.constant([1.0, 2.0]), {"a": t(2), "b": t(3)}]),
        ("number", [1.0, {"a": t(2), "b": t(3)}]),
        ("None", [None, {"a": t(2), "b": t(3)}]),
        ("nothing inside", [t(1), None]),
        ("strided", [t(1), {"a": np.ones(4, f32)[::2], "b": t(3)}]),
    ]


@pytest.mark.parametrize(("name", "arg"), misses(), ids=[n for n, _ in misses()])
def test_nests_that_do_not_fit(name: str, arg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(nested)
    good = [t(1), {"a": t(2), "b": t(3)}]
    f(good)
    seen = slow_calls(f, monkeypatch)
    f(good)
    assert seen == []
    got, expected = f(arg), pb.function(nested)(arg)
    assert len(seen) == 1
    assert type(got) is type(expected)
    same(_plain(got), _plain(expected))
    same(_plain(f(arg)), _plain(expected))  # perhaps native now
    same(f(good), nested(good))


def _plain(x: Any) -> Any:
    if isinstance(x, dict):  # in whatever order: a trace serves all
        return {k: _plain(x[k]) for k in sorted(x, key=str)}
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    return x


def test_each_order_of_a_dict_has_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda d: d["a"] - d["b"])
    orders = [{"a": t(5), "b": t(2)}, {"b": t(2), "a": t(5)}]
    for d in orders:
        f(d)
    seen = slow_calls(f, monkeypatch)
    assert [float(f(d)) for d in orders * 2] == [3.0] * 4
    assert seen == []
    assert f.trace_count == 1


def test_tapes_see_nests() -> None:
    f = pb.function(lambda xs: [x * x for x in xs])
    xs = [t(2), t(3)]
    f(xs)
    with pb.GradientTape() as tape:
        tape.watch(xs)
        ys = f(xs)
    assert [float(g) for g in tape.gradient(ys, xs)] == [4.0, 6.0]
    outer = pb.function(lambda xs: f(xs)[1] + 1.0)
    assert float(outer(xs)) == float(outer(xs)) == 10.0


# -- keywords

def test_keywords_are_native(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x, y=2.0, *, flag=False, **more: (x - y if flag else x + y) + sum(more.values()))
    calls: list[tuple[tuple[Any, ...], dict[str, Any], float]] = [
        ((), {"x": t(5)}, 7.0),
        ((t(5),), {"y": t(1)}, 6.0),
        ((), {"y": t(1), "x": t(5)}, 6.0),
        ((), {"x": t(5), "y": t(1)}, 6.0),
        ((t(5),), {"flag": True}, 3.0),
        ((t(5), 1.5), {"flag": True}, 3.5),
        ((t(5),), {"z": t(10), "a": t(20)}, 37.0),
    ]
    for args, kwargs, _ in calls:
        f(*args, **kwargs)
    seen = slow_calls(f, monkeypatch)
    for args, kwargs, want in calls * 2:
        assert float(f(*args, **kwargs)) == want
    assert seen == []


def test_keywords_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x, y, z=1.0: x * 10.0 + y * z)
    f(t(1), y=t(2))
    seen = slow_calls(f, monkeypatch)
    assert float(f(t(1), y=t(2))) == 12.0
    built = "".join(["", "y"])
    assert float(f(t(1), **{built: t(2)})) == 12.0
    assert seen == []
    for args, kwargs in (((t(1),), {}), ((t(1),), {"x": t(2)}), ((t(1), t(2)), {"y": t(2)}), ((), {"y": t(2)}),
                         ((t(1),), {"w": t(2)}), ((t(1),), {"y": t(2), "w": t(3)})):
        with pytest.raises(TypeError):
            f(*args, **kwargs)
    assert float(f(y=t(2), x=t(1))) == 12.0
    assert float(f(t(1), y=t(2), z=3.0)) == 16.0
    assert float(f(t(1), t(2))) == 12.0
    assert len(seen) == 9


def test_methods_with_keywords(monkeypatch: pytest.MonkeyPatch) -> None:
    class Layer:
        k = 3.0

        @pb.function
        def call(self, x: Any, training: bool = False) -> Any:
            return x * self.k if training else x

    layer = Layer()
    layer.call(t(2), training=True)
    layer.call(x=t(2))
    seen = slow_calls(layer.call.__func__, monkeypatch)
    assert [float(layer.call(t(2), training=True)), float(layer.call(x=t(2)))] == [6.0, 2.0]
    assert seen == []


# -- declared numbers

NUMBERS: list[Any] = [
    3.0, -0.0, 0.1, 1e300, -1e300, 1e-320, 1e-45, float("inf"), float("nan"), 3, 0, -1, 2**24 + 1, 2**31 - 1, 2**31,
    -(2**31), -(2**31) - 1, 2**53 + 1, 2**60 + 1, 16777217 * 2**30 + 1, 2**63 - 1, -(2**63), 2**63, 10**400,
    True, False, np.float64(0.1), np.float64(1e300), f32(1.5), np.array(0.1), np.array(1e300), np.array(0.1, f32),
    np.array(0.1, ">f8"), np.array(3), np.int64(3), np.bool_(True), 1 + 2j, "3", None, [1.0],
]  # fmt: skip


def _outcome(f: Any, x: Any) -> Any:
    try:
        y = f(x)
    except Exception as e:
        return type(e), str(e).split(" [")[0]
    return y.dtype.name, y._data.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool", "uint8", "float16"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_declared_numbers_become_what_python_makes_of_them(dtype: str) -> None:
    spec = [pb.TensorSpec([], getattr(pb, dtype))]
    f = pb.function(lambda x: pb.identity(x), input_signature=spec)
    slow = pb.function(lambda x: pb.identity(x), input_signature=spec)
    for x in NUMBERS * 2:
        assert _outcome(f, x) == _outcome(slow._slow_call, x), x
    assert f.trace_count == 1


def test_declared_numbers_are_native(monkeypatch: pytest.MonkeyPatch) -> None:
    @pb.function(input_signature=[pb.TensorSpec([], pb.float32), {"k": pb.TensorSpec([], pb.int32)}])
    def f(x: Any, d: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = x * x * pb.cast(d["k"], pb.float32)
        return tape.gradient(y, x)

    f(1.0, {"k": 2})
    f(t(1), {"k": pb.constant(2)})
    seen = slow_calls(f, monkeypatch)
    for x in (3.0, 3, np.float64(3), np.array(3.0), t(3)):
        for k in (2, pb.constant(2)) if isinstance(x, pb.Tensor) else (2,):
            if isinstance(x, pb.Tensor) == isinstance(k, pb.Tensor):
                assert float(f(x, {"k": k})) == 12.0
    assert seen == []
    for bad in (True, 2**31):
        if bad is True:
            assert float(f(3.0, {"k": bad})) == 6.0
        else:
            with pytest.raises(TypeError):
                f(3.0, {"k": bad})
    assert len(seen) == 2


def test_declared_arrays_are_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    @pb.function(input_signature=[pb.TensorSpec([None, 3], pb.float32), [pb.TensorSpec([2], pb.float32)]])
    def f(x: Any, ys: Any) -> Any:
        return x * 2.0, ys[0] + 1.0

    rng = np.random.default_rng(0)
    special = np.array([[1e300, -1e300, 1e-320], [np.nan, np.inf, -0.0]])
    wide = [rng.standard_normal((n, 3)) for n in (1, 5, 0, 200)] + [special]
    y = np.array([0.1, 1e39])
    for x in wide:
        f(x, [y])
    seen = slow_calls(f, monkeypatch)
    with np.errstate(over="ignore"):
        for x in wide * 2:
            out, other = f(x, [y])
            np.testing.assert_array_equal(out, x.astype(f32) * f32(2))
            np.testing.assert_array_equal(other, y.astype(f32) + f32(1))
        assert seen == []
        misses = [wide[1][:, ::-1], np.asfortranarray(wide[1]), wide[1].astype(">f8"), wide[1].tolist(), special[::2],
                  np.ones((2, 3), np.float16), np.ones((2, 3), np.int64), np.ma.masked_array(wide[1]),
                  rng.standard_normal((2000, 3))]  # fmt: skip
        for x in misses * 2:
            out, _ = f(x, [y])
            np.testing.assert_array_equal(out, np.asarray(x).astype(f32) * f32(2))
    for bad in (np.ones((2, 4)), np.ones(3), np.ones((2, 3), complex), np.ones((2, 3), bool)):
        with pytest.raises(TypeError):
            f(bad, [y])
    assert f.trace_count == 1


def test_undeclared_numbers_are_still_constants() -> None:
    f = pb.function(lambda x, k: x * k)
    assert [float(f(t(2), k)) for k in (1.5, 3, True, 1.5, 3)] == [3.0, 6.0, 2.0, 3.0, 6.0]


# -- one trace

def test_single_traces_are_native(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda x, y: {"sum": x + y, "both": [x, y]})
    c = f.get_concrete_function(pb.TensorSpec([], pb.float32), pb.TensorSpec([], pb.float32))
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((t(2), t(3)), {}),
        ((2.0, 3), {}),
        ((t(2),), {"y": t(3)}),
        ((), {"y": f32(3), "x": 2}),
        (([t(2), t(3)],), {}),
    ]
    for args, kwargs in calls:
        c(*args, **kwargs)
    seen: list[Any] = []
    original = type(c)._slow_call
    monkeypatch.setattr(type(c), "_slow_call", lambda self, *a, **k: (seen.append(a), original(self, *a, **k))[1])
    for args, kwargs in calls * 2:
        same(c(*args, **kwargs), {"sum": f32(5), "both": [f32(2), f32(3)]})
    assert seen == []
    for args in ((t(2),), (t(2), t(3), t(4)), (t(2), pb.constant([1.0])), (t(2), pb.constant(1))):
        with pytest.raises((TypeError, ValueError)):
            c(*args)
    with pb.GradientTape() as tape:
        x = t(2)
        tape.watch(x)
        y = c(x, t(3))["sum"]
    assert float(tape.gradient(y, x)) == 1.0
    dead = weakref.ref(c)
    del c, f
    gc.collect()
    assert dead() is None


# -- Variables as arguments

def test_variables_as_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    f = pb.function(lambda v, x: v.assign_add(x) * 2.0)
    v, w = pb.Variable(f32(1)), pb.Variable(f32(10))
    f(v, t(1))
    seen = slow_calls(f, monkeypatch)
    assert float(f(v, t(1))) == 6.0
    assert seen == []
    assert float(f(w, t(1))) == 22.0
    assert [float(v), float(w)] == [3.0, 11.0]
    unused = pb.function(lambda v, x: x * 2.0)
    u = pb.Variable(f32(1))
    unused(u, t(1))
    unused(u, t(1))
    dead = weakref.ref(u)
    del u
    gc.collect()
    assert dead() is None


# -- ndarrays that are written to, defaults

def test_writes_to_arrays_in_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(d: Any, k: Any) -> Any:
        d["a"][0] = d["a"][0] + k
        return d["b"][0] * 2.0

    f = pb.function(step)
    a, b = np.array([1.0, 2.0], f32), np.array([3.0, 4.0], f32)
    f({"a": a, "b": [b]}, t(1))
    f({"a": a, "b": [b]}, t(1))
    seen = slow_calls(f, monkeypatch)
    np.testing.assert_array_equal(f({"a": a, "b": [b]}, t(1)), [6, 8])
    assert seen == []
    assert a.tolist() == [4.0, 2.0]
    with pytest.raises(ValueError, match="shares its memory"):
        f({"a": a, "b": [a]}, t(1))
    frozen = np.array([1.0, 2.0], f32)
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        f({"a": frozen, "b": [b]}, t(1))
    assert frozen.tolist() == [1.0, 2.0]


def test_defaults_of_any_kind() -> None:
    for default in (np.ones(3, f32), pb.constant([1.0, 1.0, 1.0]), np.ones(0, f32), (), {}, (1.0,), None, 2.0):
        f = pb.function(lambda x, y=default: x if y is None or isinstance(y, (tuple, dict)) else pb.reduce_sum(x * y))
        for _ in range(3):
            want = pb.function(lambda x, y: x if isinstance(y, (tuple, dict)) or y is None else pb.reduce_sum(x * y))
            same(f(t(2)), want(t(2), default))
            same(f(x=t(2)), want(t(2), default))


# -- references

def test_results_are_apart_from_each_other() -> None:
    f = pb.function(lambda xs: [x + 1.0 for x in xs])
    kept = []
    for i in range(50):
        kept.append(f([t(i), t(-i)]))
        f([t(99), t(99)])
    assert [[float(y) for y in ys] for ys in kept] == [[i + 1.0, 1.0 - i] for i in range(50)]
    y = f([t(1), t(2)])[0]
    view = np.asarray(y)
    del y
    for _ in range(5):
        f([t(7), t(8)])
    assert float(view) == 2.0
    y = f([t(1), t(2)])[0]
    dead = weakref.ref(y)
    del y
    assert dead() is None


def test_a_kept_array_that_was_changed_is_not_used() -> None:
    f = pb.function(lambda x: x + 1.0)
    x = pb.constant([1.0, 2.0, 3.0, 4.0])
    for change in (lambda a: a.setflags(write=False), lambda a: setattr(a, "shape", (2, 2)),
                   lambda a: a.resize((8,), refcheck=False)):  # fmt: skip
        f(x)
        y = f(x)
        change(y._data)
        del y
        for _ in range(3):
            y = f(x)
            assert y._data.shape == (4,)
            assert y._data.flags.writeable
            np.testing.assert_array_equal(y, [2, 3, 4, 5])


def test_calls_leave_no_references() -> None:
    f = pb.function(lambda xs, d, k=None: {"a": [xs[0] * 2.0, xs[1]], "b": (d["y"], None)})
    big = pb.function(lambda x: [x * 2.0])
    fails = pb.function(lambda d: d["x"][d["i"]])
    x, i, d = t(1), pb.constant(9), {"y": t(2), "x": t(3)}
    args: list[Any] = [[x, x], d]
    bad = {"x": pb.constant([1.0, 2.0]), "i": i}
    large = pb.ones([1000])
    things = [x, args[0], d, None, "y", "a", list, dict, tuple, pb.Tensor, np.dtype("float32"), i, bad, bad["x"], large,
              x._data, large._data]  # fmt: skip

    def round_of_calls() -> None:
        f(*args)
        f(*args, k=None)
        big(large)
        f(args[0], {"x": x, "y": x})
        try:
            fails(bad)
        except Exception:
            return
        raise AssertionError

    for _ in range(300):
        round_of_calls()
    gc.collect()
    before = [sys.getrefcount(v) for v in things]
    blocks = sys.getallocatedblocks()
    for _ in range(2000):
        round_of_calls()
    gc.collect()
    after = [sys.getrefcount(v) for v in things]
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 100
    assert abs(sys.getallocatedblocks() - blocks) < 500


def test_memory_that_runs_out_in_the_middle() -> None:
    api = pytest.importorskip("_testcapi")
    f = pb.function(lambda d, k: {"a": [x * k for x in d["xs"]], "b": (k, {"z": k * 2.0})})
    d, k = {"xs": [t(i) for i in range(4)]}, t(2)
    f(d, k)
    before, failed = sys.getrefcount(k._data), 0
    for n in range(1, 60):
        result = None
        api.set_nomemory(n, n + 1)
        try:
            result = f(d, k)
        except MemoryError:
            failed += 1
        finally:
            api.remove_mem_hooks()
        if result is not None:
            assert [float(x) for x in (*result["a"], result["b"][1]["z"])] == [0.0, 2.0, 4.0, 6.0, 4.0]
    after = sys.getrefcount(k._data)
    assert (bool(failed), after) == (True, before)


def test_calls_that_are_never_native_stop_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Any] = []
    from pullback.tracer import entry

    original = entry.form_of
    monkeypatch.setattr(entry, "form_of", lambda *a: (tries.append(a), original(*a))[1])
    f = pb.function(lambda xs: xs[0] * 2.0)
    for _ in range(20):
        assert float(f(MyList([t(2)]))) == 4.0
    assert 0 < len(tries) < 6
    assert isinstance(f, Function)
