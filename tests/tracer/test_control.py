"""Control flow on tensors: traced functions give what eager Python gives, as native loops and branches of the IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.verifier import verify
from pullback.tracer.control_region import depth

v = pb.Variable(1.0)


def traced(f: Any, *args: Any) -> Any:
    """The compiled result, after a check of the IR."""
    g = pb.function(f)
    before = depth()
    out = g(*args)
    verify(g.get_concrete_function(*args).ir)
    assert depth() == before
    return out


def same(f: Callable[..., Any], *args: Any) -> None:
    expected, found = pb.nest.flatten(f(*args)), pb.nest.flatten(traced(f, *args))
    assert len(expected) == len(found)
    for e, x in zip(expected, found, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(e), rtol=1e-6)


def swap(n: Any) -> Any:
    a, b = pb.constant(0), pb.constant(1)
    for _ in pb.range(n):
        a, b = b, a + b
    return a


def nested_with_else(n: Any) -> Any:
    s = 0.0
    for i in range(n):
        for j in range(i):
            if j > 2:
                break
            s += pb.cast(i * j, pb.float32)
        else:
            continue
        s += 1.0
    return s


def return_in_loop(n: Any) -> Any:
    x = pb.constant(3.0)
    for i in range(n):
        x = x * 2.0
        if x > 50.0:
            return x, i
    return -x, n


def while_true(n: Any) -> Any:
    k, x = 0, 3.0
    while True:
        x = x * 1.5
        k += 1
        if k > n:
            break
    return x, k


def while_else(n: Any) -> Any:
    i = s = 0
    while i < n:
        i += 1
        if i % 3 == 0:
            continue
        s += i
        if s > 20:
            break
    else:
        s = -s
    return i, s


def variable(n: Any) -> Any:
    v.assign(1.0)
    for _ in pb.range(n):
        v.assign_add(v * 0.5)
        if v > 3.0:
            v.assign(v - 2.0)
    while v < 10.0:
        v.assign_add(1.5)
    return v.read_value() * 2.0


def value_read_before_the_loop(n: Any) -> Any:
    v.assign(1.0)
    old = v.read_value()
    for _ in pb.range(n):
        v.assign_add(old)
    last = old
    for _ in pb.range(n):
        last = v.read_value()
        v.assign_add(1.0)
    return v.read_value(), old, last


def gradient_descent(n: Any) -> Any:
    v.assign(0.0)
    for _ in pb.range(n):
        with pb.GradientTape() as t:
            loss = v * v - 2.0 * v + 1.0
        v.assign_sub(0.01 * t.gradient(loss, v))
    return v.read_value()


def structures(n: Any) -> Any:
    state = {"a": pb.constant(1.0), "b": (pb.constant(2.0), pb.constant(3))}
    for _ in pb.range(n):
        state = {"a": state["a"] * 2.0, "b": (state["b"][0] + state["a"], state["b"][1] + 1)}
    return state


def changed_in_place(n: Any) -> Any:
    table = {"a": pb.constant(1.0)}
    items = [pb.constant(1.0), 2.0]
    for _ in pb.range(n):
        table["a"] = table["a"] * 2.0
        items[0] += table["a"]
        if table["a"] > 4.0:
            items[1] = items[1] + 1.0
    return table, items


class Box:
    """An object with state."""

    def __init__(self) -> None:
        self.x: Any = pb.constant(1.0)
        self.y: Any = 0.0

    def run(self, n: Any) -> Any:
        for _ in pb.range(n):
            self.x = self.x * 2.0
            if self.x > 5.0:
                self.y = self.y + self.__double(self.x)
        return self.x, self.y

    def __double(self, x: Any) -> Any:
        return 2.0 * x if x < 20.0 else x


def attributes(n: Any) -> Any:
    return Box().run(n)


def used_after_the_loop(n: Any) -> Any:
    for i in range(n):
        y = i * 2
    return y, i


def counts_down(n: Any) -> Any:
    s = 0
    for i in range(n, -3, -2):
        s = s * 3 + i
    return s


def walrus(n: Any) -> Any:
    s, x = 0.0, pb.cast(n, pb.float32)
    while (y := x * 0.5) > 0.2:
        s += y
        x = y
    return s, y


def expressions(n: Any) -> Any:
    a = pb.cast(n, pb.float32)
    return 0.0 < a <= 3.0, (a > 1.0 and not a > 3.0), 1.0 if a < 2.0 or a > 4.0 else 2.0, (a if n else -a)


def lazy_and(n: Any) -> Any:
    x = pb.constant([1.0, 2.0, -1.0, 3.0])
    i = 0
    while i < 4 and x[i] > 0.0:
        i += 1
    return i


def exceptions(n: Any) -> Any:
    y = n
    try:
        if n > 0:
            raise ValueError
    except ValueError:
        y = n * 2
    finally:
        y = y + 1
    if y > 3:
        y = y * 10
    return y


def nested_functions(n: Any) -> Any:
    total = 0

    def add(k: Any) -> Any:
        nonlocal total
        total = total + k
        return total if total > 3 else -total

    for i in range(n):
        add(i)
    return add(n), total, [(lambda y, k=k: y * k if y > 2 else y)(n) for k in range(3)]


def many_returns(n: Any) -> Any:
    if n > 5:
        if n > 7:
            return n
        n = n + 1
    elif n < 2:
        return -n
    for i in range(n):
        if i * i > n:
            if i > 2:
                return i * 100
            return i
    return n * 1000


PROGRAMS = [
    swap, nested_with_else, return_in_loop, while_true, while_else, variable, value_read_before_the_loop,
    gradient_descent, structures, changed_in_place, attributes, used_after_the_loop, counts_down, walrus, expressions,
    lazy_and, exceptions, nested_functions, many_returns,
]  # fmt: skip


@pytest.mark.parametrize("n", [1, 3, 6, 9])
@pytest.mark.parametrize("program", PROGRAMS)
def test_compiled_is_eager(program: Callable[..., Any], n: int) -> None:
    same(program, pb.constant(n))


def over_rows(x: Any) -> Any:
    acc = 0
    for i, r in enumerate(x):
        acc = acc + r * pb.cast(i, pb.float32)
    for a, b in zip(x, reversed(x), strict=True):
        acc = acc + a * b
    for i in range(len(x)):
        acc = acc + x[i]
    for t in pb.range(0.0, 1.0, 0.25):
        acc = acc + t
    return acc


def test_rows_enumerate_zip_reversed() -> None:
    x = pb.constant(np.arange(6, dtype=np.float32).reshape(3, 2))
    same(over_rows, x)
    f = pb.function(over_rows, input_signature=[pb.TensorSpec([None, 2], pb.float32)])
    np.testing.assert_allclose(f(x), over_rows(x))
    np.testing.assert_allclose(f(x[:2]), over_rows(x[:2]))
    assert f.trace_count == 1


def test_a_tensor_loop_is_one_op_and_its_body_traced_once() -> None:
    count = []

    @pb.function
    def f(n: Any) -> Any:
        s = pb.constant(0.0)
        for i in pb.range(n):
            count.append(1)
            v.assign_add(1.0)
            s = s + pb.cast(i, pb.float32)
        return s

    f(pb.constant(1000))
    assert len(count) == 1
    ops = [op.kind.name for op in f.get_concrete_function(pb.constant(1000)).ir.body.ops]
    assert ops.count("for") == 1
    assert len(ops) < 8


def test_python_loops_unroll() -> None:
    seen = []

    @pb.function
    def f(x: Any) -> Any:
        for i in range(3):
            seen.append(i)
            if x > 100.0:
                break
            x = x + float(i)
        return x

    assert f(pb.constant(1.0)).numpy() == 4.0
    assert f(pb.constant(200.0)).numpy() == 200.0
    assert seen == [0, 1, 2]


def test_gradients() -> None:
    def f(x: Any) -> Any:
        y = x
        for _ in pb.range(3):
            y = y * x
        return y * 2.0 if y > 0.0 else pb.sqrt(y)

    x = pb.constant(2.0)
    g = pb.function(f)
    with pb.GradientTape() as t:
        t.watch(x)
        y = g(x)
    assert t.gradient(y, x).numpy() == 64.0

    @pb.function
    def inside(x: Any) -> Any:
        with pb.GradientTape() as outer:
            outer.watch(x)
            with pb.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            first = tape.gradient(y, x)
        return first, outer.gradient(first, x)

    first, second = inside(x)
    assert (first.numpy(), second.numpy()) == (64.0, 96.0)


# ---------------------------------------------------------------- errors
def line_of(f: Any, offset: int) -> str:
    return f"test_control.py:{f.__code__.co_firstlineno + offset}"


def unset(x: Any) -> Any:
    if x > 0:
        y = x
    return y


def other_dtype(x: Any) -> Any:
    if x > 0:
        y = pb.constant(1)
    else:
        y = x
    return y


def half_returned(x: Any) -> Any:  # noqa: RET503 - what the test is about
    if x > 0:
        return x


def grows(x: Any) -> Any:
    y = pb.constant([1.0])
    while x > 0:
        y = pb.concat([y, y], 0)
        x = x - 1
    return y


def changes_dtype(x: Any) -> Any:
    y = pb.constant(1)
    while x > 0:
        y = pb.cast(y, pb.float32) * 2.0
        x = x - 1
    return y


def collects(x: Any) -> Any:
    out: list[Any] = []
    while x > 0:
        out.append(x)
        x = x - 1
    return out


def ambiguous(x: Any) -> Any:
    if pb.stack([x, x]) > 0:
        return x
    return -x


@pytest.mark.parametrize(
    ("f", "kind", "offset", "words"),
    [
        (unset, ValueError, 3, ("'y'", "else branch", "line")),
        (unset, UnboundLocalError, 1, ("'y'",)),
        (other_dtype, TypeError, 1, ("'y'", "i32", "f32", "pb.cast")),
        (half_returned, ValueError, 2, ("return",)),
        (grows, ValueError, 2, ("'y'", "f32[1]", "f32[2]")),
        (changes_dtype, TypeError, 2, ("'y'", "i32", "f32")),
        (collects, TypeError, 2, ("'out", "structure")),
        (ambiguous, ValueError, 1, ("reduce_any",)),
    ],
)
def test_errors_name_variable_types_and_line(
    f: Any, kind: type[Exception], offset: int, words: tuple[str, ...]
) -> None:
    g = pb.function(f)
    before = depth()
    with pytest.raises(kind) as e:
        g(pb.constant(1.0))
    text = str(e.value)
    for w in words:
        assert w in text or w == "line", text
    assert line_of(f, offset) in text.replace("\n", " "), text
    assert depth() == before


def test_an_assertion_is_checked_at_run_time() -> None:
    @pb.function
    def f(x: Any) -> Any:
        assert x > 0, "must be positive"
        return x

    assert f(pb.constant(1.0)).numpy() == 1.0
    with pytest.raises(pb.errors.InvalidArgumentError, match="must be positive"):
        f(pb.constant(-1.0))


def test_switches() -> None:
    @pb.autograph.experimental.do_not_convert
    def helper(x: Any) -> Any:
        if x > 0:
            return x
        return -x

    with pytest.raises(TypeError):
        pb.function(lambda x: helper(x))(pb.constant(1.0))
    with pytest.raises(TypeError):
        pb.function(lambda x: x if x > 0 else -x, autograph=False)(pb.constant(1.0))


class Sign(pb.keras.layers.Layer):
    """A layer of the user's with control flow."""

    def call(self, x: Any) -> Any:
        return x if pb.reduce_sum(x) > 0.0 else -x


