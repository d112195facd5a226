"""`print`, f-strings and `assert` in compiled functions: what they show is what the same Python shows eagerly."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.tracer.execute import Compiled

from ..modes import eagerly

w = pb.Variable([1.0, 2.0], name="w")


def counting(x: Any, m: Any) -> Any:
    for i in pb.range(m):
        print("i =", i, [x, {"a": (i, 3)}], f"x0={x[0]:.3f} {i!r} {i!s} {i}", w, None, 1.5)
        if i > 0:
            print(f"{i:>4}|{x}", "positive", sep="|", end=" END\n", flush=True)
        else:
            print(x, file=sys.stderr)
        w.assign_add([1.0, 1.0])
    print(pb.reduce_sum(x), x > 1.0, sep="")
    pb.print(f"pb {x} {m:03d}", x, "and", [m], output_stream=sys.stdout, summarize=1)
    return x


def arrays(a: Any) -> Any:
    a[1] = 4.0
    print("a", a, a[1:], a.shape)
    print(f"{a} {a.sum():.2f}")
    return a * 2


def early(x: Any) -> Any:
    k = pb.constant(0)
    while x > 1.0:
        print(k, x)
        if k > 2:
            print("enough", f"{k}")
            return x
        x, k = x / 2.0, k + 1
    return x


def python_values(x: Any) -> Any:
    names = ["a", "b"]
    print(f"{x}{x:.1f}{names} {len(names)}{{}}", ", ".join(names), f"{'nested ' + f'{x:5.1f}'}")
    return x


def numbers(x: Any) -> Any:
    k = 0
    while x > 1.0:
        x, k = x / 2.0, k + 1
        print("k is", end=" ")
        print(f"{int(k):2d}")
        if x < 2.0:
            print("small")
        else:
            print("large")
    for i in range(30):
        if i % 10 == 3:
            x = x * 0.5
            print(i, float(i), i > 3, [i], f"{i:03d} {i / 4} {x}", x)
    return x


def computed_sizes(x: Any, k: Any) -> Any:
    for j in range(6):
        if j < k:
            print(j, x[j, j:k], x[j, :k], f"{x[1:k, j]}")
            pb.print(x[1:k, j], [x[::2][:k]], output_stream=sys.stdout)
    assert pb.reduce_sum(x[0, :k]) < 4.0, f"the row is {x[0, :k]}"
    return x


CASES = [
    (counting, ([1.0, 2.5], 3)),
    (counting, ([float(k) for k in range(10)], 1)),
    (arrays, (np.arange(3.0),)),
    (early, (100.0,)),
    (early, (3.0,)),
    (python_values, (2.0,)),
    (numbers, (30.0,)),
    (numbers, (0.5,)),
    (computed_sizes, (np.arange(36.0, dtype=np.float32).reshape(6, 6).tolist(), 3)),
]


def given(args: Any) -> list[Any]:
    return [pb.constant(a) if not isinstance(a, np.ndarray) else np.array(a) for a in args]


@pytest.mark.parametrize("k", range(len(CASES)))
def test_the_text_is_that_of_eager_runs(k: int, capsys: Any) -> None:
    fn, args = CASES[k]
    w.assign([1.0, 2.0])
    with eagerly():
        f = pb.function(fn)
        f(*given(args))
    want = capsys.readouterr()
    assert want.out
    for _ in range(3):  # the trace, the first entry, the native call
        w.assign([1.0, 2.0])
        f(*given(args))
        assert capsys.readouterr() == want
    concrete = f.get_concrete_function(*given(args))
    assert all(isinstance(e, Compiled) for e in concrete.plain.op._executables.values())


def test_under_tapes_each_print_happens_once(capsys: Any) -> None:
    @pb.function
    def f(x: Any) -> Any:
        for i in pb.range(3):
            print(f"{i}: {x:.2f}")
            x = pb.sin(x)
        return x

    x = pb.constant(1.0)
    f(x)
    want = capsys.readouterr().out
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert capsys.readouterr().out == want == "0: 1.00\n1: 0.84\n2: 0.75\n"
    slope = float(tape.gradient(y, x))
    assert capsys.readouterr().out == ""
    np.testing.assert_allclose(slope, np.cos(1.0) * np.cos(np.sin(1.0)) * np.cos(np.sin(np.sin(1.0))), rtol=1e-6)

    @pb.function
    def inside(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)

    assert float(inside(x)) == pytest.approx(slope)
    assert capsys.readouterr().out == want


def test_text_is_a_string_while_tracing() -> None:
    seen: list[str] = []

    @pb.function
    def f(x: Any) -> Any:
        seen.append(f"<{x}> {len('ab')}")
        seen.append(f"{2:03d}")
        return x

    f(pb.constant(1.0))
    assert seen == ['<Tensor("x:0", shape=(), dtype=float32)> 2', "002"]
    assert [type(s) for s in seen] != [str, str]
    assert type(seen[1]) is str


def test_other_files_are_refused(tmp_path: Any) -> None:
    @pb.function
    def f(x: Any) -> Any:
        with open(tmp_path / "log", "w") as file:
            print("plain", file=file)
            print(x, file=file)
        return x

    with pytest.raises(ValueError, match=r"sys\.stdout.*test_control_text\.py:\d+"):
        f(pb.constant(1.0))
    assert (tmp_path / "log").read_text() == "plain\n"


# ------------------------------------------------------------ assertions
def checked(x: Any, n: Any) -> Any:
    for i in pb.range(n):
        x = x * 0.5
        assert x > 0.1, f"x is {x:.3f} in trip {i} of {n}"
    return x


def line_of(fn: Any, word: str) -> str:
    import inspect

    lines, first = inspect.getsourcelines(fn)
    return f"test_control_text.py:{first + next(k for k, text in enumerate(lines) if word in text)}"


def test_assertions_show_the_values_of_the_run_and_the_line() -> None:
    f = pb.function(checked)
    for _ in range(3):
        assert float(f(pb.constant(1.0), pb.constant(3))) == 0.125
    with pytest.raises(AssertionError) as plain:
        checked(1.0, 10)
    for kind in (AssertionError, pb.errors.InvalidArgumentError):
        for _ in range(3):
            with pytest.raises(kind) as e:
                f(pb.constant(1.0), pb.constant(10))
            words = str(plain.value).splitlines()[0]  # pytest adds lines of its own
            assert words == "x is 0.062 in trip 3 of 10"
            assert str(e.value).endswith(words)
            assert line_of(checked, "assert") in str(e.value)
    x = pb.constant(1.0)
    with pb.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(AssertionError, match=r"x is 0\.062 in trip 3 of 10"):
            f(x, pb.constant(10))
    assert float(f(x, pb.constant(2))) == 0.25


def test_assertions_show_what_of_an_array_counts() -> None:
    f, x = pb.function(computed_sizes), pb.reshape(pb.range(36.0), [6, 6])
    for _ in range(3):
        with pytest.raises(AssertionError, match=r"the row is \[0\. 1\. 2\. 3\.\]\n"):
            f(x, pb.constant(4))


def test_assertions_fail_in_the_thread_that_calls() -> None:
    f = pb.function(checked)
    f(pb.constant(1.0), pb.constant(3))
    wrong: list[str] = []

    def work(k: int) -> None:
        for j in range(100):
            fails, n = (j + k) % 2 == 1, 4 + k
            try:
                f(pb.constant(1.0), pb.constant(n if fails else 3))
                wrong.extend(["did not fail"] * fails)
            except AssertionError as e:
                if not fails or f"trip 3 of {n}" not in str(e):
                    wrong.append(str(e))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_assertions_without_words_and_of_the_library() -> None:
    @pb.function
    def f(x: Any) -> Any:
        pb.debugging.assert_less(x, 3.0, message="too large")
        assert pb.reduce_all(x > 0.0)
        return x + 1.0

    for _ in range(3):
        np.testing.assert_array_equal(f(pb.constant([1.0, 2.0])), [2.0, 3.0])
    with pytest.raises(pb.errors.InvalidArgumentError, match=r"too large.*x < y.*\[1 5\]"):
        f(pb.constant([1.0, 5.0]))
    with pytest.raises(AssertionError, match=r"assertion failed at .*test_control_text\.py:\d+\n"):
        f(pb.constant([-1.0, 2.0]))


# ------------------------------------------------------------ integers and indices
def test_integers_fail_as_in_eager_mode_and_name_the_line() -> None:
    def divided(a: Any, b: Any) -> Any:
        c = a + 1
        return c // b, c % b, c**b

    f = pb.function(divided)
    a = pb.constant([7, -7])
    for _ in range(3):
        for got, want in zip(f(a, pb.constant([2, 3])), divided(np.int32([7, -7]), np.int32([2, 3])), strict=True):
            np.testing.assert_array_equal(got, want)
    for bad in ([0, 1], [1, 0], [-1, 2]):
        with pytest.raises(pb.errors.InvalidArgumentError):
            divided(a, pb.constant(bad))
        for _ in range(2):
            with pytest.raises(pb.errors.InvalidArgumentError, match=line_of(divided, "c // b")):
                f(a, pb.constant(bad))


def test_bounds_are_checked_unless_switched_off() -> None:
    def pick(x: Any, i: Any) -> Any:
        return pb.tanh(x)[i]

    x = pb.constant(np.linspace(0.0, 1.0, 5, dtype=np.float32))
    checked, unchecked = pb.function(pick), pb.function(pick, check_bounds=False)
    try:
        pb.config.check_bounds(False)
        by_default = pb.function(pick)
        by_default(x, pb.constant(1))
        explicit = pb.function(check_bounds=True)(pick)
        explicit(x, pb.constant(1))
    finally:
        pb.config.check_bounds(True)
    assert pb.config.checks_bounds()
    for f, tests in ((checked, True), (unchecked, False), (by_default, False), (explicit, True)):
        assert float(f(x, pb.constant(3))) == pytest.approx(np.tanh(0.75))
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x, pb.constant(3))
        np.testing.assert_allclose(tape.gradient(y, x)[3], 1 - np.tanh(0.75) ** 2, rtol=1e-5)
        assert ("status" in f.inspect(x, pb.constant(3), stage="llvm")) == tests
        if tests:
            for kind in (IndexError, pb.errors.InvalidArgumentError):
                with pytest.raises(kind, match=line_of(pick, "tanh")):
                    f(x, pb.constant(5))


def test_variables_are_whole_after_an_error() -> None:
    v, u, s = pb.Variable(np.zeros(8)), pb.Variable(np.zeros(100)), pb.Variable(0.0)

    @pb.function
    def f(i: Any) -> Any:
        v.assign_add(np.ones(8))
        for _ in pb.range(3):
            u.assign(u * 2.0 + 1.0)
            s.assign_add(1.0)
        return u[i]

    for _ in range(3):
        f(pb.constant(3))
    before = [x.numpy().copy() for x in (v, u, s)]
    for _ in range(3):
        with pytest.raises(IndexError):
            f(pb.constant(100))
        for got, want in zip((v, u, s), before, strict=True):
            np.testing.assert_array_equal(got, want)
    f(pb.constant(3))
    np.testing.assert_array_equal(v, before[0] + 1.0)
    np.testing.assert_array_equal(u, ((before[1] * 2 + 1) * 2 + 1) * 2 + 1)
