"""Lists that loops fill: through stacked buffers where the loop is one of the IR, and still lists afterwards."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.verifier import verify

weights = [pb.constant(float(k), pb.float64) for k in range(10)]


def used_in_every_way(x: Any) -> Any:
    out = []
    for i in range(10):
        out.append(x * i)
    by_tensor = out[pb.constant(2)]
    stacked = pb.stack(out), pb.stack(out, 1), np.stack(out), np.stack(out, axis=-1), pb.concat(out, 0)
    parts = out[2:5][0], out[-1], out[3], by_tensor, sum(out), pb.add_n(out), out[::-2][1]
    return stacked, parts, len(out), isinstance(out, list), pb.reduce_mean(out)


def last_element(x: Any) -> Any:
    out = [x]
    for i in range(10):
        out.append(out[-1] * 0.5 + i)
    twice = [x, x * 2.0]
    for i in range(10):
        twice.append(twice[-1] * 0.5)
        twice.append(twice[-1] + i)
    return pb.stack(out), pb.stack(twice)


def iterated(x: Any) -> Any:
    out = []
    for i in range(10):
        out.append(pb.sin(x * i))
    s = 0.0
    for k, a in enumerate(out):
        s = s + a * k
    for a in reversed(out):
        s = s * 0.5 + a
    for a, i in zip(out, range(10), strict=True):
        s = s + a * i
    return s


def comprehension(x: Any) -> Any:
    k = 2.0
    a = [x * i + k for i in range(40)]
    b = [x[j] for j in range(3)]
    return pb.stack(a), a[7], sum(b), [pb.reduce_sum(a[i]) * i for i in range(20)]


def comprehension_by_index(x: Any) -> Any:
    many = weights * 3
    return pb.stack([x * many[i] for i in range(30)]), [f"{i}" for i in range(30)].index("7")


def returned(x: Any) -> Any:
    out = []
    for i in range(10):
        out.append(x[i])
    return out


def nested(x: Any) -> Any:
    out, rows = [], []
    for i in range(6):
        row = []
        for j in range(7):
            out.append(x[i] * x[j])
            row.append(x[i] + x[j])
        rows.append(pb.stack(row))
    return pb.stack(out), pb.stack(rows)


def two_at_once(x: Any) -> Any:
    a, b = [], []
    for i in range(10):
        a.append(x)
        b.append(x[i])
        x = x * 1.1
        a.append(x)
    return pb.stack(a), pb.stack(b)


def in_two_loops(x: Any) -> Any:
    a = []
    for i in range(9, 0, -2):
        a.append(x * i)
    a.append(x)
    for i in range(0, 30, 5):
        a.append(x + i)
    return pb.stack(a), len(a), a[4], a[5], a[6]


def in_a_helper(x: Any) -> Any:
    def fill(n: int) -> Any:
        out = []
        for i in range(n):
            out.append(x * i)
        return out

    return pb.stack(fill(8)) + pb.stack(fill(8))


def empty_at_first(x: Any) -> Any:
    out = []
    for i in range(10):
        if i > 0:
            out.append(out[-1] * 0.5)
        else:
            out.append(x)
    return pb.stack(out)


def on_some_trips(x: Any) -> Any:
    out = []
    for i in range(10):
        if i % 2 == 0:
            out.append(x[i])
    return pb.stack(out)


def by_another_name(x: Any) -> Any:
    out = []
    other = out
    for i in range(10):
        out.append(x[i])
    return pb.stack(other)


def in_a_dict(x: Any) -> Any:
    out = []
    d = {"a": out}
    for i in range(10):
        out.append(x[i])
    return pb.stack(d["a"])


def stored_in_the_body(x: Any) -> Any:
    out = []
    d = {}
    for i in range(10):
        d["a"] = out
        out.append(x[i])
    return pb.stack(d["a"])


def of_the_caller(x: Any) -> Any:
    def fill(out: Any) -> None:
        for i in range(10):
            out.append(x * i)

    items: list[Any] = []
    fill(items)
    return pb.stack(items)


def length(x: Any) -> Any:
    out = []
    for i in range(10):
        out.append(x[i] * len(out))
    return pb.stack(out)


def stopped(x: Any) -> Any:
    out = []
    for i in range(10):
        out.append(x[i])
        if i == 5:
            break
    return pb.stack(out)


def numbers(x: Any) -> Any:
    out = []
    for i in range(10):
        x = x + i
        out.append(i)
    return x * out[3]


def of_growing_shape(x: Any) -> Any:
    out = []
    for i in range(6):
        out.append(x[:i])
    return pb.concat(out, 0)


def changed_otherwise(x: Any) -> Any:
    out = [x]
    for i in range(6):
        out.append(x * i)
        out[0] = out[0] + out[-1]
    return pb.stack(out)


ROLLED = [
    comprehension,
    used_in_every_way,
    last_element,
    iterated,
    returned,
    nested,
    two_at_once,
    in_two_loops,
    in_a_helper,
]
UNROLLED = [
    comprehension_by_index,
    on_some_trips, by_another_name, in_a_dict, stored_in_the_body, of_the_caller, length, stopped, numbers,
    of_growing_shape, changed_otherwise,
]  # fmt: skip
X = pb.constant(np.arange(1.0, 11.0))


def run(f: Callable[[Any], Any]) -> tuple[list[Any], Any]:
    with pb.GradientTape() as tape:
        tape.watch(X)
        outs = pb.nest.flatten(f(X))
        floats = [y for y in outs if isinstance(y, pb.Tensor) and y.dtype.is_floating]
        loss = pb.add_n([pb.reduce_sum(pb.sin(y)) for y in floats])
    return outs, tape.gradient(loss, X)


def check(f: Callable[[Any], Any]) -> Any:
    g = pb.function(f)
    (expected, grad), (found, compiled_grad) = run(f), run(g)
    for e, y in zip(expected, found, strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(e), rtol=1e-12)
    np.testing.assert_allclose(compiled_grad, grad, rtol=1e-10)
    concrete = g.get_concrete_function(X)
    verify(concrete.ir)
    return concrete


@pytest.mark.parametrize("f", ROLLED, ids=lambda f: f.__name__)
def test_rolled(f: Callable[[Any], Any]) -> None:
    assert {(n.reason, n.first) for n in check(f).loops} == {(None, None)}


@pytest.mark.parametrize("f", UNROLLED, ids=lambda f: f.__name__)
def test_unrolled(f: Callable[[Any], Any]) -> None:
    assert None not in {n.reason for n in check(f).loops}


def test_the_first_trip_may_find_the_list_empty() -> None:
    (note,) = check(empty_at_first).loops
    assert note.reason is None
    assert "read before it has an element" in note.first


def test_the_program_does_not_grow_with_the_list() -> None:
    def ops(n: int) -> int:
        @pb.function
        def f(x: Any) -> Any:
            out = [x]
            for i in range(n):
                out.append(out[-1] * 0.5 + i)
            s = 0.0
            for a in out:
                s = s + a
            return s, sum(out), pb.reduce_max(pb.stack(out), 0), out[n // 2]

        return sum(1 for _ in f.get_concrete_function(X).ir.body.walk())

    assert ops(10) == ops(10_000_000)


def test_a_list_that_a_loop_filled_takes_no_other_tensors() -> None:
    @pb.function
    def f(x: Any) -> Any:
        out = []
        for i in range(10):
            out.append(x * i)
        out.append(x[0])
        return out[0]

    with pytest.raises(TypeError, match=r"cannot be appended: write `items = list\(items\)` before.*test_append.py"):
        f(X)


def changed(x: Any) -> Any:
    out = []
    for i in range(10):
        out.append(x * i)
    out[0] = x + 1.0
    out[-2] = out[0] * 2.0
    del out[3]
    out.insert(1, x * 0.5)
    out.insert(-100, x * 0.25)
    out.insert(100, x * 0.125)
    last, third = out.pop(), out.pop(2)
    out[2:4] = [x, x * 3.0, x * 4.0]
    del out[-2:]
    out.reverse()
    out.append(last)
    emptied = []
    for i in range(10):
        emptied.append(x - i)
    emptied.clear()
    emptied.append(third)
    return pb.stack(out), len(out), emptied[0], len(emptied)


def test_elements_are_replaced_moved_and_taken_out() -> None:
    expected = changed(X)
    x = pb.constant(X)
    with pb.GradientTape(persistent=True) as tape:
        tape.watch(x)
        eager, compiled = changed(x), pb.function(changed)(x)
    for e, g, c in zip(expected, eager, compiled, strict=True):
        np.testing.assert_allclose(g, e)
        np.testing.assert_allclose(c, e)
    np.testing.assert_allclose(tape.gradient(compiled[0], x), tape.gradient(eager[0], x))


@pytest.mark.parametrize("change", ["out[10] = x", "del out[-11]", "out.pop(10)"])
def test_a_change_of_no_element_is_an_index_error(change: str) -> None:
    made: dict[str, Any] = {}
    lines = ["out = []", "for i in range(10):", "    out.append(x * i)", change, "return out[0]"]
    text = "\n    ".join(["def f(x):", *lines]) + "\n"
    name = f"<change {change}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), made)
    with pytest.raises(IndexError, match="out of range for 10 elements"):
        pb.function(made["f"])(X)


# ---------------------------------------------------------------- NumPy's arrays, which others may write to
def np_fresh(x: Any) -> Any:
    out = []
    for i in range(10):
        row = np.zeros(3)
        row[0] = x[i]
        row[1:] = x[i] * i
        out.append(row)
    return np.stack(out), np.array(out), out[3].sum(), np.concatenate(out)


def np_same_object(x: Any) -> Any:
    out, y = [], x * 1.0
    for i in range(10):
        y[0] += i
        out.append(y)
    return np.stack(out)


def np_copy(x: Any) -> Any:
    out, y = [], x * 1.0
    for i in range(10):
        y[0] += i
        out.append(y.copy())
    return np.stack(out)


def np_rebound(x: Any) -> Any:
    out, y = [], x * 1.0
    for _i in range(10):
        y = y * 1.1
        out.append(y)
    return np.stack(out), y


def np_written_later(x: Any) -> Any:
    out, y = [], x * 1.0
    for _i in range(10):
        y[0] += 1.0
        y = y * 1.1
        out.append(y)
    return np.stack(out), y


def np_written_after_append(x: Any) -> Any:
    out = []
    for i in range(10):
        y = x * i
        out.append(y)
        y[0] = 7.0
    return np.stack(out)


def np_after_loop(x: Any) -> Any:
    out, y = [], x * 1.0
    for _i in range(10):
        y = y * 1.1
        out.append(y)
    y[0] = 5.0
    return np.stack(out), y


def np_views(x: Any) -> Any:
    out, y = [], x * 1.0
    for i in range(8):
        out.append(y[i : i + 2])
    return np.stack(out)


def np_views2(x: Any) -> Any:
    out, y = [], x * 1.0
    for i in range(8):
        out.append(y[i : i + 2])
        y[i + 1] = 0.0
    return np.stack(out)


def np_element_written(x: Any) -> Any:
    out = []
    for i in range(10):
        out.append(x * i)
    out[3][0] = 5.0
    return np.stack(out)


def np_last(x: Any) -> Any:
    out = [x * 1.0]
    for i in range(10):
        out.append(out[-1] * 0.5 + i)
    return np.stack(out)


def np_last_written(x: Any) -> Any:
    out = [x * 1.0]
    for i in range(10):
        out[-1][0] = 3.0
        out.append(out[-1] * 0.5 + i)
    return np.stack(out)


NUMPY_ROLLED = [np_fresh, np_copy, np_rebound, np_views, np_last]
NUMPY_UNROLLED = [np_same_object, np_written_later, np_written_after_append, np_views2, np_last_written]


@pytest.mark.parametrize("f", [*NUMPY_ROLLED, *NUMPY_UNROLLED], ids=lambda f: f.__name__)
def test_arrays_that_others_may_write_to(f: Callable[[Any], Any]) -> None:
    g = pb.function(f)
    found, expected = pb.nest.flatten(g(np.arange(1.0, 11.0))), pb.nest.flatten(f(np.arange(1.0, 11.0)))
    for e, y in zip(expected, found, strict=True):
        np.testing.assert_allclose(np.asarray(y), e, rtol=1e-12)
    (note,) = g.get_concrete_function(np.arange(1.0, 11.0)).loops
    assert (note.reason is None) == (f in NUMPY_ROLLED)


@pytest.mark.parametrize("f", [np_after_loop, np_element_written], ids=lambda f: f.__name__)
def test_a_write_that_the_list_would_not_see_is_refused(f: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"this writes to .*list.*test_append.py"):
        pb.function(f)(np.arange(1.0, 11.0))