def test_layers_of_the_user() -> None:
    layer = Sign()
    assert pb.function(lambda x: layer(x))(pb.constant([[-1.0, -2.0]])).numpy().tolist() == [[1.0, 2.0]]
    assert layer(pb.constant([[-1.0]])).numpy().tolist() == [[1.0]]


# ---------------------------------------------------------------- the functional forms
def functional(e: Any) -> Any:
    return [
        pb.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), [pb.constant(0), pb.constant(0)]),
        pb.while_loop(lambda i: pb.constant(True), lambda i: [i + 1], [pb.constant(0)], maximum_iterations=7),
        pb.cond(e[0] > 0.0, lambda: e * 2.0, lambda: e * 3.0),
        pb.case([(e[0] > 1.0, lambda: e), (e[0] > 0.0, lambda: -e)], default=lambda: e * 5.0),
        pb.switch_case(pb.cast(e[0], pb.int32), [lambda: e, lambda: e + 1.0, lambda: e + 2.0]),
        pb.map_fn(lambda x: (x * x, -x), e),
        pb.scan(lambda a, x: a + x, e),
        pb.scan(lambda a, x: a * x, e, initializer=1.0, reverse=True),
        pb.foldl(lambda a, x: a * 2.0 + x, e),
        pb.foldr(lambda a, x: a - x, e),
    ]


@pytest.mark.parametrize("first", [-1.0, 0.0, 1.0, 2.0, 7.0])
def test_functional_forms(first: float) -> None:
    same(functional, pb.constant([first, 2.0, 3.0]))


def test_functional_forms_by_hand() -> None:
    e = pb.constant([1.0, 2.0, 3.0])
    found = [np.asarray(x).tolist() for x in pb.nest.flatten(functional(e))]
    assert found == [
        5, 10, 7, [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0], [2.0, 3.0, 4.0], [1.0, 4.0, 9.0], [-1.0, -2.0, -3.0],
        [1.0, 3.0, 6.0], [6.0, 6.0, 3.0], 11.0, 0.0,
    ]  # fmt: skip
